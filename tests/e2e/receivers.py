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
START_SECONDS = 30


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


class Nsd:
    """An authoritative server: {zone name: the lines behind its SOA}."""

    HEAD = ("$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
            "ns A 127.0.0.1\n")

    def __init__(self, folder, zones):
        self.dir, self.zones = pathlib.Path(folder), zones
        self.process = None

    def __enter__(self):
        self.dir.mkdir()
        for name, text in self.zones.items():
            (self.dir / f"{name}.zone").write_text(self.HEAD + text)
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
        wait_until(lambda: self.answers(port), self.process, "nsd")

    def answers(self, port):
        zone = next(iter(self.zones)).encode()
        labels = b"".join(bytes([len(l)]) + l for l in zone.split(b"."))
        ask = b"\x12\x34\x00\x00\x00\x01" + bytes(6) + labels + b"\0\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.25)
            s.connect(("127.0.0.1", port))
            try:
                s.send(ask)
                got = s.recv(512)
            except OSError:
                return False
        return got[:2] == b"\x12\x34" and got[3] & 15 == 0


def private_root(*packages):
    done = subprocess.run([HERE / "private_root.sh", *packages],
                          stdout=subprocess.PIPE, text=True, timeout=300)
    must(done.returncode == 0, f"private_root.sh {packages} failed")
    return pathlib.Path(done.stdout.strip())


def place(path, text):
    """Write a file whole: others may be reading it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)


class Postfix:
    """Postfix that delivers to maildirs and rewrites nothing.

    users: local parts with a mailbox, in every domain.  access: {recipient:
    what to answer to its RCPT}.
    """

    MASTER = """{address}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
