#!/usr/bin/env python3
"""What an operator sees: mtaq status and mtaq top.

test_top.py MTAQ [NAME...]
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pyte

from harness import Box, main, must


def op(box, *args, ok=(0,)):
    return box.run(*args, "-c", box.conf, ok=ok).stdout


def on_terminal(box, *args, size=(40, 100), **env):
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    p = subprocess.Popen([box.mtaq, *args, "-c", box.conf], stdout=theirs,
                         env={**os.environ, "TERM": "xterm-256color", **env})
    os.close(theirs)
    found = b""
    while True:
        try:
            got = os.read(ours, 65536)
        except OSError:
            break
        if not got:
            break
        found += got
    os.close(ours)
    must(p.wait(60) == 0, f"{args} ended with {p.returncode}")
    return found.decode()


class Terminal:
    """mtaq top on a terminal of its own, drawn by pyte, which knows all that
    TERM=linux may be sent (and not all that xterm may)."""

    def __init__(self, box, *args, size=(24, 80), **env):
        self.ours, theirs = pty.openpty()
        self.screen = pyte.Screen(size[1], size[0])
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.set_size(size)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.top = subprocess.Popen(
            [box.mtaq, "top", "-c", str(box.conf), "-i", "250ms", *args],
            stdin=theirs, stdout=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "linux",
                 "LC_ALL": "C.UTF-8", **env})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.top.poll() is None:
            self.top.kill()
            self.top.wait(30)
        os.close(self.ours)
        os.close(self.theirs)

    def set_size(self, size):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ,
                    struct.pack("HHHH", *size, 0, 0))
        self.screen.resize(*size)

    def pump(self, seconds):
        if select.select([self.ours], [], [], seconds)[0]:
            got = os.read(self.ours, 65536)
            self.raw += got
            self.stream.feed(got)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def line(self, words):
        """The number of the line that has these words; -1."""
        return next((n for n, line in enumerate(self.screen.display)
                     if words in line), -1)

    def until(self, question, what, timeout=60):
        end = time.monotonic() + timeout
        while not question():
            must(time.monotonic() < end, f"{what} did not come:\n{self.text}")
            must(self.top.poll() is None, f"top ended: {self.top.poll()}")
            self.pump(0.1)

    def wait_for(self, words, timeout=60):
        self.until(lambda: words in self.text, repr(words), timeout)

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def end(self, timeout=30):
        """Its exit code, when all that it wrote was read."""
        end = time.monotonic() + timeout
        while self.top.poll() is None:
            must(time.monotonic() < end, "top did not end")
            self.pump(0.1)
        self.pump(0.1)
        return self.top.returncode

    def restored(self):
        """As it was: its modes; the cursor; not the other screen."""
        return termios.tcgetattr(self.theirs) == self.before and all(
            self.raw.rfind(b"\x1b[?" + off) >= self.raw.rfind(b"\x1b[?" + on)
            for on, off in ((b"25l", b"25h"), (b"1049h", b"1049l")))


STATUS_KEYS = {
    "at_ms", "ready_transactional", "ready_bulk", "sending", "sessions_idle",
    "connecting", "sites", "sites_active", "sites_parked", "sites_paused",
    "dns_failures", "dns_timeouts", "connects_failed", "minute_ms",
    "minute_accepted", "minute_delivered", "minute_deferred",
    "minute_bounced", "minute_refused", "minute_syncs", "sync_p50_us",
    "sync_p99_us", "memory", "spool_bytes", "out_of_room", "events_failing",
    "index_failing",
    "problems", "reasons", "pauses_in_force", "age_limit_s", "expires_in_s",
}


def status_says_that_all_is_well(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 5)
        box.configure().start_daemon()
        box.load("--messages", 200, "--domains", 5)
        box.wait_final(200)
        text = op(box, "status")
        # Of the disk under this test it may say the truth.
        slow = "warning the disk is slow" in text
        must(("health    all is well\n" in text) != slow and
             text.count("warning") == slow and "\033" not in text, text)
        must("200 messages accepted; recipients: 200 delivered" in text, text)
        s = json.loads(op(box, "status", "--json"))
        must(STATUS_KEYS <= set(s), f"lacks {STATUS_KEYS - set(s)}")
        must(all("the disk is slow" in p["what"] for p in s["problems"]),
             str(s["problems"]))
        must(s["minute_delivered"] == s["minute_accepted"] == 200, str(s))
        must(0 < s["sync_p50_us"] <= s["sync_p99_us"], str(s))
        text = on_terminal(box, "status")
        must("\033[32mall is well" in text or "the disk is slow" in text, text)
        must("\033" not in on_terminal(box, "status", NO_COLOR="1"),
             "NO_COLOR is not minded")
        box.stop_daemon()


def status_names_what_is_wrong_and_what_to_do(mtaq):
    """A dead site, a paused campaign, too little disk; the worst first."""
    with Box(mtaq) as box:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        box.start_sink("--domains", 5, "--fail", "rcpt=4:1")
        box.configure(routes={"dead.test": f'"127.0.0.1:{port}"'},
                      retry='["1h"]').start_daemon()
        eml = box.dir / "m.eml"
        eml.write_text("From: a@b.test\n\nhello\n")
        op(box, "submit", "--from", "a@b.test", "--to", "x@dead.test", eml)
        op(box, "campaign", "pause", "news")
        box.load("--messages", 50, "--domains", 5)

        def status():
            return json.loads(op(box, "status", "--json"))
        box.wait_for(lambda: status()["deferred"] == 50
                     and status()["sites_parked"] == 1, 60, "the trouble")
        s = status()
        found = {p["do"]: (p["severity"], p["what"]) for p in s["problems"]}
        dead = found["mtaq site retry 127.0.0.1 when it works again"]
        must(dead[0] == "warning" and "dead" in dead[1]
             and "Connection refused" in dead[1], str(dead))
        must(found["mtaq campaign resume news"][0] == "note", str(found))
        must(sum(r["deferred"] for r in s["reasons"]) == 50, str(s["reasons"]))
        text = op(box, "status")
        must("not all is well" in text and "put off   because of" in text,
             text)
        op(box, "site", "retry", "127.0.0.1", "-n")
        box.stop_daemon()
        box.configure(min_free="1TiB").start_daemon()
        problems = json.loads(op(box, "status", "--json"))["problems"]
        must(problems[0]["severity"] == "alarm"
             and "min_free" in problems[0]["what"], str(problems))
        box.stop_daemon()


def a_dead_site_is_tried_at_once_by_retry(mtaq):
    """It would have been left alone for an hour."""
    with Box(mtaq) as box:
        box.start_sink(dns=False)
        port = int(box.sink_smtp.rpartition(":")[2])
        box.stop_sink()
        box.configure(routes={'"*"': f'"127.0.0.1:{port}"'},
                      host__bad_first="1h", host__bad_max="1h").start_daemon()
        box.load("--messages", 5)
        box.wait_for(lambda: "\tdead\t" in op(box, "site", "list"), 60,
                     "the site's end")
        sink = subprocess.Popen([box.mtaq, "sink", "--port", str(port),
                                 "--ledger", box.ledger_file],
                                stdout=subprocess.PIPE, text=True)
        try:
            must(sink.stdout.readline().startswith("ready"), "the sink")
            op(box, "site", "retry", "127.0.0.1")
            types = box.wait_final(5, timeout=120)
            must(types["delivered"] == 5, str(types))
        finally:
            sink.terminate()
            sink.wait(30)
        box.stop_daemon()


DOWN, UP, TAB, ESC = "\x1b[B", "\x1b[A", "\t", "\x1b"


def waiting_mail(box):
    """Ten sites, mail for each that waits for its next try, one dead."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    box.start_sink("--domains", 10, "--fail", "rcpt=4:1", "--stubborn")
    box.configure(routes={"dead.test": f'"127.0.0.1:{port}"'},
                  session__idle="5m", retry='["1h"]').start_daemon()
    eml = box.dir / "m.eml"
    eml.write_text("From: a@b.test\n\nhello\n")
    op(box, "submit", "--from", "a@b.test", "--to", "x@dead.test", eml)
    box.load("--messages", 200, "--domains", 10, "--campaign", "news")
    box.wait_for(lambda: json.loads(op(box, "status", "--json"))["deferred"]
                 == 200, 60, "the deferrals")


