#!/usr/bin/env python3
"""bench/run.sh NAME: run a measurement several times, print its figures."""
import argparse
import sys

import deliver
import limit
import submit
from rig import Failed, ROOT, report

BENCHES = {"deliver": deliver, "submit": submit, "limit": limit}


def parser():
    p = argparse.ArgumentParser(prog="bench/run.sh")
    sub = p.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, bench in BENCHES.items():
        s = sub.add_parser(name, help=bench.__doc__.splitlines()[0],
                           description=bench.__doc__)
        s.add_argument("--runs", type=int, default=3)
        s.add_argument("--json", action="store_true",
                       help="the last line is one JSON object")
        s.add_argument("--mtaq", default=ROOT / "build/release/src/cmd/mtaq")
        bench.options(s)
    return p


def main():
    a = parser().parse_args()
    bench, runs = BENCHES[a.name], []
    try:
        for i in range(a.runs):
            runs.append(bench.run(a.mtaq, a))
            print(f"run {i + 1}: " + ", ".join(
                f"{k} {v:,.6g}" for k, v in runs[-1].items()), flush=True)
    except Failed as e:
        print(f"{a.name}: {e}", file=sys.stderr)
        return 1
    report(a.name, runs, bench.UNITS, a.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
