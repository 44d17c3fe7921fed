#!/usr/bin/env python3
"""bench/compare.sh: mtaq beside other mail servers, in turn.

Same machine, same DNS, same sink, same messages; nobody's syncs are turned
off (bench/peers has the configurations), and how many there are is counted
first, with strace.  Each round, of each server: a phase
"held" (its queue is filled while nothing may leave, then let go: injection,
drain) and a phase "through" (nothing is held: end to end, CPU time,
connections), each with an empty queue and a fresh sink.  Rates are the sink's
ledger's, from the 5th to the 95th per cent of the deliveries (the JSON has them
over the whole time too).  At the end of a phase every acknowledged message is looked for in the ledger.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from rig import Failed, ROOT  # first: it knows where the others are
import compare_report
from compare_peers import PEER, PEERS, RESOLVER
from compare_phase import held, syncs, through
from receivers import Skipped, must_be_able

INSIDE = "MTAQ_COMPARE_INSIDE"


def options():
    p = argparse.ArgumentParser(prog="bench/compare.sh",
                                description=__doc__.splitlines()[0])
    p.add_argument("--peers", default=",".join(PEERS), metavar="NAME,...",
                   help=f"of {', '.join(PEERS)}")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--messages", type=int, default=3000,
                   help="to each of the others, in each phase (3000)")
    p.add_argument("--mtaq-messages", type=int, default=100000,
                   help="to mtaq, which is through with 3,000 before its "
                   "sessions are open (100000)")
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--domains", type=int, default=100)
    p.add_argument("--sessions", type=int, default=20,
                   help="of the injecting SMTP client (20)")
    p.add_argument("--limit", type=float, default=45, metavar="S",
                   help="a phase is cut off after so many seconds (45)")
    p.add_argument("--smoke", action="store_true",
                   help="few messages, one round: do the figures come?")
    p.add_argument("--json", action="store_true",
                   help="the last line is one JSON object")
    p.add_argument("--plot", type=pathlib.Path, metavar="FILE", nargs="?",
                   const=ROOT / "docs/compare.svg",
                   help="draw the rates: an SVG (docs/compare.svg)")
    p.add_argument("--mtaq", default=ROOT / "build/release/src/cmd/mtaq")
    a = p.parse_args()
    if a.smoke:
        a.rounds, a.messages, a.mtaq_messages, a.domains = 1, 60, 600, 10
        a.limit = 150
    return a


# --- a network of our own ----------------------------------------------------

def installed(names):
    """Those that can be had, and why the others cannot; the network of
    enter() has no way out."""
    there, skipped = [], {}
    for name in names:
        try:
            PEERS[name].install()
            there.append(name)
        except Skipped as why:
            skipped[name] = str(why)
    return there, skipped


def enter():
    """The same program again, where ports 25 and 53 are free and nobody else
    is: a network with a loopback, and a resolv.conf that no one outside sees."""
    names = [n for n in options().peers.split(",") if n]
    unknown = set(names) - set(PEERS)
    if unknown:
        raise Failed(f"no such peer: {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(PEERS)}")
    os.environ[INSIDE] = json.dumps(installed(names))
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable,
                          *sys.argv])


def furnish(folder):
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {RESOLVER}\n")
    for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", PEER[0] + "/16", "dev", "lo"],
            ["mount", "--bind", resolv,
             pathlib.Path("/etc/resolv.conf").resolve()]):
        subprocess.run(command, check=True)


# --- all rounds --------------------------------------------------------------

def one(name, number, a):
    """The figures of a server in a round."""
    begin = os.getloadavg()[0]
    out = held(PEERS[name](), a)
    memory = out.pop("memory_mib")
    out |= through(PEERS[name](), a)
    out["memory_mib"] = max(out["memory_mib"], memory)
    out["load_average"] = begin
    print(f"round {number + 1}: {PEERS[name].title}: " + ", ".join(
        f"{k} {v:,.5g}" for k, v in out.items() if v is not None),
        flush=True)
    return out


def synced(names, a):
    """{name: calls that sync, a 1,000 messages}, before anything is timed."""
    if not shutil.which("strace"):
        print("strace is not installed: nobody's syncs are counted")
        return {}
    return {name: syncs(PEERS[name](), a) for name in names}


def rounds(names, a):
    """In turn, so that whatever else the machine does meets all alike."""
    runs = {name: [] for name in names}
    for number in range(a.rounds):
        for name in names:
            runs[name].append(one(name, number, a))
    return runs


def inside():
    a = options()
    names, skipped = json.loads(os.environ[INSIDE])
    # All queues on one file system: that of the private roots.
    folder = ROOT / "build" / "private"
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
    with tempfile.TemporaryDirectory(prefix="compare-") as mine:
        furnish(pathlib.Path(mine))
        on_disk = synced(names, a)
        runs = rounds(names, a)
        for name, n in on_disk.items():
            for run in runs[name]:
                run["syncs_per_1000"] = n
    for name, why in skipped.items():
        print(f"skipped: {PEERS[name].title}: {why}")
    compare_report.report(runs, skipped, a)
    return 0


def main():
    try:
        must_be_able()
        return inside() if INSIDE in os.environ else enter()
    except (Failed, Skipped) as e:
        print(f"compare: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
