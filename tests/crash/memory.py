#!/usr/bin/env python3
"""Memory and descriptors run out.

	memory.py MTAQ [--cycles N] [--every] [--messages N] [--seed N] [--json]
	          [KIND...]

	alloc        the kth allocation of a daemon under load fails
	             (nomem_at.c), alone, with 15 more or with all that follow;
	             some k at random, and with --every k = 1, 2, 3...
	descriptors  it may open 256 files
	cgroup       a group of 1 GiB has a backlog of 100,000 recipients and
	             large mails through it.  Where no group can be made the
	             summary says so, and RLIMIT_DATA is the limit

It may end, with words and a code, but never by a signal; the ledger of each
cycle is that of doomed.py.
"""
import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import sys

import cycles
import ending
from doomed import Doomed, run_kinds
from harness import Box, must

ENDS = {0, 71, 74, 75}
FIRST_MAX = 20000       # allocations until all has come to pass once
COUNTS = (1, 16, 10 ** 9)
FILES = 256
BYTES = 1 << 30
GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes",
           "memory.max_usage_in_bytes"),
          ("/sys/fs/cgroup", "memory.max", "memory.peak"),
          ("/sys/fs/cgroup/unified", "memory.max", "memory.peak"))
KINDS = ("alloc", "alloc", "alloc", "descriptors", "alloc", "cgroup")


class Group:
    """A control group with so much memory, either version."""

    def __init__(self, limit):
        self.why = "no memory controller is mounted"
        self.path = None
        for root, limit_file, most_file in GROUPS:
            self.path = pathlib.Path(root) / f"mtaq-test-{os.getpid()}"
            try:
                self.path.mkdir()
                (self.path / limit_file).write_text(str(limit))
                self.most_file = self.path / most_file
                self.why = None
                ending.undo(self.remove)
                return
            except OSError as e:
                self.why = f"{e.filename}: {e.strerror}"
                with contextlib.suppress(OSError):
                    self.path.rmdir()

    def enter(self):
        """In the child that is to be in it."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def most(self):
        return int(self.most_file.read_text()) if self.most_file.exists() \
            else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Its daemon has ended."""
        if self.why is None:
            self.remove()

    def remove(self):
        ending.undone(self.remove)
        self.path.rmdir()


class Starved(Doomed):
    def excused(self, code, pid):
        """libfyaml 0.7.12 ends in SIGSEGV at two of its first allocations,
        long before a spool is opened (the lock has its holder's pid)."""
        lock = (self.box.dir / "spool" / "lock").read_text()
        return code == -signal.SIGSEGV and lock.strip() != str(pid)


def alloc(d, i, args):
    d.box.stop_daemon()
    k = 1 + i // len(COUNTS) if args.every else \
        int(FIRST_MAX ** d.rnd.random())
    d.start(os.environ["MTAQ_TEST_NOMEM_AT"], nomem_told=d.told,
            nomem_at=f"{k}:{COUNTS[i % len(COUNTS)]}")
    d.await_harm(1)
    d.end()


def busy(d, *options):
    """More senders and receivers than it may have connections."""
    d.box.load("--messages", 1000, "--rcpts", 2, "--domains", 20,
               "--clients", 30, "--tag", "busy", *options)


def descriptors(d, *_):
    box = d.box
    box.stop_daemon()
    box.start_daemon(preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (FILES, FILES)))
    must("RLIMIT_NOFILE is 256" in box.daemon_log.read_text(),
         "it does not say what it makes of 256 descriptors")
    busy(d)
    fds = len(os.listdir(f"/proc/{box.daemon.pid}/fd"))
    must(fds <= FILES, f"{fds} open")
    must("Too many open files" not in box.daemon_log.read_text(),
         "it met the limit that it knew")
    d.counts["harmed"] += 1
    d.end()


def backlog(d):
    """100,000 tasks that wait, and large mails."""
    box = d.box
    box.load("--messages", 1000, "--rcpts", 100, "--spread", "--domains",
             100, "--tag", "wait", "--campaign", "wait", "--size", 1000)
    box.load("--messages", 12, "--size", 20 << 20, "--clients", 4, "--tag",
             "large", "--domains", 4)


def cgroup(d, *_):
    with Group(BYTES) as group:
        try:
            limited(d, group)
        finally:
            d.box.stop_daemon(kill=True)    # where a check has failed


def limited(d, group):
    box = d.box
    box.stop_daemon()
    limit = group.enter if group.why is None else \
        lambda: resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
    box.start_daemon(preexec_fn=limit)
    box.run("campaign", "pause", "wait", "-c", box.conf)
    backlog(d)
    must(not d.is_dead(), "it ended")
    box.run("campaign", "resume", "wait", "-c", box.conf)
    box.wait_final(50000)
    must(not d.is_dead(), "it ended")
    d.counts["harmed"] += 1
    d.end()
    if group.why is None:
        d.counts["group_mib_most"] = max(d.counts["group_mib_most"],
                                         group.most() >> 20)
    else:
        d.skipped = f"skipped: {group.why}; RLIMIT_DATA instead"


def why_no_limit(mtaq):
    """A sanitizer brings an allocator of its own, and takes some times as
    much memory."""
    libs = subprocess.run(["ldd", mtaq], capture_output=True, text=True,
                          check=True).stdout
    return "skipped: a sanitizer" if "san.so" in libs else None


def run(args):
    must("MTAQ_TEST_NOMEM_AT" in os.environ,
         "MTAQ_TEST_NOMEM_AT must name the built nomem_at library")
    said = {}
    kinds = list(args.kinds or KINDS)
    why = why_no_limit(args.mtaq)
    for kind in ("alloc", "cgroup") if why else ():
        said[kind] = why
        kinds = [k for k in kinds if k != kind]
    must(kinds, f"nothing to do: {why}")

    def one(kind, i, rnd):
        with Box(args.mtaq, name="mtaq-memory") as box:
            d = Starved(box, args, rnd, ENDS)
            if kind == "cgroup":    # 100,000 deferrals are not the point
                d.sink = ["--domains", 100]
                d.plan.changes = {"queue__segment_bytes": "64MiB"}
            r = d.cycle(lambda: globals()[kind](d, i, args))
            if hasattr(d, "skipped"):
                said["cgroup"] = d.skipped
            return r, d
    return {**run_kinds("memory", args, kinds, one), **said}


def main():
    p = cycles.arguments(__doc__, 30)
    p.add_argument("--every", action="store_true",
                   help="each k in turn, not some at random")
    p.add_argument("kinds", nargs="*", metavar="KIND",
                   help=f"of {', '.join(dict.fromkeys(KINDS))} [all in turn]")
    return cycles.main(run, p.parse_intermixed_args())


if __name__ == "__main__":
    sys.exit(main())
