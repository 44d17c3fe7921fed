#!/usr/bin/env python3
"""Parts that fail for good: the disk under the log, the daemon at the socket.

test_faults.py MTAQ [NAME...]
"""
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import Box, main, must
from scripted import CLOSE, Server

MAIL = "From: a@b.test\nSubject: x\n\nhello\n"


def submit(box, to, ok=(0,)):
    return box.run("submit", "-c", box.conf, "--to", to, "-", input=MAIL,
                   ok=ok)


# --- the disk -----------------------------------------------------------------

def a_disk_that_fails_for_good_stops_the_daemon(mtaq):
    """A write that fails is tried once more in a new segment; when that fails
    too nothing is accepted any more and the daemon ends with 74.  What it
    had accepted is delivered when the disk is well again."""
    must("MTAQ_TEST_SICK_DISK" in os.environ,
         "MTAQ_TEST_SICK_DISK must name the built sick_disk library")
    with Box(mtaq) as box:
        flag = box.dir / "sick"
        env = {"LD_PRELOAD": os.environ["MTAQ_TEST_SICK_DISK"],
               "SICK_DISK": str(flag),
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        box.start_sink("--fail", "mail=4:1")      # nothing leaves for now
        box.configure(retry='["1h"]')
        box.start_daemon(env=env)
        submit(box, "before@d1.test")
        box.wait_for(lambda: box.count_events().get("deferred", 0) == 1, 60,
                     "the first attempt")
        flag.touch()
        done = submit(box, "never@d2.test", ok=(75,))
        must("later" in done.stderr or "again" in done.stderr, done.stderr)
        code = box.daemon.wait(60)
        box.daemon = None
        said = box.daemon_log.read_text()
        must(code == 74 and "the spool cannot be written" in said and
             "start it again" in said
             and "Input/output error" in said, f"{code}: {said[-1000:]}")
        flag.unlink()
        box.run("verify", "-c", box.conf)
        box.stop_sink()
        box.start_sink()
        box.configure(retry='["1s"]')
        box.start_daemon()
        box.run("queue", "retry", "-c", box.conf, "--all")
        box.wait_final(1)
        submit(box, "after@d3.test")
        box.wait_for(lambda: box.count_events().get("delivered", 0) >= 2, 60,
                     "both mails")
        box.stop_daemon()


def outcomes_that_find_no_room_wait(mtaq):
    """The disk takes its time, and the lane to the log fills with answers of
    large messages: what does not fit comes later, and says as much."""
    must("MTAQ_TEST_SICK_DISK" in os.environ,
         "MTAQ_TEST_SICK_DISK must name the built sick_disk library")
    with Box(mtaq) as box:
        flag = box.dir / "slow"
        env = {"LD_PRELOAD": os.environ["MTAQ_TEST_SICK_DISK"],
               "SLOW_DISK": str(flag),
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        box.start_sink("--delay", 1000)
        box.configure()
        box.start_daemon(env=env)
        # Let go at once: how long the load takes is no matter.
        box.run("campaign", "pause", "c", "-c", box.conf)
        box.load("--messages", 100, "--rcpts", 200, "--size", 200,
                 "--campaign", "c")
        box.run("campaign", "resume", "c", "-c", box.conf)
        flag.touch()
        box.wait_for(lambda: box.ledger_file.exists() and
                     box.ledger_file.read_bytes().count(b"\n") > 5000, 60,
                     "more at the sink than the lanes hold")
        time.sleep(2)                  # the answers are on their way
        must(not box.count_events().get("delivered"), "the disk is not slow")
        flag.unlink()
        box.wait_final(20000)
        said = [json.loads(line) for line in box.events.open()]
        lacks = [e for e in said if e["type"] == "delivered" and not
                 (e.get("host") and e.get("session") and e.get("from"))]
        must(not lacks, f"{len(lacks)} lack words: {lacks[:1]}")
        box.stop_daemon()


def status_of(box):
    return json.loads(box.run("status", "--json", "-c", box.conf).stdout)


def alarms(box):
    return [p["what"] for p in status_of(box)["problems"]
            if p["severity"] == "alarm"]


def a_disk_that_does_not_answer_is_told(mtaq):
    """The log's sync, then the index's, does not come back: who asks for the
    state has it, also behind a command that waits, and all goes on when the
    disk does."""
    with Box(mtaq) as box:
        log, store = box.dir / "slow-log", box.dir / "slow-store"
        env = {"LD_PRELOAD": os.environ["MTAQ_TEST_SICK_DISK"],
               "SLOW_DISK": str(log), "SLOW_STORE": str(store),
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        box.start_sink()
        box.configure(checkpoint={"interval": "1s", "age": "0s"})
        box.start_daemon(env=env)
        submit(box, "one@d1.test")
        box.wait_final(1)
        must(not alarms(box), str(alarms(box)))
        log.touch()
        holder = subprocess.Popen(
            [box.mtaq, "queue", "hold", "--domain", "d1.test", "-c", box.conf],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        box.wait_for(lambda: any("fdatasync of the log" in w
                                 for w in alarms(box)), 60, "the alarm")
        box.wait_for(lambda: "another command has waited" in
                     str(status_of(box)["problems"]), 60, "what waits")
        text = box.run("status", "-c", box.conf).stdout
        must("not all is well" in text and "the disk does not answer" in text
             and "recipients wait" in text, text)
        text = box.run("top", "--once", "-c", box.conf).stdout
        must("the daemon waits" in text and "sync p99" in text, text)
        must(holder.poll() is None, "the decision was answered")
        log.unlink()
        _, err = holder.communicate(timeout=60)
        must(holder.returncode == 0, str(err))
        box.run("queue", "release", "--domain", "d1.test", "-c", box.conf)
        store.touch()
        submit(box, "two@d1.test")
        box.wait_for(lambda: any("the store has been at one step" in w
                                 for w in alarms(box)), 60, "the alarm")
        store.unlink()
        box.wait_for(lambda: not alarms(box), 60, "the end of it")
        box.wait_final(2)
        box.stop_daemon()


# --- the event log -------------------------------------------------------------

def an_event_log_that_cannot_be_opened_is_tried_again(mtaq):
    """One SIGHUP, and the path is a folder: events go on in the old file, and
    in the new one as soon as there can be one."""
    with Box(mtaq) as box:
        box.start_sink()
        box.configure()
        box.start_daemon()
        submit(box, "one@d1.test")
        box.wait_final(1)
        old = box.events.with_suffix(".1")
        box.events.rename(old)
        box.events.mkdir()
        box.daemon.send_signal(signal.SIGHUP)
        box.wait_for(lambda: box.said("cannot be opened anew: Is a directory"),
                     60, "the words")
        submit(box, "two@d1.test")
        box.wait_for(lambda: old.read_text().count('"delivered"') == 2, 60,
                     "events in the old file")
        box.events.rmdir()
        box.wait_for(lambda: box.said("has been opened anew"), 60, "a file")
        submit(box, "three@d1.test")
        box.wait_for(lambda: '"delivered"' in box.events.read_text(), 60,
                     "events in the new file")
        must('"begin"' in box.events.read_text().splitlines()[0], "no begin")
        said = box.daemon_log.read_text()
        must(said.count("cannot be opened anew") == 1, said)


# --- descriptors ---------------------------------------------------------------

def no_descriptor_left_loses_nothing(mtaq):
    """The limit falls below what is open: nothing connects, nothing ends,
    nothing is held as damaged, and no host is called dead; when there are
    descriptors again everything goes out in its first attempt."""
    with Box(mtaq) as box:
        box.start_sink()
        box.configure(session__idle="100ms")
        box.start_daemon()
        pid = box.daemon.pid
        fds = f"/proc/{pid}/fd"
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        box.run("campaign", "pause", "news", "-c", box.conf)
        box.load("--messages", "1000", "--campaign", "news")
        # Room for the operator's connection and a few more, not for 100.
        most = max(int(fd) for fd in os.listdir(fds)) + 2
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, hard))
        box.run("campaign", "resume", "news", "-c", box.conf)
        box.wait_for(lambda: box.said("no descriptor left"), 60, "the words")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        box.wait_final(1000)
        got = box.count_events()
        must(got.get("delivered") == 1000 and not got.get("deferred") and
             not got.get("held"), str(got))
        must("answers no more" not in box.daemon_log.read_text(), "dead site")
        box.stop_daemon()


# --- a peer that reads nothing -------------------------------------------------

def a_stop_ends_whose_send_hangs_and_who_drips(mtaq):
    """It says 250 with most of the content unread, then an octet at a time, so
    that it is not even listened to; the grace of the stop ends all that."""
    dripped, gone = threading.Event(), threading.Event()

    def content(conn, f, session):
        conn.sendall(b"250 2.0.0 ok\r\n")
        for i, octet in enumerate(b"250-" + b"x" * 400):
            conn.sendall(bytes([octet]))
            if i == 20:
                dripped.set()
            if gone.wait(0.02):    # each in a packet of its own
                break
        return CLOSE

    with Server(content=content) as server, Box(mtaq) as box:
        # So that 200 KiB and the dot stay with the client's kernel.
        server.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        box.configure(routes=f'{{ "*": "{server.address}" }}',
                      stop_grace="200ms")
        box.start_daemon()
        box.run("submit", "-c", box.conf, "--to", "x@d1.test", "-",
                input=MAIL + ("x" * 70 + "\n") * 2900)
        must(dripped.wait(60), "it did not drip")
        try:
            box.stop_daemon()
        finally:
            gone.set()
        got = box.count_events()
        must(got.get("delivered") == 1 and not got.get("unsure"), str(got))


# --- the daemon at the socket ---------------------------------------------------

def crc32c(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(kind, payload, count=0, number=0, crc=None):
    return struct.pack("<cBHIII", kind, 0, count, len(payload), number,
                       crc32c(payload) if crc is None else crc) + payload


def result(code, ids=(), words=b""):
    return struct.pack("<BBHHHI", code, 2 if code == 0 else 4, 0, 0,
                       len(words), len(ids)) \
        + b"".join(struct.pack("<Q", i) for i in ids) + words


WELCOME = frame(b"W", struct.pack("<H6xQ", 1, 50 << 20))
ACCEPTED = frame(b"A", result(0, [12345]), count=1, number=1)


class Daemon:
    """Says its pieces, one a connection; keeps the hello of each."""

    def __init__(self, box, *pieces):
        at = box.dir / "run"
        at.mkdir(exist_ok=True)
        self.pieces, self.hellos = pieces, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(at / "submit.sock"))
        self.socket.listen(5)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        for piece in self.pieces:
            peer, _ = self.socket.accept()
            with peer:
                peer.settimeout(60)
                heard = b""
                # All of the first frame, so that it waits for an answer.
                while len(heard) < 48 or len(heard) < 48 + \
                        struct.unpack_from("<I", heard, 36)[0]:
                    got = peer.recv(65536)
                    if not got:
                        break
                    heard += got
                self.hellos.append(heard[:32])
                peer.sendall(piece)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass

    def close(self):
        self.socket.close()


def against(mtaq, *pieces, ok):
    """How submit ends against a daemon that says this; with its hellos."""
    with Box(mtaq) as box:
        box.configure()
        daemon = Daemon(box, *pieces)
        try:
            return submit(box, "x@d1.test", ok=ok), daemon.hellos
        finally:
            daemon.close()


def a_daemon_that_answers_is_believed(mtaq):
    """The fake one is understood when it is right: else nothing is shown."""
    done, hellos = against(mtaq, WELCOME + ACCEPTED, ok=(0,))
    must(len(done.stdout.split()) == 1 and len(hellos) == 1, done.stdout)


def nonsense_from_the_daemon_is_told_and_final(mtaq):
    """Never taken for success, and the words say what is wrong."""
    cases = [
        (b"220 mail.test ESMTP, not mtaq\r\n" + b"x" * 40,
         "this is no mtaq at the socket"),
        (frame(b"W", struct.pack("<H6xQ", 9, 1)), "speaks another version"),
        (WELCOME + frame(b"A", result(0, [1]), count=1, number=1, crc=7),
         "the daemon's answer is damaged"),
        (WELCOME + frame(b"A", result(0, [1]), count=1, number=2),
         "the daemon's answer does not fit"),
        (WELCOME + frame(b"A", result(0, [1]) * 2, count=2, number=1),
         "the daemon's answer does not fit"),
        (WELCOME + frame(b"X", result(76, words=b"go away")),
         "the daemon ended the submission: go away"),
        (WELCOME + frame(b"X", struct.pack("<BBHHHI", 76, 5, 0, 0, 99, 0)),
         "the daemon's answer does not fit"),
    ]
    for said, words in cases:
        done, _ = against(mtaq, said, ok=(65, 69, 70, 75, 76))
        must(words in done.stderr and not done.stdout,
             f"{said!r}: {done.stdout} {done.stderr}")


def who_is_sent_away_for_now_comes_again(mtaq):
    """After X with 75, and after a close in the middle of an answer: with the
    same submission id, and saying that it may repeat."""
    later = WELCOME + frame(b"X", result(75, words=b"too busy"))
    for first in (later, WELCOME + ACCEPTED[:20], b""):
        done, hellos = against(mtaq, first, WELCOME + ACCEPTED, ok=(0,))
        must(len(done.stdout.split()) == 1, done.stdout + done.stderr)
        must(len(hellos) == 2 and hellos[0][16:] == hellos[1][16:], hellos)
        flags = [struct.unpack_from("<H", h, 10)[0] for h in hellos]
        must(flags == [0, 1], flags)


TESTS = [a_disk_that_fails_for_good_stops_the_daemon,
         outcomes_that_find_no_room_wait,
         a_disk_that_does_not_answer_is_told,
         an_event_log_that_cannot_be_opened_is_tried_again,
         no_descriptor_left_loses_nothing,
         a_stop_ends_whose_send_hangs_and_who_drips,
         a_daemon_that_answers_is_believed,
         nonsense_from_the_daemon_is_told_and_final,
         who_is_sent_away_for_now_comes_again]

if __name__ == "__main__":
    main(TESTS)
