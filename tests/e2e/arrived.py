"""Compares what a receiver stored with what canonical.py makes of the file."""
import ast
import difflib
import pathlib

import canonical
from harness import must

EXPECTED = pathlib.Path(__file__).resolve().parent / "expected"


def edits(receiver, name):
    """[(lines to be found, lines instead)] of expected/RECEIVER/NAME.txt."""
    file = EXPECTED / receiver / f"{name}.txt"
    if not file.exists():
        return []
    out = []
    for paragraph in file.read_text().strip().split("\n\n")[1:]:
        old, new = [], []
        for line in paragraph.splitlines():
            text = ast.literal_eval(line[1:])
            if line[0] in " -":
                old.append(text)
            if line[0] in " +":
                new.append(text)
        must(old and old != new, f"{file}: an edit that says nothing")
        out.append((old, new))
    must(out, f"{file}: no edit")
    return out


def edited(lines, old, new):
    found = [i for i in range(len(lines)) if lines[i:i + len(old)] == old]
    must(len(found) == 1, f"the edit {old} applies {len(found)} times")
    return lines[:found[0]] + new + lines[found[0] + len(old):]


def check(octets, sender, arrived, receiver, name):
    """Octets handed over by that sender have arrived like this (CRLF)."""
    lines = canonical.canonical(octets, sender, received=True).split(b"\r\n")
    for old, new in edits(receiver, name):
        lines = edited(lines, old, new)
    if canonical.matches(b"\r\n".join(lines), arrived):
        return
    must(False, f"{name}: not as the rules say:\n" +
         first_difference(lines, arrived.split(b"\r\n")))


def first_difference(old, new):
    """A few lines from where the two part; those with placeholders always
    differ."""
    same = difflib.SequenceMatcher(None, old[:200], new[:200]) \
        .get_opcodes() if len(old) < 5000 else []
    shown = [f"-{line[:200]!r}" for tag, a, b, _, _ in same if tag != "equal"
             for line in old[a:b]][:20]
    shown += [f"+{line[:200]!r}" for tag, _, _, a, b in same if tag != "equal"
              for line in new[a:b]][:20]
    return "\n".join(shown or [f"{len(old)} lines, {len(new)} arrived"])
