#!/usr/bin/env python3
"""What commands print and how they exit: verify, check, and broken spools.

test_commands.py MTAQ [NAME...]

A script reads exit codes and JSON, a person reads words: both are compared.
"""
import json
import os
import pwd
import re
import subprocess

from harness import Box, Follower, main, must


def spool_with_mail(box, count=3, killed=False):
    """A spool with delivered mail and no daemon; killed: and no checkpoint."""
    box.start_sink()
    box.configure()
    box.start_daemon()
    for i in range(count):
        box.run("submit", "-c", box.conf, "--to", f"u{i}@d{i}.test", "-",
                input=f"From: a@b.test\nSubject: {i}\n\nhello {i}\n")
    box.wait_final(count)
    if killed:
        box.kill_daemon()
    else:
        box.stop_daemon()


def segments(box):
    return sorted((box.dir / "spool" / "log").glob("seg-*"))


def find_in_log(box, octets):
    for path in segments(box):
        at = path.read_bytes().find(octets)
        if at >= 0:
            return path, at
    must(False, f"{octets!r} is not in the log")


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        was = f.read(1)[0]
        f.seek(at)
        f.write(bytes([was ^ 1]))


def verify(box, *args, ok=(0,)):
    return box.run("verify", "-c", box.conf, *args, ok=ok)


# --- verify -----------------------------------------------------------------

def a_whole_log_is_counted(mtaq):
    with Box(mtaq) as box:
        spool_with_mail(box)
        text = verify(box).stdout
        must("the log is whole" in text, text)
        must("3 messages" in text and "3 outcomes" in text, text)
        got = json.loads(verify(box, "--json").stdout)
        must(got["whole"] is True and got["messages"] == 3
             and got["outcomes"] == 3 and got["damaged"] == 0
             and got["content_damaged"] == 0 and got["words"] == "", got)
        # The same without a configuration.
        other = box.run("verify", "--spool", box.dir / "spool", "--json")
        must(json.loads(other.stdout) == got, other.stdout)


def a_message_with_wrong_octets_is_counted(mtaq):
    with Box(mtaq) as box:
        spool_with_mail(box)
        flip(*find_in_log(box, b"hello 1"))
        done = verify(box, ok=(65,))
        must("the log is DAMAGED" in done.stdout
             and "1 messages with wrong octets" in done.stdout, done.stdout)
        got = json.loads(verify(box, "--json", ok=(65,)).stdout)
        must(got["whole"] is False and got["content_damaged"] == 1
             and got["damaged"] == 0, got)


def a_damaged_record_is_named_with_its_place(mtaq):
    """And the daemon starts, goes on behind it, and says so."""
    with Box(mtaq) as box:
        spool_with_mail(box, killed=True)
        path, at = find_in_log(box, b"u0@d0.test")
        flip(path, at)
        got = json.loads(verify(box, "--json", ok=(65,)).stdout)
        must(got["damaged"] >= 1 and path.name in got["words"], got)
        must(re.search(r"offset|octet", got["words"]), got["words"])
        box.start_daemon()
        must(path.name in box.daemon_log.read_text(),
             "the daemon does not name the damaged segment")
        box.run("submit", "-c", box.conf, "--to", "again@d9.test", "-",
                input="From: a@b.test\nSubject: x\n\nhi\n")
        box.wait_for(lambda: b"again@d9.test" in box.events.read_bytes()
                     and b'"delivered"' in box.events.read_bytes()
                     .split(b"again@d9.test")[-2], 60, "the next delivery")
        box.stop_daemon()


def no_spool_is_66_and_wrong_words_are_64(mtaq):
    with Box(mtaq) as box:
        box.configure()
        must("No such file" in verify(box, ok=(66,)).stderr, "no words")
        done = verify(box, "more", ok=(64,))
        must("'more' is one argument too many" in done.stderr, done.stderr)
        box.run("verify", "-c", box.dir / "none.yaml", ok=(78,))
        file = box.dir / "file"
        file.write_text("")
        must("Not a directory" in
             box.run("verify", "--spool", file, ok=(74,)).stderr, "no words")


