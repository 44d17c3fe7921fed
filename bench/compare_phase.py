"""The two phases of bench/compare.sh: a queue held and let go, and mail that
goes through.  Each gives a dict of figures."""
import collections
import json
import pathlib
import subprocess
import threading
import time

# First: it knows where the others are.
from rig import Lines, Rig, must, rate
import ending
from cgroup import Peak
from compare_peers import RESOLVER

NET = "10.25.1.{}"
# How long after the last delivery a second copy may still come.
SETTLE_SECONDS = 1.0
SYNCED = 200            # messages, with each call looked at


class Ledger:
    """What the sink has taken, read once it is over."""

    def __init__(self, path):
        self.ms, self.sessions = [], set()
        self.copies = collections.Counter()
        with open(path, encoding="ascii") as f:
            for line in f:
                col = line.split("\t")
                if len(col) == 11 and col[1] == "ok":
                    self.ms.append(int(col[0]))
                    self.copies[col[2]] += 1
                    self.sessions.add(col[6])
        self.ms.sort()


class Phase:
    """A sink, a server and an injecting client, for n messages."""

    def __init__(self, peer, a, hold, n=None):
        self.peer, self.a, self.hold = peer, a, hold
        self.n = n or (a.mtaq_messages if peer.key == "mtaq" else a.messages)
        self.box = Rig(a.mtaq, f"compare-{peer.key}", a)
        self.job, self.opened = None, False

    def __enter__(self):
        self.box.__enter__()
        try:
            self.box.start_sink(
                "--port", 25, "--dns", f"{RESOLVER}:53", "--domains",
                self.a.domains, "--ledger-ok-only",
                listen=f"{NET.format(1)}-"
                       f"{NET.format(min(self.a.domains, 250))}")
            self.peer.open(self.box, self.hold)
            self.opened = True
        except BaseException as e:
            self.__exit__(type(e), e, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        if self.job is not None and self.job.poll() is None:
            self.job.kill()
            self.job.wait(30)
        if kind is not None and self.opened:
            print(f"--- {self.peer.title} said:\n{self.peer.said()[-3000:]}",
                  flush=True)
        try:
            self.peer.close(failed=kind is not None)
        finally:
            self.box.__exit__(kind, value, trace)

    def begin_injection(self):
        self.job = ending.start(
            self.peer.injection(self.box, self.a, self.n, self.peer.key),
            stdout=subprocess.PIPE, text=True)
        self.begin_s = time.monotonic()

    def injected(self):
        """Its summary; cut off, what it had done by then."""
        left = max(self.begin_s + self.a.limit - time.monotonic(), 0.1)
        try:
            out, _ = self.job.communicate(timeout=left)
            return json.loads(out.splitlines()[-1])["rate"]
        except subprocess.TimeoutExpired:
            self.job.kill()
            self.job.communicate()
            return len(self.acknowledged()) / self.a.limit

    def acknowledged(self):
        """[token]"""
        if not self.box.accepted.exists():
            return []
        return [line.split("\t")[1]
                for line in self.box.accepted.read_text().splitlines()]

    def wait_arrived(self, n, until_s):
        """Until n have arrived, doubles not counted, or the time is over."""
        lines = Lines(self.box.ledger_file)
        while time.monotonic() < until_s:
            if lines.read() >= n and \
                    len(Ledger(self.box.ledger_file).copies) >= n:
                return True
            must(self.box.sink.poll() is None, "the sink has ended")
            # A file has no event to wait for; its lines carry their times.
            time.sleep(0.05)
        return False

    def balance(self, complete):
        """Lost: acknowledged, never delivered, and there was time for it."""
        if complete:
            threading.Event().wait(SETTLE_SECONDS)
        book, sent = Ledger(self.box.ledger_file), set(self.acknowledged())
        missing = len(sent - set(book.copies))
        return book, {
            "lost": missing if complete else 0,
            "late": 0 if complete else missing,
            "doubled": sum(n - 1 for n in book.copies.values()),
        }


class Syncs:
    """strace on all of a server: how often it has something put on disk."""

    CALLS = "fsync", "fdatasync", "syncfs", "sync_file_range"

    def __init__(self, group, path):
        self.path, pids = path, group.procs.read_text().split()
        self.strace = ending.start(
            ["strace", "-f", "-qq", "-o", path, "-e",
             "trace=" + ",".join(self.CALLS),
             *(word for pid in pids for word in ("-p", pid))],
            stderr=subprocess.DEVNULL)
        Rig.wait_for(lambda: all(map(traced, pids)), 30, "strace")

    def end(self):
        self.strace.terminate()
        self.strace.wait(30)
        return sum(line.split()[1].startswith(tuple(
            f"{call}(" for call in self.CALLS))
            for line in self.path.read_text().splitlines())


def traced(pid):
    """Or gone: some servers have processes that do one thing and end."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return "TracerPid:\t0\n" not in status


def syncs(peer, a):
    """Calls that put something on disk, by the time that SYNCED messages have
    been acknowledged into a held queue: is it durable, and at what price?"""
    with Phase(peer, a, True, SYNCED) as p:
        counted = Syncs(peer.cgroup, p.box.dir / "strace")
        try:
            p.begin_injection()
            p.injected()
        finally:
            n = counted.end()
        return n * 1000 / len(p.acknowledged())


def held(peer, a):
    """Injection into a held queue, then its drain."""
    with Phase(peer, a, True) as p, Peak(peer.cgroup) as peak:
        p.begin_injection()
        injection = p.injected()
        sent = len(p.acknowledged())
        must(sent > 0, "nothing was accepted")
        early = Lines(p.box.ledger_file).read()
        must(early == 0, f"{early} messages left a queue that was held")
        begin_ms, cpu = time.monotonic() * 1000, peer.cgroup.cpu_s()
        peer.let_go(p.box)
        complete = p.wait_arrived(sent, time.monotonic() + a.limit)
        cpu = peer.cgroup.cpu_s() - cpu
        book, fate = p.balance(complete)
        must(len(book.ms) > 20, "next to nothing left the queue")
    if not complete:
        print(f"{peer.title}: drain cut off after {a.limit:g} s")
    return {
        "injected_per_s": injection,
        "drained_per_s": rate(book.ms),
        "drained_whole_per_s":
            len(book.ms) * 1000 / (book.ms[-1] - begin_ms),
        "drain_cpu_s_per_1000": cpu * 1000 / len(book.ms),
        "drain_connections_per_1000":
            len(book.sessions) * 1000 / len(book.ms),
        "memory_mib": peak.mib,
        **{f"drain_{k}": v for k, v in fate.items()},
    }


def through(peer, a):
    """Mail that comes and goes at the same time."""
    with Phase(peer, a, False) as p, Peak(peer.cgroup) as peak:
        cpu = peer.cgroup.cpu_s()
        p.begin_injection()
        p.injected()
        sent = len(p.acknowledged())
        complete = p.wait_arrived(sent, p.begin_s + a.limit)
        cpu = peer.cgroup.cpu_s() - cpu
        book, fate = p.balance(complete)
        must(len(book.ms) > 20, "next to nothing was delivered")
    if not complete:
        print(f"{peer.title}: end to end cut off after {a.limit:g} s")
    end_s = book.ms[-1] / 1000 if complete else p.begin_s + a.limit
    return {
        "through_per_s": rate(book.ms),
        "through_whole_per_s": len(book.ms) / (end_s - p.begin_s),
        "cpu_s_per_1000": cpu * 1000 / len(book.ms),
        "connections_per_1000": len(book.sessions) * 1000 / len(book.ms),
        "memory_mib": peak.mib,
        **{f"through_{k}": v for k, v in fate.items()},
    }
