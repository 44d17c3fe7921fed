"""bench/run.sh storm: everybody says "later" at once.

A long queue is due, and each recipient is put off by 451.  Once the queue
library alone, in one thread, with all of it in the index at the end
(bench_storm); once the whole engine with the sink on the same machine, by the
daemon's own count.
"""
import time

import spool
from rig import cpu_s, must, yardstick

UNITS = {
    "library_per_s": "reschedules/s, queue library alone",
    "library_cpu_ms_per_1000": "ms of CPU",
    "engine_per_s": "reschedules/s, whole engine and sink",
    "engine_cpu_ms_per_1000": "ms of the daemon's CPU",
    "engine_rss_mib": "MiB, RssAnon",
}
WANTED = [("library_per_s", ">=", 50000), ("engine_per_s", ">=", 15000)]
SMOKE = {"recipients": 20000, "domains": 200, "sites": 10, "outcomes": 15000}


def options(p):
    spool.options(p)
    p.add_argument("--outcomes", type=int, default=1000000,
                   help="reschedules to be timed; a third for the engine")


def library(mtaq, a, source):
    with spool.Spool(mtaq, "mtaq-storm", a) as box:
        box.copy(source)
        segment = next((box.spool / "log").glob("seg-*")).stat().st_size
        got = yardstick(mtaq, "storm", box.spool, "--outcomes", a.outcomes,
                        "--segment-bytes", segment, timeout=1800)
    return {"library_per_s": got["outcomes_s"],
            "library_cpu_ms_per_1000": got["cpu_s"] * 1e6 / got["outcomes"]}


def engine(mtaq, a, source):
    wanted, rss = a.outcomes // 3, [0.0]
    with spool.Spool(mtaq, "mtaq-storm", a) as box:
        box.copy(source)
        box.start_sink("--fail", "rcpt=4:1", "--stubborn")
        box.configure_from().start_daemon()
        cpu = cpu_s(box.daemon.pid)
        box.campaign("resume")
        begin, end, at = time.monotonic(), time.monotonic() + 900, [(0, 0)]
        while at[-1][1] < wanted:
            now = time.monotonic()
            must(now < end, f"{at[-1][1]} after 900 s")
            at.append((now - begin, spool.status(box)["deferred"]))
            rss.append(spool.memory_mib(box.daemon.pid)["RssAnon"])
            time.sleep(0.1)    # nothing tells
        cpu = cpu_s(box.daemon.pid) - cpu
        box.kill_daemon()
        must(box.stop_sink()["recipients"] == 0, "somebody took mail")
    return {"engine_per_s": at[-1][1] / at[-1][0],
            "engine_cpu_ms_per_1000": cpu * 1e6 / at[-1][1],
            "engine_rss_mib": max(rss)}


def run(mtaq, a):
    source = spool.get(mtaq, a, a.recipients)
    return library(mtaq, a, source) | engine(mtaq, a, source)
