#!/usr/bin/env python3
"""Fail when a file includes what its layer may not.

Three rules, one table each:
  1. a folder may include its own headers and those of the folders it names;
  2. each third-party header belongs to the folders that wrap it;
  3. a pure folder sees no header that brings system calls or a clock.

--self-test plants one breach of each rule and expects to find it.
"""
import pathlib
import re
import sys
import tempfile

PURE = {"src/base", "src/smtp", "src/mail", "src/sched", "src/site",
        "src/transfer"}
LOW = ["src/base"]
ALL = ["src/base", "src/smtp", "src/mail", "src/sched", "src/site",
       "src/transfer", "queue",
       "src/io", "src/idn", "src/tls", "src/dns", "src/dkim", "src/options"]
MAY_USE = {                       # folder: folders whose headers it may see
    "src/base": [],
    "src/smtp": LOW,
    "src/mail": LOW + ["src/smtp"],      # one address check for all entrances
    "src/sched": LOW,
    "src/site": LOW + ["src/sched"],     # a plan asks for the slot
    "src/transfer": LOW,
    "queue": LOW,
    "src/io": LOW,
    "src/idn": LOW + ["src/smtp"],       # addresses with their domains' A-labels
    "src/tls": LOW,
    "src/dns": LOW,
    "src/dkim": LOW,
    "src/options": LOW,
    "src/engine": ALL + ["src/ingress", "src/report", "src/admin"],
    "src/ingress": ALL,
    "src/report": ALL,
    "src/admin": ALL,
    "src/cmd": ALL + ["src/engine", "src/ingress", "src/report", "src/admin",
                      "bench"],
    "bench": ALL,
}
OWNER = {                         # third-party header: its folders
    r"lmdb\.h": {"queue", "tests"},    # tests make its calls fail
    r"liburing.*\.h": {"src/io"},
    r"ares.*\.h": {"src/dns"},
    r"arpa/nameser.*\.h": {"src/dns", "bench"},
    r"openssl/.*": {"src/tls", "src/dkim"},
    r"libfyaml\.h": {"src/options"},
    r"idn2\.h": {"src/idn"},
    r"microhttpd\.h": {"src/report"},
    r"n?curses\.h": {"src/cmd"},
    r"check\.h": {"tests"},
}
IMPURE = re.compile(r"^(sys/socket|netinet/.*|arpa/.*|netdb|fcntl|unistd|"
                    r"pthread|sys/epoll|sys/mman|sys/stat|poll)\.h$|"
                    r"^(time|signal|sys/time|syslog)\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def folder_of(rel):
    for name in sorted(MAY_USE, key=len, reverse=True):
        if str(rel).startswith(name + "/"):
            return name
    return str(rel).split("/")[0]


def target_of(name):
    if name.startswith("queue/") or name.startswith("bench/"):
        return name.split("/")[0]
    return "src/" + name.split("/")[0]


def check_include(here, kind, name):
    """The complaint about one include, or None."""
    for pattern, owners in OWNER.items():
        if re.fullmatch(pattern, name) and here not in owners:
            return f"<{name}> belongs to {', '.join(sorted(owners))}"
    if here in PURE and IMPURE.match(name):
        return f"{here}/ is pure: no <{name}>"
    if here not in MAY_USE or "/" not in name or kind == "<":
        return None
    if name.startswith("mtaq/"):
        return None
    there = target_of(name)
    if there != here and there not in MAY_USE[here]:
        return f"{here}/ may not use {there}/"
    return None


def sources(root):
    for top in ("include", "src", "queue", "bench", "tests"):
        if (root / top).is_dir():
            yield from sorted((root / top).rglob("*.[ch]"))


def check(root):
    bad = []
    for path in sources(root):
        rel = path.relative_to(root)
        here = folder_of(rel)
        if str(rel).startswith("src/") and here not in MAY_USE:
            bad.append(f"{rel}: {here}/ is not in the table of layers")
        text = path.read_text(encoding="utf-8")
        for n, line in enumerate(text.splitlines(), 1):
            m = INCLUDE.match(line)
            complaint = m and check_include(here, m[1], m[2])
            if complaint:
                bad.append(f"{rel}:{n}: {complaint}")
    return bad


def self_test():
    plants = {
        "src/smtp/a.c": '#include "queue/log.h"\n',
        "src/base/b.c": "#include <unistd.h>\n",
        "src/engine/c.c": "#include <lmdb.h>\n",
        "src/unknown/d.c": "\n",
    }
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        for name, text in plants.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = check(root)
    missed = [n for n in plants if not any(f.startswith(n) for f in found)]
    return [f"self-test: the breach in {n} was not found" for n in missed]


if __name__ == "__main__":
    problems = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    problems += self_test()
    print("\n".join(problems) or "layers: ok")
    sys.exit(bool(problems))
