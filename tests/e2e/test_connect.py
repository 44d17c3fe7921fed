#!/usr/bin/env python3
"""Connecting and scheduling (docs/SMTP.md 5, 8 to 10, 17, 24, 31, 32) with a
real daemon, against mail servers that do what each test says.

test_connect.py MTAQ [NAME...]

Each domain has two hosts unless said otherwise: m1 (preference 10) and m2
(20).  A test says what they do, and then what became of the mail: its events,
who took it, and who was asked.
"""
import json
import os
import signal
import sys
import time

from harness import Box, Failed, main, must
from servers import CLOSE, Dns, MxFarm

M1, M2, DEAD = "127.0.80.1", "127.0.80.2", "127.0.80.9"
NAMES = {
    "two.test": {"MX": [(10, "m1.test"), (20, "m2.test")]},
    "one.test": {"MX": [(10, "m1.test")]},
    "dual.test": {"MX": [(10, "dual.mx.test")]},
    "third.test": {"MX": [(10, "m1.test"), (20, "dead.test")]},
    "m1.test": {"A": [M1]}, "m2.test": {"A": [M2]},
    "dead.test": {"A": [DEAD]},
    "dual.mx.test": {"A": [M1], "AAAA": ["::1"]},
}
BODY = "From: a@from.test\n\nhello\n"


class World:
    """Name server, mail servers and a daemon that knows them."""

    def __init__(self, mtaq, m1=None, m2=None, more=None, **changes):
        self.dns = Dns(dict(NAMES))
        self.mx = MxFarm({M1: m1 or {}, M2: m2 or {}} | (more or {}))
        self.box = Box(mtaq, "mtaq-connect")
        self.base = dict(dns__servers=f'["{self.dns.at}"]', retry='["1s"]',
                         smtp__port=self.mx.port, session__idle="100ms",
                         stop_grace="1s")
        self.configure(**changes)

    def configure(self, **changes):
        self.box.configure(**(self.base | changes))

    def __enter__(self):
        self.box.start_daemon()
        return self

    def __exit__(self, *why):
        self.box.__exit__(*why)
        self.mx.close()
        self.dns.__exit__()

    def submit(self, *to, body=BODY, campaign=None, each=False):
        """The ids, one for each domain and body, or for each recipient."""
        options = ["--campaign", campaign] if campaign else []
        options += ["--each"] * each
        file = self.box.dir / "m.eml"
        file.write_text(body)
        done = self.box.run("submit", "-c", self.box.conf, "--from",
                            "a@from.test", *options, *[w for t in to
                                             for w in ("--to", t)], file)
        return done.stdout.split()

    def events(self, *kinds):
        if not self.box.events.exists():
            return []
        return [e for e in map(json.loads,
                               self.box.events.read_text().splitlines())
                if "type" in e and e["type"] != "accepted" and
                (not kinds or e["type"] in kinds)]

    def wait(self, kind, count=1, timeout=60):
        """Until there are so many events of the kind; all of them."""
        self.box.wait_for(lambda: len(self.events(kind)) >= count, timeout,
                          f"{count} {kind}")
        return self.events(kind)

    def only_delivered(self, count, *hosts):
        """So many are delivered, each in its first attempt, nothing else
        happened, and these hosts took them."""
        self.box.wait_final(count, timeout=60)
        got = self.events()
        must([e["type"] for e in got] == ["delivered"] * count, str(got))
        must(all(e["attempt"] == 1 for e in got), str(got))
        taken = {a for at in self.mx.taken().values() for a in at}
        must(taken == set(hosts), f"taken by {taken}: {got}")
        return got

    def row(self, *args):
        out = self.box.run(*args, "-c", self.box.conf, "--json").stdout
        return [json.loads(line) for line in out.splitlines()]


# --- rule 5 ------------------------------------------------------------------

