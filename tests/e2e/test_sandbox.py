#!/usr/bin/env python3
"""Confined as containers and the unit confine it, and what `cmake --install`
puts where.

test_sandbox.py MTAQ [NAME...]          MTAQ_BUILD names the build's folder
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys

from harness import Box, main, must

HERE = pathlib.Path(__file__).resolve().parent
CONF = HERE.parents[1] / "conf"
# One that any user can run: a python of root's home is none.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) \
    else sys.executable
QUICK = {"checkpoint__interval": "1s", "checkpoint__age": "1s"}


def start(box, *before):
    # A sanitizer looks for leaks by ptrace, which no sandbox allows.
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + \
        ":detect_leaks=0"
    with open(box.daemon_log, "ab") as log:
        box.log_from = log.tell()
        box.daemon = subprocess.Popen(
            [*map(str, before), box.mtaq, "run", "-c", str(box.conf)],
            stderr=log, process_group=0)
    box.wait_for(lambda: box.said("mtaq: ready"), 60, "'ready'")


def a_day_in_its_life(box, confined=()):
    """Submit, deliver by DNS, pause, look, rotate, checkpoint, stop."""
    box.load("--messages", 200, "--domains", 10)
    box.wait_final(200)
    box.run("campaign", "pause", "later", "-c", box.conf)
    box.load("--messages", 20, "--domains", 10, "--campaign", "later",
             "--start", 200)
    status = json.loads(box.run("status", "--json", "-c", box.conf).stdout)
    must(status["waiting"] == 20, str(status))
    box.events.rename(box.events.with_suffix(".1"))
    box.daemon.send_signal(signal.SIGHUP)
    box.wait_for(box.events.exists, 60, "a new event log")
    box.wait_for(lambda: json.loads(box.run(
        "status", "--json", "-c", box.conf).stdout)["log_bytes"] < 1 << 20,
        60, "a checkpoint")
    box.run("campaign", "resume", "later", "-c", box.conf)
    box.wait_final(20)
    mail = box.dir / "m.eml"
    mail.write_text("From: a@b.test\nTo: x@d1.test\n\nhello\n")
    box.run("submit", "-c", box.conf, mail)
    box.wait_final(21)
    status = json.loads(box.run("status", "--json", "-c", box.conf).stdout)
    box.stop_daemon()
    done = subprocess.run([*map(str, confined), box.mtaq, "verify", "-c",
                           str(box.conf)], capture_output=True, text=True,
                          timeout=60)
    must(done.returncode == 0, str(done))
    return status


def strict(profile, folder):
    """The same list, but what is not in it ends the process: no call of mtaq
    is one that only happens to be dispensable."""
    with open(profile, encoding="utf-8") as f:
        rules = json.load(f)
    rules["defaultAction"] = "SCMP_ACT_KILL_PROCESS"
    path = folder / "strict.json"
    path.write_text(json.dumps(rules))
    return path


def the_profile_for_containers_is_enough(mtaq):
    """conf/seccomp.json as a container's runtime would load it: io_uring
    works; and no other call is made than those of its list."""
    said = []
    for backend in ("io_uring", "epoll"):
        with Box(mtaq, io=backend) as box:
            box.start_sink("--domains", 10)
            box.configure(**QUICK)
            profile = CONF / "seccomp.json"
            if "libasan" not in linked(mtaq):   # which makes calls of its own
                profile = strict(profile, box.dir)
            confine = [PYTHON, HERE / "confine.py", "--profile", profile]
            start(box, *confine)
            must(confinement(box.daemon.pid)["Seccomp"] == "2", "no filter")
            status = a_day_in_its_life(box, confine)
            must(status["io"] == backend, str(status))
            said.append(f"{backend}: {profile.name}")
    return ", ".join(said)


def linked(mtaq):
    return subprocess.run(["ldd", mtaq], capture_output=True, text=True,
                          check=True).stdout


def confinement(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(re.split(r":\s*", l.strip(), maxsplit=1) for l in f
                    if ":" in l)


# --- the unit ---------------------------------------------------------------------

def unit_of(key):
    """All values of a setting of the unit."""
    text = (CONF / "mtaq.service").read_text()
    return [l.partition("=")[2] for l in text.splitlines()
            if l.startswith(key + "=")]


def systemd_finds_the_unit_sound_and_tight(mtaq):
    if shutil.which("systemd-analyze") is None:
        return "skipped: systemd-analyze is not installed"
    unit = (CONF / "mtaq.service").read_text()
    with Box(mtaq) as box:
        file = box.dir / "mtaq.service"
        path = pathlib.Path(mtaq).resolve()
        file.write_text(re.sub("^ExecStart=.*$", f"ExecStart={path} run",
                               unit, flags=re.M))
        for words in (["verify", "--man=no"],
                      ["security", "--offline=true", "--threshold=20",
                       "--no-pager"]):
            done = subprocess.run(["systemd-analyze", *words, str(file)],
                                  capture_output=True, text=True, timeout=60)
            must(done.returncode == 0 and "mtaq.service:" not in
                 done.stderr, f"{words}: {done.stdout[-300:]}{done.stderr}")
        return done.stdout.splitlines()[-1].strip("→ \n")


def calls_of(group, seen):
    """The system calls of a @group, groups in it included."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager",
                           group], capture_output=True, text=True, check=True)
    for word in done.stdout.split("\n"):
        word = word.strip()
        if word.startswith("@") and word != group:
            calls_of(word, seen)
        elif word and not word.startswith(("#", "@")):
            seen.add(word)
    return seen


