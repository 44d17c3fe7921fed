#!/usr/bin/env python3
"""Rule 19 of docs/SMTP.md through the whole program: who is sent groups, what
becomes of mail where a server does not bear them, and who says so.

test_group.py MTAQ [NAME...]
"""
import collections
import json
import os
import pathlib
import re
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Box, main, must  # noqa: E402
from listening import Listening, offer  # noqa: E402

MESSAGES = 60


class Server(Listening):
    """Takes everything, and knows what was there when a dot came.

    dot(server, session) gives the replies to a dot, or None to hang up: after
    them when it is the last of a list.  session.grouped: something stood
    behind this dot; server.groups counts them."""

    def __init__(self, ehlo="PIPELINING", dot=None, bdat=None, mails=None,
                 proof=True):
        self.ehlo, self.dot = ehlo, dot or (lambda *_: ["250 2.0.0 ok"])
        self.bdat = bdat or self.dot     # replies to a chunk behind RCPT
        self.proof = proof      # False: it hangs up
        self.flights = self.refusals = self.streams = 0
        self.mails = mails      # messages a session, then 421
        self.groups = 0
        self.taken = collections.Counter()    # token: copies
        super().__init__()

    def meet(self, conn):
        return Session(conn)

    def talk(self, _, s):
        s.say("220 mx.test")
        while True:
            line = s.line()
            verb = line[:4].upper()
            if verb == b"EHLO":
                s.say(offer("mx.test", *self.ehlo.split()))
            elif verb == b"BDAT":
                if not self.chunk(s, int(line.split()[1])):
                    return
            elif verb == b"RCPT":
                s.rcpt = b"refused" not in line
                s.say("250 2.1.5 ok" if s.rcpt else "550 5.1.1 who")
                self.flights += s.has_more() and s.kept[:4] == b"BDAT"
            elif verb == b"DATA":
                s.say("354 go")
                if not self.content(s):
                    return
            else:
                s.rcpt = False
                if verb == b"MAIL" and s.dots == self.mails:
                    s.say("421 4.7.0 enough")
                    s.leave()
                    return
                s.say("221 2.0.0 bye" if verb == b"QUIT" else
                      "250 2.1.0 ok" if verb == b"MAIL" else "250 2.0.0 ok")
            if verb == b"QUIT":
                return

    def chunk(self, s, n):
        octets = s.octets(n)
        if not s.rcpt:
            self.refusals += 1
            if not self.proof:
                return False
            s.say("503 5.5.1 nobody")
            return True
        s.rcpt = False
        s.streamed = s.has_more() and s.kept[:4] == b"RSET"
        self.streams += s.streamed
        return self.judge(s, self.bdat, octets.split(b"\r\n"))

    def content(self, s):
        s.rcpt = False
        return self.judge(s, self.dot, iter(s.line, b"."))

    def judge(self, s, dot, lines):
        token = None
        for line in lines:
            found = re.match(rb"X-Mtaq-Token: (\S+)", line)
            token = token or found and found[1].decode()
        s.grouped = s.has_more()
        s.dots += 1
        with self.lock:
            self.groups += s.grouped
            replies = dot(self, s)
            said = next(filter(None, replies), "")
            self.taken[token] += said.startswith("2")
        for reply in replies:
            if reply is None:
                return False
            s.say(reply)
        return True


class Session:
    def __init__(self, conn):
        self.conn, self.kept = conn, b""
        self.dots, self.grouped, self.rcpt = 0, False, False
        self.streamed = False

    def say(self, text):
        self.conn.sendall(text.encode() + b"\r\n")

    def leave(self):
        """So that what was said arrives: octets that nobody has read at a
        close take back what is not acknowledged yet."""
        self.conn.shutdown(socket.SHUT_WR)
        while self.conn.recv(65536):
            pass

    def more(self):
        got = self.conn.recv(65536)
        if not got:
            raise OSError("closed")
        self.kept += got

    def line(self):
        while b"\r\n" not in self.kept:
            self.more()
        line, _, self.kept = self.kept.partition(b"\r\n")
        return line

    def octets(self, n):
        while len(self.kept) < n:
            self.more()
        octets, self.kept = self.kept[:n], self.kept[n:]
        return octets

    def has_more(self):
        """A flight is one send: what belongs to it is here with the dot."""
        try:
            self.kept += self.conn.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        return self.kept != b""


