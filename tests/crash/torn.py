#!/usr/bin/env python3
"""What was on disk is not there any more: cut, zeroed, flipped, or what was
there before.

	torn.py MTAQ [--cycles N] [--messages N] [--seed N] [--json] [KIND...]

A daemon with mail that waits and mail that comes and goes, over segments that
had records before, is killed; then its log is damaged, at a border of records
or inside one.  `mtaq verify` must name the records that were touched and no
other; the next daemon must lose no mail but theirs, send again nothing but
what their outcomes were about, and bring nothing back.  What it says is
damaged is still so after one more kill.

Kinds: see KINDS.  At the log's end nobody can tell what tore from what never
was written; there, all of the last group behind the damage is gone, and there
is nothing to be named.  Where a checkpoint had covered that group already, its
records may be named once the next segment tells that they belong to the log.
"""
import collections
import json
import random
import re
import shutil
import sys
import time

import cycles
import ledger
from books import Books
from harness import Box, Failed, must
from segments import HEAD, HEADER, HEADER_COPY, Log, lsn_of

PLAN = {"sessions": 10, "unsynced": 32, "workers": 2, "messages": 20}
WAITING, BEFORE = 150, 1200     # messages: paused; to fill segments once
SECTOR = 512
PLACE = re.compile(r"log/seg-([0-9a-f]+): octets (\d+) to (\d+) \(LSN (\d+)\): "
                   r"(no record can be read here; skipped|"
                   r"the content of this message is damaged)")


class Harm:
    """What was done to a log: who is touched, and what verify must say."""

    def __init__(self, log, rnd):
        self.log, self.rnd = log, rnd
        self.touched = []           # records
        self.places = set()         # (file, from, to, content alone?)
        self.tail = None            # no damage, says who looks: (file,
                                    # from, to)

    def change(self, seg, at, octets):
        """Write, and see whom that touches; only what is really changed."""
        seg.write(at, octets)
        wrong = [at + i for i, c in enumerate(octets)
                 if c != seg.octets[at + i]]
        run = None          # of records that cannot be read at all
        for r in seg.records:
            mine = [w for w in wrong if r.at <= w < r.at + r.length]
            if not mine:
                run = None
                continue
            self.touched.append(r)
            if min(mine) >= r.content_at:
                self.places.add((seg.path.name, r.at, r.end, True))
                run = None
                continue
            if run is not None:
                self.places.discard(run)
            run = (seg.path.name, run[1] if run else r.at, r.end, False)
            self.places.add(run)

    def is_of_tail(self, place):
        name, begin, end = self.tail
        return place[0] == name and begin <= place[1] <= place[2] <= end

    def can_be_read(self, r):
        """Its content alone is wrong: it is held, not lost."""
        return (r.segment.path.name, r.at, r.end, True) in self.places

    def words(self):
        return ", ".join(f"{r.type} {r.lsn} of {r.id} at {r.at} in "
                         f"{r.segment.path.name}" for r in self.touched)

    def behind(self, seg):
        """Records of this segment whose damage is no tail: a later group is
        behind them, or a later segment."""
        if seg is not self.log.segments[-1]:
            return seg.records
        last = self.log.last_group()
        return [r for r in seg.records if r.at < last[0].at] if last else []

    def pick(self):
        """A record, of each type as likely as any; every second time of the
        last segment, where it might be taken for a torn tail."""
        by_type = collections.defaultdict(list)
        last = self.log.segments[-1]
        some = self.behind(last) and self.rnd.random() < 0.5
        for seg in [last] if some else self.log.segments:
            for r in self.behind(seg):
                by_type[r.type].append(r)
        return self.rnd.choice(by_type[self.rnd.choice(sorted(by_type))])


# --- kinds ------------------------------------------------------------------------

def flip(harm, count=1):
    """A bit of a record; of its head, envelope or content."""
    r = harm.pick()
    parts = [(r.at, r.at + HEAD.size), (r.at + HEAD.size, r.content_at),
             (r.content_at, r.at + r.length)]
    a, b = harm.rnd.choice([p for p in parts if p[0] < p[1]])
    for _ in range(count):
        at = harm.rnd.randrange(a, b)
        harm.change(r.segment, at, bytes(
            [r.segment.octets[at] ^ 1 << harm.rnd.randrange(8)]))


def zero(harm):
    """From a border, or from inside, over up to three records."""
    r = harm.pick()
    rows = harm.behind(r.segment)
    i = rows.index(r)
    last = rows[min(i + harm.rnd.randrange(3), len(rows) - 1)]
    at = r.at if harm.rnd.random() < 0.5 else \
        harm.rnd.randrange(r.at, r.at + r.length)
    harm.change(r.segment, at, bytes(last.end - at))


