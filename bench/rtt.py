"""bench/run.sh rtt: servers that are far away.

One site, five connections, and a sink whose replies leave 10, 50 or 150 ms
after the command came (by its own timers).  The ideal is a message a round
trip: 5 x 1000 / ms a second.  `data` is the daemon as it comes, without
CHUNKING; `plain` without grouping; `chunking` with CHUNKING, 20 ahead.  From the 5th to
the 95th per cent of each; the sessions' beginnings are within it.
"""
from rig import (Lines, Rig, alive, all_there, has_option, must, rate, times_ms,
                 wait_lines)

CONNECTIONS = 5
ROUND_TRIPS = (10, 50, 150)
WAYS = {"plain": {"session.grouping": "off", "smtp.chunking": "off"},
        "data": {"session.grouping": "auto", "smtp.chunking": "off"},
        "chunking": {"session.grouping": "auto", "smtp.chunking": "auto",
                     "smtp.chunks_ahead": 20}}
UNITS = {f"{way}_{ms}ms": "messages/s" for way in WAYS for ms in ROUND_TRIPS}
UNITS |= {f"{way}_{ms}ms_per_ideal": "of a message a round trip"
          for way in WAYS for ms in ROUND_TRIPS}
UNITS |= {f"chunking_per_data_{ms}ms": "of the rate with DATA"
          for ms in ROUND_TRIPS}
WANTED = [("data_50ms_per_ideal", ">=", 0.9),
          ("chunking_per_data_50ms", ">=", 5)]
SMOKE = {"seconds": 0.2, "trips": [10, 50]}
PLOT = {way: [(f"{ms} ms", f"{way}_{ms}ms") for ms in ROUND_TRIPS]
        for way in WAYS}
NOTES = []


def options(p):
    p.add_argument("--seconds", type=float, default=10,
                   help="of each part, at one message a round trip (10)")
    p.add_argument("--trips", type=int, nargs="+", choices=ROUND_TRIPS,
                   metavar="MS", default=ROUND_TRIPS,
                   help="only these round trips")
    p.add_argument("--size", type=int, default=4096)


def one(mtaq, a, ms, changes, count):
    with Rig(mtaq, "mtaq-rtt", a) as box:
        box.start_sink("--domains", 1, "--ledger-ok-only", "--delay", ms)
        box.configure_from("deliver.yaml", grouping="auto", changes={
            "site.connections": CONNECTIONS, **changes}).start_daemon()
        done = box.load("--messages", count, "--size", a.size, "--domains", 1)
        must(done["accepted"] == count, str(done))
        wait_lines(Lines(box.ledger_file), count, 900, alive(box))
        got = rate(times_ms(box.ledger_file))
        s = all_there(box, count)
        # One that has sent QUIT is no session any more, to us.
        must(s["peak_connections"] <= 2 * CONNECTIONS, f"too many: {s}")
        return got


def run(mtaq, a):
    out = {}
    NOTES[:] = [f"{ms} ms: not asked for" for ms in ROUND_TRIPS
                if ms not in a.trips]
    known = {key for changes in WAYS.values() for key in changes
             if has_option(mtaq, key)}
    for way, changes in WAYS.items():
        if way == "chunking" and "smtp.chunking" not in known:
            NOTES.append("chunking: this mtaq has no CHUNKING")
            continue
        changes = {k: v for k, v in changes.items() if k in known}
        for ms in a.trips:
            ideal = CONNECTIONS * 1000 / ms
            count = max(int(ideal * a.seconds), 40)
            if way == "chunking":   # as long, if it is as good as is wanted
                count *= 5
            rate_ = one(mtaq, a, ms, changes, count)
            out[f"{way}_{ms}ms"] = rate_
            out[f"{way}_{ms}ms_per_ideal"] = rate_ / ideal
            if way == "chunking":
                out[f"chunking_per_data_{ms}ms"] = rate_ / out[f"data_{ms}ms"]
    return out
