#!/usr/bin/env python3
"""A spool of format version 1 in the hands of the present program.

test_spool_v1.py MTAQ LIST [NAME...]
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import Box, main, must  # noqa: E402

SEGMENT = 4 << 20
LIST = sys.argv.pop(2)


def unpack(to):
    with tarfile.open(HERE / "spool.tar.xz") as tar:
        tar.extractall(to)


def listed(spool, *more, ok=(0,)):
    done = subprocess.run([LIST, spool, str(SEGMENT), *more], text=True,
                          capture_output=True, timeout=200)
    must(done.returncode in ok, f"list: {done.returncode} {done.stderr}")
    return done.stdout


def sums(folder):
    """{file: hash of it}"""
    return {str(p.relative_to(folder)):
            hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}


def differ(a, b):
    """The first lines that two lists do not share."""
    a, b = a.splitlines(), b.splitlines()
    return [l for l in a if l not in set(b)][:3], \
        [l for l in b if l not in set(a)][:3]


def all_of_it_is_as_it_was(mtaq):
    """Recipients, attempts, slots, contents, decisions, submissions; at the
    first opening, at the second, and after a checkpoint of this program."""
    with Box(mtaq) as box:
        unpack(box.dir)
        want = (box.dir / "expected.txt").read_text()
        must(want.count("\n") > 700, "the list is short")
        for time in ("first", "second", "checkpoint"):
            got = listed(box.dir / "spool", time)
            must(got == want, f"the {time} time: {differ(want, got)}")


def format_of_index(spool):
    """As its row "meta" says it; LMDB keeps older pages as well."""
    octets = (spool / "index").read_bytes()
    return max(v for v in range(1, 9)
               if b"meta" + v.to_bytes(4, "little") in octets)


def versions_of_segments(spool):
    """Of those that hold a part of the log.  One that a kill left unfinished
    has no header yet: its first page is missing, or zeros."""
    heads = [p.open("rb").read(4096) for p in (spool / "log").iterdir()]
    heads = [h for h in heads if h.strip(b"\0")]
    must(all(h[:8] == b"mtaqseg\0" for h in heads), "a header")
    return {int.from_bytes(h[8:12], "little") for h in heads
            if int.from_bytes(h[16:24], "little") > 0}


def it_is_raised_to_the_present_version(mtaq):
    """The index at the first opening, so that a program of version 1 refuses
    the spool; the log with the next segment."""
    with Box(mtaq) as box:
        unpack(box.dir)
        spool = box.dir / "spool"
        must((format_of_index(spool), versions_of_segments(spool)) ==
             (1, {1}), "the spool is not of version 1")
        listed(spool)
        must((format_of_index(spool), versions_of_segments(spool)) ==
             (2, {1}), "after the first opening")
        box.start_sink("--domains", 10)
        box.configure(queue__segment_bytes="4MiB", retry='["1s"]')
        box.start_daemon()
        op(box, "campaign", "pause", "another")
        box.kill_daemon()
        must(versions_of_segments(spool) == {1, 2}, "a segment of version 2")


def verify_changes_nothing(mtaq):
    with Box(mtaq) as box:
        unpack(box.dir)
        before = sums(box.dir)
        words = box.run("verify", "--spool", box.dir / "spool").stdout
        must("the log is whole" in words, words)
        must(sums(box.dir) == before, "verify changed a file")
        box.run("verify", "--rebuild", "--force", "-n", "--spool",
                box.dir / "spool")
        after = sums(box.dir)
        after.pop("spool/index.new-lock", None)
        changed = [f for f in after if after[f] != before.get(f)]
        must(changed in ([], ["spool/lock"]), f"-n changed {changed}")


def start(box, **more):
    unpack(box.dir)
    box.start_sink("--domains", 10)
    box.configure(queue__segment_bytes="4MiB", retry='["1s"]', **more)
    box.start_daemon()


def op(box, *args):
    return box.run(*args, "-c", box.conf).stdout


def let_go(box):
    """End what keeps mail back; what waits is due now."""
    op(box, "campaign", "resume", "paused")
    op(box, "site", "resume", "mx0.d9.test")
    op(box, "queue", "release", "--all")
    op(box, "queue", "retry", "--all")


def finals(box):
    with open(box.accepted, encoding="utf-8") as f:
        return sum(1 for line in f if line.count("\t") == 3)


def the_daemon_delivers_all_of_it(mtaq):
    with Box(mtaq) as box:
        start(box)
        let_go(box)
        types = box.wait_final(finals(box))
        box.stop_daemon()
        r = box.equation()
        must(r["events_doubled"] == 0 and r["cancelled"] > 300, str(r))
        must(r["delivered"] + r["cancelled"] == r["acknowledged"], str(r))
        return f"{types}"


def kill_9_in_the_first_start_is_harmless(mtaq):
    """At each sync of a segment or of the index, and before; then it opens
    as if nothing had been."""
    with Box(mtaq) as box:
        unpack(box.dir)
        want = (box.dir / "expected.txt").read_text()
        env = {**os.environ, "LD_PRELOAD": os.environ["MTAQ_TEST_DIE_AT"]}
        deaths = 0
        for n in range(1, 100):
            copy = box.dir / "copy"
            shutil.copytree(box.dir / "spool", copy)
            done = subprocess.run([LIST, copy, str(SEGMENT)], timeout=200,
                                  env={**env, "DIE_AT": f"synced:{n}"},
                                  stdout=subprocess.DEVNULL)
            got = listed(copy)
            must(got == want, f"death {n}: {differ(want, got)}")
            shutil.rmtree(copy)
            if done.returncode == 0:
                break
            deaths += 1
        must(deaths > 0, "it never died")
        return f"{deaths} deaths"


def kill_9_after_the_first_start_loses_nothing(mtaq):
    with Box(mtaq) as box:
        start(box)
        for _ in range(3):
            box.kill_daemon()
            box.start_daemon()
        let_go(box)
        box.kill_daemon()
        box.start_daemon()
        box.wait_final(finals(box))
        box.stop_daemon()
        box.equation()


TESTS = [all_of_it_is_as_it_was, it_is_raised_to_the_present_version,
         verify_changes_nothing,
         kill_9_in_the_first_start_is_harmless,
         the_daemon_delivers_all_of_it,
         kill_9_after_the_first_start_loses_nothing]

if __name__ == "__main__":
    main(TESTS)
