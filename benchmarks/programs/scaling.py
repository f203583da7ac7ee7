"""Fit a cost model of training on many machines, check it on two ranks, draw it for up to 1024.

    python benchmarks/programs/scaling.py benchmarks/results/ranks.json --chart scaling.png

docs/many-machines.md describes the model and its assumptions. The constants of one processor are
fitted to the parts of a step that ranks.py timed. The constants of a cluster are given below.
"""

import argparse
import itertools
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ranks
import recording

CORES = 16  # cores of each machine
PARALLEL = 0.8  # efficiency of the cores
MEMORY = 4  # cores that use up the memory bandwidth, which limits updates
BACKWARD = 2 / 3  # share of the backward pass in a pass
ROWS = 1024  # rows per machine, if batches grow with the number of machines
SIZES = [2**k for k in range(11)]


@dataclass
class Network:
    """Latency in seconds, bytes per second, and whether transfers overlap with computation."""

    latency: float
    bandwidth: float
    overlaps: bool = True


INFINIBAND = Network(3e-6, 22e9)
ETHERNET = Network(30e-6, 1.1e9)


@dataclass
class Costs:
    """Costs of one network on one processor.

    Parameters
    ----------
    pass_fixed, pass_row : float
        A forward and backward pass takes pass_fixed + pass_row * rows seconds.
    update : float
        Seconds of the update of a step.
    n_bytes : int
        Size of the gradient.
    n_buckets : int
        Number of exchanges of the gradient.
    adding : float
        Bytes added per second.
    """

    pass_fixed: float
    pass_row: float
    update: float
    n_bytes: int
    n_buckets: int
    adding: float

    def on_machine(self):
        """Return the costs of a rank that uses a whole machine."""
        faster = CORES * PARALLEL
        return Costs(self.pass_fixed / faster, self.pass_row / faster, self.update / MEMORY,
                     self.n_bytes, self.n_buckets, self.adding * MEMORY)  # fmt: skip


def exchange(costs, network, n_ranks, tree):
    """Return the seconds of an allreduce of the gradient."""
    if n_ranks == 1:
        return 0.0
    share = (n_ranks - 1) / n_ranks
    messages = 2 * (n_ranks - 1 if tree else math.ceil(math.log2(n_ranks)))
    moved = 2 * share * costs.n_bytes / network.bandwidth
    return (costs.n_buckets * messages * network.latency + moved
            + share * costs.n_bytes / costs.adding)  # fmt: skip


def step(costs, network, n_ranks, batch, tree=False):
    """Return the seconds of a step."""
    there_and_back = costs.pass_fixed + costs.pass_row * batch / n_ranks
    whole = exchange(costs, network, n_ranks, tree)
    hidden = 0.0
    if network.overlaps:  # all but the last bucket overlap with the backward pass
        behind = (costs.n_buckets - 1) / costs.n_buckets
        hidden = behind * min(whole, BACKWARD * there_and_back)
    messages = 2 * math.log2(n_ranks) * network.latency  # losses and flags
    return there_and_back + costs.update + whole - hidden + messages


def strong(costs, network, n_ranks, batch, tree=False):
    """Return the efficiency with the same batch on any number of ranks (strong scaling)."""
    return step(costs, network, 1, batch) / (n_ranks * step(costs, network, n_ranks, batch, tree))


def weak(costs, network, n_ranks, rows, tree=False):
    """Return the efficiency with this number of rows per rank (weak scaling)."""
    alone = step(costs, network, 1, rows)
    return alone / step(costs, network, n_ranks, rows * n_ranks, tree)


# ---- constants from measurements ----------------------------------------------------------------


def least_of(document, part):
    """Return the smallest of a part's times over launches, by key."""
    found = [entry[part] for entry in document["parts"] if entry[part]]
    return {key: min(times[key] for times in found) for key in found[0]}


def fitted(x, y):
    """Return constant and slope, both at least 0, with the least squared relative errors."""
    x, y = np.array(x, float), np.array(y, float)
    design = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    from scipy.optimize import nnls

    return nnls(design, np.ones_like(y))[0]


def shared_memory(document, how):
    """Return the constants of messages between two ranks of one machine, including additions."""
    times = least_of(document, how)
    constant, slope = fitted([int(n) for n in times], list(times.values()))
    # Two messages, and 2 (R - 1) / R = 1 times the bytes.
    return Network(constant / 2, 1 / slope, overlaps=False)


def costs_of(document, units, adding=math.inf):
    """Return the fitted costs of a network of layers."""
    name = next(key for key, (case, _) in ranks.CASES.items() if case == units)
    times = least_of(document, "pass")
    rows = [int(key.partition(",")[2]) for key in times if key.partition(",")[0] == name]
    fixed, row = fitted(rows, [times[f"{name},{n}"] for n in rows])
    widths = [ranks.INPUTS, *units, 1]
    sizes = [4 * (a + 1) * b for a, b in itertools.pairwise(widths)]
    big = sum(size >= 1 << 18 for size in sizes)
    update = least_of(document, "update")[name]
    return Costs(fixed, row, update, sum(sizes), max(1, big), adding)


def check(document):
    """Return predicted and measured efficiency of every case on two ranks."""
    found = []
    for case, (units, batch) in ranks.CASES.items():
        for how in ("fast", "tree"):
            turns = ranks.turns_of(document, case, how)[0]
            if not turns:
                continue
            costs, network = costs_of(document, units), shared_memory(document, how)
            if how == "fast":
                costs.n_buckets = 1
            # The time of a row is that of these turns. Two shards of a rank are two passes.
            alone = statistics.median(entry["alone"] for entry in turns)
            fixed = costs.pass_fixed * (ranks.SHARDS if how == "tree" else 1)
            costs.pass_row = (alone - fixed - costs.update) / batch
            predicted = alone / (2 * step(costs, network, 2, batch))
            found.append((case, how, predicted, ranks.efficiency(turns)))
    return found


