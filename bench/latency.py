"""bench/run.sh latency: from handing over a message to its delivery.

100 messages a second, one at a time, over 10 domains whose sessions stay
open: the time from the begin of the submission to the final dot at the sink
(its ledger in microseconds).  Beside it, at the same pace and in the same
run: one append and fdatasync (bench_wal), and one transaction over an open
session (bench_limit, 2 round trips).  Both together are the least that a
message can take.
"""
import pathlib

from rig import Lines, Rig, alive, all_there, must, wait_lines, yardstick
from wal import RECORD

UNITS = {
    "delivered_p50_us": "us from submission to delivery",
    "delivered_p99_us": "us from submission to delivery",
    "accepted_p50_us": "us from submission to acknowledgement",
    "accepted_p99_us": "us from submission to acknowledgement",
    "sync_p50_us": "us, bare", "sync_p99_us": "us, bare",
    "transaction_p50_us": "us, bare", "transaction_p99_us": "us, bare",
    "p50_per_bare": "of one sync and one transaction (p50)",
    "p99_per_bare": "of one sync and one transaction (p50)",
    "p99_per_bare_p99": "of the p99 of one sync and one transaction",
}
WANTED = [("p50_per_bare", "<=", 4), ("p99_per_bare", "<=", 15)]
SMOKE = {"messages": 100}
PLOT = {"mtaq": [("p50", "delivered_p50_us"), ("p99", "delivered_p99_us")],
        "sync": [("p50", "sync_p50_us"), ("p99", "sync_p99_us")],
        "transaction": [("p50", "transaction_p50_us"),
                        ("p99", "transaction_p99_us")]}
DOMAINS = 10


def options(p):
    p.add_argument("--messages", type=int, default=2000)
    p.add_argument("--rate", type=int, default=100, help="a second (100)")
    p.add_argument("--size", type=int, default=4096)


def share(values, percent):
    return values[min(len(values) * percent // 100, len(values) - 1)]


def read_times(path):
    """{token: (begun, acknowledged)}"""
    rows = (line.split("\t") for line in
            pathlib.Path(path).read_text(encoding="ascii").splitlines())
    return {token: (int(begun), int(done)) for token, begun, done in rows}


def delivered(path, times):
    rows = (line.split("\t") for line in
            pathlib.Path(path).read_text(encoding="ascii").splitlines())
    return sorted(int(col[0]) - times[col[2]][0] for col in rows
                  if col[2] in times)


def bare(mtaq, box, a):
    wal = yardstick(mtaq, "wal", box.dir / "wal", "--messages", a.messages,
                    "--size", a.size + RECORD, "--group", 1, "--rate", a.rate)
    one = yardstick(mtaq, "limit", box.sink_smtp, "--trips", 2, "--messages",
                    a.messages, "--size", a.size, "--rate", a.rate)
    return {"sync_p50_us": wal["p50_us"], "sync_p99_us": wal["p99_us"],
            "transaction_p50_us": one["p50_us"],
            "transaction_p99_us": one["p99_us"]}


def run(mtaq, a):
    with Rig(mtaq, "mtaq-bare", a) as box:
        box.start_sink("--ledger-ok-only", dns=False)
        out = bare(mtaq, box, a)
    with Rig(mtaq, "mtaq-latency", a) as box:
        box.start_sink("--domains", DOMAINS, "--ledger-ok-only", "--ledger-us",
                       listen=f"127.0.1.1-127.0.1.{DOMAINS}")
        box.configure_from("deliver.yaml", grouping="auto").start_daemon()
        # Sites are met and sessions open before the clock runs.
        warm = 10 * DOMAINS
        for tag, n, more in (("warm", warm, ()), ("load", a.messages,
                             ("--times", box.dir / "times"))):
            done = box.load("--messages", n, "--domains", DOMAINS, "--size",
                            a.size, "--class", "transactional", "--rate",
                            a.rate, "--tag", tag, *more)
            must(done["accepted"] == n, str(done))
        wait_lines(Lines(box.ledger_file), warm + a.messages, 60, alive(box))
        times = read_times(box.dir / "times")
        took = delivered(box.ledger_file, times)
        acked = sorted(done - begun for begun, done in times.values())
        all_there(box, warm + a.messages)
    for percent in (50, 99):
        out[f"delivered_p{percent}_us"] = share(took, percent)
        out[f"accepted_p{percent}_us"] = share(acked, percent)
    least = out["sync_p50_us"] + out["transaction_p50_us"]
    out["p50_per_bare"] = out["delivered_p50_us"] / least
    out["p99_per_bare"] = out["delivered_p99_us"] / least
    out["p99_per_bare_p99"] = out["delivered_p99_us"] / (
        out["sync_p99_us"] + out["transaction_p99_us"])
    return out
