#!/usr/bin/env python3
"""The disk is full, fails, or has lost the index.

	disk.py MTAQ [--cycles N] [--every] [--messages N] [--seed N] [--json]
	        [KIND...]

A daemon under load is stopped, and begins anew while the disk is as the kind
says; it may go on or end, but never by a signal.  Then it is stopped or
killed, `mtaq verify` is clean, and the next one has a good disk: nothing is
lost, and no more comes twice than its end explains.

	full      no block is free: new mail is told to come later (75), what
	          waits goes out, and space that returns is used
	log-write, log-sync, index-write, index-sync, index-meta
	          the Nth such call fails (fail_at.c) with EIO or ENOSPC, alone or
	          with all that follow, from the start of the daemon on; some
	          N at random, and with --every N = 1, 2, 3... in each way
	map       LMDB's map is full: no checkpoint
	rebuild   the index is garbage: 75, and `mtaq verify --rebuild`

`full` needs a file system of its own.  Where none can be mounted the summary
says so.
"""
import errno
import json
import os
import sys

import cycles
import disks
from doomed import Doomed, run_kinds
from harness import Box, must

# N is up to; with --every too.  The index is written some times a second only.
CALLS_MAX = {"log-write": 200, "log-sync": 200, "index-write": 60,
             "index-sync": 12, "index-meta": 12}
ENDS = {0, 74, 75}      # of a daemon whose disk fails
MAP_BYTES = 96 << 10
INDEX_METAS = 8192
# A checkpoint after the other, not one a second.
OFTEN = {"checkpoint__age": "0s", "checkpoint__deltas": 100}
WAYS = [(e, on) for on in ("", ":on") for e in (errno.EIO, errno.ENOSPC)]


class Sick(Doomed):
    mails = 0

    def start_sick(self, **env):
        self.start(os.environ["MTAQ_TEST_FAIL_AT"], fail_told=self.told,
                   **env)

    # --- kinds ----------------------------------------------------------------

    def calls(self, file, op, n, way):
        number, on = way
        self.box.stop_daemon()
        self.start_sick(fail_at=f"{file}:{op}:{n}:{number}{on}")
        self.await_harm(2.5 if file == "index" else 1)
        self.end()

    def map(self):
        """It says so, and mail goes on from the log."""
        box = self.box
        box.stop_daemon()
        self.start_sick(map_bytes=MAP_BYTES)
        must(not self.is_dead(), "it ended at the start")
        box.load("--messages", 1000, "--rcpts", 2, "--domains", 20, "--tag",
                 "full", "--campaign", "later")
        box.wait_for(lambda: box.said("the index cannot be written: No space"),
                     60, "a word of it")
        problems = box.run("status", "-c", box.conf).stdout
        must("the index cannot be written: No space left on device" in
             problems, problems)
        box.load("--messages", 20, "--rcpts", 2, "--domains", 20, "--tag",
                 "more")
        self.end()
        self.counts["harmed"] += 1

    def rebuild(self):
        box, index = self.box, self.box.dir / "spool" / "index"
        self.kill()
        with open(index, "r+b") as f:
            f.write(self.rnd.randbytes(INDEX_METAS))
        box.launch_daemon()
        code = box.daemon.wait(60)
        box.daemon = None
        said = box.daemon_log.read_text()[box.log_from:]
        must(code == 75 and "mtaq verify --rebuild" in said, f"{code}: {said}")
        r = json.loads(box.run("verify", "--rebuild", "--json", "-c",
                               box.conf).stdout)
        must(r["damaged"] == 0 and r["incomplete"] == 0, json.dumps(r))
        self.extra_max += r["second_copies_max"]
        box.start_daemon()
        box.run("queue", "release", "-c", box.conf, "--all")
        self.counts["harmed"] += 1

    def submit(self, *codes):
        """One mail, of which the ledger's list of the accepted is not told;
        nobody has got one before."""
        self.mails += 1
        to = f"x{self.mails}@d1.test"
        return self.box.run("submit", "-c", self.box.conf, "--campaign",
                            "later", "--from", "a@b.test", "--to", to, "-",
                            input=f"X-Mtaq-Token: {to}\n\nx\n", ok=codes)

    def full(self):
        box = self.box
        ballast = self.disk.at / "ballast"
        fill(ballast)
        box.wait_for(lambda: self.submit(0, 75).returncode == 75, 60,
                     "a refusal")
        must("min_free" in self.submit(75).stderr, "other words")
        if self.rnd.random() < 0.5:     # it begins on a full disk too
            self.kill()
            box.start_daemon()
        before = box.count_events().get("delivered", 0)
        cycles.resume(box)
        box.wait_for(lambda: box.count_events().get("delivered", 0) >=
                     before + 100, 60, "deliveries while it is full")
        self.submit(75)
        ballast.unlink()
        box.wait_for(lambda: self.submit(0, 75).returncode == 0, 60,
                     "mail to be taken again")
        self.counts["harmed"] += 1
        self.kill()


def fill(path):
    with open(path, "wb", buffering=0) as f:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    f.write(bytes(size))
            except OSError as e:
                must(e.errno == errno.ENOSPC, str(e))


CALLS = ("log-write", "log-sync", "index-write", "index-sync", "index-meta")
KINDS = (*CALLS, "map", "rebuild", "full")


def play(c, kind, i, args):
    if kind in CALLS:
        n = 1 + i // len(WAYS) % CALLS_MAX[kind] if args.every else \
            int(CALLS_MAX[kind] ** c.rnd.random())
        c.calls(*kind.split("-"), n, WAYS[i % len(WAYS)])
    else:
        getattr(c, kind)()


def one_cycle(args, kind, i, rnd):
    with Box(args.mtaq, name="mtaq-disk") as box:
        c = Sick(box, args, rnd, ENDS)
        if kind.startswith("index"):
            c.plan.changes = OFTEN
        if kind != "full":
            return c.cycle(lambda: play(c, kind, i, args)), c
        with disks.Disk(box.dir, "ext4", 96 << 20) as c.disk:
            c.plan.changes = {"spool": str(c.disk.at / "spool")}
            return c.cycle(lambda: play(c, kind, i, args)), c


def run(args):
    must("MTAQ_TEST_FAIL_AT" in os.environ,
         "MTAQ_TEST_FAIL_AT must name the built fail_at library")
    kinds = list(args.kinds or KINDS)
    why = disks.why_not("ext4") if "full" in kinds else None
    if why:
        kinds.remove("full")
    return {**run_kinds("disk", args, kinds,
                        lambda *which: one_cycle(args, *which)),
            **({"full": f"skipped: {why}"} if why else {})}


def main():
    disks.enter_namespace()
    p = cycles.arguments(__doc__, 40)
    p.add_argument("--every", action="store_true",
                   help="each N in turn, not some at random")
    p.add_argument("kinds", nargs="*", metavar="KIND",
                   help=f"of {', '.join(KINDS)} [all in turn]")
    return cycles.main(run, p.parse_intermixed_args())


if __name__ == "__main__":
    sys.exit(main())
