#!/usr/bin/env python3
"""Rules of docs/SMTP.md that need the whole program to be seen.

test_rules.py MTAQ [NAME...]
"""
import json
import os
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Box, main, must  # noqa: E402
from scripted import CLOSE, Server  # noqa: E402

LETTER = "From: a@a.test\nSubject: s\n\nhello\n"


def box_of(mtaq, server=None, **changes):
    box = Box(mtaq, "mtaq-rules")
    if server is not None:
        changes.setdefault("routes", f'{{ "*": "{server.address}" }}')
    box.configure(**changes)
    return box


def submit(box, *options, letter=LETTER, ok=(0,)):
    return box.run("submit", "-c", box.conf, *options, ok=ok,
                   input=letter.encode())


def events(box, kind):
    return [e for e in map(json.loads, box.events.read_text().splitlines())
            if e["type"] == kind]


def rule_15_one_domain_a_transaction_one_session_a_site(mtaq):
    to = ["-t", "a@x.test", "-t", "b@y.test", "-t", "c@x.test", "-t",
          "d@z.test"]
    with Server() as server, \
            box_of(mtaq, server, site__connections="1") as box:
        box.start_daemon()
        submit(box, *to)
        box.wait_final(4)
        must(len(server.sessions) == 1,
             f"{len(server.sessions)} sessions to one host")
        got = []
        for line in server.sessions[0].lines:
            if line.startswith("MAIL"):
                got.append([])
            elif line.startswith("RCPT"):
                got[-1].append(line)
        must(sorted(got) == [["RCPT TO:<a@x.test>", "RCPT TO:<c@x.test>"],
                             ["RCPT TO:<b@y.test>"],
                             ["RCPT TO:<d@z.test>"]], got)


def rule_17_unsure_mail_is_held_in_the_end(mtaq):
    """The connection breaks at every dot: so many times, then no more."""
    def answer(session, line):
        return CLOSE if line == "." else None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, unsure='{ first: "1s", max: 3 }') as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test")
        box.wait_for(lambda: box.events.exists() and events(box, "held"), 120,
                     "the holding")
        must(len(server.heard(".")) == 3 and
             len(events(box, "unsure")) == 2 and
             not events(box, "delivered"),
             f"{len(server.heard('.'))} dots")


def rule_18_a_refusal_is_read_before_the_broken_pipe(mtaq):
    """The server refuses halfway and resets: what it said counts."""
    def content(conn, f, session):
        f.read(100_000)
        conn.sendall(b"552 5.3.4 too much\r\n")
        linger = struct.pack("ii", 1, 0)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return CLOSE

    with Server(content=content) as server, \
            box_of(mtaq, server, retry='["1h"]') as box:
        box.start_daemon()
        for i in range(5):
            submit(box, "-t", f"r{i}@x.test",
                   letter=LETTER + 200_000 * "0123456789abcdef\n")
        box.wait_final(5, 60)
        must({e["code"] for e in events(box, "bounced")} == {552},
             "not the server's words")


def rule_19_the_kernel_is_asked_before_the_dot(mtaq):
    """What came before the dot left cannot be the answer to it: with a kernel
    that always has something, no dot leaves."""
    must("MTAQ_TEST_PENDING" in os.environ,
         "MTAQ_TEST_PENDING must name the built always_pending library")
    preload = {"LD_PRELOAD": os.environ["MTAQ_TEST_PENDING"],
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
    with Server() as server, \
            box_of(mtaq, server, smtp__timeout='{ block: "1s" }',
                   retry='["1h"]') as box:
        box.start_daemon(env=preload)
        submit(box, "-t", "a@x.test")
        box.wait_for(lambda: box.events.exists() and events(box, "deferred"),
                     60, "the end of the waiting")
        must(server.heard("DATA") and not server.heard("."),
             "the dot left")
        box.stop_daemon(kill=True)


def rule_21_no_probe_between_mails(mtaq):
    with Server() as server, \
            box_of(mtaq, server, site__connections="1") as box:
        box.start_daemon()
        for i in range(3):
            submit(box, "-t", f"r{i}@x.test")
            box.wait_final(i + 1)
        for verb in ("RSET", "NOOP"):
            must(not server.heard(verb), f"{verb} was sent")


def rule_01_several_codes_in_a_reply_are_logged(mtaq):
    def answer(session, line):
        if line.startswith("RCPT"):
            return "550-no\r\n250 yes"
        return None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, session__idle="100ms") as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test", "-t", "b@x.test")
        box.wait_final(2)
        must(len(events(box, "delivered")) == 2, "the first code counted")
        box.wait_for(lambda: box.said("gave 2 replies with several codes"),
                     60, "a line about them")