def box_of(mtaq, server, sessions=1, grouping="auto", **changes):
    box = Box(mtaq, "mtaq-group")
    changes.setdefault("routes", f'{{ "*": "{server.address}" }}')
    box.configure(site__connections=str(sessions),
                  session__grouping=grouping, unsure__first="1s", **changes)
    return box


def deliver(box, messages=MESSAGES, size=600):
    box.start_daemon()
    # All of it waits: a group needs a message that does.
    box.run("campaign", "pause", "c", "-c", box.conf)
    box.load("--messages", messages, "--size", size, "--domains", 1,
             "--campaign", "c")
    box.run("campaign", "resume", "c", "-c", box.conf)
    types = box.wait_final(messages)
    must(types["delivered"] == messages, types)
    host = show_host(box)
    box.stop_daemon()
    return box.count_events(), host


def show_host(box):
    name = box.run("site", "list", "--json", "-c", box.conf).stdout
    name = json.loads(name.splitlines()[0])["site"]
    rows = box.run("site", "show", name, "--json", "-c", box.conf).stdout
    host, = [r for r in map(json.loads, rows.splitlines()) if "address" in r]
    return host


def explained(host, state):
    must(host["grouping"] == state, host)
    must((0 < host["grouping_in_s"] <= 86400) == (state == "distrusted"), host)


def all_came_once(server, messages=MESSAGES, doubled=0):
    must(len(server.taken) == messages and None not in server.taken,
         f"{len(server.taken)} of {messages} came")
    extra = sum(server.taken.values()) - messages
    must(extra <= doubled, f"{extra} came twice")


def rule_19_a_host_earns_groups(mtaq):
    with Server() as server, box_of(mtaq, server, sessions=4) as box:
        types, host = deliver(box)
        all_came_once(server)
        explained(host, "grouped")
        must(server.groups >= 10 and "unsure" not in types,
             f"{server.groups} groups, {types}")
        return f"{server.groups} of {MESSAGES} grouped"


def rule_19_only_one_session_tries(mtaq):
    """Until its groups have come out whole, no other one is grouped."""
    tried = set()

    def dot(server, session):
        if session.grouped and server.groups <= 2:
            tried.add(session)
        return ["250 2.0.0 ok"]
    with Server(dot=dot) as server, box_of(mtaq, server, sessions=8) as box:
        deliver(box, 400)
        all_came_once(server, 400)
        must(len(tried) == 1, f"{len(tried)} sessions tried at once")


def rule_19_off_and_not_offered_group_nothing(mtaq):
    for how, ehlo, state in (("off", "PIPELINING", "off"),
                             ("on", "8BITMIME", "not-offered")):
        with Server(ehlo) as server, \
                box_of(mtaq, server, grouping=how) as box:
            _, host = deliver(box)
            all_came_once(server)
            explained(host, state)
            must(server.groups == 0, f"{how}: {server.groups} groups")


def rule_19_on_waits_for_nobody(mtaq):
    with Server() as server, box_of(mtaq, server, sessions=4,
                                    grouping="on") as box:
        _, host = deliver(box)
        all_came_once(server)
        explained(host, "grouped")
        must(server.groups >= 10, f"{server.groups} groups")


