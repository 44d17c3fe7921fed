#!/usr/bin/env python3
"""A test that is ended leaves no process, mount or folder behind.

	test_ending.py MTAQ [NAME...]

This program again as the test that is ended: "hold" makes a box with a sink, a
daemon, one more process and, where it may, a mount.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import disks
import ending
from harness import Box, main, must

CAN_MOUNT = disks.why_not("tmpfs") is None


def hold(mtaq):
    """What there is, in JSON; then wait for the end, in a thread too."""
    with Box(mtaq, name="mtaq-ending") as box:
        if CAN_MOUNT:
            disks.Tmpfs(box.dir / "spool", 200 << 10)
        box.start_sink()
        box.configure().start_daemon()
        other = ending.start(["sleep", "infinity"])
        threading.Thread(target=other.wait).start()
        print(json.dumps({"folder": str(box.dir), "pids": [
            box.sink.pid, box.daemon.pid, other.pid]}), flush=True)
        signal.pause()


def is_there(pid):
    """Alive: whoever is adopted and waited for by nobody is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended_by(mtaq, number):
    p = subprocess.Popen([sys.executable, __file__, mtaq, "hold"],
                         stdout=subprocess.PIPE, text=True)
    what = json.loads(p.stdout.readline())
    must(all(map(is_there, what["pids"])), "the box is not there")
    p.send_signal(number)
    code = p.wait(60)
    p.stdout.close()
    Box.wait_for(lambda: not any(map(is_there, what["pids"])), 60,
                 "the end of its processes")
    return code, pathlib.Path(what["folder"])


def a_signal_leaves_nothing(mtaq):
    for number in (signal.SIGTERM, signal.SIGINT):
        code, folder = ended_by(mtaq, number)
        must(code == 128 + number, f"it ended with {code}")
        must(not folder.exists(), f"{folder} is there")
        with open("/proc/self/mounts", encoding="utf-8") as f:
            must(str(folder) not in f.read(), f"{folder} is mounted")


def a_kill_leaves_no_process(mtaq):
    """Nobody is there to remove the folder; its mount is the namespace's."""
    code, folder = ended_by(mtaq, signal.SIGKILL)
    must(code == -signal.SIGKILL, f"it ended with {code}")
    if CAN_MOUNT:
        subprocess.run(["umount", "-l", folder / "spool"], check=True)
    subprocess.run(["rm", "-r", folder], check=True)


if __name__ == "__main__":
    if sys.argv[2:] == ["hold"]:
        hold(sys.argv[1])
    main([a_signal_leaves_nothing, a_kill_leaves_no_process])
