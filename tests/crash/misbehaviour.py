#!/usr/bin/env python3
"""Every misbehaviour of the sink, one after the other, against the ledger.

	misbehaviour.py MTAQ [--recipients N] [--jobs N] [--json] [NAME...]

Each case has a daemon and a sink of its own and its share of N recipients
(100,000); `jobs` of them run at once.  After each: lost = false = wrong = 0,
every recipient came to an end, second copies only where the case says why,
and the daemon stood still without burning CPU, in bounded memory.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import Box, Failed, must  # noqa: E402

# Times short enough that what is deferred comes again within the test.
QUICK = {
    "retry": '["1s"]', "greylist": "1s", "mailbox_full": "1s",
    "unsure__first": "1s", "unsure__max": "100",
    "host__bad_first": "50ms", "host__bad_max": "500ms",
    "site__connections": "20", "site__connects_per_second": "1000",
    "session__idle": "1s", "stop_grace": "5s",
}
TIMES = {f"smtp__timeout__{k}": "500ms" for k in
         ("greeting", "ehlo", "mail", "rcpt", "data", "dot", "rset", "quit")}
STAGES = ("connect", "greeting", "ehlo", "mail", "rcpt", "data", "content",
          "eod")
SPREAD = "127.0.0.2-127.0.0.9"
MEMORY_MAX_KB = 400 << 10
SAID = {  # second copies that are the server's doing
    "tarpit": "the answer to the dot came too slowly to be waited for",
}


def cases():
    """name: (options of the sink, changes of the configuration)"""
    c = {}
    for stage in STAGES[1:]:
        c[f"4xx-{stage}"] = (["--fail", f"{stage}=4:0.2"], {})
        if stage not in ("greeting", "ehlo"):
            c[f"5xx-{stage}"] = (["--fail", f"{stage}=5:0.2"], {})
    for stage in STAGES:
        c[f"drop-{stage}"] = (["--drop", f"{stage}=0.1"], {})
        c[f"reset-{stage}"] = (["--drop", f"{stage}=0.1", "--reset"], {})
        c[f"hang-{stage}"] = (["--hang", f"{stage}=0.05"], TIMES)
    for trick in ("miss", "dup", "stray"):
        for stage in ("greeting", "ehlo", "mail", "rcpt", "data", "eod"):
            c[f"{trick}-{stage}"] = ([f"--{trick}", f"{stage}=0.1"], TIMES)
    c.update(single_cases())
    return c


def single_cases():
    expire = {"age_limit": "4s"}
    return {
        "greylist": (["--greylist", 2], {}),
        # 5yz alone: with 4yz their words ask for minutes of patience.
        "providers": (["--providers", "--fail", "rcpt=5:0.2,eod=5:0.1"], {}),
        "messages-max": (["--messages-max", 3], {}),
        "messages-silent": (["--messages-max", 3, "--messages-silent"], {}),
        "tarpit": (["--tarpit", 0.2, "--tarpit-ms", 5], TIMES),
        "split": (["--split"], {}),
        "connections-max": (["--connections-max", 2], {}),
        "rcpt-max": (["--rcpt-max", 3], {}),
        "rcpt-max-and-4xx": (["--rcpt-max", 3, "--fail",
                              "rcpt=4:0.3,rcpt=5:0.1"], {}),
        "idle-close": (["--idle-ms", 200], {"session__idle": "3s"}),
        "data-always": (["--data-always", "--fail", "rcpt=4:0.3,rcpt=5:0.2"],
                        {}),
        "no-pipelining": (["--no-pipelining", "--fail", "rcpt=4:0.1"], {}),
        "no-enhanced": (["--no-enhanced", "--fail", "rcpt=4:0.1,rcpt=5:0.1"],
                        {}),
        "bare": (["--no-pipelining", "--no-chunking", "--no-8bitmime",
                  "--no-smtputf8", "--no-dsn", "--size", 0], {}),
        "small-size": (["--size", 3000], {}),
        "dead-first": (["--mx", 2, "--dead-first", 1], {}),
        "dead-only": (["--mx", 1, "--dead-first", 0.5], expire),
        "always-4xx": (["--fail", "rcpt=4:0.5", "--stubborn"], expire),
        "nxdomain": (["--nxdomain", 0.5], {}),
        "null-mx": (["--null-mx", 0.5], {}),
        "no-mx": (["--no-mx", 1], {}),
        "servfail": (["--servfail", 0.5], expire),
        "dns-timeout": (["--timeout", 0.5], {"dns__timeout": "200ms",
                                             **expire}),
        "dns-truncate": (["--dns-truncate"], {}),
        "shared-sites": (["--sites", 2, "--mx", 3, "--drop", "eod=0.05"], {}),
        "all-at-once": (["--fail", "rcpt=4:0.1,rcpt=5:0.05,eod=4:0.05",
                         "--drop", "mail=0.02,eod=0.05", "--mx", 2,
                         "--dead-first", 0.2, "--rcpt-max", 5,
                         "--messages-max", 10], TIMES),
    }


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        col = f.read().rpartition(")")[2].split()
    return (int(col[11]) + int(col[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmHWM"))


def stands_still(pid):
    """With nothing left to do, a second costs next to no CPU."""
    before = cpu_seconds(pid)
    time.sleep(1)                       # the span that is measured
    used = cpu_seconds(pid) - before
    must(used < 0.3, f"idle, it used {used:.2f} s of CPU in a second")


def run_case(mtaq, name, sink, changes, recipients):
    rcpts = 5 if recipients >= 50 else 1
    messages = max(recipients // rcpts, 1)
    begin = time.monotonic()
    with Box(mtaq, name="mtaq-" + name) as box:
        box.start_sink("--domains", 20, *sink, listen=SPREAD)
        box.configure(**{**QUICK, **changes}).start_daemon()
        box.load("--messages", messages, "--rcpts", rcpts, "--domains", 20)
        box.wait_final(messages * rcpts, timeout=180 + recipients / 50)
        pid = box.daemon.pid
        memory = memory_kb(pid)
        stands_still(pid)
        box.stop_daemon()
        must(memory < MEMORY_MAX_KB, f"it took {memory} KiB of memory")
        r = box.equation()
        must(r["events_doubled"] == 0, f"events doubled: {r}")
        must(r["extra"] == 0 or name in SAID, f"second copies: {r}")
    return {"case": name, "recipients": messages * rcpts,
            "seconds": round(time.monotonic() - begin, 1),
            "memory_kb": memory,
            **{k: r.get(k, 0) for k in ("delivered", "bounced", "expired",
                                        "lost", "false", "wrong", "extra")}}


def run_all(args):
    todo = {n: c for n, c in cases().items()
            if not args.names or n in args.names}
    share = max(args.recipients // len(todo), 1)
    bad, done = 0, []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = {pool.submit(run_case, args.mtaq, n, *c, share): n
                for n, c in todo.items()}
        for run in concurrent.futures.as_completed(runs):
            try:
                done.append(run.result())
                print("ok  ", json.dumps(done[-1]), flush=True)
            except (Failed, AssertionError, OSError) as e:
                bad += 1
                print(f"FAIL {runs[run]}: {e}", flush=True)
    return bad, done


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("mtaq")
    p.add_argument("names", nargs="*")
    p.add_argument("--recipients", type=int, default=100000)
    p.add_argument("--jobs", type=int, default=8)
    p.add_argument("--json", action="store_true")
    args = p.parse_intermixed_args()
    bad, done = run_all(args)
    total = {k: sum(d[k] for d in done) for k in
             ("recipients", "delivered", "bounced", "expired", "lost",
              "false", "wrong", "extra")}
    total.update(cases=len(done), failed=bad)
    print(json.dumps({"bench": "misbehaviour", **total}) if args.json else
          "  ".join(f"{k} {v}" for k, v in total.items()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
