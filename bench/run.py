#!/usr/bin/env python3
"""bench/run.sh NAME: run a measurement several times, print its figures.

A measurement is a module: options(parser), run(mtaq, a) -> {figure: number},
UNITS {figure: unit}; and if it has them WANTED [(figure, ">=", bound)], SMOKE
{option: small value}, PLOT {series: [(label, figure)]}, NOTES [words].
"""
import argparse
import importlib
import json
import math
import os
import subprocess
import sys

import plot
from rig import (Failed, OTHERS, ROOT, machine_cpu_s, must, ours_cpu_s,
                 table)

# One a line: each brings its own.
BENCHES = [
    "connections",
    "deliver",
    "depth",
    "drip",
    "e2e",
    "latency",
    "limit",
    "multi",
    "parked",
    "queues",
    "restart",
    "rtt",
    "session",
    "sizes",
    "storm",
    "submit",
    "wal",
]


def pair(text):
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def parser():
    p = argparse.ArgumentParser(
        prog="bench/run.sh", epilog="compare: mtaq beside its peers, as root; "
        "it is bench/compare.sh, with options of its own (--rounds)")
    sub = p.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in BENCHES:
        bench = importlib.import_module(name)
        s = sub.add_parser(name, help=bench.__doc__.splitlines()[0],
                           description=bench.__doc__,
                           formatter_class=argparse.RawTextHelpFormatter)
        s.add_argument("--runs", type=int, default=3)
        s.add_argument("--json", action="store_true",
                       help="the last line is one JSON object")
        s.add_argument("--plot", nargs="?", metavar="FILE",
                       const=f"{name}.svg", help=f"draw it ({name}.svg)")
        s.add_argument("--smoke", action="store_true",
                       help="one short run: do the figures come?")
        s.add_argument("--io", choices=["auto", "io_uring", "epoll"],
                       default=os.environ.get("MTAQ_TEST_IO", "auto"),
                       help="io_backend of the daemon")
        s.add_argument("--set", type=pair, action="append", default=[],
                       metavar="KEY=VALUE", help="another option of the "
                       "daemon, as session.messages=1000; repeatable")
        s.add_argument("--mtaq", default=ROOT / "build/release/src/cmd/mtaq")
        s.set_defaults(bench=bench)
        bench.options(s)
    return p


def one_run(a):
    """With the share of the machine that others had meanwhile."""
    used0, there0 = machine_cpu_s()
    ours0 = ours_cpu_s()
    figures = a.bench.run(a.mtaq, a)
    used, there = machine_cpu_s()
    others = 100 * (used - used0 - (ours_cpu_s() - ours0)) / (there - there0)
    figures.setdefault(OTHERS, max(others, 0.0))
    for name in a.bench.UNITS:
        must(math.isfinite(figures.get(name, 0)), f"{name} is no number")
    return figures


def draw(a, figures):
    series = getattr(a.bench, "PLOT", None) or plot.default(a.bench.UNITS)
    if not plot.svg(a.plot, f"{a.name} on {os.cpu_count()} cores", series,
                    figures):
        print(plot.text(series, figures))


def main():
    a = parser().parse_args()
    if a.smoke:
        a.runs = 1
        vars(a).update(getattr(a.bench, "SMOKE", {}))
    runs = []
    try:
        for a.turn in range(a.runs):
            runs.append(one_run(a))
            print(f"run {a.turn + 1}: " + ", ".join(
                f"{k} {v:,.6g}" for k, v in runs[-1].items()), flush=True)
    except (Failed, subprocess.TimeoutExpired) as e:
        print(f"{a.name}: {e}", file=sys.stderr)
        return 1
    units = {**a.bench.UNITS, OTHERS: "% of the machine, used by others"}
    done = table(a.name, runs, units, getattr(a.bench, "WANTED", ()),
                 getattr(a.bench, "NOTES", ()))
    if a.plot:
        draw(a, done)
    if a.json:
        print(json.dumps(done), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
