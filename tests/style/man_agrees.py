#!/usr/bin/env python3
"""The program, its man pages and its completions say the same.

man_agrees.py MTAQ: the commands of `mtaq --help` each have a page, a line in
mtaq(1) and completions; mtaq-events(5) names the types, keys and words that
the event log can hold; the options of `mtaq COMMAND --help` are those of the
page, none more, with values of the same names, and its usage is the page's
synopsis; mtaq.yaml.5.scd is what `mtaq check --man` prints, and has
the options of `mtaq check --defaults`; each finding is a line.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import make_completion  # noqa: E402

MAN = ROOT / "docs" / "man"
COMPLETION = ROOT / "conf" / "completion"
OPTION = r"(?<![\w-])--[a-z][a-z0-9-]*"
# Explained in mtaq(1) alone: it takes no options.
WITHOUT_PAGE = {"version"}


def differ(wanted, found, what, findings):
    for name in sorted(wanted - found):
        findings.append(f"{what} lacks {name}")
    for name in sorted(found - wanted):
        findings.append(f"{what} has {name}, the program has not")


def section(text, name):
    """The text of one section of a page; empty: there is none."""
    m = re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", text, re.M | re.S)
    return m.group(1) if m else ""


def page_of(command):
    return MAN / f"mtaq-{command}.1.scd"


def check_commands(commands, findings):
    names = {c.name for c in commands}
    pages = {p.name[len("mtaq-"):-len(".1.scd")]
             for p in MAN.glob("mtaq-*.1.scd")}
    differ(names - WITHOUT_PAGE, pages, "docs/man", findings)
    listed = section((MAN / "mtaq.1.scd").read_text(), "COMMANDS")
    listed = {n for line in listed.splitlines() if line.startswith("*")
              for n in re.findall(r"\*([a-z]+)\*", line)}
    differ(names, listed, "COMMANDS of mtaq.1.scd", findings)


def check_page(mtaq, command, findings):
    page = page_of(command.name)
    if not page.exists():
        return              # told by check_commands()
    text = page.read_text()
    for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS",
                 "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
        if not section(text, name):
            findings.append(f"{page.name} lacks the section {name}")
    said = make_completion.say(mtaq, command.name, "--help")
    wanted = {f for o in command.options for f in make_completion.flags(o)}
    for name in sorted(set(re.findall(OPTION, said)) - wanted):
        if not re.search(rf"mtaq [a-z]+ {name}\b", said):
            findings.append(f"{command.name} --help tells of {name}, which "
                            "it does not take")
    found = {n for line in section(text, "OPTIONS").splitlines()
             if line.startswith("*-")
             for n in re.findall(r"\*(-[A-Za-z]|--[a-z][a-z0-9-]*)\*", line)}
    differ(wanted, found, f"OPTIONS of {page.name}", findings)
    check_values(command, text, page.name, findings)
    check_synopsis(command, said, text, page.name, findings)
    for line in said.splitlines():
        if len(line) > 79:
            findings.append(f"{command.name} --help is too wide: {line}")
    for verb in command.verbs:
        if not re.search(rf"^\*{verb}\*$", text, re.M):
            findings.append(f"{page.name} does not explain {verb}")
    check_codes(said, text, page.name, findings)


def plain(text):
    """scdoc without its marks."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)[*_]", "", text))


def check_values(command, text, name, findings):
    """What an option takes is called the same in help and page."""
    lines = [plain(line) for line in section(text, "OPTIONS").splitlines()
             if line.startswith("*-")]
    for o in command.options:
        wanted = f"--{o.name} {o.value}" if o.value else f"--{o.name}"
        if not any(line == wanted or line.endswith(", " + wanted)
                   for line in lines):
            findings.append(f"OPTIONS of {name} does not say '{wanted}'")


def check_synopsis(command, said, text, name, findings):
    """The forms of the help's usage are those of the page's synopsis."""
    usage = re.search(r"\Ausage: (.*?)\n\n", said, re.S).group(1)
    forms = [u.split() for u in usage.split("\n")]
    wanted = " ".join(w for u in forms for w in u)
    found = " ".join(plain(section(text, "SYNOPSIS")).split())
    squeeze = str.maketrans("", "", " ")
    if wanted.translate(squeeze) != found.translate(squeeze):
        findings.append(f"SYNOPSIS of {name}: '{found}', the help says "
                        f"'{wanted}'")


