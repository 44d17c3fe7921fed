"""An SMTP server whose answers a test writes, and that keeps what it heard.

Server(ehlo=("PIPELINING", ...), answer=f): f(session, line) gives the reply to
a command as text, a list of replies, CLOSE, or None for what a server says
that takes everything.  "." is the line behind a message's content.
content(conn, f, session), when given, reads the content instead: it returns
the octets, or CLOSE.
"""
from listening import Listening, offer

CLOSE = object()


class Session:
    def __init__(self, number):
        self.number = number
        self.lines = []      # commands, without CRLF; b"." for content
        self.messages = []   # octets, un-stuffed
        self.mails = 0
        self.data = False    # content comes next

    def heard(self, verb):
        return [line for line in self.lines if line.upper().startswith(verb)]


class Server(Listening):
    def __init__(self, ehlo=("PIPELINING", "8BITMIME"), answer=None,
                 greeting="220 mx.test", at="127.0.0.1", content=None):
        self.ehlo, self.answer, self.greeting = ehlo, answer, greeting
        self.content = content or content_of
        super().__init__(at)

    def heard(self, verb):
        """All commands of that verb, in order of sessions."""
        with self.lock:
            return [x for s in self.sessions for x in s.heard(verb)]

    def meet(self, _):
        return Session(len(self.sessions))

    def talk(self, conn, session):
        with conn.makefile("rb") as f:
            self.converse(conn, f, session)

    def converse(self, conn, f, session):
        say(conn, self.greeting)
        for raw in f:
            line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            if not self.reply(conn, session, line):
                return
            if session.data:
                octets = self.content(conn, f, session)
                if octets is CLOSE:
                    return
                session.messages.append(octets)
                session.data = False
                if not self.reply(conn, session, "."):
                    return

    def reply(self, conn, session, line):
        session.data = False
        with self.lock:
            session.lines.append(line)
        verb = line[:4].upper()
        session.mails += verb == "MAIL"
        replies = self.answer(session, line) if self.answer else None
        if replies is None:
            replies = self.usual(verb)
        for r in replies if isinstance(replies, list) else [replies]:
            if r is CLOSE:
                return False
            say(conn, r)
            session.data = verb == "DATA" and r.startswith("354")
        return verb != "QUIT"

    def usual(self, verb):
        if verb == "EHLO":
            return offer("mx.test", *self.ehlo)
        return {"QUIT": "221 2.0.0 bye", "DATA": "354 go"}.get(verb,
                                                               "250 2.0.0 ok")


def say(conn, text):
    conn.sendall(text.encode() + b"\r\n")


def content_of(conn, f, session):
    lines = []
    for raw in f:
        if raw == b".\r\n":
            return b"".join(lines)
        lines.append(raw[1:] if raw.startswith(b".") else raw)
    raise OSError("cut")