def site_state(box, name):
    return next(r["state"] for r in map(
        json.loads, op(box, "site", "list", "--json").splitlines())
        if r["site"] == name)


def top_shows_the_daemon_on_eighty_columns(mtaq):
    with Box(mtaq) as box:
        waiting_mail(box)
        with Terminal(box) as t:
            t.wait_for("mx0.d9.test")

            def whole():        # what is written comes in pieces, last lines
                lines = t.screen.display    # last; figures are a second old
                return re.search(r"queue +201\b", t.text) and \
                    re.search(r"conns +[1-9]\d*, \d+ idle", t.text) and \
                    "127.0.0.1" in lines[6] and "dead" in lines[6] and \
                    "Connection refused" in lines[22] and \
                    "q quit" in lines[23]
            t.until(whole, "the one with mail ready first, its last failure")
            lines = t.screen.display
            must("mtaq top  mail.test  up" in lines[0], t.text)
            for words in ("in ", "out", "deferred", "bounced", "queue",
                          "conns", "sync p99", "memory"):
                must(words in lines[1] + lines[2], f"no {words}:\n{t.text}")
            must("Sites 11" in lines[4], t.text)
            must(lines[5].split() == ["SITE", "STATE", "LIMIT", "WIN", "OPEN",
                                      "IDLE", "QUEUED", "OUT/s", "DEF/s"],
                 t.text)
            t.press("?")
            t.wait_for("any key goes back")
            t.press("x")
            t.until(lambda: "q quit" in t.text, "the table")
            t.press("q")
            must(t.end() == 0, "the exit code")
            must(t.restored(), f"the terminal is left: {t.raw[-60:]}")
            must(b"\x1b[31m" in t.raw, "dead is not red")
        with Terminal(box, NO_COLOR="1", TERM="screen-256color") as t:
            t.wait_for("mx0.d9.test")
            os.kill(t.top.pid, signal.SIGINT)
            must(t.end() == -signal.SIGINT, f"ended with {t.top.returncode}")
            must(t.restored() and b"\x1b[?1049l" in t.raw,
                 f"the terminal is left: {t.raw[-60:]}")
            must(not re.search(rb"\x1b\[[0-9;]*\b[34][0-7]\b[0-9;]*m", t.raw),
                 "NO_COLOR is not minded")
        box.stop_daemon()


