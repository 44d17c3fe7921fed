#!/usr/bin/env python3
"""Bad input: what comes of it, its exit code and its words.

test_bad_input.py MTAQ [NAME...]

Words are compared where they say what happened, to what, why and what to do:
a script reads the code, a person reads these.
"""
import email
import os
import subprocess
import time

from harness import Box, main, must
from keeper import Keeper

GOOD = b"From: a@sender.test\nTo: x@d1.test\nSubject: s\n\nhello\n"
AGAIN = "nothing was sent; correct it and submit it again"


def start(box, keeper=None, **changes):
    route = keeper.at if keeper else "127.0.0.1:1"
    box.configure(routes={'"*"': f'"{route}"'}, **changes)
    box.start_daemon()


def write(box, name, octets):
    (box.dir / name).write_bytes(octets)
    return box.dir / name


def submit(box, *args, code=0, **kw):
    return box.run("submit", "-c", box.conf, *args, ok=(code,), **kw)


def says(done, *words):
    for w in words:
        must(w in done.stderr, f"no {w!r} in: {done.stderr}")


def accepted_none(box):
    must(box.count_events().get("accepted", 0) == 0, "something was accepted")


# --- addresses, content -----------------------------------------------------

def addresses_with_controls_are_refused_by_name(mtaq):
    """CR, LF and NUL would end the command that the address stands in."""
    with Box(mtaq) as box:
        start(box)
        good = write(box, "good.eml", GOOD)
        for bad in ("x@d.test\r\nRCPT TO:<y@z.test>", "x\n@d.test",
                    "x\r@d.test", "x@d.test\n"):
            shown = bad.replace("\r", "?").replace("\n", "?")
            done = submit(box, "--to", bad, good, code=65)
            says(done, f"the recipient <{shown}> is no address: the address "
                 "has a control character in it (5.1.3)", str(good), AGAIN)
            done = submit(box, "--from", bad, "--to", "x@d.test", good,
                          code=65)
            says(done, f"the sender <{shown}> is no address", "(5.1.7)")
        for name, octets in (("list", b"ok@d1.test\nx\0y@d.test\n"),
                             ("cr", b"ok@d1.test\nx\ry@d.test\n")):
            to = write(box, name, octets)
            says(submit(box, "--to-file", to, good, code=65),
                 "the recipient <x?y@d.test> is no address")
        in_header = write(box, "nul.eml", GOOD.replace(b"x@", b"x\0y@"))
        says(submit(box, in_header, code=65),
             "the recipient <x?y@d1.test> is no address")
        accepted_none(box)
        box.stop_daemon()


def long_lines_of_a_part_arrive_decoded_equal(mtaq):
    """998 octets stay as they are; one more makes the part quoted-printable,
    and a reader sees the same text."""
    limit, over = "y" * 998, "ä=" * 2000 + " ."
    mail = ("From: a@sender.test\nTo: x@d1.test\nMIME-Version: 1.0\n"
            "Content-Type: multipart/mixed; boundary=b\n\n"
            "--b\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n\n"
            f"one\n{over}\n.\nthree\n"
            f"--b\nContent-Type: text/plain\n\n{limit}\n--b--\n")
    with Box(mtaq) as box, Keeper() as keeper:
        start(box, keeper)
        submit(box, write(box, "m.eml", mail.encode()))
        [(_, _, octets)] = keeper.wait(1)
        must(max(map(len, octets.split(b"\r\n"))) <= 998, "a long line")
        first, second = email.message_from_bytes(octets).get_payload()
        must(first["Content-Transfer-Encoding"] == "quoted-printable",
             first.as_string()[:300])
        text = first.get_payload(decode=True).decode()
        must(text.replace("\r\n", "\n").rstrip("\n") ==
             f"one\n{over}\n.\nthree", "the text has changed")
        must(second.get_payload().strip() == limit and
             "Content-Transfer-Encoding" not in second,
             "998 octets are no long line")
        box.stop_daemon()


