"""Draw the figures of the tutorial: python docs/figures.py [NAME...]. All take some minutes.

They are committed, so that the pages can be built without training anything.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

import fastmlp
from fastmlp import datasets, lecture, models, optimizers, plots
from fastmlp.lecture import data_figures, figures

DIRECTORY = Path(__file__).parent / "tutorial" / "figures"
PEERS = DIRECTORY.parents[2] / "benchmarks" / "results" / "peers.json"
CASE = "lecture"  # the network of its measurements that the front page shows
COLOURS = 64  # enough for lines on white, and a third of the bytes
FEW = 12  # for panels of many lines
WANTED = {
    "model_2units_a": ["layers"],
    "model_2units_b": ["layers"],
    "model_2units_c": ["layers"],
    "model_8units": ["layers"],
    "model_128units": ["layers"],
    "model_8192units": ["layers"],
    "model_1layer": ["layers"],
    "model_4layers": ["layers"],
    "model_somany": ["layers", "layer1_units", "layer5_units", "fit", "loss"],
    "model_somany_fixed": ["fit", "change_points"],
    "regularized_l2_0.01": ["fit"],
    "regularized_l2_0.001": ["fit"],
    "regularized_l1_0.0001": ["fit"],
    "regularized_l1_0.001": ["fit"],
    "classifier_unpenalized": ["boundary"],
    "classifier_l2_0.001": ["boundary"],
    "classifier_l2_0.01": ["boundary"],
}


def save(figure, name):
    """Write a figure as a small PNG."""
    path = plots.save(figure, DIRECTORY / f"{name}.png", dpi=160 if name == "front" else 90)
    with Image.open(path) as image:
        colours = FEW if name.endswith("_units") else COLOURS
        image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.name, path.stat().st_size)


def ensemble():
    """Draw the members and the mean of docs/ensembles.md."""
    x, y = datasets.regression_train()
    made = fastmlp.ensemble(x, y, "64x2", 20, epochs=1000, batch_size=None, seed=1)
    return made.plot()


def path():
    """Return the path of docs/lambda-path.md."""
    x, y = datasets.regression_train()
    return fastmlp.path(x, y, "16x2", penalty="l1", n_lambdas=20, folds=5, epochs=400, seed=1)


def front():
    """Return the picture of the front page: the fit and its units, the path, and the speed."""
    x, y = datasets.regression_train()
    model = models.mlp("16x2", 1, 1, seed=2)
    model.compile(optimizers.Adam(0.01), "mse")
    model.fit(x, y, batch_size=len(x), epochs=2000, verbose=0)
    figure = Figure(figsize=(9.6, 3.3), layout="constrained")
    single, fit, curve, speed = figure.subplots(1, 4, width_ratios=(0.01, 1.1, 1.1, 1))
    plots.plot_contributions(model, train=(x, y), axes=[single, fit])
    fit.get_legend().remove()
    single.remove()
    path().plot_cv(axes=curve)
    times(speed)
    titles = ("What each unit adds to the fit", "Lambda by cross-validation",
              "Time of a training step")  # fmt: skip
    for ax, title in zip((fit, curve, speed), titles, strict=True):
        ax.set_title(title, loc="left", fontsize=11, pad=10)
    return figure


def times(ax):
    """Draw the measured times of the lecture's network by library."""
    found = json.loads(PEERS.read_text(encoding="utf-8"))["results"]
    rows = {entry["peer"]: entry["microseconds"] / 1000 for entry in found if entry["case"] == CASE}
    names = {"fastmlp": "fastmlp", "numpy": "NumPy", "torch": "PyTorch", "jax": "JAX",
             "sklearn": "scikit-learn"}  # fmt: skip
    rows = {names[peer]: value for peer, value in rows.items() if value and peer in names}
    colours = ["#0072b2" if name == "fastmlp" else "#9aa5b1" for name in rows]
    bars = ax.barh(list(rows), list(rows.values()), color=colours)
    ax.bar_label(bars, fmt="%.3g ms", padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.25)
    ax.set_xticks([])
    ax.set_xlabel("5 layers of 1024 units, 2 threads")
    for side in ("top", "right", "bottom"):
        ax.spines[side].set_visible(False)


PAGES = {
    "front": front,
    "ensemble": ensemble,
    "path_cv": lambda: path().plot_cv(),
    "path_norms": lambda: path().plot_path(),
}


def main(names):
    """Train the networks and draw the figures of each."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, draw in (data_figures() | PAGES).items():
        if not names or name in names:
            save(draw(), name)
    base = None
    for entry in lecture.CATALOGUE.values():
        if entry.name not in WANTED or (names and entry.name not in names):
            continue
        result = lecture.train(entry, curves=True, base=base)
        if entry.name == "model_somany":
            base = result
        drawers = figures(entry)
        for kind in WANTED[entry.name]:
            save(drawers[f"{entry.name}_{kind}"](result), f"{entry.name}_{kind}")


if __name__ == "__main__":
    main(sys.argv[1:])
