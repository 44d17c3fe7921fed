#!/usr/bin/env python3
"""The engine with real processes: daemon, sink, DNS, load, ledger.

test_engine.py MTAQ [NAME...]
"""
import json
import os
import pathlib
import pwd
import sys

from harness import Box, main, must


def first_message_by_a_route(mtaq):
    """routes: a domain to host:port, no DNS at all."""
    with Box(mtaq) as box:
        box.start_sink(dns=False)
        box.configure(routes={'"*"': f'"{box.sink_smtp}"'}).start_daemon()
        box.load("--messages", 1)
        box.wait_final(1)
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 1, str(r))


def a_route_by_name_goes_where_that_name_leads(mtaq):
    """routes: with a host name: its MX or address, on the route's port."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2)
        port = box.sink_smtp.rpartition(":")[2]
        box.configure(smtp__port="9",
                      routes={"elsewhere.example": f'"d1.test:{port}"'})
        box.start_daemon()
        eml = box.dir / "m.eml"
        eml.write_text("From: a@b.test\n\nhello\n")
        box.run("submit", "-c", box.conf, "--from", "a@b.test",
                "--to", "x@elsewhere.example", eml)
        box.wait_final(1)
        box.stop_daemon()
        must("x@elsewhere.example" in box.ledger_file.read_text(),
             "the sink has not seen it")


def started_as_root_it_becomes_its_user(mtaq):
    if os.geteuid() != 0:
        return "skipped: not root"
    with Box(mtaq) as box:
        os.chmod(box.dir, 0o755)
        box.start_sink(dns=False)
        box.configure(user="nobody", log__events=f"{box.dir}/log/e.jsonl",
                      routes={'"*"': f'"{box.sink_smtp}"'})
        box.events = box.dir / "log" / "e.jsonl"
        box.start_daemon()
        status = pathlib.Path(f"/proc/{box.daemon.pid}/status").read_text()
        uid = pwd.getpwnam("nobody").pw_uid
        must(f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status, status)
        box.load("--messages", 10)
        box.wait_final(10)
        box.stop_daemon()
        must(box.equation()["delivered"] == 10, "not all delivered")


def thousand_messages_by_dns(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 100, "--mx", 3, listen="127.0.0.2-127.0.0.20")
        box.configure().start_daemon()
        box.load("--messages", 1000, "--dots")
        box.wait_final(1000)
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 1000 and r["extra"] == 0, str(r))


def large_messages_arrive_whole(mtaq):
    """Over 1 MiB: in parts; accepted once, with the last part."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 3)
        box.configure(queue__segment_bytes="64MiB").start_daemon()
        box.load("--messages", 6, "--size", 5 << 20, "--domains", 3)
        types = box.wait_final(6)
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 6 and types["accepted"] == 6, str(r))


def more_mail_than_fits_in_memory_is_refilled(mtaq):
    """1,000 tasks in memory, 20,000 queued: the rest waits in the index."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--delay", 1, "--fail", "rcpt=4:0.05")
        box.configure(limits__tasks="1000", limits__queue_tasks="200",
                      checkpoint__interval="1s", checkpoint__age="0s",
                      retry='["1s"]', greylist="1s", mailbox_full="1s",
                      dns__servers='["127.0.0.1:9"]', dns__timeout="100ms")
        box.start_daemon()
        box.load("--messages", 20000, "--domains", 10, "--size", 1000)
        box.kill_daemon()
        box.configure(limits__tasks="1000", limits__queue_tasks="200",
                      checkpoint__interval="1s", checkpoint__age="0s",
                      site__connects_per_second="1000",
                      retry='["1s"]', greylist="1s", mailbox_full="1s")
        box.start_daemon()
        box.wait_final(20000)
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 20000 and r["extra"] == 0, str(r))


def domains_without_mail_are_forgotten(mtaq):
    """Memory follows the mail of 120 session.idle, not all names ever seen;
    a forgotten domain is found again."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 40)
        box.configure(session__idle="50ms").start_daemon()

        def status(key):
            return json.loads(box.run("status", "--json", "-c",
                                      box.conf).stdout)[key]
        box.load("--messages", 400, "--domains", 50)   # 10 do not exist
        box.wait_final(400)
        must(status("bounced") == 80, "bounces by a local rule are counted")
        box.wait_for(lambda: status("domains") == 50, 30, "a count")
        box.wait_for(lambda: status("domains") == 0, 30, "forgetting")
        box.load("--messages", 400, "--domains", 50, "--start", 400)
        box.wait_final(800)
        box.stop_daemon()
        must(box.equation()["delivered"] == 640, "not all delivered")


