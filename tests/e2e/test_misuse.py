#!/usr/bin/env python3
"""The daemon's sockets in the hands of those who do not know them, or do not
care.

test_misuse.py MTAQ [NAME...]
"""
import os
import random
import signal
import socket
import struct
import urllib.request

from harness import Box, main, must
from test_faults import frame

MAIL = b"From: a@b.test\r\n\r\nhello\r\n"


def connect(at):
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(at))          # waits while too many others do
    s.settimeout(60)
    return s


def take(s, size):
    data = b""
    while len(data) < size:
        got = s.recv(size - len(data))
        must(got, f"the daemon hung up after {len(data)} octets")
        data += got
    return data


def take_frame(s):
    kind, _, _, length, _, _ = struct.unpack("<cBHIII", take(s, 16))
    return kind, take(s, length)


# --- the submission socket ------------------------------------------------------

class Client:
    """One that begins a large message (however small it is) and waits."""

    def __init__(self, box, number):
        self.socket = connect(box.dir / "run" / "submit.sock")
        self.socket.sendall(b"MTAQSUB\n" + struct.pack("<HHI", 1, 0, 0)
                            + struct.pack("<QQ", 77, number))
        self.number = number

    def begin(self):
        must(take_frame(self.socket)[0] == b"W", "no welcome")
        to = f"u{self.number}@d1.test".encode()
        sender = b"a@b.test"
        self.socket.sendall(frame(
            b"L", struct.pack("<QIIIHHBBBB", len(MAIL), 2 + len(to), 1, 0,
                              len(sender), 0, 0, 0, 0, 0)
            + sender + struct.pack("<H", len(to)) + to + MAIL[:10],
            count=1, number=1))

    def rest(self):
        self.socket.sendall(frame(b"P", MAIL[10:], number=1))
        kind, answer = take_frame(self.socket)
        must(kind == b"A" and answer[0] == 0, f"{kind} {answer}")
        self.socket.close()


def who_knocks_takes_nobodys_time_away(mtaq):
    """A client has a minute of silence before its large message loses its
    place to one that waits; knocks at the socket, after which the folder is
    looked at, do not shorten it."""
    with Box(mtaq) as box:
        box.start_sink()
        box.configure().start_daemon()
        clients = [Client(box, i) for i in range(9)]
        for c in clients:
            c.begin()                       # the ninth waits in the line
        for i in range(40):
            connect(box.dir / "run" / "submit.sock").close()
            other = Client(box, 100 + i)    # the daemon has had its turns
            must(take_frame(other.socket)[0] == b"W", "no welcome")
            other.socket.close()
        for c in clients:
            c.rest()
        box.wait_final(len(clients))
        box.stop_daemon()


def message(to, content):
    sender = b"a@b.test"
    return struct.pack("<QIIIHHBBBB", len(content), 2 + len(to), 1, 0,
                       len(sender), 0, 0, 0, 0, 0) + sender + \
        struct.pack("<H", len(to)) + to + content


def hello(number):
    return b"MTAQSUB\n" + struct.pack("<HHIQQ", 1, 0, 0, 78, number)


def frames_of(first, count):
    return b"".join(frame(b"M", message(b"u%d@d1.test" % i, MAIL), count=1,
                          number=i + 1) for i in range(first, first + count))


def all_answered(s, count):
    for i in range(count):
        kind, answer = take_frame(s)
        must(kind == b"A" and answer[0] == 0, f"{i}: {kind} {answer}")
    must(s.recv(1) == b"", "more than the answers")


def frames_at_once_are_all_answered_though_none_is_read(mtaq):
    """Many frames in one write and a client that does not read: the daemon
    keeps what it has no place for, and waits for room for its answers.  And
    the end of the stream, seen together with a frame, is met behind it."""
    with Box(mtaq) as box:
        box.start_sink()
        box.configure().start_daemon()
        with connect(box.dir / "run" / "submit.sock") as s:
            s.sendall(hello(1) + frames_of(0, 3000))
            s.shutdown(socket.SHUT_WR)
            box.wait_final(3000)
            must(take_frame(s)[0] == b"W", "no welcome")
            all_answered(s, 3000)
        with connect(box.dir / "run" / "submit.sock") as s:
            s.sendall(hello(2))
            must(take_frame(s)[0] == b"W", "no welcome")
            box.daemon.send_signal(signal.SIGSTOP)
            s.sendall(frames_of(0, 1))
            s.shutdown(socket.SHUT_WR)
            box.daemon.send_signal(signal.SIGCONT)
            all_answered(s, 1)
        box.stop_daemon()


