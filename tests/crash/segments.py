"""The log of a spool as it lies on disk, for tests that damage it.

Layouts: queue/README.md, queue/record.c.  No checksum is looked at: what is
read here was left by a daemon that was killed, and is whole but for a last
group that it may have been in the middle of.
"""
import struct

HEADER = 4096               # of a segment; its copy begins in the middle
HEADER_COPY = 2048
HEAD = struct.Struct("<HBBIQIIII")
MAGIC = 0xd15e
TYPES = {1: "MSG", 2: "PART", 3: "OUT", 4: "DEC", 5: "MOVE", 6: "BODY",
         7: "CKPT"}
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def lsn_of(message_id):
    """13 letters and a check letter."""
    lsn = 0
    for letter in message_id[:-1]:
        lsn = lsn << 5 | LETTERS.index(letter)
    return lsn


class Record:
    def __init__(self, segment, at, head, envelope):
        self.segment, self.at = segment, at     # at: its place in the file
        _, kind, _, group, self.lsn, self.length, self.envelope, _, _ = head
        self.type = TYPES.get(kind, str(kind))
        self.group = group
        self.end = at + (self.length + 7) // 8 * 8
        # What it speaks of: a MSG of itself.
        self.id = self.lsn if self.type == "MSG" else \
            int.from_bytes(envelope[:8], "little")

    @property
    def content_at(self):
        return self.at + HEAD.size + self.envelope


class Segment:
    """One that holds a part of the log."""

    def __init__(self, path, octets):
        self.path, self.octets = path, octets
        (self.bytes, self.sequence, _, self.prev,
         self.prev_end) = struct.unpack_from("<IQQQQ", octets, 12)
        self.records = []

    def read(self, end):
        at = HEADER
        while at + HEAD.size <= end:
            head = HEAD.unpack_from(self.octets, at)
            if head[0] != MAGIC or \
                    head[4] != self.sequence * self.bytes + at or \
                    head[5] < HEAD.size or at + head[5] > end:
                break
            body = at + HEAD.size
            r = Record(self, at, head, self.octets[body:body + 8])
            self.records.append(r)
            at = r.end

    def write(self, at, octets):
        with open(self.path, "r+b") as f:
            f.seek(at)
            f.write(octets)

    def octet(self, at):
        return self.octets[at]


class Log:
    """All that is in the log of a spool now, oldest first."""

    def __init__(self, spool):
        found = []
        for path in (spool / "log").glob("seg-*"):
            octets = path.read_bytes()
            if octets[:8] == b"mtaqseg\0" and octets[16:24] != bytes(8):
                found.append(Segment(path, octets))
        found.sort(key=lambda s: s.sequence)
        self.segments = found
        for seg, after in zip(found, found[1:] + [None]):
            known = after is not None and after.prev == seg.sequence
            seg.read(after.prev_end - seg.sequence * seg.bytes if known
                     else seg.bytes)
        self.records = [r for s in found for r in s.records]

    def last_group(self):
        last = self.segments[-1].records
        return [r for r in last if r.group == last[-1].group] if last else []
