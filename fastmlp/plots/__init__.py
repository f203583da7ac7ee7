"""The lecture's figures, and a few more. Each function returns a matplotlib Figure.

Matplotlib is imported by the first call, and pyplot never: a figure is an object to be
saved with `save` or shown in a notebook, not a window. Functions that draw a curve take the
lecture's regression data unless they are given other data.
"""

from ._change_points import plot_change_points
from ._classes import plot_classification_data, plot_decision_boundary
from ._inspection import plot_importance, plot_layer_report, plot_partial_dependence
from ._layers import plot_ensemble, plot_layer_activations_facetted, plot_layers
from ._network import plot_network
from ._path import plot_cv, plot_path
from ._path_fits import plot_path_fits
from ._regression import plot_regression_data
from ._style import PALETTE, save
from ._sweep import plot_sweep
from ._training import plot_gradients, plot_history, plot_weights

__all__ = [
    "PALETTE",
    "plot_change_points",
    "plot_classification_data",
    "plot_cv",
    "plot_decision_boundary",
    "plot_ensemble",
    "plot_gradients",
    "plot_history",
    "plot_importance",
    "plot_layer_activations_facetted",
    "plot_layer_report",
    "plot_layers",
    "plot_network",
    "plot_partial_dependence",
    "plot_path",
    "plot_path_fits",
    "plot_regression_data",
    "plot_sweep",
    "plot_weights",
    "save",
]
