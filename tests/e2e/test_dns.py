#!/usr/bin/env python3
"""Where a domain's mail goes (docs/SMTP.md 7): DNS, servers and daemon are
real; what is asked is which host took the mail, or why nobody did.

test_dns.py MTAQ [NAME...]

nsd answers what a good name server answers; servers.Dns what a bad one does.
"""
import json
import os
import signal
import sys
import tempfile

from harness import Box, main, must
from receivers import Nsd, Unbound
from servers import Dns, MxFarm

HIDDEN = "127.0.78.200"               # an address of our own, by option
GOOD = [f"127.0.78.{i}" for i in range(1, 5)]
MANY = [f"127.0.78.{i}" for i in range(101, 141)]   # 40 hosts
WIDE = [f"127.0.79.{i}" for i in range(1, 21)]      # 20 addresses of one

ZONE = f"""m1 A {GOOD[0]}
m2 A {GOOD[1]}
m3 A {GOOD[2]}
dead A 127.0.78.99
six AAAA ::1
both A {GOOD[0]}
both AAAA ::1
hidden A {HIDDEN}
lowest MX 20 m2
lowest MX 10 m1
lowest MX 30 m3
next MX 20 m2
next MX 10 dead
equal MX 10 m1
equal MX 10 m2
implicit A {GOOD[2]}
nullmx MX 0 .
nullmx A {GOOD[0]}
halfnull MX 0 .
halfnull MX 10 m2
target MX 10 alias
alias CNAME alias2
alias2 CNAME m3
cname CNAME lowest
nowhere CNAME nothing
onlysix MX 10 six
dual MX 10 both
noaddr MX 10 text
text TXT "no address"
text2 TXT "neither MX nor address"
literal MX 10 {GOOD[0]}.
literal A {GOOD[1]}
halfliteral MX 10 {GOOD[0]}.
halfliteral MX 20 m2
ourself MX 10 mail.test.
ourbackup MX 10 m1
ourbackup MX 20 mail.test.
ourbackup MX 20 m2
ourbackup MX 30 m3
ourfirst MX 10 mail.test.
ourfirst MX 20 m2
byaddress MX 10 m1
byaddress MX 20 hidden
byaddress MX 30 m3
byaddress2 MX 10 hidden
byaddress2 MX 20 m1
selfaddr A {HIDDEN}
wide MX 10 widehost
""" + "".join(f"many MX {i} many-hosts-with-a-long-name-{i}\n"
              f"many-hosts-with-a-long-name-{i} A {a}\n"
              for i, a in enumerate(MANY)) + \
    "".join(f"widehost A {a}\n" for a in WIDE) + \
    "".join(f"long MX {i + 10} long-names-that-fill-a-datagram-{i}\n"
            f"long-names-that-fill-a-datagram-{i} A {GOOD[3]}\n"
            for i in range(60))

# domain: the addresses of which one must take the mail, or (enhanced, words)
CASES = {
    "lowest": [GOOD[0]], "next": [GOOD[1]], "equal": GOOD[:2],
    "implicit": [GOOD[2]], "halfnull": [GOOD[1]], "target": [GOOD[2]],
    "cname": [GOOD[0]], "onlysix": ["::1"], "dual": [GOOD[0], "::1"],
    "halfliteral": [GOOD[1]], "ourbackup": [GOOD[0]],
    "byaddress": [GOOD[0]], "long": [GOOD[3]],
    "nullmx": ("5.1.10", "accepts no mail"),
    "nowhere": ("5.1.2", "does not exist"),
    "nothing": ("5.1.2", "does not exist"),
    "noaddr": ("5.4.4", "no mail exchanger has an address"),
    "text2": ("5.4.4", "has an address"),
    "literal": ("5.4.4", "no mail exchanger has an address"),
    "ourself": ("5.4.6", "lead back to us"),
    "ourfirst": ("5.4.6", "lead back to us"),
    "byaddress2": ("5.4.6", "lead back to us"),
    "selfaddr": ("5.4.6", "lead back to us"),
}


def events(b, kind=None):
    if not b.events.exists():
        return []
    lines = b.events.read_text().splitlines()
    return [e for e in map(json.loads, lines)
            if "type" in e and kind in (None, e["type"])]


