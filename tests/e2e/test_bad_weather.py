#!/usr/bin/env python3
"""Bad weather: resolvers, hosts, kernels, clocks and disks that fail.

test_bad_weather.py MTAQ [NAME...]

After each nothing is lost, and what the operator is told is compared: what
happened, why, what mtaq does about it, what can be done.
"""
import json
import os
import pathlib
import pwd
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))
import ending  # noqa: E402
from disks import Tmpfs  # noqa: E402
from dns_weather import LyingResolver  # noqa: E402
from harness import Box, main, must  # noqa: E402
from keeper import Keeper  # noqa: E402
from listening import Listening  # noqa: E402
from misbehaviour import QUICK, cpu_seconds  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CONFINE = [sys.executable, str(HERE / "confine.py")]
PROFILE = HERE.parents[1] / "conf" / "seccomp.json"
ADVICE = "/examples/seccomp.json allows it (--security-opt seccomp=FILE)"
DNS_QUICK = {"dns__timeout": "300ms"}


def status(box):
    return json.loads(box.run("status", "--json", "-c", box.conf).stdout)


def said(box):
    return box.daemon_log.read_text()


def start_with(box, before, ready=True, **kw):
    """The daemon behind the words of another command."""
    with open(box.daemon_log, "ab") as log:
        box.log_from = log.tell()
        box.daemon = ending.start(
            [*before, box.mtaq, "run", "-c", str(box.conf)], stderr=log,
            process_group=0, **kw)
    if ready:
        box.wait_for(lambda: box.said("mtaq: ready"), 60, "'ready'")


def fails(box, before, code, **kw):
    start_with(box, before, ready=False, **kw)
    got = box.daemon.wait(60)
    box.daemon = None
    must(got == code, f"it ended with {got}: {said(box)}")
    return said(box)[box.log_from:]


# --- the kernel ---------------------------------------------------------------

def io_uring_forbidden_falls_back_with_one_line(mtaq):
    """By setup, by the calls behind it, with either errno."""
    for deny in ("io_uring_setup=EPERM", "io_uring_setup=ENOSYS",
                 "io_uring_enter=EPERM", "io_uring_register=EPERM"):
        with Box(mtaq, io="auto") as box:
            box.start_sink(dns=False)
            box.configure(routes={'"*"': f'"{box.sink_smtp}"'})
            start_with(box, [*CONFINE, "--deny", deny])
            lines = [l for l in said(box).splitlines() if "io_uring" in l]
            must(len(lines) == 1 and
                 lines[0].startswith("mtaq: using epoll, not io_uring (") and
                 "seccomp filter" in lines[0] and lines[0].endswith(ADVICE),
                 f"{deny}: {said(box)}")
            must("2 workers over epoll" in said(box) or
                 "workers over epoll" in said(box), said(box))
            s = status(box)
            must(s["io"] == "epoll" and "io_uring" in s["io_why"], str(s))
            box.load("--messages", 50)
            box.wait_final(50)
            box.stop_daemon()
            must(box.equation()["delivered"] == 50, "not all delivered")


def io_uring_demanded_and_forbidden_is_a_wrong_configuration(mtaq):
    for deny, why in (("io_uring_setup=EPERM", "Operation not permitted: a "
                       "seccomp filter forbids it"),
                      ("io_uring_setup=ENOSYS", "Function not implemented: "
                       "the kernel has none, or a seccomp filter hides it")):
        with Box(mtaq, io="io_uring") as box:
            box.configure()
            words = fails(box, [*CONFINE, "--deny", deny], 78)
            must("cannot start a worker: io_uring_setup: " + why in words and
                 ADVICE in words and "`io_backend: auto` runs on epoll "
                 "instead" in words, words)


def open_sockets(fds):
    n = 0
    for fd in os.listdir(fds):
        try:
            n += os.readlink(f"{fds}/{fd}").startswith("socket:")
        except FileNotFoundError:     # closed meanwhile
            pass
    return n


