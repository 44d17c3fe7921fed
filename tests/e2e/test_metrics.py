#!/usr/bin/env python3
"""The metrics of a living daemon, read by Prometheus' own Python client.

test_metrics.py MTAQ [NAME...]
"""
import http.client
import json
import re
import socket
import stat

from prometheus_client.openmetrics.parser import \
    text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families

from harness import ROOT, Box, main, must

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def get(at, method="GET", path="/metrics", accept=None):
    """(status, content type, text)"""
    c = UnixConnection(at) if at.startswith("/") else \
        http.client.HTTPConnection(at, timeout=30)
    c.request(method, path, headers={"Accept": accept} if accept else {})
    r = c.getresponse()
    found = r.status, r.getheader("Content-Type"), r.read().decode()
    c.close()
    return found


class Scrape:
    """All samples of one look: {(name, labels): value}."""

    def __init__(self, at):
        status, kind, text = get(at)
        must((status, kind) == (200, TEXT), f"{status} {kind}")
        self.families = list(text_string_to_metric_families(text))
        self.samples = {}
        for f in self.families:
            must(f.documentation and f.type != "unknown", f"bare: {f.name}")
            for s in f.samples:
                key = s.name, tuple(sorted(s.labels.items()))
                must(key not in self.samples, f"twice: {key}")
                self.samples[key] = s.value

    def __call__(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]

    def sum(self, name, **labels):
        wanted = set(labels.items())
        return sum(v for (n, have), v in self.samples.items()
                   if n == name and wanted <= set(have))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def settled(box, at, wanted):
    """A scrape in which wanted(scrape) holds: gauges are a second old."""
    found = []

    def look():
        found[:] = [Scrape(at)]
        return wanted(found[0])
    box.wait_for(look, 60, "the figures")
    return found[0]


def outcomes_are_those_of_the_event_log(mtaq):
    """A known load with refusals, deferrals and decisions."""
    with Box(mtaq) as box:
        at = str(box.dir / "metrics.sock")
        box.start_sink("--domains", 10, "--fail", "rcpt=4:0.1,rcpt=5:0.05",
                       "--nxdomain", 0.2)
        box.configure(metrics__listen=at, checkpoint__age='"0s"',
                      checkpoint__interval='"1s"').start_daemon()
        must(stat.S_IMODE((box.dir / "metrics.sock").stat().st_mode) == 0o660,
             "the socket is not 0660")
        box.load("--messages", 2000, "--domains", 10, "--rcpts", 2)
        box.load("--messages", 100, "--domains", 10, "--tag", "t",
                 "--class", "transactional")
        box.run("queue", "hold", "--domain", "paused.test", "-c", box.conf)
        box.wait_final(4100)
        box.run("campaign", "pause", "late", "-c", box.conf)
        box.load("--messages", 30, "--domains", 1, "--campaign", "late",
                 "--tag", "late")
        box.run("queue", "cancel", "--campaign", "late", "-c", box.conf)
        types = box.wait_final(4130)
        s = settled(box, at, lambda s: s("mtaq_queue_recipients",
                                         state="waiting") == 0)
        for kind in ("delivered", "deferred", "unsure", "bounced", "expired",
                     "cancelled", "held", "damaged"):
            must(s.sum("mtaq_outcomes_total", outcome=kind)
                 == types.get(kind, 0),
                 f"{kind}: {s.sum('mtaq_outcomes_total', outcome=kind)}, "
                 f"the events say {types}")
        must(types["deferred"] and types["bounced"] and types["cancelled"],
             f"too quiet: {types}")
        must(s.sum("mtaq_recipients_accepted_total") == types["accepted"]
             == 4130, f"accepted: {types}")
        must(s("mtaq_messages_accepted_total", **{"class": "transactional"})
             == 100, "transactional")
        must(s.sum("mtaq_messages_accepted_total") == 2130, "messages")
        must(s.sum("mtaq_deferrals_total") == types["deferred"], "reasons")
        check_histograms(s, types)
        check_sites(s, types)
        sink = box.stop_sink()
        must(s("mtaq_connections_opened_total") == sink["sessions"],
             f"{s('mtaq_connections_opened_total')} connections, the sink "
             f"has seen {sink['sessions']}")
        box.stop_daemon()
        must(box.equation()["delivered"] == types["delivered"], "the ledger")
        must(not (box.dir / "metrics.sock").exists(), "the socket is left")


def check_histograms(s, types):
    must(s("mtaq_delivery_latency_seconds_count") == types["delivered"],
         "latency")
    must(s("mtaq_transaction_seconds_count") == s("mtaq_transactions_total"),
         "transactions")
    must(s("mtaq_connect_seconds_count")
         == s("mtaq_connections_opened_total"), "connects")
    must(s("mtaq_dns_query_seconds_count") == s("mtaq_dns_queries_total") > 0,
         "queries")
    must(s("mtaq_log_sync_seconds_count")
         >= s("mtaq_log_group_records_count") > 0, "groups")
    must(s("mtaq_log_sync_seconds_sum") > 0, "syncs take time")
    must(s("mtaq_log_group_records_sum") >= 4130, "records")
    must(s("mtaq_checkpoint_seconds_count") > 0, "checkpoints")
    for f in s.families:
        if f.type != "histogram":
            continue
        counts = [x.value for x in f.samples if x.name.endswith("_bucket")]
        must(counts == sorted(counts), f"{f.name} falls: {counts}")
        must(counts[-1] == s(f.name + "_count"), f.name)


def check_sites(s, types):
    must(s.sum("mtaq_site_delivered_total") == types["delivered"], "by site")
    must(s.sum("mtaq_site_deferred_total") == types["deferred"], "by site")
    must(s.sum("mtaq_site_connections_opened_total")
         == s("mtaq_connections_opened_total"), "by site")
    must(s("mtaq_site_delivered_total", site="other") == 0,
         "ten sites have room for names")


