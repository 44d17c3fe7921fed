"""What a server and all that it started has used: a control group of its own.

A sum over /proc would miss processes that nobody waits for (Exim tells the
kernel to reap some of its own): the group counts them too.  Needs version 2
of control groups, mounted anywhere and writable.
"""
import os
import pathlib
import threading

from rig import Failed  # first: it knows the others
from receivers import Skipped

SAMPLE_SECONDS = 0.5


def mounted():
    """Where the hierarchy of version 2 is."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, at, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(at)
    raise Skipped("no control groups of version 2 are mounted")


class Cgroup:
    """A group; close() it when its processes have ended."""

    def __init__(self, name):
        self.dir = mounted() / f"mtaq-compare-{os.getpid()}-{name}"
        try:
            self.dir.mkdir()
        except OSError as e:
            raise Skipped(f"no control group: {e}") from None
        self.procs = self.dir / "cgroup.procs"

    def wrap(self, command):
        """The command, put into the group before it begins."""
        return ["sh", "-c", f'echo 0 >"{self.procs}" && exec "$0" "$@"',
                *command]

    def add(self, pid):
        self.procs.write_text(str(pid))

    def cpu_s(self):
        """Of all that is or ever was in it."""
        for line in (self.dir / "cpu.stat").read_text().splitlines():
            key, value = line.split()
            if key == "usage_usec":
                return int(value) / 1e6
        raise Failed("cpu.stat says no usage_usec")

    def pss_mib(self):
        """Memory now: what is shared counts once."""
        total = 0
        for pid in self.procs.read_text().split():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue                        # it ended meanwhile
            for line in text.splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
                    break
        return total / 1024

    def close(self):
        """Its processes have ended, but perhaps not been forgotten yet."""
        for _ in range(500):
            try:
                self.dir.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                threading.Event().wait(0.02)
        raise Failed(f"{self.dir}: not empty: {self.procs.read_text()!r}")


class Peak:
    """The most memory of a group within a with block, looked at twice a second
    by a thread: with a hundred processes a look is not free."""

    def __init__(self, group):
        self.group, self.mib = group, 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while True:
            self.mib = max(self.mib, self.group.pss_mib())
            if self.over.wait(SAMPLE_SECONDS):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
