"""bench/run.sh depth: what a long queue costs.

The same is done with a long queue and with a short one: a paused campaign is
let go, and the first --first deliveries are timed by the sink's ledger, from
the `campaign resume` on.  Bodies are shared by 1,000 recipients; --own N adds
N messages of 1 KiB of their own, read from a disk whose pages the kernel has
forgotten (with --spools, runs use that spool up, 3 % in each).  Then, on the
long queue: a look at one domain, and the cancel of another campaign of
--cancel recipients.  Last, --disk messages of 4 KiB for 100 domains, 5 % of
them put off once, into new segments and into used ones: what the disk writes
for them (octets.py), and the event log.
"""
import argparse
import os
import pathlib
import time

import octets
import spool
from rig import must

UNITS = {
    "short_per_s": "messages/s, first ones of a short queue",
    "long_per_s": "messages/s, first ones of the long one",
    "long_per_short": "of the rate",
    "long_first_ms": "ms from resume to the first delivery",
    "tenth_rss_mib": "MiB, RssAnon, a tenth of the long one",
    "long_rss_mib": "MiB, RssAnon",
    "long_rss_per_tenth": "of the memory",
    "long_cpu_per_short": "of the daemon's CPU",
    "own_short_per_s": "messages/s, bodies of their own",
    "own_long_per_s": "messages/s",
    "own_long_per_short": "of the rate",
    "small_cgroup_per_s": "messages/s in a cgroup of 1 GiB",
    "small_cgroup_per_long": "of the rate",
    "list_ms": "ms, queue list --domain",
    "cancel_ms": "ms, cancel answered",
    "cancel_applied_s": "s, all of it cancelled",
    "disk_growing": "octets a message octet, new segments",
    "disk_recycled": "octets a message octet, used segments",
    "disk_events": "octets a message octet, event log",
}
WANTED = [("long_per_short", ">=", 0.9), ("own_long_per_short", ">=", 0.5),
          ("long_rss_mib", "<=", 600), ("long_rss_per_tenth", "<=", 1.1),
          ("small_cgroup_per_long", ">=", 0.8), ("cancel_ms", "<=", 100),
          ("disk_growing", "<=", 2.2), ("disk_recycled", "<=", 1.2)]
SMOKE = {"recipients": 20000, "short": 4000, "first": 3000, "domains": 200,
         "sites": 10, "own": 2000, "cancel": 2000, "disk": 0}
NOTES = []
MISTAKE = "mistake"
CGROUPS = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"]


def options(p):
    spool.options(p)
    p.add_argument("--short", type=int, default=300000,
                   help="recipients of the short queue")
    p.add_argument("--first", type=int, default=300000,
                   help="deliveries to be timed")
    p.add_argument("--own", type=int, default=0,
                   help="recipients with bodies of their own (0: leave out)")
    p.add_argument("--cancel", type=int, default=1000000)
    p.add_argument("--disk", type=int, default=200000)
    p.add_argument("--no-cgroup", action="store_true")
    p.add_argument("--only", choices=["own", "cgroup", "octets"],
                   help="that part alone")


# --- a cgroup ----------------------------------------------------------------