def box(mtaq, dns, port, **changes):
    b = Box(mtaq, "mtaq-dns")
    changes.setdefault("dns__timeout", "2s")
    b.configure(dns__servers=f'["{dns}"]', smtp__port=port, retry='["1s"]',
                session__idle="100ms",
                own_addresses=f'["{HIDDEN}"]',
                site__connects_per_second="1000", **changes)
    (b.dir / "m.eml").write_text("From: a@from.test\n\nhello\n")
    return b


def submit(b, *to):
    b.run("submit", "-c", b.conf, "--from", "a@from.test",
          *[w for t in to for w in ("--to", t)], b.dir / "m.eml")


def check_case(name, want, event, taken, port):
    to = f"x@{name}.dns.test"
    if isinstance(want, tuple):
        must(event["type"] == "bounced" and event["enhanced"] == want[0] and
             want[1] in event["reply"] and "code" not in event and
             "host" not in event, f"{name}: {event}")
        must(to not in taken, f"{name}: taken by {taken.get(to)}")
        return
    got = taken.get(to)
    must(got is not None and len(got) == 1 and got[0] in want,
         f"{name}: taken by {got}, not one of {want}: {event}")
    at = f"[::1]:{port}" if got[0] == "::1" else f"{got[0]}:{port}"
    must(event["type"] == "delivered" and event["code"] == 250 and
         event["attempt"] == 1 and event["host"].endswith(f"[{at}]"),
         f"{name}: {event}")


def rule_07_every_kind_of_domain_goes_where_it_must(mtaq):
    """One daemon, one nsd, a mail for each line of CASES."""
    with tempfile.TemporaryDirectory(prefix="mtaq-nsd-") as d, \
            Nsd(d + "/nsd", {"dns.test": ZONE}) as dns, \
            MxFarm(GOOD + ["::1", HIDDEN]) as mx, \
            box(mtaq, dns.at, mx.port) as b:
        b.start_daemon()
        for name in CASES:
            submit(b, f"x@{name}.dns.test")
        b.wait_final(len(CASES))
        b.stop_daemon()
        got = {e["to"]: e for e in events(b) if e["type"] != "accepted"}
        must(not events(b, "deferred"), "something was deferred")
        for name, want in CASES.items():
            check_case(name, want, got[f"x@{name}.dns.test"], mx.taken(),
                       mx.port)
        must(mx.connects(HIDDEN) == 0, "we connected to ourselves")
    return f"{len(CASES)} domains"


def rule_07_the_same_through_a_resolver(mtaq):
    """What mtaq gets to see in production: unbound in front of nsd.  A CNAME
    that leads in a circle is the resolver's to notice."""
    loop = "loop CNAME loop2\nloop2 CNAME loop\n"
    with tempfile.TemporaryDirectory(prefix="mtaq-nsd-") as d, \
            Nsd(d + "/nsd", {"dns.test": ZONE + loop}) as nsd, \
            Unbound(d + "/unbound", nsd) as dns, \
            MxFarm(GOOD + ["::1", HIDDEN]) as mx, \
            box(mtaq, dns.at, mx.port) as b:
        b.start_daemon()
        for name in CASES:
            submit(b, f"x@{name}.dns.test")
        submit(b, "x@loop.dns.test", "x@elsewhere.example")
        b.wait_final(len(CASES))
        b.stop_daemon()
        got = {e["to"]: e for e in events(b) if e["type"] != "accepted"}
        for name, want in CASES.items():
            check_case(name, want, got[f"x@{name}.dns.test"], mx.taken(),
                       mx.port)
        must(len(got) == len(CASES), f"a broken name ended: {got}")
    return f"{len(CASES)} domains"


def rule_07_equals_share_the_mail(mtaq):
    """Messages to a domain with two MX of equal preference go to both; the
    third, of a higher number, gets none."""
    zone = ZONE + "equal MX 20 m3\n"
    with tempfile.TemporaryDirectory(prefix="mtaq-nsd-") as d, \
            Nsd(d + "/nsd", {"dns.test": zone}) as dns, \
            MxFarm(GOOD) as mx, \
            box(mtaq, dns.at, mx.port, session__messages="1") as b:
        b.start_daemon()
        for i in range(20):
            submit(b, f"x{i}@equal.dns.test")
        b.wait_final(20)
        b.stop_daemon()
        counts = [len(mx[a].mails) for a in GOOD]
        must(min(counts[:2]) >= 5 and counts[2] == 0, str(counts))
    return str(counts)


