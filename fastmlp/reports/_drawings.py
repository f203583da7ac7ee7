"""The figures of a report, as SVG inside its page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import datasets, inspection, plots
from ..ensembles import Ensemble
from ..tabular import TableFigures
from ._subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_POINTS, _FEW_POINTS = 1000, 200  # rows of a figure with a mark for each
_MOST_PANELS = 4
_MOST_TARGETS, _FEW_TARGETS = 6, 2  # with figures of their own, with curves of single rows
_ATTRIBUTED, _BACKGROUND = 150, 100  # rows
_WORK = 2e10  # multiplications for one figure, so that the time is bounded
_NAMED_UNITS = 16  # of a layer, in figures with a line for each
_GRID = 101  # points of each axis of a boundary
_SIZE = (5.2, 4.2)
_SIZES = {"residuals": (9.0, 5.0), "confusion": (4.6, 4.4), "coverage": (7.4, 4.4)}

# What a figure shows, for its caption.
CAPTIONS = {
    "roc": "True and false positives at every threshold. The diagonal is chance.",
    "precision-recall": "Precision at every recall. The dashed line is the share of the class.",
    "confusion": "True classes by predicted ones; shares are of the true class.",
    "calibration": "How often a predicted probability is right. On the diagonal it is exact.",
    "gains": "Share of a class among the rows with the highest probabilities.",
    "predicted": "Predicted against actual values. On the diagonal they agree.",
    "residuals": "Actual minus predicted values, against the prediction and the main columns.",
    "quantiles": "Residuals against a normal distribution. On the line they are normal.",
    "coverage": "How often the interval holds the truth, by predicted value.",
    "history": "Loss and metrics by epoch.",
    "importance": "How much worse the metric gets when a column is shuffled among the rows.",
    "dependence": "Mean prediction with a column set to each of its values, others as they are.",
    "attributions": "What each column adds to single predictions, against the mean prediction.",
    "network": "Units as nodes and weights as lines, the strongest paths.",
    "weights": "Weights of each layer.",
    "units": "Activation of the units of the last hidden layer, sorted by where they change.",
    "layers": "Units of each layer and the fitted curve over the input.",
    "contributions": "What each unit of the last hidden layer adds to the fit; below, stacked.",
    "fit": "The fitted curve over the input.",
    "boundary": "Probability of the classes over two columns. Rings mark rows predicted wrong.",
    "cv": "Cross-validated error by lambda, with one standard error.",
}
# Figures that have a mark for each row.
_OF_ROWS = ("predicted", "residuals", "quantiles", "coverage", "attributions", "boundary")


@dataclass(frozen=True)
class PageFigure:
    """A figure of a section.

    Parameters
    ----------
    section, kind : str
    svg : str
    width : {'', 'mid', 'wide'}
        '': two stand side by side where there is room.
    target : int
        Which target it is of.
    """

    section: str
    kind: str
    svg: str
    width: str = ""
    target: int = 0


def of_model(model: Subject) -> list[PageFigure]:
    """Draw what needs no table.

    Parameters
    ----------
    model : Subject
    """
    found = []
    history = model.history
    if history is not None and history.epoch:
        panels = len([name for name in history.history if not name.startswith("val_")])
        size = (5.2, 1.2 + 2.4 * panels)
        best = model.best_epoch
        kept = None if best is None or best >= len(history.epoch) else best
        found.append(_drawn("training", "history", lambda: plots.plot_history(
            history, kept=kept, size=size
        )))  # fmt: skip
    if isinstance(model.network, Ensemble):
        return found
    state = model.preprocessing
    outputs = [state.target.name]
    if state.n_outputs > 1 and not state.further:
        outputs = [str(label) for label in state.target.labels]
    elif state.further:
        outputs = [target.name for target in state.all_targets]
    found.append(_drawn("inside", "network", lambda: plots.plot_network(
        model.network, input_names=state.input_names, output_names=outputs, size=(9.0, 5.0)
    ), width="wide"))  # fmt: skip
    return found


def on_table(
    found: TableFigures, importance: inspection.Importance, rows: bool = True, seed: int = 0
) -> list[PageFigure]:
    """Draw a model on a table.

    Parameters
    ----------
    found : TableFigures
        Of the first target.
    importance : Importance
    rows : bool
        Whether to draw figures with a mark for each row.
    seed : int
    """
    drawn = []
    shown = min(len(found.features), 15)
    if shown > 1:
        drawn.append(_drawn("uses", "importance", lambda: plots.plot_importance(
            importance, shown, size=(7.4, 1.4 + 0.3 * max(shown, 3))
        ), "mid"))  # fmt: skip
    for place in range(min(len(found.preprocessing.all_targets), _MOST_TARGETS)):
        drawn += _of_target(found.of_target(place), importance, rows, seed)
    return drawn + _inside(found, importance, rows)


def _of_target(
    found: TableFigures, importance: inspection.Importance, rows: bool, seed: int
) -> list[PageFigure]:
    several = len(found.preprocessing.all_targets)
    few = _spread(found, _MOST_POINTS // min(several, _MOST_TARGETS))
    order = [int(i) for i in importance.order]
    names = [found.features[i].name for i in order]
    if found.is_classification:
        kinds = ["roc", "precision-recall", "calibration", "gains"]
        if len(found.labels) > 2:  # of two the page has a table that moves
            kinds.insert(2, "confusion")
        if len(set(found.y.tolist())) < 2:  # curves need rows of two classes
            kinds = ["confusion"]
    else:
        kinds = ["predicted", "quantiles", "residuals"]
        if found.quality.interval is not None:
            kinds.append("coverage")
    drawn = []
    for kind in kinds:
        if kind in _OF_ROWS and not rows:
            continue
        width = {"residuals": "wide", "coverage": "mid"}.get(kind, "")
        given: dict[str, Any] = {"size": _SIZES.get(kind, _SIZE), "seed": seed}
        if kind == "residuals":
            given["columns"] = names[:2]
        source = few if kind in _OF_ROWS else found
        draw = functools.partial(source.draw, kind, **given)
        drawn.append(_drawn("quality", kind, draw, width, found.place))
    # Attributions pass every row through the network with each coalition of few columns.
    coalitions = 2 ** len(names) if len(names) <= 10 else 80 * len(names)
    pairs = _WORK / (coalitions * found.network.count_params())
    samples = int(np.clip(pairs / 100, 8, _BACKGROUND))
    if rows and len(names) > 1:
        part = _spread(few, int(np.clip(pairs / samples, 20, _ATTRIBUTED // several)))
        size = (7.4, 1.8 + 0.36 * min(max(len(names), 3), 12))
        drawn.append(_drawn("uses", "attributions", lambda: plots.plot_attributions(
            few.attributions_of(seed, part.x, samples), label=found.answer_name, size=size
        ), "mid", found.place))  # fmt: skip
    panels = min(len(names), _MOST_PANELS)
    part = _spread(few, int(np.clip(_WORK / (30 * panels * found.network.count_params()), 40,
                                    _MOST_POINTS)))  # fmt: skip
    size = (9.0, 2.9 * -(-panels // 2)) if panels > 1 else (6.0, 3.6)
    drawn.append(_drawn("uses", "dependence", lambda: part.dependence(
        order[:panels], single=rows and several <= _FEW_TARGETS, size=size
    ), "wide" if panels > 1 else "mid", found.place))  # fmt: skip
    return drawn


def _spread(found: TableFigures, most: int) -> TableFigures:
    """Return at most so many rows, evenly spread."""
    places = np.linspace(0, len(found.x) - 1, min(most, len(found.x))).round().astype(int)
    return found.part(np.unique(places))


def _inside(found: TableFigures, importance: inspection.Importance, rows: bool) -> list[PageFigure]:
    """Draw the units over a column, and the fit or the boundary of one or two columns."""
    network, state = found.network, found.preprocessing
    if isinstance(network, Ensemble):
        return []
    drawn = []
    hidden = [layer.units for layer in network.dense_layers[:-1]]
    numeric = [int(i) for i in importance.order if found.features[i].kind in ("numeric", "date")]
    simple = len(found.features) == 1 and state.is_plain and network.encoding is None
    if simple and hidden and not found.is_classification:
        axis = _axis(found, rows)
        narrow = max(hidden) <= _NAMED_UNITS
        kind = "layers" if narrow and len(hidden) <= 3 else "fit"
        size = (9.0, 2.2 + 1.9 * (len(hidden) if kind == "layers" else 1))
        drawn.append(_drawn("inside", kind, lambda: plots.plot_layers(
            network, False, include_hidden=kind == "layers", size=size, **axis
        ), "wide"))  # fmt: skip
        if hidden[-1] <= _NAMED_UNITS:
            given = {key: axis[key] for key in ("x", "preprocess", "x_label")}
            label = "output" if state.target.scale == 1 else f"network's {state.target.name}"
            drawn.append(_drawn("inside", "contributions", lambda: plots.plot_contributions(
                network, y_label=label, size=(9.0, 6.4), **given
            ), "wide"))  # fmt: skip
    if len(numeric) >= 2 and found.is_classification and rows:
        names = [found.features[i].name for i in sorted(numeric[:2])]
        truth: dict[str, Any] = {}
        if network.extras.get("data") == "lecture:classification":
            truth = {"probability": datasets.classification_true_probability}
        drawn.append(_drawn("inside", "boundary", lambda: _spread(found, _MOST_POINTS).draw(
            "boundary", columns=names, size=(6.4, 6.4), gridlen=_GRID, **truth
        ), "mid"))  # fmt: skip
    if hidden and numeric and not (simple and hidden[-1] <= _NAMED_UNITS):
        drawn.append(_drawn("inside", "units", lambda: found.unit_map(
            found.features[numeric[0]].name, size=(7.4, 4.6)
        ), "mid"))  # fmt: skip
    return drawn


def _axis(found: TableFigures, rows: bool) -> dict[str, Any]:
    """Return the arguments with which a curve over a single input has the table's units."""
    state, dtype = found.preprocessing, found.network.dtype
    values = found.values_of(0)
    given: dict[str, Any] = {
        "x": np.linspace(values.min(), values.max(), 401).reshape(-1, 1),
        "preprocess": lambda own: state.from_units(np.asarray(own)).astype(dtype),
        "postprocess": state.target.restored,
        "x_label": state.columns[0].name,
        "y_label": state.target.name,
    }
    if rows:
        few = _spread(found, _FEW_POINTS)
        given["train"] = few.values_of(0)[:, None], few.y[:, None]
        given["points_label"] = f"{len(few.y):,} of the rows"
    if found.network.extras.get("data") == "lecture:regression":
        given["true_function"] = datasets.regression_true_function
    return given


def _drawn(
    section: str, kind: str, draw: Callable[[], Figure], width: str = "", target: int = 0
) -> PageFigure:
    svg = plots.inline_svg(draw(), f"{kind[:3]}{target}", CAPTIONS[kind])
    return PageFigure(section, kind, svg, width, target)
