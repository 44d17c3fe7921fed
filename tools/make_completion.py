#!/usr/bin/env python3
"""Shell completion from what the commands say of themselves.

make_completion.py MTAQ FOLDER writes FOLDER/mtaq.bash, _mtaq and mtaq.fish.
The help of `mtaq` and `mtaq COMMAND --help` is the only source, so that the
three cannot say other things than the program; tests/style/man_agrees.py
compares.
"""
import pathlib
import re
import subprocess
import sys

FISH_MARK = "\\'"
# A line of a help's table: "  -c, --config FILE   words".
ROW = re.compile(r"  (?:(-[A-Za-z0-9]), |    )--([a-z][a-z0-9-]*)(?: (\S+))?"
                 r"(?:  +(\S.*))?$")


class Option:
    def __init__(self, name, short, value, words):
        self.name, self.short, self.value = name, short, value
        self.words = words


class Command:
    def __init__(self, name, words):
        self.name, self.words = name, words
        self.options, self.verbs, self.files = [], [], False


def say(mtaq, *args):
    return subprocess.run([mtaq, *args], check=True, capture_output=True,
                          text=True).stdout


def plain(words):
    """One short phrase without brackets and what a shell would read."""
    words = re.sub(r"\s*[(\[].*?[)\]]", "", words).split(";")[0]
    return re.sub(r"[\"`\[\]\\$]", "", words).strip().rstrip(".;,")


def read_options(text):
    """The options of a help text, in its order."""
    found, lines = [], text.splitlines()
    for n, line in enumerate(lines):
        m = ROW.match(line)
        if m:
            short, name, value, words = m.groups()
            more = n + 1
            while more < len(lines) and lines[more].startswith(" " * 12):
                words = f"{words or ''} {lines[more].strip()}"
                more += 1
            found.append(Option(name, short, value, plain(words or "")))
    return found


def read_commands(mtaq):
    commands = []
    for name, words in re.findall(r"^  ([a-z]+) +(.+)$",
                                  say(mtaq, "--help"), re.M):
        c = Command(name, plain(words))
        if name != "version":
            text = say(mtaq, name, "--help")
            usage = re.findall(rf"mtaq {name} ([a-z][a-z|]*)", text)
            c.verbs = list(dict.fromkeys(
                v for u in usage for v in u.split("|")))
            c.options = read_options(text)
            c.files = name == "submit"
        commands.append(c)
    return commands


def kind(option):
    """none, file, folder, a list of words, or some other value."""
    if option.value is None:
        return "none"
    if "|" in option.value:
        return "words"
    return {"FILE": "file", "FOLDER": "folder"}.get(option.value, "value")


def choices(option):
    return " ".join((option.value or "").split("|"))


def flags(option):
    return ([option.short] if option.short else []) + ["--" + option.name]


HEAD = "made by tools/make_completion.py from mtaq's help; do not edit"


def bash(commands):
    names = " ".join(c.name for c in commands)
    out = [f"# bash completion for mtaq - {HEAD}", "_mtaq()", "{",
           "\tlocal cur=${COMP_WORDS[COMP_CWORD]}"
           " prev=${COMP_WORDS[COMP_CWORD-1]}",
           "\tlocal cmd=${COMP_WORDS[1]-} opts= verbs= files=", "",
           "\tif [ \"$COMP_CWORD\" -eq 1 ]; then",
           f"\t\tCOMPREPLY=($(compgen -W '{names} --help --version' -- "
           "\"$cur\"))", "\t\treturn", "\tfi", "\tcase $cmd in"]
    for c in commands:
        opts = " ".join(f for o in c.options for f in flags(o))
        out.append(f"\t{c.name}) opts='{opts}' verbs='{' '.join(c.verbs)}'"
                   f" files={'y' if c.files else ''} ;;")
    out += ["\tesac", "\tcase \"$cmd $prev\" in"]
    for c in commands:
        for k, action in (("file", "-f"), ("folder", "-d"), ("value", "")):
            at = [f"'{c.name} {f}'" for o in c.options if kind(o) == k
                  for f in flags(o)]
            if at:
                gives = (f"COMPREPLY=($(compgen {action} -- \"$cur\"))"
                         if action else "COMPREPLY=()")
                out.append(f"\t{' | '.join(at)}) {gives}; return ;;")
        for o in c.options:
            if kind(o) == "words":
                out.append(f"\t'{c.name} --{o.name}') COMPREPLY=($(compgen "
                           f"-W '{choices(o)}' -- \"$cur\"));"
                           " return ;;")
    out += ["\tesac", "\tif [ \"${cur#-}\" != \"$cur\" ]; then",
            "\t\tCOMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))",
            "\telif [ -n \"$verbs\" ] && [ \"$COMP_CWORD\" -eq 2 ]; then",
            "\t\tCOMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))",
            "\telif [ -n \"$files\" ]; then",
            "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))", "\tfi", "}",
            "complete -o filenames -F _mtaq mtaq"]
    return "\n".join(out) + "\n"


