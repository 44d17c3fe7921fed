#!/usr/bin/env python3
"""The power goes at random moments, while mail comes and goes.

	power.py MTAQ [--fs ext4|xfs] [--cycles N] [--messages N] [--seed N]
	         [--back-end QKILL] [--json]

The spool and the event log are on a file system of their own, in a file, in a
mount namespace.  It is shut down without a flush (FS_IOC_GOINGDOWN): from then
on nothing reaches the disk, and what had not is gone.  The daemon is killed a
little later, so that it goes on over the dead disk and may take nothing as
durable; unmounted, mounted (which replays the journal), and the next daemon
started.  The submitters' list of what was acknowledged and the sink's list of
what it received are elsewhere.  Each cycle ends as those of kill.py.

What the kernel still holds is dropped, in no order of its own.  Reordered and
torn writes are those of the queue library's test back end: --back-end QKILL
plays as many cycles over it where this process may not mount.
"""
import collections
import random
import signal
import subprocess
import sys
import time

import cycles
import disks
from harness import Box, must

PLAN = {"sessions": 40, "unsynced": 32, "workers": 2, "messages": 20}
CANNOT_WRITE = 74       # how a daemon ends whose spool fails for good


def power_cut(disk, ends):
    """ends: how often a daemon ended by itself over the dead disk.  SIGBUS is
    what a file system makes of reading through a mapping, LMDB's too, what it
    has thrown away; seen about once in 500 cuts, on XFS."""
    def cut(box, rnd, books):
        disk.power_off()
        time.sleep(rnd.choice((0, 0.005, 0.05)))    # on over a dead disk
        code = box.daemon.poll()
        must(code in (None, CANNOT_WRITE, -signal.SIGBUS),
             f"over the dead disk the daemon ended with {code}")
        ends[code] += 1
        box.kill_daemon()
        disk.remount()
        books.forget_events()
    return cut


def one_disk(args, plan, rnd, figures, ends, cuts):
    with Box(args.mtaq, name="mtaq-power") as box, \
            disks.Disk(box.dir, args.fs) as disk:
        box.events = disk.at / "events.jsonl"
        plan.changes = {"spool": str(disk.at / "spool"),
                        "log": {"events": str(box.events)}}
        figures.add(*cycles.one_spool(box, plan, power_cut(disk, ends), rnd,
                                      cuts))


def over_disks(args):
    rnd = random.Random(args.seed)
    plan = cycles.Plan(**PLAN)
    plan.messages = args.messages or plan.messages
    plan.load_ends.add(65)      # over the dead disk mail is refused
    figures, ends = cycles.Figures(), collections.Counter()
    for first in range(0, args.cycles, cycles.SPOOL_CUTS):
        one_disk(args, plan, rnd, figures, ends,
                 min(cycles.SPOOL_CUTS, args.cycles - first))
    return {"test": "power", "disk": args.fs,
            "ended_74": ends[CANNOT_WRITE], "sigbus": ends[-signal.SIGBUS],
            **figures.judged(plan)}


def over_back_end(args, why):
    """The queue library alone, over the disk that its tests bring."""
    must(args.back_end is not None,
         f"{why}, and no --back-end was given to do without")
    done = subprocess.run([args.back_end, str(args.cycles), str(args.seed),
                           "power"], capture_output=True, text=True)
    must(done.returncode == 0, f"qkill ended with {done.returncode}: "
         f"{done.stdout}{done.stderr}")
    return {"test": "power", "disk": f"the test back end, for {why}",
            "said": done.stdout.strip()}


def run(args):
    why = "--no-mounts" if args.no_mounts else disks.why_not(args.fs)
    return over_back_end(args, why) if why else over_disks(args)


def main():
    p = cycles.arguments(__doc__, 50)
    p.add_argument("--fs", choices=sorted(disks.MAKE), default="ext4")
    p.add_argument("--back-end", metavar="QKILL",
                   help="where nothing can be mounted: qkill over a test disk")
    p.add_argument("--no-mounts", action="store_true",
                   help="as where nothing can be mounted")
    args = p.parse_intermixed_args()
    if not args.no_mounts:
        disks.enter_namespace()
    return cycles.main(run, args)


if __name__ == "__main__":
    sys.exit(main())