def rule_05_an_idle_session_may_end_at_any_time(mtaq):
    """421 or a silent close while nothing is going on: nobody's failure."""
    def leave(session):
        session.peer.sendall(b"250 2.0.0 taken\r\n421 4.4.2 idle, bye\r\n")
        return CLOSE

    for dot in (leave, ["250 2.0.0 taken", "250 2.0.0 taken"]):
        with World(mtaq, m1={"dot": dot}, session__idle="30s") as w:
            w.submit("a@two.test")
            w.wait("delivered") if callable(dot) else w.box.wait_final(1)
            if not callable(dot):
                w.mx[M1].sessions[0].peer.shutdown(2)
            w.mx.wait(lambda: w.mx[M1].sessions[0].ended, "the session's end")
            w.submit("b@two.test")
            w.box.wait_final(2)
            site, = w.row("site", "list")
            must(site["hosts_bad"] == 0, str(site))
            must(w.mx.connects(M1) == 2 and w.mx.connects(M2) == 0,
                 "not on a new session to the same host")
            must(all(e["attempt"] == 1 for e in w.events("delivered")) and
                 not w.events("deferred", "unsure"), str(w.events()))


def rule_05_a_silent_close_teaches_messages_per_session(mtaq):
    """The server closes at MAIL after three: retried at once, uncharged, and
    from then on sessions carry three."""
    for last in (CLOSE, "421 4.7.0 too many messages"):
        def mail(session):
            return last if session.mails == 3 else "250 fine"

        with World(mtaq, m1={"MAIL": mail}, session__idle="30s",
                   site__connections="1") as w:
            w.submit(*[f"r{i}@one.test" for i in range(1)])
            for i in range(1, 12):
                w.submit(f"r{i}@one.test")
            got = w.only_delivered(12, M1)
            must(len(got) == 12, str(got))
            site, = w.row("site", "list")
            must(site["messages_per_session"] == 3 and
                 site["hosts_bad"] == 0, str(site))
            must(max(s.mails for s in w.mx[M1].sessions) == 3, "more")


# --- rule 8 ------------------------------------------------------------------

def rule_08_a_second_connect_starts_after_two_seconds(mtaq):
    """m1 is dark: its backlog is full, no SYN is answered.  m2 has the mail
    long before the connect to m1 times out (30 s)."""
    import socket
    with World(mtaq) as w:
        w.mx.shut(M1)
        with socket.socket() as dark:
            dark.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            dark.bind((M1, w.mx.port))
            dark.listen(0)
            fill = [socket.socket() for _ in range(4)]
            for s in fill:
                s.setblocking(False)
                s.connect_ex((M1, w.mx.port))
            begin = time.monotonic()
            w.submit("a@two.test")
            w.only_delivered(1, M2)
            took = time.monotonic() - begin
            for s in fill:
                s.close()
        must(2 <= took < 25, f"after {took:.1f} s")
    return f"after {took:.1f} s"


def rule_08_a_host_that_is_back_gets_all_its_sessions(mtaq):
    """Soon after the probe's first mail, and not with the next look at a
    site whose mail waits."""
    def slowly(_):
        time.sleep(0.5)
        return "250 2.0.0 taken"

    with World(mtaq, m1={"greet": "554 no"}, host__bad_first="1s") as w:
        w.submit(*[f"r{i}@one.test" for i in range(300)], each=True)
        w.mx.wait(lambda: w.mx[M1].sessions, "the first connection")
        w.mx[M1].on = {"dot": slowly}
        w.mx.wait(lambda: w.mx[M1].mails, "the probe's mail")
        w.mx.wait(lambda: sum(s.mails > 0 for s in w.mx[M1].sessions) > 1,
                  "a second session", 15)


def rule_08_both_families_are_used(mtaq):
    """One host with an IPv4 and an IPv6 address: mail goes to both, and when
    one refuses the other takes it in the same attempt."""
    with World(mtaq, more={"::1": {}}, session__messages="1") as w:
        for i in range(10):
            w.submit(f"r{i}@dual.test")
        w.only_delivered(10, M1, "::1")
        w.mx.shut("::1")
        for i in range(10, 20):
            w.submit(f"r{i}@dual.test")
        w.only_delivered(20, M1, "::1")
        hosts = {e["host"] for e in w.events()[10:]}
        must(hosts == {f"dual.mx.test[{M1}:{w.mx.port}]"}, str(hosts))


