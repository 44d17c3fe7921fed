"""What tests with real receivers share: DNS, receivers, a sink behind them.

    mtaq --MX--> receiver                  NAME.test, d0.NAME.test
    mtaq --MX--> tap --> receiver          tapped.NAME.test
    mtaq --MX--> receiver --> tap --> sink     relay.NAME.test
"""
import json
import pathlib
import shutil
import tempfile

from aiosmtpd_receiver import Aiosmtpd
from exim import Exim
from haraka import Haraka
from harness import Box, Failed, must
from opensmtpd import OpenSMTPD
from postfix import Postfix
from receivers import Nsd, Skipped, free_port, must_be_able
from tap import Tap

MAIL = sorted((pathlib.Path(__file__).resolve().parents[1] / "mail")
              .glob("*.eml"))
SENDER = "sender@from.test"
KINDS = {k.name: k for k in (Postfix, Exim, OpenSMTPD, Aiosmtpd, Haraka)}
# One a test: their mailboxes are looked at when it is over.
USERS = [f"{word}{i}" for word, n in (
    ("file", len(MAIL)), ("many", 25), ("good", 4), ("large", 2), ("pipe", 1),
    ("session", 100)) for i in range(n)]


class World:
    """The servers of one run."""

    def __init__(self, mtaq, names):
        self.mtaq, self.names = mtaq, names
        self.receivers, self.taps, self.skipped, self.open = {}, {}, {}, []

    def __enter__(self):
        must_be_able()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mtaq-real-"))
        try:
            self.sink = self.enter(Box(self.mtaq, "mtaq-real"))
            self.sink.start_sink(dns=False)
            host, _, port = self.sink.sink_smtp.rpartition(":")
            self.onward = self.enter(Tap((host, int(port))))
            self.start_receivers()
            self.dns = self.enter(Nsd(self.dir / "nsd", self.zones()))
        except BaseException as e:
            self.__exit__(type(e), e, None)
            raise
        return self

    def __exit__(self, *why):
        try:
            while self.open:
                self.open.pop().__exit__(*why)
        finally:
            shutil.rmtree(self.dir)

    def enter(self, server):
        server.__enter__()
        self.open.append(server)
        return server

    def start_receivers(self):
        for last in (False, False, True):
            self.port = free_port()
            begun = len(self.open)
            try:
                for i, name in enumerate(self.names):
                    self.start_receiver(name, 20 + i)
                return
            except (Failed, OSError):   # somebody took the port meanwhile
                if last:
                    raise
                while len(self.open) > begun:
                    self.open.pop().__exit__()
                self.receivers.clear()

    def start_receiver(self, name, number):
        try:
            r = self.enter(KINDS[name](f"127.0.77.{number}", self.port, USERS,
                                       self.onward.at))
        except Skipped as why:
            self.skipped[name] = str(why)
            return
        self.receivers[name] = r
        self.taps[name] = self.enter(Tap((r.address, r.port),
                                         f"127.0.78.{number}", self.port))

    def zones(self):
        out = {"from.test": ""}
        for name, r in self.receivers.items():
            out[r.domain] = f"mx A {r.address}\n" + "".join(
                f"{d} MX 10 mx\n" for d in ("@", "d0", "relay")) + \
                f"tap A {self.taps[name].at[0]}\ntapped MX 10 tap\n"
        return out

    def box(self, **changes):
        return Box(self.mtaq, "mtaq-real").configure(**{
            "dns__servers": f'["{self.dns.at}"]', "smtp__port": self.port,
            "received": "yes", "greylist": "1s", "retry": '["1s"]',
            "unsure": {"first": "1s"},
            "host": {"bad_first": "100ms", "bad_max": "300ms"}, **changes})

    def relayed(self):
        """{recipient: how many times the sink said that it took it}"""
        out = {}
        for line in self.sink.ledger_file.read_text().splitlines():
            col = line.split("\t")
            if col[1] == "ok":
                out[col[3]] = out.get(col[3], 0) + 1
        return out


def submit(b, file, *to, ok=(0,)):
    rcpts = [a for t in to for a in ("--to", t)]
    return b.run("submit", "-c", b.conf, "--from", SENDER, *rcpts, file, ok=ok)


def events(b, kind=None):
    found = map(json.loads, b.events.read_text().splitlines())
    return [e for e in found if kind in (None, e["type"])]


def refused_here(octets):
    """Does canonical.py refuse the file?"""
    import canonical
    try:
        canonical.canonical(octets, SENDER.encode(), True)
        return False
    except canonical.Refused:
        return True


def must_be_once(found, what):
    twice = {k: n for k, n in found.items() if n != 1}
    must(not twice, f"{what}: not once: {twice}")
