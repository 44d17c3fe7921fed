"""bench/run.sh deliver: how fast a full queue is delivered.

One campaign of 500,000 messages of 4 KiB, a recipient each, over 100
domains, is submitted while nothing may be sent; then it is let go.  The rate
is that of the sink's own ledger, from the 5th to the 95th per cent of the
deliveries.  Sink, daemon and load maker share the machine.  In each run first
bench_limit at one round trip a message, then the daemon on each back end
(--backends), in turns which one goes first.
"""
import signal
import subprocess

from rig import (Lines, Rig, all_there, cpu_s, memory_mib, must, rate,
                 threads_cpu_s, times_ms, wait_lines, yardstick)

CAMPAIGN = "news"
PER_SESSION_MIN = 50
UNITS = {
    "limit_1_per_s": "messages/s",
    "delivered_per_s": "messages/s",
    "epoll_delivered_per_s": "messages/s",
    "per_limit_1": "of the limit's rate",
    "cpu_per_limit_1": "times the limit's CPU, daemon or client and sink",
    "io_uring_per_epoll": "of epoll's rate",
    "submitted_per_s": "messages/s",
    "daemon_cpu_ms_per_1000": "ms of CPU/1000 messages",
    "worker_user_percent": "% of the workers' CPU in user space",
    "worker_user_us": "us of user time a message, all workers",
    "worker_kernel_us": "us of kernel time a message, all workers",
    "sink_cpu_ms_per_1000": "ms of CPU/1000 messages",
    "messages_per_session": f"messages (at least {PER_SESSION_MIN})",
    "rss_anon_mib": "MiB",
    "rss_peak_mib": "MiB",
}
WANTED = [("per_limit_1", ">=", 0.4), ("io_uring_per_epoll", ">=", 0.97),
          ("worker_user_percent", "<=", 25)]
SMOKE = {"messages": 2000, "domains": 10}
PLOT = {"messages/s": [("limit", "limit_1_per_s"),
                       ("io_uring", "delivered_per_s"),
                       ("epoll", "epoll_delivered_per_s"),
                       ("submitted", "submitted_per_s")]}


def options(p):
    p.add_argument("--messages", type=int, default=500000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--domains", type=int, default=100)
    p.add_argument("--grouping", choices=["auto", "off", "on"],
                   default="auto", help="session.grouping of the daemon")
    p.add_argument("--delay", type=int, default=0, metavar="MS",
                   help="of each of the sink's replies")
    p.add_argument("--backends", choices=["both", "one"], default="both",
                   help="io_uring and epoll, or the one of --io")
    p.add_argument("--profile", metavar="FILE",
                   help="perf record the daemon while it delivers")


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
    lines, pid = Lines(box.ledger_file), box.daemon.pid
    rss = [memory_mib(pid)["RssAnon"]]
    sink0, daemon0 = cpu_s(box.sink.pid), cpu_s(pid)
    user0, system0 = threads_cpu_s(pid, "worker")

    def alive():
        must(box.daemon.poll() is None, "the daemon has ended")
        rss.append(memory_mib(pid)["RssAnon"])
    profile = Profile(pid, a.profile)
    box.run("campaign", "resume", CAMPAIGN, "-c", box.conf)
    try:
        wait_lines(lines, a.messages, 600, alive)
    finally:
        profile.stop()
    user, system = threads_cpu_s(pid, "worker")
    user, system = user - user0, system - system0
    k = a.messages / 1000
    return {
        "daemon_cpu_ms_per_1000": (cpu_s(pid) - daemon0) * 1000 / k,
        "sink_cpu_ms_per_1000": (cpu_s(box.sink.pid) - sink0) * 1000 / k,
        "worker_user_percent": 100 * user / max(user + system, 0.01),
        "worker_user_us": user * 1000 / k,
        "worker_kernel_us": system * 1000 / k,
        "rss_anon_mib": max(rss),
        "rss_peak_mib": memory_mib(pid)["VmHWM"],
    }


def one(mtaq, a, backend):
    with Rig(mtaq, "mtaq-deliver", a) as box:
        box.io = backend
        box.start_sink("--domains", a.domains, "--ledger-ok-only",
                       "--delay", a.delay,
                       listen=f"127.0.1.1-127.0.1.{min(a.domains, 250)}")
        box.configure_from("deliver.yaml",
                           grouping=a.grouping).start_daemon()
        out = {"submitted_per_s": fill(box, a)}
        out |= drain(box, a)
        out["delivered_per_s"] = rate(times_ms(box.ledger_file))
        s = all_there(box, a.messages)
        out["messages_per_session"] = s["messages_per_session"]["mean"]
        if a.messages >= 100 * a.domains * 10:
            must(out["messages_per_session"] >= PER_SESSION_MIN,
                 f"only {out['messages_per_session']} messages a session")
        return out


def limit(mtaq, a):
    with Rig(mtaq, "mtaq-limit") as box:
        box.start_sink("--ledger-ok-only", dns=False)
        got = yardstick(mtaq, "limit", box.sink_smtp, "--trips", 1,
                        "--messages", a.messages, "--size", a.size)
        cpu = got["cpu_s"] + cpu_s(box.sink.pid)
        return got["messages_s"], cpu * 1e6 / got["messages"]


def run(mtaq, a):
    top, cpu = limit(mtaq, a)
    both = ["io_uring", "epoll"] if a.backends == "both" else [a.io]
    got = {}
    for backend in reversed(both) if a.turn % 2 else both:
        got[backend] = one(mtaq, a, backend)
    out = got[both[0]]
    out |= {"limit_1_per_s": top, "per_limit_1": out["delivered_per_s"] / top,
            # What others do to the machine enters less into this one.
            "cpu_per_limit_1": (out["daemon_cpu_ms_per_1000"] +
                                out["sink_cpu_ms_per_1000"]) / max(cpu, 1e-3)}
    if a.backends == "both":
        epoll = got["epoll"]["delivered_per_s"]
        out |= {"epoll_delivered_per_s": epoll,
                "io_uring_per_epoll": out["delivered_per_s"] / epoll}
    return out
