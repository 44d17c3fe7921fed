"""The mail servers of bench/compare.sh: how each is configured, given mail,
held back and let go.  Postfix, Exim, OpenSMTPD and Haraka are the receivers of
tests/e2e with the configurations of bench/peers; mtaq is itself.

All share a network of their own, made by compare.py: the peers listen at
PEER, their resolver is the sink's DNS, and mail exchangers are on port 25.
"""
import os
import pathlib
import shutil
import string
import subprocess
import tempfile

from rig import ROOT, must  # first: it knows where the others are
import ending
from cgroup import Cgroup
from exim import Exim
from haraka import Haraka, installed
from opensmtpd import OpenSMTPD
from postfix import Postfix
from receivers import place, private_root

FILES = ROOT / "bench" / "peers"
PEER = ("10.25.0.1", 2525)
RESOLVER = "127.0.0.1"
CAMPAIGN = "news"
QUEUE_RUNNERS = 6       # of Exim, to drain its queue: its queue_run_max


def filled(name, **values):
    return string.Template((FILES / name).read_text()).substitute(values)


class SmtpPeer:
    """What is common to the four that take mail by SMTP."""

    way_in = "SMTP"

    def __init__(self):
        super().__init__(*PEER, users=[])
        self.cgroup, self.held = None, False

    def open(self, box, hold):
        """Start it with an empty queue; hold: nothing may leave it yet."""
        del box
        self.cgroup, self.held = Cgroup(self.key), hold
        ending.undo(self.close)
        self.__enter__()

    def close(self, failed=False):
        """Also of one that was not opened, or not wholly."""
        ending.undone(self.close)
        if self.cgroup is None:
            return
        try:
            self.__exit__(Exception if failed else None)
        finally:
            self.cgroup.close()

    def command(self):
        return self.cgroup.wrap(map(str, super().command()))

    def inside(self, *command):
        """A command beside the server, in its root, counted as its own."""
        return subprocess.Popen(
            ["nsenter", "--target", str(self.pid), "--pid",
             *self.cgroup.wrap(["chroot", str(self.server_root), *command])],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)

    def inside_whole(self, *command):
        with self.inside(*command) as p:
            must(p.wait(60) == 0, f"{command} exited {p.returncode}")

    @property
    def server_root(self):
        return self.dir

    def injection(self, box, a, n, tag):
        program = pathlib.Path(a.mtaq).resolve().parents[2] / \
            "bench/bench_inject"
        return [program, "%s:%d" % PEER, "--messages", n, "--size", a.size,
                "--domains", a.domains, "--sessions", a.sessions, "--tag", tag,
                "--accepted", box.accepted]

    def let_go(self, box):
        raise NotImplementedError


class PostfixStock(SmtpPeer, Postfix):
    key, title = "postfix", "Postfix, stock"
    MAIN = ("postfix-stock.cf",)
    # Put on hold as it arrives.  Flow control waits for a queue manager that
    # takes mail in, and it takes none of this.
    HOLD = "smtpd_client_restrictions = static:HOLD\nin_flow_delay = 0\n"

    @staticmethod
    def install():
        private_root("postfix")

    @property
    def server_root(self):
        return self.root

    def configure(self):
        # As if there were no such file: its tests share this root.
        place(self.root / "etc/resolv.conf", f"nameserver {RESOLVER}\n")
        etc = self.dir / "etc"
        (etc / "master.cf").write_text(filled(
            "postfix-master.cf", address=self.address, port=self.port))
        (etc / "main.cf").write_text(
            "".join(filled(name, run=self.run) for name in self.MAIN) +
            (self.HOLD if self.held else ""))

    def let_go(self, box):
        etc = f"{self.run}/etc"
        self.inside_whole("/usr/sbin/postsuper", "-c", etc, "-H", "ALL")
        self.inside_whole("/usr/sbin/postqueue", "-c", etc, "-f")


class PostfixBulk(PostfixStock):
    key, title = "postfix-bulk", "Postfix, tuned"
    MAIN = ("postfix-stock.cf", "postfix-bulk.cf")


