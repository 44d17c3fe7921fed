"""Real name servers and real mail servers for tests.

Each runs on loopback addresses of its own, as root, from Debian's packages:
nsd is installed, a mail server lives in a private root (private_root.sh).
Started here, ended here by its pid, also should this process be killed.
"""
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from harness import Failed, must

HERE = pathlib.Path(__file__).resolve().parent
TIED = ["setpriv", "--pdeathsig", "TERM"]
START_SECONDS = 120
# What receivers are told to allow, low enough for a test to reach.
RECIPIENTS_MAX, MESSAGES_MAX, SIZE_MAX = 10, 20, 1_000_000


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody has on any address, below the kernel's own choice."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise Failed("no free port was found")


def wait_until(question, process, what):
    """Poll until it is so; the process must live meanwhile."""
    end = time.monotonic() + START_SECONDS
    while not question():
        must(process.poll() is None, f"{what}: the process has ended")
        must(time.monotonic() < end, f"{what}: not within {START_SECONDS} s")
        time.sleep(0.02)


def end(process):
    """SIGTERM and wait; a process that stays is killed and reported."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)
        raise Failed(f"{process.args} did not end") from None


def answers(port, zone):
    """Does a name server there know the zone's SOA?"""
    labels = b"".join(bytes([len(l)]) + l for l in zone.encode().split(b"."))
    ask = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\0\0\6\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.25)
        s.connect(("127.0.0.1", port))
        try:
            s.send(ask)
            got = s.recv(512)
        except OSError:
            return False
    return got[:2] == b"\x12\x34" and got[3] & 15 == 0


class NameServer:
    """A server with a folder of its own, on a port that was free."""

    def __init__(self, folder):
        self.dir, self.process = pathlib.Path(folder), None

    def __enter__(self):
        self.dir.mkdir()
        self.prepare()
        for last in (False, False, True):
            try:
                self.start()
                return self
            except Failed:          # somebody took the port meanwhile
                self.__exit__()
                if last:
                    raise

    def __exit__(self, *_):
        if self.process:
            end(self.process)
            self.process = None

    def prepare(self):
        """Write what does not depend on the port."""


class Nsd(NameServer):
    """An authoritative server: {zone name: the lines behind its SOA}."""

    HEAD = ("$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
            "ns A 127.0.0.1\n")

    def __init__(self, folder, zones):
        super().__init__(folder)
        self.zones = zones

    def prepare(self):
        for name, text in self.zones.items():
            (self.dir / f"{name}.zone").write_text(self.HEAD + text)

    def start(self):
        port = free_port(socket.SOCK_DGRAM)
        self.at = f"127.0.0.1:{port}"
        conf = self.dir / "nsd.conf"
        conf.write_text(f"""server:
	ip-address: 127.0.0.1
	port: {port}
	username: ""
	database: ""
	server-count: 1
	rrl-ratelimit: 0
	zonesdir: "{self.dir}"
	xfrdir: "{self.dir}"
	pidfile: "{self.dir}/pid"
	logfile: "{self.dir}/log"
	xfrdfile: "{self.dir}/xfrd"
	zonelistfile: "{self.dir}/list"
remote-control:
	control-enable: no
""" + "".join(f"zone:\n\tname: {name}\n\tzonefile: {name}.zone\n"
              for name in self.zones))
        program = shutil.which("nsd") or "/usr/sbin/nsd"
        self.process = subprocess.Popen(TIED + [program, "-d", "-c", conf])
        wait_until(lambda: answers(port, next(iter(self.zones))),
                   self.process, "nsd")


class Skipped(Exception):
    """This machine cannot run that part; the words say why."""


class Unbound(NameServer):
    """A resolver that asks an Nsd for its zones, and knows no others."""

    def __init__(self, folder, nsd):
        super().__init__(folder)
        self.nsd = nsd

    def start(self):
        port = free_port(socket.SOCK_DGRAM)
        host, at = self.nsd.at.split(":")
        self.at = f"127.0.0.1:{port}"
        conf = self.dir / "unbound.conf"
        conf.write_text(f"""server:
	interface: 127.0.0.1@{port}
	username: ""
	chroot: ""
	directory: "{self.dir}"
	pidfile: "{self.dir}/pid"
	logfile: "{self.dir}/log"
	use-syslog: no
	do-not-query-localhost: no
	do-ip6: no
	module-config: "iterator"
	local-zone: "test." nodefault
remote-control:
	control-enable: no
stub-zone:
	name: "."
	stub-addr: 127.0.0.1@1
""" + "".join(f"stub-zone:\n\tname: {zone}\n\tstub-addr: {host}@{at}\n"
              for zone in self.nsd.zones))
        program = shutil.which("unbound") or "/usr/sbin/unbound"
        self.process = subprocess.Popen(TIED + [program, "-d", "-c", conf])
        wait_until(lambda: answers(port, next(iter(self.nsd.zones))),
                   self.process, "unbound")


def private_root(*packages):
    done = subprocess.run([HERE / "private_root.sh", *packages],
                          stdout=subprocess.PIPE, text=True, timeout=300)
    if done.returncode:
        raise Skipped(f"private_root.sh {' '.join(packages)} failed")
    return pathlib.Path(done.stdout.strip())


