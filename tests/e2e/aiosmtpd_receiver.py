"""aiosmtpd as a receiver: Python's asyncio server, with a handler of ours."""
import json
import pathlib
import subprocess
import tempfile

from receivers import HERE, Receiver, Skipped

PYTHON = "/usr/bin/python3"     # the one that Debian's package is for


class Aiosmtpd(Receiver):
    """It stores the octets as they came, then says 250."""

    name, product = "aiosmtpd", "aiosmtpd"
    groups = False
    pipelining = False      # it does not offer it
    messages_max = None

    def make(self):
        if subprocess.run([PYTHON, "-c", "import aiosmtpd"],
                          stderr=subprocess.DEVNULL).returncode:
            raise Skipped("python3-aiosmtpd is not installed")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mtaq-aiosmtpd-"))
        self.mail = self.dir / "mail"
        (self.dir / "settings.json").write_text(json.dumps(dict(
            address=self.address, port=self.port, domain=self.domain,
            users=self.users, relay=self.relay, mail=str(self.mail),
            size=self.size_max, recipients=self.recipients_max)))

    def command(self):
        return [PYTHON, HERE / "aiosmtpd_server.py",
                self.dir / "settings.json"]

    @staticmethod
    def front(sender, user, domain):
        return rb"(?P<id>)"

    @staticmethod
    def trace(sender, user, domain):
        return rb""

    def split_relayed(self, octets, sender, user, domain):
        """Its Proxy puts a line behind the header section."""
        head, gap, body = octets.partition(b"X-Peer: 127.0.0.1\r\n")
        return head + body
