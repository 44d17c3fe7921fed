#!/usr/bin/env python3
"""What an installed mtaq lives with: log rotation, a user of its own.

test_install.py MTAQ [NAME...]
"""
import json
import os
import pwd
import signal

from harness import Box, main, must


def sighup_opens_the_event_log_anew(mtaq):
    """The renamed file keeps its lines, the new one says where it begins."""
    with Box(mtaq) as box:
        box.start_sink(dns=False)
        box.configure(routes={'"*"': f'"{box.sink_smtp}"'}).start_daemon()
        box.load("--messages", 5)
        box.wait_final(5)
        old = box.events.rename(box.dir / "events.jsonl.1")
        kept = old.read_bytes()
        box.daemon.send_signal(signal.SIGHUP)
        box.wait_for(lambda: box.events.exists() and
                     box.events.stat().st_size > 0, 60, "a new event log")
        first = json.loads(box.events.read_text().splitlines()[0])
        assert first["type"] == "begin", first
        box.load("--messages", 5, "--start", 5)
        box.wait_final(5)
        assert old.read_bytes() == kept, "the old file has grown"
        box.stop_daemon()
        old.write_bytes(kept + box.events.read_bytes())
        old.replace(box.events)
        box.equation()


def mail_that_root_drops_is_read_by_the_daemons_user(mtaq):
    """Folders made by either of them, under any umask."""
    if os.geteuid() != 0:
        return "skipped: not root"
    for daemon_first in (False, True):
        old = os.umask(0o077)
        try:
            drop_as_root(mtaq, daemon_first)
        finally:
            os.umask(old)


def drop_as_root(mtaq, daemon_first):
    with Box(mtaq) as box:
        os.chmod(box.dir, 0o755)
        box.start_sink(dns=False)
        box.events = box.dir / "log" / "e.jsonl"
        box.configure(user="nobody", log__events=str(box.events),
                      routes={'"*"': f'"{box.sink_smtp}"'})
        os.chmod(box.conf, 0o644)
        if daemon_first:
            box.start_daemon()
            mode = (box.dir / "spool" / "incoming").stat().st_mode & 0o777
            must(mode == 0o770, f"incoming has mode {mode:o}")
            box.stop_daemon()
        else:           # as the package makes it
            (box.dir / "spool").mkdir(mode=0o750)
            nobody = pwd.getpwnam("nobody")
            os.chown(box.dir / "spool", nobody.pw_uid, nobody.pw_gid)
        eml = box.dir / "m.eml"
        eml.write_text("From: a@b.test\n\nhello\n")
        box.run("submit", "-c", box.conf, "--from", "a@b.test",
                "--to", "x@c.test", eml)
        box.start_daemon()
        box.wait_final(1, timeout=60)
        box.stop_daemon()


if __name__ == "__main__":
    main([sighup_opens_the_event_log_anew,
          mail_that_root_drops_is_read_by_the_daemons_user])
