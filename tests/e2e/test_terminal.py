#!/usr/bin/env python3
"""What commands print on a terminal, and what in a pipe.

test_terminal.py MTAQ [NAME...]
"""
import os
import pty
import re
import subprocess

from harness import Box, main, must


def on_terminal(box, *args, **env):
    """All that a command writes to a terminal."""
    reader, writer = pty.openpty()
    clean = {k: v for k, v in os.environ.items()
             if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [box.mtaq, *map(str, args), "-c", str(box.conf)], stdout=writer,
        stderr=subprocess.DEVNULL, env={**clean, "TERM": "xterm", **env})
    os.close(writer)
    out = b""
    while True:
        try:
            got = os.read(reader, 65536)
        except OSError:         # the terminal is closed
            break
        if not got:
            break
        out += got
    os.close(reader)
    must(process.wait(30) == 0, f"{args} exited {process.returncode}")
    return out.decode().replace("\r\n", "\n")


def with_mail(box, from_="a@sender.test"):
    box.start_sink("--domains", 3)
    box.configure().start_daemon()
    box.run("campaign", "pause", "c", "-c", box.conf)
    for to in ("u@d0.test", "a-longer-name@d1.test"):
        box.run("submit", "--campaign", "c", "-f", from_, "-t", to, "-c",
                box.conf, input="Subject: x\n\nx\n")


def columns_are_aligned_under_a_heading(mtaq):
    with Box(mtaq) as box:
        with_mail(box)
        lines = on_terminal(box, "queue", "list").splitlines()
        must(re.fullmatch(r"\033\[1mID .*FROM\033\[0m", lines[0]), lines[0])
        head = re.sub(r"\033\[\dm", "", lines[0])
        at = head.index("FROM")
        must(len(lines) == 3 and
             all(x[at:] == "a@sender.test" and x[at - 1] == " "
                 for x in lines[1:]), "\n".join(lines))
        piped = box.run("queue", "list", "-c", box.conf).stdout
        must([x.count("\t") for x in piped.splitlines()] == [7, 7], piped)
        must("\033" not in piped, "colours in a pipe")


def no_color_and_dumb_terminals_are_obeyed(mtaq):
    with Box(mtaq) as box:
        with_mail(box)
        for args in (("queue", "list"), ("explain", "d0.test"),
                     ("probe", "u@d0.test")):
            must("\033[" in on_terminal(box, *args), f"{args}: plain")
            for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
                out = on_terminal(box, *args, **env)
                must("\033" not in out and out != "", f"{args} {env}: {out}")
            must("\033[" in on_terminal(box, *args, NO_COLOR=""),
                 "an empty NO_COLOR is none")
            must("\033" not in on_terminal(box, *args, "--json"),
                 f"{args} --json")


def letters_beyond_ascii_keep_their_columns(mtaq):
    with Box(mtaq) as box:
        with_mail(box, from_="grün@sender.test")
        lines = on_terminal(box, "queue", "list").splitlines()
        at = re.sub(r"\033\[\dm", "", lines[0]).index("FROM")
        must(all(x[at:] == "grün@sender.test" for x in lines[1:]),
             "\n".join(lines))


if __name__ == "__main__":
    main([columns_are_aligned_under_a_heading,
          no_color_and_dumb_terminals_are_obeyed,
          letters_beyond_ascii_keep_their_columns])
