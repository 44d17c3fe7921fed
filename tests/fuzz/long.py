#!/usr/bin/env python3
"""Fuzz for long: build, run, minimise, and print what was reached.

usage: tests/fuzz/long.sh [--hours H | --seconds S] [--json] [TARGET...]

--hours H    the whole run takes about H hours, shared by the targets
--seconds S  each target runs for S seconds (60 when nothing is said)
--json       the last line is one JSON object with all figures
TARGET       fuzz_reply, or reply; all when none is named

All cores work: as many targets at once as there are cores, or several
processes on one corpus when fewer are named.  What is found stays:

build/fuzz/corpus/TARGET     the growing corpus, minimised after each run
build/fuzz/findings/TARGET   inputs that broke a property, hung or ate memory

Lines and branches are those of the code under test (COVERS in
tests/fuzz/*.cmake) that the corpus reaches, counted in a second build without
sanitizers.  Exit: 0, 1 with findings, 64 usage.
"""
import argparse
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
COVER = ROOT / "build" / "fuzz-coverage"
LIST = "tests/fuzz-targets"      # written by tests/CMakeLists.txt
LIMITS = ["-timeout=10", "-rss_limit_mb=2048"]
RESTARTS = 5            # behind a finding; then the target is given up
REAL = ("crash-", "timeout-", "oom-", "leak-")


