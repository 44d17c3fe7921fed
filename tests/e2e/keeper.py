"""An SMTP server that keeps what it gets: octet by octet, undone dots.

The sink counts and hashes; where a test asks what arrived it needs the octets.
Plain DATA, one thread a connection, ended by close().
"""
import socket
import threading


class Keeper:
    def __init__(self, eightbit=True):
        self.eightbit = eightbit
        self.mails = []         # (sender, recipients, octets)
        self.bell = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)    # wakes accept()
        self.listener.close()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,),
                             daemon=True).start()

    def serve(self, conn):
        with conn, conn.makefile("rb") as lines:
            try:
                self.talk(conn, lines)
            except OSError:
                pass

    def talk(self, conn, lines):
        sender, rcpts = "", []
        conn.sendall(b"220 keeper\r\n")
        for line in lines:
            verb = line[:4].upper()
            if verb == b"EHLO":
                conn.sendall(b"250-keeper\r\n" +
                             (b"250-8BITMIME\r\n" if self.eightbit else b"") +
                             b"250 PIPELINING\r\n")
            elif verb == b"DATA":
                conn.sendall(b"354 go\r\n")
                octets = self.content(lines)
                with self.bell:
                    self.mails.append((sender, rcpts, octets))
                    self.bell.notify_all()
                conn.sendall(b"250 2.0.0 kept\r\n")
                sender, rcpts = "", []
            elif verb == b"QUIT":
                conn.sendall(b"221 bye\r\n")
                return
            else:
                address = line[line.find(b"<") + 1:line.rfind(b">")].decode()
                if verb == b"MAIL":
                    sender = address
                elif verb == b"RCPT":
                    rcpts = rcpts + [address]
                conn.sendall(b"250 2.0.0 fine\r\n")

    @staticmethod
    def content(lines):
        kept = []
        for line in lines:
            if line == b".\r\n":
                break
            kept.append(line[1:] if line[:1] == b"." else line)
        return b"".join(kept)

    def wait(self, count, timeout=60):
        """The first `count` mails; fewer when they do not come in time."""
        with self.bell:
            self.bell.wait_for(lambda: len(self.mails) >= count, timeout)
            return self.mails[:count]
