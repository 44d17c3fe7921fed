#!/usr/bin/env python3
"""A server that says an octet at a time wakes nobody for each of them.

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
        """How often the workers have slept."""
        return sum(int(line.split()[1])
                   for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()
                   if (task / "comm").read_text().strip() == "worker"
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


if __name__ == "__main__":
    main([octets_are_gathered])
