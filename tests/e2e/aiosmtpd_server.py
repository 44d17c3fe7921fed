"""The server of aiosmtpd_receiver.py: aiosmtpd_server.py SETTINGS.json

Each message is a file before its 250 is said.
"""
import asyncio
import json
import pathlib
import signal
import sys

from aiosmtpd.handlers import Proxy
from aiosmtpd.smtp import SMTP


class Handler(Proxy):
    def __init__(self, settings):
        super().__init__(*(settings["relay"] or (None, 0)))
        self.domain, self.max = settings["domain"], settings["recipients"]
        self.own = {self.domain, "tapped." + self.domain}
        self.users = set(settings["users"])
        self.mail, self.count = pathlib.Path(settings["mail"]), 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        user, _, domain = address.rpartition("@")
        if domain in self.own and user not in self.users:
            return "550 5.1.1 No such user here"
        if domain not in self.own | {"d0." + self.domain,
                                     "relay." + self.domain}:
            return "550 5.7.1 Relaying denied"
        if len(envelope.rcpt_tos) == self.max:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].endswith("@relay." + self.domain):
            return await self.send_on(envelope, session)
        for address in envelope.rcpt_tos:
            user, _, domain = address.rpartition("@")
            self.store(domain, user if domain in self.own else "all",
                       envelope.content)
        return "250 2.0.0 Stored"

    def store(self, domain, user, octets):
        box = self.mail / domain / user
        (box / "tmp").mkdir(parents=True, exist_ok=True)
        (box / "new").mkdir(exist_ok=True)
        # A number no other run has: files of the one before may be there.
        while True:
            self.count += 1
            name = f"{self.count:07}"
            if not (box / "new" / name).exists():
                break
        (box / "tmp" / name).write_bytes(octets)
        (box / "tmp" / name).rename(box / "new" / name)

    async def send_on(self, envelope, session):
        """As Proxy does, which would say 250 to what it could not send."""
        refused = {}
        deliver = super()._deliver

        def keep(*args):
            refused.update(deliver(*args) or {})
            return refused
        self._deliver = keep
        answer = await super().handle_DATA(None, session, envelope)
        return "451 4.4.1 Not sent on" if refused else answer


async def main():
    with open(sys.argv[1]) as f:
        settings = json.load(f)
    loop = asyncio.get_running_loop()
    handler = Handler(settings)
    server = await loop.create_server(
        lambda: SMTP(handler, data_size_limit=settings["size"],
                     enable_SMTPUTF8=True, hostname="mx." + settings["domain"],
                     loop=loop),
        settings["address"], settings["port"])
    ended = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, ended.set_result, None)
    await ended
    server.close()


asyncio.run(main())
