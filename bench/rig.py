"""What the measurements share: processes with a configuration from
bench/conf, their CPU time and memory, figures and how they are printed."""
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import statistics
import string
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import disks  # noqa: E402, F401
from harness import Box, Failed, must  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


SMALL = {"queue.segment_bytes": "8MiB", "queue.segments_ahead": 2}


class Rig(Box):
    """A Box whose configuration is a file of bench/conf, with what the command
    line set (--io, --set) instead of what stands there."""

    def __init__(self, mtaq, name, a=None, keep=False):
        super().__init__(mtaq, name, io=getattr(a, "io", None),
                         keep=keep or "MTAQ_BENCH_KEEP" in os.environ)
        # A short run is over before 8 segments of 64 MiB are written.
        self.set = dict(SMALL if getattr(a, "smoke", False) else {})
        self.set |= dict(getattr(a, "set", None) or [])

    def configure_from(self, name, changes=None, **values):
        text = (ROOT / "bench" / "conf" / name).read_text()
        values = {"dir": self.dir, "io": self.io, "dns": self.sink_dns,
                  "smtp_port": self.sink_smtp and
                  self.sink_smtp.rpartition(":")[2], **values}
        text = string.Template(text).substitute(values)
        for key, value in {**(changes or {}), **self.set}.items():
            text = overlay(text, key, value)
        self.conf = self.dir / "mtaq.yaml"
        self.conf.write_text(text)
        return self


def overlay(text, key, value):
    """The configuration with one option, "section.name" or "name", changed or
    added.  It knows the two forms that stand in bench/conf: a section of
    indented lines, and { ... } on one."""
    section, _, name = key.rpartition(".")
    if not section:
        text = re.sub(rf"(?m)^{name}:.*\n", "", text)
        return text + f"{name}: {value}\n"
    flow = re.search(rf"(?m)^{section}: *{{(.*)}}$", text)
    if flow:
        rest = [w for w in flow[1].split(", ") if w.strip() and
                not w.strip().startswith(f"{name}:")]
        line = ", ".join(w.strip() for w in rest + [f"{name}: {value}"])
        return text.replace(flow[0], f"{section}: {{ {line} }}")
    block = re.search(rf"(?m)^{section}:\n((?:  .*\n)*)", text)
    if block:
        body = re.sub(rf"(?m)^  {name}:.*\n", "", block[1])
        return text.replace(block[0],
                            f"{section}:\n  {name}: {value}\n{body}")
    return text + f"{section}:\n  {name}: {value}\n"


def has_option(mtaq, key):
    """Does this mtaq know the option?  For what is measured off and on."""
    with tempfile.TemporaryDirectory(prefix="mtaq-bench-") as folder:
        conf = pathlib.Path(folder) / "mtaq.yaml"
        conf.write_text(overlay("hostname: bench.test\n", key, "auto"))
        done = subprocess.run([str(mtaq), "check", "-c", str(conf)],
                              capture_output=True, text=True, check=False)
    return "unknown option" not in done.stdout + done.stderr


def yardstick(mtaq, name, *args, timeout=600):
    """What bench_NAME (bench/limit.c, wal.c, session.c) of the same build
    prints."""
    program = pathlib.Path(mtaq).resolve().parents[2] / f"bench/bench_{name}"
    done = subprocess.run([str(program), *map(str, args)], text=True,
                          capture_output=True, timeout=timeout, check=False)
    must(done.returncode == 0, f"bench_{name}: {done.stderr}")
    return json.loads(done.stdout)


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


def ours_cpu_s():
    """Seconds of CPU of this process and of all that it has waited for."""
    got = [resource.getrusage(who) for who in (resource.RUSAGE_SELF,
                                               resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in got)


def threads_cpu_s(pid, name):
    """(user, system) seconds of CPU of the threads whose names begin so."""
    user = system = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            head, _, tail = (task / "stat").read_text().rpartition(")")
        except FileNotFoundError:
            continue                                # it has ended
        if head.partition("(")[2].startswith(name):
            field = tail.split()
            user += int(field[11]) / TICK
            system += int(field[12]) / TICK
    return user, system


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


OTHERS = "others_cpu_percent"


def summary(name, unit, runs):
    got = [r[name] for r in runs]
    return {"median": round(statistics.median(got), 3),
            "min": round(min(got), 3), "max": round(max(got), 3),
            "unit": unit}


def judge(figures, wanted):
    """What must hold, by the medians: (figure, "<=" or ">=", bound)."""
    out = []
    for name, how, bound in wanted:
        median = figures[name]["median"]
        met = median >= bound if how == ">=" else median <= bound
        out.append({"figure": name, "how": how, "bound": bound,
                    "median": median, "met": met})
    return out


def table(bench, runs, units, wanted=(), notes=()):
    """Print it for people.  runs: a dict of numbers for each run; units:
    {name: unit}; wanted: what must hold, see judge(); notes: what was not
    measured, and why.  Gives what as_json() prints."""
    figures = {name: summary(name, unit, runs)
               for name, unit in units.items() if name in runs[0]}
    wanted = judge(figures, [w for w in wanted if w[0] in figures])
    print(f"\n{bench}: {len(runs)} runs; {machine()}; commit {commit()}")
    print(f"{'':30}{'median':>12}{'min':>12}{'max':>12}")
    for name, f in figures.items():
        print(f"{name:30}" + "".join(f"{f[k]:>12,.10g}" for k in
                                     ("median", "min", "max")) +
              f"  {f['unit']}")
    for w in wanted:
        print(f"{w['figure']} {w['how']} {w['bound']:g}: "
              f"{'met' if w['met'] else 'NOT MET'} ({w['median']:g})")
    for note in notes:
        print(f"not measured: {note}", flush=True)
    return {"bench": bench, "commit": commit(), "cores": os.cpu_count(),
            "runs": len(runs), "machine": machine(), "wanted": wanted,
            "skipped": list(notes), **figures}


def report(bench, runs, units, as_json, wanted=(), notes=()):
    """The table, and as JSON on the last line."""
    done = table(bench, runs, units, wanted, notes)
    if as_json:
        print(json.dumps(done), flush=True)
    return done


def times_ms(path):
    """When each recipient was delivered, by the sink's own clock; rising."""
    with open(path, "rb") as f:
        return sorted(int(line.split(b"\t", 1)[0]) for line in f)


def rate(ms):
    """A second, from the 5th to the 95th per cent."""
    a, b = len(ms) * 5 // 100, len(ms) * 95 // 100
    return (b - a) * 1000 / max(ms[b] - ms[a], 1)


def alive(box):
    """What wait_lines() asks meanwhile."""
    def look():
        must(box.daemon.poll() is None, "the daemon has ended")
    return look


def all_there(box, recipients):
    """After the daemon's and the sink's end: each recipient once, and where
    there are not too many to compare, with its own content.  The sink's
    summary."""
    box.stop_daemon()
    s = box.stop_sink()
    must(s["recipients"] == recipients,
         f"{s['recipients']} instead of {recipients} were delivered")
    if recipients <= 20000:
        r = box.equation()
        must(r["extra"] == 0, f"delivered twice: {r}")
    return s


def wait_lines(lines, wanted, timeout, alive):
    """Until the file has so many; the time it took does not count below
    1/10 s: the figures come from the times in its lines."""
    end = time.monotonic() + timeout
    while lines.read() < wanted:
        must(time.monotonic() < end, f"{lines.path.name} has "
             f"{lines.count} of {wanted} lines after {timeout} s")
        alive()
        time.sleep(0.1)