def the_daemons_own_descriptors_are_counted(mtaq):
    """As many operators and scrapers as may come: with all of them it has no
    more open than it sets aside for itself."""
    with Box(mtaq) as box:
        metrics = str(box.dir / "metrics.sock")
        box.configure(**QUICK, workers="2", metrics__listen=metrics)
        words = fails(box, [], 75, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (60, 60)))
        own = int(re.search(r"needs (\d+) at least", words)[1]) - 16
        box.start_daemon()
        fds = f"/proc/{box.daemon.pid}/fd"
        idle = open_sockets(fds)      # files come and go: segments are made
        clients = []
        for path, count in ((metrics, 16),
                            (str(box.dir / "run" / "control.sock"), 32)):
            for _ in range(count):
                clients.append(socket.socket(socket.AF_UNIX))
                clients[-1].connect(path)
        box.wait_for(lambda: open_sockets(fds) >= idle + 48, 30, "clients")
        must(len(os.listdir(fds)) <= own, f"{len(os.listdir(fds))} > {own}")
        for c in clients:
            c.close()
        box.stop_daemon()
        return f"{idle} sockets idle, {idle + 48} at most, {own} set aside"


def few_descriptors_are_shared_out(mtaq):
    """Connections wait for one another; files can always be opened."""
    def limit(n):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
    with Box(mtaq) as box:
        box.start_sink("--domains", 40, "--delay", 5,
                       listen="127.0.0.2-127.0.0.9")
        box.configure(**QUICK, workers="2")
        words = fails(box, [], 75, preexec_fn=limit(60))
        must("this process may open 60 files (RLIMIT_NOFILE) and needs 124 at "
             "least; raise LimitNOFILE of the unit, or ulimit -n" in words,
             words)
        start_with(box, [], preexec_fn=limit(136))
        must("mtaq: RLIMIT_NOFILE is 136: at most 21 connections "
             "(limits.connections: 20000) and 7 submitters "
             "(limits.submitters: 200) at once; raise LimitNOFILE" in
             said(box), said(box))
        # More clients than may connect: they wait for one another too.
        box.load("--messages", 800, "--domains", 40, "--clients", 20)
        fds = f"/proc/{box.daemon.pid}/fd"
        box.wait_for(lambda: len(os.listdir(fds)) > 40, 30, "connections")
        box.wait_final(800)
        before = cpu_seconds(box.daemon.pid)
        time.sleep(1)                   # the span that is measured
        used = cpu_seconds(box.daemon.pid) - before
        must(used < 0.3, f"idle, it used {used:.2f} s of CPU in a second")
        box.stop_daemon()
        must("Too many open files" not in said(box), said(box))
        r = box.equation()
        must(r["delivered"] == 800 and r["extra"] == 0, json.dumps(r))