def build():
    for folder, extra in ((BUILD, []), (COVER, ["-DMTAQ_COVERAGE=ON"])):
        subprocess.run(["cmake", "--preset", "fuzz", "-B", str(folder)]
                       + extra, cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
        targets = [r.split()[0] for r in open(folder / LIST)]
        subprocess.run(["cmake", "--build", str(folder), "--target",
                        "fuzz_seeds", *targets, "--", "--quiet"], check=True)


def all_targets():
    """{name: [file under test]}"""
    rows = (BUILD / LIST).read_text().split("\n")
    return {r.split()[0]: r.split()[1:] for r in rows if r}


class Target:
    def __init__(self, name, covers):
        self.name, self.covers = name, covers
        self.program = BUILD / "tests" / name
        self.corpus = BUILD / "corpus" / name
        self.findings = BUILD / "findings" / name
        self.log = BUILD / "corpus" / f"{name}.log"
        self.executions, self.seconds, self.edges = 0, 0.0, 0
        self.lock = threading.Lock()
        self.corpus.mkdir(parents=True, exist_ok=True)
        self.findings.mkdir(parents=True, exist_ok=True)
        self.old = set(os.listdir(self.findings))

    def seeds(self):
        """The folders that a run may start with, besides its own."""
        folders = [BUILD / "tests" / "seeds" / self.name,
                   BUILD / "tests" / f"corpus-{self.name}",
                   ROOT / "tests" / "fuzz" / "corpus" / self.name]
        return [str(f) for f in folders if f.is_dir()]

    def found(self):
        return sorted(f for f in set(os.listdir(self.findings)) - self.old
                      if f.startswith(REAL))

    def call(self, *args, program=None, **kw):
        return subprocess.run(
            [str(program or self.program), *LIMITS, *args],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", cwd=self.findings, **kw)

    def fuzz(self, seconds):
        """One process, until its time is over."""
        end = time.monotonic() + seconds
        for _ in range(1 + RESTARTS):
            left = round(end - time.monotonic())
            if left < 1:
                break
            start = time.monotonic()
            done = self.call(
                f"-max_total_time={left}", "-print_final_stats=1",
                "-reload=5", f"-artifact_prefix={self.findings}/",
                str(self.corpus), *self.seeds())
            with self.lock:
                self.seconds += time.monotonic() - start
                self.executions += executions(done.stderr)
                with open(self.log, "a", encoding="utf-8") as log:
                    log.write(done.stderr)

    def minimise(self):
        new = self.corpus.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        done = self.call("-merge=1", str(new), str(self.corpus),
                         *self.seeds())
        if done.returncode == 0 and any(new.iterdir()):
            shutil.rmtree(self.corpus)
            new.rename(self.corpus)

    def measure(self):
        """Edges by the fuzzer's own count, lines and branches by llvm-cov."""
        done = self.call("-runs=0", str(self.corpus))
        counts = re.findall(r"cov: (\d+)", done.stderr)
        self.edges = int(counts[-1]) if counts else 0
        program = COVER / "tests" / self.name
        raw, data = (self.log.with_suffix(s) for s in (".raw", ".data"))
        self.call("-runs=0", str(self.corpus), program=program,
                  env={**os.environ, "LLVM_PROFILE_FILE": str(raw)},
                  check=True)
        subprocess.run(["llvm-profdata", "merge", "-o", str(data), str(raw)],
                       check=True)
        out = subprocess.run(
            ["llvm-cov", "export", "-summary-only", str(program),
             f"-instr-profile={data}"],
            check=True, capture_output=True, text=True).stdout
        files = [f["summary"] for f in json.loads(out)["data"][0]["files"]
                 if os.path.normpath(COVER / f["filename"]).removeprefix(
                     f"{ROOT}/") in self.covers]
        if len(files) != len(self.covers):
            raise SystemExit(f"{self.name}: a file of its COVERS is not in it")
        self.reached = {
            kind: 100 * sum(f[kind]["covered"] for f in files)
            / max(1, sum(f[kind]["count"] for f in files))
            for kind in ("lines", "branches")}

    def figures(self):
        return {
            "target": self.name, "executions": self.executions,
            "executions_per_second":
                round(self.executions / self.seconds) if self.seconds else 0,
            "seconds": round(self.seconds),
            "corpus": len(list(self.corpus.iterdir())), "edges": self.edges,
            "lines_percent": round(self.reached["lines"], 1),
            "branches_percent": round(self.reached["branches"], 1),
            "findings": self.found()}


def executions(text):
    """By the final count, or by the last line of a run that broke off."""
    counts = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text) \
        or re.findall(r"(?m)^#(\d+)\t", text)
    return int(counts[-1]) if counts else 0


def in_parallel(jobs, width):
    """Run callables, so many at once; the first failure is raised."""
    todo, failed = queue.Queue(), []
    for job in jobs:
        todo.put(job)

    def work():
        while not failed:
            try:
                todo.get_nowait()()
            except queue.Empty:
                return
            except Exception as e:      # told by the one who waits
                failed.append(e)

    threads = [threading.Thread(target=work) for _ in range(width)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def print_table(rows):
    head = ("target", "executions", "exec/s", "corpus", "edges", "lines",
            "branches", "findings")
    print("{:14} {:>11} {:>8} {:>7} {:>6} {:>7} {:>9} {:>9}".format(*head))
    for r in rows:
        print(f"{r['target']:14} {r['executions']:11} "
              f"{r['executions_per_second']:8} {r['corpus']:7} "
              f"{r['edges']:6} {r['lines_percent']:6.1f}% "
              f"{r['branches_percent']:8.1f}% {len(r['findings']):9}")
    print(f"{'all':14} {sum(r['executions'] for r in rows):11}")
    for r in rows:
        for f in r["findings"]:
            print(f"found: build/fuzz/findings/{r['target']}/{f}")


def arguments():
    p = argparse.ArgumentParser(prog="tests/fuzz/long.sh", usage=__doc__)
    p.exit_on_error = False
    how = p.add_mutually_exclusive_group()
    how.add_argument("--hours", type=float)
    how.add_argument("--seconds", type=float)
    p.add_argument("--json", action="store_true")
    p.add_argument("targets", nargs="*")
    p.error = lambda words: (print(f"long.sh: {words}", file=sys.stderr),
                             sys.exit(64))
    return p, p.parse_args()


def main():
    parser, args = arguments()
    build()
    known = all_targets()
    names = [t if t.startswith("fuzz_") else f"fuzz_{t}"
             for t in args.targets] or sorted(known)
    for name in names:
        if name not in known:
            parser.error(f"no target {name}; there are {', '.join(known)}")
    cores = os.cpu_count() or 1
    copies = max(1, cores // len(names))
    seconds = args.seconds or 60
    if args.hours:
        seconds = args.hours * 3600 * cores / (len(names) * copies)
    targets = [Target(n, known[n]) for n in names]
    in_parallel([lambda t=t: t.fuzz(seconds)
                 for t in targets for _ in range(copies)], cores)
    in_parallel([lambda t=t: (t.minimise(), t.measure())
                 for t in targets], cores)
    rows = [t.figures() for t in targets]
    print_table(rows)
    if args.json:
        print(json.dumps({"fuzz": rows, "cores": cores}))
    return 1 if any(r["findings"] for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