# ---- the chart ---------------------------------------------------------------------------------


def drawn(document):
    """Return the figure."""
    from fastmlp.plots import _layout
    from fastmlp.plots import _style as style

    @_layout.drawing
    def draw():
        figure = _layout.new_figure(10.5, 3.7)
        left, middle, right = figure.subplots(1, 3)
        draw_check(left, check(document), style)
        draw_strong(middle, document, style)
        draw_weak(right, document, style)
        return figure

    return draw()


def draw_check(ax, found, style):
    """Draw predicted against measured efficiency of two ranks."""
    for how, colour, marker in (("fast", style.BLUE, "o"), ("tree", style.VERMILLION, "s")):
        points = [(predicted, seen) for _, kind, predicted, seen in found if kind == how]
        label = "MPI's reduction" if how == "fast" else "fixed tree"
        ax.scatter(*zip(*points, strict=True), s=26, color=colour, marker=marker, label=label)
    low = min(0.6, *(min(a, b) for _, _, a, b in found)) - 0.03
    high = max(1.0, *(max(a, b) for _, _, a, b in found)) + 0.03
    ax.plot([low, high], [low, high], color=style.GREY, linewidth=0.8, zorder=0)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="by the model",
           ylabel="measured", title="Efficiency of two ranks\non one machine")  # fmt: skip
    ax.legend(loc="upper left", handletextpad=0.2)


def axes_of_ranks(ax, title, style):
    """Label the axes of a panel over the number of ranks."""
    ax.set_xscale("log", base=2)
    ax.set(xlim=(1, 1024), ylim=(0, 1.02), xlabel="machines", ylabel="efficiency", title=title)
    ax.set_xticks([1, 4, 16, 64, 256, 1024], labels=["1", "4", "16", "64", "256", "1024"])
    ax.minorticks_off()
    ax.grid(axis="y", color=style.GREY, linewidth=0.4, alpha=0.5)


def name(ax, x, y, text, colour):
    """Write a curve's name beside one of its points."""
    ax.annotate(text, (x, y), color=colour, fontsize=8.5, ha="left", va="bottom",
                xytext=(4, 2), textcoords="offset points",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})  # fmt: skip


def draw_strong(ax, document, style):
    """Draw the efficiency with the same batch on any number of machines."""
    costs = costs_of(document, [1024] * 5, adding=10e9).on_machine()
    batches = ((2048, style.VERMILLION), (16384, style.BLUE), (131072, style.GREEN))
    for (batch, colour), place in zip(batches, (16, 64, 256), strict=True):
        sizes = [n for n in SIZES if n <= batch]
        for tree, dash in ((False, "-"), (True, (0, (4, 2)))):
            values = [strong(costs, INFINIBAND, n, batch, tree) for n in sizes]
            ax.plot(sizes, values, color=colour, linestyle=dash)
        name(ax, place, strong(costs, INFINIBAND, place, batch), f"{batch:,}", colour)
    axes_of_ranks(ax, "One batch, of so many rows:\n1024x5, InfiniBand", style)
    ax.plot([], [], color=style.INK, label="MPI's reduction")
    ax.plot([], [], color=style.INK, linestyle=(0, (4, 2)), label="fixed tree")
    ax.legend(loc="lower left", fontsize=8)


def draw_weak(ax, document, style):
    """Draw the efficiency with batches that grow with the number of machines."""
    cases = (([1024] * 5, "1024x5", style.BLUE), ([256] * 3, "256x3", style.PURPLE))
    for units, text, colour in cases:
        costs = costs_of(document, units, adding=10e9).on_machine()
        for network, dash in ((INFINIBAND, "-"), (ETHERNET, (0, (1, 1.2)))):
            values = [weak(costs, network, n, ROWS) for n in SIZES]
            ax.plot(SIZES, values, color=colour, linestyle=dash)
            name(ax, 90, weak(costs, network, 90, ROWS), text, colour)
    axes_of_ranks(ax, f"{ROWS:,} rows a machine:\nMPI's reduction", style)
    ax.plot([], [], color=style.INK, label="InfiniBand")
    ax.plot([], [], color=style.INK, linestyle=(0, (1, 1.2)), label="10 Gb/s Ethernet")
    ax.legend(loc="lower left", fontsize=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--chart", type=Path)
    arguments = parser.parse_args()
    document = recording.read(arguments.results)
    for how in ("fast", "tree"):
        network = shared_memory(document, how)
        print(f"{how}: {1e6 * network.latency:.0f} us, {network.bandwidth / 1e9:.1f} GB/s")
    for units in ([1024] * 5, [512] * 3, [256] * 3):
        costs = costs_of(document, units)
        print(f"{len(units)} x {units[0]}: pass {1e3 * costs.pass_fixed:.2f} ms + "
              f"{1e6 * costs.pass_row:.1f} us a row, update {1e3 * costs.update:.2f} ms, "
              f"{costs.n_bytes / 1e6:.1f} MB in {costs.n_buckets} exchanges")  # fmt: skip
    print(f"{'case':<12} {'':<5} {'model':>6} {'measured':>9}")
    for case, how, predicted, seen in check(document):
        print(f"{case:<12} {how:<5} {predicted:6.2f} {seen:9.2f}")
    if arguments.chart:
        from PIL import Image

        from fastmlp import plots

        plots.save(drawn(document), arguments.chart, dpi=110)
        with Image.open(arguments.chart) as image:
            flat = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        flat.save(arguments.chart, optimize=True)


if __name__ == "__main__":
    main()
