#!/usr/bin/env python3
"""Run a command under a seccomp filter.

confine.py [--profile FILE.json] [--deny CALL=ERRNO]... COMMAND...

FILE is a profile of containers (conf/seccomp.json): its default action and
its lists of calls become a filter as a container's runtime would make it; a
call that this machine's architecture has not is left out.  --deny alone
allows all else.  Needs libseccomp.so.2, which every Debian with systemd has.
"""
import argparse
import ctypes
import errno
import json
import os
import sys

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
ARCHES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003,
          "SCMP_ARCH_X32": 0x4000003E, "SCMP_ARCH_AARCH64": 0xC00000B7,
          "SCMP_ARCH_ARM": 0x40000028}


class Filter:
    def __init__(self, default):
        self.lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.ctx = ctypes.c_void_p(self.lib.seccomp_init(
            ctypes.c_uint32(default)))
        if not self.ctx:
            sys.exit("seccomp_init failed")

    def call(self, name, *args):
        r = getattr(self.lib, name)(self.ctx, *args)
        if r < 0 and r != -errno.EEXIST:
            sys.exit(f"{name}: {os.strerror(-r)}")

    def rule(self, action, name):
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            return False
        self.call("seccomp_rule_add_array", ctypes.c_uint32(action), number,
                  0, None)
        return True


def action_of(rule, key, default_errno):
    what = rule[key]
    if what == "SCMP_ACT_ALLOW":
        return ALLOW
    if what == "SCMP_ACT_ERRNO":
        return ERRNO | rule.get("errnoRet", default_errno)
    sys.exit(f"the action {what} is not known here")


def of_profile(profile):
    fallback = profile.get("defaultErrnoRet", errno.EPERM)
    default = {"SCMP_ACT_ERRNO": ERRNO | fallback, "SCMP_ACT_ALLOW": ALLOW,
               "SCMP_ACT_KILL_PROCESS": KILL}[profile["defaultAction"]]
    f = Filter(default)
    native = f.lib.seccomp_arch_native()
    for arch in profile.get("archMap", []):
        if ARCHES.get(arch["architecture"]) == native & 0xFFFFFFFF:
            for sub in arch.get("subArchitectures", []):
                f.call("seccomp_arch_add", ctypes.c_uint32(ARCHES[sub]))
    for rule in profile["syscalls"]:
        if rule.get("args"):
            sys.exit("conditions on arguments are not known here")
        for name in rule["names"]:
            f.rule(action_of(rule, "action", fallback), name)
    return f


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--profile")
    p.add_argument("--deny", action="append", default=[])
    p.add_argument("command", nargs=argparse.REMAINDER)
    args = p.parse_args()
    if args.profile:
        with open(args.profile, encoding="utf-8") as file:
            f = of_profile(json.load(file))
    else:
        f = Filter(ALLOW)
    for deny in args.deny:
        name, _, err = deny.partition("=")
        if not f.rule(ERRNO | getattr(errno, err), name):
            sys.exit(f"there is no system call {name}")
    f.call("seccomp_load")          # sets no_new_privs too
    os.execvp(args.command[0], args.command)


if __name__ == "__main__":
    main()
