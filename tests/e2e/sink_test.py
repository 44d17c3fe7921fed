#!/usr/bin/env python3
"""mtaq sink: every knob has a test that sees its effect.

usage: sink_test.py MTAQ [unittest arguments]
"""
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from sink_tools import (A, AAAA, MX, SOA, Client, Sink, content_hash, dns_ask,
                        dns_parse, dns_query, dns_tcp, dns_udp)

MTAQ = None
OK = ["250", "250", "354", "250"]


def sink(*args, **how):
    return Sink(MTAQ, *args, **how)


class Plain(unittest.TestCase):
    def test_message_is_in_ledger_before_its_reply(self):
        with sink() as s, s.client() as c:
            for i in range(50):
                self.assertEqual(c.mail(f"r{i}@d", token=f"t{i}"), OK)
                self.assertEqual(len(s.ledger()), i + 1)
            row = s.ledger()[3]
            body = b"X-Mtaq-Token: t3\r\n\r\nhello\r\n"
            self.assertEqual(row["hash"], content_hash(body))
            self.assertEqual((row["kind"], row["token"], row["recipient"],
                              row["server"], row["stage"], row["code"],
                              row["sender"]),
                             ("ok", "t3", "r3@d", "127.0.0.1", "eod", "250",
                              "s@c.test"))
            n = s.stop()
            self.assertEqual((n["messages"], n["recipients"], n["sessions"],
                              n["transactions"], n["octets"]),
                             (50, 50, 1, 50, sum(
                                 len(f"X-Mtaq-Token: t{i}\r\n\r\nhello\r\n")
                                 for i in range(50))))
            self.assertEqual(n["messages_per_session"],
                             {"mean": 50, "median": 50, "max": 50})

    def test_content_is_unstuffed_at_every_cut(self):
        wire = (b"A: b\r\nx-mtaq-token:  tok \r\n\r\n..a\r\n.b\r\n..\r\n\r\n"
                b"bare\n.\nand\r.\r\n.\rx\r\n")
        content = (b"A: b\r\nx-mtaq-token:  tok \r\n\r\n.a\r\nb\r\n.\r\n\r\n"
                   b"bare\n.\nand\r.\r\n\rx\r\n")
        with sink() as s, s.client() as c:
            cuts = range(len(wire) + 3)
            for cut in cuts:
                c.flight(["r@d"])
                self.assertEqual(c.codes(3), OK[:3])
                c.send((wire + b".\r\n")[:cut])
                # The NOOP of another session: the cut has been received.
                with s.client() as other:
                    other.ask("NOOP")
                c.send((wire + b".\r\n")[cut:])
                self.assertEqual(c.code(), "250")
            rows = s.ledger()
            self.assertEqual({(r["token"], r["hash"]) for r in rows},
                             {("tok", content_hash(content))})
            self.assertEqual(s.stop()["bare_lf"], 2 * len(cuts))

    def test_grouped_transactions_in_one_flight(self):
        with sink() as s, s.client() as c:
            self.assertEqual(c.mail("a@d"), OK)
            c.flight(["b@d"])
            c.send("body\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA")
            self.assertEqual(c.codes(7), OK + OK[:3])
            c.send(".")
            self.assertEqual(c.code(), "250")
            self.assertEqual([r["sender"] for r in s.ledger()],
                             ["s@c.test", "s@c.test", "-"])

    def test_ledger_appends_and_can_leave_refusals_out(self):
        with sink("--fail", "rcpt=5:0.5", "--ledger-ok-only") as s:
            with s.client() as c:
                codes = [c.mail(f"r{i}@d") for i in range(20)]
                for code in codes:
                    self.assertIn(code[1], ("250", "550"))
                    if code[1] == "550":
                        c.ask("RSET")
            good = sum(code[1] == "250" for code in codes)
            self.assertEqual([k for k, _, _ in s.kinds()], ["ok"] * good)

    def test_ledger_can_tell_microseconds(self):
        with sink("--ledger-us") as s, s.client() as c:
            begin = time.monotonic()
            self.assertEqual(c.mail("a@d"), OK)
            end = time.monotonic()
            told = int(s.ledger()[0]["ms"]) / 1e6
            # Their clock is ours; what is rounded off is rounded down.
            self.assertLess(begin - 1e-5, told)
            self.assertLess(told, end)

    def test_full_disk_makes_no_promise(self):
        done = subprocess.Popen(
            [MTAQ, "sink", "--port", "0", "--ledger", "/dev/full"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        place = done.stdout.readline().split()[1].split("=")[1]
        with Client(Sink.place(place)) as c:
            c.flight(["r@d"])
            self.assertEqual(c.codes(3), OK[:3])
            c.send("x\r\n.")
            try:
                self.assertIsNone(c.line())
            except ConnectionResetError:
                pass
        _, err = done.communicate(timeout=20)
        self.assertEqual(done.returncode, 74)
        self.assertIn("No space left", err)

    def test_stop_by_interrupt_and_periodic_stats(self):
        with sink("--stats-every", "1") as s, s.client():
            self.assertIn('"sessions": 1', s.process.stdout.readline())
            s.stop(signal.SIGINT)

    def test_ready_fd_and_stats_file(self):
        r, w = os.pipe()
        with sink("--stats", "/dev/null") as s:
            s.stop()
        with tempfile.TemporaryDirectory(prefix="mtaq-sink-") as folder:
            path = os.path.join(folder, "stats")
            done = subprocess.Popen(
                [MTAQ, "sink", "--port", "0", "--ready-fd", str(w), "--stats",
                 path], pass_fds=[w], stdout=subprocess.PIPE)
            Sink.used.add("--ready-fd")
            os.close(w)
            with os.fdopen(r) as f:
                self.assertTrue(f.readline().startswith("ready smtp=127.0.0.1:"))
            done.terminate()
            self.assertEqual(done.communicate(timeout=20)[0], b"")
            with open(path, encoding="ascii") as f:
                self.assertIn('"peak_connections": 0', f.read())

    def test_bad_command_lines(self):
        for args in (["--nothing"], ["--delay"], ["--delay", "x"],
                     ["--fail", "rcpt=3:1"], ["--fail", "moon=4:1"],
                     ["--drop", "eod=2"], ["--listen", "1.2.3"],
                     ["--listen", "127.0.0.9-127.0.0.2"], ["--mx", "0"],
                     ["--delay-at", "127.0.0.77=1"], ["--json=1"],
                     ["--dead-address", "x"], ["x"]):
            done = subprocess.run([MTAQ, "sink", *args], capture_output=True,
                                  timeout=20, check=False)
            self.assertEqual(done.returncode, 64, args)
            self.assertIn(b"mtaq sink: ", done.stderr)

    def test_address_in_use(self):
        with sink() as s:
            done = subprocess.run(
                [MTAQ, "sink", "--port", str(s.smtp[1])],
                capture_output=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 71)
            self.assertIn(b"Address already in use", done.stderr)

    def test_addresses_and_threads(self):
        with sink("--threads", "2", listen="127.0.0.2-127.0.0.9") as s:
            for last in (2, 5, 9):
                place = (f"127.0.0.{last}", s.smtp[1])
                clients = [s.client(address=place) for _ in range(8)]
                for i, c in enumerate(clients):
                    self.assertEqual(c.mail(f"r{last}.{i}@d"), OK)
                    c.socket.close()
            servers = [r["server"] for r in s.ledger()]
            self.assertEqual(sorted(set(servers)),
                             ["127.0.0.2", "127.0.0.5", "127.0.0.9"])
            self.assertEqual(len({r["transaction"] for r in s.ledger()}), 24)
            self.assertGreaterEqual(s.stop()["peak_connections"], 1)


class Offers(unittest.TestCase):
    def test_each_offer_on_and_off(self):
        for flag, word, line, body in (
                ("pipelining", "PIPELINING", None, None),
                ("chunking", "CHUNKING", "BDAT 0 LAST", "502"),
                ("8bitmime", "8BITMIME", "MAIL FROM:<> BODY=8BITMIME", "555"),
                ("smtputf8", "SMTPUTF8", "MAIL FROM:<> SMTPUTF8", "555"),
                ("dsn", "DSN", "MAIL FROM:<> RET=HDRS ENVID=x", "555"),
                ("enhanced", "ENHANCEDSTATUSCODES", None, None)):
            with self.subTest(word):
                for on in (True, False):
                    args = [] if on else [f"--no-{flag}"]
                    with sink(*args) as s, s.client(hello=None) as c:
                        c.reply()
                        words = [w[4:] for w in c.ask("EHLO c")]
                        self.assertEqual(word in words, on)
                        self.assertEqual(len(words), 8 if on else 7)
                        if line:
                            code = c.ask(line)[-1][:3]
                            self.assertEqual(code == body, not on)

    def test_pipelining_unoffered_is_counted(self):
        for flag, early in (([], 0), (["--no-pipelining"], 2)):
            with sink(*flag) as s, s.client() as c:
                c.send("NOOP\r\nNOOP\r\nNOOP")
                c.codes(3)
                self.assertEqual(s.stop()["too_early"], early)

    def test_content_before_354_is_counted(self):
        with sink() as s, s.client() as c:
            c.send("MAIL FROM:<>\r\nRCPT TO:<r@d>\r\nDATA\r\nearly\r\n.")
            self.assertEqual(c.codes(4), OK)
            self.assertEqual(s.stop()["too_early"], 1)

    def test_enhanced_codes_off(self):
        for flag, text in (([], "250 2.0.0 Ok"), (["--no-enhanced"],
                                                  "250 Ok")):
            with sink(*flag) as s, s.client() as c:
                self.assertEqual(c.ask("NOOP"), [text])

    def test_size(self):
        with sink("--size", "1000", "--hostname", "mx.example") as s:
            with s.client(hello=None) as c:
                self.assertIn("mx.example", c.reply()[0])
                self.assertIn("250-SIZE 1000", c.ask("EHLO c"))
                self.assertEqual(c.ask("MAIL FROM:<> SIZE=1001")[0][:9],
                                 "552 5.3.4")
                self.assertEqual(c.ask("MAIL FROM:<> SIZE=1000")[0][:3], "250")
                c.ask("RSET")
                self.assertEqual(c.mail("r@d", body="x" * 1000 + "\r\n")[-1],
                                 "552")
                self.assertEqual(c.mail("r@d", body="x" * 900 + "\r\n"), OK)
            self.assertEqual(s.kinds()[-2:], [("rej5", "r@d", "eod"),
                                              ("ok", "r@d", "eod")])
        with sink("--size", "0") as s, s.client(hello=None) as c:
            c.reply()
            self.assertFalse([w for w in c.ask("EHLO c") if "SIZE" in w])
            self.assertEqual(c.ask("MAIL FROM:<> SIZE=1")[0][:3], "555")

    def test_smtputf8_and_dsn_parameters(self):
        with sink() as s, s.client() as c:
            self.assertEqual(c.ask("MAIL FROM:<é@d>")[0][:3], "553")
            self.assertEqual(c.ask("MAIL FROM:<é@d> SMTPUTF8")[0][:3], "250")
            for line, code in (("<ü@d> NOTIFY=NEVER", "250"),
                               ("<a@d> ORCPT=rfc822;a@d", "250"),
                               ("<a@d> X=1", "555"), ("<>", "501"),
                               ('<"a>b"@d>', "250"), ("a@d", "501")):
                self.assertEqual(c.ask("RCPT TO:" + line)[0][:3], code, line)
            c.ask("RSET")
            c.ask("MAIL FROM:<>")
            self.assertEqual(c.ask("RCPT TO:<ü@d>")[0][:9], "553 5.6.7")


class Bdat(unittest.TestCase):
    def start(self, c):
        c.send("MAIL FROM:<>\r\nRCPT TO:<r@d>")
        return c.codes(2)

    def test_chunks_are_exact_octets(self):
        with sink() as s, s.client() as c:
            self.start(c)
            content = b"X-Mtaq-Token: b\r\n\r\n.\r\n..x\r\n"
            c.send(b"BDAT 9\r\n" + content[:9])
            self.assertEqual(c.code(), "250")
            self.assertEqual(c.ask("DATA")[0][:3], "503")
            self.assertEqual(c.ask("RCPT TO:<q@d>")[0][:3], "503")
            c.send(b"BDAT %d LAST\r\n" % (len(content) - 9) + content[9:])
            self.assertEqual(c.code(), "250")
            self.start(c)
            c.send(b"BDAT 3\r\nabc")
            c.send("BDAT 0 LAST")
            self.assertEqual(c.codes(2), ["250", "250"])
            self.assertEqual([(r["token"], r["hash"]) for r in s.ledger()],
                             [("b", content_hash(content)),
                              ("-", content_hash(b"abc"))])
            for bad in ("BDAT", "BDAT x", "BDAT 1 FIRST", "BDAT -1",
                        "BDAT 99999999999"):
                self.assertEqual(c.ask(bad)[0][:3], "501")

    def test_refused_bdat_takes_its_octets(self):
        with sink("--fail", "data=5:1") as s, s.client() as c:
            self.start(c)
            c.send(b"BDAT 12 LAST\r\nNOOP\r\nQUIT\r\n")
            self.assertEqual(c.code(), "554")
            c.send("BDAT 6\r\nQUIT\r\nRSET\r\nNOOP")
            self.assertEqual(c.codes(3), ["503", "250", "250"])
            self.assertEqual(s.kinds(), [("rej5", "r@d", "data")])

    def test_spill(self):
        with sink("--fail", "data=5:1", "--bdat-spill") as s:
            with s.client() as c:
                self.start(c)
                c.send(b"BDAT 12 LAST\r\nNOOP\r\nQUIT\r\n")
                self.assertEqual(c.codes(3), ["554", "250", "221"])


class Refusals(unittest.TestCase):
    def test_greeting_and_ehlo(self):
        for stage, class_, code in (("greeting", 4, "421"),
                                    ("greeting", 5, "554"),
                                    ("ehlo", 4, "421"), ("ehlo", 5, "502")):
            with self.subTest(f"{stage}{class_}"):
                with sink("--fail", f"{stage}={class_}:1") as s:
                    with s.client(hello=None) as c:
                        got = c.code()
                        if stage == "ehlo":
                            self.assertEqual(got, "220")
                            got = c.ask("EHLO c")[0][:3]
                        self.assertEqual(got, code)
                        if code == "421":
                            self.assertTrue(c.closed())
                        elif stage == "ehlo":
                            self.assertEqual(c.ask("HELO c")[0][:3], "250")
                            self.assertEqual(c.ask("MAIL FROM:<> SIZE=1")
                                             [0][:3], "555")
                        else:
                            self.assertEqual(c.ask("EHLO c")[0][:3], "503")
                            self.assertEqual(c.ask("QUIT")[0][:3], "221")
                    self.assertEqual(s.kinds(), [(f"rej{class_}", "-", stage)])
                    self.assertEqual(s.stop()["refused"][f"{stage}_{class_}"],
                                     1)

    def test_connect(self):
        with sink("--fail", "connect=4:1") as s:
            with self.assertRaises(ConnectionResetError):
                with s.client(hello=None) as c:
                    c.line()

    def test_each_stage_of_a_transaction(self):
        for stage, class_, codes in (
                ("mail", 4, ["451", "503", "503"]),
                ("mail", 5, ["550", "503", "503"]),
                ("rcpt", 4, ["250", "450", "554"]),
                ("rcpt", 5, ["250", "550", "554"]),
                ("data", 4, ["250", "250", "451"]),
                ("data", 5, ["250", "250", "554"]),
                ("eod", 4, ["250", "250", "354", "451"]),
                ("eod", 5, ["250", "250", "354", "554"])):
            with self.subTest(f"{stage}{class_}"):
                with sink("--fail", f"{stage}={class_}:1") as s:
                    with s.client() as c:
                        self.assertEqual(c.mail("r@d"), codes)
                        rows = [k for k in s.kinds() if k[1] != "-"]
                        self.assertEqual(rows, [(f"rej{class_}", "r@d",
                                                 stage)])
                    self.assertEqual(s.stop()["refused"][f"{stage}_{class_}"],
                                     1)

    def test_content_refused_in_the_middle(self):
        for class_, code in ((4, "451"), (5, "552")):
            with sink("--fail", f"content={class_}:1") as s, s.client() as c:
                c.flight(["r@d"])
                self.assertEqual(c.codes(3), OK[:3])
                c.send("half a line")
                self.assertEqual(c.code(), code)
                self.assertTrue(c.closed())
                self.assertEqual(s.kinds(), [(f"rej{class_}", "r@d",
                                              "content")])

    def test_5yz_stays_and_4yz_goes(self):
        with sink("--fail", "rcpt=4:0.3,rcpt=5:0.2") as s, s.client() as c:
            def ask(i):
                return c.ask(f"RCPT TO:<r{i}@d>")[0][:3]
            c.ask("MAIL FROM:<>")
            tries = [[ask(i) for i in range(300)] for _ in range(4)]
            for i in range(300):
                codes = [t[i] for t in tries]
                if "550" in codes:
                    self.assertEqual(set(codes), {"550"})
                else:
                    self.assertNotIn(("450", "450"), zip(codes, codes[1:]))
            self.assertTrue(30 < tries[0].count("550") < 90)
            self.assertTrue(40 < tries[0].count("450") < 110)

    def test_seed_decides(self):
        def run(seed):
            with sink("--seed", seed, "--fail", "rcpt=5:0.5") as s:
                with s.client() as c:
                    c.ask("MAIL FROM:<>")
                    return [c.ask(f"RCPT TO:<R{i}@d>")[0][:3]
                            for i in range(40)]
        self.assertEqual(run("5"), run("5"))
        self.assertNotEqual(run("5"), run("6"))

    def test_stubborn(self):
        with sink("--fail", "rcpt=4:1", "--stubborn") as s, s.client() as c:
            c.ask("MAIL FROM:<>")
            self.assertEqual({c.ask("RCPT TO:<r@d>")[0][:3]
                              for _ in range(5)}, {"450"})

    def test_token_decides_at_the_end(self):
        with sink("--fail", "eod=5:0.5") as s, s.client() as c:
            first = [c.mail("r@d", token=f"t{i}")[-1] for i in range(30)]
            again = [c.mail("q@d", token=f"t{i}")[-1] for i in range(30)]
            self.assertEqual(first, again)
            self.assertEqual(set(first), {"250", "554"})

    def test_words_of_providers(self):
        with sink("--fail", "rcpt=4:1,eod=5:1", "--providers") as s:
            with s.client() as c:
                c.ask("MAIL FROM:<>")
                words = {c.ask(f"RCPT TO:<r{i}@d>")[0][:9] for i in range(40)}
                self.assertEqual(words, {"450 4.2.1", "452 4.2.2",
                                         "451 4.7.5"})
        with sink("--fail", "eod=4:1", "--providers") as s:
            codes = set()
            for i in range(12):
                with s.client() as c:
                    codes.add(c.mail("r@d", token=str(i))[-1])
                    if "421" in codes:
                        self.assertTrue(c.closed())
                        break
            self.assertIn("421", codes)

    def test_greylist(self):
        with sink("--greylist", "0.6") as s, s.client() as c:
            c.ask("MAIL FROM:<a@c>")
            start = time.monotonic()
            self.assertEqual(c.ask("RCPT TO:<r@d>")[0][:9], "451 4.7.1")
            self.assertEqual(c.ask("RCPT TO:<r@d>")[0][:9], "451 4.7.1")
            while c.ask("RCPT TO:<r@d>")[0][:3] == "451":
                self.assertLess(time.monotonic() - start, 5)
            self.assertGreaterEqual(time.monotonic() - start, 0.6)
            self.assertEqual(c.ask("RCPT TO:<q@d>")[0][:3], "451")
            self.assertEqual(s.kinds()[0], ("rej4", "r@d", "rcpt"))

    def test_data_always(self):
        for flag, code in (([], "554"), (["--data-always"], "354")):
            with sink("--fail", "rcpt=5:1", *flag) as s, s.client() as c:
                c.flight(["r@d"])
                self.assertEqual(c.codes(3), ["250", "550", code])
                if code == "354":
                    c.send(".")
                    self.assertEqual(c.code(), "554")
                self.assertEqual(s.stop()["messages"], 0)


class Limits(unittest.TestCase):
    def test_messages_max(self):
        for flag, last in (([], "421"), (["--messages-silent"], None)):
            with sink("--messages-max", "2", *flag) as s, s.client() as c:
                self.assertEqual(c.mail("a@d") + c.mail("b@d"), OK + OK)
                c.send("MAIL FROM:<>")
                self.assertEqual(c.code(), last)
                self.assertTrue(c.closed())
                n = s.stop()
                self.assertEqual((n["quota"], n["messages_per_session"]["max"]),
                                 (1, 2))

    def test_connections_max(self):
        with sink("--connections-max", "2", listen="127.0.0.2-3") as s:
            with s.client() as a, s.client(), s.client(hello=None) as third:
                self.assertEqual(third.line()[:9], "421 4.7.0")
                self.assertTrue(third.closed())
                with s.client(address=("127.0.0.3", s.smtp[1])):
                    pass
                self.assertEqual(a.ask("NOOP")[0][:3], "250")
            n = s.stop()
            self.assertEqual((n["capped"], n["peak_connections"]), (1, 4))

    def test_rcpt_max(self):
        with sink("--rcpt-max", "2") as s, s.client() as c:
            codes = c.mail("a@d", "b@d", "c@d", "d@d")
            self.assertEqual(codes, ["250", "250", "250", "452", "452", "354",
                                     "250"])
            self.assertEqual(s.kinds(), [
                ("rej4", "c@d", "rcpt"), ("rej4", "d@d", "rcpt"),
                ("ok", "a@d", "eod"), ("ok", "b@d", "eod")])

    def test_idle(self):
        with sink("--idle-ms", "200") as s, s.client() as c:
            start = time.monotonic()
            self.assertEqual(c.line()[:9], "421 4.3.2")
            self.assertGreaterEqual(time.monotonic() - start, 0.19)
            self.assertTrue(c.closed())


class Times(unittest.TestCase):
    def test_delay_is_counted_for_each_command(self):
        with sink("--delay", "300") as s, s.client() as c:
            start = time.monotonic()
            c.send("NOOP\r\nNOOP\r\nNOOP")
            c.codes(3)
            took = time.monotonic() - start
            self.assertTrue(0.3 <= took < 0.85, took)
            start = time.monotonic()
            self.assertEqual(c.mail("r@d"), OK)
            took = time.monotonic() - start
            self.assertTrue(0.6 <= took < 1.15, took)
            c.send("NOOP\r\nQUIT")
            self.assertEqual(c.codes(2), ["250", "221"])
            self.assertTrue(c.closed())

    def test_commands_do_not_wait_for_each_other(self):
        with sink("--delay", "500") as s, s.client() as c:
            start = time.monotonic()
            c.send("NOOP")
            while time.monotonic() < start + 0.15:
                pass
            c.send("VRFY x")
            self.assertEqual(c.code(), "250")
            first = time.monotonic() - start
            self.assertEqual(c.code(), "252")
            second = time.monotonic() - start
            self.assertTrue(0.5 <= first, first)
            self.assertTrue(0.65 <= second < 0.95, second)

    def test_delay_at_one_address(self):
        with sink("--delay-at", "127.0.0.3=600", listen="127.0.0.2-3") as s:
            for host, least, most in (("127.0.0.2", 0, 0.5),
                                      ("127.0.0.3", 0.6, 5)):
                with s.client(address=(host, s.smtp[1])) as c:
                    start = time.monotonic()
                    c.ask("NOOP")
                    took = time.monotonic() - start
                    self.assertTrue(least <= took < most, (host, took))

    def test_tarpit(self):
        with sink("--tarpit", "1", "--tarpit-ms", "10") as s:
            start = time.monotonic()
            with s.client(hello=None) as c:
                line = c.line()
                took = time.monotonic() - start
                self.assertGreaterEqual(took, 0.01 * (len(line) + 1))
        with sink("--tarpit", "0.5", "--tarpit-ms", "6") as s:
            slow = 0
            for _ in range(16):
                start = time.monotonic()
                with s.client(hello=None) as c:
                    c.line()
                slow += time.monotonic() - start > 0.15
            self.assertTrue(0 < slow < 16, slow)

    def test_split(self):
        for flag, least, most in (([], 2, 2), (["--split"], 100, 1000)):
            with sink(*flag) as s, s.client():
                writes = s.stop()["writes"]
                self.assertTrue(least <= writes <= most, writes)


class Tricks(unittest.TestCase):
    ASK = {"ehlo": "EHLO c", "mail": "MAIL FROM:<>", "rcpt": "RCPT TO:<r@d>",
           "data": "DATA", "eod": "x\r\n."}
    ORDER = ["ehlo", "mail", "rcpt", "data", "eod"]

    def until(self, c, stage):
        """All before that stage; its command is sent, no reply read."""
        if stage == "greeting":
            return
        c.reply()
        for step in self.ORDER[:self.ORDER.index(stage)]:
            self.assertIn(c.ask(self.ASK[step])[-1][:3], ("250", "354"))
        c.send(self.ASK[stage])

    def each(self, trick):
        for stage in ["greeting"] + self.ORDER:
            with self.subTest(f"{trick} {stage}"):
                with sink(f"--{trick}", f"{stage}=1") as s:
                    with s.client(hello=None) as c:
                        self.until(c, stage)
                        yield s, c, stage
                    if stage != "connect":
                        self.assertEqual(
                            s.stop()["tricks"], {f"{trick}_{stage}": 1})

    def withheld(self, s, stage):
        self.assertEqual([k for k, _, _ in s.kinds()],
                         ["withheld"] if stage == "eod" else [])
        if stage == "eod":
            self.assertEqual(s.ledger()[0]["code"], "-")

    def test_drop(self):
        for s, c, stage in self.each("drop"):
            self.assertTrue(c.closed())
            self.withheld(s, stage)

    def test_hang(self):
        for s, c, stage in self.each("hang"):
            c.send("NOOP")
            self.assertTrue(c.silent())
            self.withheld(s, stage)

    def test_miss(self):
        for s, c, stage in self.each("miss"):
            if stage == "data":
                c.send("x\r\n.")
                self.assertEqual(c.code(), "250")
                continue
            c.send("VRFY x" if stage != "greeting" else "NOOP")
            if stage == "greeting":
                self.assertEqual(c.code(), "250")
            else:
                self.assertEqual(c.code(), "252")
            self.withheld(s, stage)

    def test_dup(self):
        for s, c, stage in self.each("dup"):
            self.assertEqual(c.reply(), c.reply())
            if stage == "eod":
                self.assertEqual([k for k, _, _ in s.kinds()], ["ok"])

    def test_stray(self):
        for _, c, stage in self.each("stray"):
            self.assertEqual(c.line(), "250 2.0.0 stray")
            self.assertEqual(c.code(), {"greeting": "220", "data": "354"}
                             .get(stage, "250"))

    def test_connect(self):
        with sink("--drop", "connect=1") as s, s.client(hello=None) as c:
            self.assertTrue(c.closed())
        with sink("--hang", "connect=1") as s, s.client(hello=None) as c:
            self.assertTrue(c.silent())

    def test_content(self):
        with sink("--drop", "content=1") as s, s.client() as c:
            c.flight(["r@d"])
            self.assertEqual(c.codes(3), OK[:3])
            c.send("x")
            self.assertTrue(c.closed())
            self.assertEqual(s.ledger(), [])
        with sink("--hang", "content=1") as s, s.client() as c:
            c.flight(["r@d"])
            self.assertEqual(c.codes(3), OK[:3])
            c.send("x\r\n.")
            self.assertTrue(c.silent())
            self.assertEqual(s.ledger(), [])

    def test_reset(self):
        with sink("--drop", "mail=1", "--reset") as s, s.client() as c:
            c.send("MAIL FROM:<>")
            with self.assertRaises(ConnectionResetError):
                c.line()

    def test_replies_before_a_drop_arrive(self):
        with sink("--drop", "rcpt=1") as s, s.client() as c:
            c.send("NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<r@d>\r\n" + "NOOP\r\n" *
                   1000)
            self.assertEqual(c.codes(2), ["250", "250"])
            self.assertTrue(c.closed())
            with s.client() as other:       # the sink's turn is over
                other.ask("NOOP")
            for _ in range(3):              # thrown away, without RST
                c.send("NOOP")

    def test_share_and_colon(self):
        with sink("--drop", "mail:0.5") as s:
            ends = []
            for _ in range(40):
                with s.client() as c:
                    ends.append(c.ask("MAIL FROM:<>")[0] is None)
            self.assertTrue(5 < sum(ends) < 35, sum(ends))


class Names(unittest.TestCase):
    def dns(self, *args, listen="127.0.0.2-127.0.0.11"):
        return sink("--dns", "127.0.0.1:0", *args, listen=listen)

    def test_mx_and_addresses(self):
        with self.dns("--domains", "5", "--mx", "3", "--ttl", "77") as s:
            got = dns_ask(s.dns, "D2.test", MX)
            self.assertEqual((got["rcode"], got["tc"]), (0, False))
            self.assertEqual(got["answers"], [
                (MX, 77, (10 * (j + 1), f"mx{j}.d2.test"))
                for j in range(3)])
            for i in range(5):
                for j in range(3):
                    a = dns_ask(s.dns, f"mx{j}.d{i}.test", A)["answers"]
                    self.assertEqual(a, [
                        (A, 77, f"127.0.0.{2 + (i * 3 + j) % 10}")])
            for name, kind, rcode in (
                    ("d5.test", MX, 3), ("mx3.d0.test", A, 3),
                    ("d01.test", MX, 3), ("d0.test.org", MX, 3),
                    ("test", MX, 0), ("d0.test", A, 0),
                    ("mx0.d0.test", AAAA, 0), ("d0.test", SOA, 0)):
                got = dns_ask(s.dns, name, kind)
                self.assertEqual((got["rcode"], got["answers"]), (rcode, []),
                                 name)
                self.assertEqual(got["authority"][0][0], SOA)
            self.assertEqual(s.stop()["dns_queries"], 1 + 15 + 8)

    def test_zone_sites_equal(self):
        with self.dns("--sites", "4", "--mx", "2", "--mx-equal", "--zone",
                      "made.up") as s:
            sets = {tuple(r[2] for r in dns_ask(s.dns, f"d{i}.made.up", MX)
                          ["answers"]) for i in range(40)}
            self.assertEqual(sets, {((10, f"mx0.s{k}.made.up"),
                                     (10, f"mx1.s{k}.made.up"))
                                    for k in range(4)})
            self.assertEqual(dns_ask(s.dns, "mx1.s3.made.up", A)["answers"],
                             [(A, 300, "127.0.0.9")])

    def test_ipv6(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            print("skipped: IPv6")
            return
        with self.dns("--listen=[::1]") as s:
            got = dns_ask(s.dns, "mx0.d7.test", AAAA)["answers"]
            self.assertEqual(got, [(AAAA, 300, "::1")])
            self.assertEqual(dns_ask(s.dns, "mx0.d7.test", A)["answers"][0][2],
                             "127.0.0.9")
            with s.client(address=("::1", s.smtp[1])) as c:
                self.assertEqual(c.mail("r@d"), OK)
            self.assertEqual(s.ledger()[0]["server"], "::1")

    def test_dead_first(self):
        with self.dns("--dead-first", "0.1", "--mx", "2", "--dead-address",
                      "127.0.77.1") as s:
            first = [dns_ask(s.dns, f"mx0.d{i}.test", A)["answers"][0][2]
                     for i in range(400)]
            dead = first.count("127.0.77.1")
            self.assertTrue(20 < dead < 65, dead)
            i = first.index("127.0.77.1")
            self.assertNotEqual(dns_ask(s.dns, f"mx1.d{i}.test", A)
                                ["answers"][0][2], "127.0.77.1")
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.77.1", s.smtp[1]))

    def test_fates(self):
        null = [(MX, 300, (0, ""))]
        for flag, want in (("nxdomain", (3, [])), ("servfail", (2, [])),
                           ("null-mx", (0, null)), ("no-mx", (0, []))):
            with self.subTest(flag), self.dns(f"--{flag}", "0.2") as s:
                got = [dns_ask(s.dns, f"d{i}.test", MX) for i in range(300)]
                hit = [i for i, g in enumerate(got)
                       if (g["rcode"], g["answers"]) == want]
                self.assertTrue(30 < len(hit) < 95, len(hit))
                a = dns_ask(s.dns, f"d{hit[0]}.test", A)
                self.assertEqual(len(a["answers"]), int(flag == "no-mx"))
                if flag == "nxdomain":
                    self.assertEqual(dns_ask(s.dns, f"mx0.d{hit[0]}.test", A)
                                     ["rcode"], 3)

    def test_timeout(self):
        with self.dns("--timeout", "1", "--nxdomain", "0") as s:
            self.assertIsNone(dns_udp(s.dns, dns_query("d0.test", MX), 0.2))
            self.assertEqual(dns_ask(s.dns, "mx0.d0.test", A)["rcode"], 0)

    def test_size_of_answers_and_tcp(self):
        with self.dns("--mx", "40") as s:
            q = dns_query("d1.test", MX)
            small = dns_udp(s.dns, q)
            self.assertLessEqual(len(small), 512)
            self.assertEqual((dns_parse(small)["tc"],
                              dns_parse(small)["answers"]), (True, []))
            big = dns_parse(dns_udp(s.dns, dns_query("d1.test", MX,
                                                     edns=4096)))
            self.assertEqual((big["tc"], len(big["answers"]),
                              len(big["additional"])), (False, 40, 1))
            for pieces in (1, 2, len(q) + 2):
                tcp = dns_parse(dns_tcp(s.dns, q, pieces))
                self.assertEqual((tcp["tc"], len(tcp["answers"])), (False, 40))
            self.assertEqual(s.stop()["dns_tcp"], 3)

    def test_truncate(self):
        with self.dns("--dns-truncate") as s:
            q = dns_query("d1.test", MX)
            self.assertTrue(dns_parse(dns_udp(s.dns, q))["tc"])
            self.assertEqual(len(dns_parse(dns_tcp(s.dns, q))["answers"]), 1)

    def test_odd_queries(self):
        with self.dns() as s:
            good = dns_query("d1.test", MX, edns=1232)
            draw = random.Random(1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
                for cut in range(len(good)):
                    u.sendto(good[:cut], s.dns)
                for _ in range(3000):
                    bad = bytearray(good)
                    for _ in range(draw.randrange(1, 5)):
                        bad[draw.randrange(len(bad))] = draw.randrange(256)
                    u.sendto(bytes(bad), s.dns)
                u.sendto(draw.randbytes(1400), s.dns)
            notimp = bytearray(good)
            notimp[2] |= 0x28
            self.assertEqual(dns_udp(s.dns, bytes(notimp))[3] & 15, 4)
            self.assertEqual(dns_udp(s.dns, good[:20])[3] & 15, 1)
            self.assertEqual(len(dns_ask(s.dns, "d1.test", MX)["answers"]), 1)
            with socket.create_connection(s.dns) as t:
                t.sendall(b"\xff\xff")
                self.assertEqual(t.recv(1), b"")


class Hostile(unittest.TestCase):
    def test_long_lines(self):
        with sink() as s, s.client() as c:
            self.assertEqual(c.ask("NOOP " + "x" * 4000)[0][:3], "250")
            self.assertEqual(c.ask("NOOP " + "x" * 5000)[0][:3], "500")
            for _ in range(300):
                c.send(b"y" * 1000)
            c.send("")
            self.assertEqual(c.code(), "500")
            self.assertEqual(c.ask("NOOP")[0][:3], "250")
            self.assertEqual(c.mail("r@d"), OK)

    def test_order_of_commands(self):
        with sink() as s, s.client(hello=None) as c:
            c.reply()
            for line, code in (
                    ("MAIL FROM:<>", "503"), ("EHLO", "501"),
                    ("NOOP", "250"), ("EHLO c", "250"), ("DATA", "503"),
                    ("RCPT TO:<r@d>", "503"), ("BDAT 0 LAST", "503"),
                    ("MAIL FROM:<>", "250"), ("MAIL FROM:<>", "503"),
                    ("DATA", "554"), ("RCPT TO:<r@d>", "250"),
                    ("RSET", "250"), ("DATA", "503"), ("MAILFROM:<>", "500"),
                    ("MAIL FROM:a", "501"), ("MAIL TO:<>", "501"), ("", "500"),
                    ("DATAX", "500"), ("STARTTLS", "500"),
                    ("MAIL FROM:<a\0b>", "501"),
                    (f"MAIL FROM:<{'a' * 320}>", "501"), ("HELO", "501")):
                self.assertEqual(c.ask(line)[-1][:3], code, line)

    def test_odd_words_keep_the_columns(self):
        with sink() as s, s.client() as c:
            c.ask('MAIL FROM:<"a\tb\x01"@c>')
            self.assertEqual(c.ask('RCPT TO:<"x y\x7f"@d>')[0][:3], "250")
            c.ask("DATA")
            c.send("X-Mtaq-Token: a\tb" + "c" * 200 + "\r\n\r\n.")
            self.assertEqual(c.code(), "250")
            row = s.ledger()[0]
            self.assertEqual((row["sender"], row["recipient"]),
                             ('"a?b?"@c', '"x?y?"@d'))
            self.assertEqual(row["token"], "a?b" + "c" * 93)

    def test_garbage(self):
        words = [b"MAIL FROM:<", b">", b"\r\n", b"RCPT TO:<", b"DATA", b"\n.",
                 b"BDAT ", b"7", b" LAST", b"\0", b"RSET", b".\r\n", b'"',
                 b"\\", b"EHLO x", b"\xff" * 30, b"QUITT", b" SIZE=", b"\r"]
        with sink("--delay", "1", "--fail", "rcpt=4:0.2,mail=5:0.1") as s:
            draw = random.Random(7)
            for _ in range(60):
                with s.client() as c:
                    data = b"".join(draw.choice(words) for _ in range(400))
                    for at in range(0, len(data), 97):
                        c.send(data[at:at + 97])
            with s.client() as c:
                self.assertEqual(c.ask("NOOP")[0][:3], "250")
            self.assertGreater(s.stop()["bad_commands"], 100)

    def test_many_recipients_and_aborts(self):
        with sink() as s:
            with s.client() as c:
                c.send("MAIL FROM:<>")
                long = "x" * 250 + "@d.test"
                replies = [c.ask(f"RCPT TO:<{i}{long}>")[0][:3]
                           for i in range(4500)]
                self.assertEqual(set(replies[:3900]), {"250"})
                self.assertEqual(replies[-1], "452")
                c.ask("DATA")
                c.send("half")
            with s.client() as other:
                other.ask("NOOP")
            self.assertEqual(s.stop()["aborted"], 1)

    def test_client_that_never_reads(self):
        with sink() as s:
            with s.client() as c:
                c.socket.settimeout(10)
                with self.assertRaises(ConnectionError):
                    for _ in range(4000):
                        c.send(b"NOOP\r\n" * 10000)
            with s.client() as c:
                self.assertEqual(c.ask("NOOP")[0][:3], "250")


class ZEveryKnob(unittest.TestCase):
    """Last by its name: all other tests have run."""

    def test_every_option_was_used(self):
        text = subprocess.run([MTAQ, "sink", "--help"], check=True,
                              capture_output=True, text=True).stdout
        known = set(re.findall(r"(?m)^ +(?:-\w, )?(--[\w-]+)", text))
        used = {word.split("=")[0] for word in Sink.used}
        self.assertGreater(len(known), 40)
        self.assertEqual(known - used, {"--help"})


if __name__ == "__main__":
    MTAQ = sys.argv.pop(1)
    unittest.main()
