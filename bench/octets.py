"""What a spool writes, for bench/run.sh depth: octets that its disk got.

The spool is on a file system of its own, in a file, and the kernel counts what
that device writes: records, zeros, whole pages, the index, the journal.  The
event log is elsewhere.  (write_bytes of /proc/PID/io is of no use: for a page
of a large folio it counts all of the folio.)

Segments are written full before they are used, some of them ahead.  What was
written ahead and is not used yet is not counted, neither the ready segments
nor the rest of the last one: of the zeros there count as many octets as the
log has grown.
"""
import argparse
import contextlib
import ctypes
import os
import pathlib

import spool
from rig import disks, must

RESERVE = 3     # ready segments beside queue.segments_ahead (queue/segment.h)


class Device:
    """That of a folder's file system."""

    def __init__(self, at):
        self.at, device = at, os.stat(at).st_dev
        self.stat = pathlib.Path("/sys/dev/block/%d:%d/stat" % (
            os.major(device), os.minor(device)))

    def octets(self):
        fd = os.open(self.at, os.O_RDONLY)
        done = ctypes.CDLL(None).syncfs(fd)
        os.close(fd)
        must(done == 0, f"syncfs of {self.at}")
        return int(self.stat.read_text().split()[6]) * 512


class Threads:
    """Without a device: what log and index hand to the kernel.  The first
    page of a group, which is there in part, counts in part."""

    def __init__(self, box):
        self.box = box

    def octets(self):
        octets = 0
        for task in pathlib.Path(f"/proc/{self.box.daemon.pid}/task").iterdir():
            if (task / "comm").read_text().strip() in ("log", "store"):
                io = dict(line.split(": ") for line in
                          (task / "io").read_text().splitlines())
                octets += int(io["wchar"])
        return octets


def at_rest(box):
    """All mail is done with, the next checkpoint was made, and segments are
    ready as many as are to be."""
    ahead = int(box.set.get("queue.segments_ahead", 8)) + RESERVE

    def look():
        now = spool.status(box)
        return now["segments_free"] >= ahead and \
            now["segments"] - now["segments_free"] <= 2
    box.wait_for(look, 180, "the segments to be given back")


def lap(box, count, messages, total):
    """Deliver so many: octets written, new segments apart, and what the log
    has grown by."""
    def now():
        sizes = [f.stat().st_size for f in (box.spool / "log").iterdir()]
        # The first segment of all begins at the LSN of its size.
        return (count.octets() - sum(sizes),
                max(spool.status(box)["durable_lsn"], max(sizes)))
    before = now()
    box.fill(messages, own=True, campaign="live")
    box.wait_final(total, timeout=900)
    at_rest(box)
    return [b - a for a, b in zip(before, now())]


def laps(box, count, messages):
    at_rest(box)
    new, log = lap(box, count, messages, messages)
    events = box.events.stat().st_size
    used, again = lap(box, count, messages, 2 * messages)
    must(again < log * 1.1, f"the log grew by {log}, then by {again}")
    return {"disk_growing": new + log, "disk_recycled": used,
            "disk_events": box.events.stat().st_size - events}


def measure(mtaq, a, notes):
    """Octets a message octet."""
    a = argparse.Namespace(**{**vars(a), "domains": min(a.domains, 100)})
    why = disks.why_not("ext4")
    if why:
        notes.append(f"what a disk writes, but what is written to it: {why}")
    with spool.Spool(mtaq, "mtaq-octets", a) as box, \
            contextlib.ExitStack() as rest:
        count = Threads(box)
        if not why:
            disk = rest.enter_context(disks.Disk(
                box.dir, "ext4", 3 * 4096 * a.disk + (4 << 30)))
            box.spool, count = disk.at / "spool", Device(disk.at)
        box.start_sink("--fail", "rcpt=4:0.05")
        box.configure_from(changes={"retry": "[5s]"}).start_daemon()
        got = laps(box, count, a.disk)
        box.stop_daemon()
        sent = box.stop_sink()
        must(sent["recipients"] == 2 * a.disk, f"lost or doubled: {sent}")
    return {name: octets * 2 / sent["octets"] for name, octets in got.items()}