def keys_of_top_change_the_daemon(mtaq):
    with Box(mtaq) as box:
        waiting_mail(box)
        with Terminal(box) as t:
            t.wait_for("mx0.d9.test")
            t.press("/d3.te")
            t.until(lambda: "Sites 1 " in t.text and "/d3.te_" in t.text,
                    "the filter")
            t.press("\r")
            t.wait_for("filter /d3.te")
            t.press("p")
            t.wait_for("paused: mx0.d3.test")
            must(site_state(box, "mx0.d3.test") == "paused", "not paused")
            t.until(lambda: "operator" in t.text, "its limit")
            t.press("u")
            t.wait_for("resumed: mx0.d3.test")
            must(site_state(box, "mx0.d3.test") != "paused", "still paused")
            t.press(ESC)
            t.until(lambda: "filter" not in t.screen.display[4]
                    and "mx0.d9.test" in t.text, "all sites")
            t.press("s")
            t.wait_for("sorted by OUT/s")
            t.press("sss")
            t.wait_for("sorted by SITE")

            def in_order():
                names = [line.split()[0] for line in t.screen.display[6:22]
                         if line.strip()]
                return len(names) > 9 and names == sorted(set(names))
            t.until(lambda: t.line("127.0.0.1") == 6
                    and t.line("mx0.d0.test") == 7 and in_order(), "the order")
            t.press("S")
            t.until(lambda: t.line("mx0.d9.test") == 6, "the other order")
            t.press(TAB)
            t.wait_for("CAMPAIGN")
            t.until(lambda: t.line("news") == 6, "the campaign")
            t.press("p")
            t.wait_for("paused: news")
            pauses = json.loads(op(box, "status", "--json"))["pauses_in_force"]
            must([p["campaign"] for p in pauses] == ["news"], str(pauses))
            t.press("u")
            t.wait_for("resumed: news")
            t.press("r")
            t.wait_for("to be tried now: news")
            box.wait_for(lambda: json.loads(op(box, "status", "--json"))
                         ["transactions"] >= 400, 60, "the second attempts")
            t.press(DOWN + "p")
            t.wait_for("That mail has no campaign")
            must(json.loads(op(box, "status", "--json"))["pauses"] == 0,
                 "all mail was paused")
        box.stop_daemon()


