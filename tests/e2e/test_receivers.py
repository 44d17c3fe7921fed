#!/usr/bin/env python3
"""mtaq and the mail servers of others, the same promises with each.

test_receivers.py MTAQ RECEIVER [NAME...]

RECEIVER is one of postfix, exim, opensmtpd, aiosmtpd, haraka; or "together",
all five behind one daemon.
"""
import json
import os
import re
import signal
import subprocess
import sys

import arrived
import canonical
from harness import Failed, main, must
from real_world import (KINDS, MAIL, SENDER, World, events, must_be_once,
                        refused_here, submit)
from receivers import Skipped
from sink_tools import content_hash

WORLD = None


def the_receiver():
    return next(iter(WORLD.receivers.values()))


def check(r, user, octets, name):
    got = r.wait_arrived(user, r.domain)
    _, message = r.split(got, SENDER, user, r.domain)
    arrived.check(octets, SENDER.encode(), message, r.name, name)


# --- the messages of tests/mail ----------------------------------------------

def submit_files(b, domains):
    """[i] of the files that were taken."""
    sent = []
    for i, file in enumerate(MAIL):
        done = submit(b, file, *[f"file{i}@{d}" for d in domains], ok=(0, 65))
        refused = refused_here(file.read_bytes())
        must(done.returncode == (65 if refused else 0),
             f"{file.name}: {done.returncode}: {done.stderr}")
        if not refused:
            sent.append(i)
    must(len(sent) >= 76, f"only {len(sent)} were accepted")
    return sent


def verdicts(r, domain, said):
    """What is not as the receiver's table says, each in words."""
    refused = {f"file{i}@{domain}": r.REFUSED[file.stem]
               for i, file in enumerate(MAIL) if file.stem in r.REFUSED}
    for e in said:
        to = e.get("to", "")
        if not to.endswith("@" + domain):
            continue
        is_last = e["type"] in ("delivered", "bounced")
        code, words, _ = refused.pop(to, (250, "", "")) if is_last else \
            (250, "", "")
        if e["type"] == "accepted":
            continue
        if (e.get("code"), e["type"]) != \
                (code, "bounced" if code != 250 else "delivered") or \
                words not in e["reply"]:
            yield f"{to}: {e['type']} {e.get('code')} {e.get('reply')}"
    if refused:
        yield f"no verdict for {list(refused)}"


def every_file_arrives_as_the_rules_say(_):
    """Through one daemon to every receiver there is, octet for octet."""
    all_of_them = WORLD.receivers.values()
    with WORLD.box() as b:
        b.start_daemon()
        sent = submit_files(b, [r.domain for r in all_of_them])
        b.wait_final(len(sent) * len(all_of_them))
        b.stop_daemon()
        bad = [words for r in all_of_them
               for words in verdicts(r, r.domain, events(b))]
    for r in all_of_them:
        for i in sent:
            if MAIL[i].stem in r.REFUSED:
                continue
            try:
                check(r, f"file{i}", MAIL[i].read_bytes(), MAIL[i].stem)
            except Failed as e:
                bad.append(f"{r.name}: {e}")
    must(not bad, "\n".join(bad))
    return f"{len(sent)} files, {len(all_of_them)} receivers"


def every_file_is_sent_on_once_and_whole(_):
    """mtaq to the receiver, the receiver to the sink."""
    r = the_receiver()
    domain = "relay." + r.domain
    with WORLD.box() as b:
        b.start_daemon()
        sent = submit_files(b, [domain])
        b.wait_final(len(sent))
        b.stop_daemon()
        bad = list(verdicts(r, domain, events(b)))
    want = {f"file{i}@{domain}" for i in sent
            if MAIL[i].stem not in r.REFUSED}
    WORLD.sink.wait_for(lambda: want <= WORLD.relayed().keys(), 60,
                        "what was to be sent on")
    must_be_once(WORLD.relayed(), "sent on")
    for rcpts, octets in WORLD.onward.messages():
        user = rcpts[0].partition("@")[0]
        file = MAIL[int(user.removeprefix("file"))]
        try:
            arrived.check(file.read_bytes(), SENDER.encode(), r.split_relayed(
                octets, SENDER, user, domain), r.name, file.stem)
        except Failed as e:
            bad.append(str(e))
    must(not bad, "\n".join(bad))
    return f"{len(sent)} files"


# --- limits -------------------------------------------------------------------

