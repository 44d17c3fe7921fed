"""A spool filled once, through the real daemon, and copied for each run.

shared	messages of 1,000 recipients in 1,000 domains: a body for all of them
own	a message each
parked	before these, as many shared ones in another campaign, for domains of
	PARKED_ZONE

Beside the index and the log lies events.last: the last line of the event log,
with which a copy's event log begins, so that it does not begin from nothing.
"""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from rig import Lines, Rig, cpu_s, memory_mib, must

CAMPAIGN = "news"
PARKED = "parked"
PARKED_ZONE = "parked.test"
PARKED_DOMAINS = 1000
RCPTS = 1000
LAST = "events.last"
NOBODY = {"dns": "127.0.0.1:9", "smtp_port": 9}  # answers there


def options(p):
    p.add_argument("--recipients", type=int, default=10000000,
                   help="queued (10,000,000)")
    p.add_argument("--domains", type=int, default=50000)
    p.add_argument("--sites", type=int, default=100,
                   help="MX sets that the domains share")
    p.add_argument("--spools", type=pathlib.Path, metavar="DIR",
                   help="keep the filled spools there, and use those that "
                   "are; 10 M shared recipients are 2 GB")


class Spool(Rig):
    """A Rig that has a spool, and loads it without a list of what it took."""

    def __init__(self, mtaq, name, a):
        super().__init__(mtaq, name, a)
        self.a = a
        self.spool = self.dir / "spool"

    def configure_from(self, name="depth.yaml", changes=None, **values):
        return super().configure_from(name, changes, spool=self.spool,
                                      **({} if self.sink else NOBODY), **values)

    def start_sink(self, *options):
        return super().start_sink(
            "--domains", self.a.domains, "--sites",
            min(self.a.sites, self.a.domains), "--ledger-ok-only", *options,
            listen=f"127.0.1.1-127.0.1.{min(self.a.sites, 250)}")

    def load_args(self, *options):
        return ["load", "--socket", str(self.dir / "run" / "submit.sock"),
                *map(str, options)]

    def fill(self, recipients, own=False, size=4096, campaign=CAMPAIGN,
             domains=()):
        """Submit so many; recipients a second."""
        per = 1 if own else RCPTS
        how = [] if own else ["--rcpts", RCPTS, "--spread"]
        done = self.load("--messages", recipients // per, "--size", size,
                         *(domains or ("--domains", self.a.domains)),
                         "--clients", 4, "--campaign", campaign, *how,
                         timeout=3600)
        must(done["accepted"] == recipients // per, str(done))
        return done["rate"] * per

    def copy(self, spool, cold=False):
        """Begin with a copy of that spool; on disk, and in the page cache or
        not."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(spool),
                        str(self.spool)], check=True)
        (self.spool / LAST).rename(self.events)
        os.sync()
        if cold:
            self.forget()
        return self

    def use(self, spool):
        """That spool itself, for what is too long to be copied; cold.  Give
        it back with done_with()."""
        self.spool = spool
        shutil.copy(spool / LAST, self.events)
        self.forget()
        return self

    def done_with(self):
        """The daemon was stopped: the spool can be used again."""
        (self.spool / LAST).write_bytes(last_line(self.events))

    def forget(self):
        """The spool's pages leave the page cache."""
        os.sync()
        for path in self.spool.rglob("*"):
            if path.is_file():
                drop(path)

    def campaign(self, verb, name=CAMPAIGN):
        """Seconds until the answer."""
        begin = time.monotonic()
        self.run("campaign", verb, name, "-c", self.conf)
        return time.monotonic() - begin

    def first_delivered(self, count, begin, timeout=900):
        """Seconds from begin until the sink had so many, seconds until it had
        one, MiB of memory at most, seconds of the daemon's CPU."""
        lines = Lines(self.ledger_file)
        # Of a short one too, that is over at the first look.
        rss = [memory_mib(self.daemon.pid)["RssAnon"]]
        cpu = cpu_s(self.daemon.pid)
        end = time.monotonic() + timeout
        while lines.read() < count:
            must(self.daemon.poll() is None, "the daemon has ended")
            must(time.monotonic() < end, f"{lines.count} after {timeout} s")
            rss.append(memory_mib(self.daemon.pid)["RssAnon"])
            time.sleep(0.05)    # a file has no event to wait for
        with open(self.ledger_file, "rb") as f:
            ms = sorted(int(line.split(b"\t", 1)[0]) for line in f)
        return {"s": ms[count - 1] / 1000 - begin, "first_s":
                ms[0] / 1000 - begin, "rss": max(rss),
                "cpu_s": cpu_s(self.daemon.pid) - cpu}


def status(box):
    out = box.run("status", "--json", "-c", box.conf).stdout
    return json.loads(out.splitlines()[-1])


def drop(path):
    """Out of the page cache; its octets must be on disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def last_line(path):
    with open(path, "rb") as f:
        f.seek(max(f.seek(0, 2) - (1 << 16), 0))
        return f.read().splitlines(keepends=True)[-1]


def make(mtaq, a, spool, recipients, own, size, parked):
    with Spool(mtaq, "mtaq-fill", a) as box:
        box.configure_from().start_daemon()
        box.campaign("pause")
        if parked:
            box.campaign("pause", PARKED)
            box.fill(parked, size=size, campaign=PARKED, domains=(
                "--domains", PARKED_DOMAINS, "--zone", PARKED_ZONE))
        box.fill(recipients, own, size)
        box.stop_daemon(timeout=900)
        (box.spool / LAST).write_bytes(last_line(box.events))
        shutil.move(box.spool, spool)


FOLDER = []


def get(mtaq, a, recipients, own=False, size=4096, parked=0):
    """The spool of so many waiting recipients of a paused campaign, as a clean
    stop leaves it."""
    if a.spools is None and not FOLDER:
        FOLDER.append(pathlib.Path(tempfile.mkdtemp(prefix="mtaq-spools-")))
        atexit.register(shutil.rmtree, FOLDER[0], ignore_errors=True)
    folder = (a.spools or FOLDER[0]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    spool = folder / (f"{'own' if own else 'shared'}-{recipients}-"
                      f"{a.domains}-{size}" +
                      (f"-parked-{parked}" if parked else ""))
    if not spool.exists():
        make(mtaq, a, spool, recipients, own, size, parked)
    return spool
