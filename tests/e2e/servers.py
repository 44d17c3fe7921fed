"""Mail and name servers that do what a test says, in this process.

Mx: SMTP servers on several addresses and one port, each with a script of its
own; they remember who connected and what they took.  Dns: a name server that
tells the truth, lies, babbles or stays silent, name by name.
"""
import socket
import struct
import threading
import time

from harness import must
from receivers import free_port

CLOSE = "close"           # an answer: end the connection without a word
A, CNAME, SOA, MX, AAAA = 1, 5, 6, 15, 28
TYPES = {"A": A, "CNAME": CNAME, "MX": MX, "AAAA": AAAA}


class Host:
    """One SMTP server.  on: {verb: answer}, an answer being a text, CLOSE, a
    list (one for each time it is asked, the last repeats) or a function
    (session) -> such.  "greet" is the greeting, "dot" what follows the
    content.  A text that begins with 421 ends the connection."""

    DEFAULT = {"greet": "220 mx.test ESMTP", "EHLO": "250 mx.test",
               "HELO": "250 mx.test", "MAIL": "250 2.1.0 fine",
               "RCPT": "250 2.1.5 fine", "DATA": "354 go on",
               "dot": "250 2.0.0 taken", "RSET": "250 2.0.0 fine",
               "QUIT": "221 2.0.0 bye"}

    def __init__(self, address, port, on, changed):
        self.address, self.port, self.changed = address, port, changed
        self.on = dict(on)
        self.asked = {}
        self.sessions, self.mails, self.lines = [], [], []
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(kind, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,),
                             daemon=True).start()

    def serve(self, peer):
        session = Session(peer)
        with self.changed:
            self.sessions.append(session)
            self.changed.notify_all()
        try:
            with peer:
                session.run(self)
        except OSError:
            pass
        finally:
            with self.changed:
                session.ended = time.monotonic()
                self.changed.notify_all()

    def answer(self, verb, session):
        with self.changed:
            what = self.on.get(verb, self.DEFAULT.get(verb, "500 what?"))
            count = self.asked[verb] = self.asked.get(verb, 0) + 1
        if callable(what):
            what = what(session)
        if isinstance(what, list):
            what = what[min(count, len(what)) - 1]
        return what

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


class Session:
    def __init__(self, peer):
        self.peer, self.rest = peer, b""
        self.began, self.ended = time.monotonic(), None
        self.mails, self.rcpts, self.sender = 0, [], None
        self.rcpt = ""
        self.source = peer.getpeername()[0]

    def line(self):
        while b"\n" not in self.rest:
            more = self.peer.recv(65536)
            if not more:
                raise OSError("the client has closed")
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.rstrip(b"\r")

    def say(self, text):
        """False: the connection is to end."""
        if text == CLOSE:
            return False
        self.peer.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")
        return not text.startswith("421") and not text.startswith("221")

    def run(self, host):
        go_on = self.say(host.answer("greet", self))
        while go_on:
            line = self.line()
            verb = line[:4].decode("latin-1").upper()
            with host.changed:
                host.lines.append(line.decode("utf-8", "replace"))
                host.changed.notify_all()
            if verb == "MAIL":
                self.sender, self.rcpts = line, []
            if verb == "RCPT":
                self.rcpt = line[9:-1].decode()
            said = host.answer(verb, self)
            go_on = self.say(said)
            if verb == "RCPT" and said.startswith("2"):
                self.rcpts.append(line[9:-1].decode())
            if verb == "DATA" and said.startswith("354"):
                go_on = self.content(host)

    def content(self, host):
        lines = []
        while (line := self.line()) != b".":
            lines.append(line)
        said = host.answer("dot", self)
        if said != CLOSE and said.startswith("2"):
            self.mails += 1
            with host.changed:
                host.mails.append((tuple(self.rcpts), b"\r\n".join(lines)))
                host.changed.notify_all()
        return self.say(said)


class MxFarm:
    """hosts: {address: what its Host does}, or a list of addresses."""

    def __init__(self, hosts):
        if not isinstance(hosts, dict):
            hosts = {a: {} for a in hosts}
        self.changed = threading.Condition()
        for last in (False, False, True):
            self.port, self.hosts = free_port(), {}
            try:
                for address, on in hosts.items():
                    self.hosts[address] = Host(address, self.port, on,
                                               self.changed)
                return
            except OSError:          # somebody took the port meanwhile
                self.close()
                if last:
                    raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getitem__(self, address):
        return self.hosts[address]

    def close(self):
        for host in self.hosts.values():
            host.close()

    def open(self, address, on=None):
        """Begin to listen there, which was closed till now."""
        self.hosts[address] = Host(address, self.port, on or {}, self.changed)

    def shut(self, address):
        """Connections there are refused from now on."""
        self.hosts[address].close()

    def wait(self, question, what, timeout=60):
        with self.changed:
            must(self.changed.wait_for(question, timeout),
                 f"{what}: not within {timeout} s")

    def taken(self):
        """{recipient: the addresses that took mail for it}"""
        got = {}
        with self.changed:
            for address, host in self.hosts.items():
                for rcpts, _ in host.mails:
                    for rcpt in rcpts:
                        got.setdefault(rcpt, []).append(address)
        return got

    def connects(self, address):
        with self.changed:
            return len(self.hosts[address].sessions)

    def text(self, address):
        return f"[{address}]:{self.port}" if ":" in address else \
            f"{address}:{self.port}"