# --- spools that cannot be opened ---------------------------------------------

def an_unreadable_index_stops_the_daemon_with_the_way_out(mtaq):
    """Exit 75, and words that name verify --rebuild; it never sends."""
    with Box(mtaq) as box:
        spool_with_mail(box)
        index = box.dir / "spool" / "index"
        whole = index.read_bytes()
        index.write_bytes(b"\xa5" * 16384)
        done = box.run("run", "-c", box.conf, ok=(75,))
        must("index" in done.stderr and "mtaq verify --rebuild" in done.stderr
             and "Nothing was sent" in done.stderr, done.stderr)
        index.unlink()
        done = box.run("run", "-c", box.conf, ok=(75,))
        must("is missing" in done.stderr
             and "mtaq verify --rebuild" in done.stderr
             and not index.exists(), done.stderr)
        index.write_bytes(whole)
        box.start_daemon()
        box.stop_daemon()


def a_lost_index_is_made_anew_and_nothing_is_lost(mtaq):
    """Killed with 2,000 messages on the way, zeros over the index, made anew:
    nothing is sent before the release, and then all of it arrives."""
    with Box(mtaq) as box:
        # A third is not to be had at first: there is mail that waits.
        box.start_sink("--fail", "rcpt=4:0.5")
        box.configure(limits__connections="20", workers="2",
                      max_unsynced_outcomes="16", retry='["1h"]')
        box.start_daemon()
        box.load("--messages", 2000, "--domains", 20)
        box.wait_final(500)
        rebuild = ["verify", "--rebuild", "-c", box.conf]
        done = box.run(*rebuild, ok=(75,))
        must(f"process {box.daemon.pid}" in done.stderr, done.stderr)
        box.kill_daemon()
        done = box.run(*rebuild, ok=(64,))
        must("--force" in done.stderr, done.stderr)
        index = box.dir / "spool" / "index"
        index.write_bytes(bytes(index.stat().st_size))
        box.run("run", "-c", box.conf, ok=(75,))
        told = json.loads(box.run(*rebuild, "-n", "--json").stdout)
        must(told["rebuilt"] is False and not any(index.read_bytes()[:4096]),
             told)
        got = json.loads(box.run(*rebuild, "--json").stdout)
        must(got["rebuilt"] is True and got["held"] == told["held"]
             and got["damaged"] == 0, got)
        kept = box.dir / "spool" / got["old_index"]
        must(not any(kept.read_bytes()), "the old index was not kept")
        before = box.ledger_file.read_bytes().count(b"\n")
        box.start_daemon()
        listed = box.run("queue", "list", "-c", box.conf, "--json").stdout
        must(listed.count('"held"') > 0 or got["held"] == 0, listed[:500])
        must(box.ledger_file.read_bytes().count(b"\n") == before,
             "something was sent before the release")
        box.run("queue", "release", "-c", box.conf, "--all")
        follow = Follower(box.events)
        for _ in range(100):    # each time half of them are refused again
            while follow.read():
                pass
            if follow.final >= 2000:
                break
            box.run("queue", "retry", "-c", box.conf, "--all")
        box.wait_final(2000)
        box.stop_daemon()
        r = box.equation()
        # What was on the way when it was killed comes on top.
        must(r["extra"] <= got["second_copies_max"] + 20 + 2 * 16, r)
        return f"held {got['held']}, extra {r['extra']}"


def a_rebuild_by_root_leaves_the_spool_to_its_owner(mtaq):
    if os.geteuid() != 0:
        print("skipped: root alone can start it for another")
        return
    nobody = pwd.getpwnam("nobody")
    with Box(mtaq) as box:
        spool_with_mail(box)
        spool = box.dir / "spool"
        box.dir.chmod(0o711)
        for path in [spool, *spool.rglob("*")]:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        (spool / "index").write_bytes(bytes(16384))
        box.run("verify", "--rebuild", "-c", box.conf)
        owners = {p.name: p.stat().st_uid for p in spool.rglob("*")}
        must(set(owners.values()) == {nobody.pw_uid}, owners)
        for path in [spool, *spool.rglob("*")]:
            os.chown(path, nobody.pw_uid + 1000, 0)
        done = box.run("verify", "--rebuild", "--force", "-c", box.conf,
                       ok=(67,))
        must("find the user who owns" in done.stderr, done.stderr)