def rule_08_a_bad_host_is_left_alone(mtaq):
    """Remembered: one connection for many mails, until its time is over; then
    one probe."""
    with World(mtaq, m1={"greet": "554 no"}, host__bad_first="3s",
               session__messages="1", site__connections="1") as w:
        for i in range(10):
            w.submit(f"r{i}@two.test")
        w.only_delivered(10, M2)
        took = time.monotonic() - w.mx[M1].sessions[0].began
        must(w.mx.connects(M1) <= 1 + took / 3, f"{w.mx.connects(M1)} "
             f"connections in {took} s")
        w.mx[M1].on = {}
        end = w.mx[M1].sessions[0].began + 3.2
        w.box.wait_for(lambda: time.monotonic() > end, 30, "3 seconds")
        w.submit("last@two.test")
        w.only_delivered(11, M1, M2)
        must(w.mx.taken()["last@two.test"] == [M1], "not by the probe")


# --- rule 9 ------------------------------------------------------------------

NEXT_HOST = [
    ({"greet": "421 4.3.2 not now"}, "greeting 421"),
    ({"greet": "450 4.3.2 not now"}, "greeting 450"),
    ({"greet": "554 5.3.2 no"}, "greeting 554"),
    ({"greet": "nonsense"}, "greeting nonsense"),
    ({"greet": CLOSE}, "close before the greeting"),
    ({"EHLO": "421 4.3.2 not now"}, "EHLO 421"),
    ({"EHLO": "451 4.3.2 not now"}, "EHLO 451"),
    ({"EHLO": "550 5.7.1 no"}, "EHLO 550"),
    ({"EHLO": CLOSE}, "close at EHLO"),
    ({"EHLO": "502 what?", "HELO": "550 no"}, "HELO 550"),
    ({"MAIL": "421 4.3.2 not now"}, "MAIL 421 on a fresh session"),
    ({"MAIL": CLOSE}, "close at MAIL on a fresh session"),
]


def rule_09_what_makes_for_the_next_host(mtaq):
    """In the same attempt: no deferral, no attempt more."""
    for on, what in NEXT_HOST:
        with World(mtaq, m1=on) as w:
            w.submit("a@two.test")
            try:
                w.only_delivered(1, M2)
            except Exception as e:
                raise AssertionError(f"{what}: {e}") from None
            must(w.mx.connects(M1) == 1, f"{what}: m1 was not tried once")
    return f"{len(NEXT_HOST)} ways"


# What m1 does; the first event; its stage.
WAITS = [
    ({"MAIL": "451 4.3.0 later"}, 451, "mail"),
    ({"RCPT": "450 4.2.0 later"}, 450, "rcpt"),
    ({"RCPT": "421 4.3.0 later"}, 421, "rcpt"),
    ({"DATA": "451 4.3.0 later"}, 451, "data"),
    ({"dot": "451 4.3.0 later"}, 451, "eod"),
    ({"RCPT": CLOSE}, None, "rcpt"),
]
FINAL = [
    ({"MAIL": "550 5.7.0 no"}, 550, "mail"),
    ({"RCPT": "550 5.1.1 no"}, 550, "rcpt"),
    ({"DATA": "554 5.6.0 no"}, 554, "data"),
    ({"dot": "554 5.6.0 no"}, 554, "eod"),
]


def rule_09_what_waits_and_what_is_final(mtaq):
    """4yz waits for the schedule, 5yz is the end; the second host is asked in
    neither case."""
    for on, code, stage in WAITS + FINAL:
        final = (on, code, stage) in FINAL
        with World(mtaq, m1=on, retry='["1h"]') as w:
            w.submit("a@two.test")
            got = w.wait("bounced" if final else "deferred")
            must(len(got) == 1 and got[0].get("code") == code and
                 got[0]["stage"] == stage and got[0]["attempt"] == 1,
                 f"{on}: {got}")
            must(w.mx.connects(M2) == 0, f"{on}: m2 was asked")
    return f"{len(WAITS)} and {len(FINAL)}"


def rule_09_a_site_that_refuses_everybody_bounces_nothing(mtaq):
    """554 as greeting on all hosts: parked, uncharged, delivered later."""
    no = {"greet": "554 5.7.1 we do not want you"}
    with World(mtaq, m1=no, m2=no, host__bad_first="300ms",
               host__bad_max="300ms") as w:
        for i in range(5):
            w.submit(f"r{i}@two.test")
        w.mx.wait(lambda: len(w.mx[M1].sessions) +
                  len(w.mx[M2].sessions) >= 5, "probes")
        must(w.events() == [], str(w.events()))
        site, = w.row("site", "list")
        must("554" in site["why"] and "we do not want you" in site["why"],
             str(site))
        w.mx[M1].on = w.mx[M2].on = {}
        w.box.wait_final(5)
        must([e["type"] for e in w.events()] == ["delivered"] * 5 and
             all(e["attempt"] == 1 for e in w.events()), str(w.events()))


