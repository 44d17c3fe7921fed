"""bench/run.sh deliver: how fast a full queue is delivered.

One campaign of 500,000 messages of 4 KiB, a recipient each, over 100
domains, is submitted while nothing may be sent; then it is let go.  The rate
is that of the sink's own ledger, from the 5th to the 95th per cent of the
deliveries.  Sink, daemon and load maker share the machine.
"""
import signal
import subprocess

from rig import (Lines, Rig, cpu_s, machine_cpu_s, memory_mib, must,
                 wait_lines)

CAMPAIGN = "news"
PER_SESSION_MIN = 50
SMOKE = {"messages": 3000, "domains": 10}
UNITS = {
    "delivered_per_s": "messages/s",
    "submitted_per_s": "messages/s",
    "daemon_cpu_ms_per_1000": "ms of CPU/1000 messages",
    "sink_cpu_ms_per_1000": "ms of CPU/1000 messages",
    "messages_per_session": f"messages (at least {PER_SESSION_MIN})",
    "rss_anon_mib": "MiB",
    "rss_peak_mib": "MiB",
}


def options(p):
    p.add_argument("--messages", type=int, default=500000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--domains", type=int, default=100)
    p.add_argument("--grouping", choices=["auto", "off", "on"],
                   default="auto", help="session.grouping of the daemon")
    p.add_argument("--delay", type=int, default=0, metavar="MS",
                   help="of each of the sink's replies")
    p.add_argument("--profile", metavar="FILE",
                   help="perf record the daemon while it delivers")


def times_ms(path):
    with open(path, "rb") as f:
        return sorted(int(line.split(b"\t", 1)[0]) for line in f)


def rate(ms):
    a, b = len(ms) * 5 // 100, len(ms) * 95 // 100
    return (b - a) * 1000 / max(ms[b] - ms[a], 1)


def fill(box, a):
    """Submit everything while the campaign is paused."""
    box.run("campaign", "pause", CAMPAIGN, "-c", box.conf)
    done = box.load("--messages", a.messages, "--size", a.size, "--domains",
                    a.domains, "--clients", 4, "--campaign", CAMPAIGN,
                    timeout=600)
    must(done["accepted"] == a.messages, str(done))
    must(not box.ledger_file.stat().st_size, "the pause did not hold")
    return done["rate"]


class Profile:
    """perf record on the daemon; call graphs by frame pointers."""

    def __init__(self, pid, path):
        self.perf = path and subprocess.Popen(
            ["perf", "record", "-q", "-F", "499", "--call-graph", "fp",
             "-o", path, "-p", str(pid)])

    def stop(self):
        if self.perf:
            self.perf.send_signal(signal.SIGINT)
            self.perf.wait(60)


def drain(box, a):
    lines, rss = Lines(box.ledger_file), [0.0]
    sink0, daemon0 = cpu_s(box.sink.pid), cpu_s(box.daemon.pid)

    def alive():
        must(box.daemon.poll() is None, "the daemon has ended")
        rss.append(memory_mib(box.daemon.pid)["RssAnon"])
    used0, there0 = machine_cpu_s()
    profile = Profile(box.daemon.pid, a.profile)
    box.run("campaign", "resume", CAMPAIGN, "-c", box.conf)
    try:
        wait_lines(lines, a.messages, 600, alive)
    finally:
        profile.stop()
    daemon, sink = cpu_s(box.daemon.pid) - daemon0, \
        cpu_s(box.sink.pid) - sink0
    used, there = machine_cpu_s()
    k = a.messages / 1000
    return {
        "daemon_cpu_ms_per_1000": daemon * 1000 / k,
        "sink_cpu_ms_per_1000": sink * 1000 / k,
        "others_cpu_percent": 100 * (used - used0 - daemon - sink) /
        (there - there0),
        "rss_anon_mib": max(rss),
        "rss_peak_mib": memory_mib(box.daemon.pid)["VmHWM"],
    }


def run(mtaq, a):
    with Rig(mtaq, "mtaq-deliver", a) as box:
        box.start_sink("--domains", a.domains, "--ledger-ok-only",
                       "--delay", a.delay,
                       listen=f"127.0.1.1-127.0.1.{min(a.domains, 250)}")
        box.configure_from("deliver.yaml",
                           grouping=a.grouping).start_daemon()
        out = {"submitted_per_s": fill(box, a)}
        out |= drain(box, a)
        box.stop_daemon()
        out["delivered_per_s"] = rate(times_ms(box.ledger_file))
        s = box.stop_sink()
        must(s["recipients"] == a.messages, f"delivered twice: {s}")
        out["messages_per_session"] = s["messages_per_session"]["mean"]
        if a.messages >= 100 * a.domains * 10:
            must(out["messages_per_session"] >= PER_SESSION_MIN,
                 f"only {out['messages_per_session']} messages a session")
        return out
