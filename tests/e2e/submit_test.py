#!/usr/bin/env python3
"""mtaq submit and mtaq check from outside: exit codes, words, and the drop
folder's file read by a second implementation of docs/SUBMISSION.md.

usage: submit_test.py MTAQ
"""
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

MTAQ = sys.argv[1]
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc = TABLE[(crc ^ octet) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def messages_of(data):
    """(submission id, messages) of a drop file; asserts every rule."""
    magic, version, flags, zero, sub = struct.unpack_from("<8sHHI16s", data)
    assert (magic, version, flags, zero) == (b"MTAQSUB\n", 1, 0, 0)
    at, number, found, ended = 32, 0, [], False
    while at < len(data):
        assert not ended
        kind, z, count, length, num, crc = struct.unpack_from(
            "<cBHIII", data, at)
        payload = data[at + 16:at + 16 + length]
        assert z == 0 and len(payload) == length
        at += 16 + length
        if kind == b"E":
            ended = True
            continue
        assert crc32c(payload) == crc
        if kind == b"P":
            assert num == number
            found[-1]["content"] += payload
            continue
        number += 1
        assert num == number and kind in (b"M", b"L")
        p = 0
        for _ in range(count):
            (size, rcpts, rcount, age, slen, plen, tlen, clen, cls,
             z) = struct.unpack_from("<QIIIHHBBBB", payload, p)
            p += 28
            parts = []
            for n in (slen, plen, tlen, clen):
                parts.append(payload[p:p + n])
                p += n
            end, to = p + rcpts, []
            while p < end:
                n, = struct.unpack_from("<H", payload, p)
                to.append(payload[p + 2:p + 2 + n].decode())
                p += 2 + n
            assert p == end and len(to) == rcount and z == 0
            content = payload[p:p + size]
            p += len(content)
            found.append({"from": parts[0].decode(), "tenant": parts[2],
                          "campaign": parts[3], "class": cls, "to": to,
                          "size": size, "content": content})
        assert p == len(payload)
    assert ended
    assert all(m["size"] == len(m["content"]) for m in found)
    return sub.hex(), found


class Spool:
    def __init__(self, tmp):
        self.dir = pathlib.Path(tmp)
        (self.dir / "spool").mkdir()
        (self.dir / "run").mkdir()
        self.conf = self.dir / "mtaq.yaml"
        self.conf.write_text(f"hostname: a.example\nspool: {tmp}/spool\n"
                             f"runtime: {tmp}/run\n")

    def run(self, *args, stdin=b""):
        env = {k: v for k, v in os.environ.items() if k != "MTAQ_CONFIG"}
        return subprocess.run([MTAQ, *map(str, args)], input=stdin, env=env,
                              capture_output=True, timeout=60)

    def submit(self, *args, stdin=b"", code=0):
        done = self.run("submit", "-c", self.conf, *args, stdin=stdin)
        assert done.returncode == code, (args, done)
        return done

    def drop(self):
        """The one file in the drop folder, taken out."""
        new = self.dir / "spool/incoming/new"
        files = list(new.iterdir()) if new.is_dir() else []
        tmp = self.dir / "spool/incoming/tmp"
        assert not tmp.is_dir() or not list(tmp.iterdir())
        assert len(files) == 1, files
        sub, found = messages_of(files[0].read_bytes())
        assert files[0].name == sub
        files[0].unlink()
        return found


EML = b"From: X <x@from.example>\nTo: a@b.example, \"c\" <c@d.example>\n" \
      b"Bcc: e@f.example\nSubject: s\n\nhello\n"


def sources(s):
    one = s.dir / "one.eml"
    one.write_bytes(EML)
    out = s.submit(one)
    assert out.stdout == b"" and b"drop folder" in out.stderr
    [m] = s.drop()
    assert m["content"] == EML and m["from"] == "x@from.example"
    assert m["to"] == ["a@b.example", "c@d.example", "e@f.example"]
    s.submit("--from", "", "--to", "<z@z.example>", "--tenant", "t",
             "--campaign", "c", "--class", "transactional", stdin=EML)
    [m] = s.drop()
    assert (m["from"], m["to"], m["tenant"], m["campaign"], m["class"]) == (
        "", ["z@z.example"], b"t", b"c", 1)
    box = s.dir / "x.mbox"
    box.write_bytes(b"From q Mon Jan  1 00:00:00 2024\n" + EML +
                    b"\nFrom q Mon Jan  1 00:00:00 2024\n" + EML +
                    b">From y\n")
    s.submit(box)
    assert [m["content"] for m in s.drop()] == [EML, EML + b"From y\n"]
    folder = s.dir / "folder"
    folder.mkdir()
    (folder / "2.eml").write_bytes(EML + b"2\n")
    (folder / "1.eml").write_bytes(EML + b"1\n")
    (folder / "README.md").write_bytes(b"no mail")
    s.submit(folder)
    assert [m["content"][-2:] for m in s.drop()] == [b"1\n", b"2\n"]
    big = EML + b"0123456789abcdef\n" * 500000
    s.submit("-", stdin=big)
    assert s.drop()[0]["content"] == big


def lists(s):
    to = s.dir / "to"
    to.write_text("# people\n" + "".join(f"u{i}@d.example\r\n"
                                         for i in range(2500)))
    s.submit("--each", "--to-file", to, "--token-header", "X-Token",
             stdin=EML)
    found = s.drop()
    assert [m["to"] for m in found] == [[f"u{i}@d.example"]
                                        for i in range(2500)]
    tokens = {m["content"].split(b"\r\n")[0] for m in found}
    assert len(tokens) == 2500
    assert all(t.startswith(b"X-Token: ") for t in tokens)
    assert all(m["content"].split(b"\r\n", 1)[1] == EML for m in found)
    to.write_text("# nobody\n")
    out = s.submit("--to-file", to, stdin=EML, code=65)
    assert b"list of recipients is empty" in out.stderr


def errors(s):
    s.submit("--class", "x", code=64)
    s.submit("--nonsense", code=64)
    s.submit("--token-header", "a b", code=64)
    out = s.submit(s.dir / "missing.eml", code=66)
    assert b"missing.eml cannot be read" in out.stderr
    out = s.submit("-n", "--json", "--to", "nobody", stdin=EML, code=65)
    row = json.loads(out.stdout)
    assert row["code"] == 65 and row["enhanced"] == "5.1.3"
    out = s.submit("-n", stdin=b"Subject: x\n\nx\n", code=65)
    assert b"--from" in out.stderr
    out = s.submit("-n", stdin=EML)
    assert b"1 message would be accepted" in out.stderr
    assert not (s.dir / "spool/incoming/new").exists() or not list(
        (s.dir / "spool/incoming/new").iterdir())
    assert s.run("submit", "-c", s.dir / "none.yaml").returncode == 78
    (s.dir / "bad.yaml").write_text("hostnam: a.b\n")
    done = s.run("check", "-c", s.dir / "bad.yaml")
    assert done.returncode == 78 and b"bad.yaml:1:1: " in done.stderr
    done = s.run("check", "-c", s.conf, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ok"] is True
    done = s.run("check", "-c", s.conf, "--json", "--print")
    assert json.loads(done.stdout)["hostname"] == "a.example"


def no_drop_beside_a_daemon(s):
    """A socket that someone listens at and hangs up: no file is left."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(s.dir / "run/submit.sock"))
        listener.listen(0)
        pid = os.fork()
        if pid == 0:
            for _ in range(6):
                listener.accept()[0].close()
            os._exit(0)
        out = s.submit(stdin=EML, code=75)
        os.waitpid(pid, 0)
    assert b"1 were not answered" in out.stderr, out.stderr
    new = s.dir / "spool/incoming/new"
    assert not new.exists() or not list(new.iterdir())


assert crc32c(b"123456789") == 0xE3069283
for test in (sources, lists, errors, no_drop_beside_a_daemon):
    with tempfile.TemporaryDirectory() as tmp:
        test(Spool(tmp))
    print(test.__name__, "ok")