def rule_02_what_a_server_says_is_no_command_for_a_terminal(mtaq):
    evil = "550 5.1.1 \x1b]0;owned\x07\x1b[2J\x00 \\ \" \u009b \xff"

    def answer(session, line):
        return evil if line.startswith("RCPT") else None

    with Server(answer=answer) as server, box_of(mtaq, server) as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test")
        box.wait_final(1)
        raw = box.events.read_bytes()
        shown = [raw]
        shown.append(box.run("site", "list", "-c", box.conf).stdout.encode())
        box.stop_daemon()
        shown.append(box.daemon_log.read_bytes())
        for text in shown:
            bad = {c for c in text if c < 32 and c not in (9, 10) or c == 127}
            must(not bad and b"\xc2\x9b" not in text, f"controls: {bad}")
        said = json.loads(raw.splitlines()[-1])["reply"]
        must("owned" in said, said)


def rule_03_nonsense_is_unsure_behind_the_dot_only(mtaq):
    def answer(session, line):
        if line == "." and b"dot" in session.messages[-1]:
            return "* OK IMAP4 ready"
        return None

    def early(session, line):
        return "* BYE" if line == "DATA" else None

    for reply, kind in ((answer, "unsure"), (early, "deferred")):
        with Server(answer=reply) as server, \
                box_of(mtaq, server, retry='["1h"]') as box:
            box.start_daemon()
            submit(box, "-t", "r@x.test", letter=LETTER + "dot\n")
            box.wait_for(lambda: box.events.exists() and events(box, kind),
                         60, f"'{kind}'")
            must(len(server.sessions) == 1, "it was tried again at once")


def rule_03_no_mail_begins_while_an_answer_waits_unread(mtaq):
    """In one packet with the dot's answer comes one that nobody asked for: it
    must not become the answer to the next mail's MAIL."""
    def answer(session, line):
        return "250 2.0.0 ok\r\n250 2.1.0 stray" if line == "." else None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, session__grouping='"off"',
                   site__connections="1") as box:
        box.start_daemon()
        submit(box, *(w for i in range(4) for w in ("-t", f"r@x{i}.test")))
        box.wait_final(4, 60)
        must(len(events(box, "delivered")) == 4, "not delivered")
        mails = [len(s.heard("MAIL")) for s in server.sessions]
        must(max(mails) == 1, f"mails of each session: {mails}")
        status = json.loads(box.run("status", "-c", box.conf, "--json").stdout)
        must(status["transactions"] == 4, f"begun: {status['transactions']}")


def refused_and_one_too_many(mtaq, answer):
    """Four mails whose recipients are refused, one answer too many behind the
    last that is owed: no RSET, no second mail over that session."""
    with Server(answer=answer) as server, \
            box_of(mtaq, server, site__connections="1") as box:
        box.start_daemon()
        submit(box, *(w for i in range(4) for w in ("-t", f"r@x{i}.test")))
        box.wait_final(4, 60)
        must(len(events(box, "bounced")) == 4, "not refused")
        must(not server.heard("RSET"), "RSET went out")
        mails = [len(s.heard("MAIL")) for s in server.sessions]
        must(max(mails) == 1, f"mails of each session: {mails}")


