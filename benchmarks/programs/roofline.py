"""Measure training speed relative to the machine's peak, for small and large networks.

    python benchmarks/programs/roofline.py -o roofline.json --chart roofline.png
    python benchmarks/programs/roofline.py --quick             # a coarse grid in under a minute
    python benchmarks/programs/roofline.py --from roofline.json --chart roofline.png

A point is a network of equal hidden layers trained with `fit`, with inactive units skipped (the
default) and not skipped (FASTMLP_SKIP_DEAD=0). Operations are counted as in compare_peers.py, 6 per
weight and row (4 in the first layer), including skipped operations. The peak is measured with
independent multiply-adds in registers.
"""

import argparse
import itertools
import os
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import recording

from fastmlp import _kernels, datasets, models, plots, threads
from fastmlp._utils.progress import ProgressLine
from fastmlp.bench import clock
from fastmlp.bench.cases import Case
from fastmlp.plots import _layout, _style

FULL = {
    "units": tuple(2**k for k in range(1, 14)),
    "batches": (1, 4, 16, 64, 256, 1024, 4096),
    "layers": (1, 2, 4, 8, 16),
    "seconds": 0.2,
    "limit": 4.0,
}
QUICK = {
    "units": (2, 8, 32, 128, 512, 2048, 8192),
    "batches": (1, 32, 1024),
    "layers": (1, 4, 16),
    "seconds": 0.03,
    "limit": 0.6,
}
WARM_STEPS, WARM_SECONDS = 100, 1.0
WINDOWS = 3
PEAK_SECONDS = 0.2
LEAST_STEPS = 8  # steps of an epoch with small batches: epochs have an overhead in Python
# Bytes that a step reads and writes for each weight (weight, gradient, two moments), bytes that
# training allocates for each weight, and seconds to draw a weight.
MOVED, HELD, DRAWN = 32, 24, 3e-8
BANDWIDTH = 1e10  # bytes per second, to estimate the time of a point