# --- DNS ---------------------------------------------------------------------

def name_octets(name):
    return b"".join(bytes([len(l)]) + l.encode()
                    for l in name.split(".") if l) + b"\0"


def rdata(kind, value):
    if kind == A:
        return socket.inet_aton(value)
    if kind == AAAA:
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == CNAME:
        return name_octets(value)
    return struct.pack(">H", value[0]) + name_octets(value[1])


def record(owner, kind, value, ttl):
    data = rdata(kind, value)
    return name_octets(owner) + struct.pack(">HHIH", kind, 1, ttl,
                                            len(data)) + data


class Dns:
    """names: {name: what it is}.  What: {"MX": [(10, "mx.a.test")], "A":
    ["127.0.0.1"], "CNAME": ["b.test"]}, or one of the moods below.  Other
    names do not exist.  Change .names at any time."""

    MOODS = {"servfail", "refused", "silent", "wrong id", "wrong question",
             "other owner", "noise", "lame", "loop"}

    def __init__(self, names, ttl=60):
        self.names, self.ttl = names, ttl
        self.lock = threading.Lock()
        self.queries = []             # (name, type, "udp" | "tcp")
        for _ in range(20):
            self.port = free_port(socket.SOCK_DGRAM)
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.udp.bind(("127.0.0.1", self.port))
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(16)
        self.at = f"127.0.0.1:{self.port}"
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def asked(self, name):
        with self.lock:
            return sum(1 for q in self.queries if q[0] == name)

    def serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
                for answer in self.reply(packet, "udp"):
                    self.udp.sendto(answer, peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                peer, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_peer, args=(peer,),
                             daemon=True).start()

    def serve_peer(self, peer):
        with peer, peer.makefile("rb") as f:
            while len(head := f.read(2)) == 2:
                packet = f.read(struct.unpack(">H", head)[0])
                for answer in self.reply(packet, "tcp"):
                    peer.sendall(struct.pack(">H", len(answer)) + answer)

    def reply(self, packet, way):
        """The packets to send back."""
        if len(packet) < 17:          # the socket was shut
            return []
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
        question, name = packet[12:at + 5], ".".join(labels).lower()
        with self.lock:
            self.queries.append((name, kind, way))
            what = self.names.get(name)
        if isinstance(what, str):
            return self.moody(what, packet, question, name, kind)
        records, code = self.look_up(name, kind), 0
        if records is None:
            records, code = [], 3
        answer = self.message(packet[:2], question, records, code)
        if way == "udp" and len(answer) > 512:
            return [self.message(packet[:2], question, [], 0, 0x0200)]
        return [answer]

    def look_up(self, name, kind, depth=0):
        what = self.names.get(name)
        if what is None or isinstance(what, str):
            return [] if depth else None
        found = [record(name, kind, v, self.ttl) for t, values in
                 what.items() if TYPES[t] == kind for v in values]
        if not found and "CNAME" in what and depth < 8:
            to = what["CNAME"][0]
            found = [record(name, CNAME, to, self.ttl)] + \
                (self.look_up(to, kind, depth + 1) or [])
        return found

    def message(self, number, question, records, code, flags=0):
        """With an SOA (MINIMUM 30) when there is no record."""
        authority = b"" if records else b"\0" + struct.pack(
            ">HHIH", SOA, 1, 30, 22) + b"\0\0" + struct.pack(
                ">5I", 1, 1, 1, 1, 30)
        return number + struct.pack(
            ">5H", 0x8180 | flags | code, 1, len(records),
            1 if authority else 0, 0) + question + b"".join(records) + \
            authority

    def moody(self, mood, packet, question, name, kind):
        number = packet[:2]
        lie = {A: "127.0.77.66", AAAA: "::1", MX: (10, "evil.test")}.get(kind)
        wrong = [record(name, kind, lie, 60)]
        if mood == "silent":
            return []
        if mood == "wrong id":
            return [self.message(bytes(c ^ 0x55 for c in number), question,
                                 wrong, 0)]
        if mood == "wrong question":
            other = name_octets("other.test") + question[-4:]
            return [self.message(number, other, wrong, 0)]
        if mood == "other owner":
            return [self.message(number, question,
                                 [record("other.test", kind, lie, 60)], 0)]
        if mood == "noise":
            return [number + b"\x81\x80\0\1\0\7\0\0\0\0" + question +
                    b"\xc3" * 90]
        if mood == "lame":
            return [number + struct.pack(">5H", 0x8100, 1, 0, 0, 0) +
                    question]
        if mood == "loop":
            return [self.message(number, question, [
                record(name, CNAME, "l." + name, 60),
                record("l." + name, CNAME, name, 60)], 0)]
        code = {"servfail": 2, "refused": 5}[mood]
        return [self.message(number, question, [], code)]