class EximPeer(SmtpPeer, Exim):
    key, title = "exim", "Exim"

    @staticmethod
    def install():
        private_root("exim4-daemon-light")

    def make(self):
        super().make()
        place(self.dir / "etc/resolv.conf", f"nameserver {RESOLVER}\n")
        place(self.dir / "etc/exim4/exim4.conf", filled(
            "exim.conf", address=self.address, port=self.port))

    def command(self):
        # It takes only (queue_only); a queue runner a second, up to six.
        return self.cgroup.wrap(
            ["chroot", str(self.dir), "/usr/sbin/exim4", "-bdf",
             *([] if self.held else ["-q1s"])])

    def let_go(self, box):
        for _ in range(QUEUE_RUNNERS):
            self.inside("/usr/sbin/exim4", "-q")


class OpenSmtpdPeer(SmtpPeer, OpenSMTPD):
    key, title = "opensmtpd", "OpenSMTPD"

    @staticmethod
    def install():
        private_root("opensmtpd", "dash")

    def make(self):
        super().make()
        place(self.dir / "etc/resolv.conf", f"nameserver {RESOLVER}\n")
        place(self.dir / "etc/smtpd.conf", filled(
            "opensmtpd.conf", address=self.address, port=self.port))
        self.let_control()

    def let_control(self):
        """smtpctl wants to be of a group, as the package would install it;
        a copy, since the file is a link that tests share."""
        program = self.dir / "usr/sbin/smtpctl"
        mine = shutil.copy(program, program.with_suffix(".new"))
        os.chown(mine, 0, self.QUEUE)
        os.chmod(mine, 0o2555)
        os.replace(mine, program)

    def start(self):
        super().start()
        if self.held:
            self.inside_whole("/usr/sbin/smtpctl", "pause", "mta")

    def let_go(self, box):
        self.inside_whole("/usr/sbin/smtpctl", "resume", "mta")


class HarakaPeer(SmtpPeer, Haraka):
    key, title = "haraka", "Haraka"

    @staticmethod
    def install():
        installed()

    def make(self):
        self.root = installed()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mtaq-haraka-"))
        (self.dir / "plugins").mkdir()
        (self.dir / "config").mkdir()
        shutil.copy(FILES / "haraka/relay.js", self.dir / "plugins")
        for file in (FILES / "haraka").iterdir():
            if file.suffix not in (".js", ".md"):
                self.place(file.name)
        (self.dir / "config/connection.ini").write_text(self.connection_ini())

    def place(self, name):
        """In one step: it looks at its files while it runs."""
        place(self.dir / "config" / name, filled(
            f"haraka/{name}", address=self.address, port=self.port,
            disabled=str(self.held).lower()))

    def let_go(self, box):
        self.held = False
        self.place("outbound.ini")


class Mtaq:
    """Its way in is its socket: it has no SMTP server yet."""

    key, title, way_in = "mtaq", "mtaq", "socket"

    cgroup = box = None

    @staticmethod
    def install():
        """It is built already."""

    def open(self, box, hold):
        self.box, self.cgroup = box, Cgroup(self.key)
        box.configure_from("../peers/mtaq.yaml").start_daemon()
        self.cgroup.add(box.daemon.pid)
        if hold:
            box.run("campaign", "pause", CAMPAIGN, "-c", box.conf)

    def close(self, failed=False):
        if self.cgroup is None:
            return
        try:
            self.box.stop_daemon(kill=failed)
        finally:
            self.cgroup.close()

    def said(self):
        return self.box.daemon_log.read_text()

    def injection(self, box, a, n, tag):
        return [box.mtaq, *box.load_args(
            "--messages", n, "--size", a.size, "--domains", a.domains,
            "--clients", 4, "--campaign", CAMPAIGN, "--tag", tag)]

    def let_go(self, box):
        box.run("campaign", "resume", CAMPAIGN, "-c", box.conf)


PEERS = {p.key: p for p in (Mtaq, PostfixStock, PostfixBulk, EximPeer,
                            OpenSmtpdPeer, HarakaPeer)}
