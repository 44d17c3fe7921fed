#!/usr/bin/env python3
"""A measurement with small numbers: do its figures come, and is all its mail
there?  (Each measurement looks for its mail itself and fails without it.)
How good they are is nothing for a busy machine to say.

bench_test.py MTAQ NAME
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import importlib  # noqa: E402

KEYS = {"bench", "commit", "cores", "runs", "machine", "wanted", "skipped"}


def measure(mtaq, name, folder, *more):
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench/run.py"), name, "--smoke", "--json",
         "--mtaq", mtaq, *more], text=True, capture_output=True, timeout=280,
        env={**os.environ, "TMPDIR": folder}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plausible(name, figure):
    assert set(figure) == {"median", "min", "max", "unit"}, (name, figure)
    assert figure["min"] <= figure["median"] <= figure["max"], (name, figure)
    # A rate or a time is more than nothing; a share of CPU may round to it.
    if not any(word in figure["unit"] for word in ("%", "CPU", "of")):
        assert figure["median"] > 0, (name, figure)


def check(name, out):
    r = json.loads(out.splitlines()[-1])
    assert KEYS <= set(r), sorted(r)
    assert r["bench"] == name and r["runs"] == 1 and r["cores"] > 0, r
    figures = {k: v for k, v in r.items() if k not in KEYS}
    for figure in figures.items():
        plausible(*figure)
    bench = importlib.import_module(name)
    missing = set(bench.UNITS) - set(figures)
    assert not missing or r["skipped"], f"{missing} are missing"
    asked = {w[0] for w in getattr(bench, "WANTED", ())}
    told = {w["figure"] for w in r["wanted"]}
    assert asked - told <= missing, (asked, told)
    for w in r["wanted"]:
        assert f"{w['figure']} {w['how']} {w['bound']:g}: " in out, out
    return len(figures)


def main():
    mtaq, name = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="mtaq-bench-test-") as folder:
        svg = pathlib.Path(folder) / "plot.svg"
        out = measure(mtaq, name, folder, "--plot", str(svg))
        count = check(name, out)
        if svg.exists():                        # else it was drawn as text
            xml.etree.ElementTree.parse(svg)
        else:
            assert "####" in out, out
        left = [p for p in os.listdir(folder) if p != "plot.svg"]
        assert not left, left
    print(f"ok {name}: {count} figures")


if __name__ == "__main__":
    main()