def a_stray_answer_costs_one_unsure_and_no_mail(mtaq):
    """A refusal behind a stray 250: to who counts alone it looks accepted."""
    strays = []

    def dot(server, session):
        if session.grouped and not strays:
            strays.append(session)
            return ["451 4.3.0 not this one", "250 2.0.0 stray"]
        return ["250 2.0.0 ok"]
    with Server(dot=dot) as server, box_of(mtaq, server, sessions=4) as box:
        types, host = deliver(box)
        all_came_once(server)
        explained(host, "distrusted")
        must(types.get("unsure") == 1, types)
        must(server.groups == 1, f"{server.groups} groups")


def who_hangs_up_on_a_group_gets_its_mail_one_by_one(mtaq):
    """It answers the dot and is gone.  Nobody is charged, and it is not taken
    for a server of one message a session (rule 5)."""
    def dot(_, session):
        return ["250 2.0.0 ok", None] if session.grouped else ["250 2.0.0 ok"]
    with Server(dot=dot) as server, box_of(mtaq, server) as box:
        types, host = deliver(box)
        all_came_once(server)
        explained(host, "distrusted")
        must(host["messages_per_session"] == 0, host)
        must(server.groups == 1 and len(server.sessions) == 2, server.groups)
        must(not {"unsure", "deferred"} & types.keys(), types)


def no_answer_to_the_dot_is_one_unsure(mtaq):
    """It hangs up without a word: as many doubled as sessions at most."""
    gone = []

    def dot(server, session):
        if session.grouped and server.groups > 8 and not gone:
            gone.append(session)
            return [None]
        return ["250 2.0.0 ok"]
    with Server(dot=dot) as server, box_of(mtaq, server) as box:
        types, _ = deliver(box)
        all_came_once(server, doubled=1)
        must(types.get("unsure") == 1, types)


def a_limit_of_messages_is_kept_by_groups(mtaq):
    """session.messages: no group begins what the session may not carry."""
    with Server() as server, box_of(mtaq, server, grouping="on",
                                    session__messages="7") as box:
        deliver(box)
        all_came_once(server)
        dots = [s.dots for s in server.sessions]
        must(max(dots) == 7 and server.groups >= 10, f"{dots}")


def doubled_by_a_kill(mtaq, server, cap, messages, before, **changes):
    """Killed when so many had ended: no more than sessions + cap come twice."""
    sessions = 4
    with box_of(mtaq, server, sessions=sessions, workers="1",
                max_unsynced_outcomes=str(cap), **changes) as box:
        box.start_daemon()
        box.load("--messages", messages, "--size", 600, "--domains", 1)
        box.wait_final(before)
        box.kill_daemon()
        box.start_daemon()
        box.wait_final(messages)
        box.stop_daemon()
        all_came_once(server, messages, doubled=sessions + cap)
        return f"{sum(server.taken.values()) - messages} doubled"


def a_killed_daemon_doubles_no_more_than_its_bound(mtaq):
    """Sessions and max_unsynced_outcomes: one behind another has its place."""
    with Server() as server:
        return doubled_by_a_kill(mtaq, server, 1, 400, 100, grouping="on")


CHUNKS = "PIPELINING ENHANCEDSTATUSCODES CHUNKING"
STREAMS = {"smtp__chunking": "on", "smtp__chunks_ahead": "20"}


def chunked(host, state):
    must(host["chunking"] == state, host)
    must((host["chunking_in_s"] > 0) == (state == "distrusted"), host)


def rule_20_chunks_in_one_flight(mtaq):
    """Each session proves itself once, and then waits once a message."""
    for how in ("on", "auto"):
        with Server(CHUNKS) as server, \
                box_of(mtaq, server, sessions=2, smtp__chunking=how) as box:
            types, host = deliver(box, 200)
            all_came_once(server, 200)
            chunked(host, "chunked")
            # By auto the second session may have begun with DATA.
            must(server.flights >= 20 and
                 1 <= server.refusals <= len(server.sessions),
                 f"{server.flights} flights, {server.refusals} proofs")
            must(not {"unsure", "deferred"} & types.keys(), types)


