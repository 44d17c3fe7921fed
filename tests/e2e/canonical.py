#!/usr/bin/env python3
"""The canonical form of a message, a second time.

Written from rules 22 and 26 of docs/SMTP.md and the list at the top of
src/mail/canon.h, with regular expressions and nothing shared with the C code:
what both agree on is what the rules say.

    canonical.py FILE [--from ADDRESS] [--received] [--check ARRIVED]

prints what mtaq makes of FILE, or compares it with what has arrived.  What
only mtaq knows is a placeholder between NUL octets, which no canonical message
holds: its Received line, the date and the Message-ID that it added.
"""
import argparse
import re
import sys

LINE_MAX = 998
RECEIVED = b"\0received\0"
DATE = b"\0date\0"
ID = b"\0id\0"
LOOKS = {
    RECEIVED: rb"[^\r\n]*(?:\r\n[ \t][^\r\n]*)*?",
    DATE: rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000",
    ID: rb"<[!-;=?-~]+@[!-;=?-~]+>",
}
FIELD = re.compile(rb"([!-9;-~\x80-\xff]+)[ \t]*:")
HEX = b"0123456789abcdefABCDEF"


class Refused(Exception):
    """(which rule, number of the line or 0)"""


class Line:
    def __init__(self, number, text, ended):
        self.number, self.text, self.ended = number, text, ended

    def field(self):
        m = FIELD.match(self.text)
        return m[1].lower() if m else None


class Field:
    def __init__(self, first):
        self.name, self.lines = first.field(), [first]

    def value(self):
        whole = b"\r\n".join(l.text for l in self.lines)
        return whole[whole.index(b":") + 1:]


def split_lines(octets):
    """All of CRLF, LF and CR end a line."""
    found = re.findall(rb"([^\r\n]*)(\r\n|\r|\n|\Z)", octets)
    if found and found[-1] == (b"", b""):
        found.pop()
    return [Line(n, text, bool(end)) for n, (text, end) in enumerate(found, 1)]


def take_fields(lines, stop=lambda line: False):
    """(fields, the empty line or None, the rest)"""
    fields = []
    for i, line in enumerate(lines):
        if stop(line):
            return fields, None, lines[i:]
        if line.text == b"":
            return fields, line, lines[i + 1:]
        if line.field():
            fields.append(Field(line))
        elif fields:
            fields[-1].lines.append(line)
        else:
            return fields, None, lines[i:]
    return fields, None, []


def first(fields, name):
    return next((f for f in fields if f.name == name), None)


# --- what long lines need: MIME -------------------------------------------

def uncomment(value):
    """Comments become nothing, quoted strings stay."""
    out, depth, quoted, i = bytearray(), 0, False, 0
    while i < len(value):
        c = value[i:i + 1]
        if c == b"\\" and (depth or quoted):
            if quoted:
                out += value[i:i + 2]
            i += 2
            continue
        if quoted:
            quoted = c != b'"'
            out += c
        elif c == b"(":
            depth += 1
        elif depth:
            depth -= c == b")"
        else:
            quoted = c == b'"'
            out += c
        i += 1
    return bytes(out)


def content_type(field):
    """(type, subtype, boundary)"""
    if field is None:
        return b"", b"", None
    value = uncomment(field.value())
    m = re.match(rb"\s*([^\s/;]*)\s*(?:/\s*([^\s;]*))?", value)
    boundary = None
    for p in re.finditer(rb';\s*([^\s=;"]*)\s*=\s*("(?:\\.|[^"\\])*"?|[^\s;]*)'
                         rb'|"(?:\\.|[^"\\])*"', value, re.S):
        if p[1] is None or p[1].lower() != b"boundary":
            continue
        text = p[2]
        if text.startswith(b'"'):
            text = re.sub(rb"\\(.)", rb"\1", text[1:].removesuffix(b'"'),
                          flags=re.S)
            text = re.sub(rb"[\r\n]", b"", text)
        text = text.rstrip(b" \t")
        if text and len(text) <= 200:
            boundary = text
            break
    return m[1].lower(), (m[2] or b"").lower(), boundary


def encoding(fields):
    field = first(fields, b"content-transfer-encoding")
    word = uncomment(field.value()) if field else b""
    m = re.match(rb"\s*([^\s;]*)", word)
    return m[1].lower()


