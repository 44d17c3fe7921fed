#!/usr/bin/env python3
"""The daemon dies between "it is on disk" and "I have told the submitter".

	submit.py MTAQ [--cycles N] [--messages N] [--seed N] [--json]

die_at.c kills it at the nth sync of a segment, before and in the middle of
the nth answer, before and after the nth removal of a drop file; and at random
while submitters cannot know whether somebody listens.  Whoever submits
repeats what was not answered.  Nothing is delivered meanwhile, so after each
cycle the queue must list each acknowledged recipient, and nobody twice.  At
the end all is let through: each arrives once.
"""
import collections
import json
import os
import random
import socket
import subprocess
import sys
import time

import cycles
import ending
from harness import Box, must
from misbehaviour import QUICK

MANY_RCPTS = 2500       # become several messages of the queue
MAIL = "From: a@sender.test\nSubject: x\nX-Mtaq-Token: {}\n\nhello\n"


class Round:
    """One box through all cycles; who must be in the queue."""

    def __init__(self, box, messages, rnd):
        self.box, self.messages, self.rnd = box, messages, rnd
        self.must, self.may = set(), set()  # acknowledged; sent, not so
        self.next = 0
        self.reached = collections.Counter()

    def numbers(self, count):
        self.next += count
        return range(self.next - count, self.next)

    # --- the daemon ---------------------------------------------------------

    def start_doomed(self, moment, n, after_hello):
        """Until it is ready, or dead."""
        box = self.box
        env = {**os.environ, "DIE_AT": f"{moment}:{n}",
               "LD_PRELOAD": os.environ["MTAQ_TEST_DIE_AT"],
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        if after_hello:
            env["DIE_AFTER_HELLO"] = "1"
        with open(box.daemon_log, "ab") as log:
            said_from = log.tell()
            box.daemon = ending.start(
                [box.mtaq, "run", "-c", str(box.conf)], stderr=log,
                process_group=0, env=env)
        box.wait_for(lambda: self.is_dead() or "mtaq: ready" in
                     box.daemon_log.read_text()[said_from:], 60,
                     "the daemon's 'ready'")

    def is_dead(self):
        code = self.box.daemon.poll()
        must(code in (None, -9), f"the daemon ended with {code}")
        return code is not None

    def restart(self, moment):
        self.reached[moment] += self.is_dead()
        self.box.kill_daemon()
        self.box.run("verify", "-c", self.box.conf)
        self.box.start_daemon()

    # --- who submits --------------------------------------------------------

    def submit_args(self, count):
        """mtaq submit of one mail to so many."""
        to = [f"u{i}@d{i % 10}.test" for i in self.numbers(count)]
        path = self.box.dir / f"to-{to[0]}"
        path.write_text("\n".join(to) + "\n")
        return to, [self.box.mtaq, "submit", "-c", str(self.box.conf), "-q",
                    "--from", "a@sender.test", "--to-file", str(path), "-"]

    def start_submit(self, count, say=None):
        to, args = self.submit_args(count)
        p = ending.start(args, stdin=subprocess.PIPE, text=True,
                             stdout=subprocess.DEVNULL, stderr=say)
        p.stdin.write(MAIL.format(f"t{to[0]}"))
        p.stdin.close()
        return to, p

    def start_load(self):
        numbers = self.numbers(self.messages)
        to = [f"u{i}-{k}@d{i % 10}.test" for i in numbers for k in (0, 1)]
        return to, self.box.start_load(
            "--messages", self.messages, "--rcpts", 2, "--domains", 10,
            "--start", numbers[0], "--batch", 3, "--reconnects", 100000)

    # --- cycles ---------------------------------------------------------------

    def over_the_socket(self, moment, n):
        self.start_doomed(moment, n, after_hello=True)
        to, p = self.start_submit(MANY_RCPTS) if n % 3 == 2 \
            else self.start_load()
        try:
            self.box.wait_for(lambda: self.is_dead() or
                              p.poll() is not None, 60, "an end")
            self.restart(moment)
            must(p.wait(120) == 0, f"who submitted ended with {p.returncode}")
        finally:
            if p.poll() is None:
                p.kill()
                p.wait()
            if p.stdout:
                p.stdout.close()
        self.must.update(to)

    def through_the_folder(self, moment, n):
        box = self.box
        box.stop_daemon()
        for count in (3, MANY_RCPTS, 2):
            to, p = self.start_submit(count, subprocess.DEVNULL)
            must(p.wait(60) == 0, f"mtaq submit ended with {p.returncode}")
            self.must.update(to)
        self.start_doomed(moment, n, after_hello=False)
        box.wait_for(lambda: self.is_dead() or not self.dropped(), 60,
                     "an end")
        self.restart(moment)
        box.wait_for(lambda: not self.dropped(), 60, "the files' removal")

    def dropped(self):
        return list((self.box.dir / "spool" / "incoming" / "new").iterdir())

    def races(self, moment, n):
        """Submitters while a daemon dies and the next one comes."""
        started = [self.start_submit(3, subprocess.DEVNULL) for _ in range(2)]
        time.sleep(self.rnd.uniform(0, 0.02))   # the moment is the point
        self.box.kill_daemon()
        self.reached[moment] += 1
        started += [self.start_submit(3, subprocess.DEVNULL)
                    for _ in range(1 + n % 4)]
        self.box.start_daemon()
        for to, p in started:
            p.wait(120)
            (self.must if p.returncode == 0 else self.may).update(to)
        self.box.wait_for(lambda: not self.dropped(), 60,
                          "the files' removal")

    def check(self, words):
        """The queue lists who was acknowledged, and nobody twice."""
        out = self.box.run("queue", "list", "-c", self.box.conf, "--all",
                           "--json").stdout
        rows = collections.Counter(json.loads(line)["to"]
                                   for line in out.splitlines())
        lost = sorted(self.must - set(rows))
        twice = sorted(to for to, k in rows.items() if k > 1)
        alien = sorted(set(rows) - self.must - self.may)
        must(not lost and not twice and not alien,
             f"{words}: {len(lost)} lost {lost[:3]}, {len(twice)} twice "
             f"{twice[:3]}, {len(alien)} of nobody {alien[:3]}")

    def let_through(self):
        box = self.box
        box.stop_daemon()
        box.configure(**QUICK).start_daemon()
        cycles.let_through(box)
        box.stop_daemon()
        got = collections.Counter(
            col[3] for col in map(lambda line: line.split("\t"),
                                  box.ledger_file.read_text().splitlines())
            if col[1] == "ok")
        must(self.must <= set(got), "lost on the way out: "
             f"{sorted(self.must - set(got))[:5]}")
        return len(got), sum(got.values()) - len(got)


MOMENTS = [("synced", Round.over_the_socket), ("answer", Round.over_the_socket),
           ("half", Round.over_the_socket),
           ("synced", Round.through_the_folder),
           ("remove", Round.through_the_folder),
           ("removed", Round.through_the_folder), ("race", Round.races)]


def play(box, args, dead_port):
    """All cycles, while no server can be reached."""
    box.configure(**{**QUICK, "smtp__port": dead_port}).start_daemon()
    r = Round(box, args.messages or 12, random.Random(args.seed))
    for i in range(args.cycles):
        moment, way = MOMENTS[i % len(MOMENTS)]
        n = 1 + i // len(MOMENTS) % 5
        if way is Round.over_the_socket:
            box.stop_daemon()
        way(r, moment, n)
        r.check(f"cycle {i}, {way.__name__} {moment}:{n}")
    return r


def run(args):
    must("MTAQ_TEST_DIE_AT" in os.environ,
         "MTAQ_TEST_DIE_AT must name the built die_at library")
    with Box(args.mtaq, name="mtaq-submit") as box, \
            socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))       # and does not listen
        box.start_sink("--domains", 10)
        r = play(box, args, nobody.getsockname()[1])
        arrived, extra = r.let_through()
        must(extra == 0, f"{extra} second copies")
    for moment, _ in MOMENTS[:args.cycles]:
        must(r.reached[moment] > 0, f"never reached: {moment}")
    return {"test": "submit", "cycles": args.cycles,
            "died": sum(r.reached.values()), **r.reached,
            "acknowledged": len(r.must), "unsure": len(r.may),
            "arrived": arrived, "lost": 0, "extra": extra}


if __name__ == "__main__":
    sys.exit(cycles.main(run, cycles.arguments(
        __doc__, 35).parse_intermixed_args()))
