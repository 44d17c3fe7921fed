"""bench/run.sh connections: many sessions open at once.

18,000 sessions in one process to 100 sites (100,000 where RLIMIT_NOFILE
allows; it says so when not): a message for each is let go at once, the sites
connect at --per-second each, the sink's replies leave 8 s late so that none is
free for a second message, and then all stay idle.  Memory is the slope
between a tenth of them and all: sites and messages are the same in both, so
what differs are the sessions.  It is the daemon's own (anonymous) memory,
once when all are open and wait for a greeting, and once when all are idle
again: then with what so many transactions at once have left.
"""
import os
import resource
import time

from rig import (Lines, Rig, alive, all_there, memory_mib, must, wait_lines)

SPARE = 700         # descriptors for all else
UNITS = {
    "connections": "idle sessions at once",
    "connects_per_s": "connects/s, until nine in ten were open",
    "bytes_per_connection": "octets of the daemon's own memory each",
    "bytes_after_mail": "octets each, all have carried mail at once",
    "sink_bytes_per_connection": "octets of the sink's own memory each",
    "all_idle_s": "s from letting go to the last delivery",
    "rss_anon_mib": "MiB",
}
WANTED = [("bytes_per_connection", "<=", 1536)]
SMOKE = {"connections": 200, "delay": 300, "per_second": 100, "sites": 4}
PLOT = {"octets": [("mtaq", "bytes_per_connection"),
                   ("sink", "sink_bytes_per_connection")]}
NOTES = []


def options(p):
    p.add_argument("--connections", type=int, default=100000)
    p.add_argument("--sites", type=int, default=100)
    p.add_argument("--per-second", type=int, default=50,
                   help="connects of one site (50)")
    p.add_argument("--delay", type=int, default=8000, metavar="MS",
                   help="of each of the sink's replies (8000)")


def descriptors():
    """As many as this process and its children may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_of(process):
    """Its sockets, near enough: few of its descriptors are anything else."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))


class Watch:
    """Until so many are open: how fast they came, and what they cost."""

    def __init__(self, box, wanted):
        self.box, self.wanted = box, wanted
        self.begin, self.first = time.monotonic(), connections_of(box.sink)
        self.rate = self.rss = None

    def look(self):
        n = connections_of(self.box.sink) - self.first
        if self.rate is None and n >= self.wanted * 0.9:
            self.rate = n / (time.monotonic() - self.begin)
        if self.rss is None and n >= self.wanted:
            self.rss = memory_mib(self.box.daemon.pid)["RssAnon"]
        must(self.box.daemon.poll() is None, "the daemon has ended")


def open_all(mtaq, a, count, delay, messages):
    """So many sessions, each idle: the figures of that moment."""
    with Rig(mtaq, "mtaq-connections", a) as box:
        box.start_sink("--domains", a.sites, "--ledger-ok-only", "--delay",
                       delay, listen=f"127.0.5.1-127.0.5.{a.sites}")
        per_site = count // a.sites
        box.configure_from("deliver.yaml", grouping="auto", changes={
            "site.connections": per_site, "session.idle": "5m",
            "limits.connections": count + 100,
            # Each worker has its share of the sessions; the sites are not
            # shared out so evenly that 18,000 fit beside RLIMIT_NOFILE.
            "workers": 1,
            "site.connects_per_second": a.per_second})
        box.start_daemon()
        box.run("campaign", "pause", "news", "-c", box.conf)
        done = box.load("--messages", messages, "--size", 1024, "--domains",
                        a.sites, "--campaign", "news", "--clients", 4,
                        "--class", "transactional")
        must(done["accepted"] == messages, str(done))
        watch = Watch(box, per_site * a.sites)
        box.run("campaign", "resume", "news", "-c", box.conf)
        begin = time.monotonic()
        wait_lines(Lines(box.ledger_file), messages, 600, watch.look)
        took = time.monotonic() - begin
        box.wait_final(messages)        # the last replies have come too
        open_now = connections_of(box.daemon)
        must(watch.rss is not None, f"{count} were never open at once")
        out = {"rss": watch.rss,
               "rss_after": memory_mib(box.daemon.pid)["RssAnon"],
               "sink_rss": memory_mib(box.sink.pid)["RssAnon"],
               "rate": watch.rate, "took": took}
        s = all_there(box, messages)
        must(s["peak_connections"] >= count * 0.95 and
             open_now >= count * 0.95, f"only {s['peak_connections']} of "
             f"{count} were open at once, {open_now} at the end")
        return out | {"peak": s["peak_connections"]}


def run(mtaq, a):
    room = descriptors() - SPARE
    NOTES[:] = []
    if a.connections > room:
        NOTES.append(f"{a.connections:,} connections: skipped, RLIMIT_NOFILE "
                     f"is {room + SPARE:,}")
    count = min(a.connections, room // 1000 * 1000 if room > 1000 else room)
    count = min(count, 18000) if a.connections > room else count
    few = open_all(mtaq, a, count // 10, a.delay // 10, count)
    many = open_all(mtaq, a, count, a.delay, count)

    def slope(key):
        return (many[key] - few[key]) * (1 << 20) / (many["peak"] -
                                                     few["peak"])
    return {
        "connections": many["peak"],
        "connects_per_s": many["rate"],
        "bytes_per_connection": slope("rss"),
        "bytes_after_mail": slope("rss_after"),
        "sink_bytes_per_connection": slope("sink_rss"),
        "all_idle_s": many["took"],
        "rss_anon_mib": many["rss_after"],
    }
