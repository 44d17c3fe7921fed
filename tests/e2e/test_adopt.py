#!/usr/bin/env python3
"""mtaq export and mtaq adopt: a spool's mail goes to another node.

test_adopt.py MTAQ [NAME...]
"""
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tarfile
import time

from harness import Box, ledger, main, must


def op(box, *args, ok=(0,)):
    return box.run(*args, "-c", box.conf, ok=ok).stdout


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def load(box, tag, messages, *options):
    box.load("--messages", messages, "--domains", 10, "--tag", tag, *options)


def preload(name, **env):
    """The environment of a process with one of our libraries in it."""
    must(name in os.environ, f"{name} must name the built library")
    return {**os.environ, "LD_PRELOAD": os.environ[name],
            "ASAN_OPTIONS": "verify_asan_link_order=0", **env}


def configure(box, **more):
    box.configure(retry='["1h", "2h"]', **more)


class Nodes:
    """Two boxes; what is acknowledged and what arrives is one ledger."""

    def __init__(self, mtaq):
        self.a, self.b = Box(mtaq, "adopt-a"), Box(mtaq, "adopt-b")
        self.b.ledger_file = self.a.ledger_file
        self.file = self.a.dir / "mail.mtaq"

    def __enter__(self):
        self.a.__enter__()
        self.b.__enter__()
        return self

    def __exit__(self, *why):
        try:
            self.b.__exit__(*why)
        finally:
            self.a.__exit__(*why)

    def export(self, *args, ok=(0,)):
        out = self.a.run("export", "-c", self.a.conf, "--json",
                         *(args or [self.file]), ok=ok)
        return json.loads(out.stdout) if out.returncode in (0, 65) and \
            out.stdout else out.stderr

    def adopt(self, *args, ok=(0,), **kw):
        out = self.b.run("adopt", "-c", self.b.conf, "--json",
                         *(args or [self.file]), ok=ok, **kw)
        return json.loads(out.stdout) if out.stdout else out.stderr

    def equation(self, queued=None, extra=0):
        """Both event logs as one, under the ids of the first node."""
        origin, lines = {}, self.a.events.read_text().splitlines()
        for n, line in enumerate(self.b.events.read_text().splitlines()):
            e = json.loads(line)
            if "origin_id" in e:
                origin[e["id"]] = e["origin_id"]
            e["id"] = origin.get(e.get("id"), e.get("id"))
            e["lsn"] = f"b{e['lsn']}"
            lines.append(json.dumps(e))
        both = self.a.dir / "both.jsonl"
        both.write_text("\n".join(lines) + "\n")
        r = ledger.check([self.a.accepted], self.a.ledger_file, both, queued)
        must(r["lost"] == r["false"] == r["wrong"] == r["extra"] - extra ==
             r["events_doubled"] == 0, json.dumps(r))
        return r


def listed(box, origin=None):
    """{(id at the first node, recipient): (state, tries, due)}"""
    found = {}
    for r in rows(op(box, "queue", "list", "--all", "--json")):
        key = (origin[r["id"]] if origin else r["id"], r["to"])
        must(key not in found, f"{key} twice")
        found[key] = (r["state"], r["attempts"], r.get("due_in_s"))
    return found


def same(before, after, seconds):
    """All but the time that went by between the lists."""
    must(before.keys() == after.keys(),
         f"{len(before)} recipients became {len(after)}")
    for key, (state, tries, due) in before.items():
        now = after[key]
        close = due == now[2] or due is not None and now[2] is not None and \
            abs(due - now[2]) <= seconds
        must((state, tries) == now[:2] and close,
             f"{key}: {(state, tries, due)} became {now}")


def fill(box):
    """Mail in every state.  Returns how it is listed."""
    box.start_sink("--domains", 10, "--seed", 5, "--fail", "rcpt=4:0.4",
                   "--stubborn", "--drop", "eod=0.1")
    configure(box)
    box.start_daemon()
    op(box, "campaign", "pause", "paused")
    op(box, "site", "pause", "mx0.d9.test")
    load(box, "p", 100, "--campaign", "paused")
    load(box, "large", 2, "--size", 5 << 20, "--campaign", "paused")
    load(box, "w", 200, "--class", "transactional")
    load(box, "wide", 2, "--rcpts", 1000, "--spread")
    load(box, "deep", 2, "--rcpts", 1000)
    load(box, "h", 100, "--campaign", "kept", "--tenant", "t")
    # All but what is paused has one attempt; wide has 200 at each domain.
    tried = 180 + 2 * 900 + 2 * 1000 + 90
    box.wait_for(lambda: sum(box.count_events().get(t, 0) for t in
                             ("delivered", "deferred", "unsure")) >= tried,
                 120, "an attempt for each")
    types = box.count_events()
    must(types["deferred"] > 500 and types["unsure"] > 0 and
         types["delivered"] > 500, str(types))
    op(box, "queue", "hold", "--campaign", "kept")
    box.wait_for(lambda: box.count_events().get("held", 0) > 30, 60,
                 "held mail")
    found = listed(box)
    box.stop_daemon()
    box.stop_sink()
    return found