def rule_09_helo_when_there_is_no_ehlo(mtaq):
    for said in ("500 what?", "502 not here", "504 never"):
        with World(mtaq, m1={"EHLO": said}) as w:
            w.submit("a@one.test")
            w.only_delivered(1, M1)
            must(w.mx[M1].lines[:2] == ["EHLO mail.test", "HELO mail.test"],
                 str(w.mx[M1].lines))


# --- rule 10 -----------------------------------------------------------------

def rule_10_every_wait_ends(mtaq):
    """A server that falls silent: the next host, or later; after the dot the
    mail is unsure."""
    def silent(_):
        time.sleep(60)
        return CLOSE

    # Short for what never comes alone; where m2 is asked for the same, it has
    # the time that a busy machine needs.
    for verb, kind, option, time_out in (
            ("greet", "delivered", "greeting", "4s"),
            ("EHLO", "delivered", "ehlo", "4s"),
            ("MAIL", "delivered", "mail", "4s"),
            ("RCPT", "deferred", "rcpt", "300ms"),
            ("DATA", "deferred", "data", "300ms"),
            ("dot", "unsure", "dot", "300ms")):
        with World(mtaq, m1={verb: silent}, retry='["1h"]',
                   **{f"smtp__timeout__{option}": time_out}) as w:
            w.submit("a@two.test")
            got = w.wait(kind)
            must(len(w.events()) == 1 and got[0]["attempt"] ==
                 (0 if kind == "none" else 1), f"{verb}: {w.events()}")
            must((w.mx.connects(M2) == 1) == (kind == "delivered"),
                 f"{verb}: {w.events()}")


def rule_10_a_wait_ends_that_began_during_another(mtaq):
    """The greeting comes late, but in time, then nothing: the time for the
    answer to EHLO runs from EHLO on, and out."""
    def late(_):
        time.sleep(2)
        return "220 mx.test ESMTP"

    def silent(_):
        time.sleep(60)
        return CLOSE

    short = {f"smtp__timeout__{k}": "4s" for k in ("greeting", "ehlo")}
    with World(mtaq, m1={"greet": late, "EHLO": silent}, retry='["1h"]',
               **short) as w:
        w.submit("a@two.test")
        w.wait("delivered")
        must(w.mx.connects(M2) == 1, str(w.events()))


# --- rule 17 -----------------------------------------------------------------

def rule_17_unsure_mail_is_tried_five_times_and_held(mtaq):
    """The connection breaks at the dot's answer, each time; a retry comes not
    before its own delay, which doubles; then it is held and said so."""
    with World(mtaq, m1={"dot": CLOSE}, unsure={"first": "1s", "max": "3"},
               retry='["1s"]') as w:
        w.submit("a@one.test")
        w.wait("held")
        got = w.events()
        must([e["type"] for e in got] == ["unsure", "unsure", "held"],
             str(got))
        must(all("the server may have the mail" in e["reply"] or
                 e["stage"] == "eod" for e in got), str(got))
        must([e["attempt"] for e in got] == [1, 2, 3], str(got))
        begins = [s.began for s in w.mx[M1].sessions]
        must(len(begins) == 3 and begins[1] - begins[0] >= 1 and
             begins[2] - begins[1] >= 2, str(begins))


# --- rule 24 -----------------------------------------------------------------

BIG = BODY + ("x" * 70 + "\n") * 100


def small(limit):
    return {"EHLO": f"250-mx.test\n250 SIZE {limit}"}


def rule_24_too_large_for_one_host_is_for_the_next(mtaq):
    """In the same attempt, and nothing is wrong with the first: small mail
    goes on going there."""
    with World(mtaq, m1=small(5000), m2=small(50000)) as w:
        w.submit("big@two.test", body=BIG)
        got = w.only_delivered(1, M2)
        must(got[0]["host"] == f"m2.test[{M2}:{w.mx.port}]", str(got))
        w.submit("small@two.test")
        w.submit("big2@two.test", body=BIG)
        w.only_delivered(3, M1, M2)
        taken = w.mx.taken()
        must(taken["small@two.test"] == [M1] and
             taken["big2@two.test"] == [M2], str(taken))
        site, = w.row("site", "list")
        must(site["hosts_bad"] == 0, str(site))


