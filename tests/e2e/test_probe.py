#!/usr/bin/env python3
"""mtaq probe: the sink as a good and a bad internet, and scripted servers for
what the sink never says.

usage: test_probe.py MTAQ [TEST...]
"""
import json
import os
import pathlib
import socket
import tempfile
import threading

from harness import Box, main, must

STEPS = ["connect", "greeting", "ehlo", "mail", "rcpt", "rset", "quit"]
OK = {"EHLO": "250-fake\r\n250 PIPELINING\r\n", "HELO": "250 fake\r\n",
      "MAIL": "250 ok\r\n", "RCPT": "250 ok\r\n", "RSET": "250 ok\r\n",
      "DATA": "354 go\r\n", ".": "250 ok\r\n", "QUIT": "221 bye\r\n"}


class Script:
    """A server of one connection: a greeting, and a reply for each verb.
    None: say nothing; "": close."""

    def __init__(self, greeting="220 fake\r\n", **replies):
        self.greeting, self.replies = greeting, {**OK, **replies}
        self.heard = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.at = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        conn, _ = self.listener.accept()
        conn.settimeout(30)
        try:
            self.converse(conn)
        except ConnectionError:     # the probe has given up
            pass

    def converse(self, conn):
        with conn, conn.makefile("rb") as lines:
            conn.sendall(self.greeting.encode("latin-1"))
            content = False
            for line in lines:
                line = line.decode("latin-1").rstrip("\r\n")
                self.heard.append(line)
                if content and line != ".":
                    continue
                verb = line.split(" ")[0].split(":")[0].upper()
                reply = self.replies[verb]
                content = verb == "DATA" and reply.startswith("354")
                if reply == "":
                    return
                if reply is not None:
                    conn.sendall(reply.encode("latin-1"))

    def close(self):
        self.thread.join(30)
        self.listener.close()
        must(not self.thread.is_alive(), "the probe left a connection open")


def probe(box, *args, code=0, sink=True, **kw):
    """The finished process; code is the exit code that must come."""
    if sink:
        args = ("-c", box.conf, *args)
    return box.run("probe", *args, ok=(code,), timeout=60, **kw)


def report(box, *args, code=0, sink=True):
    r = json.loads(probe(box, "--json", *args, code=code, sink=sink).stdout)
    must(r["exit"] == code, f"exit {code}, but the object says {r['exit']}")
    return r


def scripted(box, script, *args, code=0):
    r = report(box, "--host", script.at, *args, code=code)
    script.close()
    return r


def steps(r, host=0):
    return [s["step"] for s in r["hosts"][host]["steps"]]


def step(r, name, host=0):
    return [s for s in r["hosts"][host]["steps"] if s["step"] == name][0]


def box_with(mtaq, *options, **changes):
    box = Box(mtaq, "mtaq-probe")
    try:
        box.start_sink(*options).configure(**changes)
    except BaseException:
        box.__exit__(Exception, None, None)
        raise
    return box


def test_accepted(mtaq):
    with box_with(mtaq, "--mx", 2) as box:
        words = probe(box, "user@d0.test").stdout
        for part in ("MX hosts of d0.test", "good for 300 s",
                     "10  mx0.d0.test", "20  mx1.d0.test",
                     "220 sink.test", "> EHLO mail.test", "> MAIL FROM:<>",
                     "> RCPT TO:<user@d0.test>", "250 2.1.5",
                     "SIZE 52428800", "up to 52.4 MB", "RFC 2920",
                     "mtaq would send the message now"):
            must(part in words, f"'{part}' is missing in:\n{words}")
        must(words.splitlines()[-1] ==
             "accepted: mx0.d0.test takes mail for user@d0.test",
             f"the verdict is {words.splitlines()[-1]}")
        must("\033" not in words, "colours in a pipe")
        must("DATA" not in words.replace("before DATA", ""), "DATA was said")
        box.stop_sink()
        must(not box.ledger_file.read_text(), "something was delivered")