@dataclass(frozen=True)
class Point:
    """A network of equal hidden layers, and the rows of a batch."""

    units: int
    batch: int
    layers: int
    inputs: int

    @property
    def case(self):
        rows = max(self.batch, LEAST_STEPS)
        return Case(rows, self.inputs, (self.units,) * self.layers, self.batch)

    @property
    def weights(self):
        return sum(a * b for a, b in itertools.pairwise(self.case.widths))

    def reason_to_leave_out(self, peak, limit, memory):
        """Return why this point is left out (too large or too slow), or None."""
        case = self.case
        held = HELD * self.weights + 8 * case.rows * sum(case.widths)
        if held > memory / 2:
            return f"needs {held / 2**30:.0f} GiB"
        step = 2 * case.flops / peak + MOVED * self.weights / BANDWIDTH
        seconds = step * case.steps_per_epoch + DRAWN * self.weights
        return f"an epoch takes about {seconds:.1g} s" if seconds > limit else None

    def measure(self, skip_dead, seconds):
        """Return the microseconds of a step in each window."""
        case = self.case
        rng = np.random.default_rng(0)
        x = rng.uniform(-2, 2, (case.steps_per_epoch * case.batch, case.inputs)).astype("float32")
        y = datasets.regression_true_function(x[:, :1])
        os.environ["FASTMLP_SKIP_DEAD"] = "1" if skip_dead else "0"  # read by build()
        model = models.mlp(case.hidden, case.inputs, 1, seed=1)
        model.compile("adam", "mean_squared_error")
        model.build(case.inputs)

        def run(steps):
            epochs = max(1, -(-steps // case.steps_per_epoch))
            model.fit(x, y, batch_size=case.batch, epochs=epochs, verbose=0)
            return epochs * case.steps_per_epoch

        start, done = time.perf_counter(), 0
        while done < WARM_STEPS and time.perf_counter() - start < WARM_SECONDS:
            done += run(1)
        amount, _ = clock.repetitions(run, seconds)
        return [1e6 * clock.seconds_each(run, amount) for _ in range(WINDOWS)]


def memory():
    """Return the bytes of free main memory, including file caches."""
    info = Path("/proc/meminfo")
    if info.is_file():
        return 1024 * int(re.search(r"MemAvailable:\s*(\d+)", info.read_text())[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def measured_peak(n_threads):
    """Return GFLOP/s of `n_threads` threads in float32, the best of several tries."""
    kernels = sys.modules[_kernels.network_class("float32").__module__]
    return max(kernels.peak_flops(n_threads, PEAK_SECONDS) for _ in range(3)) / 1e9


def grid(options):
    products = itertools.product(options.layers, options.batches, options.units)
    return [Point(units, batch, layers, options.inputs) for layers, batch, units in products]


def measure(options):
    about, n_threads = recording.machine(), threads.resolve()[0]
    peaks = {n: measured_peak(n) for n in sorted({1, n_threads})}
    points, results = grid(options), []
    with ProgressLine("roofline", len(points), "points") as line:
        for k, point in enumerate(points):
            results += both(point, peaks[n_threads], options)
            line.update(k + 1)
    # Other programs can only lower the measured peak.
    peaks = {n: max(gflops, measured_peak(n)) for n, gflops in peaks.items()}
    highest = max((row["gflops"] for row in results if row.get("skip_dead") is False), default=0)
    if highest > peaks[n_threads]:
        print(
            f"warning: {highest:.0f} GFLOP/s without leaving work out are above the peak of "
            f"{peaks[n_threads]:.0f}: other programs kept the processors busy meanwhile",
            file=sys.stderr,
        )
    names = ("threads", "inputs", "seconds", "limit")
    return {
        "machine": about,
        "settings": {name: getattr(options, name) for name in names},
        "threads": n_threads,
        "peak_gflops": peaks,
        "results": results,
    }


def both(point, peak, options):
    """Measure a point with inactive units skipped and not skipped; return a row for each."""
    row = {"units": point.units, "batch": point.batch, "layers": point.layers}
    reason = point.reason_to_leave_out(1e9 * peak, options.limit, memory())
    if reason:
        return [row | {"left_out": reason}]
    rows = []
    for skip_dead in (True, False):
        windows = point.measure(skip_dead, options.seconds)
        median = statistics.median(windows)
        rows.append(
            row
            | {
                "skip_dead": skip_dead,
                "microseconds": round(median, 3),
                "gflops": round(point.case.flops / median / 1e3, 4),
                "windows": [round(t, 3) for t in windows],
            }
        )
    return rows


def table(document):
    """Return lines of GFLOP/s by units, one for each number of layers, batch size and mode."""
    measured = [row for row in document["results"] if "left_out" not in row]
    units = sorted({row["units"] for row in document["results"]})
    lines = [f"{'layers':>6}{'batch':>7}  {'':8}" + "".join(f"{n:>8}" for n in units)]
    for key, rows in grouped(measured, "layers", "batch", "skip_dead"):
        found = {row["units"]: f"{row['gflops']:.3g}" for row in rows}
        way = "" if key[2] else "dense"
        lines.append(
            f"{key[0]:>6}{key[1]:>7}  {way:8}" + "".join(f"{found.get(n, ''):>8}" for n in units)
        )
    peaks = [f"{gflops:.0f} with {n} thread{'s' * (int(n) > 1)}"
             for n, gflops in document["peak_gflops"].items()]  # fmt: skip
    return "\n".join([*lines, f"peak GFLOP/s: {', '.join(peaks)}"])


def grouped(rows, *names):
    """Yield (values of `names`, rows with these values), in order of appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    yield from groups.items()


# ---- the chart ----


@_layout.drawing
def chart(document):
    """Return a figure with a panel for each depth and mode, and a line for each batch size."""
    measured = [row for row in document["results"] if "left_out" not in row]
    layers = sorted({row["layers"] for row in measured})
    batches = sorted({row["batch"] for row in measured})
    figure = _layout.new_figure(1.2 + 2.5 * len(layers), 7)
    axes = figure.subplots(2, len(layers), sharex=True, sharey=True, squeeze=False)
    looks = dict(zip(batches, line_looks(len(batches)), strict=True))
    for i, skip_dead in enumerate((True, False)):
        for j, depth in enumerate(layers):
            mine = [r for r in measured if r["layers"] == depth and r["skip_dead"] == skip_dead]
            draw_panel(axes[i, j], mine, looks)
            draw_peaks(axes[i, j], document, labelled=j == 0)
            if i == 0:
                axes[i, j].set_title(f"{depth} hidden layer{'s' * (depth > 1)}")
    axes[0, 0].set_ylabel("inactive units left out\nGFLOP/s")
    axes[1, 0].set_ylabel("dense\nGFLOP/s")
    finish(figure, axes, measured)
    legend(figure, looks)
    caption(figure, document)
    return figure


def line_looks(n):
    """Return colours and markers in order of batch size, dark to light."""
    import matplotlib

    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, n))
    return list(zip(colours, itertools.cycle("os^DvPX"), strict=False))


def draw_panel(ax, rows, looks):
    for (batch,), line in grouped(rows, "batch"):
        colour, marker = looks[batch]
        points = sorted((row["units"], row["gflops"]) for row in line)
        ax.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=3.5)


def draw_peaks(ax, document, labelled):
    for n, gflops in document["peak_gflops"].items():
        n = int(n)
        most = n == document["threads"]
        ax.axhline(gflops, color=_style.VERMILLION, linewidth=1.4 if most else 0.9,
                   linestyle="-" if most else (0, (2, 2)), zorder=1)  # fmt: skip
        if labelled:
            name = f"peak, {n} thread{'s' * (n > 1)}: {gflops:.0f}"
            ax.annotate(
                name, (0, gflops), (3, 2 if most else -2), xycoords=ax.get_yaxis_transform(),
                textcoords="offset points", va="bottom" if most else "top", fontsize=8,
                color=_style.VERMILLION,
            )  # fmt: skip


def finish(figure, axes, measured):
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    units = sorted({row["units"] for row in measured})
    axes[0, 0].set_xscale("log", base=2)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_xlim(units[0] / 1.3, units[-1] * 1.3)
    for ax in axes.flat:
        ax.xaxis.set_major_locator(FixedLocator(units[:: -(-len(units) // 4)]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        ax.yaxis.set_major_locator(LogLocator(numticks=20))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.tick_params(axis="x", labelsize=8)
        ax.grid(color="0.92", linewidth=0.8)
        ax.set_axisbelow(True)
    for ax in axes[-1]:
        ax.set_xlabel("units of a hidden layer")
    figure.align_ylabels()


def legend(figure, looks):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=str(batch))
        for batch, (colour, marker) in looks.items()
    ]
    # Legend in the order of the lines: large batches on top.
    figure.legend(handles=handles[::-1], loc="outside right center", title="rows of\na batch")


def caption(figure, document):
    settings = document["settings"]
    inputs = f"{settings['inputs']} input{'s' * (settings['inputs'] > 1)}"
    figure.suptitle(f"Training with Adam in float32, {inputs} and one output", x=0.01, ha="left",
                    fontsize=12, color=_style.INK)  # fmt: skip
    figure.supxlabel(
        "Operations of the dense network: 6 a weight and row, 4 in the first layer. In the upper "
        "row, those left out\ncount as done, so that lines may cross the peak. Lines end where a "
        "network is too large for the memory or for the time.\n"
        + recording.conditions(document | {"settings": {"threads": document["threads"]}}),
        fontsize=8,
        x=0.01,
        ha="left",
        color=_style.INK,
    )


def integers(text):
    return tuple(sorted({int(part) for part in text.split(",")}))


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="use a coarse grid; under a minute")
    parser.add_argument("--units", type=integers, help="comma-separated; default: 2 to 8192")
    parser.add_argument("--batches", type=integers, help="default: 1 to 4096")
    parser.add_argument("--layers", type=integers, help="default: 1 to 16")
    parser.add_argument("--inputs", type=int, default=1, help="default: 1, as in the lecture")
    parser.add_argument("--threads", type=int, help="default: one per processor")
    parser.add_argument("--seconds", type=float, help="length of a window")
    parser.add_argument("--limit", type=float, metavar="SECONDS",
                        help="leave out points whose epoch takes longer")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="file of the results")
    parser.add_argument("--chart", type=Path, metavar="PNG", help="chart (.png, .svg, .pdf)")
    parser.add_argument("--from", dest="source", type=Path, metavar="JSON",
                        help="print and draw this file without measuring")  # fmt: skip
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main():
    options = parse()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # a limit: small work uses fewer
    document = recording.read(options.source) if options.source else measure(options)
    print(table(document))
    if options.output:
        recording.write(options.output, document)
    if options.chart:
        plots.save(chart(document), options.chart)


if __name__ == "__main__":
    sys.exit(main())
