#!/usr/bin/env python3
"""An operator's decision about mail that is just being sent.

test_recall.py MTAQ [NAME...]

The attempt that is under way ends as it would have.  What is left of the mail
then is not begun again before the decision has been looked at.  Hosts and
names are those of test_connect.py: m1, and m2 behind it, which would take
whatever m1 does not.
"""
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import main, must  # noqa: E402
from servers import CLOSE  # noqa: E402
from test_connect import BIG, M1, M2, World, small  # noqa: E402

ALL = ("--domain", "two.test")


class Gate:
    """An answer that comes when the test opens it; later ones come at once."""

    def __init__(self, answer):
        self.answer, self.opened = answer, threading.Event()

    def __call__(self, _):
        self.opened.wait(60)
        return self.answer


def at_m1(w, verb):
    w.mx.wait(lambda: any(line.startswith(verb) for line in w.mx[M1].lines),
              f"{verb} at m1")


def decide(w, *args):
    """Made, and known to the workers."""
    w.box.run(*args, "-c", w.box.conf)


def at_home(w):
    """No worker has any mail."""
    return not any(r.get("tasks") or r.get("running")
                   for r in w.row("site", "list"))


def nothing_taken(w):
    must(w.mx.taken() == {}, str(w.mx.taken()))


def a_cancelled_mail_is_not_begun_again(mtaq):
    """The server hears MAIL, says nothing, and closes after the cancel: the
    mail was put back, which is for the next host."""
    gate = Gate(CLOSE)
    with World(mtaq, m1={"MAIL": gate}) as w:
        mine, = w.submit("a@two.test")
        at_m1(w, "MAIL")
        decide(w, "queue", "cancel", mine)
        must(w.events() == [], "its attempt was cut short")
        gate.opened.set()
        w.wait("cancelled")
        nothing_taken(w)
        w.submit("b@two.test")
        w.box.wait_final(2)
        must([e["type"] for e in w.events()] == ["cancelled", "delivered"],
             str(w.events()))


def others_go_on(mtaq):
    """The same close, a decision about other mail."""
    gate = Gate(CLOSE)
    with World(mtaq, m1={"MAIL": gate}) as w:
        w.submit("a@two.test")
        at_m1(w, "MAIL")
        decide(w, "queue", "cancel", "--domain", "one.test")
        gate.opened.set()
        w.only_delivered(1, M2)


def what_is_under_way_ends_as_it_would_have(mtaq):
    gate = Gate("250 fine")
    with World(mtaq, m1={"MAIL": gate}) as w:
        w.submit("a@two.test")
        at_m1(w, "MAIL")
        decide(w, "queue", "cancel", *ALL)
        gate.opened.set()
        w.only_delivered(1, M1)


def held_until_released(mtaq):
    gate = Gate(CLOSE)
    with World(mtaq, m1={"MAIL": gate}) as w:
        w.submit("a@two.test")
        at_m1(w, "MAIL")
        decide(w, "queue", "hold", *ALL)
        gate.opened.set()
        w.wait("held")
        nothing_taken(w)
        w.box.run("queue", "release", *ALL, "-c", w.box.conf)
        w.box.wait_final(1)
        must([e["type"] for e in w.events()] ==
             ["held", "released", "delivered"] and
             w.mx.taken() == {"a@two.test": [M2]}, str(w.events()))


def paused_until_resumed(mtaq):
    """Of a campaign's queue; also when the resume comes before the close."""
    for early in (False, True):
        gate = Gate(CLOSE)
        with World(mtaq, m1={"MAIL": gate}) as w:
            w.submit("a@two.test", campaign="news")
            at_m1(w, "MAIL")
            decide(w, "campaign", "pause", "news")
            if early:
                decide(w, "campaign", "resume", "news")
            gate.opened.set()
            if not early:
                w.box.wait_for(lambda: at_home(w), 30, "the mail at the store")
                nothing_taken(w)
                states = [r["state"] for r in w.row("queue", "list")]
                must(states == ["paused"], str(states))
                decide(w, "campaign", "resume", "news")
            w.only_delivered(1, M2)


def the_rest_of_a_mail_is_cancelled(mtaq):
    """Rule 14: the second recipient is for the next transaction, which the
    cancel is before; the first is delivered."""
    gate = Gate("250 2.0.0 taken")
    rcpt = ["250 fine", "452 4.5.3 too many recipients", "250 fine"]
    with World(mtaq, m1={"RCPT": rcpt, "dot": gate}) as w:
        w.submit("a@two.test", "b@two.test")
        at_m1(w, "DATA")
        decide(w, "queue", "cancel", *ALL)
        gate.opened.set()
        w.box.wait_final(2)
        must({e["to"]: e["type"] for e in w.events()} ==
             {"a@two.test": "delivered", "b@two.test": "cancelled"},
             str(w.events()))


def mail_that_waits_for_another_host_is_cancelled(mtaq):
    """Rule 24: it is too large for m1 and waits for m2's greeting, which need
    not come first."""
    gate = Gate("220 m2.test")
    with World(mtaq, m1=small(5000), m2=small(50000) | {"greet": gate}) as w:
        mine, = w.submit("big@two.test", body=BIG)
        w.mx.wait(lambda: w.mx[M2].sessions, "a connection to m2")
        must(w.events() == [], str(w.events()))
        decide(w, "queue", "cancel", "--domain", "one.test")
        decide(w, "queue", "cancel", mine)
        w.wait("cancelled", timeout=20)
        gate.opened.set()
        w.submit("b@two.test")
        w.submit("big2@two.test", body=BIG)
        w.box.wait_final(3)
        must(w.mx.taken() == {"b@two.test": [M1], "big2@two.test": [M2]},
             str(w.mx.taken()))


class SlowWorld(World):
    """Its workers stand still while the file `slow` is there."""

    def __enter__(self):
        self.slow = self.box.dir / "slow"
        self.box.start_daemon(env={
            "LD_PRELOAD": os.environ["MTAQ_TEST_SLOW_WORKER"],
            "ASAN_OPTIONS": "verify_asan_link_order=0",
            "SLOW_WORKER": str(self.slow)})
        return self

    def begun(self):
        """Transactions so far; no worker is asked."""
        return self.row("status")[0]["transactions"]


def nothing_begins_behind_a_decision(mtaq):
    """The answer to the first mail lies with a worker that stands still, and
    the second is next on its one connection: when the cancel has been made,
    either it has begun or it never does."""
    gate = Gate("250 2.0.0 taken")
    with SlowWorld(mtaq, m1={"dot": gate}, io_backend="epoll",
                   site__connections=1) as w:
        w.submit("a@two.test")
        at_m1(w, "DATA")
        mine, = w.submit("b@two.test")
        w.box.wait_for(lambda: sum(r["tasks"] for r in w.row("site", "list"))
                       == 1, 30, "the second mail at the worker")
        w.slow.touch()
        gate.opened.set()
        again = threading.Timer(1, w.slow.unlink)
        again.start()
        decide(w, "queue", "cancel", mine)
        begun = w.begun()
        again.join()
        w.box.wait_final(2)
        must(w.begun() == begun, f"{begun} had begun, then {w.begun()}")


if __name__ == "__main__":
    main([a_cancelled_mail_is_not_begun_again,
          others_go_on,
          what_is_under_way_ends_as_it_would_have,
          held_until_released,
          paused_until_resumed,
          the_rest_of_a_mail_is_cancelled,
          mail_that_waits_for_another_host_is_cancelled,
          nothing_begins_behind_a_decision])