class Mime:
    """Goes over the lines once; long ones become what the rules say."""

    def __init__(self, dkim):
        self.dkim, self.open, self.out = dkim, [], []

    def level(self, line):
        if not line.text.startswith(b"--"):
            return 0, False
        for n in range(len(self.open), 0, -1):
            tail = line.text[2:]
            boundary = self.open[n - 1][0]
            if not tail.startswith(boundary):
                continue
            tail = tail[len(boundary):].strip(b" \t")
            raw = line.text[2 + len(boundary):]
            if tail == b"" or (raw.startswith(b"--") and tail == b"--"):
                return n, tail == b"--"
        return 0, False

    def sealed(self):
        return self.dkim or (self.open and self.open[-1][1])

    def part(self, lines, top):
        fields, gap, lines = take_fields(lines, lambda l: self.level(l)[0])
        kind, sub, boundary = content_type(first(fields, b"content-type"))
        sealed = bool(self.sealed() or kind == b"message" or
                      (kind == b"multipart" and sub == b"signed"))
        if first(fields, b"content-type") is None and self.open:
            sealed = sealed or self.open[-1][2]
        for field in fields:
            self.fold(field, sealed)
        if kind == b"multipart" and boundary and len(self.open) < 32:
            self.open.append((boundary, sealed, sub == b"digest"))
        return self.body(lines, (fields, gap, top), sealed,
                         "outside" if kind == b"multipart" else "leaf")

    def body(self, lines, head, sealed, kind):
        end = next((i for i, l in enumerate(lines) if self.level(l)[0]),
                   len(lines))
        mine, rest = lines[:end], lines[end:]
        how = None
        for line in mine:
            if len(line.text) <= LINE_MAX:
                continue
            if sealed:
                raise Refused("long-signed", line.number)
            if kind == "outside":
                raise Refused("long-outside", line.number)
            how = encoding(head[0])
            if how not in (b"", b"7bit", b"8bit", b"binary", b"base64",
                           b"quoted-printable"):
                raise Refused("long-encoded", line.number)
            if how == b"base64" and b"-" in line.text:
                raise Refused("long-encoded", line.number)
        self.write_head(head, how in (b"", b"7bit", b"8bit", b"binary"))
        for line in mine:
            self.out += self.line(line.text, how)
        return rest

    def line(self, text, how):
        if how in (b"", b"7bit", b"8bit", b"binary"):
            return qp_line(text)
        if len(text) <= LINE_MAX:
            return [text]
        if how == b"base64":
            return [text[i:i + 76] for i in range(0, len(text), 76)]
        return soften(re.findall(rb"=[0-9a-fA-F]{2}|.", text, re.S))

    def fold(self, field, sealed):
        for n, line in enumerate(field.lines):
            if len(line.text) <= LINE_MAX:
                continue
            if sealed:
                raise Refused("long-signed", line.number)
            if n > 0 and line.text[:1] not in (b" ", b"\t"):
                raise Refused("long-header", line.number)
            line.text = fold(line.text, line.number)

    def write_head(self, head, encoded):
        if head is None:
            return
        fields, gap, top = head
        done = False
        said = b"Content-Transfer-Encoding: quoted-printable"
        for field in fields:
            if encoded and field.name == b"content-transfer-encoding":
                self.out += [] if done else [said]
                done = True
                continue
            self.out += [l.text for l in field.lines]
        if encoded and not done:
            if top and first(fields, b"mime-version") is None:
                self.out.append(b"MIME-Version: 1.0")
            self.out.append(said)
            if not gap and not top:
                self.out.append(b"")
        if gap:
            self.out.append(b"")

    def run(self, fields, gap, lines):
        """The message's own fields are known already."""
        rest = self.part(flat(fields) + ([gap] if gap else []) + lines, True)
        while rest:
            level, closed = self.level(rest[0])
            if len(rest[0].text) > LINE_MAX:
                del self.open[level - (1 if closed else 0):]
                raise Refused("long-signed" if self.sealed_at(rest[0])
                              else "long-outside", rest[0].number)
            self.out.append(rest[0].text)
            del self.open[level - (1 if closed else 0):]
            if closed:
                rest = self.body(rest[1:], None, self.sealed(), "outside")
            else:
                rest = self.part(rest[1:], False)
        return self.out

    def sealed_at(self, line):
        return self.sealed()


def flat(fields):
    return [line for field in fields for line in field.lines]


def fold(text, number):
    out = []
    while len(text) > LINE_MAX:
        places = [i for i in range(1, LINE_MAX + 1)
                  if text[i:i + 1] in (b" ", b"\t") and
                  text[:i].strip(b" \t") and text[i:].strip(b" \t")]
        if not places:
            raise Refused("long-header", number)
        out.append(text[:places[-1]])
        text = text[places[-1]:]
    return b"\r\n".join(out + [text])


