"""What the servers that a test writes have in common: a listener, a thread and
a session a connection, and an end that leaves nobody waiting.

A subclass has meet(conn), which gives the session of a new connection, and
talk(conn, session), which ends when the conversation has.
"""
import socket
import threading


class Listening:
    def __init__(self, at="127.0.0.1", port=0):
        self.sessions, self.threads = [], []
        self.open, self.ended = set(), False
        self.lock = threading.Lock()
        self.listener = socket.create_server((at, port))
        self.address = "%s:%d" % self.listener.getsockname()[:2]

    def __enter__(self):
        self.start(self.accept)
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)    # wakes accept()
        self.listener.close()
        with self.lock:
            self.ended = True
            for conn in self.open:
                hang_up(conn)
        for t in self.threads:
            t.join(30)

    def start(self, f, *args):
        t = threading.Thread(target=f, args=args)
        self.threads.append(t)
        t.start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                session = self.meet(conn)
                self.sessions.append(session)
                self.open.add(conn)
                if self.ended:
                    hang_up(conn)
            self.start(self.serve, conn, session)

    def serve(self, conn, session):
        try:
            with conn:
                self.talk(conn, session)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(conn)


def hang_up(conn):
    """The client may have done so already, or the session's thread closed it
    and wait for the lock to say so."""
    try:
        conn.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def offer(*words):
    """The reply to EHLO, without its last CRLF."""
    return "\r\n".join("250" + "- "[i + 1 == len(words)] + w
                       for i, w in enumerate(words))
