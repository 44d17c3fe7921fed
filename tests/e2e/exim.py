"""Exim as a receiver, in a private root of its own."""
import os

from receivers import Receiver, copied_root, place


class Exim(Receiver):
    """It delivers to maildirs, a process for each message."""

    # No CHUNKING towards the sink: 4.96 announces an octet too few (BDAT) for a
    # message to which it had to add the line between header and body.
    CONF = """exim_path = /usr/sbin/exim4
primary_hostname = mx.{domain}
spool_directory = /spool
log_file_path = /log/%slog
local_interfaces = {address}
daemon_smtp_ports = {port}
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
keep_environment =
message_size_limit = {size}
recipients_max = {recipients}
smtp_accept_max = 100
smtp_accept_max_per_connection = {messages}
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
delivery_date_remove = false
envelope_to_remove = false
return_path_remove = false
check_spool_space = 0
check_spool_inodes = 0
acl_smtp_rcpt = rcpt

begin acl
rcpt:
	accept domains = relay.{domain}
	accept domains = {domain} : tapped.{domain} : d0.{domain}
		verify = recipient
	deny domains = {domain} : tapped.{domain}
		message = 5.1.1 No such user here
	deny message = relay not permitted

begin routers
relay:
	driver = manualroute
	domains = relay.{domain}
	route_list = * {relay_host}
	self = send
	transport = onward
load:
	driver = accept
	domains = d0.{domain}
	transport = all
users:
	driver = accept
	domains = {domain} : tapped.{domain}
	local_parts = lsearch;/etc/exim4/users
	transport = mailbox

begin transports
onward:
	driver = smtp
	port = {relay_port}
	allow_localhost
	hosts_avoid_tls = *
	hosts_try_chunking =
mailbox:
	driver = appendfile
	directory = /mail/$domain_data/$local_part_data
	maildir_format
	user = {uid}
	group = {uid}
all:
	driver = appendfile
	directory = /mail/d0.{domain}/all
	maildir_format
	user = {uid}
	group = {uid}

begin retry
* * F,1h,1s

begin rewrite
"""
    EXIM, MAIL = 110, 5000  # user ids, of no meaning outside the root
    name, product = "exim", "Exim"

    def make(self):
        self.dir = copied_root("exim4-daemon-light")
        self.mail = self.dir / "mail"
        place(self.dir / "etc/passwd",
              f"root:x:0:0::/:\nDebian-exim:x:{self.EXIM}:{self.EXIM}::/:\n"
              "nobody:x:65534:65534::/:\n")
        place(self.dir / "etc/group",
              f"root:x:0:\nDebian-exim:x:{self.EXIM}:\nnogroup:x:65534:\n")
        for name, owner in (("spool", self.EXIM), ("log", self.EXIM),
                            ("mail", self.MAIL)):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, owner, owner)
        etc = self.dir / "etc/exim4"
        etc.mkdir(exist_ok=True)
        host, port = self.relay or ("127.0.0.1", 9)
        place(etc / "exim4.conf", self.CONF.format(
            domain=self.domain, address=self.address, port=self.port,
            size=self.size_max, recipients=self.recipients_max,
            messages=self.messages_max, relay_host=host, relay_port=port,
            uid=self.MAIL))
        place(etc / "users", "".join(f"{u}: {u}\n" for u in self.users))

    def command(self):
        # -q: what a kill left in the spool is taken up again.
        return ["chroot", self.dir, "/usr/sbin/exim4", "-bdf", "-q2s"]

    def said(self):
        return (self.dir / "log/mainlog").read_text()

    @classmethod
    def front(cls, sender, user, domain):
        return cls.trace(sender, user, domain).replace(rb"\r\n", rb"\n")

    @staticmethod
    def trace(sender, user, domain):
        """What is put in front of every message."""
        return (rb"Received: from \[[0-9.]+\] \(helo=mail\.test\)\r\n"
                rb"\tby mx\.exim\.test with esmtp \(Exim [0-9.]+\)\r\n"
                rb"\t\(envelope-from <%s>\)\r\n\tid (?P<id>[\w-]+)"
                rb"(?:\r\n\tfor %s@%s)?;\r\n\t[^\r\n]+\r\n" %
                (sender, user, domain))
