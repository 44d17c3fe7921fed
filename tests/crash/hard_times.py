#!/usr/bin/env python3
"""Stops, full and broken disks, a second daemon, the drop folder.

	hard_times.py MTAQ [NAME...]
"""
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import ending  # noqa: E402
from disks import Tmpfs  # noqa: E402
from harness import Box, main, must  # noqa: E402
from misbehaviour import QUICK  # noqa: E402

MAILS = 300         # in one drop file


def write_mbox(box, name, mails, first=0, size=500):
    """An mbox whose mails each have a recipient and a token of their own."""
    path = box.dir / name
    with open(path, "w", encoding="ascii") as f:
        for i in range(first, first + mails):
            f.write(f"From x@y.test Thu Jan  1 00:00:00 1970\n"
                    f"From: a@sender.test\nTo: u{i}@d{i % 10}.test\n"
                    f"X-Mtaq-Token: t{i}\nSubject: {i}\n\n"
                    f"{'x' * 60}\n" + "y" * (size % 70) + "\n" +
                    ("z" * 70 + "\n") * (size // 70) + "\n")
    return path


def submit_to_folder(box, name, mails, first=0, size=500):
    path = write_mbox(box, name, mails, first, size)
    return box.run("submit", "-c", box.conf, path)


def make_folder(box):
    """The daemon's first start makes it."""
    box.start_daemon()
    box.stop_daemon()


def files_in(box, folder):
    at = box.dir / "spool" / "incoming" / folder
    return sorted(p.name for p in at.iterdir()) if at.exists() else []


def all_once(box, mails):
    """What the sink wrote: each recipient, once; and accepted once."""
    lines = [l.split("\t") for l in
             box.ledger_file.read_text().splitlines()]
    got = [l[3] for l in lines if l[1] == "ok"]
    must(len(set(got)) == mails, f"{len(set(got))} of {mails} arrived")
    accepted = box.count_events().get("accepted", 0)
    must(accepted == mails, f"{accepted} accepted, {mails} submitted")
    return len(got) - mails


def second_daemon_names_the_first(mtaq):
    with Box(mtaq) as box:
        box.start_sink()
        box.configure().start_daemon()
        second = box.run("run", "-c", box.conf, ok=(75,))
        must(str(box.daemon.pid) in second.stderr, second.stderr)
        box.load("--messages", 10, "--domains", 5)
        box.wait_final(10)
        box.stop_daemon()


def folder_is_read_at_the_start(mtaq):
    with Box(mtaq) as box:
        box.start_sink()
        box.configure(**QUICK)
        make_folder(box)
        submit_to_folder(box, "a.mbox", MAILS)
        must(len(files_in(box, "new")) == 1, "no file in the drop folder")
        box.start_daemon()
        box.wait_final(MAILS)
        box.wait_for(lambda: not files_in(box, "new"), 30, "its removal")
        box.stop_daemon()
        must(all_once(box, MAILS) == 0, "second copies")
        must(not files_in(box, "rejected"), "a file was rejected")


def a_file_that_is_there_twice_is_taken_once(mtaq):
    """As a backup that was put back leaves it: the second waits while the
    first is read, then it has nothing new, and is no refusal."""
    with Box(mtaq) as box:
        box.start_sink()
        box.configure(**QUICK)
        make_folder(box)
        submit_to_folder(box, "a.mbox", MAILS)
        new = box.dir / "spool" / "incoming" / "new"
        name, = files_in(box, "new")
        (new / (name + ".again")).write_bytes((new / name).read_bytes())
        box.start_daemon()
        box.wait_final(MAILS)
        box.wait_for(lambda: not files_in(box, "new"), 60, "their removal")
        box.stop_daemon()
        must(all_once(box, MAILS) == 0, "second copies")
        must(not files_in(box, "rejected"), "a file was rejected")


def folder_survives_kills(mtaq):
    rnd = random.Random(1)
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--delay", 5)
        box.configure(**QUICK)
        make_folder(box)
        for i in range(6):
            submit_to_folder(box, f"{i}.mbox", MAILS, i * MAILS)
        for _ in range(8):
            box.start_daemon()
            time.sleep(rnd.uniform(0, 0.05))    # the moment is the point
            box.kill_daemon()
        box.start_daemon()
        box.wait_final(6 * MAILS)
        box.wait_for(lambda: not files_in(box, "new"), 30, "their removal")
        box.stop_daemon()
        all_once(box, 6 * MAILS)
        must(not files_in(box, "rejected"), "a file was rejected")


def folder_survives_stops(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure(**QUICK, limits__unsynced_bytes="1MiB")
        make_folder(box)
        for i in range(8):
            submit_to_folder(box, f"{i}.mbox", MAILS, i * MAILS, 20000)
        for _ in range(6):
            box.start_daemon()
            box.stop_daemon()
            must(not files_in(box, "rejected"), "a file was rejected")
        box.start_daemon()
        box.wait_final(8 * MAILS)
        box.wait_for(lambda: not files_in(box, "new"), 30, "their removal")
        box.stop_daemon()
        must(all_once(box, 8 * MAILS) == 0, "second copies")
        must(not files_in(box, "rejected"), "a file was rejected")


def stop_in_the_middle(mtaq):
    """SIGTERM waits for what is under way: nothing becomes unsure."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--delay", 50)
        box.configure(**{**QUICK, "stop_grace": "30s"}).start_daemon()
        for i in range(5):
            box.load("--messages", 500, "--domains", 10, "--start", i * 500)
            time.sleep(0.2)                     # into the middle of it
            box.stop_daemon()
            box.start_daemon()
        box.wait_final(2500)
        box.stop_daemon()
        r = box.equation()
        must(r["extra"] == 0 and "unsure" not in r["events"], json.dumps(r))


def broken_disk_ends_the_daemon(mtaq):
    """No write succeeds any more: it must end, and say so by its code."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--delay", 10)
        box.configure(**QUICK)
        # With SIGXFSZ ignored, as Python leaves it, writes give EFBIG.
        box.daemon = ending.start(
            [box.mtaq, "run", "-c", str(box.conf)], stderr=subprocess.PIPE,
            restore_signals=False)
        box.wait_for(lambda: (box.dir / "run" / "submit.sock").exists(), 30,
                     "its socket")
        load = box.start_load("--messages", 100000, "--domains", 10,
                              "--size", 1000)
        box.wait_for(lambda: box.ledger_file.stat().st_size > 10000, 30,
                     "the first mail")
        resource.prlimit(box.daemon.pid, resource.RLIMIT_FSIZE, (0, 0))
        code = box.daemon.wait(60)
        box.daemon.stderr.close()
        box.daemon = None
        load.communicate(timeout=60)
        must(code not in (0, -9), f"it ended with {code}")
        box.start_daemon()
        with open(box.accepted, encoding="utf-8") as f:
            recipients = sum(1 for _ in f)
        box.wait_empty(recipients)
        box.stop_daemon()
        box.equation()


def full_disk(mtaq):
    """New mail is refused for now, deliveries go on, and it recovers."""
    if os.geteuid() != 0:
        return "skipped: not root, no small disk can be mounted"
    with Box(mtaq) as box, Tmpfs(box.dir / "spool", 250 << 10):
        box.start_sink("--domains", 10)
        box.configure(**{**QUICK, "min_free": "60MiB",
                         "checkpoint__interval": "1s",
                         "checkpoint__age": "1s"}).start_daemon()
        ballast = box.dir / "spool" / "ballast.test"
        free = os.statvfs(box.dir / "spool")
        with open(ballast, "wb") as f:
            os.posix_fallocate(f.fileno(), 0,
                               free.f_bavail * free.f_frsize - (40 << 20))
        mail = write_mbox(box, "a.mbox", 10)
        box.wait_for(lambda: box.run("submit", "-c", box.conf, mail,
                                     ok=(0, 75)).returncode == 75,
                     60, "a refusal")
        words = box.run("submit", "-c", box.conf, mail, ok=(75,)).stderr
        must("min_free" in words, words)
        ballast.unlink()
        box.wait_for(lambda: box.run("submit", "-c", box.conf, mail,
                                     ok=(0, 75)).returncode == 0,
                     60, "mail to be taken again")
        box.load("--messages", 2000, "--domains", 10)
        box.wait_empty(2000)    # some of these are of the mbox
        box.stop_daemon()
        box.equation()


def a_damaged_message_is_held_whole(mtaq):
    """Each of its tasks, however many: none is sent, none is forgotten."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 100, "--fail", "mail=4:1")
        box.configure(**QUICK).start_daemon()
        box.load("--messages", 1, "--rcpts", 100, "--spread", "--domains",
                 100)
        box.wait_for(lambda: box.count_events().get("deferred", 0) >= 100,
                     30, "a hundred attempts")
        for path in (box.dir / "spool").rglob("*"):
            at = path.read_bytes().find(b"X-Mtaq-Token") \
                if path.is_file() else -1
            if at >= 0:
                with open(path, "r+b") as f:
                    f.seek(at)
                    f.write(b"Y")
        box.wait_for(lambda: box.count_events().get("damaged", 0) == 100,
                     30, "100 events")
        must("ok" not in box.ledger_file.read_text(), "it was sent")
        # Whose mail it was is told: the envelope is whole.
        rows = [json.loads(line) for line in box.run(
            "queue", "list", "--all", "--json", "-c", box.conf
            ).stdout.splitlines()]
        must(len({r["to"] for r in rows}) == 100 and
             {r["state"] for r in rows} == {"damaged"}, rows[:3])
        box.stop_daemon()


TESTS = [second_daemon_names_the_first, folder_is_read_at_the_start,
         a_file_that_is_there_twice_is_taken_once, folder_survives_kills, folder_survives_stops, stop_in_the_middle,
         broken_disk_ends_the_daemon, full_disk,
         a_damaged_message_is_held_whole]

if __name__ == "__main__":
    main(TESTS)
