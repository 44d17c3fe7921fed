#!/usr/bin/env python3
"""Measure which lines and branches the tests reach, by layer.

usage: tests/coverage.sh [--json] [--no-run] [--lines FILE...]

--no-run       count again what the last run left
--json         the last line is one JSON object with all figures
--lines FILE   also print the lines of FILE that no test reaches

Builds the preset `coverage` (gcc --coverage, no optimisation), runs the unit,
e2e, crash and style tests, and holds each layer against its bar: 95 % of the
lines in the pure layers, 85 % elsewhere.  Exit: 0, 1 when a layer is below
its bar or a test fails, 64 usage.

Nothing is left out by comments in the code: where there is one, this fails.
Branches of BUG_ON() are not counted as branches, since only a bug takes them;
how many lines have one is printed.  A process writes its counts when it ends:
what ran in a daemon that a test killed with SIGKILL, or that became another
user and may not write here, is lost, so the figures are lower bounds.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "coverage"
PURE = {"src/base", "src/smtp", "src/mail", "src/sched", "src/site"}
PURE_BAR, BAR = 95.0, 85.0
TOLD = {"bench"}        # shown, and held to nothing
WORST = 15
MARKER = re.compile(r"\b(GCOVR?|LCOV)_EXCL")


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], cwd=ROOT, **kw)


def measure():
    """Build, forget old counts, run the tests; did all pass?"""
    run("cmake", "--preset", "coverage", check=True,
        stdout=subprocess.DEVNULL)
    run("cmake", "--build", BUILD, "--", "--quiet", check=True)
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    done = run("ctest", "--test-dir", BUILD, "-LE", "package",
               "--output-on-failure", "--no-tests=error", "--timeout", "600",
               "-j", os.cpu_count() or 1, stdout=sys.stderr,
               env={**os.environ, "CK_TIMEOUT_MULTIPLIER": "10"})
    return done.returncode == 0


def count():
    """gcovr's rows, one a file."""
    done = run("gcovr", "--root", ROOT, "--object-directory", BUILD,
               "--filter", "src/", "--filter", "queue/",
               "--filter", "include/", "--filter", "bench/",
               "--exclude-branches-by-pattern", r".*\bBUG_ON\(",
               "-j", os.cpu_count() or 1, "--json", BUILD / "coverage.json",
               "--json-summary", BUILD / "summary.json",
               stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit("coverage: gcovr failed")
    return json.loads((BUILD / "summary.json").read_text())["files"]


def sources():
    for top in ("src", "queue", "include", "bench"):
        yield from sorted((ROOT / top).rglob("*.[ch]"))


def layer_of(name):
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] == "src" else parts[0]


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def figures(files):
    """{layer: counts}, the pure ones first."""
    layers = collections.defaultdict(collections.Counter)
    for f in files:
        layer = layers[layer_of(f["filename"])]
        for key in ("line_covered", "line_total", "branch_covered",
                    "branch_total"):
            layer[key] += f[key]
    rows = []
    for name in sorted(layers, key=lambda n: (n in TOLD, n not in PURE, n)):
        c = layers[name]
        bar = PURE_BAR if name in PURE else None if name in TOLD else BAR
        lines = percent(c["line_covered"], c["line_total"])
        rows.append({
            "layer": name, "lines": c["line_total"],
            "lines_percent": round(lines, 1), "branches": c["branch_total"],
            "branches_percent": round(percent(c["branch_covered"],
                                              c["branch_total"]), 1),
            "bar": bar, "ok": bar is None or lines >= bar})
    return rows


def print_table(rows, files, asserts, pure):
    print(f"{'layer':13} {'lines':>6} {'reached':>8} {'bar':>5} "
          f"{'branches':>9} {'reached':>8}")
    for r in rows:
        bar = f"{r['bar']:.0f}%" if r["bar"] else ""
        print(f"{r['layer']:13} {r['lines']:6} {r['lines_percent']:7.1f}% "
              f"{bar:>5} {r['branches']:9} {r['branches_percent']:7.1f}%"
              + ("" if r["ok"] else "  BELOW"))
    print(f"pure layers together: {pure:.1f}% of lines; "
          f"{asserts} lines with BUG_ON() not counted as branches; "
          "no exclusions by comment")
    print("\nmost lines that no test reaches:")
    held = [f for f in files if layer_of(f["filename"]) not in TOLD]
    held.sort(key=lambda f: f["line_covered"] - f["line_total"])
    for f in held[:WORST]:
        print(f"{f['line_total'] - f['line_covered']:6} of "
              f"{f['line_total']:4}  {f['filename']}")


def print_lines(names):
    rows = json.loads((BUILD / "coverage.json").read_text())["files"]
    for f in rows:
        if f["file"] not in names:
            continue
        text = (ROOT / f["file"]).read_text().split("\n")
        print(f"\n{f['file']}:")
        for line in f["lines"]:
            if line["count"] == 0 and not line["gcovr/noncode"]:
                n = line["line_number"]
                print(f"{n:5} {text[n - 1]}")


def arguments():
    p = argparse.ArgumentParser(prog="tests/coverage.sh", usage=__doc__)
    p.add_argument("--json", action="store_true")
    p.add_argument("--no-run", action="store_true")
    p.add_argument("--lines", nargs="+", default=[])
    p.error = lambda words: (print(f"coverage: {words}", file=sys.stderr),
                             sys.exit(64))
    return p.parse_args()


def main():
    args = arguments()
    passed = args.no_run or measure()
    files = count()
    texts = [(p, p.read_text()) for p in sources()]
    marked = [p.relative_to(ROOT) for p, t in texts if MARKER.search(t)]
    if marked:
        sys.exit("coverage: exclusions by comment in "
                 + ", ".join(map(str, marked)))
    asserts = sum(len(re.findall(r"^.*\bBUG_ON\(", t, re.M))
                  for _, t in texts)
    rows = figures(files)
    pure = [f for f in files if layer_of(f["filename"]) in PURE]
    together = percent(sum(f["line_covered"] for f in pure),
                       sum(f["line_total"] for f in pure))
    print_table(rows, files, asserts, together)
    print_lines(args.lines)
    if args.json:
        print(json.dumps({"coverage": rows, "asserts": asserts,
                          "tests_passed": passed}))
    return 0 if passed and all(r["ok"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
