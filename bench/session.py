"""bench/run.sh session: what the SMTP session of src/smtp costs.

bench_limit and bench_session take turns with the same mail over as many
sessions to the same sink: the first knows its octets beforehand, the second
makes and understands them.  There is no queue and no engine.
"""
from rig import Rig, must, yardstick

# Of bench_session; bench_limit takes the same.
TRIPS = {"4": ("--trips", 4), "2": ("--trips", 2), "1": ("--trips", 1),
         "bdat": ("--bdat", 1)}
UNITS = {}
for trips in TRIPS:
    UNITS |= {f"limit_{trips}": "messages/s",
              f"session_{trips}": "messages/s"}
for trips in TRIPS:
    UNITS[f"session_per_limit_{trips}"] = "of the limit's rate"
for trips in TRIPS:
    UNITS[f"session_cpu_{trips}"] = "times the limit's CPU"
WANTED = [("session_per_limit_1", ">=", 0.85)]
SMOKE = {"messages": 5000}
PLOT = {name: [(t, f"{name}_{t}") for t in TRIPS]
        for name in ("limit", "session")}


def options(p):
    p.add_argument("--messages", type=int, default=300000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--sessions", type=int, default=16)


def run(mtaq, a):
    out = {}
    with Rig(mtaq, "mtaq-session", a) as box:
        box.start_sink("--ledger-ok-only", dns=False)
        for trips, how in TRIPS.items():
            got = {name: yardstick(mtaq, name, box.sink_smtp, *how,
                                   "--messages", a.messages, "--size", a.size,
                                   "--sessions", a.sessions)
                   for name in ("limit", "session")}
            for name, one in got.items():
                out[f"{name}_{trips}"] = one["messages_s"]
            limit, session = got["limit"], got["session"]
            out[f"session_per_limit_{trips}"] = \
                session["messages_s"] / limit["messages_s"]
            out[f"session_cpu_{trips}"] = \
                (session["cpu_s"] / session["messages"]) / \
                max(limit["cpu_s"] / limit["messages"], 1e-9)
        sent = box.stop_sink()
        must(sent["messages"] >= 2 * len(TRIPS) * a.messages, f"lost: {sent}")
    return out
