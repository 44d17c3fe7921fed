#!/usr/bin/env python3
"""mtaq with real parts: MX records from nsd, mail taken by Postfix.

test_real.py MTAQ [NAME...]

What has arrived is compared octet for octet with what an independent script
(canonical.py) makes of the files.
"""
import json
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time

import arrived
import canonical
from harness import Box, Failed, main, must
from postfix import Postfix
from receivers import Nsd, Skipped, free_port, must_be_able
from wire import Wire

MAIL = sorted((pathlib.Path(__file__).resolve().parents[1] / "mail")
              .glob("*.eml"))
SENDER = "sender@from.test"
MX, DEAD, WIRE = "127.0.77.10", "127.0.77.11", "127.0.77.12"
ZONE = f"""@ MX 10 mx
mx A {MX}
backup MX 20 mx
backup MX 10 dead
dead A {DEAD}
wired MX 10 wire
wire A {WIRE}
"""
DOMAINS = ["real.test", "backup.real.test", "wired.real.test"]
NAMED = ["eightbit", "longline", "body", "empty", "five", "twenty", "grey",
         "backup", "wired", "parked0", "parked1", "parked2"]


class RealPostfix(Postfix):
    """With more room than the tests of limits leave it."""

    name = "real"
    recipients_max, size_max = 1000, 60_000_000


class World:
    """The servers that all tests share."""

    def __enter__(self):
        must_be_able()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mtaq-real-"))
        self.open = []
        try:
            self.dns = self.enter(Nsd(self.dir / "nsd", {"real.test": ZONE}))
            users = NAMED + [f"f{i}" for i in range(len(MAIL))] + \
                [f"n{i}" for i in range(100)] + \
                ["rate", "crowd"]
            for last in (False, False, True):
                self.port = free_port()
                try:
                    self.mx = self.enter(RealPostfix(
                        MX, self.port, users, domains=DOMAINS, access={
                            "grey@real.test": "450 4.7.1 Greylisted, come "
                            "again"}))
                    return self
                except Failed:  # somebody took the port meanwhile
                    if last:
                        raise
        except BaseException:
            self.__exit__()
            raise

    def enter(self, server):
        server.__enter__()
        self.open.append(server)
        return server

    def __exit__(self, *_):
        while self.open:
            self.open.pop().__exit__()
        shutil.rmtree(self.dir)


WORLD = World()


def box(mtaq, **changes):
    b = Box(mtaq, "mtaq-real")
    b.configure(dns__servers=f'["{WORLD.dns.at}"]', smtp__port=WORLD.port,
                received="yes",
                greylist="1s", retry='["1s"]', **changes)
    return b


def submit(b, file, *to, ok=(0,)):
    rcpts = [a for t in to for a in ("--to", t)]
    return b.run("submit", "-c", b.conf, "--from", SENDER, *rcpts, file, ok=ok)


def events(b, kind):
    lines = b.events.read_text().splitlines()
    return [e for e in map(json.loads, lines) if e["type"] == kind]


def taken(user, domain="real.test"):
    """The message in the mailbox without what Postfix put in front."""
    octets = WORLD.mx.wait_arrived(user, domain)
    return WORLD.mx.split(octets, SENDER, user, domain)[1]


def check(user, octets, name, domain="real.test"):
    arrived.check(octets, SENDER.encode(), taken(user, domain), "postfix",
                  name)


def every_file_arrives_as_the_rules_say(mtaq):
    """At least 76 of the 78; a refusal names the rule that canonical.py
    names too."""
    sent = []
    with box(mtaq) as b:
        b.start_daemon()
        for i, file in enumerate(MAIL):
            done = submit(b, file, f"f{i}@real.test", ok=(0, 65))
            try:
                canonical.canonical(file.read_bytes(), SENDER.encode(), True)
                must(done.returncode == 0, f"refused: {done.stderr}")
                sent.append(i)
            except canonical.Refused as why:
                must(done.returncode == 65, f"{file.name} taken, not {why}")
        must(len(sent) >= 76, f"only {len(sent)} were accepted")
        b.wait_final(len(sent))
        b.stop_daemon()
        must(len(events(b, "delivered")) == len(sent), "not all delivered")
    for i in sent:
        check(f"f{i}", MAIL[i].read_bytes(), MAIL[i].stem)
    return f"{len(sent)} of {len(MAIL)} files"


