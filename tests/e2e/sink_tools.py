"""A running `mtaq sink`, a raw SMTP client, DNS by hand: tools for tests."""
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile

LEDGER_COLUMNS = ("ms kind token recipient hash transaction session server "
                  "stage code sender").split()


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = crc32c_table()


def content_hash(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc = CRC_TABLE[(crc ^ octet) & 255] ^ crc >> 8
    return f"{crc ^ 0xFFFFFFFF:08x}.{len(data)}"


class Sink:
    """with Sink(mtaq, "--delay", "5") as s: ...; .stats and .ledger after."""
    used = set()                        # every option that any test gave

    def __init__(self, mtaq, *args, listen="127.0.0.1"):
        self.dir = tempfile.TemporaryDirectory(prefix="mtaq-sink-")
        self.path = os.path.join(self.dir.name, "ledger")
        line = [mtaq, "sink", "--listen", listen, "--port", "0", "--json",
                "--ledger", self.path, *args]
        self.used.update(a for a in line if a.startswith("--"))
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline().split()
        places = dict(w.split("=") for w in self.ready[1:])
        self.smtp, self.dns = (self.place(places.get(k)) for k in
                               ("smtp", "dns"))
        self.stats = None

    @staticmethod
    def place(text):
        if text is None:
            return None
        host, port = text.rsplit(":", 1)
        return host, int(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.dir.cleanup()

    def stop(self, sig=signal.SIGTERM):
        if self.stats is not None:
            return self.stats
        self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=30)
        self.code = self.process.returncode
        assert err == "", err
        assert self.code == 0, self.code
        self.lines = out.splitlines()
        self.stats = json.loads(self.lines[-1])
        return self.stats

    def ledger(self):
        with open(self.path, encoding="latin-1") as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
        assert all(len(r) == len(LEDGER_COLUMNS) for r in rows), rows
        return [dict(zip(LEDGER_COLUMNS, r)) for r in rows]

    def kinds(self):
        return [(r["kind"], r["recipient"], r["stage"]) for r in self.ledger()]

    def client(self, hello="EHLO c.test", address=None):
        return Client(address or self.smtp, hello)


class Client:
    """One octet stream; replies come back as lists of lines."""

    def __init__(self, address, hello="EHLO c.test"):
        self.socket = socket.create_connection(address, timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        if hello:
            assert self.reply()[-1][:3] == "220"
            assert self.ask(hello)[-1][:3] == "250"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes)
                            else (data + "\r\n").encode())

    def line(self):
        """The next line, or None at the end of the connection."""
        while b"\n" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def reply(self):
        lines = []
        while not lines or (lines[-1] and lines[-1][3:4] == "-"):
            lines.append(self.line())
        return lines

    def code(self):
        last = self.reply()[-1]
        return last and last[:3]

    def codes(self, n):
        return [self.code() for _ in range(n)]

    def ask(self, line):
        self.send(line)
        return self.reply()

    def closed(self):
        """The server says nothing more and ends the connection."""
        return self.rest == b"" and self.socket.recv(1) == b""

    def silent(self, seconds=0.15):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == "never"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)

    def flight(self, rcpts, sender="s@c.test"):
        self.send(f"MAIL FROM:<{sender}>")
        for r in rcpts:
            self.send(f"RCPT TO:<{r}>")
        self.send("DATA")

    def mail(self, *rcpts, token="t", body="hello\r\n", sender="s@c.test"):
        """A whole transaction; the codes of all its replies."""
        self.flight(rcpts, sender)
        codes = self.codes(len(rcpts) + 2)
        if codes[-1] == "354":
            self.send(f"X-Mtaq-Token: {token}\r\n\r\n{body}.")
            codes.append(self.code())
        return codes


# --- DNS ---------------------------------------------------------------------

A, SOA, MX, AAAA, OPT = 1, 6, 15, 28, 41


def dns_query(name, kind, number=7, edns=None):
    q = struct.pack(">6H", number, 0x0100, 1, 0, 0, 1 if edns else 0)
    for label in name.split("."):
        q += bytes([len(label)]) + label.encode()
    q += struct.pack(">BHH", 0, kind, 1)
    if edns:
        q += struct.pack(">BHHIH", 0, OPT, edns, 0, 0)
    return q


def dns_name(p, at):
    labels, end = [], None
    while p[at]:
        if p[at] & 0xC0:
            end = end or at + 2
            at = (p[at] & 0x3F) << 8 | p[at + 1]
            continue
        labels.append(p[at + 1:at + 1 + p[at]].decode())
        at += 1 + p[at]
    return ".".join(labels), end or at + 1


def dns_parse(p):
    """{rcode, tc, number, answers, authority}; a record: (type, ttl, data)."""
    number, flags, qd, *counts = struct.unpack(">6H", p[:12])
    assert flags & 0x8000
    at, sections = 12, []
    for _ in range(qd):
        at = dns_name(p, at)[1] + 4
    for count in counts:
        records = []
        for _ in range(count):
            at = dns_name(p, at)[1]
            kind, _, ttl, length = struct.unpack(">HHIH", p[at:at + 10])
            at += 10
            data = p[at:at + length]
            if kind == MX:
                data = (data[0] << 8 | data[1], dns_name(p, at + 2)[0])
            elif kind == A:
                data = socket.inet_ntoa(data)
            elif kind == AAAA:
                data = socket.inet_ntop(socket.AF_INET6, data)
            at += length
            records.append((kind, ttl, data))
        sections.append(records)
    assert at == len(p), (at, len(p))
    return {"number": number, "rcode": flags & 15, "tc": bool(flags & 0x200),
            "answers": sections[0], "authority": sections[1],
            "additional": sections[2]}


def dns_udp(address, packet, seconds=5.0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        s.sendto(packet, address)
        try:
            return s.recv(65535)
        except TimeoutError:
            return None


def dns_tcp(address, packet, pieces=1):
    framed = struct.pack(">H", len(packet)) + packet
    with socket.create_connection(address, timeout=10) as s:
        for i in range(pieces):
            s.sendall(framed[i * len(framed) // pieces:
                             (i + 1) * len(framed) // pieces])
        with s.makefile("rb") as f:
            return f.read(struct.unpack(">H", f.read(2))[0])


def dns_ask(address, name, kind, **how):
    return dns_parse(dns_udp(address, dns_query(name, kind, **how)))