def quote(words, mark):
    """For a place between '': each ' becomes mark."""
    return words.replace("'", mark)


def zsh_option(o):
    takes = {"none": "", "file": ":file:_files", "folder": ":folder:_files -/",
             "value": f":{o.name}: "}.get(kind(o))
    if takes is None:
        takes = f":{o.name}:({choices(o)})"
    words = quote(o.words or o.name, "'\\''")
    return [f"\t\t\t'{f}[{words}]{takes}' \\" for f in flags(o)]


def zsh(commands):
    out = ["#compdef mtaq", f"# zsh completion for mtaq - {HEAD}", "_mtaq() {",
           "\tlocal -a commands", "\tcommands=("]
    for c in commands:
        words = quote(c.words.replace(":", "\\:"), "'\\''")
        out.append(f"\t\t'{c.name}:{words}'")
    out += ["\t)", "\tif (( CURRENT == 2 )); then",
            "\t\t_describe command commands", "\t\treturn", "\tfi",
            "\tlocal cmd=$words[2]", "\tshift words", "\t(( CURRENT-- ))",
            "\tcase $cmd in"]
    for c in commands:
        out += [f"\t{c.name})", "\t\t_arguments \\"]
        for o in c.options:
            out += zsh_option(o)
        if c.verbs:
            out.append(f"\t\t\t'1:verb:({' '.join(c.verbs)})' \\")
        out += ["\t\t\t'*:file:_files'" if c.files else "\t\t\t&& return 0",
                "\t\t;;"]
    return "\n".join(out + ["\tesac", "}", "_mtaq \"$@\""]) + "\n"


def fish_option(c, o):
    line = f"complete -c mtaq -n '__fish_seen_subcommand_from {c.name}'"
    line += f" -s {o.short[1:]}" if o.short else ""
    line += f" -l {o.name}"
    k = kind(o)
    line += {"none": "", "value": " -x", "file": " -r -F",
             "folder": " -x -a '(__fish_complete_directories)'",
             "words": f" -x -a '{choices(o)}'"}[k]
    words = quote(o.words, FISH_MARK)
    return line + (f" -d '{words}'" if words else "")


def fish(commands):
    names = " ".join(c.name for c in commands)
    out = [f"# fish completion for mtaq - {HEAD}", "complete -c mtaq -f"]
    for c in commands:
        out.append("complete -c mtaq -n 'not __fish_seen_subcommand_from "
                   f"{names}' -a {c.name} "
                   f"-d '{quote(c.words, FISH_MARK)}'")
    for c in commands:
        if c.verbs:
            out.append("complete -c mtaq -n '__fish_seen_subcommand_from "
                       f"{c.name}; and not __fish_seen_subcommand_from "
                       f"{' '.join(c.verbs)}' -a '{' '.join(c.verbs)}'")
        if c.files:
            out.append("complete -c mtaq -n '__fish_seen_subcommand_from "
                       f"{c.name}' -F")
        out += [fish_option(c, o) for o in c.options]
    return "\n".join(out) + "\n"


def make(mtaq):
    commands = read_commands(mtaq)
    return {"mtaq.bash": bash(commands), "_mtaq": zsh(commands),
            "mtaq.fish": fish(commands)}


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} MTAQ FOLDER")
    folder = pathlib.Path(sys.argv[2])
    for name, text in make(sys.argv[1]).items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
