"""Real processes for tests: a sink, a daemon, a load, the ledger.

Everything lives in one temporary folder; every process is ended by the pid
that was started here; every wait has a limit and waits for an event.  Each has a
process group of its own: Ctrl-C is for this process, which ends the others.
They die with it, and the folder goes, when it is ended itself (ending.py).
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import ledger  # noqa: E402
import ending  # noqa: E402

if threading.current_thread() is threading.main_thread():
    ending.until_ended()
FINAL = ledger.FINAL


class Failed(Exception):
    pass


def must(condition, words):
    if not condition:
        raise Failed(words)


class Box:
    """A folder with a configuration, a sink and a daemon in it."""

    def __init__(self, mtaq, name="mtaq-test", io=None, keep=False):
        self.mtaq = str(mtaq)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=name + "-"))
        self.io = io or os.environ.get("MTAQ_TEST_IO", "auto")
        self.keep = keep or "MTAQ_TEST_KEEP" in os.environ
        self.sink = self.daemon = None
        self.sink_smtp = self.sink_dns = None
        self.daemon_log = self.dir / "daemon.log"
        self.events = self.dir / "events.jsonl"
        self.ledger_file = self.dir / "ledger.tsv"
        self.accepted = self.dir / "accepted.tsv"
        ending.undo(self.abandon)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.stop_daemon(kill=kind is not None)
        except Failed:
            kind = Failed
            raise
        finally:
            self.stop_sink()
            if kind not in (None, KeyboardInterrupt) and \
                    self.daemon_log.exists():
                print("--- the daemon said:", flush=True)
                print(self.daemon_log.read_text()[-4000:], flush=True)
            ending.undone(self.abandon)
            if not self.keep:
                shutil.rmtree(self.dir, ignore_errors=True)

    def abandon(self):
        """This test is ended from outside."""
        for process in (self.daemon, self.sink):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(30)
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- the sink ---------------------------------------------------------

    def start_sink(self, *options, listen="127.0.0.1", dns=True):
        args = [self.mtaq, "sink", "--listen", listen, "--port", "0",
                "--ledger", str(self.ledger_file), "--json"]
        if dns:
            args += ["--dns", "127.0.0.1:0"]
        self.sink = ending.start(
            args + [str(o) for o in options], stdout=subprocess.PIPE,
            text=True, process_group=0)
        words = self.sink.stdout.readline().split()
        must(words and words[0] == "ready", f"the sink said {words}")
        for w in words[1:]:
            key, _, value = w.partition("=")
            if key == "smtp":
                self.sink_smtp = value
            elif key == "dns":
                self.sink_dns = value
        return self

    def stop_sink(self):
        """The sink's summary."""
        if self.sink is None:
            return None
        self.sink.send_signal(signal.SIGTERM)
        out, _ = self.sink.communicate(timeout=30)
        self.sink = None
        return json.loads(out.splitlines()[-1]) if out.strip() else None

    # --- the daemon -------------------------------------------------------

    def configure(self, **changes):
        """Write mtaq.yaml: defaults for tests, and what is given as
        key="yaml text" (nested keys with __)."""
        conf = {
            "hostname": "mail.test", "spool": str(self.dir / "spool"),
            "runtime": str(self.dir / "run"), "io_backend": self.io,
            "received": "no", "min_free": "64MiB",
            "log": {"events": str(self.events)},
            "smtp": {}, "dns": {}, "retry": '["2s"]',
            "queue": {"segment_bytes": "8MiB", "segments_ahead": "2"},
        }
        if self.sink_smtp:
            conf["smtp"]["port"] = self.sink_smtp.rpartition(":")[2]
        if self.sink_dns:
            conf["dns"]["servers"] = f'["{self.sink_dns}"]'
        for key, value in changes.items():
            at = conf
            *path, last = key.split("__")
            for step in path:
                at = at.setdefault(step, {})
            at[last] = value
        self.conf = self.dir / "mtaq.yaml"
        self.conf.write_text(to_yaml(conf))
        return self

    def launch_daemon(self, env=None, within=(), **kw):
        """Not waiting for anything.  env: variables besides ours; within:
        the command that runs it."""
        with open(self.daemon_log, "ab") as log:
            self.log_from = log.tell()
            self.daemon = ending.start(
                [*within, self.mtaq, "run", "-c", str(self.conf)],
                stderr=log, process_group=0,
                env={**os.environ, **(env or {})}, **kw)

    def start_daemon(self, timeout=60, env=None, **kw):
        self.launch_daemon(env, **kw)
        self.wait_for(lambda: self.said("mtaq: ready"), timeout,
                      "the daemon's 'ready'")
        return self

    def said(self, words):
        must(self.daemon.poll() is None,
             f"the daemon ended with {self.daemon.poll()}")
        return words in self.daemon_log.read_text()[self.log_from:]

    def kill_daemon(self):
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait(30)
        self.daemon = None

    def stop_daemon(self, kill=False, timeout=60):
        if self.daemon is None:
            return
        self.daemon.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        code = self.daemon.wait(timeout)
        self.daemon = None
        must(kill or code == 0, f"the daemon ended with {code}")

    # --- work -------------------------------------------------------------

    def run(self, *args, ok=(0,), timeout=120, **kw):
        kw.setdefault("text", not isinstance(kw.get("input"), bytes))
        done = subprocess.run([self.mtaq, *[str(a) for a in args]],
                              capture_output=True, timeout=timeout,
                              process_group=0, **kw)
        if not kw["text"]:  # input may be octets; what is said is text
            done.stdout = done.stdout.decode(errors="replace")
            done.stderr = done.stderr.decode(errors="replace")
        must(done.returncode in ok,
             f"mtaq {' '.join(map(str, args))} exited {done.returncode}: "
             f"{done.stdout[-500:]}{done.stderr[-1000:]}")
        return done

    def load_args(self, *options):
        return ["load", "--socket", str(self.dir / "run" / "submit.sock"),
                "--accepted", str(self.accepted), *map(str, options)]

    def load(self, *options, timeout=300, ok=(0,)):
        out = self.run(*self.load_args(*options), timeout=timeout, ok=ok)
        return json.loads(out.stdout.splitlines()[-1])

    def start_load(self, *options):
        return ending.start([self.mtaq, *self.load_args(*options)],
                            stdout=subprocess.PIPE, text=True)

    def count_events(self):
        """{type: count} and the number of recipients that are final."""
        _, types, _ = ledger.read_events(self.events) \
            if self.events.exists() else ({}, {}, 0)
        return types

    def wait_final(self, recipients, timeout=300):
        """Until so many recipients have come to an end."""
        follow = Follower(self.events)
        end = time.monotonic() + timeout
        while follow.final < recipients:
            must(time.monotonic() < end,
                 f"{follow.final} of {recipients} recipients final after "
                 f"{timeout} s: {dict(follow.types)}")
            must(self.daemon.poll() is None, "the daemon has ended")
            if not follow.read():
                time.sleep(0.05)      # a file has no event to wait for
        return follow.types

    def wait_empty(self, recipients, timeout=300):
        """So many were acknowledged, and more may have been accepted: a daemon
        that ends takes answers with it.  Until all of it is through."""
        self.wait_final(recipients, timeout)
        self.wait_for(lambda: self.run("queue", "list", "--all", "--json",
                                       "-c", self.conf).stdout == "",
                      timeout, "the end of all mail")

    @staticmethod
    def wait_for(question, timeout, what):
        end = time.monotonic() + timeout
        while not question():
            must(time.monotonic() < end, f"{what} did not come")
            time.sleep(0.02)

    def balance(self, queued=None):
        return ledger.check([self.accepted], self.ledger_file, self.events,
                            queued)

    def equation(self, queued=None):
        r = self.balance(queued)
        must(r["lost"] == 0 and r["false"] == 0 and r["wrong"] == 0,
             f"the ledger does not balance: {json.dumps(r)}")
        return r


