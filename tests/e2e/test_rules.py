#!/usr/bin/env python3
"""Rules of docs/SMTP.md that need the whole program to be seen.

test_rules.py MTAQ [NAME...]
"""
import json
import os
import pathlib
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
    return box.run("submit", "-c", box.conf, *options, input=letter, ok=ok)


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


def rule_19_the_kernel_is_asked_before_the_dot(mtaq):
    """What came before the dot left cannot be the answer to it: with a kernel
    that always has something, no dot leaves."""
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
        for line in server.sessions[0].lines:
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


def rule_25_wrong_options_are_told(mtaq):
    with box_of(mtaq, routes='{ "*": "127.0.0.1:9" }') as box:
        for wrong in (["-N", "sometimes"], ["-N", "never,delay"],
                      ["-R", "half"], ["-V", ""], ["-V", "x" * 101],
                      ["--orcpt", "a@x.test", "-t", "c@x.test"],
                      ["--orcpt", ""]):
            said = submit(box, *wrong, "-t", "b@x.test", ok=(64,))
            must("mtaq submit: --" in said.stderr, said.stderr)


TESTS = [v for k, v in sorted(globals().items()) if k.startswith("rule_")]

if __name__ == "__main__":
    main(TESTS)
