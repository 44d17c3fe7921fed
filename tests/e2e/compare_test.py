#!/usr/bin/env python3
"""The parts of bench/compare.sh: the client that injects by SMTP, and one round
of mtaq beside Postfix with a few messages.

compare_test.py MTAQ BENCH_INJECT
"""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types

from harness import Box, Failed, must
import compare_peers
import compare_phase
from receivers import Skipped

ROOT = pathlib.Path(__file__).resolve().parents[2]
MTAQ, INJECT = sys.argv[1:]
N = 500


def column(path, number):
    return collections.Counter(line.split("\t")[number]
                               for line in path.read_text().splitlines())


def inject(*weather):
    """Its summary; every message must have arrived, each once."""
    with Box(MTAQ, "mtaq-inject") as box:
        box.start_sink("--ledger-ok-only", *weather, dns=False)
        done = subprocess.run(
            [INJECT, box.sink_smtp, "--messages", str(N), "--sessions", "8",
             "--per-session", "20", "--accepted", box.accepted],
            capture_output=True, text=True, timeout=200)
        must(done.returncode == 0, done.stderr)
        r = json.loads(done.stdout)
        tokens = column(box.accepted, 1)
        must(len(tokens) == N and set(tokens.values()) == {1}, str(r))
        must(column(box.ledger_file, 2) == tokens, "the ledger has others")
        must(r["accepted"] == N and r["unsure"] == 0, str(r))
        return r, box.stop_sink()


def injected():
    r, sink = inject()
    must(r["refused"] == 0 and r["broken"] == 0, str(r))
    must(sink["messages_per_session"]["max"] == 20, str(sink))
    r, _ = inject("--no-pipelining", "--fail", "rcpt=4:0.05,eod=4:0.05",
                  "--drop", "mail=0.02")
    must(r["refused"] > 0 and r["broken"] > 0, str(r))


def counted():
    """Of three messages a came twice, b once, c never."""
    with tempfile.TemporaryDirectory() as folder:
        phase = object.__new__(compare_phase.Phase)
        phase.box = box = types.SimpleNamespace(
            ledger_file=pathlib.Path(folder, "ledger"),
            accepted=pathlib.Path(folder, "accepted"))
        box.accepted.write_text("".join(
            f"-\t{t}\tu@d0.test\t-\n" for t in "abc"))
        box.ledger_file.write_text("".join(
            f"{ms}\tok\t{t}\tu@d0.test\t-\t{ms}\t7\t10.25.1.1\teod\t250\tf\n"
            for ms, t in enumerate("aba")))
        book, fate = phase.balance(True)
        must(fate == {"lost": 1, "late": 0, "doubled": 1}, str(fate))
        must(book.sessions == {"7"} and book.ms == [0, 1, 2], str(book.ms))
        _, fate = phase.balance(False)
        must(fate == {"lost": 0, "late": 1, "doubled": 1}, str(fate))


class NeverStarts:
    """A server that does not come up, and says so at its end too."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        raise Failed("it does not start")

    def __exit__(self, *_):
        raise Failed("it has not started")


class Broken(compare_peers.SmtpPeer, NeverStarts):
    key = "broken"


def left_nothing():
    """A peer that cannot be opened leaves no control group behind."""
    def refuse(*_):
        raise Failed("no configuration")
    box = types.SimpleNamespace(configure_from=refuse,
                                stop_daemon=lambda kill: None)
    for peer in (Broken(), compare_peers.Mtaq()):
        opened = failed(lambda: peer.open(box, False))
        group = peer.cgroup.dir
        must(opened and group.exists(), "no group was made")
        failed(lambda: peer.close(failed=True))
        must(not group.exists(), f"{group} is left")


def failed(what):
    try:
        what()
        return False
    except Failed:
        return True


def compared():
    done = subprocess.run(
        [sys.executable, ROOT / "bench/compare.py", "--peers", "mtaq,postfix",
         "--smoke", "--mtaq", MTAQ, "--json"],
        capture_output=True, text=True, timeout=550, check=False)
    words = done.stdout[-3000:] + done.stderr[-3000:]
    must(done.returncode == 0, words)
    r = json.loads(done.stdout.splitlines()[-1])
    if r["skipped"]:
        print("skipped:", r["skipped"])
    for name, f in r["peers"].items():
        for what in ("lost", "late", "doubled"):
            for phase in ("drain", "through"):
                must(f[f"{phase}_{what}"]["max"] == 0, f"{name}: {words}")
        for key in ("injected_per_s", "drained_per_s", "through_per_s",
                    "cpu_s_per_1000", "memory_mib", "connections_per_1000"):
            must(f[key]["median"] > 0, f"{name}: {key}: {words}")
        if "syncs_per_1000" in f:
            must(f["syncs_per_1000"]["median"] > 0,
                 f"{name} answered before anything was on disk")


def main():
    injected()
    print("ok injected", flush=True)
    counted()
    print("ok counted", flush=True)
    if os.geteuid() != 0:
        print("only root can start other mail servers")
        sys.exit(77)
    try:
        left_nothing()
        print("ok left nothing", flush=True)
    except Skipped as why:
        print(f"skipped: {why}", flush=True)
    compared()
    print("ok compared")


if __name__ == "__main__":
    main()
