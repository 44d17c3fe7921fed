#!/usr/bin/env python3
"""The demo with small numbers, whole and interrupted.

demo_test.py MTAQ
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def command(program, folder, *more):
    return [sys.executable, str(ROOT / "bench" / program), *more, "--mtaq",
            sys.argv[1], *(["--spool", folder] if folder else [])]


def whole(folder):
    done = subprocess.run(
        command("demo.py", folder, "--recipients", "600", "--transactional",
                "20", "--domains", "60", "--json"),
        capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    r = json.loads(done.stdout.splitlines()[-1])
    assert r["acknowledged"] == 620, r
    assert r["delivered"] + r["bounced"] == 620, r
    assert r["bounced"] > 0 and r["deferred_retries"] > 0, r
    assert r["contents_compared"] >= 600, r
    for key in ("queued", "lost", "false", "wrong", "doubled"):
        assert r[key] == 0, (key, r)
    assert "\033" not in done.stdout and "\r" not in done.stdout
    assert os.listdir(folder) == [], os.listdir(folder)


def processes_of(folder):
    found = []
    for d in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = d.read_bytes()
        except OSError:
            continue                                # it ended meanwhile
        if folder.encode() in words and b"demo_test" not in words:
            found.append(words)
    return found


def interrupted(folder):
    """Ctrl-C in the middle: nothing stays behind."""
    run = subprocess.Popen(
        command("demo.py", folder, "--recipients", "600", "--domains", "60",
                "--transactional", "5000"),
        stdout=subprocess.PIPE, text=True)
    for line in run.stdout:
        if line.startswith("the newsletter is on disk"):
            break
    assert len(processes_of(folder)) >= 3, processes_of(folder)
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 130, (run.returncode, out)
    assert processes_of(folder) == [], processes_of(folder)
    assert os.listdir(folder) == [], os.listdir(folder)


def main():
    for test in (whole, interrupted):
        with tempfile.TemporaryDirectory(prefix="mtaq-demo-test-") as folder:
            test(folder)
        print("ok", test.__name__, flush=True)


if __name__ == "__main__":
    main()
