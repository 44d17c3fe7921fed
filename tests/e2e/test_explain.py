#!/usr/bin/env python3
"""mtaq explain: the answer, for each reason that mail can wait for.

test_explain.py MTAQ [NAME...]
"""
import json

from harness import Box, main, must


def explain(box, what, ok=(0,)):
    out = box.run("explain", what, "--json", "-c", box.conf, ok=ok).stdout
    return json.loads(out)


def first_line(box, what, ok=(0,)):
    out = box.run("explain", what, "-c", box.conf, ok=ok).stdout
    return out.splitlines()[0]


def until(box, what, reason, timeout=60):
    """Wait until the answer's reason is this one; the whole answer."""
    box.wait_for(lambda: explain(box, what)["reason"] == reason, timeout,
                 f"{what} to be {reason}: {explain(box, what)['answer']}")
    return explain(box, what)


def one_id(box, *filters):
    out = box.run("queue", "list", "--json", "-c", box.conf, *filters).stdout
    return json.loads(out.splitlines()[0])["id"]


def nothing_queued_and_the_way_there(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 3, "--mx", 2,
                       listen="127.0.0.2-127.0.0.3")
        box.configure().start_daemon()
        r = explain(box, "d1.test")
        must([r["reason"], r["domain"], r["route"]["known"], r["site"]] ==
             ["idle", "d1.test", 0, None], str(r))
        must([h["preference"] for h in r["lookup"]["hosts"]] == [10, 20],
             str(r["lookup"]))
        must(explain(box, "someone@d1.test")["domain"] == "d1.test",
             "an address stands for its domain")
        must(first_line(box, "D1.TEST") == "Nothing is queued for d1.test.",
             first_line(box, "D1.TEST"))