retry unix - - n - - error
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
    # A bare LF is refused, so that line ends can be compared although a
    # maildir has its own; whoever sends ahead where RFC 2920 forbids it is put
    # out.
    MAIN = """compatibility_level = 3.6
myhostname = mx.real.test
mydestination =
alias_maps =
mynetworks =
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_peername_lookup = no
queue_directory = {run}/queue
data_directory = {run}/data
maillog_file = {run}/mail.log
maillog_file_prefixes = /run
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {run}/mail
virtual_mailbox_maps = texthash:{run}/etc/vmailbox
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_mailbox_limit = 0
message_size_limit = 60000000
message_drop_headers =
append_dot_mydomain = no
local_header_rewrite_clients =
remote_header_rewrite_domain =
smtpd_forbid_bare_newline = reject
smtpd_forbid_unauth_pipelining = yes
smtpd_recipient_restrictions = reject_unauth_destination
	check_recipient_access texthash:{run}/etc/access
"""
    UID = 110           # postfix; of no meaning outside the root
    DROP = 111          # the group postdrop
    MAIL = 5000         # who owns the mailboxes

    def __init__(self, address, port, domains, users, access=()):
        self.address, self.port = address, port
        self.domains, self.users, self.access = domains, users, dict(access)
        self.process = self.guard = None

    def __enter__(self):
        self.root = private_root("postfix")
        place(self.root / "etc/passwd",
              f"root:x:0:0::/:\npostfix:x:{self.UID}:{self.UID}::/:\n"
              "nobody:x:65534:65534::/:\n")
        place(self.root / "etc/group",
              f"root:x:0:\npostfix:x:{self.UID}:\npostdrop:x:{self.DROP}:\n"
              "nogroup:x:65534:\n")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="postfix-",
                                                 dir=self.root / "run"))
        self.dir.chmod(0o755)
        self.run = "/run/" + self.dir.name
        self.log = self.dir / "mail.log"
        try:
            self.make_folders()
            self.configure()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir)

    def make_folders(self):
        (self.dir / "etc").mkdir()
        for name, owner, group, mode in (
                ("queue", 0, 0, 0o755), ("data", self.UID, self.UID, 0o700),
                ("mail", self.MAIL, self.MAIL, 0o700),
                ("queue/pid", 0, 0, 0o755),
                ("queue/maildrop", self.UID, self.DROP, 0o730),
                ("queue/public", self.UID, self.DROP, 0o710)):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, owner, group)
            (self.dir / name).chmod(mode)
        for name in ("active", "bounce", "corrupt", "defer", "deferred",
                     "flush", "hold", "incoming", "private", "saved", "trace"):
            (self.dir / "queue" / name).mkdir(mode=0o700)
            os.chown(self.dir / "queue" / name, self.UID, 0)

    def configure(self):
        words = dict(address=self.address, port=self.port, run=self.run,
                     domains=" ".join(self.domains), uid=self.MAIL)
        etc = self.dir / "etc"
        (etc / "master.cf").write_text(self.MASTER.format(**words))
        (etc / "main.cf").write_text(self.MAIN.format(**words))
        (etc / "vmailbox").write_text("".join(
            f"{user}@{domain} {domain}/{user}/\n"
            for domain in self.domains for user in self.users))
        self.write_access()

    def write_access(self):
        (self.dir / "etc/access").write_text("".join(
            f"{to} {answer}\n" for to, answer in self.access.items()))

    def allow(self, recipient):
        """From now on for every new connection."""
        del self.access[recipient]
        self.write_access()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload -- version" in self.said(), self.process,
                   "postfix, reload")

    def start(self):
        self.process = subprocess.Popen(
            ["chroot", self.root, "/usr/lib/postfix/sbin/master",
             "-c", self.run + "/etc", "-d"], start_new_session=True)
        # setpriv would not do: the kernel forgets it when a program changes
        # its user.  Our death ends the guard's input.
        self.guard = subprocess.Popen(
            ["sh", "-c", "read x; kill -TERM -$0", str(self.process.pid)],
            stdin=subprocess.PIPE)
        wait_until(self.greets, self.process, "postfix")

    def stop(self):
        if self.process:
            self.guard.kill()
            self.guard.communicate()
            end(self.process)
            self.process = None

    def greets(self):
        try:
            with socket.create_connection((self.address, self.port), 5) as s:
                good = s.recv(512).startswith(b"220 ")
                s.sendall(b"QUIT\r\n")
                return good
        except OSError:
            return False

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    def mailbox(self, user, domain):
        """The files that have arrived, whole ones only."""
        return sorted((self.dir / "mail" / domain / user / "new").glob("*"))

    def wait_arrived(self, user, domain, timeout=60):
        """The octets of the one message in that mailbox."""
        until = time.monotonic() + timeout
        while not (found := self.mailbox(user, domain)):
            must(time.monotonic() < until, f"nothing arrived for {user}")
            time.sleep(0.02)
        must(len(found) == 1, f"{len(found)} messages arrived for {user}")
        return found[0].read_bytes()


class Wire(threading.Thread):
    """Stands between client and server and writes down what passes.

    It holds the server's answers to MAIL and RCPT back until it has seen
    DATA: a client that waits for them, instead of sending the group, stays
    where it is.
    """

    def __init__(self, address, port, to):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, port))
        self.listener.settimeout(60)
        self.to = to
        self.commands, self.client, self.server = [], b"", b""

    def run(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.to, 10) as server:
            client.settimeout(0.05)
            server.settimeout(0.05)
            self.pass_on(client, server)

    def pass_on(self, client, server):
        held, until = b"", time.monotonic() + 60
        while time.monotonic() < until:
            sent = self.take(client)
            said = self.take(server)
            if sent == b"" or said == b"":
                return
            if sent:
                self.client += sent
                server.sendall(sent)
            if said:
                self.server += said
                held += said
            waits = re.search(rb"(?m)^MAIL FROM", self.client) and \
                not re.search(rb"(?m)^DATA\r", self.client)
            if held and not waits:
                client.sendall(held)
                held = b""

    @staticmethod
    def take(sock):
        """None: nothing now; b'': it has closed."""
        try:
            return sock.recv(65536)
        except TimeoutError:
            return None

    def close(self):
        self.listener.close()
        self.join(65)
