#!/usr/bin/env python3
"""bench/demo.sh: mtaq does its main job against a pretend internet.

A newsletter for 20,000 recipients and 100 transactional messages go to 1,000
domains with 3 mail exchangers each; one in ten has a dead first one, 1 % of
the recipients are put off, 1 % refused.  The spool is durable.  At the end
every recipient is looked for in the sink's own ledger (bench/ledger.py).
Exit status: 0 when all balances, 1 when anything is lost, false, wrong or
unfinished, 130 after Ctrl-C.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from rig import Failed, ROOT, Rig, commit, machine, must
from harness import Follower
from demo_mail import Mail, latencies_ms

TIMEOUT_S = 180
BAR = 30
DONE = ("delivered", "bounced", "expired", "cancelled")


def options():
    p = argparse.ArgumentParser(prog="bench/demo.sh",
                                description=__doc__.splitlines()[0])
    p.add_argument("--recipients", type=int, default=20000,
                   help="of the newsletter (20000)")
    p.add_argument("--transactional", type=int, default=100,
                   help="messages, one at a time (100)")
    p.add_argument("--domains", type=int, default=1000)
    p.add_argument("--spool", type=pathlib.Path, default="/var/tmp",
                   help="a folder for the spool, in a folder of its own "
                   "that is removed (/var/tmp)")
    p.add_argument("--keep", action="store_true", help="leave that folder")
    p.add_argument("--json", action="store_true",
                   help="the last line is one JSON object")
    p.add_argument("--mtaq", default=ROOT / "build/release/src/cmd/mtaq")
    return p.parse_args()


# --- words for people ---------------------------------------------------------

class Screen:
    """A live line on a terminal, a plain line a second in a pipe."""

    def __init__(self, expected):
        self.tty = sys.stdout.isatty()
        self.colour = self.tty and "NO_COLOR" not in os.environ
        self.expected, self.begin, self.last = expected, time.monotonic(), 0
        self.drawn = False

    def paint(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def say(self, text):
        if self.drawn:
            print("\r\033[K", end="")
            self.drawn = False
        print(text, flush=True)

    def live(self, types, final):
        now = time.monotonic()
        if now - self.last < (0.1 if self.tty else 1):
            return
        self.last = now
        n = {k: types.get(k, 0) for k in DONE + ("deferred",)}
        words = (f"{final:,} of {self.expected:,} done  {n['delivered']:,} "
                 f"delivered  {n['bounced']:,} bounced  {n['deferred']:,} "
                 f"put off  {now - self.begin:.1f} s")
        if not self.tty:
            self.say(words)
            return
        full = min(final * BAR // max(self.expected, 1), BAR)
        bar = self.paint("#" * full, 32) + "." * (BAR - full)
        width = shutil.get_terminal_size().columns - BAR - 4
        print(f"\r\033[K[{bar}] {words[:width]}", end="", flush=True)
        self.drawn = True


class Stop:
    """Ctrl-C is looked at between two steps: an exception in the middle of
    one would leave behind the process that was just being started."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.ask)

    def ask(self, *_):
        self.asked = True

    def check(self):
        if self.asked:
            raise KeyboardInterrupt


# --- the job ------------------------------------------------------------------

def start(box, a):
    box.start_sink("--domains", a.domains, "--mx", 3, "--dead-first", 0.1,
                   "--fail", "rcpt=4:0.01,rcpt=5:0.01",
                   listen="127.0.2.1-127.0.2.250")
    box.configure_from("demo.yaml").start_daemon()


def finish(box, watch, wanted):
    """Until every recipient has come to an end."""
    stop, screen, follow = watch
    end = time.monotonic() + TIMEOUT_S
    while follow.final < wanted:
        must(time.monotonic() < end, f"after {TIMEOUT_S} s only "
             f"{follow.final} of {wanted} recipients are done")
        must(box.daemon.poll() is None, "the daemon has ended")
        stop.check()
        if not follow.read():
            time.sleep(0.02)      # a file has no event to wait for
        screen.live(follow.types, follow.final)


