"""Figures of data, models and results. Each function returns a matplotlib Figure.

The first call imports matplotlib. pyplot is never imported: save a figure with `save` or show it
in a notebook. Functions that draw a curve use the lecture's regression data by default.

_regression     data of one input, with the true and the fitted function
_classes        data of two inputs, with a classifier's decision regions
_layers         hidden units over the input, members of an ensemble
_change_points  a repaired layer, before and after
_network        units as nodes, weights as edges
_training       loss by epoch and by learning rate, histograms of weights, gradients by layer
_inspection     importance, partial dependence, per-layer diagnostics
_path           error and weights against lambda
_path_fits      predictions at some lambdas of a path
_sweep          ranking of configurations, effect of each parameter
_results        protocols of the results that are drawn
_models         what the figures read from a model
_style          colours, type sizes, `save`
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
from ._training import plot_gradients, plot_history, plot_rates, plot_weights

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
    "plot_rates",
    "plot_regression_data",
    "plot_sweep",
    "plot_weights",
    "save",
]