def rule_20_not_without_enhanced_codes_and_off_by_default(mtaq):
    for how, ehlo, state in (("off", CHUNKS, "off"),
                             ("on", "PIPELINING CHUNKING", "not-offered")):
        with Server(ehlo) as server, \
                box_of(mtaq, server, smtp__chunking=how) as box:
            _, host = deliver(box)
            all_came_once(server)
            chunked(host, state)
            must(server.flights == 0, f"{how}: {server.flights} flights")


def rule_20_who_does_not_know_bdat_gets_data(mtaq):
    """It offers CHUNKING and answers 500: at once again, nothing charged."""
    for reply in ("500 5.5.2 what", "502 5.5.1 not here"):
        with Server(CHUNKS, bdat=lambda *_, r=reply: [r]) as server, \
                box_of(mtaq, server, smtp__chunking="on") as box:
            types, host = deliver(box)
            all_came_once(server)
            chunked(host, "distrusted")
            must(host["grouping"] == "grouped", host)
            must(not {"unsure", "deferred"} & types.keys(), types)
            must(len(server.sessions) == 2, len(server.sessions))


def rule_20_who_hangs_up_on_the_proof_gets_data(mtaq):
    """Else each session would carry one message and end there."""
    with Server(CHUNKS, proof=False) as server, \
            box_of(mtaq, server, smtp__chunking="on") as box:
        types, host = deliver(box)
        all_came_once(server)
        chunked(host, "distrusted")
        must(not {"unsure", "deferred"} & types.keys(), types)
        must(len(server.sessions) == 2, len(server.sessions))


def rule_20_a_refused_recipient_ends_no_session(mtaq):
    with Server(CHUNKS) as server, box_of(
            mtaq, server, smtp__chunking="on", workers="1") as box:
        box.start_daemon()
        letter = b"From: a@a.test\nSubject: s\n\nhello\n"
        for i in range(12):
            to = "refused" if i % 3 == 2 else f"u{i}"
            box.run("submit", "-c", box.conf, "-f", "a@a.test", "-t",
                    f"{to}@x.test", input=letter)
        box.wait_final(12)
        box.stop_daemon()
        types = box.count_events()
        must(types["bounced"] == 4 and types["delivered"] == 8, types)
        must(len(server.sessions) <= 2, f"{len(server.sessions)} sessions")


def a_killed_daemon_doubles_one_flight_a_session(mtaq):
    with Server(CHUNKS) as server:
        return doubled_by_a_kill(mtaq, server, 1, 400, 100,
                                 smtp__chunking="on")


def rule_20_messages_follow_each_other(mtaq):
    """More at once the more came out whole, each taken once."""
    with Server(CHUNKS) as server, box_of(
            mtaq, server, sessions=2, smtp__chunking="auto",
            smtp__chunks_ahead="20") as box:
        types, host = deliver(box, 500)
        all_came_once(server, 500)
        must(not {"unsure", "deferred"} & types.keys(), types)
        must(server.streams >= 100 and host["chunks_ahead"] >= 10,
             f"{server.streams} followed at once, {host}")
        return f"{server.streams} of 500, {host['chunks_ahead']} ahead"


def rule_20_no_more_follow_than_are_allowed(mtaq):
    """smtp.chunks_ahead, and by default none: a broken connection then leaves
    as many copies as with DATA, one."""
    words = []
    for changes, most in (({}, 1), ({"smtp__chunks_ahead": "3"}, 3)):
        with Server(CHUNKS) as server, \
                box_of(mtaq, server, smtp__chunking="on", **changes) as box:
            _, host = deliver(box, 200)
            all_came_once(server, 200)
            must(server.flights >= 100 and host["chunks_ahead"] == most and
                 (server.streams > 0) == (most > 1),
                 f"{server.flights} flights, {server.streams} followed at "
                 f"once, {host}")
            words.append(f"{server.streams} of {server.flights}")
    return ", ".join(words) + " followed at once"