def origins(box):
    """{id here: id at the first node}"""
    with open(box.events, encoding="utf-8") as f:
        return {e["id"]: e["origin_id"] for e in map(json.loads, f)
                if "origin_id" in e}


def deliver_all(nodes, recipients):
    """At the second node, which starts, compares and delivers."""
    b = nodes.b
    op(b, "queue", "release", "--all")
    op(b, "queue", "retry", "--all")
    op(b, "campaign", "resume", "paused")
    types = b.wait_final(recipients)
    b.stop_daemon()
    must(types["accepted"] == recipients, str(types))
    return types


def open_b(nodes):
    b = nodes.b
    b.start_sink("--domains", 10)
    configure(b)
    b.start_daemon()


def everything_comes_along(mtaq):
    """States, attempts and next tries; then the ledger of both nodes."""
    with Nodes(mtaq) as n:
        before = fill(n.a)
        began = time.monotonic()
        told = n.export()
        must(told["recipients"] == len(before) and told["left"] == 0,
             f"{len(before)} {told}")
        must(told["held"] > 0 and told["pauses"] == 2, str(told))
        types = n.a.count_events()
        must(types["exported"] == len(before), str(types))
        configure(n.b)
        took = n.adopt()
        must((took["messages"], took["recipients"], took["known"],
              took["whole"]) == (told["messages"], len(before), 0, True),
             str(took))
        must("mx0.d9.test" in took["paused_sites"] and
             "'paused'" in took["words"], str(took))
        again = n.adopt()
        must((again["messages"], again["known"]) == (0, told["messages"]),
             str(again))
        open_b(n)
        n.b.wait_for(lambda: n.b.count_events().get("accepted", 0) ==
                     len(before), 60, "all accepted events")
        after = listed(n.b, origins(n.b))
        # The site's pause has not come along: what it held goes out.
        held_back = {k for k in before if k not in after}
        must(all(k[1].endswith("@d9.test") for k in held_back),
             f"gone: {list(held_back)[:3]}")
        same({k: v for k, v in before.items() if k in after}, after,
             time.monotonic() - began + 90)
        deliver_all(n, len(before))
        r = n.equation()
        again = n.adopt()
        must(again["messages"] == 0, str(again))
        return f"{len(before)} recipients, {r['delivered']} delivered"


def an_exported_spool_is_shut(mtaq):
    """run, verify --rebuild, submit and adopt into it are refused; verify
    says what it is; undo wants a word where it could double mail."""
    with Nodes(mtaq) as n:
        a = n.a
        configure(a)
        a.start_daemon()
        must("in use by process" in n.export(ok=(75,)), "a running daemon")
        op(a, "campaign", "pause", "paused")
        load(a, "p", 20, "--campaign", "paused")
        must(n.export("-n", ok=(75,)), "-n beside a daemon")
        a.stop_daemon()
        must(n.export("-n")["messages"] == 20, "-n")
        n.export("--mark-only")
        op(a, "export", "--undo")              # nothing was written yet
        n.export()
        done = a.run("run", "-c", a.conf, ok=(78,))
        must("was exported" in done.stderr and "--undo" in done.stderr,
             done.stderr)
        done = a.run("verify", "--rebuild", "--force", "-c", a.conf, ok=(78,))
        must("was exported" in done.stderr, done.stderr)
        done = a.run("submit", "-c", a.conf, "--from", "s@x.test", "--to",
                     "r@d1.test", input="Subject: x\n\nx\n", ok=(69,))
        must("was exported" in done.stderr, done.stderr)
        must(list((a.dir / "spool/incoming/new").iterdir()) == [],
             "a file was left")
        done = a.run("adopt", "-c", a.conf, n.file, ok=(78,))
        must("was exported" in done.stderr, done.stderr)
        must("exported on" in op(a, "verify"), "verify is silent")
        must(json.loads(op(a, "verify", "--json"))["exported"], "--json")
        must("exists" in n.export(ok=(73,)), "it overwrites")
        a.run("export", "-c", a.conf, "--undo", ok=(65,))
        op(a, "export", "--undo", "--nothing-was-adopted")
        a.run("export", "-c", a.conf, "--undo", ok=(65,))
        a.start_sink("--domains", 10)
        configure(a)
        a.start_daemon()
        op(a, "campaign", "resume", "paused")
        a.wait_final(20)
        a.stop_daemon()
        a.equation()


