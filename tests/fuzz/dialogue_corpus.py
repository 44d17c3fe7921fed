#!/usr/bin/env python3
"""Write what the server says in each dialogue as a seed for fuzz_session.

usage: dialogue_corpus.py TRANSCRIPTS OUT
"""
import pathlib
import re
import sys

ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)")
PIECES_OF_46 = 0xF0
GROUPING = 0x02


def unescape(match):
    word = match[1]
    if len(word) == 3:
        return bytes([int(word[1:], 16)])
    return {b"r": b"\r", b"n": b"\n"}.get(word, word)


def seed(text):
    out = bytes([PIECES_OF_46 | (GROUPING if b"! grouping" in text else 0)])
    for line in text.split(b"\n"):
        if re.match(rb"S[:+-] ", line):
            out += ESCAPE.sub(unescape, line[3:])
            out += b"" if line[1:2] == b"-" else b"\r\n"
    return out


def main(transcripts, out):
    for path in sorted(pathlib.Path(transcripts).glob("*.smtp")):
        data = seed(path.read_bytes())
        if len(data) <= 4096:
            (pathlib.Path(out) / path.stem).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
