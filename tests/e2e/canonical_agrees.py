#!/usr/bin/env python3
"""canon.c and canonical.py say the same of real and of generated mail.

    canonical_agrees.py CANON_TOOL MAIL_FOLDER [COUNT [SEED]]

Of each: the refusal and its line, or the octets and flags; then that the form
of the form is the form, that its line ends are CRLF, its lines at most 998
octets, and that it has no NUL.
"""
import pathlib
import random
import re
import subprocess
import sys

import canonical as second

SENDER = "bounce@example.net"
FILL = {second.RECEIVED: b"by mail.example (mtaq);\r\n\t"
        b"Sun, 22 Nov 2026 16:27:20 +0000",
        second.DATE: b"Sun, 22 Nov 2026 16:27:20 +0000",
        second.ID: b"<unique.1@mail.example>"}


class Tool:
    def __init__(self, path):
        self.run = subprocess.Popen([path], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE)

    def ask(self, octets, sender="", received=False, refuse=False, add=True):
        head = (f"{len(octets)} {int(add)} {int(refuse)} {int(received)} "
                f"{sender or '-'}\n")
        self.run.stdin.write(head.encode() + octets)
        self.run.stdin.flush()
        line = self.run.stdout.readline().split()
        if not line:
            raise SystemExit("canon_tool died")
        size = int(line[4])
        return (line[0].decode(), int(line[1]), int(line[2]),
                self.run.stdout.read(size))


def expect(octets, sender, received, refuse, add):
    try:
        out = second.canonical(octets, sender.encode(), received,
                               "refuse" if refuse else "fix", add)
    except second.Refused as why:
        return why.args[0], why.args[1], 0, b""
    for mark, words in FILL.items():
        out = out.replace(mark, words)
    return "ok", 0, second.flags(out), out


def broken_promise(tool, out, received):
    """What a canonical message must be, whoever made it."""
    if b"\0" in out:
        return "has NUL"
    if re.search(rb"\r(?!\n)|(?<!\r)\n", out) or not out.endswith(b"\r\n"):
        return "has a line end that is not CRLF"
    if max(map(len, out.split(b"\r\n"))) > 998:
        return "has a long line"
    again = tool.ask(out, SENDER, refuse=True)
    if received and again[0] == "loop":
        return None  # ours was the 51st
    if again[0] != "ok" or again[3] != out:
        return f"is not its own canonical form ({again[:3]})"
    return None


def compare(tool, name, octets, sender=SENDER, **how):
    how = {"received": False, "refuse": False, "add": True, **how}
    want = expect(octets, sender, **how)
    got = tool.ask(octets, sender, **how)
    why = None
    if want[:3] != got[:3]:
        why = f"expected {want[:3]}, got {got[:3]}"
    elif want[3] != got[3]:
        at = next((i for i, (a, b) in enumerate(zip(want[3], got[3]))
                   if a != b), min(len(want[3]), len(got[3])))
        why = (f"differs at {at}: expected "
               f"{want[3][max(0, at - 40):at + 40]!r}, got "
               f"{got[3][max(0, at - 40):at + 40]!r}")
    elif got[0] == "ok":
        why = broken_promise(tool, got[3], how["received"])
    if why:
        pathlib.Path("canonical-differs.eml").write_bytes(octets)
        raise SystemExit(f"{name} {how}: {why} (canonical-differs.eml)")
    return got[0]


# --- odd mail --------------------------------------------------------------

NAMES = [b"Subject", b"To", b"Bcc", b"BCC ", b"Return-Path", b"Resent-Bcc",
         b"Received", b"X-\xc3\xa4", b"Date", b"Message-Id", b"MIME-Version",
         b"content-transfer-encoding", b"X"]
CTES = [b"7bit", b"8bit", b"binary", b"base64", b"Quoted-Printable",
        b"x-uuencode", b"", b" (c) 8BIT (x)", b"7bit; x", b"base64\n "]