def the_words_of_a_rebuild_say_what_is_gone(mtaq):
    with Box(mtaq) as box:
        spool_with_mail(box)
        (box.dir / "spool" / "index").write_bytes(bytes(65536))
        verify(box, "-n", ok=(64,))
        done = verify(box, "--rebuild", "-n")
        for words in ("held", "second copies", "only", "submissions",
                      "pauses", "nothing was changed"):
            must(words in done.stdout, f"{words!r} is not in {done.stdout}")
        done = verify(box, "--rebuild")
        must("index.unreadable-1" in done.stdout
             and "mtaq queue release" in done.stdout, done.stdout)
        box.run("verify", "--rebuild", "--spool", box.dir / "none", ok=(66,))
        must(not (box.dir / "none").exists(), "it made a spool")


# --- check --------------------------------------------------------------------

def check_says_whether_the_file_is_right(mtaq):
    with Box(mtaq) as box:
        box.configure()
        must("all is well" in box.run("check", "-c", box.conf).stdout, "words")
        got = json.loads(box.run("check", "-c", box.conf, "--json").stdout)
        must(got == {"ok": True, "file": str(box.conf), "errors": ""}, got)
        bad = box.dir / "bad.yaml"
        bad.write_text("hostname: mail.test\nworkers: many\n")
        done = box.run("check", "-c", bad, ok=(78,))
        must("bad.yaml:2:10" in done.stderr and "would not start"
             in done.stderr and "^" in done.stderr, done.stderr)
        got = json.loads(box.run("check", "-c", bad, "--json", ok=(78,))
                         .stdout)
        must(got["ok"] is False and "workers" in got["errors"], got)


def what_check_prints_is_a_configuration(mtaq):
    """--print loads again and prints the same; --defaults loads with a name."""
    with Box(mtaq) as box:
        box.configure()
        first = box.run("check", "-c", box.conf, "--print").stdout
        again = box.dir / "again.yaml"
        again.write_text(first)
        must(box.run("check", "-c", again, "--print").stdout == first,
             "it prints something else")
        as_json = json.loads(box.run("check", "-c", box.conf, "--print",
                                     "--json").stdout)
        must(as_json["hostname"] == "mail.test", as_json)
        sample = box.run("check", "--defaults").stdout
        again.write_text(sample)
        box.run("check", "-c", again, ok=(78,))     # no hostname
        again.write_text(re.sub(r'(?m)^hostname: ""', "hostname: m.test",
                                sample))
        box.run("check", "-c", again)
        for name in ("--manual", "--man"):
            text = box.run("check", name).stdout
            must("hostname" in text and "retry" in text, text[:200])


def a_full_device_is_told_of(mtaq):
    with Box(mtaq) as box, open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([box.mtaq, "check", "--defaults"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        must(done.returncode == 74
             and "the output could not be written" in done.stderr,
             f"{done.returncode}: {done.stderr}")


TESTS = [a_whole_log_is_counted, a_message_with_wrong_octets_is_counted,
         a_damaged_record_is_named_with_its_place,
         no_spool_is_66_and_wrong_words_are_64,
         an_unreadable_index_stops_the_daemon_with_the_way_out,
         a_lost_index_is_made_anew_and_nothing_is_lost,
         a_rebuild_by_root_leaves_the_spool_to_its_owner,
         the_words_of_a_rebuild_say_what_is_gone,
         check_says_whether_the_file_is_right,
         what_check_prints_is_a_configuration, a_full_device_is_told_of]

if __name__ == "__main__":
    main(TESTS)