def a_spool_that_has_no_segment_yet_stays_as_configured(mtaq):
    """Its first start was cut off; somebody looks at it with an export."""
    with Nodes(mtaq) as n:
        (n.a.dir / "spool/log").mkdir(parents=True)
        configure(n.a, queue__segment_bytes="2MiB")
        must(n.export("-n")["recipients"] == 0, "mail from nowhere")
        n.a.start_daemon()
        n.a.stop_daemon()
        sizes = {f.stat().st_size for f in (n.a.dir / "spool/log").iterdir()}
        must(sizes == {2 << 20}, str(sizes))


def mail_in_the_drop_folder_is_not_left(mtaq):
    with Nodes(mtaq) as n:
        configure(n.a)
        n.a.start_daemon()
        n.a.stop_daemon()
        n.a.run("submit", "-c", n.a.conf, "--from", "s@x.test", "--to",
                "r@d1.test", input="Subject: x\n\nx\n")
        must("incoming/new" in n.export(ok=(75,)), "it was exported")
        must(not (n.a.dir / "spool/exported").exists(), "the mark is left")
        n.a.start_sink("--domains", 10)
        configure(n.a)
        n.a.start_daemon()
        n.a.wait_final(1)
        n.a.stop_daemon()


def what_was_decided_is_applied_first(mtaq):
    """Ten thousand cancels that kill -9 left undone end here, as cancelled."""
    with Nodes(mtaq) as n:
        a = n.a
        configure(a)
        a.start_daemon()
        op(a, "campaign", "pause", "paused")
        load(a, "c", 10000, "--size", 600, "--campaign", "paused")
        load(a, "k", 10, "--size", 600, "--campaign", "paused",
             "--tenant", "t")
        op(a, "queue", "cancel", "--domain", "d3.test")
        op(a, "queue", "cancel", "--domain", "d4.test")
        a.kill_daemon()
        told = n.export()
        must(told["recipients"] == 8008, str(told))
        types = a.count_events()
        must(types["cancelled"] == 2002 and types["exported"] == 8008,
             str(types))
        configure(n.b)
        n.adopt()
        open_b(n)
        deliver_all(n, 8008)
        must(n.equation()["cancelled"] == 2002, "cancels")


def a_folder_is_adopted_itself(mtaq):
    with Nodes(mtaq) as n:
        before = fill(n.a)
        configure(n.b)
        spool = n.a.dir / "spool"
        must("not marked" in n.adopt(spool, ok=(65,)), "without a mark")
        told = n.export("--mark-only")
        took = n.adopt("-n", spool)
        must(took["recipients"] == len(before) and not took["whole"],
             str(took))
        took = n.adopt(spool)
        must(took["recipients"] == told["recipients"] == len(before),
             str(took))
        must("begun" in n.a.run("export", "-c", n.a.conf, "--undo",
                                ok=(65,)).stderr, "undo")
        must(n.adopt(spool)["messages"] == 0, "twice")
        n.export()                  # the same mail, under the same name
        must(n.adopt()["messages"] == 0, "from the file after the folder")
        open_b(n)
        deliver_all(n, len(before))
        n.equation()


def damaged_mail_is_left_and_told(mtaq):
    with Nodes(mtaq) as n:
        recipients = some_mail(n, 20)
        token, found = b"X-Mtaq-Token: p-5\r\n", 0
        for seg in (n.a.dir / "spool/log").iterdir():
            octets = bytearray(seg.read_bytes())
            at = octets.find(token)
            if at >= 0:
                octets[at + len(token) + 100] ^= 1
                seg.write_bytes(octets)
                found += 1
        must(found == 1, f"{found} places")
        told = n.export(ok=(65,))
        with open(n.a.accepted, encoding="utf-8") as f:
            mine = [l.split("\t") for l in f if "\tp-5\t" in l]
        must(told["left"] == told["left_recipients"] == len(mine) == 1 and
             told["messages"] == recipients - 1 and
             mine[0][0] in told["words"], f"{told} {mine}")
        configure(n.b)
        took = n.adopt()
        must(took["left"] == 1 and mine[0][0] in took["words"] and
             took["messages"] == recipients - 1, str(took))
        queued = n.a.dir / "queued.tsv"
        queued.write_text(f"{mine[0][0]}\t{mine[0][2]}\n")
        open_b(n)
        deliver_all(n, recipients - 1)
        must(n.equation(queued)["queued"] == 1, "the one that is left")