def without_any_descriptor_left_nothing_is_lost(mtaq):
    """The limit falls under what is open, and rises again: no busy loop, and
    whatever could not go on meanwhile goes on, in this life or the next."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 40, listen="127.0.0.2-127.0.0.9")
        box.configure(**QUICK).start_daemon()
        box.load("--messages", 100, "--domains", 40)
        box.wait_final(100)
        soft = resource.prlimit(box.daemon.pid, resource.RLIMIT_NOFILE)
        open_now = len(os.listdir(f"/proc/{box.daemon.pid}/fd"))
        # One more is enough to submit, none is left to deliver.
        resource.prlimit(box.daemon.pid, resource.RLIMIT_NOFILE,
                         (open_now + 1, soft[1]))
        box.load("--messages", 400, "--domains", 40, "--start", 100,
                 ok=(0, 65, 69, 75))
        before = cpu_seconds(box.daemon.pid)
        time.sleep(2)                   # the span that is measured
        if box.daemon.poll() is None:
            used = cpu_seconds(box.daemon.pid) - before
            must(used < 0.6, f"it used {used:.2f} s of CPU in 2 s")
            resource.prlimit(box.daemon.pid, resource.RLIMIT_NOFILE, soft)
        else:                           # it said so and ended: start it
            must("Too many open files" in said(box), said(box))
            box.daemon = None
            box.start_daemon()
        with open(box.accepted, encoding="utf-8") as f:
            recipients = sum(1 for _ in f)
        box.wait_empty(recipients)
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == recipients, json.dumps(r))


# --- the resolver ---------------------------------------------------------------

def a_dead_resolver_delays_and_bounces_nobody(mtaq):
    """Refused or mute: mail waits, no attempt is written; then it goes."""
    for mode in ("refused", "mute"):
        with Box(mtaq) as box:
            box.start_sink("--domains", 5)
            with LyingResolver(box.sink_dns, "mute") as dns:
                box.configure(**QUICK, **DNS_QUICK,
                              dns__servers=f'["{dns.at}"]')
                if mode == "refused":
                    dns.close()
                box.start_daemon()
                box.load("--messages", 50, "--domains", 5)
                words = "mtaq: DNS fails: the last 5 domains got no answer " \
                        "that can be used ("
                box.wait_for(lambda: words in said(box), 30, "its words")
                must("; mail waits and no attempt is charged; look at "
                     "dns.servers\n" in said(box), said(box))
                types = box.count_events()
                must(not set(types) - {"accepted"}, f"{mode}: {types}")
                must(status(box)["waiting"] == 50, str(status(box)))
                if mode == "refused":   # the same address, alive
                    dns.sock = socket.socket(socket.AF_INET,
                                             socket.SOCK_DGRAM)
                    host, _, port = dns.at.rpartition(":")
                    dns.sock.bind((host, int(port)))
                    threading.Thread(target=dns.serve, daemon=True).start()
                dns.mode = "honest"
                box.wait_final(50, timeout=90)
                must("mtaq: DNS answers again\n" in said(box) and
                     said(box).count(words) == 1, said(box))
                box.stop_daemon()
                r = box.equation()
                must(r["delivered"] == 50 and "deferred" not in r["events"],
                     json.dumps(r))


class Thief(Listening):
    """Who listens where the lies lead, and hangs up on who comes."""

    def __init__(self, port):
        super().__init__("127.66.66.66", port)

    def meet(self, _):
        pass

    def talk(self, *_):
        pass


def a_lying_resolver_is_not_believed(mtaq):
    """Wrong id, wrong question, from a stranger, garbage, half a head: the true answer behind them is taken, nobody goes to
    where the lies lead."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 20)
        port = int(box.sink_smtp.rpartition(":")[2])
        with LyingResolver(box.sink_dns, "lies") as dns, Thief(port) as thief:
            box.configure(**QUICK, **DNS_QUICK,
                          dns__servers=f'["{dns.at}"]').start_daemon()
            box.load("--messages", 100, "--domains", 20)
            box.wait_final(100)
            box.stop_daemon()
            must(dns.asked >= 20, f"it was asked {dns.asked} times")
            must(not thief.sessions,
                 f"{len(thief.sessions)} connections to the thief")
        r = box.equation()
        must(r["delivered"] == 100 and "deferred" not in r["events"],
             json.dumps(r))


def a_resolver_that_only_lies_delays(mtaq):
    """No answer can be used: as with a dead one, nobody is bounced."""
    with Box(mtaq) as box:
        box.start_sink("--domains", 5)
        port = int(box.sink_smtp.rpartition(":")[2])
        with LyingResolver(box.sink_dns, "only") as dns, Thief(port) as thief:
            box.configure(**QUICK, **DNS_QUICK,
                          dns__servers=f'["{dns.at}"]').start_daemon()
            box.load("--messages", 20, "--domains", 5)
            box.wait_for(lambda: dns.asked >= 10, 30, "a second asking")
            must(not set(box.count_events()) - {"accepted"},
                 str(box.count_events()))
            dns.mode = "honest"
            box.wait_final(20, timeout=90)
            box.stop_daemon()
            must(not thief.sessions,
                 f"{len(thief.sessions)} connections to the thief")
        must(box.equation()["delivered"] == 20, "not all delivered")


def a_slow_answer_delays_its_own_domain_only(mtaq):
    with Box(mtaq) as box:
        box.start_sink("--domains", 10)
        gate = threading.Event()
        with LyingResolver(box.sink_dns, "slow", slow="d3.") as dns:
            truth = dns.truth

            def late(query):            # until the test opens the gate
                if b"\2d3" in query:
                    gate.wait(60)
                return truth(query)
            dns.truth = late
            box.configure(**QUICK, dns__timeout="60s",
                          dns__servers=f'["{dns.at}"]').start_daemon()
            box.load("--messages", 100, "--domains", 10)
            types = box.wait_final(90, timeout=60)
            must(types["delivered"] == 90, str(types))
            gate.set()
            box.wait_final(100, timeout=60)
            box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 100 and "deferred" not in r["events"],
             json.dumps(r))


