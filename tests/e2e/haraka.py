"""Haraka as a receiver, from the npm registry (haraka.sh)."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness import must
from receivers import HERE, Receiver, Skipped


def installed():
    """Its folder."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Skipped(f"{program} is not installed")
    done = subprocess.run([HERE / "haraka.sh"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300)
    if done.returncode:
        raise Skipped(f"npm could not install it: {done.stderr[-500:]}")
    return pathlib.Path(done.stdout.strip())


class Haraka(Receiver):
    """It stores the octets as they came (haraka/plugins/store.js)."""

    name, product = "haraka", "Haraka"
    messages_max = None
    CONFIG = {
        "me": "mx.{domain}\n",
        "plugins": "store\nqueue/smtp_forward\n",
        "log.ini": "[main]\nlevel=warn\n",
        "smtp.ini": "listen={address}:{port}\n",
        "smtp_forward.ini": "host={relay_host}\nport={relay_port}\n",
    }

    def make(self):
        self.root = installed()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mtaq-haraka-"))
        self.mail = self.dir / "mail"
        self.mail.mkdir()
        shutil.copytree(HERE / "haraka/plugins", self.dir / "plugins")
        conf = self.dir / "config"
        conf.mkdir()
        host, port = self.relay or ("127.0.0.1", 9)
        for name, text in self.CONFIG.items():
            (conf / name).write_text(text.format(
                domain=self.domain, address=self.address, port=self.port,
                size=self.size_max, relay_host=host, relay_port=port))
        (conf / "connection.ini").write_text(self.connection_ini())
        (conf / "store.json").write_text(json.dumps(dict(
            domain=self.domain, users=self.users, mail=str(self.mail),
            recipients=self.recipients_max)))

    def connection_ini(self):
        """Its own, which must be whole, with what is ours in it."""
        text = (self.root / "node_modules/Haraka/config/connection.ini") \
            .read_text()
        # data_line_length: longer lines are broken, by default from 993 on.
        for name, value in (("bytes", self.size_max),
                            ("data_line_length", 998),
                            ("clean_auth_results", "false")):
            text, n = re.subn(rf"(?m)^;? ?{name}=.*", f"{name}={value}", text)
            must(n == 1, f"connection.ini: {n} times {name}")
        return text

    def command(self):
        return ["env", f"HARAKA={self.dir}", "node",
                self.root / "node_modules/Haraka/haraka.js"]

    @staticmethod
    def front(sender, user, domain):
        return (rb"Received: from mail\.test \([^\r\n]*\[?[0-9.]+\]?\)\r\n"
                rb"\tby mx\.haraka\.test \(Haraka[^\r\n]*\) with ESMTP "
                rb"id (?P<id>[0-9A-F.-]+)\r\n"
                rb"\tenvelope-from <%s>;\r\n\t[^\r\n]+\r\n" % sender)

    trace = front