def rule_20_a_goodbye_in_a_stream_costs_nobody(mtaq):
    """421 to MAIL: what flew behind it goes at once over another session, and
    the limit is learned (rule 5)."""
    with Server(CHUNKS, mails=30) as server, \
            box_of(mtaq, server, **STREAMS) as box:
        types, host = deliver(box, 300)
        all_came_once(server, 300)
        must(not {"unsure", "deferred"} & types.keys(), types)
        must(server.streams >= 50 and host["messages_per_session"] == 30,
             f"{server.streams}, {host}")


def rule_20_a_broken_stream_is_unsure_and_the_last(mtaq):
    """It hangs up on a chunk: those behind may be there.  None is lost, no
    copy more than unsure results, and no stream for a day."""
    gone = []

    def bdat(server, session):
        if session.streamed and server.streams > 60 and not gone:
            gone.append(server.streams)
            return [None]
        return ["250 2.0.0 ok"]
    with Server(CHUNKS, bdat=bdat) as server, \
            box_of(mtaq, server, sessions=2, **STREAMS) as box:
        types, host = deliver(box, 300)
        unsure = types.get("unsure", 0)
        all_came_once(server, 300, doubled=unsure)
        must(2 <= unsure <= 20, types)
        must(host["chunks_ahead"] == 1, host)
        chunked(host, "distrusted")
        # One of another session may have been on its way.
        must(server.streams <= gone[0] + 20, f"{gone}, {server.streams}")
        return f"{unsure} unsure"


def a_killed_daemon_doubles_streams_within_its_bound(mtaq):
    """Those ahead are counted: sessions and max_unsynced_outcomes as ever."""
    with Server(CHUNKS) as server:
        words = doubled_by_a_kill(mtaq, server, 64, 1500, 700, **STREAMS)
        must(server.streams > 100, f"{server.streams} streamed")
        return words


def streams_leave_half_of_the_places_to_others(mtaq):
    """Who answers nothing to what flies ahead does not stop another host:
    messages ahead take half of max_unsynced_outcomes at most."""
    cap, waiting, go_on = 8, [], threading.Event()

    def bdat(*_):
        if not go_on.is_set():
            waiting.append(True)
            go_on.wait()
        return ["250 2.0.0 ok"]
    go_on.set()
    with Server(CHUNKS, bdat=bdat) as slow, Server() as other, box_of(
            mtaq, slow, workers="1", **STREAMS,
            max_unsynced_outcomes=str(cap),
            routes=f'{{ "x.test": "{other.address}", '
                   f'"*": "{slow.address}" }}') as box:
        box.start_daemon()

        def load(messages):
            box.run("campaign", "pause", "c", "-c", box.conf)
            box.load("--messages", messages, "--size", 600, "--domains", 1,
                     "--campaign", "c")
            box.run("campaign", "resume", "c", "-c", box.conf)
        try:
            load(100)
            box.wait_final(100)      # by now it takes more at once than cap
            go_on.clear()
            load(40)
            box.wait_for(lambda: waiting, 60, "a chunk that waits")
            box.run("submit", "-c", box.conf, "-f", "a@a.test", "-t",
                    "u@x.test", input=b"From: a@a.test\nSubject: s\n\nhi\n")
            box.wait_for(lambda: other.taken, 60, "the other host's mail")
        finally:
            go_on.set()
        box.wait_final(141)


PLAIN = {"session__grouping": "off"}
GROUPED = {"session__grouping": "on"}
CHUNKED = {"session__grouping": "on", "smtp__chunking": "on"}
STREAMED = {**CHUNKED, **STREAMS}


SINK_MESSAGES = 150


