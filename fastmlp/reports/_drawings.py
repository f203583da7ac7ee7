"""The figures of a report, as SVG inside its page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inspection, plots
from ..ensembles import Ensemble
from ..tabular import TableFigures, TableModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_POINTS = 1000  # rows of a figure with a mark for each
_MOST_PANELS = 4
_ATTRIBUTED = 150  # rows
_SIZE = (5.2, 4.2)
_SIZES = {"residuals": (9.0, 5.0), "confusion": (4.6, 4.4)}

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
}
# Figures that have a mark for each row.
_OF_ROWS = ("predicted", "residuals", "quantiles", "coverage", "attributions")


@dataclass(frozen=True)
class PageFigure:
    """A figure of a section.

    Parameters
    ----------
    section, kind : str
    svg : str
    width : {'', 'mid', 'wide'}
        '': two stand side by side where there is room.
    """

    section: str
    kind: str
    svg: str
    width: str = ""


def of_model(model: TableModel) -> list[PageFigure]:
    """Draw what needs no table.

    Parameters
    ----------
    model : TableModel
    """
    found = []
    history = model.history
    if history is not None and history.epoch:
        panels = len([name for name in history.history if not name.startswith("val_")])
        size = (5.2, 1.2 + 2.4 * panels)
        found.append(_drawn("training", "history", lambda: plots.plot_history(history, size=size)))
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
    importance : Importance
    rows : bool
        Whether to draw figures with a mark for each row.
    seed : int
    """
    few = found
    if len(found.x) > _MOST_POINTS:
        places = np.linspace(0, len(found.x) - 1, _MOST_POINTS).round().astype(int)
        few = found.part(np.unique(places))
    order = [int(i) for i in importance.order]
    names = [found.features[i].name for i in order]
    if found.is_classification:
        kinds = ["roc", "precision-recall", "confusion", "calibration", "gains"]
        if len(set(found.y.tolist())) < 2:  # curves need rows of two classes
            kinds = ["confusion"]
    else:
        kinds = ["predicted", "quantiles", "residuals"]
        if found.quality.interval is not None:
            kinds.insert(2, "coverage")
    drawn = []
    for kind in kinds:
        if kind in _OF_ROWS and not rows:
            continue
        width = "wide" if kind == "residuals" else ""
        given: dict[str, Any] = {"size": _SIZES.get(kind, _SIZE), "seed": seed}
        if kind == "residuals":
            given["columns"] = names[:2]
        source = few if kind in _OF_ROWS else found
        drawn.append(_drawn("quality", kind, functools.partial(source.draw, kind, **given), width))
    shown = min(len(names), 15)
    drawn.append(_drawn("uses", "importance", lambda: plots.plot_importance(
        importance, shown, size=(7.4, 1.4 + 0.3 * max(shown, 3))
    ), "mid"))  # fmt: skip
    if rows:
        part = few.part(np.unique(np.linspace(0, len(few.x) - 1, _ATTRIBUTED).round().astype(int)))
        drawn.append(_drawn("uses", "attributions", lambda: part.draw(
            "attributions", seed=seed, size=(7.4, 1.8 + 0.36 * min(max(len(names), 3), 12))
        ), "mid"))  # fmt: skip
    drawn.append(_drawn("uses", "dependence", lambda: few.dependence(
        order[:_MOST_PANELS], single=rows, size=(9.0, 2.9 * -(-min(len(names), _MOST_PANELS) // 2))
    ), width="wide"))  # fmt: skip
    return drawn


def _drawn(section: str, kind: str, draw: Callable[[], Figure], width: str = "") -> PageFigure:
    svg = plots.inline_svg(draw(), kind[:3], CAPTIONS[kind])
    return PageFigure(section, kind, svg, width)
