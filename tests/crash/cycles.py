"""What the tests share that cut a daemon's life short, again and again: a load
that outlives it, the ledger after each cut, and which cut a second copy is
from.

A cut is a function of the box, a random source and the books: it ends the
daemon and leaves the spool as it is found afterwards.  A spool lives through SPOOL_CUTS cuts, then comes a new
one: the ledger of a cycle looks at all mail of its spool.
"""
import argparse
import bisect
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import ending  # noqa: E402
from books import Books  # noqa: E402
from harness import Failed, must  # noqa: E402
from misbehaviour import QUICK  # noqa: E402

SPOOL_CUTS = 25
CLIENT = "0100007F"     # whence who connects to 127.0.0.x comes
WAITING = 40        # messages that stay until the end of a spool
SINK = ["--domains", 20, "--mx", 2, "--dead-first", 0.1, "--delay", 2,
        "--fail", "rcpt=4:0.05,rcpt=5:0.02,eod=4:0.05",
        "--drop", "mail=0.01,eod=0.02", "--messages-max", 20]
SUMS = ("lost", "false", "wrong", "events_doubled")


class Plan:
    """How much is open at once, and what may come twice because of it."""

    def __init__(self, sessions, unsynced, workers, messages):
        self.sessions, self.unsynced = sessions, unsynced
        self.workers, self.messages = workers, messages
        self.moved = 0
        self.changes = {}
        # 75: nobody was there at first, nothing is sent again.
        self.load_ends = {0, 75}

    def extra_max(self):
        return self.sessions + self.unsynced * self.workers

    def configure(self, box):
        return box.configure(**{
            **QUICK, "workers": self.workers,
            "max_unsynced_outcomes": self.unsynced,
            "limits__connections": self.sessions,
            "site__connections": min(4, self.sessions),
            "checkpoint__interval": "1s", "checkpoint__age": "1s",
            "min_free": "16MiB", "queue__segment_bytes": "1MiB",
            **self.changes})