def test_json_keys(mtaq):
    with box_with(mtaq) as box:
        r = report(box, "-f", "me@mail.test", "user@d1.test")
        must(set(r) == {"to", "from", "helo", "send", "lookup", "hosts",
                        "result", "exit", "words"}, f"keys: {sorted(r)}")
        must(set(r["lookup"]) == {"how", "name", "status", "why",
                                  "authenticated", "ttl_s", "ms", "hosts"},
             f"lookup: {sorted(r['lookup'])}")
        host = r["hosts"][0]
        must(set(host) == {"name", "preference", "address", "steps",
                           "result", "stage", "code", "enhanced",
                           "enhanced_words", "text", "kind", "scope",
                           "pause_s", "plan", "retry_s", "words"},
             f"host: {sorted(host)}")
        must(steps(r) == STEPS, f"steps: {steps(r)}")
        must(step(r, "mail")["command"] == "MAIL FROM:<me@mail.test>",
             "the sender")
        must(set(step(r, "ehlo")) - set(step(r, "mail")) == {"offers"},
             "offers")
        must(host["plan"] == "delivered" and host["code"] == 250 and
             host["enhanced"] == "2.1.5" and host["kind"] == "accepted",
             f"the outcome: {host}")


def test_refused(mtaq):
    with box_with(mtaq, "--mx", 2, "--fail", "rcpt=5:1") as box:
        r = report(box, "user@d0.test", code=65)
        must(len(r["hosts"]) == 1, "a 5yz to RCPT is final (rule 9)")
        host = r["hosts"][0]
        must((host["result"], host["stage"], host["plan"]) ==
             ("rejected", "rcpt", "bounce"), f"{host}")
        must("rset" in steps(r), "the transaction is left open")
        must("mtaq would give up at once: a bounce" in
             probe(box, "user@d0.test", code=65).stdout, "words of the plan")


def test_deferred(mtaq):
    with box_with(mtaq, "--mx", 2, "--stubborn", "--fail", "rcpt=4:1",
                  retry='["10m"]') as box:
        r = report(box, "user@d0.test", code=75)
        must(len(r["hosts"]) == 1, "a 4yz to RCPT waits for the schedule")
        host = r["hosts"][0]
        must(host["result"] == "deferred" and host["plan"] == "retry" and
             480 <= host["retry_s"], f"{host}")


def test_greylisting_is_seen(mtaq):
    with box_with(mtaq, "--greylist", 600) as box:
        host = report(box, "user@d0.test", code=75)["hosts"][0]
        must(host["kind"] == "greylist" and 300 <= host["retry_s"] <= 365,
             f"{host}")


def test_dead_first_mx(mtaq):
    with box_with(mtaq, "--mx", 2, "--dead-first", 1) as box:
        r = report(box, "user@d0.test")
        first = r["hosts"][0]
        must(steps(r, 0) == ["connect"] and first["result"] == "lost" and
             first["plan"] == "put-back" and "refused" in first["text"],
             f"{first}")
        must(r["hosts"][1]["result"] == "accepted", "the second host")


def test_all_hosts(mtaq):
    with box_with(mtaq, "--mx", 3) as box:
        must(len(report(box, "user@d0.test")["hosts"]) == 1, "one suffices")
        r = report(box, "--all", "user@d0.test")
        must([h["name"] for h in r["hosts"]] ==
             [f"mx{i}.d0.test" for i in range(3)], "each host in its order")
        must("(3 of 3 hosts accept)" in r["words"], r["words"])


def test_domains_without_hosts(mtaq):
    for option, code, status in (("--null-mx", 65, "null-mx"),
                                 ("--nxdomain", 65, "nxdomain"),
                                 ("--servfail", 75, "tempfail")):
        with box_with(mtaq, option, 1) as box:
            r = report(box, "user@d0.test", code=code)
            must(r["lookup"]["status"] == status and r["hosts"] == [],
                 f"{option}: {r}")


def test_dead_resolver(mtaq):
    with box_with(mtaq, "--timeout", 1) as box:
        r = report(box, "--timeout", "300ms", "user@d0.test", code=75)
        must(r["lookup"]["status"] == "tempfail", f"{r['lookup']}")


def test_implicit_mx(mtaq):
    with box_with(mtaq, "--no-mx", 1) as box:
        r = report(box, "user@d0.test")
        must(r["lookup"]["how"] == "implicit" and
             r["hosts"][0]["name"] == "d0.test", f"{r['lookup']}")


def test_nobody_answers(mtaq):
    with box_with(mtaq) as box:
        gone = socket.create_server(("127.0.0.1", 0))
        port = gone.getsockname()[1]
        gone.close()
        r = report(box, "--host", f"127.0.0.1:{port}", "a@b.test", code=69)
        must(r["result"] == "unavailable" and r["words"] == "no host answers",
             f"{r['words']}")
        r = report(box, "--ipv6", "user@d0.test", code=69)
        must(r["hosts"] == [], "an IPv4 host with --ipv6")


