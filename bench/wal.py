"""bench/run.sh wal: what the disk can do: append a group, fdatasync, again.

bench_wal writes a file over that was written full before, as the queue's
segments are; a message is 4 KiB and what a record adds to it.  In the folder
of the spool (--dir, by default that of temporary files).
"""
import pathlib
import tempfile

from rig import yardstick

RECORD = 200        # head and envelope of a message with one recipient
GROUPS = (1, 10, 64, 100, 1000)
UNITS = {f"group_{n}": "messages/s" for n in GROUPS}
UNITS |= {f"sync_{n}_p50_us": "us" for n in GROUPS}
UNITS |= {f"sync_{n}_p99_us": "us" for n in GROUPS}
SMOKE = {"messages": 500}


def options(p):
    p.add_argument("--messages", type=int, default=200000,
                   help="at most, in each size of groups")
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--dir", type=pathlib.Path, default=tempfile.gettempdir())


def measure(mtaq, file, messages, size, group):
    """Not more than 4,000 syncs, and some at least."""
    messages = max(min(messages, 4000 * group), 10 * group)
    return yardstick(mtaq, "wal", file, "--messages", messages, "--size",
                     size + RECORD, "--group", group)


def run(mtaq, a):
    out = {}
    with tempfile.TemporaryDirectory(prefix="mtaq-wal-", dir=a.dir) as folder:
        for n in GROUPS:
            got = measure(mtaq, f"{folder}/log", a.messages, a.size, n)
            out[f"group_{n}"] = got["messages_s"]
            out[f"sync_{n}_p50_us"] = got["p50_us"]
            out[f"sync_{n}_p99_us"] = got["p99_us"]
    return out