def rule_24_too_large_for_every_host_bounces(mtaq):
    """5.3.4, once; each host was asked, none was told anything."""
    with World(mtaq, m1=small(5000), m2=small(6000)) as w:
        w.submit("big@two.test", body=BIG)
        w.box.wait_final(1)
        got, = w.events()
        must(got["type"] == "bounced" and got["enhanced"] == "5.3.4" and
             "larger than any host takes" in got["reply"] and
             "code" not in got, str(got))
        must(w.mx.connects(M1) == 1 and w.mx.connects(M2) == 1,
             "not each host once")
        must(not any(line.startswith("MAIL") for line in
                     w.mx[M1].lines + w.mx[M2].lines), "MAIL was sent")
        w.submit("small@two.test")
        w.box.wait_final(2)
        must(w.mx.taken() == {"small@two.test": [M1]}, str(w.mx.taken()))


def rule_24_too_large_and_the_others_away_is_for_later(mtaq):
    """m2 cannot be reached: the mail is deferred, not bounced, and delivered
    when m2 is there again."""
    with World(mtaq, m1=small(5000), m2=small(50000), retry='["2s"]',
               host__bad_first="1s", host__bad_max="1s") as w:
        w.mx.shut(M2)
        w.submit("big@two.test", body=BIG)
        got = w.wait("deferred")[0]
        must(got["enhanced"] == "4.4.1" and
             "no host that may take this message" in got["reply"], str(got))
        w.mx.open(M2)
        w.box.wait_final(1)
        must(w.events()[-1]["type"] == "delivered" and
             w.mx.taken() == {"big@two.test": [M2]}, str(w.events()))


def rule_24_a_stop_loses_nothing_that_waits(mtaq):
    """The daemon ends in peace while a mail waits for m2's greeting; the next
    one delivers it."""
    silent = {"greet": lambda _: time.sleep(30) or CLOSE}
    with World(mtaq, m1=small(5000), m2=silent) as w:
        w.submit("big@two.test", body=BIG)
        w.mx.wait(lambda: w.mx[M2].sessions, "a connection to m2")
        w.box.stop_daemon()
        must(w.events() == [], str(w.events()))
        w.mx[M2].on = small(50000)
        w.box.start_daemon()
        w.only_delivered(1, M2)


def rule_24_much_that_is_too_large(mtaq):
    """More of it than a site's list holds, mixed with small mail."""
    with World(mtaq, m1=small(5000), m2=small(50000),
               limits__connections="8") as w:
        big = [f"b{i}@two.test" for i in range(300)]
        little = [f"s{i}@two.test" for i in range(300)]
        for some in range(0, 300, 100):
            for i in range(some, some + 100, 10):
                w.submit(*big[i:i + 10], body=BIG)
                w.submit(*little[i:i + 10])
        w.box.wait_final(600)
        taken = w.mx.taken()
        must(all(taken[a] == [M2] for a in big), "big mail went elsewhere")
        must(all(taken[a] == [M1] for a in little), "small mail did")


def rule_24_smtputf8_is_a_hosts_own(mtaq):
    """An address that needs it: the next host, then 5.6.7; the other address
    of the same message is not touched."""
    yes = {"EHLO": "250-mx.test\n250-8BITMIME\n250 SMTPUTF8"}
    with World(mtaq, m2=yes) as w:
        w.submit("j\u00f6rg@two.test")
        w.only_delivered(1, M2)
        must(any("SMTPUTF8" in line for line in w.mx[M2].lines),
             str(w.mx[M2].lines))
    with World(mtaq) as w:
        w.submit("j\u00f6rg@two.test", "plain@two.test")
        w.box.wait_final(2)
        got = {e["to"]: e for e in w.events()}
        must(got["plain@two.test"]["type"] == "delivered" and
             got["j\u00f6rg@two.test"]["type"] == "bounced" and
             got["j\u00f6rg@two.test"]["enhanced"] == "5.6.7", str(got))


