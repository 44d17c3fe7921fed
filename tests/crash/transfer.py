#!/usr/bin/env python3
"""The power goes in the middle of `mtaq export` and of `mtaq adopt`.

	transfer.py MTAQ [--fs ext4|xfs] [--cycles N] [--seed N] [--json]

The exporting spool, the file and the adopting spool are on file systems of
their own, which are shut down without a flush (FS_IOC_GOINGDOWN) before the
Nth sync, rename or unlink of the command (cut_at.c, preloaded): before each
of them if there are cycles enough.  The command goes on over the dead disks.
They are mounted again, and looked at:

	a file, or a part of it, is there only of a spool that is marked
	a file is whole, and the spool is not given back without a word
	an adopting node has only what the other one will not send
	what ended with 0 has happened
	no log is damaged

Then the command is repeated, every other time with one more cut in it: all
mail is there once.  At last it is delivered, and the ledger is to balance.
"""
import collections
import json
import os
import random
import shutil
import signal
import sys

import cycles
import disks
from harness import must
from test_adopt import (Nodes, configure, deliver_all, load, op, preload)

SMALL = {"queue__segment_bytes": "2MiB", "queue__segments_ahead": "1",
         "min_free": "16MiB"}
MESSAGES = 30
# A sanitizer would make an exit code of its own of SIGBUS.
ASAN = "verify_asan_link_order=0:handle_sigbus=0"
# 73: FILE cannot be made.  SIGBUS: as in power.py.
OVER_DEAD_DISKS = (0, 73, 74, 75, -signal.SIGBUS)