def sector(harm):
    """One that another write went to: it holds what was elsewhere."""
    r = harm.pick()
    at = harm.rnd.randrange(r.at, r.end) // SECTOR * SECTOR
    at = max(at, HEADER)
    octets = r.segment.octets
    other = harm.rnd.randrange(HEADER, len(octets) - SECTOR) // 8 * 8
    rows = harm.behind(r.segment)
    size = min(SECTOR, rows[-1].end - at)
    harm.change(r.segment, at, octets[other:other + size])


def cut_place(harm):
    """Where in the last group it ends; the records that are gone with it."""
    group = harm.log.last_group()
    must(group, "the last segment is empty")
    r = harm.rnd.choice(group)
    at = r.at if harm.rnd.random() < 0.5 else \
        harm.rnd.randrange(r.at, r.at + r.length)
    return r.segment, at


def end_with(harm, seg, at, octets):
    """From there on these; the first record that this changes ends the log."""
    seg.write(at, octets)
    now = seg.octets[:at] + octets
    group = harm.log.last_group()
    changed = [r for r in group if now[r.at:r.at + r.length] !=
               seg.octets[r.at:r.at + r.length]]
    harm.touched = [r for r in group if changed and r.at >= changed[0].at]
    harm.tail = (seg.path.name, changed[0].at if changed else group[-1].end,
                 group[-1].end)


def cut(harm):
    """Nothing of the last group is there from some place on."""
    seg, at = cut_place(harm)
    end_with(harm, seg, at, bytes(seg.bytes - at))


