"""The lecture's figures: names and functions for each network and for the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ._catalogue import CATALOGUE, REPAIR_INTERVAL, Entry, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawer = Callable[[Result], "Figure"]


def figures(entry: Entry) -> dict[str, Drawer]:
    """Return the figures of a network by name, each with the function that draws it.

    Parameters
    ----------
    entry : Entry

    Returns
    -------
    dict of str to callable
        Keys are file names without suffix. Values take a `Result` and return a Figure.
    """
    name = entry.name
    if entry.repairs is not None:
        return {f"{name}_fit": _draw_fit, f"{name}_change_points": _draw_change_points}
    if entry.task == "classification":
        drawers: dict[str, Drawer] = {f"{name}_boundary": _draw_boundary}
    elif entry.l1 or entry.l2:
        drawers = {f"{name}_fit": _draw_fit}
    else:
        drawers = {f"{name}_layers": _draw_layers}
    if any(other.repairs == name for other in CATALOGUE.values()):
        for layer in range(len(entry.units)):
            drawers[f"{name}_layer{layer + 1}_units"] = partial(_draw_units, layer=layer)
        drawers[f"{name}_fit"] = _draw_fit
    drawers[f"{name}_loss"] = _draw_loss
    return drawers


def data_figures() -> dict[str, Callable[[], Figure]]:
    """Return the figures of the lecture's data by name, each with the function that draws it.

    Returns
    -------
    dict of str to callable
    """
    from .. import plots

    return {
        "regression_data": plots.plot_regression_data,
        "classification_data": plots.plot_classification_data,
    }


def _draw_layers(result: Result) -> Figure:
    from .. import plots

    entry = result.entry
    legend = len(entry.units) == 1 and entry.units[0] <= 16
    return plots.plot_layers(result.model, legend, title=entry.name)


def _draw_fit(result: Result) -> Figure:
    from .. import plots

    return plots.plot_layers(result.model, include_hidden=False, title=result.entry.name)


def _draw_units(result: Result, layer: int) -> Figure:
    from .. import plots

    return plots.plot_layer_activations_facetted(result.model, layer, title=result.entry.name)


def _draw_change_points(result: Result) -> Figure:
    from .. import plots

    assert result.before is not None
    return plots.plot_change_points(
        result.before, result.model, REPAIR_INTERVAL, title=result.entry.name
    )


def _draw_boundary(result: Result) -> Figure:
    from .. import plots

    return plots.plot_decision_boundary(result.model, title=result.entry.name)


def _draw_loss(result: Result) -> Figure:
    from .. import plots

    history = result.model.history
    assert history is not None
    return plots.plot_history(history, title=result.entry.name)