def recipients_beyond_the_limit_follow_at_once(_):
    """Rule 14: what a transaction has no room for goes into the next one."""
    r = the_receiver()
    to = [f"many{i}@tapped.{r.domain}" for i in range(25)]
    file = MAIL[0]
    with WORLD.box() as b:
        b.start_daemon()
        submit(b, file, *to)
        b.wait_final(25)
        b.stop_daemon()
        must(not events(b, "deferred"), f"{events(b, 'deferred')[:1]}")
        must({e["attempt"] for e in events(b, "delivered")} == {1} and
             len(events(b, "delivered")) == 25, "not all at the first attempt")
    ids = {}
    for i in range(25):
        got = r.wait_arrived(f"many{i}", "tapped." + r.domain)
        queue_id, message = r.split(got, SENDER)
        arrived.check(file.read_bytes(), SENDER.encode(), message, r.name,
                      file.stem)
        ids[queue_id] = ids.get(queue_id, 0) + 1
    sizes = [len(rcpts) for rcpts, _ in WORLD.taps[r.name].messages()]
    return f"transactions of {sizes} RCPT, taken {list(ids.values())}"


def a_refused_recipient_is_refused_alone(_):
    """550 among 250: each recipient has its own answer (rule 12)."""
    r = the_receiver()
    names = ["good0", "nobody", "good1", "noone", "good2"]
    with WORLD.box() as b:
        b.start_daemon()
        submit(b, MAIL[1], *[f"{n}@{r.domain}" for n in names])
        b.wait_final(5)
        b.stop_daemon()
        said = events(b)
    for name in names:
        last = [e for e in said if e.get("to") == f"{name}@{r.domain}" and
                e["type"] != "accepted"]
        must(len(last) == 1, f"{name}: {last}")
        if name.startswith("good"):
            must(last[0]["type"] == "delivered", str(last))
            check(r, name, MAIL[1].read_bytes(), MAIL[1].stem)
        else:
            must(last[0]["type"] == "bounced" and last[0]["stage"] == "rcpt"
                 and last[0]["code"] == r.unknown_user, str(last))
            must(not r.mailbox(name, r.domain), f"{name} has mail")