def rule_07_of_forty_hosts_thirty_two_are_tried(mtaq):
    """By TCP, since they do not fit into a datagram; the best 32; 16 addresses
    of one host.  Each host refuses, so that every one is tried."""
    refuse = {a: {"greet": "554 5.3.2 not today"} for a in MANY + WIDE}
    with tempfile.TemporaryDirectory(prefix="mtaq-nsd-") as d, \
            Nsd(d + "/nsd", {"dns.test": ZONE}) as dns, \
            MxFarm(refuse) as mx, \
            box(mtaq, dns.at, mx.port, host__bad_first="1h",
                host__bad_max="1h") as b:
        b.start_daemon()
        submit(b, "x@many.dns.test", "x@wide.dns.test")
        b.wait_for(lambda: b.said("many-hosts-with-a-long-name-0.dns.test is parked")
                   and b.said("widehost.dns.test is parked"), 60,
                   "both sites to be parked")
        b.stop_daemon()
        must([mx.connects(a) for a in MANY] == [1] * 32 + [0] * 8,
             str([mx.connects(a) for a in MANY]))
        wide = sorted(mx.connects(a) for a in WIDE)
        must(wide == [0] * 4 + [1] * 16, str(wide))
        must([e["type"] for e in events(b)] == ["accepted"] * 2, "an event")


BAD = {"servfail": "the name server says SERVFAIL",
       "refused": "the name server says REFUSED",
       "silent": "no name server answered in time",
       "wrong id": "no name server answered in time",
       "wrong question": "no name server answered in time",
       "other owner": "the name server's answer makes no sense",
       "noise": "the name server's answer makes no sense",
       "lame": "the name server does not recurse",
       "loop": "the name server's answer makes no sense"}


def rule_07_a_bad_answer_is_temporary(mtaq):
    """Whatever a name server does: no bounce, no attempt charged; the age
    limit ends it, with what the name server did in words."""
    must(set(BAD) == Dns.MOODS, "a mood without a line")
    domains = {mood: mood.replace(" ", "-") + ".test" for mood in BAD}
    names = {name: mood for mood, name in domains.items()}
    with Dns(names) as dns, MxFarm(["127.0.77.66"]) as mx, \
            box(mtaq, dns.at, mx.port, dns__timeout="1s",
                age_limit="12s") as b:
        b.start_daemon()
        for name in domains.values():
            submit(b, f"x@{name}")
        b.wait_final(len(BAD))
        b.stop_daemon()
        got = {e["to"]: e for e in events(b) if e["type"] != "accepted"}
        for mood, words in BAD.items():
            e = got[f"x@{domains[mood]}"]
            must(e["type"] == "expired" and e["enhanced"] == "4.4.7" and
                 words in e["reply"] and e["attempt"] == 0, f"{mood}: {e}")
            must(dns.asked(domains[mood]) >= 1, f"{mood}: never asked")
        must(mx.connects("127.0.77.66") == 0, "a lie was believed")
        must(not events(b, "deferred"), "an outage was charged")


def rule_07_an_address_as_mx_is_ignored(mtaq):
    """RFC 5321 wants a name there, also when DNS has an A for it."""
    names = {"a.test": {"MX": [(10, GOOD[0])], "A": [GOOD[0]]},
             "b.test": {"MX": [(10, GOOD[0]), (20, "mx.test")]},
             GOOD[0]: {"A": [GOOD[0]]}, "mx.test": {"A": [GOOD[1]]}}
    with Dns(names) as dns, MxFarm(GOOD[:2]) as mx, \
            box(mtaq, dns.at, mx.port) as b:
        b.start_daemon()
        submit(b, "x@a.test", "x@b.test")
        b.wait_final(2)
        b.stop_daemon()
        got = {e["to"]: e for e in events(b) if e["type"] != "accepted"}
        must(got["x@a.test"]["type"] == "bounced" and
             got["x@a.test"]["enhanced"] == "5.4.4" and
             mx.taken() == {"x@b.test": [GOOD[1]]}, str(got))