def eight_bit_content_and_a_seven_bit_server(mtaq):
    """eightbit: send gives the octets unchanged; bounce says 5.6.3."""
    for how, kind in (("send", "delivered"), ("bounce", "bounced")):
        with Box(mtaq) as box:
            box.start_sink("--domains", 1, "--no-8bitmime")
            box.configure(eightbit=how).start_daemon()
            eml = box.dir / "m.eml"
            eml.write_bytes("From: a@b.test\n\ngr\u00fc\u00dfe\n".encode())
            box.run("submit", "-c", box.conf, "--from", "a@b.test",
                    "--to", "x@d0.test", eml)
            types = box.wait_final(1)
            must(types.get(kind) == 1, str(types))
            line = [l for l in box.events.read_text().splitlines()
                    if f'"type":"{kind}"' in l][0]
            must(how == "send" or json.loads(line)["enhanced"] == "5.6.3",
                 line)


def pausing_and_resuming_doubles_nothing(mtaq):
    """Tasks are called back from workers while some of their recipients have
    been delivered: what is given again is only the rest."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--rcpt-max", 3, "--delay", 1)
        box.configure(site__connects_per_second="1000").start_daemon()
        box.load("--messages", 150, "--rcpts", 12, "--domains", 10,
                 "--campaign", "c", "--size", 2000)
        for _ in range(20):
            box.run("campaign", "pause", "-c", box.conf, "c")
            box.run("campaign", "resume", "-c", box.conf, "c")
        box.wait_final(1800)
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 1800 and r["extra"] == 0, str(r))


def rule_32_a_dead_site_is_parked_as_one_record(mtaq):
    """No attempt is charged, nothing is written; it is said once."""
    with Box(mtaq) as box:
        box.start_sink(dns=False)
        port = box.sink_smtp.rpartition(":")[2]
        box.stop_sink()
        box.configure(routes={'"*"': f'"127.0.0.1:{port}"'},
                      host__bad_first="1s", host__bad_max="1s")
        box.start_daemon()
        box.load("--messages", 500, "--domains", 5)
        box.wait_for(lambda: box.said("is parked"), 20, "the parking")
        box.start_sink("--port", port, dns=False)
        types = box.wait_final(500)
        must("deferred" not in types, str(types))
        box.wait_for(lambda: box.said("answers again"), 60, "the return")
        box.stop_daemon()
        must(box.daemon_log.read_text().count("is parked") == 1,
             box.daemon_log.read_text())
        must(box.equation()["delivered"] == 500, "not all delivered")


def rcpts_of_one_domain_share_a_transaction(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 5)
        box.configure().start_daemon()
        box.load("--messages", 20, "--rcpts", 50, "--domains", 5)
        box.wait_final(1000)
        box.stop_daemon()
        box.equation()
        s = box.stop_sink()
        must(s["transactions"] == 20, json.dumps(s))


def first_mx_dead_second_takes_it_in_the_same_attempt(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 20, "--mx", 2, "--dead-first", 1,
                       listen="127.0.0.2-127.0.0.9")
        box.configure().start_daemon()
        box.load("--messages", 200, "--domains", 20)
        types = box.wait_final(200)
        box.stop_daemon()
        must("deferred" not in types, str(types))
        must(box.equation()["delivered"] == 200, "not all delivered")


def refusals_bounce_and_deferrals_come_again(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 50, "--fail",
                       "rcpt=4:0.1,rcpt=5:0.1,eod=4:0.05,mail=4:0.02")
        box.configure(retry='["1s"]', greylist="1s",
                      mailbox_full="1s").start_daemon()
        box.load("--messages", 2000, "--domains", 50)
        types = box.wait_final(2000)
        box.stop_daemon()
        r = box.equation()
        must(r["bounced"] > 100 and types["deferred"] > 100, str(r))
        must(r["extra"] == 0, str(r))


def refused_and_accepted_in_one_transaction(mtaq):
    """Verdicts come out of order then: a refused RCPT before the dot."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--fail", "rcpt=4:0.2,rcpt=5:0.2")
        box.configure(retry='["1s"]', greylist="1s",
                      mailbox_full="1s").start_daemon()
        box.load("--messages", 100, "--rcpts", 20, "--domains", 10)
        types = box.wait_final(2000)
        box.stop_daemon()
        r = box.equation()
        must(r["bounced"] > 100 and types["deferred"] > 100, str(r))