def a_long_line_in_signed_mail_is_refused_with_its_number(mtaq):
    long_line = b"z" * 999 + b"\n"
    dkim = GOOD.replace(b"Subject", b"DKIM-Signature: v=1; b=x\nSubject") + \
        b"more\n" + long_line
    signed = (b"From: a@sender.test\nTo: x@d1.test\nMIME-Version: 1.0\n"
              b"Content-Type: multipart/signed; boundary=b\n\n"
              b"--b\nContent-Type: text/plain\n\n" + long_line +
              b"--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n")
    with Box(mtaq) as box:
        start(box)
        for name, octets in (("dkim.eml", dkim), ("signed.eml", signed)):
            file = write(box, name, octets)
            line = octets[:octets.index(long_line)].count(b"\n") + 1
            says(submit(box, file, code=65), f"{file} was refused: line "
                 f"{line}: a line is longer than 998 octets and must not be "
                 "changed: it is in a signed or enclosed message (5.6.0)",
                 AGAIN)
        accepted_none(box)
        box.stop_daemon()


def nothing_is_no_message(mtaq):
    with Box(mtaq) as box:
        start(box)
        to = ["--from", "a@sender.test", "--to", "x@d1.test"]
        empty = write(box, "empty.eml", b"")
        says(submit(box, *to, empty, code=65),
             f"{empty} was refused: the message is empty (5.6.0)", AGAIN)
        says(submit(box, *to, code=65, input=""),
             "standard input was refused: the message is empty")
        (box.dir / "folder").mkdir()
        (box.dir / "folder" / "inner").mkdir()
        says(submit(box, *to, box.dir / "folder", code=66),
             f"the folder {box.dir}/folder has no file with a message in it")
        accepted_none(box)
        box.stop_daemon()


