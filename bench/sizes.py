"""bench/run.sh sizes: from small to large messages.

For 1, 4, 20, 100 KiB and 1 MiB: submitted by four connections and delivered
at the same time, as in e2e; so many of each that about --mib go through.
"""
from rig import Rig, all_there, rate, times_ms
from e2e import flow

SIZES = {"1k": 1 << 10, "4k": 4 << 10, "20k": 20 << 10, "100k": 100 << 10,
         "1m": 1 << 20}
UNITS = {f"messages_{n}": "messages/s" for n in SIZES}
UNITS |= {f"mib_{n}": "MiB/s" for n in SIZES}
SMOKE = {"mib": 2, "messages": 300}
PLOT = {"MiB/s": [(n, f"mib_{n}") for n in SIZES]}
DOMAINS = 50


def options(p):
    p.add_argument("--mib", type=int, default=400, help="of each size (400)")
    p.add_argument("--messages", type=int, default=100000,
                   help="at most, of each size (100000)")


def one(mtaq, a, size):
    n = max(min((a.mib << 20) // size, a.messages), 20)
    with Rig(mtaq, "mtaq-sizes", a) as box:
        box.start_sink("--domains", DOMAINS, "--ledger-ok-only",
                       listen=f"127.0.1.1-127.0.1.{DOMAINS}")
        box.configure_from("deliver.yaml", grouping="auto").start_daemon()
        flow(box, n, "--size", size, "--domains", DOMAINS, "--clients", 4)
        got = rate(times_ms(box.ledger_file))
        all_there(box, n)
        return got


def run(mtaq, a):
    out = {}
    for name, size in SIZES.items():
        out[f"messages_{name}"] = one(mtaq, a, size)
        out[f"mib_{name}"] = out[f"messages_{name}"] * size / (1 << 20)
    return out