def rule_03_no_command_goes_while_an_answer_waits_unread(mtaq):
    """In one packet with the last answer to a refused mail comes one too many:
    it must not become RSET's, since RSET's would then be the next MAIL's."""
    def answer(session, line):
        if line.startswith("RCPT"):
            return "550 5.1.1 nobody"
        return "503 5.5.1 for whom\r\n250 2.0.0 stray" \
            if line == "DATA" else None

    refused_and_one_too_many(mtaq, answer)


def rule_03_what_lies_behind_a_full_buffer_is_not_forgotten(mtaq):
    """As above, but what has room where answers are received (512 octets) ends
    with the last answer that is owed."""
    owed = "250 2.1.0 ok\r\n550 5.1.1 nobody\r\n503-\r\n503 5.5.1 for whom"

    def answer(session, line):
        if line[:4] in ("MAIL", "RCPT"):
            return []
        if line != "DATA":
            return None
        room = 512 - len(owed) - len("\r\n")
        return owed.replace("503-", "503-" + "x" * room) \
            + "\r\n250 2.0.0 stray"

    refused_and_one_too_many(mtaq, answer)


def rule_05_silent_close_after_a_message_charges_nothing(mtaq):
    """Two messages a session, then the server hangs up at MAIL."""
    def answer(session, line):
        if line.startswith("MAIL") and session.mails > 2:
            return CLOSE
        return None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, site__connections="1",
                   retry='["1h"]') as box:
        box.start_daemon()
        for i in range(9):
            submit(box, "-t", f"r{i}@x.test")
        box.wait_final(9, 60)
        must(not events(box, "deferred"), "somebody was deferred")
        must({e["attempt"] for e in events(box, "delivered")} == {1},
             "an attempt was charged")


def rule_12_all_refused_yet_354_delivers_nothing(mtaq):
    def answer(session, line):
        return "550 5.1.1 no" if line.startswith("RCPT") else None

    with Server(answer=answer) as server, box_of(mtaq, server) as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test", "-t", "b@x.test")
        box.wait_final(2)
        must(len(events(box, "bounced")) == 2 and
             not events(box, "delivered"), "a refused one was delivered")
        box.wait_for(lambda: server.heard("."), 60, "the lone dot")
        must(server.sessions[0].messages == [b""], "content was sent")


def rule_14_limits_are_kept(mtaq):
    ehlo = ("PIPELINING", "LIMITS MAILMAX=2 RCPTMAX=2 RCPTDOMAINMAX=1")
    to = [w for i in range(10) for w in ("-t", f"r{i}@x.test")]
    with Server(ehlo) as server, \
            box_of(mtaq, server, site__connections="1",
                   session__idle="60s") as box:
        box.start_daemon()
        submit(box, *to)
        # Five transactions of two, two a session: nobody waits for the idle
        # time of a session that is used up.
        box.wait_final(10, 30)
        with server.lock:
            for s in server.sessions:
                must(s.mails <= 2, f"{s.mails} mails in a session")
                rcpts = 0
                for line in s.lines:
                    rcpts = (0 if line.startswith("MAIL") else
                             rcpts + line.startswith("RCPT"))
                    must(rcpts <= 2, f"{rcpts} recipients in a transaction")


def rule_14_the_rest_goes_at_once(mtaq):
    """Two recipients a transaction, told by 452 4.5.3 only."""
    def answer(session, line):
        if line.startswith("MAIL"):
            session.rcpts = 0
        if line.startswith("RCPT"):
            session.rcpts += 1
            if session.rcpts > 2:
                return "452 4.5.3 too many recipients"
        return None

    to = [w for i in range(7) for w in ("-t", f"r{i}@x.test")]
    with Server(answer=answer) as server, \
            box_of(mtaq, server, site__connections="1",
                   retry='["1h"]') as box:
        box.start_daemon()
        submit(box, *to)
        box.wait_final(7, 60)
        must(len(server.sessions) == 1, "not on the same session")
        must(not events(box, "deferred"), "somebody was deferred")


