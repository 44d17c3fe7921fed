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
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

import cycles
from harness import Box, Failed, must

GOING_DOWN, NO_FLUSH = 0x8004587D, 2
IMAGE_BYTES = {"ext4": 192 << 20, "xfs": 320 << 20}
MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"]}
PLAN = {"sessions": 40, "unsynced": 32, "workers": 2, "messages": 20}
NAMESPACE = "MTAQ_TEST_POWER_NAMESPACE"
CANNOT_WRITE = 74       # how a daemon ends whose spool fails for good


def run_quiet(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True,
                          text=True, timeout=60)
    must(done.returncode == 0,
         f"{' '.join(map(str, args))}: {done.stderr.strip()}")


class Disk:
    """A file system in a file, whose power can go."""

    def __init__(self, folder, kind):
        self.kind, self.image, self.at = kind, folder / "image", folder / "disk"
        self.mounted = False
        with open(self.image, "wb") as f:
            f.truncate(IMAGE_BYTES[kind])
        run_quiet(*MAKE[kind], self.image)
        self.at.mkdir()
        self.mount()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mounted:
            run_quiet("umount", "-l", self.at)

    def mount(self):
        run_quiet("mount", "-t", self.kind, "-o", "loop", self.image, self.at)
        self.mounted = True

    def shut_down(self):
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, GOING_DOWN, struct.pack("I", NO_FLUSH))
        finally:
            os.close(fd)

    def remount(self):
        run_quiet("umount", self.at)
        self.mounted = False
        self.mount()


def power_cut(disk, ends):
    """ends: how often a daemon ended by itself over the dead disk.  SIGBUS is
    what a file system makes of reading through a mapping, LMDB's too, what it
    has thrown away; seen about once in 500 cuts, on XFS."""
    def cut(box, rnd):
        disk.shut_down()
        time.sleep(rnd.choice((0, 0.005, 0.05)))    # on over a dead disk
        code = box.daemon.poll()
        must(code in (None, CANNOT_WRITE, -signal.SIGBUS),
             f"over the dead disk the daemon ended with {code}")
        ends[code] += 1
        box.kill_daemon()
        disk.remount()
    return cut


def one_disk(args, rnd, figures, ends, cuts):
    plan = cycles.Plan(**PLAN)
    plan.messages = args.messages or plan.messages
    plan.load_ends.add(65)      # over the dead disk mail is refused
    with Box(args.mtaq, name="mtaq-power") as box, \
            Disk(box.dir, args.fs) as disk:
        box.events = disk.at / "events.jsonl"
        plan.changes = {"spool": str(disk.at / "spool"),
                        "log": {"events": str(box.events)}}
        figures.add(*cycles.one_spool(box, plan, power_cut(disk, ends), rnd,
                                      cuts))


def over_disks(args):
    rnd = random.Random(args.seed)
    figures, ends = cycles.Figures(), collections.Counter()
    for first in range(0, args.cycles, cycles.SPOOL_CUTS):
        one_disk(args, rnd, figures, ends,
                 min(cycles.SPOOL_CUTS, args.cycles - first))
    return {"test": "power", "disk": args.fs,
            "ended_74": ends[CANNOT_WRITE], "sigbus": ends[-signal.SIGBUS],
            **figures.judged(cycles.Plan(**PLAN))}


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


def why_not(args):
    """Why no disk can be had here; None: one can."""
    if os.geteuid() != 0:
        return "only root may mount"
    if shutil.which(MAKE[args.fs][0]) is None:
        return f"there is no {MAKE[args.fs][0]}"
    with Box(args.mtaq, name="mtaq-power") as box:
        try:
            with Disk(box.dir, args.fs):
                return None
        except Failed as e:
            return f"nothing can be mounted ({e})"


def run(args):
    why = "--no-mounts" if args.no_mounts else why_not(args)
    return over_back_end(args, why) if why else over_disks(args)


def enter_namespace():
    """This program again, where its mounts are its own."""
    if os.geteuid() != 0 or NAMESPACE in os.environ:
        return
    args = ["unshare", "-m", sys.executable, *sys.argv]
    if subprocess.run(["unshare", "-m", "true"],
                      capture_output=True).returncode == 0:
        os.environ[NAMESPACE] = "1"
        os.execvp("unshare", args)


def main():
    p = cycles.arguments(__doc__, 50)
    p.add_argument("--fs", choices=sorted(MAKE), default="ext4")
    p.add_argument("--back-end", metavar="QKILL",
                   help="where nothing can be mounted: qkill over a test disk")
    p.add_argument("--no-mounts", action="store_true",
                   help="as where nothing can be mounted")
    args = p.parse_intermixed_args()
    if not args.no_mounts:
        enter_namespace()
    return cycles.main(run, args)


if __name__ == "__main__":
    sys.exit(main())
