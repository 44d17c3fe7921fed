"""bench/run.sh drip: 10,000 slow servers beside healthy ones.

10,000 servers (a domain and a site each) say one octet a second; 100 healthy
domains, reached by `routes:`, are delivered to from a full queue three times
(and once before that, not counted):

    quiet       nobody else is there
    baseline    a bare holder has a connection to each of the slow servers, and
                reads nothing: what their octets cost the machine, alone
    healthy     the daemon has them

The slow servers are another process, and so is the healthy sink.  In the end
the dripping mail is still queued, and nothing of the rest is missing.
"""
import contextlib
import socket
import time

from connections import SPARE, connections_of, descriptors
from rig import (Lines, Rig, alive, cpu_s, must, rate, times_ms, wait_lines)

HEALTHY = 100
ZONE = "healthy"
UNITS = {
    "quiet_per_s": "messages/s to the healthy, without the others",
    "baseline_per_s": "messages/s, a bare holder has the others",
    "healthy_per_s": "messages/s, the daemon has them",
    "healthy_per_baseline": "of the baseline",
    "healthy_per_quiet": "of the rate without the others",
    "dripping": "sessions at an octet a second",
    "drip_sink_cpu_percent": "% of a core for the slow servers themselves",
}
WANTED = [("healthy_per_baseline", ">=", 0.95)]
SMOKE = {"messages": 1000, "servers": 100}
PLOT = {"messages/s": [("without", "quiet_per_s"),
                       ("held", "baseline_per_s"),
                       ("beside", "healthy_per_s")]}


def options(p):
    p.add_argument("--messages", type=int, default=150000,
                   help="to the healthy, before and meanwhile")
    p.add_argument("--servers", type=int, default=10000)
    p.add_argument("--size", type=int, default=4096)


def blocks_of(servers):
    return max(min(servers // 250, 10), 1)


class Slow(Rig):
    """The servers that drip, and the daemon, whose DNS knows only these."""

    def start_slow(self, servers):
        # 250 addresses are a block; four servers share an address.
        blocks = blocks_of(servers)
        more = [word for b in range(1, blocks)
                for word in ("--listen", f"127.0.{20 + b}.1-127.0.{20 + b}.250")]
        return self.start_sink("--domains", servers, "--tarpit", 1,
                               "--tarpit-ms", 1000, *more,
                               listen="127.0.20.1-127.0.20.250")

    @staticmethod
    def address(i, servers, port):
        block, host = divmod(i % (250 * blocks_of(servers)), 250)
        return f"127.0.{20 + block}.{host + 1}", port


def configure(slow, healthy):
    port = healthy.sink_smtp.rpartition(":")[2]
    slow.configure_from("deliver.yaml", grouping="auto", changes={
        # Short: mail that drips is not waited for at the end.
        "stop_grace": "0s", "min_free": "64MiB"})
    routes = "".join(f'  d{i}.{ZONE}: "127.0.3.{i % 250 + 1}:{port}"\n'
                     for i in range(HEALTHY))
    slow.conf.write_text(slow.conf.read_text() + "routes:\n" + routes)


def deliver(slow, healthy, a, turn):
    """One full queue to the healthy: their rate."""
    name = f"news{turn}"
    lines = Lines(healthy.ledger_file)
    before = lines.read()
    slow.run("campaign", "pause", name, "-c", slow.conf)
    done = slow.load("--messages", a.messages, "--size", a.size, "--domains",
                     HEALTHY, "--zone", ZONE, "--clients", 4, "--campaign",
                     name, "--tag", name, timeout=600)
    must(done["accepted"] == a.messages, str(done))
    slow.run("campaign", "resume", name, "-c", slow.conf)
    wait_lines(lines, before + a.messages, 600, alive(slow))
    return rate(times_ms(healthy.ledger_file)[before:])


@contextlib.contextmanager
def held(slow, servers):
    """As many connections as drip() makes, of nobody who does anything."""
    first = connections_of(slow.sink)
    port = int(slow.sink_smtp.rpartition(":")[2])
    with contextlib.ExitStack() as all_of:
        for i in range(servers):
            conn = socket.create_connection(slow.address(i, servers, port))
            all_of.enter_context(conn)
        yield
    wait_connections(slow, lambda n: n - first < 10, "they are not let go")


def wait_connections(slow, are_enough, wrong):
    end = time.monotonic() + 120
    while not are_enough(connections_of(slow.sink)):
        must(time.monotonic() < end,
             f"{wrong}: {connections_of(slow.sink)} connections")
        time.sleep(0.05)        # of another process: no event to wait for


def drip(slow, a):
    """A message for each slow server, until all of them have a session.  What
    descriptors their process had before."""
    first = connections_of(slow.sink)
    done = slow.load("--messages", a.servers, "--size", 1024, "--domains",
                     a.servers, "--tag", "slow", "--campaign", "slow")
    must(done["accepted"] == a.servers, str(done))
    wait_connections(slow, lambda n: n - first >= a.servers, "too few")
    return first


def run(mtaq, a):
    room = descriptors() - SPARE
    must(a.servers < room, f"RLIMIT_NOFILE is {room + SPARE}")
    with Rig(mtaq, "mtaq-healthy", a) as healthy, \
            Slow(mtaq, "mtaq-drip", a) as slow:
        healthy.start_sink("--ledger-ok-only", dns=False,
                           listen="127.0.3.1-127.0.3.250")
        slow.start_slow(a.servers)
        configure(slow, healthy)
        slow.start_daemon()
        deliver(slow, healthy, a, 0)    # new segments, a cold cache
        out = {"quiet_per_s": deliver(slow, healthy, a, 1)}
        with held(slow, a.servers):
            out["baseline_per_s"] = deliver(slow, healthy, a, 2)
        idle = drip(slow, a)
        cpu, begin = cpu_s(slow.sink.pid), time.monotonic()
        out["healthy_per_s"] = deliver(slow, healthy, a, 3)
        out["dripping"] = connections_of(slow.sink) - idle
        out["drip_sink_cpu_percent"] = 100 * \
            (cpu_s(slow.sink.pid) - cpu) / (time.monotonic() - begin)
        slow.stop_daemon()
        s = healthy.stop_sink()
        must(s["recipients"] == 4 * a.messages, f"lost or doubled: {s}")
        s = slow.stop_sink()
        must(s["recipients"] == 0 and s["peak_connections"] >= a.servers,
             f"the slow servers were too fast: {s}")
    for than in ("baseline", "quiet"):
        out[f"healthy_per_{than}"] = out["healthy_per_s"] / out[f"{than}_per_s"]
    return out