def many_recipients_by_few_at_a_time(mtaq):
    """452 to what is over the server's limit: in the next transaction."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--rcpt-max", 7)
        box.configure().start_daemon()
        box.load("--messages", 4, "--rcpts", 200, "--domains", 2)
        types = box.wait_final(800, timeout=60)
        box.stop_daemon()
        r = box.equation()
        must(r["extra"] == 0 and "deferred" not in types, str(r))


def names_that_lead_nowhere_bounce_by_their_rule(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 40, "--nxdomain", 0.3, "--null-mx", 0.3)
        box.configure().start_daemon()
        box.load("--messages", 400, "--domains", 40)
        types = box.wait_final(400)
        box.stop_daemon()
        r = box.equation()
        must(types["bounced"] > 50, str(r))


def mail_of_a_dead_site_expires(mtaq):
    """The age limit ends it while no attempt can be made."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 2, "--dead-first", 1)
        box.configure(age_limit="2s", host__bad_first="10s",
                      host__bad_max="1m").start_daemon()
        box.load("--messages", 100, "--domains", 2)
        types = box.wait_final(100, timeout=30)
        box.stop_daemon()
        must(box.equation()["expired"] == 100, str(types))


def one_slow_mx_does_not_slow_the_others(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10, "--delay-at", "127.0.0.2=15000",
                       listen="127.0.0.2-127.0.0.11")
        box.configure(stop_grace="1s").start_daemon()
        box.load("--messages", 1000, "--domains", 10)
        # 900 of the 1000 are not behind the slow one: they must be through
        # before it has answered its first dot (4 replies of 15 s).
        box.wait_final(900, timeout=45)


def more_sites_than_connections(mtaq):
    """Sites that find every connection in use get the next free one."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 40, listen="127.0.0.2-127.0.0.41")
        box.configure(limits__connections=4, session__idle="5m",
                      workers=2).start_daemon()
        box.load("--messages", 2000, "--domains", 40)
        box.wait_final(2000, timeout=60)
        box.stop_daemon()
        box.equation()


def sessions_carry_many_messages(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 4)
        box.configure(session__messages="100").start_daemon()
        box.load("--messages", 4000, "--domains", 4)
        box.wait_final(4000)
        box.stop_daemon()
        s = box.stop_sink()
        must(s["sessions"] <= 4000 / 50, json.dumps(s))


def a_restart_delivers_what_was_queued(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        box.configure(dns__servers='["127.0.0.1:9"]', dns__timeout="100ms")
        box.start_daemon()
        box.load("--messages", 500, "--domains", 10)
        box.stop_daemon()
        box.configure().start_daemon()
        box.wait_final(500)
        box.stop_daemon()
        must(box.equation()["delivered"] == 500, "not all delivered")


def a_full_drop_folder_goes_in_one_go(mtaq):
    """Eight files at once are read; the others wait for these, not for the
    next look into the folder."""
    with Box(mtaq) as box:
        box.start_sink(dns=False)
        box.configure(routes={'"*"': f'"{box.sink_smtp}"'}).start_daemon()
        box.stop_daemon()
        for i in range(80):
            box.run("submit", "-c", box.conf, "-t", f"r{i}@x.test",
                    input="From: a@b.test\n\nhello\n")
        box.start_daemon()
        box.wait_final(80, 40)


TESTS = [first_message_by_a_route, started_as_root_it_becomes_its_user,
         a_route_by_name_goes_where_that_name_leads, thousand_messages_by_dns,
         large_messages_arrive_whole,
         more_mail_than_fits_in_memory_is_refilled,
         domains_without_mail_are_forgotten,
         eight_bit_content_and_a_seven_bit_server,
         pausing_and_resuming_doubles_nothing,
         rule_32_a_dead_site_is_parked_as_one_record,
         rcpts_of_one_domain_share_a_transaction,
         first_mx_dead_second_takes_it_in_the_same_attempt,
         refusals_bounce_and_deferrals_come_again,
         refused_and_accepted_in_one_transaction,
         many_recipients_by_few_at_a_time,
         names_that_lead_nowhere_bounce_by_their_rule,
         mail_of_a_dead_site_expires,
         one_slow_mx_does_not_slow_the_others,
         more_sites_than_connections,
         sessions_carry_many_messages,
         a_full_drop_folder_goes_in_one_go,
         a_restart_delivers_what_was_queued]

if __name__ == "__main__":
    main(TESTS)