def old(harm):
    """From some sector on there is what was there before the group."""
    seg, at = cut_place(harm)
    at = max(at // SECTOR * SECTOR, harm.log.last_group()[0].at)
    before = (harm.before / seg.path.name)
    was = before.read_bytes() if before.exists() else bytes(seg.bytes)
    end_with(harm, seg, at, was[at:])


def header(harm):
    """One of the two copies of a segment's head is enough."""
    seg = harm.rnd.choice(harm.log.segments)
    copy = harm.rnd.choice((0, HEADER_COPY))
    at = copy + harm.rnd.randrange(56)
    seg.write(at, bytes([seg.octets[at] ^ 1 << harm.rnd.randrange(8)]))


KINDS = {"flip": flip, "zero": zero, "cut": cut, "sector": sector,
         "old": old, "header": header}


# --- what must come of it -----------------------------------------------------------

def named_in(words):
    return {(f"seg-{m[1]}", int(m[2]), int(m[3]), "content" in m[5])
            for m in PLACE.finditer(words)}


def verify(box, harm, records):
    """It names what was touched, and nothing else."""
    code = 65 if harm.places else 0
    out = box.run("verify", "-c", box.conf, "--json", ok=(code,)).stdout
    said = json.loads(out)
    named = named_in(said["words"])
    must(named == harm.places, f"damaged: {sorted(harm.places)}, named: "
         f"{sorted(named)}: {said['words']}")
    gone = sum(not harm.can_be_read(r) for r in harm.touched)
    if records is not None:
        must(said["records"] == records - gone,
             f"{said['records']} records of {records}, {gone} touched")
    return said["records"]


class Rest:
    """The books of a spool, those apart who were touched."""

    def __init__(self, box, harm):
        self.box, self.harm, self.books = box, harm, Books(box)
        self.ids = {r.id for r in harm.touched}
        self.gone = {r.id for r in harm.touched
                     if r.type in ("MSG", "MOVE") and not harm.can_be_read(r)}
        self.books.look(set())
        # Those that nobody may see again, if the log was cut before them.
        self.cut = {key for key, (mid, _) in self.books.accepted.items()
                    if harm.tail and lsn_of(mid) in self.gone}
        self.before = {k: len(v) for k, v in self.books.sink.ok.items()}

    def touched(self, key, ids):
        mid = self.books.accepted.get(key, (ledger.NO_ID,))[0]
        return mid != ledger.NO_ID and lsn_of(mid) in ids

    def queued(self):
        """What can still go."""
        rows = cycles.queued_rows(self.box)
        return {(r["id"], r["to"]) for r in rows if r["state"] != "damaged"}

    def there(self):
        """Of what is damaged the addresses are not said."""
        damaged = {r["id"] for r in self.rows if not r["to"]}
        return {(r["id"], r["to"]) for r in self.rows} | \
            {(mid, rcpt) for (_, rcpt), (mid, _) in
             self.books.accepted.items() if mid in damaged}

    def look(self, timeout=60):
        """Nobody else is lost; nothing is invented."""
        end = time.monotonic() + timeout
        while True:
            self.rows = cycles.queued_rows(self.box)
            every = self.every = self.there()
            r = self.books.look(every)
            lost = [x for x in self.books.lost(every)
                    if not self.touched(x[1:], self.gone)]
            if not lost and r["false"] == 0:
                break
            must(time.monotonic() < end, f"lost {lost[:5]}; {r}; touched: "
                 f"{self.harm.words()}")
            time.sleep(0.05)
        must(r["wrong"] == 0 and r["events_doubled"] == 0, json.dumps(r))

    def damaged(self):
        return sum(r["state"] == "damaged" for r in self.rows)

    def judge(self):
        ok = self.books.sink.ok
        alien = set(ok) - set(self.books.accepted)
        must(not alien, f"invented: {sorted(alien)[:5]}")
        back = [k for k in self.cut if len(ok.get(k, ())) >
                self.before.get(k, 0)]
        must(not back, f"back from the dead: {back[:5]}")
        sink = ledger.Sink(None)
        sink.ok.update({k: v for k, v in ok.items()
                        if not self.touched(k, self.ids)})
        return ledger.count_extra(sink)


def begin(box, plan):
    """Mail that waits, and segments that were full before."""
    box.start_sink(*cycles.SINK, listen="127.0.0.2-127.0.0.9")
    plan.configure(box).start_daemon()
    box.load("--messages", BEFORE, "--rcpts", 2, "--domains", 20, "--size",
             2000, "--tag", "before")
    cycles.let_wait(box, WAITING)
    box.stop_daemon()
    shutil.copytree(box.dir / "spool" / "log", box.dir / "before")
    box.start_daemon()


def damage(box, kind, rnd):
    records = verify(box, Harm(None, None), None)
    harm = Harm(Log(box.dir / "spool"), rnd)
    must(len(harm.log.records) == records,
         f"{len(harm.log.records)} records are seen, {records} verified")
    harm.before = box.dir / "before"
    KINDS[kind](harm)
    verify(box, harm, records)
    return harm


def one_cycle(args, kind, rnd):
    plan = cycles.Plan(**PLAN)
    plan.messages = args.messages or plan.messages
    with Box(args.mtaq, name="mtaq-torn") as box:
        begin(box, plan)
        load = cycles.Load(box, 0, plan)
        load.start()
        try:
            time.sleep(cycles.moment(rnd))      # the moment is the point
            box.kill_daemon()
            harm = damage(box, kind, rnd)
            rest = Rest(box, harm)
            box.start_daemon()
            load.finish()
        finally:
            load.abandon()
        rest.look()
        box.kill_daemon()                       # over what was written since
        box.start_daemon()
        cycles.resume(box)
        cycles.let_through(box, rest.queued)
        rest.look()
        box.stop_daemon()
        still = json.loads(box.run("verify", "-c", box.conf, "--json",
                                   ok=(0, 65)).stdout)
        named = named_in(still["words"])
        must(all(map(harm.is_of_tail, named)) if harm.tail else
             still["damaged"] + still["content_damaged"] <=
             len(harm.places), f"more is damaged: {still['words']}")
        extra = rest.judge()
        must(extra <= 2 * plan.extra_max(), f"{extra} second copies")
        return rest, harm, extra


def run(args):
    rnd = random.Random(args.seed)
    kinds = args.kinds or list(KINDS)
    sums = collections.Counter()
    for i in range(args.cycles):
        kind = kinds[i % len(kinds)]
        try:
            rest, harm, extra = one_cycle(args, kind, rnd)
        except Failed as e:
            raise Failed(f"cycle {i}, {kind}: {e}") from e
        sums.update({kind: 1, "acknowledged": len(rest.books.accepted),
                     "touched": len(harm.touched),
                     "named": len(harm.places), "extra": extra,
                     # of those whose record was touched
                     "gone_with_it": len(rest.books.lost(rest.every)),
                     "held_damaged": rest.damaged()})
    return {"test": "torn", "cycles": args.cycles, **sums, "lost": 0,
            "false": 0, "wrong": 0, "invented": 0}


def main():
    p = cycles.arguments(__doc__, 12)
    p.add_argument("kinds", nargs="*", metavar="KIND",
                   help=f"of {', '.join(KINDS)} [all in turn]")
    return cycles.main(run, p.parse_intermixed_args())


if __name__ == "__main__":
    sys.exit(main())
