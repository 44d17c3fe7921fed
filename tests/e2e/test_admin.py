#!/usr/bin/env python3
"""The operator's commands against a living daemon.

test_admin.py MTAQ [NAME...]
"""
import json
import socket

from harness import Box, main, must


def op(box, *args, ok=(0,)):
    """Run an operator's command; what it printed."""
    return box.run(*args[:1], *args[1:], "-c", box.conf, ok=ok).stdout


def status(box):
    return json.loads(op(box, "status", "--json"))


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


STATUS_KEYS = {
    "version", "hostname", "spool", "pid", "uptime_s", "workers", "io",
    "waiting", "held", "loaded_tasks", "queues", "pauses", "segments",
    "segments_free", "durable_lsn", "checkpoint_lsn", "log_bytes",
    "delivered", "deferred", "bounced", "unsure", "sessions",
    "sessions_open", "transactions", "accepted", "refused", "submitters",
    "domains", "dns_asking", "disk_free", "disk_min_free", "room", "events",
    "damaged", "damage", "clock", "pauses_in_force", "traces",
}


def a_paused_campaign_waits_and_a_resumed_one_goes(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
        listed = rows(op(box, "campaign", "list", "--json"))
        must([(r["campaign"], r["waiting"], r["paused"]) for r in listed]
             == [("news", 0, 1)], f"a pause without mail: {listed}")
        box.load("--messages", 500, "--domains", 10, "--campaign", "news")
        box.load("--messages", 20, "--domains", 10, "--campaign", "other",
                 "--tag", "other")
        types = box.wait_final(20)
        must(types.get("delivered") == 20, str(types))
        s = status(box)
        must(s["waiting"] == 500 and s["delivered"] == 20, str(s))
        must([p["campaign"] for p in s["pauses_in_force"]] == ["news"], str(s))
        listed = rows(op(box, "campaign", "list", "--json"))
        must([(r["campaign"], r["waiting"], r["paused"]) for r in listed]
             == [("news", 500, 1)], str(listed))
        op(box, "campaign", "resume", "news")
        box.wait_final(520)
        must(status(box)["pauses"] == 0, "the pause is still in force")
        box.stop_daemon()
        must(box.equation()["delivered"] == 520, "not all delivered")


def a_pause_survives_kill_9(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
        box.kill_daemon()
        box.start_daemon()
        box.load("--messages", 100, "--domains", 10, "--campaign", "news")
        box.load("--messages", 1, "--domains", 10, "--tag", "other")
        types = box.wait_final(1)
        must(types.get("delivered") == 1, str(types))
        must(status(box)["waiting"] == 100, "the pause is gone")
        op(box, "campaign", "resume", "news")
        box.wait_final(101)
        box.stop_daemon()
        box.equation()


def a_pause_calls_back_what_workers_hold(mtaq):
    """Tasks that wait at a slow site when the pause comes are not sent."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--mx", 1, "--delay", 300)
        box.configure(site__connections="1", session__messages="5")
        box.start_daemon()
        box.load("--messages", 300, "--domains", 1, "--campaign", "news")
        box.wait_final(1)
        op(box, "campaign", "pause", "news")
        # What was being sent ends; then nothing more.
        box.wait_for(lambda: status(box)["loaded_tasks"] == 0, 30,
                     "the end of what was under way")
        left = status(box)["waiting"]
        must(left > 250, f"{left} of 300 wait after the pause")
        op(box, "campaign", "resume", "news")
        box.wait_for(lambda: status(box)["waiting"] < left, 30, "more mail")
        box.stop_daemon(kill=True)


def by_state(box, *filters):
    """{state: recipients} as `queue list` tells it."""
    out = {}
    for r in rows(op(box, "queue", "list", "--all", "--json", *filters)):
        out[r["state"]] = out.get(r["state"], 0) + 1
    return out


def done(box, *args, ok=(0,)):
    """A decision's recipients, as the command counted them."""
    return json.loads(op(box, *args, "--json", ok=ok))["recipients"]


def held_mail_waits_until_released(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
        box.load("--messages", 100, "--domains", 10, "--campaign", "news")
        must(by_state(box) == {"paused": 100}, str(by_state(box)))
        must(done(box, "queue", "hold", "--domain", "d3.test") == 10, "hold")
        box.wait_for(lambda: by_state(box).get("held") == 10, 30, "10 held")
        op(box, "campaign", "resume", "news")
        box.wait_final(90)
        must(by_state(box) == {"held": 10}, str(by_state(box)))
        must(status(box)["held"] == 10, "status counts what is held")
        must(by_state(box, "--state", "queued") == {}, "--state")
        must(done(box, "queue", "release", "--state", "held") == 10, "release")
        types = box.wait_final(100)
        must([types["held"], types["released"], types.get("deferred", 0)]
             == [10, 10, 0], str(types))
        box.stop_daemon()
        must(box.equation()["delivered"] == 100, "not all delivered")


def ten_thousand_cancelled_are_accounted_for(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 20)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
        box.load("--messages", 10000, "--domains", 20, "--size", 600,
                 "--campaign", "news")
        must(done(box, "queue", "cancel", "--campaign", "news", "-n")
             == 10000, "-n counts")
        must(status(box)["waiting"] == 10000, "-n changed something")
        listed = op(box, "queue", "list").splitlines()
        must(len(listed) == 1000 and listed[0].count("\t") == 7,
             f"{len(listed)} rows: {listed[:1]}")
        must(done(box, "queue", "cancel", "--campaign", "news") == 10000,
             "cancel")
        box.kill_daemon()          # the decision is durable, its OUTs not yet
        box.start_daemon()
        types = box.wait_final(10000)
        must(types.get("cancelled") == 10000, str(types))
        op(box, "campaign", "resume", "news")
        box.stop_daemon()
        r = box.equation()
        must(r["cancelled"] == 10000 and "delivered" not in r, str(r))


def the_space_of_cancelled_mail_is_used_again(mtaq):
    """Killed as soon as the cancel was answered: its segments are freed by
    the next daemon, and as much mail again needs no new one."""
    many = ["--messages", 4000, "--size", 16384, "--domains", 10]
    with Box(mtaq) as box:
        def used():
            s = status(box)
            return s["segments"] - s["segments_free"]

        box.start_sink("--domains", 10)
        box.configure(checkpoint__interval="1s",
                      checkpoint__age="1s").start_daemon()
        for campaign in "news", "more":
            op(box, "campaign", "pause", campaign)
        box.load(*many, "--campaign", "news")
        before = used()
        must(before >= 8, f"64 MiB lie in {before} segments of 8 MiB")
        op(box, "queue", "cancel", "--campaign", "news")
        box.kill_daemon()
        box.start_daemon()
        types = box.wait_final(4000)
        must(types == {"accepted": 4000, "cancelled": 4000}, str(types))
        box.wait_for(lambda: used() <= 2, 60, "the segments' freeing")
        there = status(box)["segments"]
        box.load(*many, "--campaign", "more", "--tag", "more")
        must(used() >= 8, "the second time they are not used")
        # One or two are made ahead, whenever the store comes to it.
        must(status(box)["segments"] <= there + 2,
             f"{status(box)['segments']} segments, there were {there}")
        op(box, "campaign", "resume", "more")
        box.wait_final(8000)
        box.stop_daemon()
        r = box.equation()
        must(r["cancelled"] == 4000 and r["delivered"] == 4000, str(r))


def cancel_takes_back_what_waits_in_workers(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1, "--mx", 1, "--delay", 300)
        box.configure(site__connections="1", session__messages="5")
        box.start_daemon()
        box.load("--messages", 300, "--domains", 1)
        box.wait_final(1)
        op(box, "queue", "cancel", "--domain", "d0.test")
        types = box.wait_final(300, timeout=30)
        must(types["cancelled"] > 250, str(types))
        box.stop_daemon()
        box.equation()


def messages_by_id(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
        box.load("--messages", 20, "--domains", 10, "--campaign", "news")
        listed = rows(op(box, "queue", "list", "--json"))
        ids = [r["id"] for r in listed]
        must(len(set(ids)) == 20, str(ids))
        text = op(box, "queue", "show", ids[0])
        must(ids[0] in text and "recipients" in text, text)
        shown = rows(op(box, "queue", "show", ids[0], "--json"))
        must([len(shown), shown[0]["recipients"], shown[1]["to"]]
             == [2, 1, listed[0]["to"]], str(shown))
        op(box, "queue", "show", "00000000000000", ok=(65,))
        must(done(box, "queue", "cancel", *ids[:5]) == 5, "cancel")
        box.wait_final(5)
        must(done(box, "queue", "cancel", ids[0], ids[6], ok=(65,)) == 1,
             "what is gone is left out, the rest is done")
        box.wait_final(6)
        must(done(box, "queue", "cancel", "--rcpt", listed[7]["to"]) == 1,
             "--rcpt")
        box.wait_final(7)
        op(box, "campaign", "resume", "news")
        types = box.wait_final(20)
        must(types["cancelled"] == 7 and types["delivered"] == 13, str(types))
        box.stop_daemon()
        box.equation()


def one_of_several_recipients_is_left_out(mtaq):
    """A decision covers a message's recipients in a domain: it is not taken
    for one of them alone."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
        box.load("--messages", 1, "--rcpts", 5, "--domains", 1,
                 "--campaign", "news")
        listed = rows(op(box, "queue", "list", "--json"))
        must(len(listed) == 5, str(listed))
        must(done(box, "queue", "cancel", "--rcpt", listed[0]["to"]) == 0,
             "one of five was cancelled")
        op(box, "campaign", "resume", "news")
        types = box.wait_final(5)
        must(types["delivered"] == 5, str(types))


def retry_makes_deferred_mail_due(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 5, "--fail", "rcpt=4:1")
        box.configure(retry='["1h"]').start_daemon()
        box.load("--messages", 50, "--domains", 5)
        box.wait_for(lambda: by_state(box) == {"deferred": 50}, 60,
                     "50 deferrals")
        must(done(box, "queue", "retry", "--older-than", "1h") == 0, "age")
        must(by_state(box) == {"deferred": 50}, "--older-than did more")
        must(done(box, "queue", "retry", "--all") == 50, "retry")
        # The sink refuses each recipient once; without the retry this would
        # come in an hour.
        types = box.wait_final(50, timeout=60)
        must([types[t] for t in ("delivered", "deferred", "retried")]
             == [50, 50, 50], str(types))
        box.stop_daemon()
        box.equation()


def a_paused_site_gets_nothing(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--mx", 1,
                       listen="127.0.0.2-127.0.0.3")
        box.configure().start_daemon()
        box.load("--messages", 2, "--domains", 2)
        box.wait_final(2)
        sites = rows(op(box, "site", "list", "--json"))
        must(len(sites) == 2 and all(s["state"] != "paused" for s in sites),
             str(sites))
        name = sites[0]["site"]
        must(len(rows(op(box, "site", "pause", name, "-n", "--json"))) == 1,
             "-n")
        op(box, "site", "pause", name)
        must(rows(op(box, "site", "show", name, "--json"))[0]["state"]
             == "paused", "not paused")
        box.load("--messages", 100, "--domains", 2, "--tag", "second")
        box.wait_final(52)
        waiting = by_state(box, "--site", name)
        must(waiting == {"queued": 50}, str(waiting))
        op(box, "site", "resume", name)
        box.wait_final(102)
        for verb in ("resume", "retry", "show"):
            op(box, "site", verb, "no.such.site", ok=(65,))
        box.stop_daemon()
        box.equation()


def a_sites_pause_survives_kill_9(mtaq):
    """Exit 0, kill -9 at once, a start: nothing goes there, all else does."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--mx", 1,
                       listen="127.0.0.2-127.0.0.3")
        box.configure().start_daemon()
        box.load("--messages", 2, "--domains", 2)
        box.wait_final(2)
        op(box, "site", "pause", "mx0.d0.test")
        box.kill_daemon()
        box.start_daemon()
        # Nobody has the site now, and yet it is to be seen as paused.
        for verb, words in (("list", ()), ("show", ("MX0.d0.test",))):
            sites = rows(op(box, "site", verb, *words, "--json"))
            must([(s["site"], s["state"]) for s in sites]
                 == [("mx0.d0.test", "paused")], str(sites))
        must([p["site"] for p in status(box)["pauses_in_force"]]
             == ["mx0.d0.test"], "not in status")
        must("site mx0.d0.test" in op(box, "status"), op(box, "status"))
        box.load("--messages", 100, "--domains", 2, "--tag", "second")
        box.wait_final(52)
        waiting = by_state(box, "--domain", "d0.test")
        must(waiting == {"queued": 50}, str(waiting))
        sites = {s["site"]: s for s in rows(op(box, "site", "list", "--json"))}
        must(sites["mx0.d0.test"]["state"] == "paused"
             and sites["mx0.d0.test"]["limit"] == "operator"
             and sites["mx0.d1.test"]["state"] != "paused", str(sites))
        said = json.loads(op(box, "explain", "d0.test", "--json"))
        must(said["reason"] == "operator"
             and "the site mx0.d0.test" in said["answer"], str(said))
        must("mx0.d0.test" in op(box, "top", "--once", "--json"), "top")
        op(box, "site", "resume", "mx0.d0.test")
        box.kill_daemon()
        box.start_daemon()
        box.wait_final(102)
        must(status(box)["pauses"] == 0, "the pause is still in force")
        box.stop_daemon()
        must(box.equation()["delivered"] == 102, "not all delivered")


def a_pause_waits_for_its_site(mtaq):
    """No mail has ever gone there, in this life or an earlier one."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--mx", 1,
                       listen="127.0.0.2-127.0.0.3")
        box.configure().start_daemon()
        lsn = status(box)["durable_lsn"]
        said = rows(op(box, "site", "pause", "mx0.d1.test", "-n", "--json"))
        must([s["state"] for s in said] == ["idle"], str(said))
        must(status(box)["durable_lsn"] == lsn, "-n wrote to the log")
        said = rows(op(box, "site", "pause", "mx0.D1.test", "--json"))
        must([s["state"] for s in said] == ["paused"], str(said))
        op(box, "site", "pause", "mx0.d1.test")
        must(status(box)["pauses"] == 1, "paused twice")
        box.load("--messages", 20, "--domains", 2)
        box.wait_final(10)
        waiting = by_state(box, "--domain", "d1.test")
        must(waiting == {"queued": 10}, str(waiting))
        op(box, "campaign", "resume", "news")
        must(status(box)["pauses"] == 1, "another word ended it")
        op(box, "site", "resume", "mx0.d1.test")
        box.wait_final(20)
        op(box, "site", "pause", "gone.test")
        said = rows(op(box, "site", "resume", "gone.test", "--json"))
        must([s["state"] for s in said] == ["idle"], str(said))
        op(box, "site", "resume", "gone.test", ok=(65,))
        box.stop_daemon()
        box.equation()


def a_thousand_sites_are_paused_and_no_more(mtaq):
    with Box(mtaq) as box:
        box.configure().start_daemon()
        path = str(box.dir / "run" / "control.sock")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            answers = s.makefile("r")
            for i in range(1001):
                s.sendall(f"site\tverb=pause\tname=mx{i}.test\n".encode())
                line = answers.readline()
                while not line.startswith(("ok", "error")):
                    line = answers.readline()
                must(line.startswith("ok") == (i < 1000), f"{i}: {line}")
            must("nothing has changed" in line, line)
        must(status(box)["pauses"] == 1000, "not a thousand")
        must(len(rows(op(box, "site", "list", "--json"))) == 1000, "list")
        op(box, "site", "pause", "one.more.test", ok=(69,))
        box.kill_daemon()
        box.start_daemon()
        must(status(box)["pauses"] == 1000, "not a thousand any more")
        box.stop_daemon()


def dry_runs_change_nothing(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 5)
        box.configure().start_daemon()
        must(done(box, "campaign", "pause", "news", "-n") == 0, "pause -n")
        op(box, "campaign", "pause", "news")
        box.load("--messages", 10, "--domains", 5, "--campaign", "news")
        lsn = status(box)["durable_lsn"]
        for verb in ("hold", "cancel", "release", "retry"):
            must(done(box, "queue", verb, "--all", "-n") == 10, verb)
            must(done(box, "queue", verb, "--state", "paused", "-n") == 10,
                 verb)
        must(done(box, "campaign", "resume", "news", "-n") == 10, "resume")
        must(status(box)["durable_lsn"] == lsn, "-n wrote to the log")
        must(by_state(box) == {"paused": 10}, str(by_state(box)))


def wrong_words_are_64(mtaq):
    with Box(mtaq) as box:
        box.configure()
        for args in (["queue"], ["queue", "hold"], ["queue", "cancel", "-n"],
                     ["queue", "list", "x"], ["queue", "show"],
                     ["queue", "hold", "--all", "--domain", "x"],
                     ["queue", "hold", "--older-than", "soon"],
                     ["campaign", "pause"], ["campaign", "list", "-n"],
                     ["site", "pause"], ["site", "burn", "x"],
                     ["status", "now"], ["status", "-n"]):
            box.run(*args, "-c", box.conf, ok=(64,))


def without_a_daemon_69_and_what_to_do(mtaq):
    with Box(mtaq) as box:
        box.configure()
        for args in (["status"], ["campaign", "pause", "x"],
                     ["campaign", "list"]):
            out = box.run(*args, "-c", box.conf, ok=(69,))
            must("control.sock" in out.stderr and "mtaq run" in out.stderr,
                 out.stderr)


def status_has_stable_keys(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 1)
        box.configure().start_daemon()
        s = status(box)
        must(STATUS_KEYS <= set(s), str(STATUS_KEYS - set(s)))
        must(s["pid"] == box.daemon.pid, str(s["pid"]))
        text = op(box, "status")
        must("\033" not in text and "event log" in text, text)


TESTS = [a_paused_campaign_waits_and_a_resumed_one_goes,
         a_pause_survives_kill_9,
         a_pause_calls_back_what_workers_hold,
         held_mail_waits_until_released,
         ten_thousand_cancelled_are_accounted_for,
         the_space_of_cancelled_mail_is_used_again,
         cancel_takes_back_what_waits_in_workers,
         messages_by_id,
         one_of_several_recipients_is_left_out,
         retry_makes_deferred_mail_due,
         a_paused_site_gets_nothing,
         a_sites_pause_survives_kill_9,
         a_pause_waits_for_its_site,
         a_thousand_sites_are_paused_and_no_more,
         dry_runs_change_nothing,
         wrong_words_are_64,
         without_a_daemon_69_and_what_to_do,
         status_has_stable_keys]

if __name__ == "__main__":
    main(TESTS)
