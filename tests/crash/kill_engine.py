#!/usr/bin/env python3
"""kill -9 of `mtaq run` at random moments, while mail comes and goes.

	kill_engine.py MTAQ [--cycles N] [--messages N] [--batch N] [--seed N]
	               [--json]

A load submits all the time and resumes its submission after each kill; the
daemon is started again each time.  At the end everything is let through:
lost = false = wrong = 0, no event twice, `mtaq verify` clean after each kill,
and second copies at most (open sessions + max_unsynced_outcomes x workers)
a kill.
"""
import argparse
import json
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import Box, Failed, must  # noqa: E402
from misbehaviour import QUICK  # noqa: E402

UNSYNCED, WORKERS = 32, 2
CONNECTIONS = 40        # of the whole daemon: open sessions at most
SINK = ["--domains", 20, "--mx", 2, "--dead-first", 0.1, "--delay", 2,
        "--fail", "rcpt=4:0.05,rcpt=5:0.02,eod=4:0.05",
        "--drop", "mail=0.01,eod=0.02", "--messages-max", 20]


def configure(box, events):
    return box.configure(**{
        **QUICK, "workers": WORKERS, "max_unsynced_outcomes": UNSYNCED,
        "limits__connections": CONNECTIONS, "site__connections": 4,
        "checkpoint__interval": "1s", "checkpoint__age": "1s",
        "queue__segment_bytes": "1MiB", **events})


class Load(threading.Thread):
    """Submissions one after the other until told to end."""

    def __init__(self, box, messages, batch):
        super().__init__()
        self.box, self.messages, self.batch = box, messages, batch
        self.end, self.at, self.error = False, 0, None

    def run(self):
        try:
            while not self.end:
                self.box.load("--messages", self.messages, "--rcpts", 3,
                              "--domains", 20, "--start", self.at,
                              "--clients", 2, "--reconnects", 100000,
                              "--batch", self.batch, "--size", 2000, timeout=600,
                              ok=(0, 75))   # 75: nobody there at first
                self.at += self.messages
        except Failed as e:
            self.error = e


def kill_once(box, rnd, verify):
    time.sleep(rnd.uniform(0.05, 0.6))      # the moment is the point
    must(box.daemon.poll() is None,
         f"the daemon ended by itself with {box.daemon.poll()}")
    box.kill_daemon()
    if verify:
        box.run("verify", "-c", box.conf)
    box.start_daemon()


def attack(box, args):
    rnd = random.Random(args.seed)
    load = Load(box, args.messages, args.batch)
    load.start()
    try:
        for cycle in range(args.cycles):
            kill_once(box, rnd, cycle % 5 == 0 or args.cycles <= 20)
    finally:
        load.end = True
        if box.daemon is None:
            box.start_daemon()
        load.join()
    must(load.error is None, f"the load: {load.error}")


def run(args):
    begin = time.monotonic()
    with Box(args.mtaq, name="mtaq-kill") as box:
        box.start_sink(*SINK, listen="127.0.0.2-127.0.0.9")
        configure(box, {}).start_daemon()
        attack(box, args)
        with open(box.accepted, encoding="utf-8") as f:
            recipients = sum(1 for _ in f)
        box.wait_final(recipients, timeout=300)
        box.stop_daemon()
        box.run("verify", "-c", box.conf)
        r = box.equation()
    most = args.cycles * (CONNECTIONS + UNSYNCED * WORKERS)
    must(r["events_doubled"] == 0, f"events doubled: {json.dumps(r)}")
    must(r["extra"] <= most, f"{r['extra']} second copies, {most} allowed")
    return {"bench": "kill_engine", "cycles": args.cycles,
            "seconds": round(time.monotonic() - begin, 1),
            "extra_allowed": most, "seed": args.seed,
            **{k: r.get(k, 0) for k in (
                "acknowledged", "delivered", "bounced", "lost", "false",
                "wrong", "extra", "events_doubled")}}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("mtaq")
    p.add_argument("--cycles", type=int, default=100)
    p.add_argument("--messages", type=int, default=2000)
    p.add_argument("--batch", type=int, default=10)
    p.add_argument("--seed", type=int,
                   default=int.from_bytes(os.urandom(3), "big"))
    p.add_argument("--json", action="store_true")
    args = p.parse_intermixed_args()
    try:
        r = run(args)
    except Failed as e:
        print(f"FAIL seed {args.seed}: {e}", flush=True)
        return 1
    print(json.dumps(r) if args.json else
          "  ".join(f"{k} {v}" for k, v in r.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