# --- mail exchangers --------------------------------------------------------------

def has_left(conn):
    """The client has, though the session's thread may not have seen it."""
    look = select.poll()
    try:
        look.register(conn, select.POLLRDHUP)
        return bool(look.poll(0))
    except (OSError, ValueError):       # and it has closed
        return True


class Mute(Listening):
    """A host that takes connections and says nothing: who knocks, and how
    many at once?"""
    most = 0

    def meet(self, _):
        self.most = max(self.most, 1 + sum(not has_left(conn)
                                           for conn in self.open))

    def talk(self, conn, _):
        while conn.recv(100):
            pass


def with_all_mx_dead_one_probe_at_a_time_knocks(mtaq):
    """The site is one parked record: said once, no attempt charged, half
    open (one connection tries), whole again when one host answers."""
    port = free_port()
    with Box(mtaq) as box:
        box.start_sink("--domains", 4, "--mx", 2, "--sites", 1,
                       listen="127.0.0.2-127.0.0.3")
        box.configure(**{**QUICK, "host__bad_first": "300ms",
                         "host__bad_max": "300ms",
                         "smtp__timeout__greeting": "2s"},
                      smtp__port=str(port)).start_daemon()
        box.load("--messages", 200, "--domains", 4)
        box.wait_for(lambda: "is parked" in said(box), 30, "the parking")
        with Mute("127.0.0.2", port) as a, Mute("127.0.0.3", port) as b:
            box.wait_for(lambda: len(a.sessions + b.sessions) >= 4, 60,
                         "four probes")
            most = max(a.most, b.most)
            must(most == 1, f"{most} probes at once at one host")
            must(set(box.count_events()) == {"accepted"},
                 str(box.count_events()))
            must(said(box).count("is parked") == 1, said(box))
        with open(box.accepted, encoding="utf-8") as f:
            must(sum(1 for _ in f) == 200, "not all accepted")
        # The sink's SMTP, where the mail exchangers should be.
        two = Box(mtaq)
        try:
            two.ledger_file = box.ledger_file
            two.start_sink("--port", port, listen="127.0.0.3", dns=False)
            box.wait_final(200)
        finally:
            two.stop_sink()
            two.__exit__(None, None, None)
        box.wait_for(lambda: "answers again" in said(box), 60, "the return")
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 200 and "deferred" not in r["events"],
             json.dumps(r))
        attempts = {json.loads(l).get("attempt") for l in
                    box.events.read_text().splitlines()
                    if '"delivered"' in l}
        must(attempts == {1}, f"attempts charged: {attempts}")


def free_port():
    with socket.create_server(("127.0.0.2", 0)) as s:
        return s.getsockname()[1]


# --- clocks ---------------------------------------------------------------------

HOUR, DAY, YEAR = 3600, 86400, 365 * 86400


class Stepping:
    """A daemon whose wall clock this test turns."""

    def __init__(self, box):
        self.file = box.dir / "step"
        self.to(0)
        preload = os.environ["MTAQ_CLOCK_STEP"]
        san = subprocess.run(["ldd", box.mtaq], capture_output=True,
                             text=True, check=True).stdout
        for line in san.splitlines():   # a sanitizer wants to be first
            if "libasan" in line:
                preload = line.split()[2] + ":" + preload
        self.env = {**os.environ, "LD_PRELOAD": preload,
                    "CLOCK_STEP_FILE": str(self.file)}

    def to(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "wb") as f:
            f.write(struct.pack("<q", seconds))


def steps():
    to_2038 = 2**31 + 5 - int(time.time())
    return (HOUR, -HOUR - DAY, to_2038, 0)


