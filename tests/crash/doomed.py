"""A daemon that lives under conditions which a test made worse, between two
that live well: what disk.py, memory.py and clock.py share.

A cycle has a box of its own: a daemon with mail that waits and mail that comes
and goes, the harm, `mtaq verify`, a daemon without it, and the ledger when all
has been let through.
"""
import collections
import random
import time

import cycles
from books import Books
from harness import Failed, must

PLAN = {"sessions": 10, "unsynced": 32, "workers": 2, "messages": 20}


class Doomed:
    def __init__(self, box, args, rnd, ends):
        """ends: the exit codes that the harm may bring about."""
        self.box, self.rnd, self.ends = box, rnd, ends
        self.plan = cycles.Plan(**PLAN)
        self.plan.messages = args.messages or self.plan.messages
        self.plan.load_ends.add(65)     # a broken daemon may refuse for good
        self.extra_max = 0
        self.counts = collections.Counter()
        self.told = box.dir / "told"    # made when the harm is done
        self.sink = cycles.SINK

    def prepare(self):
        box = self.box
        box.start_sink(*self.sink, listen="127.0.0.2-127.0.0.9")
        self.plan.configure(box).start_daemon()
        cycles.let_wait(box, 100)

    def start(self, preload, **env):
        """Until it is ready or dead."""
        box = self.box
        self.told.unlink(missing_ok=True)
        box.launch_daemon(env={
            "LD_PRELOAD": preload,
            "ASAN_OPTIONS": "verify_asan_link_order=0",
            **{k.upper(): str(v) for k, v in env.items()}})
        # Not said(): between two looks it may die, as it is meant to.
        box.wait_for(lambda: self.is_dead() or "mtaq: ready" in
                     box.daemon_log.read_text()[box.log_from:], 60,
                     "'ready'")

    def is_dead(self):
        return self.box.daemon.poll() is not None

    def await_harm(self, seconds):
        """Or its end, or so long; then a moment with what it knows."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_dead() and \
                not self.told.exists():
            time.sleep(0.01)            # a file has no event to wait for
        if not self.is_dead():
            time.sleep(self.rnd.uniform(0, 0.2))
        self.counts["harmed"] += self.told.exists()

    def kill(self):
        self.box.kill_daemon()
        self.extra_max += self.plan.extra_max()

    def end(self):
        """In good order, or not."""
        if not self.is_dead() and self.rnd.random() < 0.5:
            self.kill()
            return
        self.extra_max += self.plan.extra_max()
        if not self.is_dead():
            self.box.daemon.terminate()
        code = self.box.daemon.wait(60)
        said = self.box.daemon_log.read_text()[self.box.log_from:]
        pid, self.box.daemon = self.box.daemon.pid, None
        must(code in self.ends and (code == 0 or "mtaq" in said) or
             self.excused(code, pid), f"it ended with {code}: {said}")
        self.counts[f"ended_{code}"] += 1

    def excused(self, code, pid):
        """What else it may end with."""
        del code, pid
        return False

    def cycle(self, harm):
        """Gives the ledger."""
        box = self.box
        self.prepare()
        load = cycles.Load(box, 0, self.plan)
        load.start()
        try:
            time.sleep(self.rnd.uniform(0, 0.2))
            harm()
            if box.daemon is None:
                box.run("verify", "-c", box.conf)
                box.start_daemon()
            load.finish()
        finally:
            load.abandon()
        cycles.resume(box)
        cycles.let_through(box)
        cycles.settled(box, Books(box))
        box.stop_daemon()
        box.run("verify", "-c", box.conf)
        r = box.equation()
        r["extra"] = len(cycles.repeated(box.ledger_file))
        must(r["extra"] <= self.extra_max, f"{r['extra']} second copies, "
             f"{self.extra_max} are explained")
        return r


def run_kinds(name, args, kinds, one):
    """one(kind, i, rnd) plays the ith cycle of a kind: its ledger and its
    Doomed."""
    rnd, sums = random.Random(args.seed), collections.Counter()
    for i in range(args.cycles):
        kind = kinds[i % len(kinds)]
        try:
            r, doomed = one(kind, i // len(kinds), rnd)
        except Failed as e:
            raise Failed(f"cycle {i}, {kind}: {e}") from e
        sums.update(doomed.counts)
        sums.update({kind: 1, **{k: r.get(k, 0) for k in (
            "acknowledged", "delivered", "bounced", "expired", "extra",
            *cycles.SUMS)}})
    return {"test": name, "cycles": args.cycles, **sums}
