"""Compare the speed of fastmlp, NumPy, PyTorch, JAX, Keras and scikit-learn on the same work.

    python benchmarks/programs/compare_peers.py -o results.json --chart results.png
    python benchmarks/programs/compare_peers.py --cases lecture --peers numpy,torch --threads 2
    python benchmarks/programs/compare_peers.py --cases tiny2 --keep -o results.json  # one case
    python benchmarks/programs/compare_peers.py --from results.json --chart results.png
    python benchmarks/programs/compare_peers.py --list

Cases, libraries and measurements are those of `fastmlp.bench`. This program measures longer than
`fastmlp bench`, in several rounds of new processes, and draws a chart.
"""

import argparse
import sys
from pathlib import Path

import recording

from fastmlp import bench, plots
from fastmlp._utils.progress import ProgressLine
from fastmlp.plots import _layout, _style

LOOKS = {  # colour, marker
    "fastmlp": (_style.BLUE, "o"),
    "numpy": (_style.VERMILLION, "s"),
    "torch": (_style.GREEN, "D"),
    "jax": (_style.PURPLE, "^"),
    "keras": (_style.ORANGE, "v"),
    "sklearn": (_style.SKY, "P"),
    "litert": (_style.INK, "X"),
    "openvino": (_style.GREY, "*"),
}
NAMES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "keras": "Keras",
         "sklearn": "scikit-learn", "litert": "LiteRT", "openvino": "OpenVINO"}  # fmt: skip
GAP = 0.9  # between cases, in rows
LATE = 1e3  # microseconds; the text of later points stands at their left


def table(rows):
    lines = [f"{'case':16}{'peer':9}{'version':12}{'us':>12}{'ratio':>8}{'GFLOP/s':>9}{'diff':>9}"]
    for r in rows:
        if "error" in r:
            lines.append(f"{r['case']:16}{r['peer']:9}{r['error'][:60]}")
            continue
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        difference = "" if r["difference"] is None else f"{r['difference']:.0e}"
        lines.append(
            f"{r['case']:16}{r['peer']:9}{r['version'][:11]:12}{r['microseconds']:>12.1f}"
            f"{ratio:>8}{r['gflops']:>9.1f}{difference:>9}"
        )
    return "\n".join(lines)


def duration(microseconds):
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} µs"


def factor(ratio):
    if ratio >= 9.95:
        return f"{ratio:.0f}x"
    return f"{ratio:.1f}x" if ratio >= 0.995 else f"{ratio:.2f}x"


@_layout.drawing
def chart(document):
    """Return a figure with a dot for each library in each case, over time on a log axis."""
    groups = {}
    for row in document["results"]:
        groups.setdefault(row["case"], []).append(row)
    n_rows = sum(len(rows) for rows in groups.values()) + GAP * len(groups)
    figure = _layout.new_figure(8.5, 1.6 + 0.17 * n_rows)
    axes = figure.subplots()
    y, middles = 0.0, []
    for rows in groups.values():
        draw_case(axes, rows, y)
        middles.append(y + (len(rows) - 1) / 2)
        y += len(rows) - 1 + 1 + GAP
        axes.axhline(y - (1 + GAP) / 2, color="0.88", linewidth=0.8, zorder=0)
    finish(axes, groups, middles, y - GAP)
    legend(figure, axes)
    figure.supxlabel(
        f"Factors: median time by fastmlp's; above 1x is slower than fastmlp, below 1x faster.\n"
        f"{recording.conditions(document)}",
        fontsize=8,
        x=0.01,
        ha="left",
        color=_style.INK,
    )
    return figure