def the_wall_clock_moves_no_mail(mtaq):
    """An hour, a day, over 2038 and back: each retry comes after its delay
    and nothing expires."""
    if "MTAQ_CLOCK_STEP" not in os.environ:
        return "skipped: MTAQ_CLOCK_STEP names no clock (ctest sets it)"
    with Box(mtaq) as box:
        clock = Stepping(box)
        box.start_sink("--domains", 5, "--fail", "mail=4:1")
        box.configure(retry='["1s"]', age_limit="30m")
        start_with(box, [], env=clock.env)
        box.load("--messages", 10, "--domains", 5)

        def tries():
            return box.count_events().get("deferred", 0)
        box.wait_for(lambda: tries() >= 10, 30, "the first attempts")
        for step in steps():
            clock.to(step)
            before, begun = tries(), time.monotonic()
            # Ten may have been under way at the step.
            box.wait_for(lambda: tries() >= before + 11, 60,
                         f"attempts after {step} s")
            must(time.monotonic() - begun < 45, "they came late")
            must(tries() - before < 100, "they came too often")
            words = status(box)["clock"]
            if abs(step) > DAY:
                must("mail time, which goes on evenly; mail is not moved "
                     "by it" in words, words)
        must(set(box.count_events()) == {"accepted", "deferred"},
             str(box.count_events()))
        years = {json.loads(l)["time"][:4] for l in
                 box.events.read_text().splitlines() if '"time"' in l}
        must("2038" in years, f"events of the years {years}")
        must(status(box)["clock"] == "ok", str(status(box)))
        box.stop_daemon()


def a_start_in_the_wrong_year_expires_nothing_untried(mtaq):
    """10 years ahead and the site dead: what was never tried in this life
    waits; said at the start and in the status.  Back again mail time stays,
    and new mail goes on at once."""
    if "MTAQ_CLOCK_STEP" not in os.environ:
        return "skipped: MTAQ_CLOCK_STEP names no clock (ctest sets it)"
    with Box(mtaq) as box:
        clock = Stepping(box)
        box.start_sink(dns=False)
        port = box.sink_smtp.rpartition(":")[2]
        box.stop_sink()
        box.configure(routes={'"*"': f'"127.0.0.1:{port}"'}, age_limit="5d",
                      host__bad_first="1s", host__bad_max="1s")
        start_with(box, [], env=clock.env)
        box.load("--messages", 10)
        box.stop_daemon()
        clock.to(10 * YEAR)
        start_with(box, [], env=clock.env)
        words = "at the start 3650 days had passed since mtaq last ran, or " \
                "the clock was set; nothing expires untried"
        must(words in said(box) and status(box)["clock"] == words, said(box))
        box.wait_for(lambda: box.said("is parked"), 30, "the parking")
        box.load("--messages", 10, "--start", 10)       # of that year
        time.sleep(3)           # several looks for what has expired
        must(set(box.count_events()) == {"accepted"},
             str(box.count_events()))
        box.stop_daemon()
        clock.to(0)
        start_with(box, [], env=clock.env)
        must(" days behind mail time" in status(box)["clock"],
             status(box)["clock"])
        box.start_sink("--port", port, dns=False)
        box.load("--messages", 10, "--start", 20)
        types = box.wait_final(30)
        must(types.get("delivered") == 30 and "expired" not in types,
             str(types))
        box.stop_daemon()


# --- disks and owners -----------------------------------------------------------

def a_full_disk_of_the_event_log_loses_no_event(mtaq):
    """Mail goes on; events wait in the spool; told once, and when it ends."""
    if os.geteuid() != 0:
        return "skipped: not root, no small disk can be mounted"
    with Box(mtaq) as box, Tmpfs(box.dir / "log", 100) as disk:
        box.events = box.dir / "log" / "events.jsonl"
        box.start_sink("--domains", 10)
        box.configure(**QUICK, log__events=str(box.events)).start_daemon()
        box.load("--messages", 1000, "--domains", 10)
        box.wait_for(lambda: status(box)["delivered"] == 1000, 60,
                     "all deliveries")
        box.wait_for(lambda: status(box)["events"] ==
                     "No space left on device", 30, "the status")
        time.sleep(3)                   # three tries to write, three syncs
        words = "mtaq: the event log cannot be written: No space left on " \
                "device; events are kept in the spool until it can\n"
        must(said(box).count(words) == 1, said(box))
        disk.resize(20000)
        box.wait_final(1000)
        box.wait_for(lambda: status(box)["events"] == "ok", 30, "the end")
        must("mtaq: the event log is written again\n" in said(box),
             said(box))
        box.stop_daemon()
        r = box.equation()
        must(r["delivered"] == 1000 and r["events_doubled"] == 0,
             json.dumps(r))


