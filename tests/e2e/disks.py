"""File systems of a test's own: small ones in memory, and in a file ones whose
power can go.  They are gone when the test ends, however it ends: unmounted at
a signal, and where enter_namespace() was called, with the namespace.
"""
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import ending
from harness import Failed, must

GOING_DOWN, NO_FLUSH = 0x8004587D, 2
IMAGE_BYTES = {"ext4": 192 << 20, "xfs": 320 << 20}
MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"]}
NAMESPACE = "MTAQ_TEST_MOUNT_NAMESPACE"


def run_quiet(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True,
                          text=True, timeout=60)
    must(done.returncode == 0,
         f"{' '.join(map(str, args))}: {done.stderr.strip()}")


class Mounted:
    """Something is at self.at, until the end."""

    mounted = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gone()

    def put(self, *args):
        run_quiet("mount", *args, self.at)
        if not self.mounted:
            ending.undo(self.gone)
        self.mounted = True

    def gone(self):
        if self.mounted:
            self.mounted = False
            ending.undone(self.gone)
            run_quiet("umount", "-l", self.at)


class Tmpfs(Mounted):
    """So many KiB of memory at a folder that it makes."""

    def __init__(self, at, kib):
        self.at = at
        at.mkdir()
        self.put("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs")

    def resize(self, kib):
        self.put("-t", "tmpfs", "-o", f"remount,size={kib}k", "tmpfs")


class Disk(Mounted):
    """A file system in a file."""

    def __init__(self, folder, kind, size=None):
        self.kind, self.image, self.at = kind, folder / "image", folder / "disk"
        with open(self.image, "wb") as f:
            f.truncate(size or IMAGE_BYTES[kind])
        run_quiet(*MAKE[kind], self.image)
        self.at.mkdir()
        self.mount()

    def mount(self):
        self.put("-t", self.kind, "-o", "loop", self.image)

    def power_off(self):
        """Nothing reaches it any more, and what had not is gone."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, GOING_DOWN, struct.pack("I", NO_FLUSH))
        finally:
            os.close(fd)

    def remount(self):
        """What a process had open over io_uring is closed some time after the
        process has gone."""
        until = time.monotonic() + 30
        while True:
            try:
                run_quiet("umount", self.at)
                break
            except Failed as e:
                if "busy" not in str(e) or time.monotonic() > until:
                    raise
            time.sleep(0.05)
        self.mount()


def why_not(kind):
    """Why no such file system can be had here; None: one can."""
    if os.geteuid() != 0:
        return "only root may mount"
    if kind in MAKE and shutil.which(MAKE[kind][0]) is None:
        return f"there is no {MAKE[kind][0]}"
    with tempfile.TemporaryDirectory(prefix="mtaq-disk-") as folder:
        at = pathlib.Path(folder)
        try:
            with Disk(at, kind) if kind in MAKE else Tmpfs(at / "t", 64):
                return None
        except Failed as e:
            return f"nothing can be mounted ({e})"


def enter_namespace():
    """This program again, where its mounts are its own."""
    if os.geteuid() != 0 or NAMESPACE in os.environ:
        return
    if subprocess.run(["unshare", "-m", "true"],
                      capture_output=True).returncode == 0:
        os.environ[NAMESPACE] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