def top_follows_its_terminal_and_its_daemon(mtaq):
    """Resized; the daemon ends and comes back; a signal."""
    with Box(mtaq) as box:
        waiting_mail(box)
        with Terminal(box) as t:
            t.wait_for("mx0.d9.test")
            t.set_size((40, 150))
            t.wait_for("LAST REFUSAL OR FAILURE")
            t.until(lambda: "q quit" in t.screen.display[39]
                    and "450" in t.text, "the wide screen")
            t.set_size((12, 60))
            t.until(lambda: "Up/Dn" in t.screen.display[11]
                    and "mx0.d" in t.text, "the small screen")
            t.set_size((5, 20))
            t.wait_for("mtaq top needs 40")
            t.set_size((24, 80))
            t.wait_for("mx0.d9.test")
            box.kill_daemon()
            t.wait_for("The daemon does not answer: it does not run")
            must("NO DAEMON" in t.screen.display[0], t.text)
            box.start_daemon()
            t.until(lambda: "does not answer" not in t.text
                    and "NO DAEMON" not in t.text, "the new daemon")
            os.kill(t.top.pid, signal.SIGTERM)
            must(t.end() == -signal.SIGTERM, f"ended with {t.top.returncode}")
            must(t.restored(), f"the terminal is left: {t.raw[-60:]}")
        box.stop_daemon()


def one_look_for_programs(mtaq):
    with Box(mtaq) as box:
        waiting_mail(box)
        s = json.loads(op(box, "top", "--once", "--json"))
        must({"waiting", "sessions_open", "sync_p99_us", "memory",
              "sites_listed", "campaigns"} <= set(s), str(set(s)))
        must({r["site"] for r in s["sites_listed"]}
             >= {f"mx0.d{n}.test" for n in range(10)}, str(s["sites_listed"]))
        must(all({"state", "limit", "window", "open", "idle", "queued",
                  "delivered", "deferred", "again_in_s", "last"} <= set(r)
                 for r in s["sites_listed"]), str(s["sites_listed"][0]))
        must(sum(r["deferred"] for r in s["sites_listed"]) == 200, "deferred")
        must(("news", 200) in [(r["campaign"], r["waiting"])
                               for r in s["campaigns"]], str(s["campaigns"]))
        def queued():
            return "queue 201, 0 held" in op(box, "top", "--once")
        box.wait_for(queued, 60, "figures a second old")
        text = op(box, "top")          # a pipe: as with --once
        must("queue 201, 0 held" in text and "\033" not in text
             and "127.0.0.1\tdead\t" in text, text)
        op(box, "top", "--json", ok=(64,))
        op(box, "top", "-i", "3h", ok=(64,))
        box.stop_daemon()
        op(box, "top", "--once", ok=(69,))


TESTS = [status_says_that_all_is_well,
         status_names_what_is_wrong_and_what_to_do,
         a_dead_site_is_tried_at_once_by_retry,
         top_shows_the_daemon_on_eighty_columns, keys_of_top_change_the_daemon,
         top_follows_its_terminal_and_its_daemon, one_look_for_programs]

if __name__ == "__main__":
    main(TESTS)