def clocks_that_differ_move_no_mail(mtaq):
    """The first node's clock was ten days ahead once, and so its mail time
    is: what is due in an hour there is due in an hour here."""
    with Nodes(mtaq) as n:
        step = n.a.dir / "step"
        step.write_bytes(struct.pack("<q", 10 * 86400))
        n.a.start_sink("--domains", 10, "--fail", "rcpt=4:1")
        configure(n.a)
        n.a.start_daemon(env=preload("MTAQ_CLOCK_STEP",
                                     CLOCK_STEP_FILE=str(step)))
        load(n.a, "w", 50)
        n.a.wait_for(lambda: n.a.count_events().get("deferred", 0) == 50, 60,
                     "deferred mail")
        before, began = listed(n.a), time.monotonic()
        n.a.stop_daemon()
        n.a.stop_sink()
        n.export()
        configure(n.b)
        took = n.adopt()
        must(abs(took["shift_s"] + 10 * 86400) < 600, str(took))
        open_b(n)
        n.b.wait_for(lambda: n.b.count_events().get("accepted", 0) == 50, 60,
                     "accepted events")
        same(before, listed(n.b, origins(n.b)), time.monotonic() - began + 90)
        deliver_all(n, 50)
        n.equation()


def mail_that_compaction_moved_comes_along(mtaq):
    """Segments that are nearly empty were copied forward before."""
    with Nodes(mtaq) as n:
        a = n.a
        a.start_sink("--domains", 10)
        configure(a, queue__segment_bytes="2MiB",
                  checkpoint='{interval: 1s, age: 1s}')
        a.start_daemon()
        op(a, "campaign", "pause", "paused")
        for i in range(12):
            load(a, f"k{i}", 2, "--campaign", "paused", "--start", 2 * i)
            load(a, f"g{i}", 100, "--size", 20000, "--start", 100 * i)
        a.wait_final(1200)

        def moved():
            s = json.loads(op(a, "status", "--json"))
            return s["messages_moved"] >= 10

        a.wait_for(moved, 120, "compaction")
        a.stop_daemon()
        a.stop_sink()
        must(n.export()["recipients"] == 24, "export")
        configure(n.b)
        must(n.adopt()["recipients"] == 24, "adopt")
        open_b(n)
        deliver_all(n, 24)
        n.equation()


SPOOL_V1 = pathlib.Path(__file__).resolve().parents[1] / "spool-v1"


def a_spool_of_version_1_is_moved(mtaq):
    with Nodes(mtaq) as n:
        with tarfile.open(SPOOL_V1 / "spool.tar.xz") as tar:
            tar.extractall(n.a.dir)
        configure(n.a, queue__segment_bytes="4MiB")
        lines = (n.a.dir / "expected.txt").read_text().splitlines()
        before = ledger.check([n.a.accepted], n.a.ledger_file, n.a.events)
        told = n.export()
        must(told["recipients"] ==
             sum(l[0].isdigit() for l in lines) and told["held"] > 40,
             str(told))
        configure(n.b)
        took = n.adopt()
        must(took["recipients"] == told["recipients"], str(took))
        open_b(n)
        deliver_all(n, told["recipients"])
        r = n.equation(extra=before["extra"])
        must(r["delivered"] + r["cancelled"] == r["acknowledged"], str(r))


# --- things break ----------------------------------------------------------------

def some_mail(n, messages=600, size=20000):
    """Of a paused campaign, large ones among it.  How many recipients."""
    configure(n.a)
    n.a.start_daemon()
    op(n.a, "campaign", "pause", "paused")
    load(n.a, "p", messages, "--size", size, "--campaign", "paused")
    load(n.a, "l", 3, "--size", 4 << 20, "--campaign", "paused")
    load(n.a, "q", messages, "--size", size, "--campaign", "paused",
         "--tenant", "t")
    n.a.stop_daemon()
    return 2 * messages + 3


