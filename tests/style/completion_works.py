#!/usr/bin/env python3
"""The completions, in the shells themselves: what a TAB makes of a line.

completion_works.py CONF/COMPLETION.  bash and zsh run in a pseudo terminal and
are typed at; fish is asked with `complete -C`.  A shell that is not installed
is named and left out.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LINES = [                     # typed, and the words that it must become
    ("expl", "explain"),
    ("tra", "trace"),
    ("queue can", "queue cancel"),
    ("campaign pau", "campaign pause"),
    ("site sho", "site show"),
    ("queue list --old", "queue list --older-than"),
    ("queue list --state dam", "queue list --state damaged"),
    ("submit --cla", "submit --class"),
    ("submit --class tr", "submit --class transactional"),
    ("trace --dom", "trace --domain"),
    ("explain --js", "explain --json"),
    ("check --config one-fi", "check --config one-file.yaml"),
    ("check -c one-fi", "check -c one-file.yaml"),
    ("verify --spool one-fo", "verify --spool one-folder"),
    ("submit one-fi", "submit one-file.yaml"),
    ("probe --he", "probe --hel"),        # --helo or --help
]
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
SETUP = {
    "bash": "PS1=; source {0}/mtaq.bash",
    "zsh": "PS1=; fpath=({0} $fpath); autoload -U compinit; compinit -u -D; "
           "setopt no_auto_menu no_list_ambiguous no_beep",
}
SAY = "mtaq() {{ printf '<%s' \"$*\"; printf '>%s\\n' end; }}; echo rea''dy"


class Terminal:
    """A shell that is typed at."""

    def __init__(self, shell, folder, conf):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(SHELLS[shell][0], SHELLS[shell],
                       {"PATH": os.environ["PATH"], "TERM": "dumb",
                        "HOME": folder, "INPUTRC": "/dev/null",
                        "HISTFILE": "/dev/null", "LC_ALL": "C"})
        self.type(SETUP[shell].format(conf) + "; " + SAY.format() + "\n")
        self.wait_for(r"ready\r?\n")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, pattern):
        """What the pattern found in what the shell says from now on."""
        seen, end = "", time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 1)[0]:
                seen += os.read(self.fd, 65536).decode(errors="replace")
            m = re.search(pattern, seen)
            if m:
                return m
        raise TimeoutError(f"no {pattern} in {seen[-500:]!r}")

    def complete(self, line):
        self.type(f"mtaq {line}\t\n")
        return self.wait_for(r"<([^<>]*)>end").group(1).strip()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def typed(shell, folder, conf, findings):
    terminal = Terminal(shell, folder, conf)
    try:
        for line, wanted in LINES:
            got = terminal.complete(line).rstrip("/")
            if got != wanted:
                findings.append(f"{shell}: '{line}' became '{got}', not "
                                f"'{wanted}'")
    except TimeoutError as e:
        findings.append(f"{shell}: {e}")
    finally:
        terminal.end()


def asked(folder, conf, findings):
    for line, wanted in LINES:
        done = subprocess.run(
            ["fish", "--no-config", "-c",
             f"source {conf}/mtaq.fish; complete -C 'mtaq {line}'"],
            cwd=folder, capture_output=True, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": folder, "TERM": "dumb"})
        offers = [x.split("\t")[0].rstrip("/")
                  for x in done.stdout.splitlines()]
        last = wanted.split()[-1]
        if offers != [last] and not (len(offers) > 1 and offers[0] != last and
                                     os.path.commonprefix(offers) == last):
            findings.append(f"fish: '{line}' offers {offers} {done.stderr}")


def main():
    conf = pathlib.Path(sys.argv[1]).resolve()
    findings, shells = [], []
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "one-file.yaml").touch()
        (pathlib.Path(folder) / "one-folder").mkdir()
        for shell in ("bash", "zsh", "fish"):
            if not shutil.which(shell):
                print(f"{shell} is not installed: not tried")
                continue
            shells.append(shell)
            if shell == "fish":
                asked(folder, conf, findings)
            else:
                typed(shell, folder, conf, findings)
    for words in findings:
        print(words)
    print(f"{len(LINES)} lines in {', '.join(shells)}: {len(findings)} "
          "findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