class Load(threading.Thread):
    """One submission after the other until told to end; each goes on where
    the daemon died."""

    def __init__(self, box, at, plan):
        super().__init__()
        self.box, self.at, self.plan = box, at, plan
        self.end, self.process, self.code, self.words = False, None, 0, ""

    def run(self):
        while not self.end and self.code in self.plan.load_ends:
            self.process = ending.start(
                [self.box.mtaq, *self.box.load_args(
                    "--messages", self.plan.messages, "--rcpts", 2,
                    "--domains", 20, "--start", self.at, "--batch", 1,
                    "--reconnects", 100000, "--size", 2000)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.words = self.process.communicate()[1]
            self.code = self.process.returncode
            self.at += self.plan.messages

    def finish(self, timeout=120):
        """All of the last submission is acknowledged."""
        self.end = True
        self.join(timeout)
        must(not self.is_alive(), "the load does not come to its end")
        must(self.code in self.plan.load_ends,
             f"the load ended with {self.code}: {self.words}")

    def abandon(self):
        self.end = True
        if self.is_alive() and self.process:
            self.process.kill()
        self.join(10)


def moment(rnd):
    """Seconds until the cut: mostly soon, sometimes with checkpoints and
    segments written over before."""
    return rnd.uniform(0.02, 2.0 if rnd.random() < 0.1 else 0.4)


def now_ms():
    return int(time.monotonic() * 1000)     # the clock of the sink's ledger


def open_sessions(box):
    """Connections of this machine with the sink."""
    port = ":%04X" % int(box.sink_smtp.rpartition(":")[2])
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


def is_read(box):
    """The sink has come to the end of all its connections: what it read of
    them is in the ledger."""
    port = ":%04X" % int(box.sink_smtp.rpartition(":")[2])
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    return not any(row[1].endswith(port) and row[3] in ("01", "08") and
                   row[1][:8] != CLIENT for row in rows)


def let_wait(box, messages):
    """Mail that stays: the segments around it empty, and it is moved out of
    them again and again (queue/compact.c) until a resume()."""
    box.run("campaign", "pause", "later", "-c", box.conf)
    box.load("--messages", messages, "--rcpts", 2, "--domains", 20, "--size",
             2000, "--tag", "later", "--campaign", "later")


def resume(box):
    box.run("campaign", "resume", "later", "-c", box.conf)


def moved(box):
    """Messages that this daemon's compaction has moved."""
    return json.loads(box.run("status", "-c", box.conf, "--json").stdout)[
        "messages_moved"]


def queued_rows(box):
    """What the daemon says is in the queue."""
    out = box.run("queue", "list", "-c", box.conf, "--all", "--json").stdout
    return [json.loads(line) for line in out.splitlines()]


def queued(box):
    """... as {(id, recipient)}."""
    return {(r["id"], r["to"]) for r in queued_rows(box)}


def settled(box, books, timeout=120):
    """The ledger, as soon as it balances.  While it is read events come late
    and mail goes on: lost or false may be so for a moment, but what is truly
    so stays."""
    end = time.monotonic() + timeout
    while True:
        r = books.look(queued(box))
        bad = {k: r[k] for k in SUMS if r[k] != 0}
        if not bad:
            return r
        must(set(bad) <= {"lost", "false"} and time.monotonic() < end,
             f"the ledger does not balance: {json.dumps(r)}")
        time.sleep(0.05)        # a file has no event to wait for


def let_through(box, still=None, timeout=300):
    """To the end of the queue; what waits is told not to wait.  still: gives
    what is to go yet, if it is not all that is queued."""
    end = time.monotonic() + timeout
    while still() if still else queued(box):
        must(time.monotonic() < end, "the end of the queue did not come")
        box.run("queue", "retry", "-c", box.conf, "--all")
        time.sleep(0.1)         # for what was told to go


def cycle(box, books, cut, rnd, load):
    """From a running daemon to the next; when it began anew, and how many
    sessions were open at the end."""
    load.start()
    try:
        time.sleep(moment(rnd))             # the moment is the point
        must(box.daemon.poll() is None, "the daemon ended by itself with "
             f"{box.daemon.returncode}")
        load.plan.moved += moved(box)
        sessions = open_sessions(box)
        cut(box, rnd, books)
        box.run("verify", "-c", box.conf)
        # Else a copy of before the cut would count as one behind it.
        box.wait_for(lambda: is_read(box), 60, "the end of its sessions")
        anew = now_ms()
        box.start_daemon()
        load.finish()
    finally:
        load.abandon()
    settled(box, books)
    return anew, sessions


def repeated(ledger_file):
    """When each transaction was that was made again: its outcome was lost.  What comes again may take two, when the server has one
    recipient wait: these are one loss."""
    ok = collections.defaultdict(set)
    with open(ledger_file, encoding="utf-8", errors="replace") as f:
        for line in f:
            col = line.rstrip("\n").split("\t")
            if len(col) >= 11 and col[1] == "ok":
                ok[col[2], col[3]].add((int(col[5]), int(col[0])))
    return sorted(ms for _, ms in {copy for copies in ok.values()
                                   for copy in sorted(copies)[:-1]})


def count_extra(ledger_file, cuts_ms):
    """How many the first cut after them made necessary."""
    count = [0] * len(cuts_ms)
    for ms in repeated(ledger_file):
        at = bisect.bisect_left(cuts_ms, ms)
        must(at < len(cuts_ms), "a second copy that no cut explains")
        count[at] += 1
    return count


def one_spool(box, plan, cut, rnd, cuts):
    """So many cycles; the ledger, and extra and open sessions of each."""
    box.start_sink(*SINK, listen="127.0.0.2-127.0.0.9")
    plan.configure(box).start_daemon()
    let_wait(box, WAITING)
    ends, at, books = [], 0, Books(box)
    for _ in range(cuts):
        load = Load(box, at, plan)
        ends.append(cycle(box, books, cut, rnd, load))
        at = load.at
    resume(box)
    let_through(box)
    settled(box, books)
    box.stop_daemon()
    box.run("verify", "-c", box.conf)
    return (box.equation(),
            count_extra(box.ledger_file, [ms for ms, _ in ends]),
            [sessions for _, sessions in ends])


class Figures:
    """Of all cuts, over all spools."""

    def __init__(self):
        self.sums = collections.Counter()
        self.extra, self.sessions = [], []

    def add(self, ledger, extra, sessions):
        self.sums.update({k: ledger.get(k, 0) for k in
                          ("acknowledged", "delivered", "bounced", *SUMS)})
        self.extra += extra
        self.sessions += sessions

    def judged(self, plan):
        """The figures; second copies must be within their bounds."""
        r = {"cycles": len(self.extra), **self.sums,
             "extra": sum(self.extra), "extra_most": max(self.extra),
             "extra_allowed": plan.extra_max(),
             "extra_median": statistics.median(self.extra),
             "sessions_median": statistics.median(self.sessions),
             "moved": plan.moved}
        must(all(r[k] == 0 for k in SUMS), json.dumps(r))
        # In few short lives it may not come to it.
        must(len(self.extra) < 200 or r["moved"] > 0,
             f"compaction has moved nothing: {json.dumps(r)}")
        must(r["extra_most"] <= r["extra_allowed"],
             f"more second copies than a cut may cause: {json.dumps(r)}")
        must(r["extra_median"] <= max(1, r["sessions_median"]),
             f"more second copies than open sessions: {json.dumps(r)}")
        return r


def arguments(doc, cycles):
    p = argparse.ArgumentParser(description=doc.splitlines()[0])
    p.add_argument("mtaq")
    p.add_argument("--cycles", type=int, default=cycles)
    p.add_argument("--messages", type=int, help="of each submission")
    p.add_argument("--seed", type=int,
                   default=int.from_bytes(os.urandom(3), "big"))
    p.add_argument("--json", action="store_true")
    return p


def print_figures(r, as_json):
    print(json.dumps(r) if as_json else
          "  ".join(f"{k} {v}" for k, v in r.items()), flush=True)


def main(run, args):
    """run(args) gives the figures; they are the last line."""
    begin = time.monotonic()
    try:
        r = run(args)
    except Failed as e:
        print(f"FAIL seed {args.seed}: {e}", flush=True)
        return 1
    r["seed"], r["seconds"] = args.seed, round(time.monotonic() - begin, 1)
    print_figures(r, args.json)
    return 0
