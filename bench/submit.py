"""bench/run.sh submit: how fast messages are accepted, that is: on disk.

1, 64 and 256 connections to the submission socket that wait for every answer;
one, and four, that wait after batches of 100; and 1 and 64 that send on and
read the answers as they come.  Those that wait share a thread of the load, 64
each, so that the daemon and not the load's scheduling is measured.
A recipient and 4 KiB a message; their campaign is paused.

After each part bench_wal writes groups of the size that the daemon's had (its
own count: messages a fdatasync; not less than a batch), in the same folder.
Before that the daemon has made new segments, which it does in idle time: they
are not written beside bench_wal, and each part finds as many as a daemon has
that was idle before it (8 of 64 MiB; bench_wal's file is written before its
clock runs too).
"""
import json
import socket
import time

from rig import Rig, cpu_s, must
from wal import measure

# name: connections, messages between two waits (0: never)
WAYS = {"clients_1": (1, 1), "clients_64": (64, 1), "clients_256": (256, 1),
        "batches": (1, 100), "batches_4": (4, 100),
        "stream_1": (1, 0), "stream_64": (64, 0)}
UNITS = {name: "messages/s" for name in WAYS}
UNITS |= {f"{name}_group": "messages/fdatasync" for name in WAYS}
UNITS |= {f"{name}_wal": "messages/s, bare, same groups" for name in WAYS}
UNITS |= {f"{name}_per_wal": "of the bare rate" for name in WAYS}
UNITS["daemon_cpu_ms_per_1000"] = "ms of CPU/1000 messages"
WANTED = [("clients_64_per_wal", ">=", 0.5), ("batches_per_wal", ">=", 0.4)]
SMOKE = {"messages": 500}
PLOT = {"mtaq": [(name, name) for name in WAYS],
        "bare": [(name, f"{name}_wal") for name in WAYS]}


def options(p):
    p.add_argument("--messages", type=int, default=100000,
                   help="of each part; half where one at a time is waited "
                   "for, a tenth with one client (100000)")
    p.add_argument("--size", type=int, default=4096)


def scrape(path):
    """What the daemon counts, by name."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
                  b"Connection: close\r\n\r\n")
        text = b""
        while block := s.recv(65536):
            text += block
    found = {}
    for line in text.decode().splitlines():
        name, _, value = line.rpartition(" ")
        found[name] = value
    return found


def groups(path):
    """(groups, records in them) so far, by the daemon's own count."""
    found = scrape(path)
    return (float(found["mtaq_log_group_records_count"]),
            float(found["mtaq_log_group_records_sum"]))


def settle(box, segments):
    """Until so many segments are ready, and the daemon rests."""
    end = time.monotonic() + 60
    rests = False
    while not rests:
        must(time.monotonic() < end, "the daemon does not come to rest")
        cpu = cpu_s(box.daemon.pid)
        time.sleep(0.2)               # a span of time to count in
        free = scrape(box.dir / "metrics.sock")[
            'mtaq_log_segments{state="free"}']
        rests = float(free) >= segments and \
            cpu_s(box.daemon.pid) - cpu <= 0.02


def part(box, a, clients, batch, start):
    n = a.messages // (1 if batch != 1 else 10 if clients == 1 else 2)
    n = max(n, clients)
    groups0, records0 = groups(box.dir / "metrics.sock")
    # Without --accepted: nobody reads that list here.
    done = box.run("load", "--socket", box.dir / "run" / "submit.sock",
                   "--messages", n, "--size", a.size, "--clients", clients,
                   "--campaign", "news", "--start", start, "--batch", batch)
    done = json.loads(done.stdout.splitlines()[-1])
    must(done["accepted"] == n, str(done))
    count, records = groups(box.dir / "metrics.sock")
    group = round((records - records0) / max(count - groups0, 1))
    return n, done["rate"], max(group, batch, 1)


def run(mtaq, a):
    out, total = {}, 0
    with Rig(mtaq, "mtaq-submit", a) as box:
        # Nobody listens there, and nobody is asked.
        box.configure_from("deliver.yaml", grouping="auto", dns="127.0.0.1:9",
                           smtp_port=9, changes={
                               "metrics.listen": box.dir / "metrics.sock",
                               "limits.submitters": 300})
        box.start_daemon()
        box.run("campaign", "pause", "news", "-c", box.conf)
        # Of mail, and three for what is owed to it.
        segments = int(box.set.get("queue.segments_ahead", 8)) + 3
        settle(box, segments)
        cpu = cpu_s(box.daemon.pid)
        for name, (clients, batch) in WAYS.items():
            n, out[name], group = part(box, a, clients, batch, total)
            total += n
            settle(box, segments)
            bare = measure(mtaq, box.dir / "wal", min(n, 50000), a.size,
                           group)["messages_s"]
            out[f"{name}_group"], out[f"{name}_wal"] = group, bare
            out[f"{name}_per_wal"] = out[name] / bare
        out["daemon_cpu_ms_per_1000"] = \
            (cpu_s(box.daemon.pid) - cpu) * 1e6 / total
        queued = box.run("status", "--json", "-c", box.conf).stdout
        must(str(total) in queued, f"{total} were accepted: {queued}")
        box.stop_daemon()
    return out