# Dots, a line at the limit, bare CR and LF, no line end at the end.
DOTS = (b".\r\n..\r\n.\n.\r.x\r\n" + b"." * 998 + b"\r\n\x01\x7f\t\x0b\r\n"
        b"From here\r\n.\r\nQUIT\r\n" + b"z" * 4096 + b"\r\n..end")
ODD = {
    "eightbit": b"From: J\xc3\xb6rg <j@from.test>\nSubject: na\xefve\r\n"
                b"\r\n" + b"\xff\xfe" * 499 + b"\n" +
                DOTS.replace(b"z" * 4096, b"z"),
    "longline": b"From: j@from.test\r\n\r\n" + DOTS,
    "body": b"no header at all\n.\n",
    "empty": b"From: j@from.test\n",
}


def odd_lines_arrive(mtaq):
    """8-bit header and body, dots, long lines, missing parts."""
    with box(mtaq) as b:
        b.start_daemon()
        for name, octets in ODD.items():
            (b.dir / name).write_bytes(octets)
            submit(b, b.dir / name, f"{name}@real.test")
        b.wait_final(len(ODD))
        b.stop_daemon()
    for name, octets in ODD.items():
        check(name, octets, name)


def large_messages_arrive(mtaq):
    """5 and 20 MiB: streamed into the log in parts and out of it."""
    made = {}
    with box(mtaq) as b:
        b.start_daemon()
        for user, mib in (("five", 5), ("twenty", 20)):
            line = random.Random(mib).randbytes(36 * 1024).hex().encode()
            text = b"\r\n".join(b"." + line[i:i + 71]
                                for i in range(0, len(line), 71))
            octets = b"From: a@b.test\r\nSubject: large\r\n\r\n" + \
                (text + b"\r\n") * (mib * 2**20 // len(text))
            made[user] = octets
            (b.dir / user).write_bytes(octets)
            submit(b, b.dir / user, f"{user}@real.test")
        b.wait_final(2)
        b.stop_daemon()
    for user, octets in made.items():
        check(user, octets, user)


def hundred_recipients_travel_in_one_transaction(mtaq):
    with box(mtaq) as b:
        b.start_daemon()
        done = submit(b, MAIL[0], *[f"n{i}@real.test" for i in range(100)])
        must(len(done.stdout.split()) == 1, done.stdout)
        b.wait_final(100)
        b.stop_daemon()
        queued = {e["reply"].split()[-1] for e in events(b, "delivered")}
    must(len(queued) == 1, f"queue ids {queued}")
    for i in range(100):
        WORLD.mx.wait_arrived(f"n{i}", "real.test")
    said = re.findall(rf"{queued.pop()}: from=.*nrcpt=(\d+)", WORLD.mx.said())
    must(said == ["100"], f"Postfix said nrcpt={said}")


def an_unknown_user_bounces_in_postfix_own_words(mtaq):
    with box(mtaq) as b:
        b.start_daemon()
        submit(b, MAIL[0], "nobody@real.test")
        b.wait_final(1)
        b.stop_daemon()
        bounced, = events(b, "bounced")
    must(bounced["code"] == 550 and bounced["enhanced"] == "5.1.1" and
         bounced["stage"] == "rcpt", str(bounced))
    must(bounced["reply"] == "<nobody@real.test>: Recipient address rejected: "
         "User unknown in virtual mailbox table", str(bounced))


def a_greylisted_message_comes_again(mtaq):
    with box(mtaq, session__idle="100ms") as b:
        b.start_daemon()
        submit(b, MAIL[0], "grey@real.test")
        b.wait_for(lambda: events(b, "deferred"), 60, "a deferral")
        WORLD.mx.allow("grey@real.test")
        b.wait_final(1)
        b.stop_daemon()
        first, last = events(b, "deferred")[0], events(b, "delivered")[0]
    must(first["code"] == 450 and first["enhanced"] == "4.7.1" and
         "Greylisted, come again" in first["reply"], str(first))
    must(last["attempt"] > 1, str(last))
    check("grey", MAIL[0].read_bytes(), MAIL[0].stem)


def a_limit_of_messages_a_time_defers(mtaq):
    """450 4.7.1 to MAIL beyond 10 messages in 5 s: all come later, once."""
    files = MAIL[:30]
    WORLD.mx.set(smtpd_client_message_rate_limit=10, anvil_rate_time_unit="5s")
    try:
        with box(mtaq) as b:
            b.start_daemon()
            b.run("submit", "-c", b.conf, "--from", SENDER,
                  "--to", "rate@real.test", *files)
            b.wait_final(len(files))
            b.stop_daemon()
            late = events(b, "deferred")
            must(len(events(b, "delivered")) == len(files), "not all came")
    finally:
        WORLD.mx.set(smtpd_client_message_rate_limit=0,
                     anvil_rate_time_unit="60s")
    must(late and {(e["code"], e["enhanced"], e["stage"]) for e in late} ==
         {(450, "4.7.1", "mail")}, f"{late[:2]}")
    b.wait_for(lambda: len(WORLD.mx.mailbox("rate", "real.test")) >=
               len(files), 60, "the last of the mail")
    must(len(WORLD.mx.mailbox("rate", "real.test")) == len(files), "doubled")
    return f"{len(late)} deferrals"


def a_limit_of_connections_charges_nothing(mtaq):
    """421 4.7.0 to the third connection: fewer sessions, no attempt lost.
    (Sessions for bulk mail open in steps: all would be over before.)"""
    files = MAIL[:60]
    WORLD.mx.set(smtpd_client_connection_count_limit=2)
    try:
        with box(mtaq, site={"connects_per_second": "100"}) as b:
            b.start_daemon()
            b.run("submit", "-c", b.conf, "--from", SENDER,
                  "--to", "crowd@real.test", "--class", "transactional",
                  *files)
            b.wait_final(len(files))
            b.stop_daemon()
            must(not events(b, "deferred"), f"{events(b, 'deferred')[:1]}")
            must([e["attempt"] for e in events(b, "delivered")] ==
                 [1] * len(files), "an attempt was charged")
    finally:
        WORLD.mx.set(smtpd_client_connection_count_limit=50)
    b.wait_for(lambda: len(WORLD.mx.mailbox("crowd", "real.test")) >=
               len(files), 60, "the last of the mail")
    must(len(WORLD.mx.mailbox("crowd", "real.test")) == len(files), "doubled")
    refused = WORLD.mx.said().count("Connection concurrency limit exceeded")
    must(refused > 0, "the limit was not reached")
    return f"{refused} connections refused"


def a_dead_first_mx_costs_no_attempt(mtaq):
    with box(mtaq) as b:
        b.start_daemon()
        submit(b, MAIL[0], "backup@backup.real.test")
        b.wait_final(1)
        b.stop_daemon()
        must(not events(b, "deferred"), "deferred")
        done, = events(b, "delivered")
    must(done["attempt"] == 1 and
         done["host"] == f"mx.real.test[{MX}:{WORLD.port}]", str(done))
    check("backup", MAIL[0].read_bytes(), MAIL[0].stem, "backup.real.test")


def converse(*sent):
    """What Postfix says to each of these."""
    said = []
    with socket.create_connection((MX, WORLD.port), 30) as s:
        with s.makefile("rb") as lines:
            for octets in (b"",) + sent:
                s.sendall(octets)
                line = lines.readline()
                while line[3:4] == b"-":
                    line = lines.readline()
                said.append(line.rstrip().decode())
    return said


def postfix_is_as_strict_as_the_tests_need(_):
    """It refuses a bare LF, and what is sent behind DATA too early: that no
    other test meets either answer says something about mtaq."""
    begin = (b"EHLO a.test\r\n", b"MAIL FROM:<a@a.test>\r\n",
             b"RCPT TO:<body@real.test>\r\n")
    said = converse(*begin, b"DATA\r\n", b"a: b\r\n\r\nx\ny\r\n.\r\n")
    must(said[4].startswith("354") and said[5].startswith("550 5.5.2"),
         str(said))
    said = converse(*begin, b"DATA\r\na: b\r\n\r\nx\r\n.\r\n")
    must(said[4].startswith("554 5.5.0 Error: SMTP protocol "
                            "synchronization"), str(said))


def wait_refused(watch, address, port):
    """Until the kernel has refused a connection there (an RST went out)."""
    head = struct.pack("!4sxxxx", socket.inet_aton(address))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        packet = watch.recv(2048)
        size = (packet[0] & 15) * 4
        tcp = packet[size:]
        if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP and \
           packet[12:16] == head[:4] and tcp[13] & 4 and \
           int.from_bytes(tcp[:2], "big") == port:
            return
    raise Failed("nobody tried to connect")


def a_stopped_server_costs_no_attempt(mtaq):
    """Parked as a site; each refused connection is a probe, none counted."""
    with box(mtaq, host={"bad_first": "100ms", "bad_max": "300ms"}) as b, \
         socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                       socket.htons(0x0800)) as watch:
        watch.bind(("lo", 0x0800))
        watch.settimeout(60)
        b.start_daemon()
        WORLD.mx.stop()
        try:
            for i in range(3):
                submit(b, MAIL[0], f"parked{i}@real.test")
            wait_refused(watch, MX, WORLD.port)
            wait_refused(watch, MX, WORLD.port)
            must(not events(b, "deferred"), "an outage was charged")
        finally:
            WORLD.mx.start()
        b.wait_final(3)
        b.stop_daemon()
        must(not events(b, "deferred"), "an outage was charged")
        must([e["attempt"] for e in events(b, "delivered")] == [1, 1, 1],
             "attempts were counted")
    for i in range(3):
        check(f"parked{i}", MAIL[0].read_bytes(), MAIL[0].stem)