def through_the_sink(mtaq, how, *faults, messages=SINK_MESSAGES):
    """{recipient: how it ended}, the ledger's balance, {type: events}."""
    with Box(mtaq, "mtaq-group") as box:
        box.start_sink("--seed", 7, "--domains", 2, *faults,
                       listen="127.0.0.2-127.0.0.3")
        box.configure(**how, site__connections="3", retry='["1s"]',
                      unsure__first="1s", unsure__max="50",
                      greylist="1s", mailbox_full="1s",
                      host__bad_first="100ms", host__bad_max="200ms")
        box.start_daemon()
        box.load("--messages", messages, "--size", 600, "--domains", 2)
        box.wait_final(messages)
        box.stop_daemon()
        r = box.equation()
        ends = [e for e in map(json.loads, box.events.read_text().splitlines())
                if e["type"] in ("delivered", "bounced", "expired", "held")]
        return ({e["to"]: (e["type"], e.get("code"), e.get("enhanced"))
                 for e in ends}, r, box.count_events())


def the_same_verdicts_in_every_mode(mtaq):
    """Refusals by recipient, envelope and message, for now and for good."""
    faults = ("--fail", "rcpt=5:0.08,rcpt=4:0.05,"
              "eod=5:0.06")
    plain, *others = [through_the_sink(mtaq, how, *faults)
                      for how in (PLAIN, GROUPED, CHUNKED, STREAMED)]
    must(len(plain[0]) == SINK_MESSAGES and
         len({v for v in plain[0].values()}) >= 3, plain[2])
    for verdicts, r, types in (plain, *others):
        differ = {to for to in plain[0] if plain[0][to] != verdicts.get(to)}
        must(not differ, f"{len(differ)}: {sorted(differ)[:3]}")
        must(r["extra"] == 0 and "unsure" not in types, f"{r} {types}")
    return str(collections.Counter(v[0] for v in plain[0].values()))


def no_mail_is_lost_to_a_server_that_cannot_count(mtaq):
    """Replies twice, never, or out of nowhere; connections that drop: at most
    one copy more for each unsure result."""
    faults = ("--dup", "rcpt=0.01,mail=0.01", "--stray", "mail=0.01,rcpt=0.01",
              "--drop", "rcpt=0.01,eod=0.02")
    words = []
    for how in (GROUPED, CHUNKED, STREAMED):
        verdicts, r, types = through_the_sink(mtaq, how, *faults)
        must(len(verdicts) == SINK_MESSAGES and r["lost"] == 0, f"{r} {types}")
        must(r["extra"] <= types.get("unsure", 0), f"{r} {types}")
        words.append(f"{r['extra']} extra, {types.get('unsure', 0)} unsure")
    return "; ".join(words)


if __name__ == "__main__":
    os.environ.setdefault("MTAQ_TEST_IO", "auto")
    # The protocol's side, whatever carries the octets: once is enough.
    once = [] if os.environ["MTAQ_TEST_IO"] == "epoll" else [
        the_same_verdicts_in_every_mode,
        no_mail_is_lost_to_a_server_that_cannot_count]
    main([rule_19_a_host_earns_groups,
          rule_19_only_one_session_tries,
          rule_19_off_and_not_offered_group_nothing,
          rule_19_on_waits_for_nobody,
          a_stray_answer_costs_one_unsure_and_no_mail,
          who_hangs_up_on_a_group_gets_its_mail_one_by_one,
          no_answer_to_the_dot_is_one_unsure,
          a_limit_of_messages_is_kept_by_groups,
          a_killed_daemon_doubles_no_more_than_its_bound,
          rule_20_chunks_in_one_flight,
          rule_20_not_without_enhanced_codes_and_off_by_default,
          rule_20_who_does_not_know_bdat_gets_data,
          rule_20_who_hangs_up_on_the_proof_gets_data,
          rule_20_a_refused_recipient_ends_no_session,
          a_killed_daemon_doubles_one_flight_a_session,
          rule_20_messages_follow_each_other,
          rule_20_no_more_follow_than_are_allowed,
          rule_20_a_goodbye_in_a_stream_costs_nobody,
          rule_20_a_broken_stream_is_unsure_and_the_last,
          a_killed_daemon_doubles_streams_within_its_bound,
          streams_leave_half_of_the_places_to_others, *once])