def kill_9_of_adopt_doubles_nothing(mtaq):
    """20 deaths: at each of the first syncs, and at any moment."""
    with Nodes(mtaq) as n:
        recipients = some_mail(n)
        n.export()
        configure(n.b)
        args = [n.b.mtaq, "adopt", "-c", str(n.b.conf), str(n.file)]
        dice, deaths = random.Random(7), 0
        for i in range(20):
            env = preload("MTAQ_TEST_DIE_AT",
                          DIE_AT=f"synced:{i + 1}" if i < 10 else "")
            p = subprocess.Popen(args, env=env, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            try:
                p.wait(None if i < 10 else dice.uniform(0, 0.3))
            except subprocess.TimeoutExpired:
                p.kill()
            deaths += p.wait() == -signal.SIGKILL
        took = n.adopt()
        must(took["messages"] + took["known"] == recipients, str(took))
        must(deaths >= 5, f"only {deaths} deaths")
        open_b(n)
        deliver_all(n, recipients)
        n.equation()
        return f"{deaths} deaths, {took['known']} were there at the end"


def kill_9_of_export_leaves_one_node(mtaq):
    """At any moment: no mark, and a daemon could start; or a mark, and the
    next export is whole.  FILE is never there in part."""
    with Nodes(mtaq) as n:
        recipients = some_mail(n, 300)
        whole = shutil.copytree(n.a.dir / "spool", n.a.dir / "kept")
        args = [n.a.mtaq, "export", "-c", str(n.a.conf), str(n.file)]
        dice, seen = random.Random(8), {True: 0, False: 0}
        configure(n.b)
        for i in range(20):
            p = subprocess.Popen(args, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            try:
                p.wait(dice.uniform(0, 0.15))
            except subprocess.TimeoutExpired:
                p.kill()
            p.wait()
            marked = (n.a.dir / "spool/exported").exists()
            seen[marked] += 1
            if n.file.exists():
                must(marked, "a file of a spool without a mark")
                must(n.adopt("-n", n.file)["recipients"] == recipients, "a part")
                n.file.unlink()
            must(n.export("-n")["recipients"] == recipients, "mail is gone")
            must("whole" in op(n.a, "verify"), "the log")
            if i % 4 == 3:          # begin anew, without a mark
                shutil.rmtree(n.a.dir / "spool")
                shutil.copytree(whole, n.a.dir / "spool")
        n.export()
        must(n.adopt()["recipients"] == recipients, "adopted")
        open_b(n)
        deliver_all(n, recipients)
        n.equation()
        return f"marked {seen[True]}, not {seen[False]}"


def a_cut_or_changed_file_is_refused(mtaq):
    with Nodes(mtaq) as n:
        recipients = some_mail(n, 50)
        n.export()
        octets = n.file.read_bytes()
        configure(n.b)
        bad = n.a.dir / "bad.mtaq"
        dice = random.Random(9)
        for cut in [0, 5, 16, 20, len(octets) - 1, len(octets) - 32] + \
                [dice.randrange(len(octets)) for _ in range(10)]:
            bad.write_bytes(octets[:cut])
            words = n.adopt(bad, ok=(65,))
            must("Nothing was taken" in words, words)
        for at in [0, 16, 33] + [dice.randrange(len(octets))
                                 for _ in range(10)]:
            changed = bytearray(octets)
            changed[at] ^= 1 << dice.randrange(8)
            bad.write_bytes(changed)
            words = n.adopt(bad, ok=(65,))
            must("Nothing was taken" in words, words)
        bad.write_bytes(octets + b"x")
        n.adopt(bad, ok=(65,))
        n.adopt(n.a.dir / "nothing", ok=(66,))
        must(n.adopt()["recipients"] == recipients, "the whole one")


def a_full_disk_stops_it_and_it_goes_on(mtaq):
    with Nodes(mtaq) as n:
        recipients = some_mail(n)
        n.export()
        configure(n.b)
        stops, words = 0, ""
        for looks in range(1, 200):
            env = preload("MTAQ_TEST_FULL_DISK", FULL_DISK_AFTER=str(looks))
            done = n.b.run("adopt", "-c", n.b.conf, "--json", n.file,
                           ok=(0, 75), env=env)
            if done.returncode == 0:
                break
            stops += 1
            words += done.stderr
        must(stops > 1 and "goes on" in words, f"{stops} stops: {words}")
        took = n.adopt()
        must(took["known"] == recipients and took["messages"] == 0, str(took))
        open_b(n)
        deliver_all(n, recipients)
        n.equation()
        return f"{stops} stops"


TESTS = [everything_comes_along, an_exported_spool_is_shut,
         a_spool_that_has_no_segment_yet_stays_as_configured,
         mail_in_the_drop_folder_is_not_left,
         what_was_decided_is_applied_first, a_folder_is_adopted_itself,
         damaged_mail_is_left_and_told, clocks_that_differ_move_no_mail,
         mail_that_compaction_moved_comes_along,
         a_spool_of_version_1_is_moved,
         kill_9_of_adopt_doubles_nothing, kill_9_of_export_leaves_one_node,
         a_cut_or_changed_file_is_refused,
         a_full_disk_stops_it_and_it_goes_on]

if __name__ == "__main__":
    main(TESTS)