def rule_14_the_limit_is_learned(mtaq):
    """After the first 452 nobody is put over again, in later mails too."""
    over = []

    def answer(session, line):
        if line.startswith("MAIL"):
            session.rcpts = 0
        if line.startswith("RCPT"):
            session.rcpts += 1
            if session.rcpts > 3:
                over.append(line)
                return "452 4.5.3 too many recipients"
        return None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, site__connections="1") as box:
        box.start_daemon()
        for n in range(3):
            submit(box, *[w for i in range(9)
                          for w in ("-t", f"r{n}{i}@x.test")])
            box.wait_final(9 * (n + 1), 60)
        must(len(over) == 6, f"{len(over)} recipients were put over")


def rule_14_the_limit_outlives_the_session(mtaq):
    """Three sessions one after another: only the first is put over, although
    the site has been forgotten by all but that in between."""
    def sites():
        return box.run("site", "list", "--json", "-c", box.conf).stdout

    def answer(session, line):
        if line.startswith("MAIL"):
            session.rcpts = 0
        if line.startswith("RCPT"):
            session.rcpts += 1
            if session.rcpts > 10:
                session.over = getattr(session, "over", 0) + 1
                return "452 4.5.3 too many recipients"
        return None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, site__connections="1",
                   session__idle="10ms") as box:
        box.start_daemon()
        for n in range(3):
            submit(box, *[w for i in range(35)
                          for w in ("-t", f"r{n}x{i}@x.test")])
            box.wait_final(35 * (n + 1), 60)
            box.wait_for(lambda: "QUIT" in server.sessions[n].lines, 60,
                         f"the end of session {n}")
            box.wait_for(lambda: not sites(), 60, "the site forgotten")
        must(len(server.sessions) == 3, f"{len(server.sessions)} sessions")
        must([getattr(s, "over", 0) for s in server.sessions] == [25, 0, 0],
             f"put over: {[getattr(s, 'over', 0) for s in server.sessions]}")
        must(not events(box, "deferred"), "somebody was deferred")


def rule_14_put_over_twice_then_deferred(mtaq):
    def answer(session, line):
        if line.startswith("RCPT"):
            return "452 4.5.3 too many recipients"
        return None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, retry='["1h"]') as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test", "-t", "b@x.test")
        box.wait_for(lambda: box.events.exists() and
                     len(events(box, "deferred")) == 2, 60, "two deferrals")
        must(len(server.heard("MAIL")) == 2,
             f"{len(server.heard('MAIL'))} transactions")


def rule_18_what_came_before_the_dot_is_no_answer_to_it(mtaq):
    """In one packet with the 354 comes a 250 that nobody asked for."""
    def answer(session, line):
        if line == "DATA":
            return "354 go\r\n250 2.0.0 stray"
        return "451 4.3.0 not taken" if line == "." else None

    with Server(answer=answer) as server, \
            box_of(mtaq, server, retry='["1h"]') as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test")
        box.wait_for(lambda: box.events.exists() and
                     events(box, "deferred") + events(box, "delivered"),
                     60, "an outcome")
        must(not events(box, "delivered"), "delivered by a stray reply")
        must(not server.heard("."), "the dot was sent")


def rule_18_no_dot_into_a_connection_that_has_ended(mtaq):
    """The end comes in one packet with the 354: such a server takes nothing,
    and without the dot it is certain that it did not."""
    def answer(session, line):
        if line != "DATA":
            return None
        with server.lock:
            conn, = server.open
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        conn.sendall(b"354 go\r\n")
        conn.shutdown(socket.SHUT_WR)
        session.lines.append(conn.makefile("rb").read())
        return CLOSE

    with Server(answer=answer) as server, \
            box_of(mtaq, server, retry='["1h"]') as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test")
        box.wait_for(lambda: box.events.exists() and
                     events(box, "deferred") + events(box, "unsure"),
                     60, "an outcome")
        must(not events(box, "unsure"), "the server may have the mail")
        last = server.sessions[0].lines[-1]
        must(b"\r\n.\r\n" not in last, f"the dot left: {last}")


