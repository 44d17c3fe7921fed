#!/usr/bin/env python3
"""What an operator sees: mtaq status and mtaq top.

test_top.py MTAQ [NAME...]
"""
import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import termios

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


STATUS_KEYS = {
    "at_ms", "ready_transactional", "ready_bulk", "sending", "sessions_idle",
    "connecting", "sites", "sites_active", "sites_parked", "sites_paused",
    "dns_failures", "dns_timeouts", "connects_failed", "minute_ms",
    "minute_accepted", "minute_delivered", "minute_deferred",
    "minute_bounced", "minute_refused", "minute_syncs", "sync_p50_us",
    "sync_p99_us", "memory", "spool_bytes", "out_of_room", "events_failing",
    "problems", "reasons", "pauses_in_force", "age_limit_s", "expires_in_s",
}


def status_says_that_all_is_well(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 5)
        box.configure().start_daemon()
        box.load("--messages", 200, "--domains", 5)
        box.wait_final(200)
        text = op(box, "status")
        must("health    all is well\n" in text and "\033" not in text, text)
        must("200 messages accepted; recipients: 200 delivered" in text, text)
        s = json.loads(op(box, "status", "--json"))
        must(STATUS_KEYS <= set(s), f"lacks {STATUS_KEYS - set(s)}")
        must(s["problems"] == [], str(s["problems"]))
        must(s["minute_delivered"] == s["minute_accepted"] == 200, str(s))
        must(0 < s["sync_p50_us"] <= s["sync_p99_us"], str(s))
        must("\033[32mall is well" in on_terminal(box, "status"), "colours")
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


TESTS = [status_says_that_all_is_well,
         status_names_what_is_wrong_and_what_to_do,
         a_dead_site_is_tried_at_once_by_retry]

if __name__ == "__main__":
    main(TESTS)
