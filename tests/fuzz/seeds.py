#!/usr/bin/env python3
"""Write the seeds of the fuzzers from the dialogues and the mail of the tests.

usage: seeds.py TRANSCRIPTS MAIL OUT

OUT/TARGET/ gets one file a seed; what a fuzzer wants in front of its octets
(see the head of tests/fuzz/TARGET.c) is put there.  Run again it writes the
same files.
"""
import hashlib
import pathlib
import re
import sys

ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)")
PIECES_OF_43 = 0x70
GROUPING = 0x02
STREAM = 0x88            # the proof and a first mail are in front
PROVED = b"503 5.5.1 no mail\r\n250 2.0.0 ok\r\n"
SEED_MAX = 4096         # what libFuzzer mutates by default
ADDRESS = re.compile(rb"[^\s<>(),;:\"]+@[^\s<>(),;:\"]+|<[^>\s]+>")


def unescape(match):
    word = match[1]
    if len(word) == 3:
        return bytes([int(word[1:], 16)])
    return {b"r": b"\r", b"n": b"\n"}.get(word, word)


def server_lines(text):
    """What the server says, each line with its end, and each write."""
    for line in text.split(b"\n"):
        if re.match(rb"S[:+-] ", line):
            yield (ESCAPE.sub(unescape, line[3:])
                   + (b"" if line[1:2] == b"-" else b"\r\n"))


def replies(octets):
    """The octets cut into whole replies, as far as there are any."""
    reply = b""
    for line in octets.splitlines(keepends=True):
        reply += line
        if not re.match(rb"\d\d\d-", line):
            yield reply
            reply = b""
    if reply:
        yield reply


def ehlo_text(reply):
    return b"\n".join(l.rstrip(b"\r\n")[4:] for l in reply.splitlines())


class Seeds:
    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.count = {}

    def add(self, target, data):
        if len(data) > SEED_MAX:
            data = data[:SEED_MAX]
        folder = self.out / target
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha1(data).hexdigest()
        if not path.exists():
            path.write_bytes(data)
        self.count[target] = self.count.get(target, 0) + 1


def from_dialogue(seeds, text):
    grouping = GROUPING if b"! grouping" in text else 0
    said = b"".join(server_lines(text))
    seeds.add("fuzz_session", bytes([PIECES_OF_43 | grouping]) + said)
    if b"! ahead" in text:
        seeds.add("fuzz_session", bytes([PIECES_OF_43 | STREAM]) +
                  said.partition(PROVED)[2])
    for reply in replies(said):
        seeds.add("fuzz_reply", reply)
        if reply.startswith(b"250-"):
            seeds.add("fuzz_ehlo", ehlo_text(reply))


def from_mail(seeds, octets):
    for how in (0, 1, 7):
        seeds.add("fuzz_canon", bytes([how]) + octets)
    seeds.add("fuzz_header", octets)
    lf = octets.replace(b"\r\n", b"\n")
    dots = re.sub(rb"(?m)^(?=[a-z])", b".", lf)
    for step, times in ((0, 0), (1, 0), (100, 7)):
        seeds.add("fuzz_wire", bytes([step, times]) + dots)
    from_line = b"From a@b Sun Nov 22 16:08:00 2026\n"
    seeds.add("fuzz_mbox", b"\x40" + from_line + lf[:1800] + b"\n" + from_line
              + b">From x\n" + lf[:1800])
    for line in lf.split(b"\n"):
        if re.search(rb"=[0-9A-F]{2}|[\x80-\xff]", line):
            seeds.add("fuzz_qp", line)
    for match in ADDRESS.findall(lf[:20000]):
        seeds.add("fuzz_address", match.strip(b"<>")[:320])


def record(kind, data, name=b"\xc0\x0c", ttl=60):
    return (name + kind.to_bytes(2, "big") + b"\x00\x01"
            + ttl.to_bytes(4, "big") + len(data).to_bytes(2, "big") + data)


def answer(*records, flags=b"\x81\x80", authorities=0):
    text = flags + bytes([len(records) - authorities, authorities])
    text += b"".join(records)
    return bytes([len(text)]) + text


def from_dns(seeds):
    """Answers to MX, then A and AAAA of each host in turn (fuzz_mx)."""
    def mx(preference, name):
        return record(15, preference.to_bytes(2, "big") + name)

    def host(letter):
        return bytes([1]) + letter + b"\xc0\x0c"

    soa = record(6, b"\0\0" + b"\0\0\0\x3c" * 5)
    some = answer(mx(10, host(b"a")), mx(10, host(b"b")), mx(20, host(b"c")))
    ours = answer(mx(10, b"\x03our\x04test\0"), mx(5, host(b"a")))
    none = answer(soa, authorities=1)
    a = answer(record(1, bytes([192, 0, 2, 7])), record(1, b"\xc0\0\2\x08"))
    own = answer(record(1, bytes([192, 0, 2, 1])))
    aaaa = answer(record(28, b"\x20\x01" + bytes(14)))
    alias = answer(record(5, host(b"z")), record(1, b"\xc0\0\2\7",
                                                name=host(b"z")))
    gone = answer(soa, flags=b"\x81\x83", authorities=1)
    fails = answer(flags=b"\x81\x82")
    for first in (some, ours, none, answer(mx(0, b"\0")), gone, fails):
        for rest in (a + aaaa, a + none, own + aaaa, alias + none,
                     none + none, fails + a, gone + gone, a + aaaa + own):
            seeds.add("fuzz_mx", first + rest)


def main(transcripts, mail, out):
    seeds = Seeds(out)
    from_dns(seeds)
    for path in sorted(pathlib.Path(transcripts).glob("*.smtp")):
        from_dialogue(seeds, path.read_bytes())
    for path in sorted(pathlib.Path(mail).glob("*.eml")):
        from_mail(seeds, path.read_bytes())
    for target, count in sorted(seeds.count.items()):
        print(f"{target}: {count} seeds")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