def a_message_beyond_size_is_not_sent(_):
    """Rule 24: what the server said it would not take is not tried."""
    r = the_receiver()
    line = b"x" * 76 + b"\r\n"      # some count doubled dots too
    head = b"From: a@b.test\r\nSubject: large\r\n\r\n"
    near = head + line * ((r.size_max - 5000) // len(line))
    over = near + line * 80
    with WORLD.box() as b:
        b.start_daemon()
        for i, octets in enumerate((near, over)):
            (b.dir / "large.eml").write_bytes(octets)
            submit(b, b.dir / "large.eml", f"large{i}@tapped.{r.domain}")
        b.wait_final(2)
        b.stop_daemon()
        must(b.count_events().get("bounced") == 1, f"{events(b)}")
        bounced, = events(b, "bounced")
        delivered, = events(b, "delivered")
    must(bounced["to"].startswith("large1@") and "code" not in bounced and
         bounced["enhanced"] == "5.3.4", str(bounced))
    must(delivered["to"].startswith("large0@"), str(delivered))
    got = r.wait_arrived("large0", "tapped." + r.domain)
    arrived.check(near, SENDER.encode(), r.split(got, SENDER)[1], r.name,
                  "large")
    must(all(b"large1@" not in d.sent(True)
             for d in WORLD.taps[r.name].dialogues), "it was tried")


def commands_are_grouped_where_that_is_offered(_):
    """Rule 11: with PIPELINING one group, without one command at a time."""
    r = the_receiver()
    with WORLD.box() as b:
        b.start_daemon()
        submit(b, MAIL[2], f"pipe0@tapped.{r.domain}")
        b.wait_final(1)
        b.stop_daemon()
        must(events(b, "delivered"), "not delivered")
    dialogue, = [d for d in WORLD.taps[r.name].dialogues
                 if b"pipe0@" in d.sent(True)]
    offered = b"PIPELINING" in dialogue.sent(False)
    must(offered == r.pipelining, f"PIPELINING offered: {offered}")
    groups = dialogue.groups()
    words = [[line[:4] for line in g.split(b"\r\n") if line] for g in groups]
    at = next(i for i, g in enumerate(words) if g[0] == b"MAIL")
    want = [[b"MAIL", b"RCPT", b"DATA"]] if offered else \
        [[b"MAIL"], [b"RCPT"], [b"DATA"]]
    must(words[at:at + len(want)] == want, f"{words[:at + 4]}")


def a_limit_of_messages_a_session_is_learned(_):
    """Rule 5: nothing is lost, doubled or charged; later sessions end by
    themselves."""
    r = the_receiver()
    if r.messages_max is None:
        return "(it has none)"
    to = [f"session{i}@tapped.{r.domain}" for i in range(100)]
    before = len(WORLD.taps[r.name].dialogues)
    with WORLD.box(site={"connections": "1"}) as b:
        b.start_daemon()
        for i, address in enumerate(to):
            submit(b, MAIL[i % 8], address)
        b.wait_final(len(to))
        b.stop_daemon()
        must(not events(b, "deferred"), f"{events(b, 'deferred')[:1]}")
        must({e["attempt"] for e in events(b, "delivered")} == {1} and
             len(events(b, "delivered")) == 100, "an attempt was charged")
    for i in range(100):
        r.wait_arrived(f"session{i}", "tapped." + r.domain)
    sessions = [(len(d.messages()), [said for said in d.replies()
                                     if said.startswith((b"421", b"452"))])
                for d in WORLD.taps[r.name].dialogues[before:]]
    cut = sum(said != [] for _, said in sessions)
    must(max(n for n, _ in sessions) == r.messages_max and cut == 1,
         f"(messages, refusals) a session: {sessions}")
    return f"sessions of {[n for n, _ in sessions]}, {sessions[0][1]}"


# --- a crash of the receiver ---------------------------------------------------

CRASH_MESSAGES = int(os.environ.get("MTAQ_TEST_CRASH_MESSAGES", "1000"))
SESSIONS = 4
MESSAGES = 10                            # a session


def kill_in_the_middle(b, r):
    """How many were submitted.  Should they all have gone before the kill, on
    a machine with other things to do, once more."""
    sent = 0
    while sent < 5 * CRASH_MESSAGES:
        b.load("--messages", CRASH_MESSAGES, "--start", sent, "--size", 1500,
               "--dots", "--zone", r.domain, "--domains", 1, "--from", SENDER)
        b.wait_final(sent + CRASH_MESSAGES // 4)
        sent += CRASH_MESSAGES
        r.kill()
        early = b.count_events()["delivered"] < sent
        r.start()
        if early:
            return sent
    raise Failed("the receiver was never killed in time")


def wait_whole(b, r, box, seen, wanted):
    """Until all of wanted are there, each with its octets; how many copies
    there are beyond one each.  seen: files of other tests."""
    taken = {}

    def all_are_there():
        for file in set(r.mailbox("all", box)) - seen:
            seen.add(file)
            queue_id, message = r.split(file.read_bytes(), SENDER)
            token = re.search(rb"(?m)^X-Mtaq-Token: (\S+)\r$",
                              message)[1].decode()
            must(content_hash(message) == wanted[token], f"{token} changed")
            # One queue id twice is the receiver's own second delivery.
            taken.setdefault(token, set()).add(queue_id or file.name)
        return taken.keys() == wanted.keys()
    try:
        b.wait_for(all_are_there, 60, "all of the mail")
    except Failed as why:
        missing = wanted.keys() - taken.keys()
        about = [line for line in r.said().splitlines()
                 if any(f"<{token}@" in line for token in missing)]
        raise Failed(f"{why}: missing {missing}, {about[:20]}") from None
    return sum(len(ids) - 1 for ids in taken.values())


def a_killed_receiver_gets_everything(_):
    """SIGKILL in the middle of 1,000 messages, then it is started again: all
    arrive whole, those twice whose dot was on its way."""
    return kill_a_receiver()


def a_killed_receiver_gets_every_chunk(_):
    """The same by BDAT: no more are doubled. Of a stream all that flies may be
    (rule 20), and no more flies than smtp.chunks_ahead."""
    if not the_receiver().chunks:
        return "(it has no CHUNKING)"
    return "; ".join(kill_a_receiver(ahead=ahead, smtp__chunking="on",
                                     smtp__chunks_ahead=str(ahead))
                     for ahead in (1, MESSAGES))


def kill_a_receiver(ahead=1, **changes):
    r = the_receiver()
    box = f"d0.{r.domain}"
    seen = set(r.mailbox("all", box))    # of other tests
    with WORLD.box(received="no", site={"connections": SESSIONS,
                         "connects_per_second": "1000"},
                   session={"messages": MESSAGES}, **changes) as b:
        b.start_daemon()
        sent = kill_in_the_middle(b, r)
        b.wait_final(sent)
        b.stop_daemon()
        types = b.count_events()
        must(types["delivered"] == sent, str(types))
        wanted = accepted(b)
    doubled = wait_whole(b, r, box, seen, wanted)
    must(doubled <= SESSIONS * ahead,
         f"{doubled} came twice over {SESSIONS} sessions")
    return f"{doubled} doubled, {types.get('unsure', 0)} unsure"


def accepted(b):
    """{token: "crc.length" of what was submitted}"""
    rows = (line.split("\t") for line in b.accepted.read_text().splitlines())
    return {token: want for _, token, _, want in rows}


# --- grouping across transactions -----------------------------------------------

GROUPED_MESSAGES = 60


def run_grouped(r, how):
    done = subprocess.run(
        [os.environ["MTAQ_TEST_GROUPED"], r.address, str(r.port),
         f"x@d0.{r.domain}", str(GROUPED_MESSAGES), how], stdout=subprocess.PIPE, timeout=120)
    must(done.returncode == 0, f"grouped ended with {done.returncode}")
    return json.loads(done.stdout)


def a_group_is_taken_whole_or_one_by_one(_):
    """Rule 19, by the session alone: whatever a server makes of a
    message behind another's dot, none is lost and none is there twice."""
    if "MTAQ_TEST_GROUPED" not in os.environ:
        return "(not run: MTAQ_TEST_GROUPED is not set)"
    r = the_receiver()
    words = []
    for how in ("no", "yes"):
        before = len(r.mailbox("all", f"d0.{r.domain}"))
        got = run_grouped(r, how)
        must(got["accepted"] == GROUPED_MESSAGES and got["unsure"] == 0, f"{how}: {got}")
        WORLD.sink.wait_for(
            lambda: len(r.mailbox("all", f"d0.{r.domain}")) >=
            before + GROUPED_MESSAGES, 60, "the last of the mail")
        must(len(r.mailbox("all", f"d0.{r.domain}")) ==
             before + GROUPED_MESSAGES, f"{how}: more than once")
        must(how == "yes" or got["groups"] == 0, f"{how}: {got}")
        words.append(f"{how}: {got['groups']} of {GROUPED_MESSAGES} grouped, "
                     f"{got['sessions']} sessions, {got['ms']} ms")
    must((got["groups"] > 0) == r.groups, str(words))
    return "; ".join(words)


def how_it_is_sent(b):
    """What the daemon says of its one host."""
    site = json.loads(b.run("site", "list", "--json", "-c",
                            b.conf).stdout.splitlines()[0])["site"]
    rows = b.run("site", "show", site, "--json", "-c", b.conf).stdout
    return next(row for row in map(json.loads, rows.splitlines())
                if "address" in row)


ENGINE_MESSAGES = 200


def groups_of_the_engine_arrive_once_and_whole(_):
    """Rule 19: 200 messages over two sessions; the host earns its groups
    where it offers PIPELINING, and where not says why there are none."""
    host = over_two_sessions()
    must(host["grouping"] == ("grouped" if the_receiver().groups else
                              "not-offered"), str(host))
    return host["grouping"]


def chunks_of_the_engine_arrive_once_and_whole(_):
    """Rule 20, likewise."""
    host = over_two_sessions(smtp__chunking="auto")
    must(host["chunking"] == ("chunked" if the_receiver().chunks else
                              "not-offered"), str(host))
    return host["chunking"]


def over_two_sessions(**changes):
    r = the_receiver()
    box = f"d0.{r.domain}"
    seen = set(r.mailbox("all", box))    # of other tests
    with WORLD.box(received="no", site={"connections": "2"}, **changes) as b:
        b.start_daemon()
        b.load("--messages", ENGINE_MESSAGES, "--size", 1500, "--dots",
               "--zone", r.domain, "--domains", 1, "--from", SENDER)
        b.wait_final(ENGINE_MESSAGES)
        host = how_it_is_sent(b)
        b.stop_daemon()
        types = b.count_events()
        must(types["delivered"] == ENGINE_MESSAGES and
             not {"unsure", "deferred"} & types.keys(), str(types))
        doubled = wait_whole(b, r, box, seen, accepted(b))
    must(doubled == 0, f"{doubled} came twice")
    return host


ALONE = [every_file_arrives_as_the_rules_say,
         every_file_is_sent_on_once_and_whole,
         recipients_beyond_the_limit_follow_at_once,
         a_refused_recipient_is_refused_alone,
         a_message_beyond_size_is_not_sent,
         commands_are_grouped_where_that_is_offered,
         a_limit_of_messages_a_session_is_learned,
         a_group_is_taken_whole_or_one_by_one,
         groups_of_the_engine_arrive_once_and_whole,
         chunks_of_the_engine_arrive_once_and_whole,
         a_killed_receiver_gets_everything,
         a_killed_receiver_gets_every_chunk]
TOGETHER = [every_file_arrives_as_the_rules_say]


def run(mtaq, which, wanted):
    global WORLD
    try:
        with World(mtaq, list(KINDS) if which == "together" else [which]) \
                as WORLD:
            for name, why in WORLD.skipped.items():
                print(f"skipped: e2e_real_{which}: {name}: {why}", flush=True)
            if not WORLD.receivers:
                sys.exit(77)
            sys.argv[1:] = [mtaq, *wanted]
            main(TOGETHER if which == "together" else ALONE)
    except Skipped as why:
        print(f"skipped: e2e_real_{which}: {why}", flush=True)
        sys.exit(77)
    except Failed as why:
        sys.exit(f"FAIL e2e_real_{which}: {why}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run(sys.argv[1], sys.argv[2], sys.argv[3:])
