"""bench/compare.sh's figures: a table, a JSON object, a plot."""
import json
import os

# First: it knows where the others are.
from rig import commit, judge, machine, must, summary
import plot
from compare_peers import PEERS

UNITS = {
    "injected_per_s": "messages/s",
    "drained_per_s": "messages/s",
    "through_per_s": "messages/s",
    "cpu_s_per_1000": "s of CPU/1000 messages",
    "memory_mib": "MiB",
    "connections_per_1000": "connections/1000 messages",
}
HEADS = ("", "way in", "injected/s", "drained/s", "end to end/s",
         "CPU s a 1,000", "memory, MiB", "connections a 1,000",
         "syncs a 1,000", "lost", "doubled")
PLOTTED = {"injected_per_s": "injection", "drained_per_s": "drain",
           "through_per_s": "end to end"}
# mtaq against the best of the others: {ratio: (figure, which is best)}
RATIOS = {"drain_times_the_fastest": ("drained_per_s", max),
          "through_times_the_fastest": ("through_per_s", max),
          "cpu_of_the_thriftiest": ("cpu_s_per_1000", min)}
WANTED = (("drain_times_the_fastest", ">=", 20),
          ("through_times_the_fastest", ">=", 20),
          ("cpu_of_the_thriftiest", "<=", round(1 / 15, 3)))


def summed(runs):
    """{figure: {median, ...}} of a server's rounds."""
    return {k: summary(k, UNITS.get(k, ""), runs) for k in runs[0]}


def total(runs, what):
    return sum(r[f"drain_{what}"] + r[f"through_{what}"] for r in runs)


def number(x):
    """Three digits, whatever its size."""
    if x >= 100:
        return f"{float(f'{x:.3g}'):,.0f}"
    return f"{x:.3g}"


def spread(f):
    return f"{number(f['median'])} ({number(f['min'])} to {number(f['max'])})"


def table(figures, runs):
    yield "| " + " | ".join(HEADS) + " |"
    yield "|" + "---|" * len(HEADS)
    for name, f in figures.items():
        cells = [PEERS[name].title, PEERS[name].way_in]
        cells += [spread(f[k]) for k in UNITS]
        cells += [number(f["syncs_per_1000"]["median"])
                  if "syncs_per_1000" in f else "-"]
        cells += [str(total(runs[name], k)) for k in ("lost", "doubled")]
        yield "| " + " | ".join(cells) + " |"


def ratios(runs):
    """Of each round on its own: the machine was the same for all."""
    others = [r for name, r in runs.items() if name != "mtaq"]
    if "mtaq" not in runs or not others:
        return {}
    each = [{ratio: mine[key] / best(r[number][key] for r in others)
             for ratio, (key, best) in RATIOS.items()}
            for number, mine in enumerate(runs["mtaq"])]
    return {ratio: summary(ratio, "", each) for ratio in RATIOS}


def draw(figures, path):
    """The rates; logarithmic, else one could see mtaq's alone."""
    must(plot.svg(path, "mtaq beside others",
                  {PEERS[name].title: [(tic, (name, key))
                                       for key, tic in PLOTTED.items()]
                   for name in figures},
                  {(name, key): f[key] for name, f in figures.items()
                   for key in PLOTTED},
                  ("set logscale y", "set yrange [*:*]")),
         "no plot: gnuplot is not installed")


def headline(runs, a):
    loads = [r["load_average"] for rs in runs.values() for r in rs]
    return (f"\ncompare: {a.rounds} rounds; {machine()}; commit {commit()}\n"
            f"{a.messages:,} messages of {a.size:,} octets to each "
            f"({a.mtaq_messages:,} to mtaq), {a.domains} domains, "
            f"{a.sessions} SMTP sessions; load average {min(loads):.1f} to "
            f"{max(loads):.1f}; medians (least to most)\n")


def report(runs, skipped, a):
    figures = {name: summed(r) for name, r in runs.items()}
    print(headline(runs, a))
    print("\n".join(table(figures, runs)) + "\n")
    for name, rs in runs.items():
        if total(rs, "late"):
            print(f"{PEERS[name].title}: {total(rs, 'late')} messages were "
                  "still queued when a phase was cut off")
    found = ratios(runs)
    wanted = judge(found, WANTED if found else ())
    for w in wanted:
        print(f"{w['figure'].replace('_', ' ')} {w['how']} {w['bound']:g}: "
              f"{'met' if w['met'] else 'NOT MET'} "
              f"({spread(found[w['figure']])})")
    if a.plot:
        draw(figures, a.plot)
    if a.json:
        print(json.dumps({
            "bench": "compare", "commit": commit(), "cores": os.cpu_count(),
            "runs": a.rounds, "machine": machine(), "peers": figures,
            "skipped": skipped, "wanted": wanted, **found}), flush=True)
