#!/usr/bin/env python3
"""Every numbered rule of docs/SMTP.md has tests that carry its number.

A test of rule N is a dialogue tests/transcripts/NN-what.smtp, or a function
rule_NN_what: START_TEST() in C, def in Python.  A rule without any is a
finding, unless LATER says what it waits for; so is a test of a rule that does
not exist, and a rule in LATER that has tests.  --table prints rules and tests
for docs/TESTING.md.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LATER = {  # rule: the part of the program that brings it and its tests
    28: "TLS is not built",
    29: "TLS is not built",
    30: "DKIM is not built",
}
RULE = re.compile(r"(\d+)\. ")
C_TEST = re.compile(r"START_TEST\(\s*rule_(\d+)_(\w+)\)")
PY_TEST = re.compile(r"^\s*def (?:test_)?rule_(\d+)_(\w+)\(", re.M)
DIALOGUE = re.compile(r"(\d+)-([a-z0-9-]+)")


def rules_of(text):
    """{number: (section, the rule's first words)} of the numbered lines."""
    rules, section = {}, ""
    for line in text.splitlines():
        m = RULE.match(line)
        if line.startswith("## "):
            section = re.sub(r" \(.*", "", line[3:])
        elif m:
            words = re.split(r"[.:;(]", line[m.end():])[0]
            rules[int(m[1])] = (section, words.replace("*", "").strip())
    return rules


def tests_of(root):
    """[(rule, file, name)] of all tests that carry a number."""
    found = []
    for path in sorted((root / "tests" / "transcripts").glob("*.smtp")):
        m = DIALOGUE.fullmatch(path.stem)
        found.append((int(m[1]) if m else 0, path.name, path.stem))
    for pattern, ends in ((C_TEST, "*.c"), (PY_TEST, "*.py")):
        for path in sorted((root / "tests").rglob(ends)):
            text = path.read_text(encoding="utf-8")
            found += [(int(n), path.name, what)
                      for n, what in pattern.findall(text)]
    return found


def findings_of(rules, tests):
    bad = []
    tested = {rule for rule, _, _ in tests}
    for rule, file, name in tests:
        if rule not in rules:
            bad.append(f"{file}: {name} carries the number of no rule")
    for rule in sorted(rules):
        if rule not in tested and rule not in LATER:
            bad.append(f"docs/SMTP.md: rule {rule} has no test")
        if rule in tested and rule in LATER:
            bad.append(f"rules_agree.py: rule {rule} has tests, yet LATER "
                       f"says that {LATER[rule]}")
    return bad


def cell(rule, tests):
    """How many dialogues, and which other tests by file."""
    mine = [(f, n) for r, f, n in tests if r == rule]
    dialogues = sum(f.endswith(".smtp") for f, _ in mine)
    parts = []
    if dialogues:
        parts.append(f"{dialogues} dialogue{'s' * (dialogues > 1)}")
    for file in sorted({f for f, _ in mine if not f.endswith(".smtp")}):
        names = [n.replace("_", " ") for f, n in mine if f == file]
        parts.append(f"`{file}`: {', '.join(names)}")
    return "; ".join(parts) or f"none: {LATER.get(rule, 'missing')}"


def table(rules, tests):
    rows, section = ["| rule | tests |", "|---|---|"], ""
    for rule in sorted(rules):
        if rules[rule][0] != section:
            section = rules[rule][0]
            rows.append(f"| **{section}** | |")
        rows.append(f"| {rule}. {rules[rule][1]} | {cell(rule, tests)} |")
    return "\n".join(rows)


def self_test():
    """A plant for each finding."""
    rules = {1: ("", ""), 2: ("", ""), 28: ("", "")}
    plants = [(1, "a.c", "x"), (3, "b.c", "y"), (28, "c.c", "z")]
    found = findings_of(rules, plants)
    return [] if len(found) == 3 else [f"self-test: found {found}"]


def main():
    rules = rules_of((ROOT / "docs" / "SMTP.md").read_text(encoding="utf-8"))
    tests = tests_of(ROOT)
    if sys.argv[1:] == ["--table"]:
        print(table(rules, tests))
        return 0
    bad = findings_of(rules, tests) + self_test()
    print("\n".join(bad) or f"rules: ok, {len(rules)} rules, {len(tests)} tests")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