class Small:
    """A memory cgroup of 1 GiB, v1 or v2; page cache counts in it."""

    def __init__(self):
        self.path = None
        for root in map(pathlib.Path, CGROUPS):
            v1 = (root / "memory.limit_in_bytes").exists()
            try:
                path = root / f"mtaq-bench-{os.getpid()}"
                path.mkdir()
                (path / ("memory.limit_in_bytes" if v1 else "memory.max")) \
                    .write_text(str(1 << 30))
                self.path = path
                return
            except OSError:
                if path.exists():
                    path.rmdir()

    def take(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def end(self):
        if self.path:
            self.path.rmdir()


# --- the parts ---------------------------------------------------------------

def let_go(box, a, first):
    begin = time.monotonic()
    box.campaign("resume")
    got = box.first_delivered(first, begin)
    got["per_s"] = first / got["s"]
    return got


def timed(mtaq, a, recipients, then=None, small=None, **kind):
    """Let a copy of that spool go."""
    first = min(a.first, recipients * 3 // 4)
    source = spool.get(mtaq, a, recipients, **kind)
    with spool.Spool(mtaq, "mtaq-depth", a) as box:
        box.copy(source, cold=bool(kind) or small is not None)
        box.start_sink()
        box.configure_from()
        box.start_daemon()
        if small:
            small.take(box.daemon.pid)
        got = let_go(box, a, first)
        if then:
            then(box, a, got)
        box.stop_daemon(timeout=300, kill=small is not None)
        sent = box.stop_sink()
        must(small or sent["recipients"] >= first, f"lost: {sent}")
        return got


def operate(box, a, got):
    """Look and cancel, as an operator would in the middle of it."""
    box.campaign("pause")
    box.campaign("pause", MISTAKE)
    box.fill(a.cancel, campaign=MISTAKE)
    begin = time.monotonic()
    box.run("queue", "list", "--domain", "d7.test", "-c", box.conf)
    got["list_ms"] = 1000 * (time.monotonic() - begin)
    begin = time.monotonic()
    box.run("queue", "cancel", "--campaign", MISTAKE, "-c", box.conf)
    got["cancel_ms"] = 1000 * (time.monotonic() - begin)
    while spool.status(box)["decisions_under_way"] > 0:
        must(time.monotonic() < begin + 600, "the cancel is not applied")
        time.sleep(0.1)
    got["cancel_applied_s"] = time.monotonic() - begin


def used_up(mtaq, a):
    """Let the long one itself go for a while, and stop it again: a copy would
    take longer than all the rest.  Each run takes --first and what was under
    way from it."""
    source = spool.get(mtaq, a, a.own, own=True, size=1024)
    with spool.Spool(mtaq, "mtaq-depth", a) as box:
        box.use(source)
        box.start_sink()
        box.configure_from().start_daemon()
        box.forget()
        left = spool.status(box)["waiting"]
        must(left >= a.own * 0.8, f"{source} has {left} left: remove it")
        got = let_go(box, a, min(a.first, a.own // 2))
        box.campaign("pause")
        box.stop_daemon(timeout=300)
        box.done_with()
        return got


def own(mtaq, a):
    short = timed(mtaq, a, min(a.short, a.own // 2), own=True, size=1024)
    long = used_up(mtaq, a)
    return {"own_short_per_s": short["per_s"], "own_long_per_s": long["per_s"],
            "own_long_per_short": long["per_s"] / short["per_s"]}


def in_a_cgroup(mtaq, a, long_per_s):
    small = Small()
    if not small.path:
        NOTES.append("small_cgroup: no memory cgroup may be made here")
        return {}
    try:
        got = timed(mtaq, a, a.recipients, small=small)
    finally:
        small.end()
    return {"small_cgroup_per_s": got["per_s"],
            "small_cgroup_per_long": got["per_s"] / long_per_s}


def run(mtaq, a):
    NOTES.clear()
    if a.only == "own":
        return own(mtaq, a)
    if a.only == "octets":
        return octets.measure(mtaq, a, NOTES)
    if a.only == "cgroup":
        return in_a_cgroup(mtaq, a, timed(mtaq, a, a.recipients)["per_s"])
    short = timed(mtaq, a, a.short)
    long = timed(mtaq, a, a.recipients, then=operate)
    # Once more: what others do to the machine changes in minutes.
    again = timed(mtaq, a, a.short)
    tenth = timed(mtaq, a, a.recipients // 10)
    per_s = (short["per_s"] + again["per_s"]) / 2
    out = {
        "short_per_s": per_s, "long_per_s": long["per_s"],
        "long_per_short": long["per_s"] / per_s,
        "long_first_ms": 1000 * long["first_s"],
        "tenth_rss_mib": tenth["rss"], "long_rss_mib": long["rss"],
        "long_rss_per_tenth": long["rss"] / tenth["rss"],
        "long_cpu_per_short": 2 * long["cpu_s"] /
        (short["cpu_s"] + again["cpu_s"]),
    }
    out |= {k: long[k] for k in ("list_ms", "cancel_ms", "cancel_applied_s")}
    if a.own:
        out |= own(mtaq, a)
    else:
        NOTES.append("bodies of their own: --own N")
    if not a.no_cgroup:
        out |= in_a_cgroup(mtaq, a, long["per_s"])
    if a.disk:
        return out | octets.measure(mtaq, a, NOTES)
    NOTES.append("disk octets: --disk N")
    return out
