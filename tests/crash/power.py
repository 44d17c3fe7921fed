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
import ctypes
import itertools
import os
import random
import signal
import subprocess
import sys
import time

import cycles
import disks
import ending
from harness import Box, must

PLAN = {"sessions": 40, "unsynced": 32, "workers": 2, "messages": 20}
PROCESS_MADVISE, MADV_PAGEOUT = 440, 21
CANNOT_WRITE = 74       # how a daemon ends whose spool fails for good


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def page_out(pid, name):
    """The pages of a file that a process has mapped are in memory no more:
    the next look at them is one at the disk."""
    fd = os.pidfd_open(pid)
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        rows = [line.split() for line in f if line.rstrip().endswith(name)]
    for row in rows:
        begin, end = (int(x, 16) for x in row[0].split("-"))
        piece = Iovec(begin, min(end - begin, 64 << 20))
        ctypes.CDLL(None).syscall(PROCESS_MADVISE, fd, ctypes.byref(piece),
                                  1, MADV_PAGEOUT, 0)
    os.close(fd)


def power_off_unseen(box, disk):
    """The daemon wakes up over the dead disk, its index not in memory, and is
    asked for what only the index knows."""
    box.daemon.send_signal(signal.SIGSTOP)
    disk.power_off()
    page_out(box.daemon.pid, "/spool/index")
    asks = [ending.start([box.mtaq, "queue", "list", "-c", box.conf, "--all"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(4)]
    time.sleep(0.1)             # they wait at its socket
    box.daemon.send_signal(signal.SIGCONT)
    for ask in asks:
        ask.wait(60)


def power_cut(disk, ends):
    """ends: how often a daemon ended by itself over the dead disk.  SIGBUS is
    what a file system makes of reading through a mapping, LMDB's too, what it
    has thrown away: by itself about once in 500 cuts on XFS.  Every fifth cut
    brings it about, where the file system has it."""
    turn = itertools.count(1)

    def cut(box, rnd, books):
        if next(turn) % 5 == 0:
            power_off_unseen(box, disk)
        else:
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
    # A sanitizer would make an exit code of its own of SIGBUS.
    os.environ["ASAN_OPTIONS"] = \
        os.environ.get("ASAN_OPTIONS", "") + ":handle_sigbus=0"
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
