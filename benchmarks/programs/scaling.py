"""A cost model of training on many machines: checked against two ranks, drawn for up to 1024.

    python benchmarks/programs/scaling.py benchmarks/results/ranks.json --chart scaling.png

docs/many-machines.md says what the model is and what it assumes. The constants of one processor are
fitted to the parts of a step that ranks.py has timed; those of a cluster are the ones below.
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

CORES = 16  # of a machine of the cluster
PARALLEL = 0.8  # of them, as good as one alone
MEMORY = 4  # cores that use up a machine's memory bandwidth, by which updates are bound
BACKWARD = 2 / 3  # of a pass
ROWS = 1024  # a machine, where batches grow with their number
SIZES = [2**k for k in range(11)]


@dataclass
class Network:
    """Between ranks: seconds that a message takes, bytes a second, whether a card moves them."""

    latency: float
    bandwidth: float
    overlaps: bool = True


INFINIBAND = Network(3e-6, 22e9)
ETHERNET = Network(30e-6, 1.1e9)


@dataclass
class Costs:
    """Of one network of layers, on one processor.

    Parameters
    ----------
    pass_fixed, pass_row : float
        Seconds of a pass forward and back: pass_fixed + pass_row * rows.
    update : float
        Seconds of a step's update.
    n_bytes : int
        Of the gradient.
    n_buckets : int
        Exchanges that it goes in.
    adding : float
        Bytes a second.
    """

    pass_fixed: float
    pass_row: float
    update: float
    n_bytes: int
    n_buckets: int
    adding: float

    def on_machine(self):
        """Return the costs of a rank that is a whole machine."""
        faster = CORES * PARALLEL
        return Costs(self.pass_fixed / faster, self.pass_row / faster, self.update / MEMORY,
                     self.n_bytes, self.n_buckets, self.adding * MEMORY)  # fmt: skip


def exchange(costs, network, n_ranks, tree):
    """Return the seconds of adding a gradient over the ranks and giving the sum to all."""
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
    if network.overlaps:  # all but the last bucket, behind the layers that still go back
        behind = (costs.n_buckets - 1) / costs.n_buckets
        hidden = behind * min(whole, BACKWARD * there_and_back)
    told = 2 * math.log2(n_ranks) * network.latency  # losses and flags
    return there_and_back + costs.update + whole - hidden + told


def strong(costs, network, n_ranks, batch, tree=False):
    """Return the efficiency with one batch for any number of ranks."""
    return step(costs, network, 1, batch) / (n_ranks * step(costs, network, n_ranks, batch, tree))


def weak(costs, network, n_ranks, rows, tree=False):
    """Return the efficiency with so many rows a rank."""
    alone = step(costs, network, 1, rows)
    return alone / step(costs, network, n_ranks, rows * n_ranks, tree)


# ---- constants of what was measured -------------------------------------------------------------


def least_of(document, part):
    """Return the least of a part's times over launches, by their keys: others were disturbed."""
    found = [entry[part] for entry in document["parts"] if entry[part]]
    return {key: min(times[key] for times in found) for key in found[0]}


def fitted(x, y):
    """Return constant and slope that fit, relative errors counting alike, neither below 0."""
    x, y = np.array(x, float), np.array(y, float)
    design = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    from scipy.optimize import nnls

    return nnls(design, np.ones_like(y))[0]


def shared_memory(document, how):
    """Return the network that two ranks of one machine are to one another; adding included."""
    times = least_of(document, how)
    constant, slope = fitted([int(n) for n in times], list(times.values()))
    # Two messages, and each byte sent once in all: 2 (R - 1) / R of them.
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
    """Return what the model says of every case on two ranks, and what was measured."""
    found = []
    for case, (units, batch) in ranks.CASES.items():
        for how in ("fast", "tree"):
            turns = ranks.turns_of(document, case, how)[0]
            if not turns:
                continue
            costs, network = costs_of(document, units), shared_memory(document, how)
            if how == "fast":
                costs.n_buckets = 1
            # What a row takes is as in these turns; a rank of two shards makes a pass for each.
            alone = statistics.median(entry["alone"] for entry in turns)
            fixed = costs.pass_fixed * (ranks.SHARDS if how == "tree" else 1)
            costs.pass_row = (alone - fixed - costs.update) / batch
            predicted = alone / (2 * step(costs, network, 2, batch))
            found.append((case, how, predicted, ranks.efficiency(turns)))
    return found


# ---- the chart ---------------------------------------------------------------------------------


def drawn(document):
    """Return the figure."""
    from fastmlp.plots import _style as style

    @style.styled
    def draw():
        figure = style.new_figure(10.5, 3.7)
        left, middle, right = figure.subplots(1, 3)
        draw_check(left, check(document), style)
        draw_strong(middle, document, style)
        draw_weak(right, document, style)
        return figure

    return draw()


def draw_check(ax, found, style):
    """Beside one another: the efficiency that the model gives for two ranks, and the measured."""
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
    """Label the axes of a panel by the number of ranks."""
    ax.set_xscale("log", base=2)
    ax.set(xlim=(1, 1024), ylim=(0, 1.02), xlabel="machines", ylabel="efficiency", title=title)
    ax.set_xticks([1, 4, 16, 64, 256, 1024], labels=["1", "4", "16", "64", "256", "1024"])
    ax.minorticks_off()
    ax.grid(axis="y", color=style.GREY, linewidth=0.4, alpha=0.5)


def name(ax, x, y, text, colour):
    """Name a curve beside one of its points."""
    ax.annotate(text, (x, y), color=colour, fontsize=8.5, ha="left", va="bottom",
                xytext=(4, 2), textcoords="offset points",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})  # fmt: skip


def draw_strong(ax, document, style):
    """One batch for any number of machines."""
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
    """Batches that grow with the number of machines."""
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