def thirty_megabytes_arrive_byte_for_byte(mtaq):
    head = b"From: a@sender.test\r\nTo: x@d1.test\r\n" \
           b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n" \
           b"Message-ID: <1@sender.test>\r\n\r\n"
    lines = b"".join(b".%d %s\r\n" % (i, b"x" * 70) for i in range(1000))
    mail = head + lines * ((30 << 20) // len(lines) + 1)
    with Box(mtaq) as box, Keeper() as keeper:
        start(box, keeper, queue__segment_bytes="64MiB")
        submit(box, write(box, "big.eml", mail))
        [(sender, rcpts, octets)] = keeper.wait(1, timeout=120)
        must((sender, rcpts) == ("a@sender.test", ["x@d1.test"]), str(rcpts))
        must(octets == mail, f"{len(mail)} octets, {len(octets)} arrived")
        box.wait_final(1)
        box.stop_daemon()


def memory_kb(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(l.split()[1]) for l in f if l.startswith(key))


def many_large_messages_at_once_cost_bounded_memory(mtaq):
    """At most 128 MiB of them (and a frame each) are held; the others wait
    in a line, and all are taken.  Page cache, which RssAnon is not, may hold
    more."""
    large, each = 14, 20 << 20
    limit_kb = (128 + 6 * 4 + 60) << 10     # places, frames, all else
    must(large * (each >> 10) > limit_kb + (50 << 10), "no test")
    if "libasan" in subprocess.run(["ldd", mtaq], capture_output=True,
                                   text=True, check=True).stdout:
        limit_kb *= 3                       # what is freed is kept a while
    with Box(mtaq) as box:
        start(box, queue__segment_bytes="64MiB")
        lines = GOOD + b"x" * 75 + b"\n"
        mail = write(box, "big.eml", GOOD + lines * (each // len(lines)))
        before = memory_kb(box.daemon.pid, "RssAnon")
        runs = [subprocess.Popen(
            [box.mtaq, "submit", "-q", "-c", str(box.conf), str(mail)],
            stderr=subprocess.PIPE, text=True, process_group=0)
            for _ in range(large)]
        most = 0
        while any(r.poll() is None for r in runs):
            most = max(most, memory_kb(box.daemon.pid, "RssAnon"))
            time.sleep(0.005)
        for r in runs:
            must(r.returncode == 0, r.stderr.read())
            r.stderr.close()
        box.wait_for(lambda: box.count_events().get("accepted", 0) == large,
                     60, "their events")
        box.stop_daemon()
        must(most - before < limit_kb, f"it took {most - before} KiB")
        return f"{(most - before) >> 10} MiB for {large} x {each >> 20} MiB"


def more_than_message_bytes_max_is_not_read_whole(mtaq):
    """A file says its size; a pipe is closed at the limit."""
    with Box(mtaq) as box:
        start(box)
        sparse = box.dir / "sparse.eml"
        with open(sparse, "wb") as f:
            f.truncate(1 << 40)         # to read it would take hours
        good = write(box, "good.eml", GOOD)
        done = submit(box, "--from", "a@sender.test", "--to", "x@d1.test",
                      sparse, good, code=65, timeout=60)
        says(done, f"{sparse} was refused: the message has {1 << 40} octets; "
             "message_bytes_max is 52428800 (5.3.4)", AGAIN,
             "1 message accepted, 1 refused")
        pipe = subprocess.Popen(
            [box.mtaq, "submit", "-c", str(box.conf), "--to", "x@d1.test"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)
        sent = feed(pipe.stdin, GOOD + b"x" * 70 + b"\n", 60 << 20)
        words = pipe.stderr.read().decode()
        pipe.stderr.close()
        must(pipe.wait(60) == 65 and "standard input was refused: the message "
             "has more than the 52428800 octets of message_bytes_max (5.3.4)"
             in words, words)
        must(sent < 54 << 20, f"it read {sent} octets")
        box.wait_for(lambda: box.count_events().get("accepted", 0) == 1, 30,
                     "the good one's event")
        box.stop_daemon()


def feed(pipe, octets, size):
    """How many octets a reader took of `size`."""
    sent, block = 0, octets * (1 + (1 << 16) // len(octets))
    try:
        while sent < size:
            sent += os.write(pipe.fileno(), block)
    except BrokenPipeError:
        pass
    try:
        pipe.close()
    except BrokenPipeError:
        pass
    return sent


# --- files --------------------------------------------------------------------

def an_unreadable_file_is_skipped_and_named(mtaq):
    """The others go; 66 says that not all did."""
    with Box(mtaq) as box:
        start(box)
        good = write(box, "good.eml", GOOD)
        loop = box.dir / "loop.eml"
        loop.symlink_to(loop)
        missing = box.dir / "missing.eml"
        done = submit(box, loop, missing, good, code=66)
        says(done, f"{loop} cannot be read: Too many levels of symbolic "
             "links; it was skipped",
             f"{missing} cannot be read: No such file or directory; it was "
             "skipped", "1 message accepted, 2 refused")
        if os.geteuid() != 0:
            box.stop_daemon()
            return "skipped a part: only root can be shut out as a user"
        shut = write(box, "shut.eml", GOOD)
        os.chown(shut, 65534, 65534)
        shut.chmod(0)
        caps = "-dac_override,-dac_read_search"     # root, but not all of it
        done = subprocess.run(
            ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}",
             box.mtaq, "submit", "-c", str(box.conf), str(shut), str(good)],
            capture_output=True, text=True, timeout=60)
        must(done.returncode == 66, str(done))
        says(done, f"{shut} cannot be read: Permission denied; it was "
             "skipped")
        box.wait_for(lambda: box.count_events().get("accepted", 0) == 2, 30,
                     "the good ones' events")
        box.stop_daemon()


def a_folder_among_files_is_read_and_its_folders_are_not(mtaq):
    with Box(mtaq) as box, Keeper() as keeper:
        start(box, keeper)
        folder = box.dir / "folder"
        (folder / "inner").mkdir(parents=True)
        for at, word in ((box.dir / "1.eml", b"1"), (folder / "2.eml", b"2"),
                         (folder / "inner" / "3.eml", b"3"),
                         (folder / "notes.txt", b"4")):
            at.write_bytes(GOOD + word + b"\n")
        submit(box, box.dir / "1.eml", folder)
        got = {m[2].splitlines()[-1] for m in keeper.wait(2)}
        box.wait_final(2)
        must(got == {b"1", b"2"} and len(keeper.mails) == 2, str(got))
        box.stop_daemon()


def a_broken_mbox_costs_its_broken_messages_only(mtaq):
    """Each is named by its place, also the one that the end cuts off."""
    line = b"From q@sender.test Thu Jan  1 00:00:00 1970\n"
    mbox = line + GOOD + b"\n" + line + b"no header at all\n\n" + \
        line + GOOD + b"\n" + line + GOOD.replace(b"hello", b"\0") + b"\n" + \
        line + b"From: a@sender.test\nTo: x@d1.test\nSubj"
    with Box(mtaq) as box, Keeper() as keeper:
        start(box, keeper)
        file = write(box, "all.mbox", mbox)
        done = submit(box, file, code=65)
        says(done, f"{file} (message 2) was refused: it has no From with an "
             "address; name the sender with --from",
             f"{file} (message 4) was refused: line 5: the message has a NUL "
             "octet (5.6.0)", f"{file} (message 5) was refused: the "
             "recipient <x@d1.test?Subj> is no address",
             "2 messages accepted, 3 refused")
        must("message 1)" not in done.stderr and
             "message 3)" not in done.stderr, done.stderr)
        keeper.wait(2)
        noise = write(box, "noise.mbox", bytes(range(256)) * 40)
        says(submit(box, "--from", "a@sender.test", "--to", "x@d1.test",
                    noise, code=65), "line 1: the message has a NUL octet")
        box.stop_daemon()


# --- words on the command line -------------------------------------------------

NEAR = (
    (("submt",), "mtaq: there is no command 'submt'; did you mean 'submit'?"),
    (("staus",), "did you mean 'status'?"),
    (("weather",), "there is no command 'weather'. Nothing was done"),
    (("submit", "--form", "x"),
     "mtaq submit: there is no option '--form'; did you mean '--from'?"),
    (("submit", "--form=x"), "'--form'; did you mean '--from'?"),
    (("submit", "-x"), "there is no option '-x'. Nothing was done; see "
     "`mtaq submit --help`"),
    (("submit", "--from"), "'--from' wants a value. Nothing was done"),
    (("submit", "-f"), "'-f' wants a value. Nothing was done"),
    (("submit", "--json=1"), "'--json=1': this option takes no value."),
    (("queue", "lsit"),
     "mtaq queue: there is no command 'lsit'; did you mean 'list'?"),
    (("queue", "list", "--domian", "x"),
     "there is no option '--domian'; did you mean '--domain'?"),
    (("campaign", "puase", "x"), "did you mean 'pause'?"),
    (("site", "lst"), "did you mean 'list'?"),
    (("status", "--jsn"), "did you mean '--json'?"),
    (("check", "--prnt"), "did you mean '--print'?"),
    (("verify", "--spol", "x"), "did you mean '--spool'?"),
    (("probe", "--sent", "x"), "did you mean '--send'?"),
    (("run", "--confgi", "x"), "did you mean '--config'?"),
    (("run", "extra"), "'extra' is one argument too many"),
)


def near_misses_name_what_was_meant(mtaq):
    """One line, so that it is seen; exit 64."""
    with Box(mtaq) as box:
        for args, words in NEAR:
            done = box.run(*args, ok=(64,))
            must(words in done.stderr and done.stdout == "" and
                 done.stderr.count("\n") == 1, f"{args}: {done.stderr}")


def an_unknown_key_stops_the_daemon_with_a_caret(mtaq):
    with Box(mtaq) as box:
        box.configure(hostnam="x.test")
        for command in ("run", "check", "status", "submit"):
            done = box.run(command, "-c", box.conf, ok=(78,))
            says(done, f"{box.conf}:", "unknown option 'hostnam'; did you "
                 "mean 'hostname'?", "^")


# --- descriptors --------------------------------------------------------------

def shell(box, words, **kw):
    return subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, timeout=60,
        env={**os.environ, "MTAQ": box.mtaq, "MTAQ_CONFIG": str(box.conf),
             "FILE": str(box.dir / "good.eml")}, **kw)


def closed_and_broken_output_is_told_of(mtaq):
    """A result that nobody reads is none: 74.  But submitted mail stays."""
    with Box(mtaq) as box:
        start(box)
        write(box, "good.eml", GOOD)
        for words, code in (
                ('"$MTAQ" submit "$FILE" >&-', 74),
                ('"$MTAQ" submit "$FILE" >/dev/full', 74),
                # The reader has gone before submit begins.
                ('mkfifo p; exec 4<>p 5>p 4<&-; "$MTAQ" submit "$FILE" >&5',
                 74),
                ('"$MTAQ" submit "$FILE" >&- 2>&- <&-', 74)):
            done = shell(box, words, cwd=box.dir)
            must(done.returncode == code, f"{words}: {done}")
            if "2>" not in words:
                says(done, "the ids could not be written; all was accepted")
        for words in ("status", "queue list", "version", "--help",
                      "check --print"):
            done = shell(box, f'"$MTAQ" {words} >/dev/full')
            must(done.returncode == 74 or words == "queue list", str(done))
            must(done.returncode != 74 or "could not be written" in
                 done.stderr, str(done))
        done = shell(box, '"$MTAQ" submit --to x@d1.test <&-')
        must(done.returncode == 66, str(done))
        says(done, "standard input cannot be read: Bad file descriptor")
        box.wait_for(lambda: box.count_events().get("accepted", 0) == 4, 30,
                     "four accepted mails")
        box.stop_daemon()


def a_daemon_without_standard_descriptors_writes_into_no_file(mtaq):
    """Else a segment gets the number 2, and words for people."""
    with Box(mtaq) as box, Keeper() as keeper:
        box.configure(routes={'"*"': f'"{keeper.at}"'})
        good = write(box, "good.eml", GOOD)
        box.daemon = subprocess.Popen(
            ["bash", "-c", 'exec "$0" run -c "$1" <&- >&- 2>&-', box.mtaq,
             str(box.conf)], process_group=0)
        box.wait_for(lambda: (box.dir / "run" / "submit.sock").exists(), 60,
                     "the socket")
        for fd in range(3):
            at = os.readlink(f"/proc/{box.daemon.pid}/fd/{fd}")
            must(at == "/dev/null", f"descriptor {fd} is {at}")
        submit(box, good)
        must(len(keeper.wait(1)) == 1, "it was not delivered")
        box.wait_final(1)
        box.stop_daemon()
        box.run("verify", "-c", box.conf)


TESTS = [addresses_with_controls_are_refused_by_name,
         long_lines_of_a_part_arrive_decoded_equal,
         a_long_line_in_signed_mail_is_refused_with_its_number,
         nothing_is_no_message, thirty_megabytes_arrive_byte_for_byte,
         many_large_messages_at_once_cost_bounded_memory,
         more_than_message_bytes_max_is_not_read_whole,
         an_unreadable_file_is_skipped_and_named,
         a_folder_among_files_is_read_and_its_folders_are_not,
         a_broken_mbox_costs_its_broken_messages_only,
         near_misses_name_what_was_meant,
         an_unknown_key_stops_the_daemon_with_a_caret,
         closed_and_broken_output_is_told_of,
         a_daemon_without_standard_descriptors_writes_into_no_file]

if __name__ == "__main__":
    main(TESTS)
