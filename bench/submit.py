"""bench/run.sh submit: how fast messages are accepted, that is: on disk.

One and 64 connections to the submission socket; each of them either waits for
every answer (`_waiting`) or sends on and reads the answers as they come.  A
recipient and 4 KiB a message; their campaign is paused.
"""
from rig import Rig, cpu_s, must

SMOKE = {"messages": 2000}
UNITS = {}
for clients in (1, 64):
    for how in ("waiting", "streaming"):
        UNITS[f"clients_{clients}_{how}"] = "messages/s"
UNITS["daemon_cpu_ms_per_1000"] = "ms of CPU/1000 messages"


def options(p):
    p.add_argument("--messages", type=int, default=100000,
                   help="of each streaming part; a tenth where clients wait "
                   "(100000)")
    p.add_argument("--size", type=int, default=4096)


def run(mtaq, a):
    out, total = {}, 0
    with Rig(mtaq, "mtaq-submit", a) as box:
        # Nobody listens there, and nobody is asked.
        box.configure_from("deliver.yaml", grouping="auto",
                           dns="127.0.0.1:9", smtp_port=9)
        box.start_daemon()
        box.run("campaign", "pause", "news", "-c", box.conf)
        cpu = cpu_s(box.daemon.pid)
        for name in UNITS:
            if not name.startswith("clients_"):
                continue
            _, clients, how = name.split("_")
            waits = how == "waiting"
            n = a.messages // 10 if waits else a.messages
            done = box.load("--messages", n, "--size", a.size, "--clients",
                            clients, "--campaign", "news", "--start", total, "--batch",
                            1 if waits else 0)
            must(done["accepted"] == n, str(done))
            out[name] = done["rate"]
            total += n
        out["daemon_cpu_ms_per_1000"] = \
            (cpu_s(box.daemon.pid) - cpu) * 1e6 / total
        box.stop_daemon()
    return out
