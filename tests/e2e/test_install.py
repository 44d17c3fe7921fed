#!/usr/bin/env python3
"""What an installed mtaq lives with: log rotation.

test_install.py MTAQ [NAME...]
"""
import json
import signal

from harness import Box, main


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


if __name__ == "__main__":
    main([sighup_opens_the_event_log_anew])