def soften(tokens):
    lines = [b""]
    for token in tokens:
        if len(lines[-1]) + len(token) > 75:
            lines[-1] += b"="
            lines.append(b"")
        if lines[-1] == b"" and token == b"-":
            token = b"=2D"
        lines[-1] += token
    return lines


def qp_line(text):
    blanks = len(text) - len(text.rstrip(b" \t"))
    tokens = []
    for i, c in enumerate(text):
        plain = c in b" \t" and i < len(text) - blanks
        plain = plain or (33 <= c <= 126 and c != 61)
        tokens.append(bytes([c]) if plain else b"=%02X" % c)
    return soften(tokens)


# --- the rules -------------------------------------------------------------

def canonical(octets, sender=b"", received=False, newlines="fix",
              from_add=True):
    """The canonical form with placeholders, or Refused."""
    lines = split_lines(octets)
    if lines and lines[0].text.startswith(b"From ") and not lines[0].field():
        del lines[0]
    if not lines:
        raise Refused("empty", 0)
    for line in lines:
        if b"\0" in line.text:
            raise Refused("nul", line.number)
    if newlines == "refuse":
        refuse_bare(octets, lines)
    fields, gap, body = take_fields(lines)
    made = not fields and not gap
    count_fields(fields)
    if not first(fields, b"from") and not (from_add and sender):
        raise Refused("from-missing", 0)
    top = []
    if received:
        top.append(b"Received: " + RECEIVED)
    if not first(fields, b"from"):
        top.append(b"From: " + sender)
    if not first(fields, b"date"):
        top.append(b"Date: " + DATE)
    if not first(fields, b"message-id"):
        top.append(b"Message-ID: " + ID)
    kept = [f for f in fields
            if f.name not in (b"bcc", b"resent-bcc", b"return-path")]
    dkim = first(fields, b"dkim-signature") is not None
    if any(len(l.text) > LINE_MAX for l in flat(kept) + body):
        mime = Mime(dkim)
        rest = mime.run(kept, gap, body)
        if made:
            # The section that was made ends before the body.
            cut = sum(1 for l in rest[:2] if mime_made(l)) if \
                rest and mime_made(rest[0]) else 0
            rest[cut:cut] = [b""]
    else:
        rest = [l.text for l in flat(kept)] + ([b""] if gap or made else [])
        rest += [l.text for l in body]
    return b"".join(line + b"\r\n" for line in top + rest)


def mime_made(line):
    return line in (b"MIME-Version: 1.0",
                    b"Content-Transfer-Encoding: quoted-printable")


def refuse_bare(octets, lines):
    for m in re.finditer(rb"\r\n|\r|\n", octets):
        if m[0] != b"\r\n":
            number = len(re.findall(rb"\r\n|\r|\n", octets[:m.start()])) + 1
            if number >= lines[0].number:
                raise Refused("bare-newline", number)


def count_fields(fields):
    froms = hops = 0
    for field in fields:
        froms += field.name == b"from"
        hops += field.name == b"received"
        if hops > 50:
            raise Refused("loop", field.lines[0].number)
        if froms > 1:
            raise Refused("from-twice", field.lines[0].number)


def flags(octets):
    """8bit, dots, header8 as one number."""
    head = octets.split(b"\r\n\r\n", 1)[0]
    high = re.compile(rb"[\x80-\xff]").search
    return ((1 if high(octets) else 0) |
            (2 if re.search(rb"(?:\A|\n)\.", octets) else 0) |
            (4 if high(head) else 0))


def matches(expected, actual):
    """Is this what was expected, the placeholders filled in?"""
    *parts, tail = re.split(rb"(\0[a-z]+\0)", expected)
    if not actual.endswith(tail):   # no pattern of megabytes
        return False
    pattern = b"".join(LOOKS.get(p) or re.escape(p) for p in parts)
    head = actual[:len(actual) - len(tail)]
    return re.fullmatch(pattern, head, re.S) is not None


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("file")
    args.add_argument("--from", dest="sender", default="")
    args.add_argument("--received", action="store_true")
    args.add_argument("--check", help="what has arrived, to be compared")
    got = args.parse_args()
    with open(got.file, "rb") as f:
        octets = f.read()
    try:
        expected = canonical(octets, got.sender.encode(), got.received)
    except Refused as why:
        print(f"{got.file}:{why.args[1]}: refused: {why.args[0]}",
              file=sys.stderr)
        return 65
    if not got.check:
        sys.stdout.buffer.write(expected)
        return 0
    with open(got.check, "rb") as f:
        return 0 if matches(expected, f.read()) else 1


if __name__ == "__main__":
    sys.exit(main())
