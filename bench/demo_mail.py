"""The mail of the demo, and what `mtaq submit` acknowledged of it.

Every recipient that submit acknowledged gets a line in the accepted file that
bench/ledger.py reads: id, token, recipient, hash of the content.  The hash is
that of the canonical form as tests/e2e/canonical.py makes it, a second
implementation that shares nothing with mtaq; it is "-" where only mtaq can
know the content (a Date or Message-ID that it had to add).
"""
import json
import pathlib
import re
import time

from rig import ROOT, must  # puts tests/e2e into sys.path
import canonical

TOKEN = "X-Mtaq-Token"
NEWS_TOKEN = "newsletter"
FILES = sorted((ROOT / "tests" / "mail").glob("*.eml"))
WORDS = """<p>This week: a queue that is durable before it says yes, one
transaction for all recipients of a domain, and sessions that are used again.
What was put off comes back by itself; what was refused is told at once.</p>
"""
NEWS = f"""From: The weekly <news@sender.test>
To: Subscribers <subscribers@sender.test>
Subject: All that was delivered this week
Date: Sun, 22 Nov 2026 12:00:00 +0000
Message-ID: <weekly.1@sender.test>
List-Unsubscribe: <mailto:leave@sender.test>
MIME-Version: 1.0
Content-Type: text/html; charset=us-ascii
{TOKEN}: {NEWS_TOKEN}

<html><body>
{WORDS * 16}</body></html>
""".replace("\n", "\r\n").encode()

# An .eml file may begin as a mailbox does; no header goes before that line.
MBOX_LINE = re.compile(rb"\AFrom [^\r\n]*(\r\n|\r|\n)")

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def content_hash(octets):
    """As the sink's ledger prints it (bench/README.md)."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = TABLE[(crc ^ octet) & 255] ^ crc >> 8
    return f"{crc ^ 0xFFFFFFFF:08x}.{len(octets)}"


def hash_of(file, token, sender):
    octets = MBOX_LINE.sub(b"", file.read_bytes())
    made = canonical.canonical(f"{TOKEN}: {token}\r\n".encode() + octets,
                               sender.encode())
    return "-" if b"\0" in made else content_hash(made)


class Mail:
    def __init__(self, box, domains):
        self.box, self.domains = box, domains
        self.lines = []         # of the accepted file
        self.sent = {}          # (token, recipient): when submit began
        self.refused = []       # words
        self.file = box.dir / "newsletter.eml"
        self.to = box.dir / "recipients"

    def submit(self, *args):
        return self.box.run("submit", "-c", self.box.conf, "--json",
                            "--from", "news@sender.test", *args,
                            ok=(0, 65))

    # --- the newsletter ---------------------------------------------------

    def newsletter(self, count):
        """Seconds that one submit of one message to so many took."""
        self.rcpts = [f"r{i}@d{i % self.domains}.test" for i in range(count)]
        self.file.write_bytes(NEWS)
        self.to.write_text("".join(r + "\n" for r in self.rcpts))
        begin = time.monotonic()
        done = self.submit("--campaign", "weekly", "--to-file", self.to,
                           self.file)
        took = time.monotonic() - begin
        # More recipients than one frame takes are several answers.
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        must(all(one["code"] == 0 for one in answers),
             f"the newsletter was refused: {answers}")
        self.news_ids = {i for one in answers for i in one["ids"]}
        for r in self.rcpts:
            self.sent[NEWS_TOKEN, r] = begin
        return took

    def accept_newsletter(self):
        """submit says which ids, the accepted events which recipient has
        which; one without an event is asked for all the same."""
        ids = {}
        with open(self.box.events, encoding="utf-8") as f:
            for line in f:
                if '"type":"accepted"' in line:
                    e = json.loads(line)
                    if e["id"] in self.news_ids:
                        ids[e["to"]] = e["id"]
        want = content_hash(NEWS)
        self.lines += [f"{ids.get(r, '-')}\t{NEWS_TOKEN}\t{r}\t{want}\n"
                       for r in self.rcpts]

    # --- one at a time ----------------------------------------------------

    def transactional(self, count, tell):
        """One submit for each of so many; the files in turn."""
        at, refused_in_a_row = 0, 0
        while at < count and refused_in_a_row < len(FILES):
            file = FILES[(at + len(self.refused)) % len(FILES)]
            if self.one(file, f"t{at}@d{at % self.domains}.test"):
                at, refused_in_a_row = at + 1, 0
            else:
                refused_in_a_row += 1
            tell()
        must(at == count, f"only {at} of {count} files were accepted")

    def one(self, file, rcpt):
        begin = time.monotonic()
        done = self.submit("--class", "transactional", "--token-header",
                           TOKEN, "--to", rcpt, file)
        answer = json.loads(done.stdout)
        if answer["code"] != 0:
            self.refused.append(f"{file.name}: {answer['words']}")
            return False
        token = answer["token"]
        want = hash_of(file, token, "news@sender.test")
        self.lines.append(f"{answer['ids'][0]}\t{token}\t{rcpt}\t{want}\n")
        self.sent[token, rcpt] = begin
        return True

    def write_accepted(self):
        self.accept_newsletter()
        self.box.accepted.write_text("".join(self.lines))
        return len(self.lines)


def latencies_ms(mail, ledger_file):
    """From the start of submit to the sink's line, rising: of the newsletter
    and of the rest."""
    news, rest = [], []
    for line in pathlib.Path(ledger_file).read_text().splitlines():
        col = line.split("\t")
        begin = mail.sent.get((col[2], col[3])) if col[1] == "ok" else None
        if begin is not None:
            (news if col[2] == NEWS_TOKEN else rest).append(
                int(col[0]) - begin * 1000)
    return sorted(news), sorted(rest)