# --- the control socket -----------------------------------------------------------

def pieces(rng):
    """What may come to a socket of lines."""
    lines = [b"status\n", b"pulse\n", b"list\n", b"site\tverb=list\n",
             b"explain\tdomain=d1.test\n", b"sum\tby=domain\n", b"pauses\n",
             b"trace\tdomain=d1.test\n", b"show\tid=x\n", b"decide\n"]
    return rng.choice([
        lambda: rng.choice(lines),
        lambda: rng.choice(lines)[:rng.randrange(1, 8)],
        lambda: rng.choice(lines) * 50,
        lambda: bytes(rng.randrange(256) for _ in range(200)),
        lambda: b"status\t" + b"a" * (70 << 10),
        lambda: b"status\tx=%zz\n",
        lambda: b"\n" * 100,
        lambda: b""])()


def a_thousand_that_talk_nonsense_to_control(mtaq):
    """Some hang up, some say half a line, some ask and never read.  Mail goes
    on, and who asks once they are gone is answered."""
    rng = random.Random(4)
    with Box(mtaq) as box:
        box.start_sink()
        box.configure().start_daemon()
        load = box.start_load("--messages", 3000, "--domains", 10)
        held = []
        for _ in range(1000):
            s = connect(box.dir / "run" / "control.sock")
            s.setblocking(False)
            try:
                s.send(pieces(rng))
            except OSError:
                pass                        # beyond the limit: closed
            held.append(s)
            if len(held) > 60:
                held.pop(rng.randrange(len(held))).close()
        must(load.wait(300) == 0, "the load")
        box.wait_final(3000)
        for s in held:
            s.close()
        box.wait_for(lambda: box.run("status", "-c", box.conf,
                                     ok=(0, 69, 75)).returncode == 0,
                     30, "an answer")
        box.stop_daemon()


# --- the metrics socket -----------------------------------------------------------

def metrics_are_read_between_those_who_do_not_read(mtaq):
    """Garbage, half a request, and pages that nobody takes hold a place for
    ten seconds at most."""
    rng = random.Random(5)
    with Box(mtaq) as box:
        box.start_sink()
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        box.configure(metrics__listen=f"127.0.0.1:{port}")
        box.start_daemon()
        held = []
        for _ in range(28):                 # 16 of them are served at once
            s = socket.create_connection(("127.0.0.1", port), 60)
            s.setblocking(False)
            try:
                s.send(rng.choice([
                    b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
                    b"GET /metrics HTTP/1.1\r\nHo", b"\0" * 3000,
                    b"POST /metrics HTTP/1.1\r\nHost: a\r\n"
                    b"Content-Length: 99999999\r\n\r\n" + b"x" * 5000,
                    b"GET " + b"/" * 40000, b""]))
            except OSError:
                pass
            held.append(s)
        fds = len(os.listdir(f"/proc/{box.daemon.pid}/fd"))
        must(fds < 100, f"{fds} descriptors are open")
        box.load("--messages", 100, "--domains", 10)
        box.wait_final(100)

        def page():
            try:
                with urllib.request.urlopen(
                        f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
                    return b"mtaq_" in r.read()
            except OSError:
                return False
        box.wait_for(page, 60, "a page, though nobody has hung up")
        for s in held:
            s.close()
        box.stop_daemon()


TESTS = [who_knocks_takes_nobodys_time_away,
         frames_at_once_are_all_answered_though_none_is_read,
         a_thousand_that_talk_nonsense_to_control,
         metrics_are_read_between_those_who_do_not_read]

if __name__ == "__main__":
    main(TESTS)