def rule_24_a_labels_reach_the_host(mtaq):
    with Server() as server, box_of(mtaq, server) as box:
        box.start_daemon()
        submit(box, "-f", "s@stra\u00dfe.example", "-t",
               "r@b\u00fccher.example")
        box.wait_final(1)
        must(server.heard("RCPT") == ["RCPT TO:<r@xn--bcher-kva.example>"],
             server.heard("RCPT"))
        mail = server.heard("MAIL")[0]
        must(mail.startswith("MAIL FROM:<s@xn--strae-oqa.example>") and
             "SMTPUTF8" not in mail, mail)
        must(events(box, "delivered")[0]["to"] == "r@xn--bcher-kva.example",
             "the event has another address")


def rule_24_utf8_only_where_an_address_needs_it(mtaq):
    ehlo = ("PIPELINING", "8BITMIME", "SMTPUTF8")
    letter = "From: a@a.test\nSubject: \u00fc\n\n\u00fc\n"
    with Server(ehlo) as server, \
            box_of(mtaq, server, site__connections="1") as box:
        box.start_daemon()
        submit(box, "-t", "a@x.test", letter=letter)
        box.wait_final(1)
        submit(box, "-t", "j\u00fcrgen@x.test", letter=letter)
        box.wait_final(2)
        # Another domain of the same message does not need it.
        submit(box, "-t", "j\u00fcrgen@x.test", "-t", "b@y.test",
               letter=letter)
        box.wait_final(4)
        asked = {}
        for line in (x for s in server.sessions for x in s.lines):
            if line.startswith("MAIL"):
                mail = line
            elif line.startswith("RCPT"):
                asked.setdefault(line, []).append(mail.split("> ")[1])
        must(asked == {"RCPT TO:<a@x.test>": ["BODY=8BITMIME"],
                       "RCPT TO:<b@y.test>": ["BODY=8BITMIME"],
                       "RCPT TO:<j\u00fcrgen@x.test>":
                       2 * ["BODY=8BITMIME SMTPUTF8"]}, asked)


def rule_24_utf8_not_offered_bounces(mtaq):
    with Server() as server, box_of(mtaq, server) as box:
        box.start_daemon()
        submit(box, "-t", "j\u00fcrgen@x.test", "-t", "a@x.test")
        box.wait_final(2)
        bounced = events(box, "bounced")
        must([(e["to"], e["enhanced"]) for e in bounced] ==
             [("j\u00fcrgen@x.test", "5.6.7")], bounced)
        must(len(events(box, "delivered")) == 1,
             "a@x.test needs no SMTPUTF8")


def rule_25_parameters_reach_the_host(mtaq):
    options = ["-N", "success,delay", "-R", "hdrs", "-V", "QQ 1+1",
               "--orcpt", "old name@x.test", "-t", "a@x.test"]
    with Server(("PIPELINING", "DSN")) as server, box_of(mtaq, server) as box:
        box.start_daemon()
        submit(box, *options)
        submit(box, "--notify", "never", "-t", "b@x.test", "-t", "c@x.test")
        box.wait_final(3)
        must(sorted(server.heard("RCPT")) == [
            "RCPT TO:<a@x.test> NOTIFY=success,delay "
            "ORCPT=rfc822;old+20name@x.test",
            "RCPT TO:<b@x.test> NOTIFY=never",
            "RCPT TO:<c@x.test> NOTIFY=never"], server.heard("RCPT"))
        must(sorted(server.heard("MAIL")) == [
            "MAIL FROM:<a@a.test>",
            "MAIL FROM:<a@a.test> RET=hdrs ENVID=QQ+201+2B1"],
            server.heard("MAIL"))