class Follower:
    """Reads an event log as it grows."""

    def __init__(self, path):
        self.path, self.at, self.final = path, 0, 0
        self.types = {}
        self.keys = set()

    def read(self):
        if not self.path.exists():
            return False
        with open(self.path, "rb") as f:
            f.seek(self.at)
            text = f.read()
        end = text.rfind(b"\n") + 1
        self.at += end
        for line in text[:end].splitlines():
            e = json.loads(line)
            self.types[e["type"]] = self.types.get(e["type"], 0) + 1
            if e["type"] in FINAL:
                self.keys.add((e["id"], e["rcpt"]))
        self.final = len(self.keys)
        return end > 0


def to_yaml(conf, indent=0):
    out = []
    for key, value in conf.items():
        if isinstance(value, dict):
            if value:
                out += [" " * indent + f"{key}:", to_yaml(value, indent + 2)]
        else:
            out.append(" " * indent + f"{key}: {value}")
    return "\n".join(out) + ("\n" if indent == 0 else "")


def main(tests):
    """Run the named tests: MTAQ [NAME...]; prints a line for each."""
    mtaq, wanted = sys.argv[1], sys.argv[2:]
    bad = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        begin = time.monotonic()
        try:
            words = test(mtaq)
            took = time.monotonic() - begin
            print(f"ok   {test.__name__} ({took:.1f} s) {words or ''}",
                  flush=True)
        except (Failed, AssertionError, subprocess.TimeoutExpired) as e:
            bad += 1
            print(f"FAIL {test.__name__}: {e}", flush=True)
    sys.exit(1 if bad else 0)
