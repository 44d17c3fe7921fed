"""bench/run.sh parked: live mail beside a site that stands still.

--recipients live ones in --domains of --sites, and before them in the queue
--parked for one site.  The live ones' first --first deliveries are timed by
the sink's ledger: alone; beside a site that is dead (nothing listens at its
only address); and beside one that an operator has paused.
"""
import json
import time

import spool
from rig import must

KINDS = ("dead", "paused")
UNITS = {"alone_per_s": "messages/s, without the parked ones",
         "alone_rss_mib": "MiB, RssAnon"} | {
    f"{kind}_{name}": unit.format(kind) for kind in KINDS
    for name, unit in (("per_s", "messages/s, beside a {} site"),
                       ("per_alone", "of the rate"),
                       ("cpu_per_alone", "of the daemon's CPU"),
                       ("rss_mib", "MiB, RssAnon"))}
WANTED = [(f"{kind}_per_alone", ">=", 0.9) for kind in KINDS] + \
    [(f"{kind}_rss_mib", "<=", 600) for kind in KINDS]
SMOKE = {"recipients": 20000, "domains": 200, "sites": 10, "first": 15000,
         "parked": 20000}
NOWHERE = "127.0.2.1:2525"


def options(p):
    spool.options(p)
    p.set_defaults(recipients=600000)
    p.add_argument("--parked", type=int, default=5000000)
    p.add_argument("--first", type=int, default=300000,
                   help="deliveries to be timed")


def routes():
    """All parked domains lead to one address, where nothing listens."""
    names = (f'd{i}.{spool.PARKED_ZONE}: "{NOWHERE}"'
             for i in range(spool.PARKED_DOMAINS))
    return "{ " + ", ".join(names) + " }"


def site(box):
    out = box.run("site", "list", "--json", "-c", box.conf).stdout
    return [s for s in map(json.loads, out.splitlines())
            if s["site"] == NOWHERE.split(":")[0]]


def park(box, kind):
    """The parked mail is let go, as far as it goes."""
    end = time.monotonic() + 120
    box.campaign("resume", spool.PARKED)
    while not (there := site(box)):
        must(time.monotonic() < end, "the parked site does not come up")
        time.sleep(0.1)
    must(len(there) == 1, f"not one site: {there}")
    if kind == "paused":
        box.run("site", "pause", there[0]["site"], "-c", box.conf)
    while site(box)[0]["state"] != kind:
        must(time.monotonic() < end, f"the site is not {kind}: {site(box)}")
        time.sleep(0.1)
    # What one look finds due is loaded; the next comes when some is through.
    time.sleep(2)


def timed(mtaq, a, kind=None):
    source = spool.get(mtaq, a, a.recipients,
                       parked=a.parked if kind else 0)
    first = min(a.first, a.recipients * 3 // 4)
    with spool.Spool(mtaq, "mtaq-parked", a) as box:
        box.copy(source)
        box.start_sink()
        box.configure_from(changes={"routes": routes()}).start_daemon()
        if kind:
            park(box, kind)
        begin = time.monotonic()
        box.campaign("resume")
        got = box.first_delivered(first, begin)
        left = spool.status(box)["waiting"]
        must(not kind or left >= a.parked, f"only {left} are parked")
        box.stop_daemon(timeout=300)
        got["per_s"] = first / got["s"]
        return got


def run(mtaq, a):
    alone = timed(mtaq, a)
    beside = {kind: timed(mtaq, a, kind) for kind in KINDS}
    again = timed(mtaq, a)    # what others do changes in minutes
    per_s = (alone["per_s"] + again["per_s"]) / 2
    cpu_s = (alone["cpu_s"] + again["cpu_s"]) / 2
    out = {"alone_per_s": per_s, "alone_rss_mib": alone["rss"]}
    for kind, got in beside.items():
        out |= {f"{kind}_per_s": got["per_s"],
                f"{kind}_per_alone": got["per_s"] / per_s,
                f"{kind}_cpu_per_alone": got["cpu_s"] / cpu_s,
                f"{kind}_rss_mib": got["rss"]}
    return out
