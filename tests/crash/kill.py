#!/usr/bin/env python3
"""kill -9 of `mtaq run` at random moments, while mail comes and goes.

	kill.py MTAQ [--one] [--chunks] [--cycles N] [--messages N] [--seed N]
		[--json]

A load submits until the kill and goes on after it; the daemon checkpoints
every second and writes over its small segments all the time.  After each kill
`mtaq verify` is clean, and the ledger balances with what the next daemon says
is queued; after 25 kills everything is let through.  Second copies: at most open sessions + max_unsynced_outcomes x
workers a kill, half of the kills at most the open sessions; none that no
kill explains.

--one: one session, one worker, max_unsynced_outcomes 1: 2 copies at most.
--chunks: by BDAT, messages following each other (SMTP.md 20): the same bound.
"""
import random
import sys

import cycles
from harness import Box

MANY = {"sessions": 40, "unsynced": 32, "workers": 2, "messages": 20}
ONE = {"sessions": 1, "unsynced": 1, "workers": 1, "messages": 2}


def kill(box, *_):
    box.kill_daemon()


def run(args):
    rnd = random.Random(args.seed)
    plan = cycles.Plan(**(ONE if args.one else MANY))
    plan.messages = args.messages or plan.messages
    if args.chunks:
        plan.changes["smtp__chunking"] = "on"
        plan.changes["smtp__chunks_ahead"] = 20
    figures = cycles.Figures()
    for first in range(0, args.cycles, cycles.SPOOL_CUTS):
        cuts = min(cycles.SPOOL_CUTS, args.cycles - first)
        with Box(args.mtaq, name="mtaq-kill") as box:
            figures.add(*cycles.one_spool(box, plan, kill, rnd, cuts))
    return {"test": " ".join(["kill", *["--one"] * args.one,
                              *["--chunks"] * args.chunks]),
            **figures.judged(plan)}


def main():
    p = cycles.arguments(__doc__, 100)
    p.add_argument("--one", action="store_true",
                   help="one session, one unsynced outcome")
    p.add_argument("--chunks", action="store_true",
                   help="by BDAT, messages following each other")
    return cycles.main(run, p.parse_intermixed_args())


if __name__ == "__main__":
    sys.exit(main())