class Move:
    """Two nodes over disks whose power can go."""

    def __init__(self, n, args, rnd, disk_of):
        self.n, self.rnd = n, rnd
        self.disks = [disk_of(n.a.dir / name) for name in
                      ("disk-a", "disk-b", "disk-f")]
        self.a, self.b, self.files = self.disks
        n.file = self.files.at / "mail.mtaq"
        self.told = n.a.dir / "told"
        self.kept = n.a.dir / "kept"
        self.cuts = collections.Counter()
        for box, disk in (n.a, self.a), (n.b, self.b):
            box.events = disk.at / "events.jsonl"
        self.configure(n.a, self.a)
        self.configure(n.b, self.b)

    @staticmethod
    def configure(box, disk):
        configure(box, spool=str(disk.at / "spool"), **SMALL)

    def fill(self):
        a = self.n.a
        a.start_daemon()
        op(a, "campaign", "pause", "paused")
        load(a, "p", MESSAGES, "--size", 20000, "--campaign", "paused")
        load(a, "l", 2, "--size", 3 << 20, "--campaign", "paused")
        load(a, "w", 2, "--rcpts", 10, "--campaign", "paused")
        op(a, "queue", "hold", "--domain", "d3.test")
        load(a, "q", MESSAGES, "--size", 20000, "--campaign", "paused")
        op(a, "queue", "cancel", "--domain", "d4.test")
        a.stop_daemon()
        shutil.copytree(self.a.at, self.kept,
                        ignore=shutil.ignore_patterns("lost+found"))
        # What was cancelled is maybe not applied yet.
        with open(a.accepted, encoding="utf-8") as f:
            ids = [line.split("\t")[0] for line in f
                   if "@d4.test\t" not in line]
        self.messages, self.recipients = len(set(ids)), len(ids)

    # --- as at the beginning --------------------------------------------------

    def empty(self, disk):
        for path in disk.at.iterdir():
            if path.is_dir() and path.name != "lost+found":
                shutil.rmtree(path)
            elif path.name != "lost+found":
                path.unlink()

    def anew(self):
        for disk in self.disks:
            self.empty(disk)
        shutil.copytree(self.kept, self.a.at, dirs_exist_ok=True)
        os.sync()

    # --- a cut ------------------------------------------------------------------

    def run(self, box, args, at):
        """Its exit code, or None when the power has gone; how many calls it
        made."""
        self.told.unlink(missing_ok=True)
        done = box.run(*args, "-c", box.conf, "--json", ok=range(256),
                       env=preload("MTAQ_TEST_CUT_AT", CUT_AT=str(at),
                                   CUT_TOLD=str(self.told),
                                   CUT_DISKS=":".join(str(d.at) for d in
                                                      self.disks),
                                   ASAN_OPTIONS=ASAN))
        calls = int(self.told.read_text())
        cut = 0 < at <= calls
        must(done.returncode in (OVER_DEAD_DISKS if cut else (0,)),
             f"{args} cut at {at} of {calls} ended with {done.returncode}: "
             f"{done.stderr.strip()}")
        if cut:
            self.cuts[args[0]] += 1
            for disk in self.disks:
                disk.remount()
        return done.returncode, calls, cut

    def marked(self):
        return (self.a.at / "spool/exported").exists()

    def no_undo(self):
        self.n.a.run("export", "--undo", "-c", self.n.a.conf, ok=(65,))

    # --- export -----------------------------------------------------------------

    def look_at_export(self, code):
        n = self.n
        part = n.file.with_name(n.file.name + ".part")
        must(self.marked() or not (n.file.exists() or part.exists()),
             "mail in a file, and its spool is not marked")
        must(code != 0 or n.file.exists(), "done, and there is no file")
        must("whole" in op(n.a, "verify"), "the log")
        if n.file.exists():
            self.no_undo()
        told = n.adopt("-n", n.file) if n.file.exists() else n.export("-n")
        must(told["recipients"] == self.recipients or not self.marked() and
             told["recipients"] > self.recipients, str(told))

    def export(self, at, again):
        self.anew()
        args = ["export", self.n.file]
        code, calls, cut = self.run(self.n.a, args, at)
        while cut:
            self.look_at_export(code)
            if self.n.file.exists():
                break
            code, _, cut = self.run(self.n.a, args, again)
            again = 0
        self.look_at_export(0)
        self.told_of_export(code)
        return calls

    def told_of_export(self, code):
        """... in the event log: each once; all, if the command says so."""
        with open(self.n.a.events, encoding="utf-8") as f:
            keys = [(e["id"], e["rcpt"]) for e in map(json.loads, f)
                    if e["type"] == "exported"]
        must(len(keys) == len(set(keys)), "an event twice")
        must(code != 0 or len(keys) == self.recipients,
             f"{len(keys)} events of {self.recipients}")

    # --- adopt ------------------------------------------------------------------

    def here(self):
        """Recipients at the second node."""
        b = self.n.b
        if not (self.b.at / "spool/log").exists():
            return 0
        return json.loads(op(b, "export", "-n", "--json"))["recipients"]

    def look_at_adopt(self, code, source):
        here = self.here()
        must(here == 0 or "whole" in op(self.n.b, "verify"), "the log")
        must(here <= self.recipients and (code != 0 or here ==
                                          self.recipients),
             f"{here} of {self.recipients} are there, after {code}")
        must(self.marked(), "the mark has gone")
        if here > 0 or source == self.n.file:
            self.no_undo()

    def adopt(self, at, again, source=None, between=lambda: None):
        """From the file; or from the folder."""
        source = source or self.n.file
        self.anew()
        self.n.export(*(["--mark-only"] if source != self.n.file else []))
        args = ["adopt", source]
        code, calls, cut = self.run(self.n.b, args, at)
        while cut:
            self.look_at_adopt(code, source)
            between()
            code, _, cut = self.run(self.n.b, args, again)
            again = 0
        between()
        self.look_at_adopt(code, source)
        took = self.n.adopt(source)
        must((took["messages"], took["known"]) == (0, self.messages),
             str(took))
        return calls

    def adopt_folder(self, at, again):
        return self.adopt(at, again, self.a.at / "spool")

    # --- at last ------------------------------------------------------------------

    def deliver(self, calls):
        """A daemon delivers what is there in the middle, another one the
        rest."""
        n, life = self.n, []

        def between():
            life.append(self.here())
            n.b.start_daemon()
            deliver_all(n, sum(life))

        n.b.start_sink("--domains", 10)
        self.configure(n.b, self.b)
        self.look_at_adopt, look = lambda *_: None, self.look_at_adopt
        self.adopt(calls * 2 // 3, 0, between=between)
        self.look_at_adopt = look
        n.equation()
        return life


def kinds(m, count):
    """Each with as many cuts as another, evenly over its calls."""
    for move in m.export, m.adopt, m.adopt_folder:
        calls = move(0, 0)
        points = list(range(1, calls + 1))
        if count < calls:
            points = sorted(m.rnd.sample(points, count))
        else:
            points += [m.rnd.choice(points) for _ in range(count - calls)]
        for i, at in enumerate(points):
            move(at, m.rnd.randint(1, calls) if i % 2 else 0)
        yield move.__name__, calls


def run(args):
    why = disks.why_not(args.fs)
    if why:
        return {"test": "transfer", "disk": f"skipped: {why}"}
    rnd = random.Random(args.seed)
    with Nodes(args.mtaq) as n:
        made = []

        def disk_of(folder):
            folder.mkdir()
            made.append(disks.Disk(folder, args.fs))
            return made[-1]
        try:
            m = Move(n, args, rnd, disk_of)
            m.fill()
            calls = dict(kinds(m, max(args.cycles // 3, 1)))
            life = m.deliver(calls["adopt"])
        finally:
            for box in n.a, n.b:
                box.stop_daemon(kill=True)
            for disk in made:
                disk.gone()
    return {"test": "transfer", "disk": args.fs, "cuts": dict(m.cuts),
            "calls": calls, "recipients": m.recipients, "delivered": life}


def main():
    p = cycles.arguments(__doc__, 60)
    p.add_argument("--fs", choices=sorted(disks.MAKE), default="ext4")
    args = p.parse_intermixed_args()
    disks.enter_namespace()
    return cycles.main(run, args)


if __name__ == "__main__":
    sys.exit(main())