def sites_visited_once_are_forgotten(mtaq):
    """Domains with hosts of their own, and sessions that last longer than the
    store keeps a domain without mail (120 times session.idle)."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 200, "--delay", 2000)
        at = str(box.dir / "metrics.sock")
        box.configure(metrics__listen=at, session__idle='"20ms"')
        box.start_daemon()
        box.load("--messages", 200, "--domains", 200)

        def known():
            return Scrape(at)("mtaq_sites", state="known")
        box.wait_for(lambda: known() == 200, 60, "all sites")
        box.wait_final(200)
        box.wait_for(lambda: known() == 0, 60, "the end of all sites")
        listed = box.run("site", "list", "--json", "-c", box.conf)
        must(listed.stdout == "", listed.stdout[:500])
        box.stop_daemon()


def names_of_sites_are_bounded(mtaq):
    with Box(mtaq) as box:
        at = f"127.0.0.1:{free_port()}"
        box.start_sink("--domains", 300)
        box.configure(metrics__listen=at, metrics__top_sites=6,
                      workers=2).start_daemon()
        box.load("--messages", 3000, "--domains", 300)
        box.wait_final(3000)
        s = Scrape(at)
        names = {dict(k)["site"] for n, k in s.samples
                 if n == "mtaq_site_delivered_total"}
        must(len(names) <= 7 and "other" in names, str(names))
        must(s.sum("mtaq_site_delivered_total") == 3000, "the sum")
        must(s("mtaq_site_delivered_total", site="other") > 2000, "other")
        box.stop_daemon()


def named_in(text):
    """The families that a text names, without suffixes of samples."""
    return {re.sub(r"_(bucket|sum|count)$", "", n)
            for n in re.findall(r"\b(?:mtaq|process)_[a-z_]+\b", text)}


def what_is_named_elsewhere_exists(mtaq):
    """The dashboard and the manual name what a scrape has; the manual all."""
    board = (ROOT / "conf" / "grafana-mtaq.json").read_text()
    manual = (ROOT / "docs" / "METRICS.md").read_text()
    with Box(mtaq) as box:
        at = str(box.dir / "metrics.sock")
        box.configure(metrics__listen=at).start_daemon()
        there = {f.name + ("_total" if f.type == "counter" else "")
                 for f in Scrape(at).families}
        box.stop_daemon()
    asked = {t["expr"] for p in json.loads(board)["panels"]
             for t in p.get("targets", [])}
    must(len(asked) > 50, f"only {len(asked)} queries")
    used = named_in("\n".join(asked))
    must(used <= there, f"the dashboard asks for {used - there}")
    explained = {n for line in manual.splitlines() if line.startswith("| `")
                 for n in named_in(line.split("|")[1])}
    must(explained == there, f"docs/METRICS.md: {explained ^ there}")


def openmetrics_for_who_asks(mtaq):
    with Box(mtaq) as box:
        at = f"127.0.0.1:{free_port()}"
        box.start_sink("--domains", 3)
        box.configure(metrics__listen=at).start_daemon()
        box.load("--messages", 10, "--domains", 3)
        box.wait_final(10)
        status, kind, text = get(at, accept="application/openmetrics-text; "
                                 "version=1.0.0,text/plain;q=0.5")
        must((status, kind) == (200, OPEN), f"{status} {kind}")
        found = {f.name for f in parse_open(text)}
        must("mtaq_outcomes" in found, str(found))
        plain = {f.name for f in Scrape(at).families}
        must(plain == found, f"{plain ^ found}")
        for method, path, wanted in (("GET", "/", 404), ("POST", "/metrics", 405),
                                     ("HEAD", "/metrics", 200)):
            must(get(at, method, path)[0] == wanted, f"{method} {path}")
        box.stop_daemon()


def refusals_by_reason(mtaq):
    with Box(mtaq) as box:
        at = str(box.dir / "metrics.sock")
        box.start_sink("--domains", 1)
        box.configure(metrics__listen=at,
                      bare_newlines="refuse").start_daemon()
        eml = box.dir / "m.eml"
        eml.write_bytes(b"From: a@b.test\n\nhello\rworld\n")
        box.run("submit", "-c", box.conf, "--from", "a@b.test", "--to",
                "x@d0.test", eml, ok=(65,))
        s = Scrape(at)
        must(s("mtaq_messages_refused_total", reason="content") == 1
             == s.sum("mtaq_messages_refused_total"), str(
                 {k: v for k, v in s.samples.items() if "refused" in k[0]}))
        box.stop_daemon()


def only_this_machine_is_answered(mtaq):
    """78, in words, before anything listens."""
    with Box(mtaq) as box:
        for at in ('"0.0.0.0:9090"', '"192.0.2.1:9090"', '"[::]:9090"'):
            box.configure(metrics__listen=at)
            done = box.run("run", "-c", box.conf, ok=(78,))
            must("loopback" in done.stderr, done.stderr)


def a_taken_address_is_told(mtaq):
    with Box(mtaq) as box, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        box.configure(metrics__listen=f"127.0.0.1:{port}")
        done = box.run("run", "-c", box.conf, ok=(75,))
        must(f"127.0.0.1:{port}" in done.stderr
             and "metrics.listen" in done.stderr, done.stderr)


TESTS = [outcomes_are_those_of_the_event_log, names_of_sites_are_bounded,
         sites_visited_once_are_forgotten,
         what_is_named_elsewhere_exists, openmetrics_for_who_asks, refusals_by_reason,
         only_this_machine_is_answered, a_taken_address_is_told]

if __name__ == "__main__":
    main(TESTS)