TYPES = [b"text/plain", b"text/html; charset=utf-8", b"message/rfc822",
         b"Message/partial", b"application/pdf (a; boundary=x)", b"text",
         b"multipart/mixed", b"multipart/mixed; boundary="]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def words(self, n):
        alphabet = self.r.choice([b"ab .=-\t", b"abc", b"\xe4\xf6= x", b"--b",
                                  b"=3D x\xff", b"AbC+/=", b"\r.\nx"])
        return bytes(self.r.choice(alphabet) for _ in range(n))

    def line(self):
        r = self.r
        n = r.choice([0, 1, 2, 20, 76, 80, 997, 998, 999, 1000, 2500]) \
            if r.random() < 0.25 else r.randrange(60)
        return r.choice([b"", b"", b".", b"..", b"--", b"From ", b"> "]) + \
            self.words(n)

    def field(self):
        r = self.r
        if r.random() < 0.06:
            return self.line()
        name = r.choice(NAMES)
        if name.startswith(b"content-t"):
            return name + b":" + r.choice(CTES)
        text = name + b": " + self.line()
        while r.random() < 0.2:
            text += b"\n" + r.choice([b" ", b"\t", b"  ", b""]) + self.line()
        return text

    def section(self, extra):
        fields = [self.field() for _ in range(self.r.randrange(5))] + extra
        if self.r.random() < 0.4:
            fields.append(b"Content-Transfer-Encoding: " +
                          self.r.choice(CTES))
        self.r.shuffle(fields)
        return fields

    def body(self, depth):
        return [self.line() for _ in range(self.r.randrange(6))]

    def entity(self, depth, extra=()):
        r = self.r
        if depth > 4 or r.random() < 0.5:
            kind = [b"Content-Type: " + r.choice(TYPES)] \
                if r.random() < 0.5 else []
            return self.section(list(extra) + kind) + \
                ([b""] if r.random() < 0.95 else []) + self.body(depth)
        boundary = r.choice([b"b", b"b1", b"=_x", b"b b", b"x-y", b"b=3D",
                             b"q" * 199, b"q" * 201])
        sub = r.choice([b"mixed", b"alternative", b"mixed", b"signed",
                        b"digest"] if r.random() < 0.3 else [b"mixed"])
        how = r.choice([b'"%s"', b"%s", b'%s; x=y', b'"%s', b' "%s"(x)'])
        kind = b"Content-Type: multipart/" + sub + b"; boundary=" + \
            how.replace(b"%s", boundary)
        lines = self.section(list(extra) + [kind]) + [b""]
        lines += self.body(depth) if r.random() < 0.3 else []
        for _ in range(r.randrange(4)):
            lines.append(b"--" + boundary + r.choice([b"", b"", b" ", b"\t"]))
            lines += self.entity(depth + 1)
        if r.random() < 0.7:
            lines.append(b"--" + boundary + b"--" + r.choice([b"", b"  "]))
            lines += self.body(depth) if r.random() < 0.3 else []
        return lines

    def message(self):
        r = self.r
        extra = [b"From: a@example.net"] if r.random() < 0.9 else []
        if r.random() < 0.05:
            extra.append(b"DKIM-Signature: v=1; a=b")
        if r.random() < 0.02:
            extra += [b"Received: by x"] * r.choice([48, 49, 50, 51])
        lines = self.entity(0, extra)
        if r.random() < 0.1:
            lines.insert(0, r.choice([b"From x Mon Jan  1 00:00:00 2001",
                                      b"", b" ", b"From : b"]))
        return self.endings(lines)

    def endings(self, lines):
        r = self.r
        ends = r.choice([[b"\r\n"], [b"\n"], [b"\r\n", b"\n", b"\r"],
                         [b"\r\n"] * 9 + [b"\n", b"\r"], [b"\r"]])
        text = b"\n".join(lines) + r.choice([b"", b"\n"])
        text = re.sub(rb"\n", lambda m: r.choice(ends), text)
        return text[:-1] + b"\0" + text[-1:] if r.random() < 0.01 else text

    def mutate(self, octets):
        r = self.r
        b = bytearray(octets)
        for _ in range(r.randrange(1, 8)):
            at = r.randrange(len(b) + 1)
            what = r.choice([b"\r", b"\n", b"\r\n", b".", b"\n.\n", b"\xff",
                             b"x" * 999, b"\r\n\r\n", b":", b" y" * 600,
                             b"--", b"\nBcc: z@example.org\n", b"\0"]
                            if r.random() < 0.9 else [b""])
            b[at:at + r.choice([0, 0, 1, 5, 200])] = what
        return bytes(b)


def main(argv):
    tool = Tool(argv[1])
    files = sorted(pathlib.Path(argv[2]).glob("*.eml"))
    count = int(argv[3]) if len(argv) > 3 else 3000
    maker = Maker(int(argv[4]) if len(argv) > 4 else 1)
    mail = [f.read_bytes() for f in files]
    accepted, seen = 0, {}
    for f, octets in zip(files, mail):
        accepted += compare(tool, f.name, octets) == "ok"
        compare(tool, f.name, octets, received=True)
        compare(tool, f.name, octets, refuse=True)
        compare(tool, f.name, octets, add=False)
        compare(tool, f.name, octets, sender="")
    if len(files) != 78 or accepted < 76:
        raise SystemExit(f"accepted {accepted} of {len(files)} files")
    for n in range(count):
        octets = maker.message() if n % 3 else \
            maker.mutate(maker.r.choice(mail))
        what = compare(tool, f"generated {n}", octets,
                       received=n % 5 == 0, refuse=n % 17 == 0,
                       add=n % 13 != 0)
        seen[what] = seen.get(what, 0) + 1
    print(f"{accepted} of {len(files)} files accepted; generated:", seen)
    for octets in (b"", b"From x\n", b"\n", b"\r", b"From x", b"text"):
        what = compare(tool, octets, octets)
        seen[what] = seen.get(what, 0) + 1
    never = {"ok", "empty", "nul", "bare-newline", "loop", "from-missing",
             "from-twice", "long-signed", "long-header", "long-encoded",
             "long-outside"} - set(seen)
    if count >= 3000 and never:
        raise SystemExit(f"the generator never met {never}")


if __name__ == "__main__":
    main(sys.argv)
