#!/usr/bin/env python3
"""Hold the tree to the measurable part of docs/HACKING.md.

Formatting (clang-format), lengths of files and functions (ctags), includes a
file, banned calls, leftovers, header guards, a README in every folder, and
commit-proof words.  Each finding is one line, FILE:LINE: what is wrong.
"""
import pathlib
import re
import shutil
import subprocess
import sys

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70
INCLUDES_MAX = 12
README_LINES_MAX = 40
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|gets|"
                    r"alloca|gmtime|strerror|strncpy)\s*\(")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX)\b|^\s*#\s*if 0")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)
FOLDERS = ["queue", "bench", "tests", "conf"]


def sources(root):
    for top in ("include", "src", "queue", "bench", "tests"):
        if (root / top).is_dir():
            yield from sorted((root / top).rglob("*.[ch]"))


def blank(match):
    return "\n" * match[0].count("\n")


def check_text(rel, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{rel}:1: {len(lines)} lines (the wall is {FILE_LINES_MAX})"
    includes = sum(1 for l in lines if re.match(r"\s*#\s*include", l))
    if includes > INCLUDES_MAX:
        yield f"{rel}:1: {includes} includes (at most {INCLUDES_MAX})"
    for n, line in enumerate(lines, 1):
        if LEFTOVER.search(line):
            yield f"{rel}:{n}: leftover: {line.strip()}"
    for n, line in enumerate(COMMENT.sub(blank, text).splitlines(), 1):
        m = BANNED.search(line)
        if m:
            yield f"{rel}:{n}: {m[1]}() is banned"
    if not text.lstrip().startswith("/*") and rel.suffix == ".c":
        yield f"{rel}:1: a file begins with what it is"
    if rel.suffix == ".h" and "#ifndef MTAQ_" not in text:
        yield f"{rel}:1: no header guard MTAQ_..."


def check_functions(root, files):
    out = subprocess.run(
        ["ctags", "-x", "--c-kinds=f", "--fields=+e",
         "--_xformat=%F\t%N\t%n\t%e", "-L", "-"],
        input="\n".join(str(f) for f in files), text=True, cwd=root,
        capture_output=True, check=True).stdout
    for row in out.splitlines():
        name, fn, start, end = row.split("\t")
        if end.isdigit() and int(end) - int(start) >= FUNCTION_LINES_MAX:
            yield (f"{name}:{start}: {fn} is {int(end) - int(start) + 1} "
                   f"lines (the wall is {FUNCTION_LINES_MAX})")


def check_format(root, files):
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", "--ferror-limit=1"]
        + [str(f) for f in files],
        cwd=root, capture_output=True, text=True)
    for line in done.stderr.splitlines():
        if "error:" in line:
            yield line


def check_readmes(root):
    folders = [root / f for f in FOLDERS]
    folders += [d for d in (root / "src").iterdir() if d.is_dir()]
    for d in folders:
        if not d.is_dir() or not any(d.iterdir()):
            continue
        readme = d / "README.md"
        if not readme.is_file():
            yield f"{d.relative_to(root)}: has no README.md"
        elif d.parent.name == "src":
            n = len(readme.read_text(encoding="utf-8").splitlines())
            if n > README_LINES_MAX:
                yield (f"{readme.relative_to(root)}: {n} lines "
                       f"(at most {README_LINES_MAX})")


def main(root):
    missing = [t for t in ("clang-format", "ctags") if not shutil.which(t)]
    if missing:
        print("style: needs", ", ".join(missing))
        return 1
    files = [p.relative_to(root) for p in sources(root)]
    bad = list(check_readmes(root))
    for rel in files:
        bad += check_text(rel, (root / rel).read_text(encoding="utf-8"))
    bad += check_functions(root, files)
    bad += check_format(root, files)
    print("\n".join(bad) or f"style: ok ({len(files)} files)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