def deliveries_go_on_while_the_spool_is_full(mtaq):
    """Not a block is free: new mail is told to come later, what is queued
    goes out all the same, and space that returns is used."""
    if os.geteuid() != 0:
        return "skipped: not root, no small disk can be mounted"
    with Box(mtaq) as box, Tmpfs(box.dir / "spool", 200 << 10):
        box.start_sink("--domains", 10)
        box.configure(**{**QUICK, "min_free": "60MiB"}).start_daemon()
        box.run("campaign", "pause", "later", "-c", box.conf)
        box.load("--messages", 2000, "--domains", 10, "--campaign", "later")
        ballast = box.dir / "spool" / "ballast.test"
        with open(ballast, "wb") as f:
            try:
                while True:
                    f.write(bytes(1 << 16))
            except OSError:
                pass
        mail = box.dir / "m.eml"
        mail.write_text("From: a@b.test\n\nx\n")
        submit = ["submit", "-c", box.conf, "--to", "x@d1.test", mail]
        taken = 0       # what was written ahead may be filled
        while (done := box.run(*submit, ok=(0, 75))).returncode == 0:
            taken += 1
            must(taken < 1000, "it is never refused")
            time.sleep(0.05)
        must("the spool has less free space than min_free asks for; try "
             "later (4.3.1)" in done.stderr, done.stderr)
        box.run("campaign", "resume", "later", "-c", box.conf, ok=(0, 75))
        box.wait_final(2000 + taken)
        box.run(*submit, ok=(75,))
        ballast.unlink()
        box.wait_for(lambda: box.run(*submit, ok=(0, 75)).returncode == 0,
                     60, "mail to be taken again")
        box.wait_final(2001 + taken)
        box.stop_daemon()
        must(box.count_events() == {"accepted": 2001 + taken,
                                    "delivered": 2001 + taken},
             str(box.count_events()))
        must(box.balance()["lost"] == 0, json.dumps(box.balance()))


def a_spool_of_another_is_refused_with_both_names(mtaq):
    if os.geteuid() != 0:
        return "skipped: not root, there is no other user to be"
    nobody = pwd.getpwnam("nobody")
    be = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid",
          str(nobody.pw_gid), "--clear-groups"]
    with Box(mtaq) as box:
        os.chmod(box.dir, 0o755)
        box.configure(log__events="")
        os.chmod(box.conf, 0o644)
        box.start_daemon()
        box.stop_daemon()
        os.chmod(box.dir / "run", 0o777)
        spool = box.dir / "spool"
        words = fails(box, be, 78)
        must(f"cannot open the spool {spool}: Permission denied; it belongs "
             "to root (mode 750) and mtaq runs as nobody: start it as root, "
             "or give nobody the folder and all that is in it" in words,
             words)
        os.chown(spool, nobody.pw_uid, nobody.pw_gid)
        words = fails(box, be, 78)
        must("the folder is that of nobody, as whom mtaq runs, but something "
             "in it belongs to another: chown -R" in words, words)


TESTS = [io_uring_forbidden_falls_back_with_one_line,
         io_uring_demanded_and_forbidden_is_a_wrong_configuration,
         few_descriptors_are_shared_out,
         the_daemons_own_descriptors_are_counted,
         without_any_descriptor_left_nothing_is_lost,
         a_dead_resolver_delays_and_bounces_nobody,
         a_lying_resolver_is_not_believed,
         a_resolver_that_only_lies_delays,
         a_slow_answer_delays_its_own_domain_only,
         with_all_mx_dead_one_probe_at_a_time_knocks,
         the_wall_clock_moves_no_mail,
         a_start_in_the_wrong_year_expires_nothing_untried,
         a_full_disk_of_the_event_log_loses_no_event,
         deliveries_go_on_while_the_spool_is_full,
         a_spool_of_another_is_refused_with_both_names]

if __name__ == "__main__":
    main(TESTS)
