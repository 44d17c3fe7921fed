"""bench/run.sh restart: how long a long queue takes to start.

Mail is waiting, and --log MiB of the log stand behind the last checkpoint:
messages of 4 KiB that came since, for which no name server answered.  Their
daemon is killed; the clock runs from the start of the next one to the first
delivery in the sink's ledger.  The same again with the spool out of the page
cache.
"""
import time

import spool
from rig import must

UNITS = {
    "start_s": "s, to the first delivery",
    "start_cpu_s": "s of the daemon's CPU until then",
    "cold_s": "s, to the first delivery, the page cache empty",
    "log_mib": "MiB behind the last checkpoint",
    "rss_mib": "MiB, RssAnon, then",
}
WANTED = [("start_s", "<=", 2)]
SMOKE = {"recipients": 20000, "domains": 200, "sites": 10, "log": 4}


def options(p):
    spool.options(p)
    p.add_argument("--log", type=int, default=256, metavar="MIB")


def crash(box, a):
    """A daemon that makes no checkpoint, and dies."""
    box.configure_from(changes={
        "checkpoint.interval": "1h", "checkpoint.log_bytes": "4GiB",
        "checkpoint.deltas": 10000000}).start_daemon()
    box.fill(a.log * 1024 // 5, own=True)
    box.campaign("resume")
    bytes_ = spool.status(box)["log_bytes"]
    box.kill_daemon()
    return bytes_ / (1 << 20)


def start(box, cold):
    box.start_sink()
    box.configure_from()
    if cold:
        box.forget()
    begin = time.monotonic()
    box.start_daemon()
    got = box.first_delivered(1, begin)
    cpu = spool.cpu_s(box.daemon.pid)
    rss = spool.memory_mib(box.daemon.pid)["RssAnon"]
    box.kill_daemon()
    box.stop_sink()
    return got["first_s"], cpu, rss


def run(mtaq, a):
    out = {}
    source = spool.get(mtaq, a, a.recipients)
    for name, cold in ("cold_s", True), ("start_s", False):
        with spool.Spool(mtaq, "mtaq-restart", a) as box:
            box.copy(source)
            out["log_mib"] = crash(box, a)
            must(out["log_mib"] >= a.log * 0.8, f"only {out['log_mib']} MiB")
            out[name], out["start_cpu_s"], out["rss_mib"] = start(box, cold)
    return out
