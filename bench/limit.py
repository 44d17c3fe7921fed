"""bench/run.sh limit: what any client could do here, without an engine.

bench_limit sends flights made beforehand to the sink over 16 sessions: 4
round trips a message (no pipelining), 2, 1, and 1 with BDAT.  Nothing is
queued or written down but the sink's ledger.
"""
import json
import pathlib
import subprocess

from rig import Rig, must

TRIPS = {"trips_4": ("--trips", "4"), "trips_2": ("--trips", "2"),
         "trips_1": ("--trips", "1"), "bdat_1": ("--bdat", "1")}
UNITS = dict.fromkeys(TRIPS, "messages/s")


def options(p):
    p.add_argument("--messages", type=int, default=300000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--sessions", type=int, default=16)


def run(mtaq, a):
    program = pathlib.Path(mtaq).resolve().parents[2] / "bench/bench_limit"
    out = {}
    with Rig(mtaq, "mtaq-limit") as box:
        box.start_sink("--ledger-ok-only", dns=False)
        for name, how in TRIPS.items():
            done = subprocess.run(
                [program, box.sink_smtp, *how, "--messages",
                 str(a.messages), "--size", str(a.size), "--sessions",
                 str(a.sessions)],
                capture_output=True, text=True, timeout=300)
            must(done.returncode == 0, done.stderr)
            out[name] = json.loads(done.stdout)["messages_s"]
    return out
