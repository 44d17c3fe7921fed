#!/usr/bin/env python3
"""The operator's commands against a living daemon.

test_admin.py MTAQ [NAME...]
"""
import json

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
    "damaged", "damage", "pauses_in_force",
}


def a_paused_campaign_waits_and_a_resumed_one_goes(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure().start_daemon()
        op(box, "campaign", "pause", "news")
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
         without_a_daemon_69_and_what_to_do,
         status_has_stable_keys]

if __name__ == "__main__":
    main(TESTS)