def commands_travel_in_one_group(mtaq):
    """The wire holds Postfix' answers until it has seen DATA."""
    wire = Wire(WIRE, WORLD.port, (MX, WORLD.port))
    wire.start()
    octets = b"From: a@b.test\n\n\xe4\n"
    with box(mtaq) as b:
        file = b.dir / "wired.eml"
        file.write_bytes(octets)
        b.start_daemon()
        submit(b, file, "wired@wired.real.test")
        b.wait_final(1)
        b.stop_daemon()
    wire.close()
    must(b"250-PIPELINING" in wire.server, f"Postfix said {wire.server}")
    size = len(re.search(rb"DATA\r\n(.*)\r\n\.\r\n", wire.client,
                         re.S)[1]) + 2
    must(b"MAIL FROM:<%s> SIZE=%d BODY=8BITMIME\r\n"
         b"RCPT TO:<wired@wired.real.test>\r\nDATA\r\n" %
         (SENDER.encode(), size) in wire.client, f"mtaq said {wire.client}")
    check("wired", octets, "wired", "wired.real.test")


TESTS = [postfix_is_as_strict_as_the_tests_need,
         every_file_arrives_as_the_rules_say, odd_lines_arrive,
         large_messages_arrive, hundred_recipients_travel_in_one_transaction,
         an_unknown_user_bounces_in_postfix_own_words,
         a_greylisted_message_comes_again,
         a_limit_of_messages_a_time_defers,
         a_limit_of_connections_charges_nothing, a_dead_first_mx_costs_no_attempt,
         a_stopped_server_costs_no_attempt, commands_travel_in_one_group]

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with WORLD:
            main(TESTS)
    except Skipped as why:
        print(f"skipped: e2e_real: {why}")
        sys.exit(77)
