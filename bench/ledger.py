#!/usr/bin/env python3
"""The ledger equation: was any mail lost, invented, changed or doubled?

	lost   acknowledged - (sink's ledger + queued + bounced + expired +
	       cancelled).  A bounce counts only with the sink's own 5yz line
	       for that recipient or a local rule that the event names.
	false  "delivered" events without a sink line
	wrong  lines of the sink whose content hash is not the submitted one
	extra  transactions beyond the first for a recipient, those apart whose
	       2yz the sink itself withheld

"Delivered" is what the sink wrote, never what mtaq says of itself.

	ledger.py --accepted FILE --ledger FILE --events FILE [--queued FILE]
	          [--json]

accepted: lines of `mtaq load --accepted` (id, token, recipient, hash); the
hash may be "-".  queued: lines "id TAB recipient" of what is still queued.
Exit status 1 when lost, false or wrong is not 0.
"""
import argparse
import collections
import json
import sys

# Enhanced codes of local rules that end a recipient without a server's word
# (include/mtaq/outcome.h).
LOCAL_RULES = {"5.1.2", "5.1.10", "5.4.4", "5.4.6", "5.3.4", "5.6.7",
               "5.6.3"}
# The answer to a repeated message whose id the daemon does not know any more:
# its event is found by the recipient.
NO_ID = "0" * 14
FINAL = ("delivered", "bounced", "expired", "cancelled")


class Sink:
    """What the sink wrote, by (token, recipient)."""

    def __init__(self, path):
        self.ok = collections.defaultdict(list)     # key: [(hash, txn)]
        self.withheld = collections.defaultdict(list)
        self.rej5 = set()                           # recipients, tokens apart
        self.rej5_any = False
        if path:
            self.read(path)

    def read(self, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                col = line.rstrip("\n").split("\t")
                if len(col) < 11:
                    continue                        # the last, half line
                kind, token, rcpt = col[1], col[2], col[3]
                if kind == "ok":
                    self.ok[token, rcpt].append((col[4], col[5]))
                elif kind == "withheld":
                    self.withheld[token, rcpt].append((col[4], col[5]))
                elif kind == "rej5":
                    self.rej5.add(rcpt)


def read_accepted(paths):
    """{(token, rcpt): (id, hash)}"""
    out = {}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for line in f:
                col = line.rstrip("\n").split("\t")
                if len(col) == 4:
                    out[col[1], col[2]] = (col[0], col[3])
    return out


def read_events(path):
    """Final events: {(id, rcpt): event}, and how many of each type."""
    final, types, doubled = {}, collections.Counter(), 0
    seen = set()
    with open(path, encoding="utf-8") as f:
        for line in f:
            try:
                e = json.loads(line)
            except json.JSONDecodeError:
                continue                            # being written
            if e["type"] == "begin":
                continue
            key = (e["lsn"], e["n"])
            doubled += key in seen
            seen.add(key)
            types[e["type"]] += 1
            if e["type"] in FINAL:
                final[e["id"], e.get("to", "")] = e
    return final, types, doubled


def read_queued(path):
    if not path:
        return set()
    with open(path, encoding="utf-8") as f:
        return {tuple(line.rstrip("\n").split("\t")[:2]) for line in f}


def bounce_is_backed(event, sink):
    if event.get("enhanced") in LOCAL_RULES and "code" not in event:
        return True
    return event.get("to", "") in sink.rej5 or "-" in sink.rej5


def settle(accepted, sink, final, queued):
    """What became of every acknowledged recipient."""
    fate, lost, wrong = collections.Counter(), [], []
    by_rcpt = {rcpt: e for (_, rcpt), e in final.items()}
    for (token, rcpt), (mid, want) in accepted.items():
        lines = sink.ok.get((token, rcpt), []) + \
            sink.withheld.get((token, rcpt), [])
        if want != "-":
            wrong += [(token, rcpt) for h, _ in lines if h != want]
        event = by_rcpt.get(rcpt) if mid == NO_ID else \
            final.get((mid, rcpt))
        if (token, rcpt) in sink.ok:
            fate["delivered"] += 1
        elif (mid, rcpt) in queued:
            fate["queued"] += 1
        elif event and event["type"] == "bounced" and \
                bounce_is_backed(event, sink):
            fate["bounced"] += 1
        elif event and event["type"] in ("expired", "cancelled"):
            fate[event["type"]] += 1
        elif (token, rcpt) in sink.withheld:
            fate["withheld"] += 1
        else:
            lost.append((mid, token, rcpt))
    return fate, lost, wrong


def count_extra(sink):
    """Transactions that brought nothing new: every recipient of theirs had
    a line before."""
    first, extra = {}, set()
    for key, lines in sink.ok.items():
        order = sorted(lines, key=lambda l: int(l[1]))
        first[key] = order[0][1]
        extra.update(txn for _, txn in order[1:])
    return len(extra - set(first.values()))


def count_false(accepted, sink, final):
    by_id = collections.defaultdict(list)
    for (token, rcpt), (mid, _) in accepted.items():
        by_id[mid, rcpt].append(token)
    bad = []
    for (mid, rcpt), e in final.items():
        if e["type"] != "delivered" or (mid, rcpt) not in by_id:
            continue
        if not any((t, rcpt) in sink.ok for t in by_id[mid, rcpt]):
            bad.append((mid, rcpt))
    return bad


def check(accepted_paths, ledger, events, queued=None):
    accepted, sink = read_accepted(accepted_paths), Sink(ledger)
    final, types, doubled = read_events(events)
    fate, lost, wrong = settle(accepted, sink, final, read_queued(queued))
    false = count_false(accepted, sink, final)
    return {
        "acknowledged": len(accepted), **dict(fate),
        "lost": len(lost), "false": len(false), "wrong": len(wrong),
        "extra": count_extra(sink), "events_doubled": doubled,
        "events": dict(types),
        "examples": {"lost": lost[:5], "false": false[:5],
                     "wrong": wrong[:5]},
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--accepted", action="append", required=True)
    p.add_argument("--ledger", required=True)
    p.add_argument("--events", required=True)
    p.add_argument("--queued")
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    r = check(a.accepted, a.ledger, a.events, a.queued)
    if a.json:
        print(json.dumps(r))
    else:
        for key, value in r.items():
            print(f"{key:16} {value}")
    return 1 if r["lost"] or r["false"] or r["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
