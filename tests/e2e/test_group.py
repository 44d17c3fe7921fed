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

MESSAGES = 60


class Server:
    """Takes everything, and knows what was there when a dot came.

    dot(server, session) gives the replies to a dot, or None to hang up: after
    them when it is the last of a list.  session.grouped: something stood
    behind this dot; server.groups counts them."""

    def __init__(self, ehlo="PIPELINING", dot=None):
        self.ehlo, self.dot = ehlo, dot or (lambda *_: ["250 2.0.0 ok"])
        self.lock = threading.Lock()
        self.sessions, self.groups = [], 0
        self.taken = collections.Counter()    # token: copies
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "%s:%d" % self.listener.getsockname()[:2]
        self.open, self.threads = set(), []

    def __enter__(self):
        self.start(self.accept)
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for conn in self.open:
                conn.shutdown(socket.SHUT_RDWR)
        for t in self.threads:
            t.join(30)

    def start(self, f, *args):
        t = threading.Thread(target=f, args=args)
        self.threads.append(t)
        t.start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            session = Session(conn)
            with self.lock:
                self.sessions.append(session)
                self.open.add(conn)
            self.start(self.serve, session)

    def serve(self, session):
        try:
            with session.conn:
                self.talk(session)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(session.conn)

    def talk(self, s):
        s.say("220 mx.test")
        while True:
            line = s.line()
            verb = line[:4].upper()
            if verb == b"EHLO":
                s.say(f"250-mx.test\r\n250 {self.ehlo}")
            elif verb == b"DATA":
                s.say("354 go")
                if not self.content(s):
                    return
            else:
                s.say("221 2.0.0 bye" if verb == b"QUIT" else "250 2.1.0 ok")
            if verb == b"QUIT":
                return

    def content(self, s):
        token = None
        for line in iter(s.line, b"."):
            found = re.match(rb"X-Mtaq-Token: (\S+)", line)
            token = token or found and found[1].decode()
        s.grouped = s.has_more()
        s.dots += 1
        with self.lock:
            self.groups += s.grouped
            replies = self.dot(self, s)
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
        self.dots, self.grouped = 0, False

    def say(self, text):
        self.conn.sendall(text.encode() + b"\r\n")

    def line(self):
        while b"\r\n" not in self.kept:
            got = self.conn.recv(65536)
            if not got:
                raise OSError("closed")
            self.kept += got
        line, _, self.kept = self.kept.partition(b"\r\n")
        return line

    def has_more(self):
        """A flight is one send: what belongs to it is here with the dot."""
        try:
            self.kept += self.conn.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        return self.kept != b""


def box_of(mtaq, server, sessions=1, grouping="auto", **changes):
    box = Box(mtaq, "mtaq-group")
    box.configure(routes=f'{{ "*": "{server.address}" }}',
                  site__connections=str(sessions),
                  session__grouping=grouping, unsure__first="1s", **changes)
    return box


def deliver(box, messages=MESSAGES, size=600):
    box.start_daemon()
    box.load("--messages", messages, "--size", size, "--domains", 1)
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


def a_killed_daemon_doubles_no_more_than_its_bound(mtaq):
    """Sessions and max_unsynced_outcomes: one behind another has its place."""
    sessions, cap = 4, 1
    with Server() as server, box_of(
            mtaq, server, sessions=sessions, grouping="on", workers="1",
            max_unsynced_outcomes=str(cap)) as box:
        box.start_daemon()
        box.load("--messages", 400, "--size", 600, "--domains", 1)
        box.wait_final(100)
        box.kill_daemon()
        box.start_daemon()
        box.wait_final(400)
        box.stop_daemon()
        all_came_once(server, 400, doubled=sessions + cap)
        return f"{sum(server.taken.values()) - 400} doubled"


if __name__ == "__main__":
    os.environ.setdefault("MTAQ_TEST_IO", "auto")
    main([rule_19_a_host_earns_groups,
          rule_19_only_one_session_tries,
          rule_19_off_and_not_offered_group_nothing,
          rule_19_on_waits_for_nobody,
          a_stray_answer_costs_one_unsure_and_no_mail,
          who_hangs_up_on_a_group_gets_its_mail_one_by_one,
          no_answer_to_the_dot_is_one_unsure,
          a_limit_of_messages_is_kept_by_groups,
          a_killed_daemon_doubles_no_more_than_its_bound])