def rule_25_nothing_where_dsn_is_not_offered(mtaq):
    with Server() as server, box_of(mtaq, server) as box:
        box.start_daemon()
        submit(box, "-N", "never", "-R", "full", "-V", "x", "-t", "a@x.test")
        box.wait_final(1)
        must(server.heard("RCPT") == ["RCPT TO:<a@x.test>"] and
             server.heard("MAIL") == ["MAIL FROM:<a@a.test>"],
             server.heard("MAIL") + server.heard("RCPT"))


def rule_25_never_and_a_bounce_make_no_bounce(mtaq):
    """Whoever makes bounces of the events is told which are not wanted, from
    a server's refusal and from our own rules."""
    def answer(session, line):
        return "550 5.1.1 nobody" if line.startswith("RCPT") else None

    with Server(answer=answer) as server, box_of(mtaq, server) as box:
        box.start_daemon()
        wanted = {}
        for i, (options, told) in enumerate([
                ([], True), (["-N", "failure,delay"], True),
                (["-N", "never"], False), (["-N", "success"], False),
                (["-f", ""], False), (["-f", "", "-N", "failure"], False)]):
            for local in (f"r{i}", f"\u00fc{i}"):
                submit(box, *options, "-t", f"{local}@x.test")
                wanted[f"{local}@x.test"] = told
        box.wait_final(len(wanted))
        found = {e["to"]: e["notify_sender"] for e in events(box, "bounced")}
        must(found == wanted, found)


def rule_25_wrong_options_are_told(mtaq):
    with box_of(mtaq, routes='{ "*": "127.0.0.1:9" }') as box:
        for wrong in (["-N", "sometimes"], ["-N", "never,delay"],
                      ["-R", "half"], ["-V", ""], ["-V", "x" * 101],
                      ["--orcpt", "a@x.test", "-t", "c@x.test"],
                      ["--orcpt", ""]):
            said = submit(box, *wrong, "-t", "b@x.test", ok=(64,))
            must("mtaq submit: --" in said.stderr, said.stderr)


LONG = 1200 * "x"
SIGNED = "From: a@a.test\r\nDKIM-Signature: v=1\r\n\r\n"
# Options, letter, and what is said of it (None: it is accepted), with
# bare_newlines: fix and with bare_newlines: refuse.
ENTRANCES = [
    (["-t", "r@x.test"], "From: a@a.test\r\n\r\nhello\r\n", None, None),
    (["-f", "s@\u00fc.test", "-t", "R@\u00dc.Test"],
     "From: a@a.test\r\nBcc: b@b.test\r\nReturn-Path: <x@y>\r\n\r\nx", None,
     None),
    (["-f", "", "-t", "n@x.test"], "From: a@a.test\r\n\r\nnull\r\n", None,
     None),
    (["-t", "q@x.test"], f"From: a@a.test\r\n\r\n{LONG}\r\n", None, None),
    (["-t", "lf@x.test"], "From: a@a.test\r\n\r\na\nb\r\n", None, "line 3"),
    (["-t", "cr@x.test"], "From: a@a.test\r\n\r\na\rb\r\n", None, "line 3"),
    (["-t", "mbox@x.test"],
     "From a@b Mon Jan  1 00:00:00 2024\r\nFrom: a@a.test\r\n\r\nx\r\n",
     None, None),
    (["-t", "nul@x.test"], "From: a@a.test\r\n\r\n\0\r\n", "line 3",
     "line 3"),
    (["-t", "loop@x.test"], 51 * "Received: x\r\n" + "From: a@a.test\r\n",
     "line 51", "line 51"),
    (["-t", "sig@x.test"], f"{SIGNED}a\r\n{LONG}\r\n", "line 5", "line 5"),
    (["-t", "two@x.test"], "From: a@a.test\r\nFrom: b@a.test\r\n\r\nx\r\n",
     "line 2", "line 2"),
    (["-t", "a b@x.test"], LETTER, "the recipient <a b@x.test>",
     "the recipient <a b@x.test>"),
    (["-f", "a..b@x.test", "-t", "r@x.test"], LETTER, "the sender <a..b@x.test>",
     "the sender <a..b@x.test>"),
    (["-t", "r@\u2764.test"], LETTER, "internationalized",
     "internationalized"),
    (["-t", "r@x.test", "-t", "r@-x.test"], LETTER, "the recipient <r@-x.test>",
     "the recipient <r@-x.test>"),
]


