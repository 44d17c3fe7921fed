"""Figures as a picture: bars of medians, whiskers from least to most, as SVG
by gnuplot; where there is no gnuplot, as text.

series: {name: [(label, figure)]}; every series has the same labels.
"""
import pathlib
import shutil
import subprocess

TEXT_WIDTH = 40


def default(units):
    """The figures that have the unit of the first one."""
    first = next(iter(units.values()))
    return {first: [(name, name) for name, unit in units.items()
                    if unit == first]}


def present(series, figures):
    """Without what was not measured."""
    kept = {name: [(label, figure) for label, figure in bars
                   if figure in figures] for name, bars in series.items()}
    return {name: bars for name, bars in kept.items() if bars}


def script(path, title, series, figures, more=()):
    unit = figures[next(iter(series.values()))[0][1]]["unit"]
    out = ["set terminal svg size 900,480 dynamic background '#ffffff'",
           f'set output "{path}"', f'set title "{title}" noenhanced',
           f'set ylabel "{unit}" noenhanced', "set yrange [0:*]",
           "set style data histograms",
           "set style histogram errorbars gap 2 lw 1",
           "set style fill solid 0.7 border -1", "set grid ytics",
           "set xtics noenhanced", "set key outside noenhanced", *more]
    for i, bars in enumerate(series.values()):
        out += [f"$s{i} << END"]
        for label, figure in bars:
            f = figures[figure]
            out.append(f'"{label}" {f["median"]} {f["min"]} {f["max"]}')
        out.append("END")
    out.append("plot " + ", ".join(
        f'$s{i} using 2:3:4:xtic(1) title "{name}"'
        for i, name in enumerate(series)))
    return "\n".join(out) + "\n"


def svg(path, title, series, figures, more=()):
    """more: lines for gnuplot.  False when there is no gnuplot."""
    if not shutil.which("gnuplot"):
        return False
    series = present(series, figures)
    subprocess.run(["gnuplot"], input=script(path, title, series, figures, more),
                   text=True, check=True)
    print(f"drawn: {pathlib.Path(path).resolve()}")
    return True


def text(series, figures):
    out, bars = [], []
    for name, pairs in present(series, figures).items():
        bars += [(f"{name} {label}" if name != label else label,
                  figures[figure]["median"]) for label, figure in pairs]
    most = max(value for _, value in bars) or 1
    for label, value in bars:
        full = round(value / most * TEXT_WIDTH)
        out.append(f"{label:40} {'#' * full:{TEXT_WIDTH}} {value:,.10g}")
    return "\n".join(out)
