#!/usr/bin/env python3
"""The clocks are wrong, under load.

	clock.py MTAQ [--cycles N] [--messages N] [--seed N] [--json] [KIND...]

	step   the wall clock of a daemon goes an hour ahead, an hour back, over
	       2038-01-19 03:14:08, and home again
	start  it is killed, and the next begins in that other time
	boot   it is killed, and the next finds a machine that has been up for
	       another time (CLOCK_BOOTTIME, CLOCK_MONOTONIC), or not for long

Mail time goes on evenly, so no step may make a second copy, lose or expire a
mail; only where a daemon begins 12 years later what is older than the age
limit may expire, after one more attempt.  Each cycle ends as doomed.py says.

Steps come from e2e/clock_step.c: the daemon's own view of one clock turns at
a moment that the test knows.  libfaketime reads its file now and then, moves
CLOCK_MONOTONIC along and so all deadlines, and does not reach io_uring's
timeouts; a time namespace has no wall clock, but is what a machine that
booted looks like: boot takes one, and says so where it cannot be had.
"""
import json
import os
import subprocess
import sys
import time

import cycles
from doomed import Doomed, run_kinds
from harness import Box, must
from test_bad_weather import Stepping

HOUR = 3600
EPOCH_END = 2 ** 31
KINDS = ("step", "start", "boot")
UPTIMES = (-3600, -1, 1, 86400, 400 * 86400)    # seconds, from now


def steps():
    """Of the wall clock; the third is some tenths of a second before the
    second that does not fit into 31 bits."""
    to_2038 = EPOCH_END - int(time.time()) - 1
    return [HOUR, -HOUR, to_2038, 0]


def years(box):
    return {json.loads(line)["time"][:4]
            for line in box.events.read_text().splitlines()
            if '"time"' in line}


def more_mail(d, tag):
    """Some that must go out in this time: all of it, now."""
    box = d.box
    before = box.count_events().get("delivered", 0)
    box.load("--messages", 40, "--rcpts", 2, "--domains", 20, "--tag", tag)
    box.wait_for(lambda: box.count_events().get("delivered", 0) >=
                 before + 40, 60, f"deliveries after the step '{tag}'")


def step(d):
    box, clock = d.box, Stepping(d.box)
    box.stop_daemon()
    box.start_daemon(env=clock.env)
    for i, seconds in enumerate(steps()):
        clock.to(seconds)
        if i == 2:              # the second turns while mail goes out
            until = time.monotonic() + 1.2
            while time.monotonic() < until:
                more_mail(d, f"turn{time.monotonic_ns()}")
        more_mail(d, f"step{i}")
        must("expired" not in box.count_events(), f"expired: {seconds} s")
        d.counts["harmed"] += 1
    must("2038" in years(box), f"events of the years {years(box)}")
    d.end()


def start(d):
    box, clock = d.box, Stepping(d.box)
    for i, seconds in enumerate(steps()):
        d.kill()
        clock.to(seconds)
        box.start_daemon(env=clock.env)
        more_mail(d, f"start{i}")
        if i < 2:
            must("expired" not in box.count_events(),
                 f"expired: {seconds} s")
        d.counts["harmed"] += 1
    must("2038" in years(box), f"events of the years {years(box)}")
    d.end()


def in_time(seconds):
    """A command in a time namespace: booted so much earlier."""
    return ["unshare", "-T", "--boottime", str(seconds), "--monotonic",
            str(seconds)]


def boot(d):
    box = d.box
    up = int(time.clock_gettime(time.CLOCK_BOOTTIME))
    for i, seconds in enumerate(UPTIMES):
        d.kill()
        box.start_daemon(within=in_time(max(seconds, 1 - up)))
        more_mail(d, f"boot{i}")
        must("expired" not in box.count_events(), f"expired: {seconds} s")
        d.counts["harmed"] += 1
    d.end()


def why_no_boot():
    done = subprocess.run([*in_time(1), "true"], capture_output=True,
                          text=True)
    return None if done.returncode == 0 else \
        f"skipped: {done.stderr.strip()}"


def run(args):
    must("MTAQ_CLOCK_STEP" in os.environ,
         "MTAQ_CLOCK_STEP must name the built clock_step library")
    kinds, said = list(args.kinds or KINDS), {}
    why = why_no_boot()
    if why and "boot" in kinds:
        kinds.remove("boot")
        said["boot"] = why
    must(kinds, f"nothing to do: {why}")

    def one(kind, _, rnd):
        with Box(args.mtaq, name="mtaq-clock") as box:
            d = Doomed(box, args, rnd, {0})
            return d.cycle(lambda: globals()[kind](d)), d
    return {**run_kinds("clock", args, kinds, one), **said}


def main():
    p = cycles.arguments(__doc__, 12)
    p.add_argument("kinds", nargs="*", metavar="KIND",
                   help=f"of {', '.join(KINDS)} [all in turn]")
    return cycles.main(run, p.parse_intermixed_args())


if __name__ == "__main__":
    sys.exit(main())