def filter_of_the_unit(folder):
    """Its SystemCallFilter= lines as a profile, in their order: the first says
    that all else is forbidden; ~ takes away again."""
    allowed = calls_of("@default", set())
    for line in unit_of("SystemCallFilter"):
        takes = line.startswith("~")
        for word in line.lstrip("~").split():
            calls = calls_of(word, set()) if word.startswith("@") else {word}
            allowed = allowed - calls if takes else allowed | calls
    path = folder / "unit.json"
    path.write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": [],
        "syscalls": [{"names": sorted(allowed),
                      "action": "SCMP_ACT_ALLOW"}]}))
    return path


def as_the_unit_confines_it(mtaq):
    """A user of its own, no capability at all, no new privileges, everything
    read-only but spool, runtime and log, and the unit's list of calls."""
    if os.geteuid() != 0:
        return "skipped: only root can make such a place"
    if shutil.which("systemd-analyze") is None:
        return "skipped: systemd-analyze is not installed"
    if not os.path.ismount("/"):
        return "skipped: / is a plain folder (a chroot) that cannot be " \
               "mounted read-only"
    must(unit_of("CapabilityBoundingSet") == [""] and
         unit_of("NoNewPrivileges") == ["yes"] and
         unit_of("ProtectSystem") == ["strict"] and
         unit_of("ReadWritePaths") ==
         ["/var/spool/mtaq /run/mtaq /var/log/mtaq"], "another unit")
    nobody = pwd.getpwnam("nobody")
    with Box(mtaq, io="io_uring") as box:
        os.chmod(box.dir, 0o755)
        box.events = box.dir / "log" / "events.jsonl"
        box.start_sink("--domains", 10)
        box.configure(**QUICK, log__events=str(box.events))
        os.chmod(box.conf, 0o644)
        profile = filter_of_the_unit(box.dir)
        shutil.copy(mtaq, box.dir / "mtaq")
        shutil.copy(HERE / "confine.py", box.dir)
        box.mtaq = str(box.dir / "mtaq")
        writable = [box.dir / n for n in ("spool", "run", "log")]
        for folder in writable:
            folder.mkdir()
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        mounts = "".join(f"mount --bind {f} {f} && " for f in writable)
        place = ["unshare", "--mount", "sh", "-c",
                 "mount --make-rprivate / && " + mounts +
                 'mount -o remount,bind,ro / && exec "$@"', "sh",
                 "setpriv", "--reuid", nobody.pw_uid, "--regid",
                 nobody.pw_gid, "--clear-groups", "--bounding-set=-all",
                 "--inh-caps=-all", "--no-new-privs",
                 PYTHON, box.dir / "confine.py", "--profile", profile]
        start(box, *place)
        is_confined(box.daemon.pid, nobody.pw_uid)
        status = a_day_in_its_life(box, place)
        must(status["io"] == "io_uring", str(status))


def is_confined(pid, uid):
    s = confinement(pid)
    must(set(s["Uid"].split()) == {str(uid)}, s["Uid"])
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        must(int(s[key], 16) == 0, f"{key}: {s[key]}")
    must(s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", str(s))
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
        root = [l.split()[5] for l in f if l.split()[4] == "/"]
    must(root and "ro" in root[-1].split(","), f"/ is mounted {root}")


# --- cmake --install -----------------------------------------------------------------

def cmake_installs_all_that_the_readme_names(mtaq):
    build = os.environ.get("MTAQ_BUILD")
    if build is None:
        return "skipped: MTAQ_BUILD names no build (ctest sets it)"
    with Box(mtaq) as box:
        top = box.dir / "usr"
        done = subprocess.run(["cmake", "--install", build, "--prefix",
                               str(top)], capture_output=True, text=True,
                              timeout=120)
        must(done.returncode == 0, done.stderr)
        found = {str(p.relative_to(top)) for p in top.rglob("*")
                 if p.is_file()}
        wanted = {"bin/mtaq", "lib/systemd/system/mtaq.service",
                  "lib/sysusers.d/mtaq.conf", "lib/tmpfiles.d/mtaq.conf",
                  "share/doc/mtaq/examples/mtaq.yaml",
                  "share/doc/mtaq/examples/seccomp.json",
                  "share/doc/mtaq/examples/logrotate",
                  "share/man/man1/mtaq.1", "share/man/man5/mtaq.yaml.5",
                  "share/bash-completion/completions/mtaq"}
        must(wanted <= found, f"not installed: {wanted - found}")
        must(not [f for f in found if f.startswith("etc/")], "it wrote /etc")
        program = str(top / "bin" / "mtaq")
        commands = subprocess.run([program, "--help"], capture_output=True,
                                  text=True, check=True).stdout
        for name in re.findall(r"^  (\w+) ", commands, flags=re.M):
            must(name == "version" or
                 f"share/man/man1/mtaq-{name}.1" in found,
                 f"mtaq-{name}(1) is not installed")
        sample = top / "share/doc/mtaq/examples/mtaq.yaml"
        own = box.dir / "own.yaml"
        own.write_text(re.sub("^hostname:.*$", "hostname: mail.example.net",
                              sample.read_text(), flags=re.M))
        for file, code in ((sample, 78), (own, 0)):     # hostname is not set
            done = subprocess.run([program, "check", "-c", str(file)],
                                  capture_output=True, text=True, timeout=60)
            must(done.returncode == code, str(done))


TESTS = [the_profile_for_containers_is_enough,
         systemd_finds_the_unit_sound_and_tight, as_the_unit_confines_it,
         cmake_installs_all_that_the_readme_names]

if __name__ == "__main__":
    main(TESTS)