# --- rule 31 -----------------------------------------------------------------

SLOTS = [
    ("450 4.7.1 greylisted, come again", 300, 360),
    ("451 4.7.1 try later", 300, 360),
    ("451 4.3.0 see you: Greylisted", 300, 360),
    ("452 4.2.2 mailbox full", 3600, 4320),
    ("451 4.3.0 local error", 8, 12),
]


def rule_31_slots_outlive_a_crash(mtaq):
    """What a reply asks for is in the queue as a time, not before the least
    and not long after it; SIGKILL and a restart change nothing of it."""
    def rcpt(session):
        n = int(session.rcpt.split("@")[0][1:])
        return SLOTS[n][0]

    with World(mtaq, m1={"RCPT": rcpt}, retry='["10s"]') as w:
        begin = time.time()
        for i in range(len(SLOTS)):
            w.submit(f"r{i}@one.test")
        w.wait("deferred", len(SLOTS))
        end = time.time()
        before = due(w)
        for i, (said, least, most) in enumerate(SLOTS):
            at = before[f"r{i}@one.test"]
            # in mail time, which is whole seconds, rounded up to 5 or 60
            must(begin + least - 1 <= at <= end + most + 61,
                 f"{said}: {at - begin} s")
        w.box.kill_daemon()
        w.box.start_daemon()
        must(due(w) == before, f"{due(w)} is not {before}")


def due(w):
    """{recipient: when it is tried again, as seconds}"""
    return {r["to"]: r["arrived"] + r["age_s"] + r["due_in_s"]
            for r in w.row("queue", "list", "--all")}


def rule_31_the_same_source_address_comes_again(mtaq):
    """Greylisting knows the triplet: a retry comes from where the first
    attempt came from."""
    with World(mtaq, m1={"RCPT": ["450 4.7.1 greylisted"] * 2 + ["250 yes"]},
               smtp__sources='["127.0.0.5"]', greylist="1s") as w:
        w.submit("a@one.test")
        w.box.wait_final(1)
        must([s.source for s in w.mx[M1].sessions] == ["127.0.0.5"] * 3,
             str([s.source for s in w.mx[M1].sessions]))
        must({e["source"] for e in w.events()} == {"127.0.0.5"},
             str(w.events()))


def rule_31_several_sources_share_the_sites(mtaq):
    """Each site sees one of the addresses, before and after a restart; all of
    them are used; IPv6 is not, since none of them is of that kind."""
    sources = ["127.0.0.5", "127.0.0.6", "127.0.0.7"]
    sites = [f"127.0.81.{i}" for i in range(1, 25)]
    with World(mtaq, more={a: {} for a in sites + ["::1"]},
               smtp__sources=json.dumps(sources)) as w:
        for i, address in enumerate(sites):
            w.dns.names |= {f"s{i}.test": {"A": [address], "AAAA": ["::1"]}}
        for turn in range(3):
            w.submit(*[f"t{turn}@s{i}.test" for i in range(len(sites))])
            w.box.wait_final((turn + 1) * len(sites))
            if turn == 1:
                w.box.stop_daemon()
                w.box.start_daemon()
        got = {e["domain"]: set() for e in w.events()}
        for e in w.events("delivered"):
            got[e["domain"]].add(e["source"])
        must(len(got) == len(sites) and
             all(len(s) == 1 for s in got.values()), str(got))
        seen = {s.source for a in sites for s in w.mx[a].sessions}
        must(seen == set(sources) and w.mx.connects("::1") == 0, str(seen))