def test_hang_ends(mtaq):
    for verb in ("EHLO", "RCPT"):
        script = Script(**{verb: None})
        with box_with(mtaq) as box:
            r = scripted(box, script, "--timeout", "300ms", "a@b.test",
                         code=75)
            last = r["hosts"][0]["steps"][-1]
            must(last["step"] == verb.lower() and
                 last["error"] == "no answer within 0.3 s", f"{last}")
    script = Script(greeting="")
    with box_with(mtaq) as box:
        r = scripted(box, script, "--max-time", "300ms", "a@b.test", code=69)
        must(step(r, "greeting")["error"].startswith("no answer within 0."),
             "--max-time bounds a step, too")


def test_helo(mtaq):
    script = Script(EHLO="502 no\r\n")
    with box_with(mtaq) as box:
        r = scripted(box, script, "a@b.test")
        must(steps(r)[2:4] == ["ehlo", "helo"], f"{steps(r)}")
        must(script.heard[:2] == ["EHLO mail.test", "HELO mail.test"],
             f"{script.heard}")


def test_next_host_after_greeting(mtaq):
    script = Script(greeting="554 5.7.1 go away\r\n")
    with box_with(mtaq) as box:
        r = scripted(box, script, "a@b.test", code=75)
        must(r["hosts"][0]["plan"] == "put-back" and
             step(r, "greeting")["enhanced_words"] ==
             "not allowed: refused by policy", f"{r['hosts']}")


def test_closed_after_rcpt(mtaq):
    script = Script(RCPT="")
    with box_with(mtaq) as box:
        r = scripted(box, script, "a@b.test", code=75)
        must("closed" in step(r, "rcpt")["error"], f"{step(r, 'rcpt')}")


def test_out_of_turn(mtaq):
    script = Script(EHLO="250 fake\r\n250 ok\r\n250 ok\r\n")
    with box_with(mtaq) as box:
        r = scripted(box, script, "a@b.test", code=75)
        must("before it was asked" in step(r, "mail")["error"],
             f"{step(r, 'mail')}")
        must(not any(h.startswith("MAIL") for h in script.heard),
             "MAIL was said all the same")


def test_hostile_banner(mtaq):
    evil = "220 \x1b[2J\x1b]0;owned\x07\x9b31m\\x41 hi\r\n"
    words = {}
    for json_too in (False, True):
        script = Script(greeting=evil, EHLO="250-x\r\n250 X-\x1b[31mBAD\r\n")
        with box_with(mtaq) as box:
            out = probe(box, "--host", script.at, "a@b.test",
                        *(["--json"] if json_too else []),
                        errors="surrogateescape").stdout
            script.close()
            words[json_too] = out
            bad = [c for c in out if (ord(c) < 32 and c != "\n") or
                   127 <= ord(c) < 160 or "\ud800" <= c <= "\udfff"]
            must(not bad, f"controls came through: {bad!r}")
    must("\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\x5cx41 hi" in words[False],
         words[False])
    must("X-\\x1b[31mBAD" in words[False] and
         "(unknown to mtaq)" in words[False], "the unknown keyword")


def test_injection(mtaq):
    with box_with(mtaq) as box:
        for args in (["a@b\r\nDATA"], ["a@b.test\nRSET"], ["a b@c.test"],
                     ["--from", "x@y.test>\r\nRSET", "a@b.test"],
                     ["--helo", "x\r\nRSET", "a@b.test"],
                     ["--helo", "x y", "a@b.test"],
                     ["--host", "x\r\ny", "a@b.test"],
                     ["--host", "/tmp/socket", "a@b.test"],
                     ["nobody"], [""], [], ["a@b.test", "c@d.test"]):
            done = probe(box, *args, code=64)
            must(done.stdout == "" and done.stderr != "" and
                 "\r" not in done.stderr, f"{args}: {done}")


