"""The ledger equation of bench/ledger.py, looked at again and again while its
files grow: each is read on from where the last look ended.

The sums are those of ledger.check(), which a test compares at its end; here a
look costs what is new and what is open, not all that ever was.
"""
import collections
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import ledger  # noqa: E402


class Tail:
    """The whole lines that a file got since the last look."""

    def __init__(self, path):
        self.path, self.at = path, 0

    def lines(self):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as f:
            f.seek(self.at)
            new = f.read()
        end = new.rfind(b"\n") + 1
        self.at += end
        return new[:end].decode(errors="replace").splitlines()


class Books:
    """Of one spool."""

    def __init__(self, box):
        self.accepted_file = Tail(box.accepted)
        self.sink_file = Tail(box.ledger_file)
        self.events_path = box.events
        self.accepted = {}                  # (token, rcpt): (id, hash)
        self.tokens = collections.defaultdict(list)  # by (id, rcpt)
        self.sink = ledger.Sink(None)
        self.open = {}                      # accepted, and not at the sink
        self.unclaimed = collections.defaultdict(list)  # hashes, no accepted
        self.wrong = []
        self.forget_events()

    def forget_events(self):
        """Their file may have lost its end with the power: read it anew."""
        self.events_file = Tail(self.events_path)
        self.events, self.by_rcpt = {}, {}  # the final ones
        self.claims = {}                    # "delivered", without the sink
        self.seen, self.doubled = set(), 0

    # --- what is new ----------------------------------------------------------

    def compare(self, key, want, got):
        if want not in ("-", got):
            self.wrong.append(key)

    def read_accepted(self):
        for line in self.accepted_file.lines():
            col = line.split("\t")
            if len(col) != 4:
                continue
            key = col[1], col[2]
            self.accepted[key] = col[0], col[3]
            self.tokens[col[0], col[2]].append(col[1])
            for got in self.unclaimed.pop(key, ()):
                self.compare(key, col[3], got)
            if key not in self.sink.ok:
                self.open[key] = None

    def read_sink(self):
        for line in self.sink_file.lines():
            col = line.split("\t")
            if len(col) < 11:
                continue
            key = col[2], col[3]
            if col[1] == "rej5":
                self.sink.rej5.add(col[3])
            if col[1] not in ("ok", "withheld"):
                continue
            to = self.sink.ok if col[1] == "ok" else self.sink.withheld
            to[key].append((col[4], col[5]))
            if col[1] == "ok":
                self.open.pop(key, None)
            if key in self.accepted:
                self.compare(key, self.accepted[key][1], col[4])
            else:
                self.unclaimed[key].append(col[4])

    def read_events(self):
        for line in self.events_file.lines():
            e = json.loads(line)
            if e["type"] == "begin":
                continue
            self.doubled += (e["lsn"], e["n"]) in self.seen
            self.seen.add((e["lsn"], e["n"]))
            if e["type"] not in ledger.FINAL:
                continue
            key = e["id"], e.get("to", "")
            self.events[key] = self.by_rcpt[key[1]] = e
            if e["type"] == "delivered":
                self.claims[key] = None

    # --- the equation -----------------------------------------------------------

    def false(self):
        """Claims that the sink does not back; those that it does are done."""
        bad = []
        for mid, rcpt in list(self.claims):
            tokens = self.tokens.get((mid, rcpt), ())
            if any((t, rcpt) in self.sink.ok for t in tokens):
                del self.claims[mid, rcpt]
            elif tokens:
                bad.append((mid, rcpt))
        return bad

    def lost(self, queued):
        bad = []
        for token, rcpt in self.open:
            mid, _ = self.accepted[token, rcpt]
            e = self.by_rcpt.get(rcpt) if mid == ledger.NO_ID else \
                self.events.get((mid, rcpt))
            if (mid, rcpt) in queued or (token, rcpt) in self.sink.withheld:
                continue
            if e and (e["type"] in ("expired", "cancelled") or
                      e["type"] == "bounced" and
                      ledger.bounce_is_backed(e, self.sink)):
                continue
            bad.append((mid, token, rcpt))
        return bad

    def look(self, queued):
        """queued: {(id, recipient)} of what the daemon says it has."""
        self.read_accepted()
        self.read_sink()
        self.read_events()
        lost, false = self.lost(queued), self.false()
        return {"lost": len(lost), "false": len(false),
                "wrong": len(self.wrong), "events_doubled": self.doubled,
                "examples": {"lost": lost[:5], "false": false[:5],
                             "wrong": self.wrong[:5]}}