def a_retry_names_its_rule(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--greylist", 3600)
        box.configure(retry='["1h"]', greylist="10m").start_daemon()
        box.load("--messages", 2, "--domains", 1)
        r = until(box, "d0.test", "deferred")
        must(r["queue"]["waiting"] == 2 and
             0 < r["queue"]["due_in_s"] <= 4400, str(r["queue"]))
        must(r["hosts"][0]["health"] == "well" and
             "451 4.7.1" in r["hosts"][0]["reply"], str(r["hosts"]))
        r = until(box, one_id(box), "deferred")
        rcpt = r["recipients"][0]
        must(r["reason"] == "deferred" and rcpt["attempts"] == 1 and
             rcpt["rule"].startswith("greylisting: 10m 00s") and
             "rule 31" in rcpt["rule"], str(rcpt))
        # The event log comes behind what the queue knows.
        box.wait_for(lambda: explain(box, one_id(box))["history"], 60,
                     "the event")
        last = explain(box, one_id(box))["history"][0]
        must([last["type"], last["code"], last["enhanced"], last["stage"],
              last["final"]] == ["deferred", 451, "4.7.1", "rcpt", False] and
             "127.0.0.1" in last["host"], str(last))
        text = box.run("explain", one_id(box), "-c", box.conf).stdout
        must(text.startswith("Waiting for attempt 2 at ") and
             "greylisting" in text.splitlines()[0] and
             "last: deferred" in text, text)


def a_dead_site_says_until_when(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--mx", 2, "--fail", "greeting=5:1",
                       listen="127.0.0.2-127.0.0.3")
        box.configure().start_daemon()
        box.load("--messages", 3, "--domains", 1)
        r = until(box, "d0.test", "dead")
        must(r["site"]["limit"] == "dead" and
             0 < r["site"]["again_in_s"] <= 60, str(r["site"]))
        must([h["health"] for h in r["hosts"]] == ["bad", "bad"] and
             all(h["reply"].startswith("554") and h["again_in_s"] > 0
                 for h in r["hosts"]), str(r["hosts"]))
        must(first_line(box, "d0.test").startswith("Waiting: the site "
                                                   "mx0.d0.test is parked"),
             first_line(box, "d0.test"))
        r = explain(box, one_id(box))
        must(r["reason"] == "dead" and r["recipients"][0]["attempts"] == 0,
             str(r))
        shown = box.run("site", "show", "mx0.d0.test", "-c",
                        box.conf).stdout
        must("mx1.d0.test\t127.0.0.3" in shown, shown)


def operators_pauses_and_holds(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--mx", 1)
        box.configure().start_daemon()
        box.load("--messages", 2, "--domains", 2)
        box.wait_final(2)
        box.run("site", "pause", "mx0.d0.test", "-c", box.conf)
        box.load("--messages", 1, "--domains", 1, "--tag", "b")
        r = until(box, "d0.test", "operator")
        must("mx0.d0.test" in r["answer"], r["answer"])
        box.run("campaign", "pause", "news", "-c", box.conf)
        box.load("--messages", 1, "--domains", 1, "--campaign", "news",
                 "--tag", "c")
        r = explain(box, one_id(box, "--campaign", "news"))
        must(r["reason"] == "operator" and "news" in r["answer"], str(r))
        must([(p["campaign"], p["site"]) for p in r["pauses"]]
             == [("news", ""), ("", "mx0.d0.test")], str(r))
        held = one_id(box, "--campaign", "news")
        box.run("queue", "hold", held, "-c", box.conf)
        r = until(box, held, "held")
        must(r["recipients"][0]["state"] == "held", str(r))
        box.run("site", "resume", "mx0.d0.test", "-c", box.conf)
        until(box, "d0.test", "held")


def what_is_being_sent_and_the_window(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--delay", 400)
        box.configure(site__connections="1").start_daemon()
        box.load("--messages", 20, "--domains", 1)
        r = until(box, "d0.test", "window")
        must(r["site"]["window"] == 1 and r["site"]["tasks"] > 0 and
             r["answer"].startswith(("Being delivered", "Waiting")), str(r))

        def sending():
            out = box.run("queue", "list", "--json", "-c", box.conf).stdout
            for line in out.splitlines():
                r = explain(box, json.loads(line)["id"], ok=(0, 65))
                if r["reason"] == "sending":
                    return r
            return None

        seen = []
        box.wait_for(lambda: seen.append(sending()) or seen[-1], 30,
                     "a message in flight")
        flight = seen[-1]["flights"][0]
        must(flight["recipients"] == 1 and flight["session"] > 0 and
             "127.0.0.1" in flight["host"], str(flight))
        box.stop_daemon(kill=True)


def no_way_there(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--servfail", 1)
        box.configure().start_daemon()
        box.load("--messages", 1, "--domains", 1)
        r = until(box, "d0.test", "dns")
        must("asked again at" in r["answer"] and
             r["route"]["status"] == "tempfail", str(r))
        ident = one_id(box)
        must(explain(box, ident)["reason"] == "dns", "the message")


def routes_are_told(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1)
        port = box.sink_smtp.rpartition(":")[2]
        box.configure(routes='{"*": "127.0.0.1:%s"}' % port,
                      retry='["1h"]').start_daemon()
        box.load("--messages", 1, "--domains", 1)
        box.wait_final(1)
        r = explain(box, "d0.test")
        must([r["route"]["how"], r["route"]["route"], r["lookup"]["how"]] ==
             ["route", f"127.0.0.1:{port}", "route"], str(r))


def finished_mail_is_found_in_the_event_log(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1)
        box.configure().start_daemon()
        ident = box.run("submit", "-c", box.conf, "-f", "a@sender.test", "-t",
                        "u@d0.test", "-t", "v@d0.test",
                        input="Subject: x\n\nx\n").stdout.split()[0]
        box.wait_final(2)
        box.wait_for(lambda: len(explain(box, ident, ok=(0, 65))["history"])
                     == 2, 30, "both in the log")
        r = explain(box, ident)
        must(r["reason"] == "finished" and r["history_whole"] and
             sorted((h["to"], h["type"], h["final"]) for h in r["history"])
             == [("u@d0.test", "delivered", True),
                 ("v@d0.test", "delivered", True)], str(r))
        must(explain(box, "00000000000000", ok=(65,))["reason"] == "unknown",
             "an id of nobody")
        log = box.events.read_bytes()
        box.events.write_bytes(b"")       # as if it were too long ago
        r = explain(box, ident)
        must([r["reason"], r["history"]] == ["finished", []], str(r))
        box.events.write_bytes(log)
        box.stop_daemon()
        r = explain(box, ident, ok=(69,))
        must(r["reason"] == "finished" and not r["daemon"], str(r))
        r = explain(box, "d0.test", ok=(69,))
        must(r["reason"] == "no-daemon" and r["lookup"]["ok"], str(r))


def servers_words_do_no_harm(mtaq):
    """Controls in a reply reach neither the terminal nor the JSON raw."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--fail", "rcpt=4:1")
        box.configure(retry='["1h"]').start_daemon()
        box.load("--messages", 1, "--domains", 1)
        until(box, "d0.test", "deferred")
        ident = one_id(box)
        box.wait_for(lambda: box.count_events().get("deferred"), 60,
                     "the event")
        line = box.events.read_text().splitlines()[-1]
        line = line.replace('"reply":"', '"reply":"\\u001b[2J\\"x\\\\')
        with open(box.events, "a") as f:
            f.write(line + "\n")
        out = box.run("explain", ident, "-c", box.conf).stdout
        must("\x1b" not in out and '?[2J"x\\' in out, out)
        r = explain(box, ident)
        must(r["history"][0]["reply"].startswith('\x1b[2J"x\\'), str(r))


def wrong_words(mtaq):
    with Box(mtaq) as box:
        box.configure()
        for args in ([], ["a.test", "b.test"], ["not a domain"], [""],
                     ["--nonsense"]):
            box.run("explain", *args, "-c", box.conf, ok=(64,))


if __name__ == "__main__":
    main([nothing_queued_and_the_way_there, a_retry_names_its_rule,
          a_dead_site_says_until_when, operators_pauses_and_holds,
          what_is_being_sent_and_the_window, no_way_there, routes_are_told,
          finished_mail_is_found_in_the_event_log, servers_words_do_no_harm,
          wrong_words])