def share(values, percent):
    return values[min(len(values) * percent // 100, len(values) - 1)] \
        if values else 0.0


def figures(a, mail, box, r, took):
    news, rest = latencies_ms(mail, box.ledger_file)
    s = box.stop_sink()
    return {
        "acknowledged": r["acknowledged"],
        "accepted_per_s": round(a.recipients / took),
        "delivered_per_s": round(
            len(news) * 950 / max(share(news, 95), 1)),
        "newsletter_p50_ms": round(share(news, 50)),
        "newsletter_p99_ms": round(share(news, 99)),
        "transactional_p50_ms": round(share(rest, 50)),
        "transactional_p99_ms": round(share(rest, 99)),
        "sessions": s["sessions"], "transactions": s["transactions"],
        "messages_per_session": s["messages_per_session"]["mean"],
        "recipients_per_transaction": round(
            s["recipients"] / max(s["messages"], 1), 2),
        "delivered": r.get("delivered", 0), "bounced": r.get("bounced", 0),
        "deferred_retries": r["events"].get("deferred", 0),
        "queued": r["queued"], "lost": r["lost"], "false": r["false"],
        "wrong": r["wrong"], "doubled": r["extra"],
        "contents_compared": sum(
            not line.endswith("\t-\n") for line in mail.lines),
    }


def demo(a, stop, screen, box):
    begin = time.monotonic()
    start(box, a)
    mail, follow = Mail(box, a.domains), Follower(box.events)
    screen.say(f"the pretend internet: {a.domains:,} domains, "
               f"{3 * a.domains:,} mail exchangers, one domain in ten with a "
               "dead first one")

    def tell():
        stop.check()
        follow.read()
        screen.live(follow.types, follow.final)
    stop.check()
    took = mail.newsletter(a.recipients)
    screen.say(f"the newsletter is on disk: {a.recipients:,} recipients, one "
               f"message, {took:.2f} s")
    mail.transactional(a.transactional, tell)
    screen.say(f"{a.transactional} transactional messages are on disk, "
               f"{len(mail.refused)} files refused")
    for words in mail.refused:
        screen.say(f"  refused: {words}")
    late = None
    try:
        finish(box, (stop, screen, follow), a.recipients + a.transactional)
    except Failed as e:
        late = str(e)
    box.stop_daemon()
    mail.write_accepted()
    r = box.balance()
    r["queued"] = r["acknowledged"] - follow.final
    out = figures(a, mail, box, r, took)
    out["seconds"] = round(time.monotonic() - begin, 1)
    must(late is None, late)
    return out


# --- the end ------------------------------------------------------------------

ROWS = [
    ("acknowledged", "recipients", "submit said yes: on disk"),
    ("accepted_per_s", "recipients/s", "one message for all, on disk"),
    ("delivered_per_s", "recipients/s", "95 % of them, from submit to the final 250"),
    ("newsletter_p50_ms", "ms", "submit to final 250"),
    ("newsletter_p99_ms", "ms", "those put off included"),
    ("transactional_p50_ms", "ms", "while the newsletter is on its way"),
    ("transactional_p99_ms", "ms", "those put off included"),
    ("sessions", "", "with the sink"),
    ("messages_per_session", "", "a domain has few messages here"),
    ("transactions", "", "one a domain, and again where put off"),
    ("recipients_per_transaction", "", ""),
    ("delivered", "recipients", ""),
    ("bounced", "recipients", "the sink's 5yz, each looked up"),
    ("deferred_retries", "", "put off, tried again after 5 s"),
    ("queued", "recipients", "at the end"),
    ("lost", "recipients", "acknowledged, and nowhere"),
    ("false", "", "called delivered, and not with the sink"),
    ("wrong", "", "with another content"),
    ("doubled", "transactions", "more often than needed"),
    ("seconds", "s", "all in all"),
]
ZERO = ("queued", "lost", "false", "wrong", "doubled")


def table(screen, out):
    screen.say("")
    for key, unit, words in ROWS:
        value = f"{out[key]:,}"
        if screen.tty:
            value = f"{value:>10}"
        if key in ZERO:
            value = screen.paint(value, 31 if out[key] else 32)
        name = key.replace("_per_s", "/s").removesuffix("_ms")
        name = name.replace("_", " ")
        note = screen.paint(words, 2) if words else ""
        if screen.tty:
            screen.say(f"  {name:27}{value} {unit:13} {note}")
        else:
            screen.say(f"{name}: {value} {unit}".rstrip() +
                       (f" ({words})" if words else ""))
    screen.say(f"""
{machine()}; commit {commit()}

what to try next:
  bench/demo.sh --recipients 200000   ten times the newsletter
  bench/run.sh deliver                how fast a full queue is delivered
  tests/run.sh                        all tests
  build/release/src/cmd/mtaq submit --help""")


def main():
    a = options()
    screen = Screen(a.recipients + a.transactional)
    stop = Stop()
    tempfile.tempdir = str(a.spool)
    try:
        with Rig(a.mtaq, "mtaq-demo", keep=a.keep) as box:
            out = demo(a, stop, screen, box)
            if a.keep:
                screen.say(f"kept: {box.dir}")
    except KeyboardInterrupt:
        screen.say("interrupted; the processes are ended, the files gone")
        return 130
    except (Failed, OSError, subprocess.TimeoutExpired) as e:
        screen.say(f"demo: {e}")
        return 1
    table(screen, out)
    bad = sum(out[k] for k in ZERO if k != "doubled")
    if a.json:
        print(json.dumps({"demo": "ok" if not bad else "wrong",
                          "commit": commit(), "cores": os.cpu_count(), **out}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
