#!/usr/bin/env python3
"""Make spool.tar.xz: a spool in every state, written by the program of format
version 1 (commit 1b0cb0f).  Not run by any test: what it made is kept.

make.py MTAQ LIST OUT.tar.xz

MTAQ and LIST (list.c) are built from that commit.  Segments are of 4 MiB.  In
the archive:
  spool/         as kill -9 left it: part of the log is behind a checkpoint
  expected.txt   what LIST said of a copy of it
  accepted.tsv ledger.tsv events.jsonl   for the ledger: what was acknowledged
                 (`mtaq load`), what the sink got, what was told
The content is repetitive, so that it packs well.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import Box, must  # noqa: E402

SEGMENT = 4 << 20


def op(box, *args):
    return box.run(*args, "-c", box.conf).stdout


def states(box):
    out = {}
    for line in op(box, "queue", "list", "--all", "--json").splitlines():
        r = json.loads(line)
        out[r["state"]] = out.get(r["state"], 0) + 1
    return out


def load(box, tag, messages, *options):
    box.load("--messages", messages, "--domains", 10, "--tag", tag, *options)


def recycle(box):
    """Mail that is delivered fills segments, which are written over."""
    for i in range(6):
        load(box, f"gone{i}", 12, "--size", 400000)
    box.wait_for(lambda: json.loads(op(box, "status", "--json"))
                 ["segments_free"] > 2, 60, "segments to write over")


def first_day(box):
    """Ends with a clean stop: all of it is behind a checkpoint."""
    op(box, "campaign", "pause", "paused")
    op(box, "site", "pause", "mx0.d9.test")
    load(box, "p", 40, "--campaign", "paused", "--tenant", "t1")
    load(box, "large", 2, "--size", 5 << 20, "--campaign", "paused")
    load(box, "wide", 2, "--rcpts", 300, "--spread", "--class",
         "transactional")
    load(box, "deep", 2, "--rcpts", 120, "--campaign", "deep")
    recycle(box)
    load(box, "h", 30, "--campaign", "kept", "--tenant", "t2")
    op(box, "queue", "hold", "--campaign", "kept")
    op(box, "queue", "hold", "--campaign", "deep", "--domain", "d1.test")


def second_day(box):
    """Ends with kill -9; the last decision is still to be applied."""
    load(box, "w", 60, "--campaign", "second")
    load(box, "late-large", 1, "--size", 2500000, "--campaign", "paused")
    load(box, "wide2", 1, "--rcpts", 1000, "--spread")
    load(box, "c", 400, "--size", 600, "--campaign", "paused",
         "--tenant", "cancelled")
    box.wait_for(lambda: states(box).get("deferred", 0) > 100, 60,
                 "deferred mail")
    op(box, "queue", "cancel", "--tenant", "cancelled", "--domain", "d3.test")
    op(box, "queue", "cancel", "--tenant", "cancelled")
    box.kill_daemon()


def main():
    mtaq, lister, out = sys.argv[1:4]
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--seed", 4, "--fail",
                       "rcpt=4:0.3", "--stubborn", "--drop", "eod=0.08")
        box.configure(queue__segment_bytes="4MiB", age_limit="90d",
                      retry='["1h", "2h"]',
                      checkpoint='{interval: 1s, age: 1s}')
        box.start_daemon()
        first_day(box)
        box.stop_daemon()
        box.configure(queue__segment_bytes="4MiB", age_limit="90d",
                      retry='["10m", "2h"]',
                      checkpoint='{interval: 60s, age: 50s}')
        box.start_daemon()
        second_day(box)
        box.stop_sink()
        copy = box.dir / "copy"
        shutil.copytree(box.dir / "spool", copy)
        words = subprocess.run([lister, copy, str(SEGMENT)], check=True,
                               capture_output=True, text=True).stdout
        (box.dir / "expected.txt").write_text(words)
        must(any(int(l.split()[5]) > 0 for l in words.splitlines()
                 if l[0].isdigit()), "no unsure mail")
        with tarfile.open(out, "w:xz", preset=9) as tar:
            for name in ("spool", "expected.txt", "accepted.tsv",
                         "ledger.tsv", "events.jsonl"):
                tar.add(box.dir / name, name)
    print(words.count("\n"), "lines,", os.path.getsize(out), "octets")


main()
