"""Postfix as a receiver, in a private root."""
import os
import pathlib
import signal
import tempfile

from receivers import Receiver, place, private_root, wait_until


class Postfix(Receiver):
    """It delivers to maildirs and rewrites nothing.

    users: local parts with a mailbox, in every one of domains.  access:
    {recipient: what to answer to its RCPT}.
    """

    chunks = True

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
    # Its queue is run each second: started again in the second of a SIGKILL, with
    # the same small pids in its namespace, it meets its own temporary names in
    # the maildir and puts those messages off.
    # A bare LF is refused, so that line ends can be compared although a
    # maildir has its own; whoever sends ahead where RFC 2920 forbids it is put
    # out.
    MAIN = """compatibility_level = 3.6
myhostname = mx.{name}.test
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
message_size_limit = {size}
smtpd_recipient_limit = {recipients}
message_drop_headers =
append_dot_mydomain = no
local_header_rewrite_clients =
remote_header_rewrite_domain =
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
smtpd_forbid_bare_newline = reject
smtpd_forbid_unauth_pipelining = yes
smtpd_recipient_restrictions = reject_unauth_destination
	check_recipient_access texthash:{run}/etc/access
"""
    RELAY = """relay_domains = relay.{name}.test
transport_maps = inline:{{ relay.{name}.test=smtp:[{host}]:{port} }}
"""
    UID = 110           # postfix; of no meaning outside the root
    DROP = 111          # the group postdrop
    MAIL = 5000         # who owns the mailboxes

    name, product = "postfix", "Postfix"
    messages_max = None     # it counts by time, not by session

    def __init__(self, address, port, users, relay=None, domains=None,
                 access=()):
        super().__init__(address, port, users, relay)
        self.domains = domains or [
            self.domain, "tapped." + self.domain, "d0." + self.domain]
        self.access = dict(access)

    def make(self):
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
        self.log, self.mail = self.dir / "mail.log", self.dir / "mail"
        self.make_folders()
        self.configure()

    def command(self):
        return ["chroot", self.root, "/usr/lib/postfix/sbin/master",
                "-c", self.run + "/etc", "-i"]

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
                     name=self.name, domains=" ".join(self.domains),
                     uid=self.MAIL, size=self.size_max,
                     recipients=self.recipients_max)
        etc = self.dir / "etc"
        (etc / "master.cf").write_text(self.MASTER.format(**words))
        main = self.MAIN.format(**words)
        if self.relay:
            main += self.RELAY.format(host=self.relay[0], port=self.relay[1],
                                      **{"name": self.name})
        (etc / "main.cf").write_text(main)
        (etc / "vmailbox").write_text("".join(
            f"{user}@{domain} {domain}/{user}/\n"
            for domain in self.domains for user in self.users) +
            f"@d0.{self.domain} d0.{self.domain}/all/\n")
        self.write_access()

    def write_access(self):
        (self.dir / "etc/access").write_text("".join(
            f"{to} {answer}\n" for to, answer in self.access.items()))

    def set(self, **values):
        """Words of main.cf.  By a restart: at a reload it may lose the line of
        its log that says when that is over."""
        self.stop()
        main = self.dir / "etc/main.cf"
        # Each word once: of a second one every process would warn, postlogd
        # too, and through its own socket, which may be full by then.
        kept = [line for line in main.read_text().splitlines(True)
                if line.split(" =")[0] not in values]
        main.write_text("".join(kept) + "".join(
            f"{k} = {v}\n" for k, v in values.items()))
        self.start()

    def allow(self, recipient):
        """From now on for every new connection; once in its life."""
        del self.access[recipient]
        self.write_access()
        self.signal(signal.SIGHUP)
        wait_until(lambda: "reload -- version" in self.said(), self.process,
                   "postfix, reload")

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    @staticmethod
    def front(sender, user, domain):
        to = user + b"@" + domain
        return (rb"Return-Path: <%s>\nX-Original-To: %s\n"
                rb"Delivered-To: [^\n]+\n" % (sender, to) +
                Postfix.trace(sender, user, domain).replace(rb"\r\n", rb"\n"))

    @staticmethod
    def trace(sender, user, domain):
        """What is put in front of what is sent on."""
        return (rb"Received: from mail\.test \(unknown \[[0-9.]+\]\)\r\n"
                rb"\tby mx\.[a-z]+\.test \(Postfix\) with ESMTP "
                rb"id (?P<id>[0-9A-F]+)(?:\r\n\tfor <%s@%s>; |;\r\n\t)"
                rb"[^\r\n]+\r\n" % (user, domain))