def plain(message):
    """Without what is made anew for each message."""
    return b"".join(line for line in message.splitlines(True)
                    if not line.startswith((b"Date:", b"Message-ID:")))


def entrance(mtaq, newlines, way):
    """What each case came to by that way in, and what a server then got."""
    said, expected = [], 0
    with Server() as server, \
            box_of(mtaq, server, bare_newlines=newlines) as box:
        if way != "-n":
            box.start_daemon()
        if way == "drop folder":        # it is there once a daemon has run
            box.stop_daemon()
        for options, letter, *words in ENTRANCES:
            words = words[newlines == "refuse"]
            expected += words is None
            if way == "drop folder":
                submit(box, *options, letter=letter)
                continue
            done = submit(box, *options, *(["-n"] if way == "-n" else []),
                          letter=letter, ok=(0,) if words is None else (65,))
            said.append(done.stderr.splitlines()[:1])
            must(words is None or words in done.stderr,
                 f"{way}, {options}: {done.stderr}")
        if way == "-n":
            return said, None, None
        if way == "drop folder":
            box.start_daemon()
            rejected = box.dir / "spool" / "incoming" / "rejected"
            box.wait_for(lambda: len(list(rejected.iterdir())) ==
                         len(ENTRANCES) - expected, 60, "all refusals")
        box.wait_final(expected)
        return said, sorted((e["from"], e["to"], e["size"])
                            for e in events(box, "delivered")), \
            sorted(plain(m) for s in server.sessions for m in s.messages)


def rule_26_every_entrance_does_the_same(mtaq):
    for newlines in ("fix", "refuse"):
        first, events_1, got_1 = entrance(mtaq, newlines, "socket")
        dry, _, _ = entrance(mtaq, newlines, "-n")
        _, events_2, got_2 = entrance(mtaq, newlines, "drop folder")
        for case, a, b in zip(ENTRANCES, first, dry):
            must(case[2 + (newlines == "refuse")] is None or a == b,
                 f"{case[0]}: {a} and with -n {b}")
        must(events_1 == events_2, f"{events_1} and {events_2}")
        must(got_1 == got_2, "a server got other octets")
        for m in got_1:
            must(b"Bcc" not in m and b"Return-Path" not in m and
                 b"\n" not in m.replace(b"\r\n", b"") and
                 b"\r" not in m.replace(b"\r\n", b"") and
                 max(map(len, m.split(b"\r\n"))) <= 998, m)


def rule_26_a_message_id_for_each_message(mtaq):
    with Server() as server, box_of(mtaq, server) as box:
        box.start_daemon()
        for _ in range(2):
            submit(box, "--each", *[w for i in range(5)
                                    for w in ("-t", f"r{i}@x.test")])
        box.wait_final(10)
        ids = {line for s in server.sessions for m in s.messages
               for line in m.split(b"\r\n")
               if line.startswith(b"Message-ID: <")}
        must(len(ids) == 10, f"{len(ids)} Message-IDs of 10")


TESTS = [v for k, v in sorted(globals().items()) if k.startswith("rule_")]

if __name__ == "__main__":
    main(TESTS)
