"""What passes between a client and a server, written down."""
import re
import socket
import threading
import time


class Wire(threading.Thread):
    """Stands between client and server and writes down what passes.

    It holds the server's answers to MAIL and RCPT back until it has seen
    DATA: a client that waits for them, instead of sending the group, stays
    where it is.
    """

    def __init__(self, address, port, to):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, port))
        self.listener.settimeout(60)
        self.to = to
        self.commands, self.client, self.server = [], b"", b""

    def run(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.to, 10) as server:
            client.settimeout(0.05)
            server.settimeout(0.05)
            self.pass_on(client, server)

    def pass_on(self, client, server):
        held, until = b"", time.monotonic() + 60
        while time.monotonic() < until:
            sent = self.take(client)
            said = self.take(server)
            if sent == b"" or said == b"":
                return
            if sent:
                self.client += sent
                server.sendall(sent)
            if said:
                self.server += said
                held += said
            waits = re.search(rb"(?m)^MAIL FROM", self.client) and \
                not re.search(rb"(?m)^DATA\r", self.client)
            if held and not waits:
                client.sendall(held)
                held = b""

    @staticmethod
    def take(sock):
        """None: nothing now; b'': it has closed."""
        try:
            return sock.recv(65536)
        except TimeoutError:
            return None

    def close(self):
        self.listener.close()
        self.join(65)
