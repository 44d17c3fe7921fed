"""Stands between clients and a server and writes down what passes."""
import re
import socket
import threading


class Dialogue:
    """One connection: [(from the client?, octets)] in the order seen."""

    def __init__(self):
        self.lock, self.said = threading.Lock(), []

    def add(self, client, octets):
        with self.lock:
            self.said.append((client, octets))

    def sent(self, client):
        with self.lock:
            return b"".join(o for c, o in self.said if c == client)

    def groups(self):
        """What the client sent between two answers, in order."""
        out, last = [], None
        with self.lock:
            for client, octets in self.said:
                if client and last:
                    out[-1] += octets
                elif client:
                    out.append(octets)
                last = client
        return out

    def messages(self):
        """[(recipients, content)]: of the transactions that came whole."""
        return list(read_messages(self.sent(True)))

    def replies(self):
        """The last line of each."""
        return re.findall(rb"(?m)^(\d{3}(?: [^\r\n]*)?)\r$", self.sent(False))


def read_messages(octets):
    """What a client sent to a server that took everything."""
    at, rcpts, content = 0, [], b""
    while (end := octets.find(b"\r\n", at)) >= 0:
        line, at = octets[at:end], end + 2
        word = line[:4].upper()
        if word in (b"MAIL", b"RSET"):
            rcpts, content = [], b""
        elif word == b"RCPT":
            rcpts.append(re.match(rb"(?i)RCPT TO:<([^>]*)>", line)[1].decode())
        elif word == b"BDAT":
            size = int(line.split()[1])
            if len(octets) < at + size:
                return
            content += octets[at:at + size]
            at += size
            if line.upper().endswith(b"LAST"):
                yield rcpts, content
        elif word == b"DATA":
            # The line end of DATA may be the first of CRLF . CRLF.
            dot = octets.find(b"\r\n.\r\n", at - 2)
            if dot < 0:
                return
            content = octets[at:dot + 2]
            yield rcpts, re.sub(rb"(?m)^\.", b"", content)
            at = dot + 5


class Tap:
    """Listens on an address; each connection leads on to the server."""

    def __init__(self, to, address="127.0.0.1", port=0):
        self.to, self.dialogues, self.open = to, [], []
        self.lock = threading.Lock()
        self.listener = socket.create_server((address, port), backlog=100)
        self.at = self.listener.getsockname()

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass            # it has ended already
                s.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return              # closed
            try:
                server = socket.create_connection(self.to, 30)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            dialogue = Dialogue()
            with self.lock:
                self.dialogues.append(dialogue)
                self.open += [client, server]
            for a, b, is_client in ((client, server, True),
                                    (server, client, False)):
                threading.Thread(target=self.pump, daemon=True,
                                 args=(a, b, dialogue, is_client)).start()

    @staticmethod
    def pump(source, to, dialogue, is_client):
        try:
            while octets := source.recv(65536):
                dialogue.add(is_client, octets)
                to.sendall(octets)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            to.close()

    def messages(self):
        with self.lock:
            known = list(self.dialogues)
        return [m for d in known for m in d.messages()]