def copied_root(*packages):
    """A private root of our own, of hard links: to be removed at the end."""
    root = private_root(*packages)
    for old in root.parent.glob("run-*"):   # of a test that was killed
        if not pathlib.Path("/proc", old.name.split("-")[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    mine = pathlib.Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-",
                                         dir=root.parent))
    subprocess.run(["cp", "-al", f"{root}/.", mine], check=True)
    mine.chmod(0o755)
    return mine


def place(path, text):
    """Write a file whole: others may be reading it, or link to the old one."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)


def must_be_able():
    """Root, and allowed to make namespaces; else Skipped."""
    if os.geteuid() != 0:
        raise Skipped("only root can start mail servers in private roots")
    tried = subprocess.run(["unshare", "--pid", "--fork", "true"],
                           stderr=subprocess.PIPE, text=True)
    if tried.returncode:
        raise Skipped(f"no PID namespace: {tried.stderr.strip()}")


class Receiver:
    """A mail server on an address of its own, for {name}.test.

    It runs as the first process of a PID namespace: whatever it started ends
    with it, at once, also at a SIGKILL.  What it takes for a user of
    {name}.test or tapped.{name}.test goes to that user's mailbox; mail for
    d0.{name}.test goes into one, called "all"; relay.{name}.test is sent on
    to relay, (host, port).
    """

    name = product = None
    START_SECONDS = START_SECONDS
    recipients_max = RECIPIENTS_MAX     # the rest gets a 4yz; None: no limit
    messages_max = MESSAGES_MAX         # a session; None: no limit
    size_max = SIZE_MAX
    pipelining = True
    chunks = False  # offers CHUNKING, and enhanced codes
    groups = True   # takes a message and the next one's commands in one flight
    unknown_user = 550
    REFUSED = {}    # {file of tests/mail: (code, words, why)}

    def __init__(self, address, port, users, relay=None):
        self.address, self.port = address, port
        self.users, self.relay = users, relay
        self.process = self.guard = self.pid = self.dir = None

    @property
    def domain(self):
        return f"{self.name}.test"

    def __enter__(self):
        self.output = tempfile.TemporaryFile()
        try:
            self.make()
            self.start()
        except BaseException as e:
            self.__exit__(type(e))
            raise
        return self

    def __exit__(self, kind=None, *_):
        self.kill()
        if kind not in (None, Skipped, KeyboardInterrupt, SystemExit) and \
                self.dir:
            print(f"--- {self.name} said:\n{self.said()[-4000:]}",
                  flush=True)
        if self.dir:
            shutil.rmtree(self.dir)
            self.dir = None
        self.output.close()

    def start(self):
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", *map(str, self.command())],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
            start_new_session=True)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/"
                                f"{self.process.pid}/children")
        wait_until(lambda: children.read_text().split(), self.process,
                   self.name)
        self.pid = int(children.read_text().split()[0])
        # setpriv would not do: the kernel forgets it when a program changes
        # its user.  Our death ends the guard's input.
        self.guard = subprocess.Popen(
            ["sh", "-c", "read x; kill -KILL $0", str(self.pid)],
            stdin=subprocess.PIPE, start_new_session=True)
        wait_until(self.greets, self.process, self.name)

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """All its processes at once, as the machine's end would."""
        self.halt(signal.SIGKILL)

    def stop(self):
        self.halt(signal.SIGTERM)

    def halt(self, number):
        if self.process is None:
            return
        if self.guard:
            self.guard.kill()
            self.guard.communicate()
            self.guard = None
        if self.pid and self.process.poll() is None:
            self.signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait(30)
            raise Failed(f"{self.name} did not end") from None
        finally:
            self.process = self.pid = None

    def greets(self):
        try:
            with socket.create_connection((self.address, self.port), 5) as s:
                good = s.recv(512).startswith(b"220 ")
                s.sendall(b"QUIT\r\n")
                while s.recv(512):
                    pass
                return good
        except OSError:
            return False

    def said(self):
        """Its log."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def mailbox(self, user, domain):
        """The files that have arrived, whole ones only."""
        return sorted((self.mail / domain / user / "new").glob("*"))

    def wait_arrived(self, user, domain, timeout=60):
        """The octets of the one message in that mailbox."""
        until = time.monotonic() + timeout
        while not (found := self.mailbox(user, domain)):
            must(time.monotonic() < until,
                 f"{self.name}: nothing arrived for {user}")
            time.sleep(0.02)
        must(len(found) == 1,
             f"{self.name}: {len(found)} messages arrived for {user}")
        return found[0].read_bytes()

    def split(self, octets, sender, user=None, domain=None):
        """(queue id, the message with CRLF without what was put in front)"""
        front = re.match(self.front(*patterns(sender, user, domain)), octets)
        must(front, f"{self.name}: begins with {octets[:600]}")
        rest = octets[front.end():]
        if b"\r\n" not in octets:
            must(b"\r" not in rest, f"{self.name}: a CR of its own")
            rest = rest.replace(b"\n", b"\r\n")
        return front["id"], rest

    def split_relayed(self, octets, sender, user, domain):
        """The message as it was before it was sent on."""
        front = re.match(self.trace(*patterns(sender, user, domain)), octets)
        must(front, f"{self.name}: sends on {octets[:600]}")
        return octets[front.end():]


def patterns(*words):
    """Each word, or any where there is none, for a regular expression."""
    return [re.escape(w.encode()) if w else rb"[^\s<>@]+" for w in words]
