"""bench/run.sh queues: millions of queues.

--recipients in so many --domains that each has two of them, of a paused
campaign: a queue each.  The daemon is started with an empty page cache; then
an operator looks, each time at another place: `queue list`, `queue list
--domain`, `queue show`, `explain`.  Then the campaign is let go: the first
--first deliveries are timed by the sink's ledger, and he looks again in the
midst of them.  A time is that of the whole command, the median of --looks.
"""
import json
import statistics
import time

import spool
from rig import Lines, cpu_s, memory_mib, must

LOOKS = {"list": "queue list", "domain": "queue list --domain",
         "show": "queue show ID", "explain": "explain DOMAIN"}
UNITS = {
    "ready_s": "s, to ready, the page cache empty",
    "queues_first_ms": "ms from resume to the first delivery",
    "queues_per_s": "messages/s, the first ones",
    "queues_cpu_ms_per_1000": "ms of the daemon's CPU",
    "queues_rss_mib": "MiB, RssAnon",
} | {f"{when}_{name}_ms": f"ms, {what}{words}"
     for when, words in (("idle", ""), ("busy", ", while it delivers"))
     for name, what in LOOKS.items()}
WANTED = [("queues_rss_mib", "<=", 600)] + \
    [(f"{when}_{name}_ms", "<=", 100)
     for when in ("idle", "busy") for name in LOOKS]
SMOKE = {"recipients": 20000, "domains": 10000, "sites": 10, "first": 4000,
         "looks": 3, "delay": 20}


def options(p):
    spool.options(p)
    p.set_defaults(domains=5000000)
    p.add_argument("--first", type=int, default=300000,
                   help="deliveries to be timed")
    p.add_argument("--looks", type=int, default=9)
    p.add_argument("--delay", type=int, default=0, help="ms before each of "
                   "the sink's replies; few messages last a while so")


# --- an operator -------------------------------------------------------------

def ms(box, *words):
    begin = time.monotonic()
    out = box.run(*words, "-c", box.conf)
    return 1000 * (time.monotonic() - begin), out.stdout


def look(box, a, when):
    """Domains from all over the queue, its end first: nobody has been there."""
    took = {name: [] for name in LOOKS}
    for i in range(a.looks):
        domain = f"d{(a.domains - 1 - i * 7919) % a.domains}.test"
        took["list"].append(ms(box, "queue", "list")[0])
        t, rows = ms(box, "queue", "list", "--json", "--domain", domain)
        took["domain"].append(t)
        rows = [json.loads(line) for line in rows.splitlines()]
        must(when == "busy" or len(rows) == 2, f"{domain} has {rows}")
        must(all(r["domain"] == domain for r in rows), f"not its own: {rows}")
        if rows:
            took["show"].append(ms(box, "queue", "show", rows[0]["id"])[0])
        took["explain"].append(ms(box, "explain", domain)[0])
    return {f"{when}_{k}_ms": statistics.median(v)
            for k, v in took.items() if v}


# --- the run -----------------------------------------------------------------

def deliver(box, a):
    """As Spool.first_delivered(), and look in the midst of it."""
    lines, looked = Lines(box.ledger_file), {}
    rss = memory_mib(box.daemon.pid)["RssAnon"]
    cpu, begin = cpu_s(box.daemon.pid), time.monotonic()
    box.campaign("resume")
    while lines.read() < a.first:
        must(time.monotonic() < begin + 900, f"{lines.count} after 900 s")
        rss = max(rss, memory_mib(box.daemon.pid)["RssAnon"])
        if not looked and lines.count > 0:
            looked = look(box, a, "busy")
        time.sleep(0.05)    # a file has no event to wait for
    looked = looked or look(box, a, "busy")     # a short one is over by now
    cpu = cpu_s(box.daemon.pid) - cpu
    at = sorted(int(line.split(b"\t", 1)[0]) / 1000
                for line in box.ledger_file.read_bytes().splitlines())
    return looked | {
        "queues_first_ms": 1000 * (at[0] - begin),
        "queues_per_s": a.first / (at[a.first - 1] - begin),
        "queues_cpu_ms_per_1000": cpu * 1e6 / len(at),
        "queues_rss_mib": rss,
    }


def run(mtaq, a):
    source = spool.get(mtaq, a, a.recipients)
    with spool.Spool(mtaq, "mtaq-queues", a) as box:
        box.copy(source, cold=True)
        box.start_sink("--delay", a.delay)
        box.configure_from()
        begin = time.monotonic()
        box.start_daemon()
        out = {"ready_s": time.monotonic() - begin}
        out |= look(box, a, "idle")
        out |= deliver(box, a)
        box.stop_daemon(timeout=300)
        return out