def rule_07_mail_goes_on_when_the_name_server_is_well(mtaq):
    """After SERVFAIL and silence: delivered, first attempt."""
    names = {"a.test": "servfail", "b.test": "silent",
             "mx.test": {"A": [GOOD[0]]}}
    with Dns(names) as dns, MxFarm(GOOD[:1]) as mx, \
            box(mtaq, dns.at, mx.port, dns__timeout="100ms") as b:
        b.start_daemon()
        submit(b, "x@a.test", "x@b.test")
        b.wait_for(lambda: dns.asked("a.test") and dns.asked("b.test"), 60,
                   "a question")
        names["a.test"] = names["b.test"] = {"MX": [(10, "mx.test")]}
        b.wait_final(2)
        b.stop_daemon()
        must([e["attempt"] for e in events(b, "delivered")] == [1, 1] and
             not events(b, "deferred"), str(events(b)))


def rule_07_the_second_name_server_helps(mtaq):
    """dns.servers: one that fails, in whatever way, is no outage."""
    names = {"mx.test": {"A": [GOOD[0]]}}
    moods = ["servfail", "refused", "silent"]
    names |= {f"d{i}.test": {"MX": [(10, "mx.test")]}
              for i in range(len(moods))}
    with Dns(names) as good, MxFarm(GOOD[:1]) as mx:
        for i, mood in enumerate(moods):
            with Dns(dict.fromkeys(names, mood)) as bad, \
                    box(mtaq, bad.at, mx.port, dns__timeout="200ms",
                        age_limit="30s") as b:
                b.configure(dns__servers=f'["{bad.at}", "{good.at}"]',
                            dns__timeout="200ms", smtp__port=mx.port)
                b.start_daemon()
                submit(b, f"x@d{i}.test")
                types = b.wait_final(1)
                b.stop_daemon()
                must(types.get("delivered") == 1 and bad.asked(f"d{i}.test"),
                     f"{mood}: {events(b)}")


def rule_07_a_domain_that_moves_takes_its_mail_along(mtaq):
    """The old host is dead and mail waits for it; then the MX changes, or the
    domain says that it takes no mail: what waits follows, half a minute later
    at most (answers are kept for 30 s whatever their TTL)."""
    if os.environ.get("MTAQ_TEST_IO") == "epoll":
        return "skipped: io_uring's turn has shown it"
    names = {"moves.test": {"MX": [(10, "old.test")]},
             "ends.test": {"MX": [(10, "old.test")]},
             "old.test": {"A": ["127.0.78.99"]},
             "new.test": {"A": [GOOD[0]]}}
    with Dns(names, ttl=1) as dns, MxFarm(GOOD[:1]) as mx, \
            box(mtaq, dns.at, mx.port, host__bad_first="1h",
                host__bad_max="1h") as b:
        b.start_daemon()
        submit(b, "x@moves.test", "y@moves.test", "x@ends.test")
        b.wait_for(lambda: b.said("site old.test is parked"), 60,
                   "the site to be parked")
        names["moves.test"] = {"MX": [(10, "new.test")]}
        names["ends.test"] = {"MX": [(0, "")]}
        b.wait_final(3, timeout=120)
        b.stop_daemon()
        got = {e["to"]: e for e in events(b) if e["type"] != "accepted"}
        must(got["x@ends.test"]["type"] == "bounced" and
             got["x@ends.test"]["enhanced"] == "5.1.10", str(got))
        must(sorted(mx.taken()) == ["x@moves.test", "y@moves.test"] and
             got["x@moves.test"]["attempt"] == 1, str(got))


TESTS = [rule_07_every_kind_of_domain_goes_where_it_must,
         rule_07_the_same_through_a_resolver,
         rule_07_equals_share_the_mail,
         rule_07_of_forty_hosts_thirty_two_are_tried,
         rule_07_a_bad_answer_is_temporary,
         rule_07_an_address_as_mx_is_ignored,
         rule_07_mail_goes_on_when_the_name_server_is_well,
         rule_07_the_second_name_server_helps,
         rule_07_a_domain_that_moves_takes_its_mail_along]

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(TESTS)