def check_codes(said, text, name, findings):
    """The exit codes, where the help tells them."""
    m = re.search(r"Exit codes: (.*)\Z", said, re.S)
    if m:
        wanted = set(re.findall(r"\b(0|6[4-9]|7[0-8])\b", m.group(1)))
        found = {c for line in section(text, "EXIT STATUS").splitlines()
                 if line.startswith("*")
                 for c in re.findall(r"\*(\d+)\*", line)}
        differ(wanted, found, f"EXIT STATUS of {name}", findings)


def table_of(path, mark):
    """The names in `[MARK_X] = "name"` or `[MARK_X] = { "name"`."""
    return set(re.findall(rf'\[{mark}_\w+\] =\s*(?:\{{ )?"([\w-]+)"',
                          (ROOT / path).read_text()))


def check_events_page(findings):
    page = MAN / "mtaq-events.5.scd"
    text = page.read_text()
    made = (ROOT / "src/report/event.c").read_text()
    call = r"(?:json_member(?:_u64)?|json_key|add_text|add_id|add_hex)"
    keys = set(re.findall(rf'\b{call}\(\s*out,\s*"(\w+)"', made))
    types = table_of("src/report/event.c", "EVENT") | {"exported", "begin"}
    for name, wanted in (("KEYS", keys), ("TYPES", types)):
        found = {n for line in section(text, name).splitlines()
                 if line.startswith("*")
                 for n in re.findall(r"\*(\w+)\*", line)}
        differ(wanted, found, f"{name} of {page.name}", findings)
    for key, path, mark in (("class", "src/site/classify.c", "REPLY"),
                            ("scope", "src/site/classify.c", "SCOPE"),
                            ("stage", "src/smtp/words.c", "SMTP_STAGE")):
        said = re.search(rf"^\*{key}\*\n(.*?)\n\n", text, re.M | re.S)
        found = set(re.findall(r"_([a-z-]+)_", said.group(1)))
        differ(table_of(path, mark), found, f"{key} in {page.name}", findings)


def check_options_page(mtaq, findings):
    page = MAN / "mtaq.yaml.5.scd"
    if page.read_text() != make_completion.say(mtaq, "check", "--man"):
        findings.append(f"{page.name} is old: mtaq check --man > {page}")
    wanted, above = set(), []
    for line in make_completion.say(mtaq, "check",
                                    "--defaults").splitlines():
        m = re.match(r"( *)([a-z0-9_]+):( .*)?$", line)
        if m:
            above = above[:len(m.group(1)) // 2] + [m.group(2)]
            if m.group(3):
                wanted.add(".".join(above))
    found = {n.replace("\\", "") for n in
             re.findall(r"^\*([a-z0-9_.\\]+)\*$", page.read_text(), re.M)}
    differ(wanted, found, page.name, findings)


def check_completion(mtaq, findings):
    for name, text in make_completion.make(mtaq).items():
        path = COMPLETION / name
        if not path.exists() or path.read_text() != text:
            findings.append(f"{name} is old: tools/make_completion.py "
                            f"{mtaq} {COMPLETION}")
    ask = ('source "$1"; COMP_WORDS=(mtaq "$2"); COMP_CWORD=1; _mtaq;'
           'echo "${COMPREPLY[*]}"')
    said = subprocess.run(["bash", "-c", ask, "bash",
                           COMPLETION / "mtaq.bash", "sub"],
                          capture_output=True, text=True)
    if said.stdout.strip() != "submit":
        findings.append(f"bash completes 'mtaq sub' to '{said.stdout}'"
                        f"{said.stderr}")
    for shell, name in (("zsh", "_mtaq"), ("fish", "mtaq.fish")):
        if shutil.which(shell) and subprocess.run(
                [shell, "-n", COMPLETION / name]).returncode != 0:
            findings.append(f"{shell} cannot read {name}")


def check_scdoc(findings):
    if not shutil.which("scdoc"):
        return
    for page in MAN.glob("*.scd"):
        with open(page, "rb") as f:
            said = subprocess.run(["scdoc"], stdin=f, capture_output=True)
        if said.returncode != 0:
            findings.append(f"{page.name}: {said.stderr.decode().strip()}")


def main():
    mtaq, findings = sys.argv[1], []
    commands = make_completion.read_commands(mtaq)
    check_commands(commands, findings)
    for command in commands:
        if command.name not in WITHOUT_PAGE:
            check_page(mtaq, command, findings)
    check_events_page(findings)
    check_options_page(mtaq, findings)
    check_completion(mtaq, findings)
    check_scdoc(findings)
    for words in findings:
        print(words)
    print(f"{len(commands)} commands, "
          f"{sum(len(c.options) for c in commands)} options: "
          f"{len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
