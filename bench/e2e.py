"""bench/run.sh e2e: mail submitted and delivered at the same time.

Four connections submit 200,000 messages of 4 KiB over 100 domains as fast as
they are taken; the daemon delivers meanwhile.  The rate is that of the sink's
ledger, from the 5th to the 95th per cent.
"""
from rig import (Lines, Rig, alive, all_there, cpu_s, must, rate, times_ms,
                 wait_lines)

UNITS = {
    "delivered_per_s": "messages/s",
    "accepted_per_s": "messages/s",
    "daemon_cpu_ms_per_1000": "ms of CPU/1000 messages",
}
SMOKE = {"messages": 3000, "domains": 10}


def options(p):
    p.add_argument("--messages", type=int, default=200000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--domains", type=int, default=100)
    p.add_argument("--clients", type=int, default=4)


def flow(box, messages, *load):
    """Submit and wait for the last delivery: the load's own words."""
    done = box.load("--messages", messages, *load, timeout=900)
    must(done["accepted"] == messages, str(done))
    wait_lines(Lines(box.ledger_file), done["recipients"], 900, alive(box))
    return done


def run(mtaq, a):
    with Rig(mtaq, "mtaq-e2e", a) as box:
        box.start_sink("--domains", a.domains, "--ledger-ok-only",
                       listen=f"127.0.1.1-127.0.1.{min(a.domains, 250)}")
        box.configure_from("deliver.yaml", grouping="auto").start_daemon()
        cpu = cpu_s(box.daemon.pid)
        done = flow(box, a.messages, "--size", a.size, "--domains", a.domains,
                    "--clients", a.clients)
        out = {"accepted_per_s": done["rate"],
               "delivered_per_s": rate(times_ms(box.ledger_file)),
               "daemon_cpu_ms_per_1000":
               (cpu_s(box.daemon.pid) - cpu) * 1e6 / a.messages}
        all_there(box, a.messages)
        return out