def test_usage_and_config(mtaq):
    with box_with(mtaq) as box:
        for args in (["--port", "0"], ["--port", "65536"],
                     ["--timeout", "0"], ["--timeout", "abc"],
                     ["--max-time", "2d"], ["--dns", "host.test"],
                     ["--ipv4", "--ipv6"], ["--all", "--send", "x"], ["--nope"]):
            probe(box, *args, "a@b.test", code=64)
        bad = box.dir / "bad.yaml"
        bad.write_text("hostnam: x.test\n")
        probe(box, "-c", bad, "a@b.test", code=78, sink=False)
        probe(box, "-c", box.dir / "none.yaml", "a@b.test", code=78,
              sink=False)
        probe(box, "--send", box.dir / "none.eml", "a@b.test", code=66)


def test_overrides(mtaq):
    with box_with(mtaq) as box:
        with tempfile.TemporaryDirectory() as empty:
            conf = pathlib.Path(empty) / "c.yaml"
            conf.write_text("hostname: mail.test\n")
            r = report(box, "-c", conf, "--dns", box.sink_dns, "--port",
                       box.sink_smtp.rpartition(":")[2], "--helo",
                       "other.test", "user@d0.test", sink=False)
            must(step(r, "ehlo")["command"] == "EHLO other.test", "--helo")


def test_routes(mtaq):
    script = Script()
    with box_with(mtaq, routes=f'{{"b.test": "{script.at}"}}') as box:
        r = report(box, "a@b.test")
        script.close()
        must(r["lookup"]["how"] == "route" and
             r["hosts"][0]["address"] == script.at, f"{r['lookup']}")


def test_send(mtaq):
    with box_with(mtaq) as box:
        mail = box.dir / "m.eml"
        mail.write_text("From: me@mail.test\nSubject: probe\n\n.\n.dots\n")
        r = report(box, "--send", mail, "-f", "me@mail.test", "user@d0.test")
        must(steps(r) == ["connect", "greeting", "ehlo", "mail", "rcpt",
                          "data", "content", "quit"], f"{steps(r)}")
        must("has taken the message" in r["words"], r["words"])
        box.stop_sink()
        must("user@d0.test" in box.ledger_file.read_text(),
             "not in the ledger")
    script = Script()
    with box_with(mtaq) as box:
        mail = box.dir / "m.eml"
        mail.write_text("From: me@mail.test\nSubject: probe\n\n.\n.dots\n")
        scripted(box, script, "--send", mail, "a@b.test")
        at = script.heard.index("DATA")
        must(script.heard[-5:] == ["", "..", "..dots", ".", "QUIT"],
             f"{script.heard[at:]}")


def test_send_refused_and_unsure(mtaq):
    for reply, code, result in (("554 5.6.0 no\r\n", 65, "rejected"),
                                ("451 later\r\n", 75, "deferred"),
                                ("", 75, "unsure")):
        script = Script(**{".": reply})
        with box_with(mtaq) as box:
            mail = box.dir / "m.eml"
            mail.write_text("From: me@mail.test\n\nhello\n")
            r = scripted(box, script, "--send", mail, "a@b.test", code=code)
            must(r["hosts"][0]["result"] == result and
                 r["hosts"][0]["stage"] == "eod", f"{r['hosts'][0]}")


def test_offers_decide(mtaq):
    with box_with(mtaq) as box:
        mail = box.dir / "m.eml"
        mail.write_text("From: me@mail.test\n\n" + "x" * 500 + "\n")
        script = Script(EHLO="250-x\r\n250 SIZE 100\r\n")
        r = scripted(box, script, "--send", mail, "a@b.test", code=65)
        must(r["hosts"][0]["enhanced"] == "5.3.4" and
             not any(h.startswith("MAIL") for h in script.heard), f"{r}")
        script = Script()
        r = scripted(box, script, "grün@b.test", code=65)
        must(r["hosts"][0]["enhanced"] == "5.6.7", f"{r['hosts'][0]}")
        script = Script(EHLO="250-x\r\n250 SMTPUTF8\r\n")
        r = scripted(box, script, "grün@b.test")
        must(step(r, "mail")["command"] == "MAIL FROM:<> SMTPUTF8", f"{r}")


def test_help(mtaq):
    with Box(mtaq) as box:
        out = box.run("probe", "--help").stdout
        must(max(map(len, out.splitlines())) <= 80, "wider than a terminal")
        must("probe" in box.run("--help").stdout, "mtaq --help")


if __name__ == "__main__":
    os.environ.pop("MTAQ_CONFIG", None)
    main([v for k, v in list(globals().items()) if k.startswith("test_")])
