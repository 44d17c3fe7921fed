"""OpenSMTPD as a receiver, in a private root of its own."""
import os

from receivers import Receiver, copied_root, place


class OpenSMTPD(Receiver):
    """It delivers to maildirs, a process for each recipient."""

    CONF = """table users file:/etc/users
smtp max-message-size {size}
smtp limit max-rcpt {recipients}
smtp limit max-mails {messages}
listen on {address} port {port} hostname mx.{domain}
action "mailbox" maildir "/mail/%{{rcpt.domain}}/%{{rcpt.user}}" \\
	virtual <users>
action "all" maildir "/mail/d0.{domain}/all" virtual <users>
action "onward" relay host smtp://{relay_host}:{relay_port}
match from any for domain {{ "{domain}", "tapped.{domain}" }} \
	action "mailbox"
match from any for domain "d0.{domain}" action "all"
match from any for domain "relay.{domain}" action "onward"
"""
    # The daemon, its queue, who owns the mailboxes: of no meaning outside.
    SMTPD, QUEUE, MAIL = 110, 111, 5000
    name, product = "opensmtpd", "OpenSMTPD"
    groups = False
    pipelining = False      # 6.8 does not offer it
    unknown_user = 524
    REFUSED = {name: (
        550, "Message is not RFC 2822 compliant",
        "a line of the header section that is no field and continues none")
        for name in ("error_emails__multiple_references_with_one_invalid",
                     "rfc2822__example13")}

    def make(self):
        self.dir = copied_root("opensmtpd", "dash")
        self.mail = self.dir / "mail"
        ids = (("opensmtpd", self.SMTPD), ("opensmtpq", self.QUEUE),
               ("vmail", self.MAIL))
        place(self.dir / "etc/passwd", "root:x:0:0::/:/bin/sh\n" + "".join(
            f"{name}:x:{n}:{n}::/mail:/bin/sh\n" for name, n in ids))
        place(self.dir / "etc/group", "root:x:0:\n" + "".join(
            f"{name}:x:{n}:\n" for name, n in ids))
        for name, owner, mode in (
                ("mail", self.MAIL, 0o755), ("var/lib/opensmtpd", 0, 0o755),
                ("var/lib/opensmtpd/empty", 0, 0o755),
                ("var/spool/smtpd", 0, 0o711), ("var/run", 0, 0o755)):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
            os.chown(self.dir / name, owner, owner)
            (self.dir / name).chmod(mode)
        host, port = self.relay or ("127.0.0.1", 9)
        place(self.dir / "etc/smtpd.conf", self.CONF.format(
            domain=self.domain, address=self.address, port=self.port,
            size=self.size_max, recipients=self.recipients_max,
            messages=self.messages_max, relay_host=host, relay_port=port))
        place(self.dir / "etc/users", f"@d0.{self.domain}: vmail\n" +
              "".join(f"{u}@{d}{self.domain}: vmail\n"
                      for u in self.users for d in ("", "tapped.")))

    def command(self):
        return ["chroot", self.dir, "/usr/sbin/smtpd", "-d", "-f",
                "/etc/smtpd.conf"]

    @classmethod
    def front(cls, sender, user, domain):
        return (rb"Return-Path: <?%s>?\nDelivered-To: %s@%s\n" %
                (sender, user, domain) +
                cls.trace(sender, user, domain).replace(rb"\r\n", rb"\n"))

    @staticmethod
    def trace(sender, user, domain):
        """What is put in front of every message.

        "for" names the last RCPT, although it was refused.
        """
        return (rb"Received: from mail\.test \([^\r\n]+ \[[0-9.]+\]\)\r\n"
                rb"\tby mx\.opensmtpd\.test \(OpenSMTPD\) with ESMTP "
                rb"id (?P<id>[0-9a-f]+)(?:\r\n\tfor <[^>]+>)?;\r\n"
                rb"\t[^\r\n]+\r\n")
