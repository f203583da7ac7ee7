"""Draw the figures of the tutorial: python docs/figures.py [NAME...]. All take some minutes.

They are committed, so that the pages can be built without training anything.
"""

import sys
from pathlib import Path

from PIL import Image

import fastmlp
from fastmlp import datasets, lecture, plots
from fastmlp.lecture import data_figures, figures

DIRECTORY = Path(__file__).parent / "tutorial" / "figures"
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
    path = plots.save(figure, DIRECTORY / f"{name}.png", dpi=90)
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


PAGES = {
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
