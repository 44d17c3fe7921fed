"""What the measurements share: processes with a configuration from
bench/conf, their CPU time and memory, figures and how they are printed."""
import json
import os
import pathlib
import platform
import shutil
import statistics
import string
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from harness import Box, Failed, must  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


class Rig(Box):
    """A Box whose configuration is a file of bench/conf."""

    def configure_from(self, name, **values):
        text = (ROOT / "bench" / "conf" / name).read_text()
        values = {"dir": self.dir, "io": self.io, "dns": self.sink_dns,
                  "smtp_port": self.sink_smtp and
                  self.sink_smtp.rpartition(":")[2], **values}
        self.conf = self.dir / "mtaq.yaml"
        self.conf.write_text(string.Template(text).substitute(values))
        return self


def cpu_s(pid):
    """Seconds of CPU that a process has used so far."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    field = text.rpartition(")")[2].split()
    return (int(field[11]) + int(field[12])) / TICK


def machine_cpu_s():
    """(seconds used by anybody, seconds there were), over all cores."""
    with open("/proc/stat", encoding="ascii") as f:
        n = [int(w) / TICK for w in f.readline().split()[1:9]]
    return sum(n) - n[3] - n[4], sum(n)


def memory_mib(pid):
    """{"RssAnon": MiB, "VmHWM": MiB, ...}"""
    out = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if value.endswith(" kB"):
            out[key] = int(value.split()[0]) / 1024
    return out


class Lines:
    """Counts the lines of a file that grows, without reading any twice."""

    def __init__(self, path):
        self.path, self.at, self.count = path, 0, 0

    def read(self):
        if not self.path.exists():
            return self.count
        with open(self.path, "rb") as f:
            f.seek(self.at)
            while block := f.read(1 << 20):
                self.count += block.count(b"\n")
                self.at += len(block)
        return self.count


def commit():
    def git(*args):
        return subprocess.run(["git", "-C", str(ROOT), *args], text=True,
                              capture_output=True, check=False).stdout.strip()
    if not shutil.which("git"):
        return "unknown"
    name = git("rev-parse", "--short=12", "HEAD")
    if not name:
        return "unknown"
    return name + ("+" if git("status", "--porcelain", "-uno") else "")


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}"


def report(bench, runs, units, as_json):
    """runs: a dict of numbers for each run; units: {name: unit}."""
    figures = {}
    for name, unit in units.items():
        got = [r[name] for r in runs]
        figures[name] = {"median": round(statistics.median(got), 3),
                         "min": round(min(got), 3),
                         "max": round(max(got), 3), "unit": unit}
    print(f"\n{bench}: {len(runs)} runs; {machine()}; commit {commit()}")
    print(f"{'':26}{'median':>12}{'min':>12}{'max':>12}")
    for name, f in figures.items():
        print(f"{name:26}" + "".join(f"{f[k]:>12,.10g}" for k in
                                     ("median", "min", "max")) +
              f"  {f['unit']}")
    if as_json:
        print(json.dumps({"bench": bench, "commit": commit(),
                          "cores": os.cpu_count(), "runs": len(runs),
                          "machine": machine(), **figures}), flush=True)
    return figures


def wait_lines(lines, wanted, timeout, alive):
    """Until the file has so many; the time it took does not count below
    1/10 s: the figures come from the times in its lines."""
    end = time.monotonic() + timeout
    while lines.read() < wanted:
        must(time.monotonic() < end, f"{lines.path.name} has "
             f"{lines.count} of {wanted} lines after {timeout} s")
        alive()
        time.sleep(0.1)