def draw_case(axes, rows, y):
    measured = [row for row in rows if "error" not in row]
    if not measured:
        return
    base = measured[0]["microseconds"]  # fastmlp's, unless fastmlp failed
    axes.plot([base, base], [y, y + len(rows) - 1], color=_style.BLUE, linewidth=0.8, alpha=0.5)
    for k, row in enumerate(rows):
        note = {"va": "center", "fontsize": 8, "color": _style.INK}
        place = {"xycoords": "data", "textcoords": "offset points"}
        if "error" in row:
            text = f"{NAMES.get(row['peer'], row['peer'])}: {row['error'][:60]}"
            right = base < LATE
            axes.annotate(
                text, (base, y + k), (7 if right else -7, 0), ha="left" if right else "right",
                **place, **note | {"color": _style.GREY},
            )  # fmt: skip
            continue
        colour, marker = LOOKS[row["peer"]]
        time = row["microseconds"]
        if row["peer"] == "fastmlp":
            axes.annotate(duration(time), (time, y), (-7, 0), ha="right", **place, **note)
        else:
            axes.plot([base, time], [y + k] * 2, color=colour, linewidth=1.4)
            side = 1 if time >= base else -1
            axes.annotate(
                factor(time / base), (time, y + k), (7 * side, 0),
                ha="left" if side > 0 else "right", **place, **note,
            )  # fmt: skip
        axes.plot(time, y + k, marker, color=colour, markersize=5.5, clip_on=False, zorder=3)


def finish(axes, groups, middles, bottom):
    from matplotlib.ticker import FuncFormatter, LogLocator

    labels = [f"{name}\n{bench.CASES[name]}" if name in bench.CASES else name for name in groups]
    axes.set_yticks(middles, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(bottom, -1)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 3, high * 3)  # room for the figures at the ends
    axes.xaxis.set_major_locator(LogLocator(numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.grid(axis="x", color="0.92", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("time (log scale)")


def legend(figure, axes):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, label=NAMES.get(peer, peer), markersize=5.5)
        for peer, (colour, marker) in LOOKS.items()
        if any(line.get_marker() == marker for line in axes.lines)
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        title="Time of a training step or a prediction",
        title_fontsize=12,
        alignment="left",
        borderaxespad=0.6,
    )


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="all", help="comma-separated")
    parser.add_argument("--peers", default="all", help="comma-separated; default: all installed")
    parser.add_argument("--threads", type=int, help="threads of every library")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, each with new processes")
    parser.add_argument("--windows", type=int, default=5, help="timed windows of a round")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a window")
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds to wait for an answer"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="file of the results")
    parser.add_argument("--keep", action="store_true",
                        help="keep other cases of the output file")  # fmt: skip
    parser.add_argument("--chart", type=Path, metavar="PNG", help="chart (.png, .svg, .pdf)")
    parser.add_argument("--from", dest="source", type=Path, metavar="JSON",
                        help="print and draw this file without measuring")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print cases and peers, then exit")
    options = parser.parse_args(arguments)
    try:
        options.cases = bench.parse_cases(options.cases)
        options.peers = bench.parse_peers(options.peers)
    except ValueError as error:
        parser.error(str(error))
    return options


def measure(options):
    """Measure case by case, and write the file after each, in case the run is interrupted."""
    document = {"machine": recording.machine(), "settings": {}, "results": []}
    if options.keep and options.output and options.output.exists():
        old = recording.read(options.output)["results"]
        document["results"] = [row for row in old if row["case"] not in options.cases]
    settings = {k: getattr(options, k) for k in ("threads", "rounds", "windows", "seconds")}
    with ProgressLine("compare_peers", len(options.cases), "cases") as line:
        done = bench.compare(
            options.cases,
            options.peers,
            **settings,
            timeout=options.timeout,
            progress=line.update,
        )
        document["settings"] = settings
        order = list(bench.CASES)
        for timings in done:
            document["results"] += [timing.to_dict() for timing in timings]
            document["results"].sort(key=lambda row: order.index(row["case"]))
            if options.output:
                recording.write(options.output, document)
    return document


def main():
    options = parse()
    if options.list:
        print("\n".join(f"{name:16}{case}" for name, case in bench.CASES.items()))
        print("installed:", ", ".join(bench.installed()))
        return
    document = recording.read(options.source) if options.source else measure(options)
    print(table(document["results"]))
    if options.source and options.output:
        recording.write(options.output, document)
    if options.chart:
        plots.save(chart(document), options.chart)


if __name__ == "__main__":
    sys.exit(main())
