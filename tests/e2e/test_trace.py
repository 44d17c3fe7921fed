#!/usr/bin/env python3
"""mtaq trace: conversations seen as they happen, at nobody's cost.

test_trace.py MTAQ [NAME...]   (MTAQ_TEST_IO: io_uring, epoll)
"""
import json
import signal
import socket
import subprocess
import threading
import time

from harness import Box, main, must


class Trace:
    """A running `mtaq trace --json` that the daemon has taken up."""

    def __init__(self, box, *args):
        before = taken_up(box)
        self.process = subprocess.Popen(
            [box.mtaq, "trace", *map(str, args), "--json", "-c",
             str(box.conf)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, process_group=0)
        self.box, self.rows, self.err = box, [], ""
        self.readers = [threading.Thread(target=t, daemon=True)
                        for t in (self.read, self.read_err)]
        for reader in self.readers:
            reader.start()
        box.wait_for(lambda: taken_up(box) > before, 30, "a trace")

    def read(self):
        for line in self.process.stdout:
            self.rows.append(json.loads(line))

    def read_err(self):
        self.err = self.process.stderr.read()

    def lines(self):
        """What has come so far, as (side, text)."""
        return [(r["side"], r["text"]) for r in list(self.rows)]

    def wait(self, side, begin, count=1):
        """Until it has told so many lines: what the event log says comes
        from another thread of the daemon and may be there before them."""
        self.box.wait_for(
            lambda: sum(x.startswith(begin) for x in
                        texts(self.lines(), side)) >= count,
            30, f"{count} of {begin}")
        return self

    def end(self, code=0, sig=signal.SIGINT):
        """All its lines as (side, text)."""
        if sig:
            self.process.send_signal(sig)
        self.process.wait(60)
        for reader in self.readers:
            reader.join(60)
        must(self.process.returncode == code,
             f"trace ended with {self.process.returncode}: {self.err}")
        return self.lines()


def taken_up(box):
    out = box.run("status", "--json", "-c", box.conf).stdout
    return json.loads(out)["traces"]


def texts(lines, side):
    return [t for s, t in lines if s == side]


def a_conversation_is_seen_whole(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--mx", 1)
        box.configure(session__idle="200ms").start_daemon()
        t = Trace(box, "--site", "mx0.d0.test", "--for", "60s")
        box.load("--messages", 2, "--domains", 2, "--size", 3000)
        box.wait_final(2)
        lines = t.wait("note", "closed").end()
        must({r["site"] for r in t.rows} == {"mx0.d0.test"}, str(t.rows))
        must(len({r["session"] for r in t.rows if r["session"]}) == 1,
             str(t.rows))
        ours = texts(lines, "client")
        must(ours[0] == "EHLO mail.test" and
             ours[1].startswith("MAIL FROM:<news@sender.test>") and
             ours[2] == "RCPT TO:<u0-0@d0.test>" and ours[3] == "DATA" and
             ours[4].endswith("octets of content, and the dot>") and
             ours[5:] == ["QUIT"], str(ours))
        theirs = texts(lines, "server")
        must(theirs[0].startswith("220 ") and theirs[-1].startswith("221 ")
             and any(x.startswith("250-SIZE") for x in theirs) and
             any(x.startswith("354 ") for x in theirs), str(theirs))
        must(texts(lines, "note") == ["connecting", "connected", "closed"],
             str(lines))
        must(all(r["lost"] == 0 and "127.0.0.1" in r["host"]
                 for r in t.rows), str(t.rows))
        times = [r["time_ms"] for r in t.rows]
        must(times == sorted(times), "times go back")


def sessions_open(box):
    out = box.run("status", "--json", "-c", box.conf).stdout
    return json.loads(out)["sessions_open"]


def content_is_never_shown(mtaq):
    """Also of a message that is under way when the trace begins."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--mx", 1, "--delay", 60)
        box.configure(site__connections="1").start_daemon()
        begin = subprocess.Popen(
            [box.mtaq, *box.load_args("--messages", 30, "--domains", 1,
                                      "--size", 20000)])
        box.wait_for(lambda: sessions_open(box) > 0, 30, "a session")
        t = Trace(box, "--site", "mx0.d0.test", "--for", "60s")
        must(begin.wait(60) == 0, "load")
        box.wait_final(30)
        lines = t.wait("client", "<", 2).end()
        for text in texts(lines, "client"):
            word = text.split(" ")[0].split(":")[0]
            must(word in ("EHLO", "MAIL", "RCPT", "DATA", "QUIT", "RSET") or
                 text.startswith("<"), f"shown: {text}")
        for words in ("octets of content", "the session was under way"):
            must(any(words in x for x in texts(lines, "client")), str(lines))


def by_domain_and_by_id_from_mail_to_the_dot(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 3, "--sites", 1)
        box.configure(session__grouping="off").start_daemon()
        t = Trace(box, "--domain", "D1.test", "--for", "60s")
        box.load("--messages", 9, "--domains", 3)
        box.wait_final(9)
        lines = t.wait("client", "<", 3).end()
        rcpts = [x for x in texts(lines, "client") if x.startswith("RCPT")]
        must(len(rcpts) == 3 and all("@d1.test" in x for x in rcpts),
             str(lines))
        must(texts(lines, "note") == [] and
             texts(lines, "client")[0].startswith("MAIL"), str(lines))
        box.run("campaign", "pause", "c", "-c", box.conf)
        box.load("--messages", 2, "--domains", 1, "--campaign", "c",
                 "--tag", "b")
        out = box.run("queue", "list", "--json", "-c", box.conf).stdout
        row = json.loads(out.splitlines()[1])
        t = Trace(box, "--id", row["id"], "--for", "60s")
        box.run("campaign", "resume", "c", "-c", box.conf)
        box.wait_final(11)
        lines = t.wait("client", "RCPT").end()
        rcpts = [x for x in texts(lines, "client") if x.startswith("RCPT")]
        must(rcpts == [f"RCPT TO:<{row['to']}>"], str(lines))


def a_message_of_a_group_is_seen_to_its_answer(mtaq):
    """One behind another's dot, and the next one behind it."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--sites", 1)
        box.configure(session__grouping="on", site__connections="1",
                      workers="1").start_daemon()
        box.run("campaign", "pause", "c", "-c", box.conf)
        box.load("--messages", 40, "--domains", 2, "--campaign", "c")
        t = Trace(box, "--domain", "d1.test", "--for", "60s")
        box.run("campaign", "resume", "c", "-c", box.conf)
        box.wait_final(40)
        lines = t.wait("client", "RCPT TO:<u39-0@d1.test>").end()
        said = texts(lines, "client")
        rcpts = [x for x in said if "@d1.test>" in x]
        must(len(rcpts) == len(set(rcpts)) == 20, str(lines))
        must(len([x for x in said if "octets" in x]) >= 20 and
             len([x for x in texts(lines, "server")
                  if "queued as" in x]) >= 20, str(lines))


def two_traces_and_the_fifth(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--mx", 1)
        box.configure(session__idle="2s", site__connections=1)
        box.start_daemon()
        all_of = [Trace(box, "--site", "mx0.d0.test", "--for", "60s")
                  for _ in range(2)]
        other = Trace(box, "--site", "mx0.d1.test", "--for", "60s")
        few = Trace(box, "--site", "mx0.d0.test", "--max", 5)
        box.run("trace", "--site", "x", "-c", box.conf, ok=(75,))
        box.load("--messages", 4, "--domains", 2)
        box.wait_final(4)
        must(len(few.end(sig=None)) == 5, "--max 5")
        a, b, c = (t.wait("note", "closed").end()
                   for t in (*all_of, other))
        must(a == b and len(a) > 10, f"{a}\n{b}")
        must([r["time_ms"] for r in all_of[0].rows] ==
             [r["time_ms"] for r in all_of[1].rows], "the same lines")
        must(all("d0.test" not in text for side, text in c
                 if side == "client"), str(c))
        box.wait_for(lambda: taken_up(box) == 0, 30, "no trace")


def raw(box, request):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(str(box.dir / "run" / "control.sock"))
    s.sendall(request.encode())
    return s


def read_to_ok(s):
    data = b""
    while not data.rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(
            (b"ok", b"error")):
        got = s.recv(1 << 16)
        must(got != b"", f"closed: {data[-200:]}")
        data += got
    return data.decode(errors="replace").splitlines()


def numbers(line):
    return {k: int(v) for k, _, v in
            (f.partition(":") for f in line.split("\t")[1:]) if v.isdigit()}


def a_reader_that_does_not_read_loses_lines_only(mtaq):
    messages, for_s = 3000, 8
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--mx", 1)
        box.configure().start_daemon()
        begin = time.monotonic()
        s = raw(box, f"trace\tsite=mx0.d0.test\tfor_ms:{for_s * 1000}\n")
        box.wait_for(lambda: taken_up(box) == 1, 30, "a trace")
        box.load("--messages", messages, "--domains", 1, "--size", 600)
        box.wait_final(messages)
        in_time = time.monotonic() - begin < for_s - 1
        box.wait_for(lambda: taken_up(box) == 0, 60, "its end")
        lines = read_to_ok(s)
        rows = [numbers(x) for x in lines if x.startswith("line\t")]
        end = numbers(lines[-1])
        must(end["lost"] > 0 and end["lines"] == len(rows), str(end))
        must(sum(r["lost"] for r in rows) <= end["lost"], "told twice")
        # Eight lines a message: three commands, content, four replies.
        must(not in_time or end["lines"] + end["lost"] >= 8 * messages,
             f"{end} for {messages} messages")
        box.stop_daemon()
        must(box.equation()["delivered"] == messages, "not all delivered")
        return f"{end['lines']} lines, {end['lost']} lost"


def a_reader_that_goes_away_is_forgotten(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1)
        box.configure().start_daemon()
        t = Trace(box, "--domain", "d0.test", "--for", "1h")
        t.process.kill()
        t.process.wait(30)
        box.wait_for(lambda: taken_up(box) == 0, 30, "no trace")
        s = raw(box, "trace\tdomain=d0.test\tfor_ms:3600000\n")
        box.wait_for(lambda: taken_up(box) == 1, 30, "a trace")
        s.sendall(b"status\n")      # a stream is asked nothing
        box.wait_for(lambda: taken_up(box) == 0, 30, "no trace")
        box.load("--messages", 50, "--domains", 1)
        box.wait_final(50)


def a_daemon_that_ends_ends_its_traces(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1)
        box.configure().start_daemon()
        t = Trace(box, "--domain", "d0.test", "--for", "1h")
        box.load("--messages", 50, "--domains", 1)
        box.stop_daemon()
        t.end(code=69, sig=None)
        box.run("trace", "--domain", "x.test", "-c", box.conf, ok=(69,))


def wrong_words(mtaq):
    with Box(mtaq) as box:
        box.configure()
        for args in ([], ["--site", "a", "--id", "b"], ["x"],
                     ["--site", "a", "--for", "soon"],
                     ["--site", "a", "--for", "2d"],
                     ["--site", "a", "--max", "0"]):
            box.run("trace", *args, "-c", box.conf, ok=(64,))


if __name__ == "__main__":
    main([a_conversation_is_seen_whole, content_is_never_shown,
          by_domain_and_by_id_from_mail_to_the_dot,
          a_message_of_a_group_is_seen_to_its_answer, two_traces_and_the_fifth,
          a_reader_that_does_not_read_loses_lines_only,
          a_reader_that_goes_away_is_forgotten,
          a_daemon_that_ends_ends_its_traces, wrong_words])
