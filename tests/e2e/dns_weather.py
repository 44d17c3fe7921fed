"""Resolvers that fail: one between mtaq and the sink's DNS that lies first,
answers late, or says nothing true at all.

A query goes on to the real resolver; what the client gets is up to `mode`:
  honest   the answer
  lies     five lies and then the answer (the truth has to win)
  only     the lies alone
  slow     the answer, for names that begin with `slow` after `delay` seconds
  mute     nothing
"""
import socket
import struct
import threading


def name_end(packet):
    at = 12
    while packet[at]:
        at += packet[at] + 1
    return at + 1


def question_name(packet):
    out, at = [], 12
    while packet[at]:
        out.append(packet[at + 1:at + 1 + packet[at]].decode().lower())
        at += packet[at] + 1
    return ".".join(out)


def forged(query, address):
    """A well-made answer to `query`: every name is at `address`."""
    end = name_end(query)
    kind, = struct.unpack_from("!H", query, end)
    question = query[12:end + 4]
    data = {1: socket.inet_aton(address),
            15: b"\0\0\3mx0\4evil\4test\0"}.get(kind)
    head = query[:2] + b"\x84\0" + struct.pack("!4H", 1, data is not None,
                                               0, 0)
    rr = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data \
        if data is not None else b""
    return head + question + rr


def other_question(query):
    """The same question about another name, with the id that is asked for."""
    end = name_end(query)
    return query[:12] + b"\5other\4evil\0" + query[end:end + 4]


class LyingResolver:
    def __init__(self, real, mode="honest", thief="127.66.66.66", delay=0,
                 slow=""):
        host, _, port = real.rpartition(":")
        self.real = (host, int(port))
        self.mode, self.thief = mode, thief
        self.delay, self.slow = delay, slow
        self.asked = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stranger.bind(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.stranger.close()

    def close(self):
        """Also the reader in the other thread holds it open till it wakes."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def serve(self):
        while True:
            try:
                query, client = self.sock.recvfrom(4096)
            except OSError:
                return
            if not query:
                return                  # closed
            self.asked += 1
            threading.Thread(target=self.answer, args=(query, client),
                             daemon=True).start()

    def truth(self, query):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.sendto(query, self.real)
            return s.recv(4096)

    def lies(self, query, client):
        lie = forged(query, self.thief)
        wrong_id = bytes([query[0] ^ 255, query[1]]) + lie[2:]
        self.sock.sendto(wrong_id, client)
        self.sock.sendto(forged(other_question(query), self.thief), client)
        self.stranger.sendto(lie, client)       # right, but from elsewhere
        self.sock.sendto(b"\xff" * 40, client)
        self.sock.sendto(query[:11], client)    # not even a head

    def answer(self, query, client):
        mode = self.mode
        try:
            if mode == "mute":
                return
            if mode in ("lies", "only"):
                self.lies(query, client)
            if mode == "only":
                self.sock.sendto(query, client)     # a question is none
                # An answer whose name points at itself, for ever.
                end = name_end(query)
                loop = query[:2] + b"\x84\0\0\1\0\1\0\0\0\0" + \
                    query[12:end + 4]
                at = struct.pack("!H", 0xc000 | len(loop))
                self.sock.sendto(loop + at + query[end:end + 4] +
                                 b"\0\0\0\x3c\0\2" + at, client)
                return
            if mode == "slow" and self.slow and \
                    question_name(query).startswith(self.slow):
                threading.Event().wait(self.delay)
            self.sock.sendto(self.truth(query), client)
        except OSError:
            pass                                # the test is over