def rule_08_what_is_our_own_blames_no_host(mtaq):
    """No way out for IPv6, then no such source address at all: a host's other
    address is used; without one its mail waits without an attempt, status and
    log say why (the log once), and no host is bad for it."""
    with World(mtaq, more={"::1": {}}, smtp__sources='["127.0.0.5"]') as w:
        def trouble():
            return w.row("status")[0]["own_trouble"]

        def told(words):
            return w.box.daemon_log.read_text().count(words)

        w.dns.names |= {"v6.test": {"AAAA": ["::1"]}}
        w.submit("a@dual.test", "b@dual.test")
        w.only_delivered(2, M1)
        w.submit("c@v6.test")
        w.box.wait_for(lambda: "no IPv6 host" in trouble(), 60, "the words")
        w.box.stop_daemon()
        must(told("no IPv6 host can") == 1, "the log")
        w.configure(smtp__sources='["192.0.2.77"]')
        w.box.start_daemon()
        w.submit("d@one.test")
        source = "one of our addresses"
        w.box.wait_for(lambda: source in trouble(), 60, "the words")
        must(source in w.box.run("status", "-c", w.box.conf).stdout, "status")
        rows = w.row("site", "show", "m1.test")
        health = [r["health"] for r in rows if "health" in r]
        must(health and set(health) == {"unknown"}, str(rows))
        must(len(w.events()) == 2, str(w.events()))
        w.box.stop_daemon()
        must(told(source) == 1, "the log")
        w.configure()
        w.box.start_daemon()
        w.box.wait_final(4)
        got = w.events()
        must({(e["type"], e["attempt"]) for e in got} == {("delivered", 1)},
             str(got))


def rule_31_the_age_limit_finds_mail_wherever_it_is(mtaq):
    """Behind a slow site, a dead one, a paused one: expired, soon after the
    limit.  (What is in the queue, waiting or held, is queue/'s to find, once
    a minute: a_paused_queue_gives_only_what_has_expired.)"""
    slow = {"greet": "421 4.7.0 [TSS04] later"}
    with World(mtaq, m1=slow, age_limit="4s") as w:
        w.dns.names |= {"slow.test": {"MX": [(10, "m1.test")]},
                        "gone.test": {"MX": [(10, "dead.test")]},
                        "paused.test": {"MX": [(10, "m2.test")]}}
        w.submit("first@slow.test", "a@gone.test", "warm@paused.test")
        w.wait("delivered")
        w.row("site", "pause", "m2.test")
        w.mx.wait(lambda: w.mx[M1].sessions, "the slow site's 421")
        w.submit("a@slow.test", "b@slow.test", "a@paused.test")
        names = {"first@slow.test", "a@slow.test", "b@slow.test",
                 "a@gone.test", "a@paused.test"}
        try:
            w.box.wait_for(lambda: {e["to"] for e in w.events("expired")} ==
                           names, 60, "the end of all")
        except Failed as e:
            left = names - {e["to"] for e in w.events("expired")}
            raise Failed(f"{e}: {left} are left") from None
        must(all(e["enhanced"] == "4.4.7" for e in w.events("expired")),
             str(w.events("expired")))


WHO = "450 4.7.26 who is that"


def rule_31_the_age_limit_finds_parked_mail(mtaq):
    """The site refuses the sender: what waits for that expires all the same,
    though nothing else happens there."""
    def late(_):
        time.sleep(2)       # the others are in its queue by then
        return WHO

    with World(mtaq, m1={"dot": late}, age_limit="6s", retry='["1h"]',
               session__idle="1m", site__connections="1") as w:
        w.submit("a@one.test", "b@one.test", "c@one.test", each=True)
        first = {e["to"] for e in w.wait("deferred")}
        w.box.wait_for(lambda: len({e["to"] for e in w.events("expired")} -
                                   first) == 2, 20, "the end of the others")
        must(w.mx[M1].asked["dot"] == 1, "the flow was not parked")


def rule_31_an_operator_ends_what_parks_mail(mtaq):
    with World(mtaq, m1={"dot": [WHO, "250 2.0.0 taken"]}) as w:
        w.submit("first@one.test")
        w.wait("deferred")
        w.submit("a@one.test")

        def limit():
            rows = [r for r in w.row("site", "list") if r.get("tasks") == 2]
            return rows[0]["limit"] if rows else None
        w.box.wait_for(lambda: limit() == "tenant", 30, "two parked mails")
        w.row("site", "retry", "m1.test", "-n")
        must(limit() == "tenant", "a dry run woke them")
        w.row("site", "retry", "m1.test")
        w.wait("delivered", 2, 30)


TESTS = [t for n, t in sorted(globals().items()) if n.startswith("rule_")]
# The other back end is asked only where sockets matter.
if os.environ.get("MTAQ_TEST_IO") == "epoll":
    TESTS = [t for t in TESTS if t.__name__[:7] in
             ("rule_05", "rule_08", "rule_10")]

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(TESTS)
