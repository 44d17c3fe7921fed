#!/usr/bin/env python3
"""A server that says an octet at a time wakes nobody for each of them, nor
does each group of mail the report thread.

test_drip.py MTAQ [NAME...]   (MTAQ_TEST_IO: io_uring, epoll)
"""
import pathlib
import time

from harness import Box, main, must
from scripted import Server

OCTETS, APART_S = 200, 0.015


class Dripping(Server):
    """Its greeting comes octet by octet, the rest as usual."""

    def __init__(self):
        super().__init__()
        self.woken = 0

    def converse(self, conn, f, session):
        before = self.wakes()
        for octet in ("220 mx.test " + "x" * OCTETS)[:OCTETS]:
            conn.sendall(octet.encode())
            time.sleep(APART_S)      # the server's pace is what is tested
        self.woken = self.wakes() - before
        self.greeting = ""           # and the line's end
        super().converse(conn, f, session)

    def wakes(self):
        return wakes_of(self.pid, "worker")


def wakes_of(pid, thread):
    """How often the threads of that name have slept."""
    return sum(int(line.split()[1])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (task / "comm").read_text().strip() == thread
               for line in (task / "status").read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


def octets_are_gathered(mtaq):
    with Box(mtaq) as box, Dripping() as server:
        box.configure(routes=f'{{ "*": "{server.address}" }}').start_daemon()
        server.pid = box.daemon.pid
        box.load("--messages", 1, "--domains", 1, "--size", 1000)
        box.wait_for(lambda: server.sessions and server.sessions[0].messages,
                     60, "the message")
        # epoll wakes for what nobody wants to receive yet, too.
        must(server.woken < OCTETS * (2 if box.io == "epoll" else 1) // 3,
             f"{server.woken} wake-ups for {OCTETS} octets")
        box.wait_final(1)


def the_report_thread_rests(mtaq):
    """Ten milliseconds behind what it has written: two sleeps in each, and a
    few for the disk."""
    with Box(mtaq) as box, Server() as server:
        box.configure(routes=f'{{ "*": "{server.address}" }}').start_daemon()
        box.run("campaign", "pause", "c", "-c", box.conf)
        before, begun = wakes_of(box.daemon.pid, "report"), time.monotonic()
        # One at a time: each is a group, and rings the bell.
        box.load("--messages", 3000, "--size", 200, "--domains", 1,
                 "--campaign", "c", "--clients", 1, "--batch", 1)
        woken = wakes_of(box.daemon.pid, "report") - before
        passed = time.monotonic() - begun
        must(woken < 250 * passed + 50,
             f"{woken} sleeps in {passed:.1f} s")
        must(0 < woken, "no such thread")
        return f"{woken} in {passed:.1f} s"


if __name__ == "__main__":
    main([octets_are_gathered, the_report_thread_rests])
