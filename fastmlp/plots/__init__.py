"""Figures of data, models and results. Each function returns a matplotlib Figure.

The first call imports matplotlib. pyplot is never imported: save a figure with `save`; in a
notebook it shows itself. Functions that draw a curve use the lecture's regression data by default.

Every function takes ``ax=``, or ``axes=`` if it draws several panels, to draw into your own axes;
it then returns their figure. Every function also takes

title : str
    Above the figure.
size : str or tuple of two float
    A ratio such as ``"16:9"``, or width and height in inches: ``"8x5"``, ``(8, 5)``.
theme : {'light', 'dark', 'print'}
    ``"dark"``: light lines on a dark page. ``"print"``: black in place of greys.

Names of columns and classes are drawn as they are, also with ``$``, ``_`` or ``^`` in them.
Letters that matplotlib's own font lacks are taken from the fonts that are installed.

_regression     data of one input, with the true and the fitted function
_classes        data of two inputs, with a classifier's decision regions
_layers         hidden units over the input, members of an ensemble
_change_points  a repaired layer, before and after
_units          contributions of units to the fit, a map of a layer's units
_network        units as nodes, weights as edges
_training       loss by epoch and by learning rate, histograms of weights, gradients by layer
_inspection     importance, per-layer diagnostics
_dependence     partial dependence
_scores         ROC, precision and recall, confusion, calibration, gains of a classifier
_residuals      predicted against actual, residuals, quantiles, coverage, learning curves
_attributions   contributions of features to predictions
_path           error and weights against lambda
_path_fits      predictions at some lambdas of a path
_sweep          ranking of configurations, effect of each parameter
_results        protocols of the results that are drawn
_models         what the figures read from a model
_layout         axes, title, size, theme and plain text of all figures
_figure         the class of figures, which notebooks show by themselves
_numbers        numbers on axes
_page           figures inside an HTML page
_style          colours, type sizes, legends, `save`
"""

from ._attributions import plot_attribution, plot_attributions
from ._change_points import plot_change_points
from ._classes import plot_classification_data, plot_decision_boundary
from ._dependence import plot_partial_dependence
from ._inspection import plot_importance, plot_layer_report
from ._layers import plot_ensemble, plot_layer_activations_facetted, plot_layers
from ._layout import parse_size
from ._network import plot_network
from ._page import dark_rules, inline_svg
from ._path import plot_cv, plot_path
from ._path_fits import plot_path_fits
from ._regression import plot_regression_data
from ._residuals import (
    plot_coverage,
    plot_learning_curve,
    plot_predicted,
    plot_qq,
    plot_residuals,
)
from ._scores import (
    plot_calibration,
    plot_class_scores,
    plot_confusion,
    plot_gains,
    plot_precision_recall,
    plot_roc,
)
from ._style import PALETTE, save
from ._sweep import plot_sweep
from ._training import plot_gradients, plot_history, plot_rates, plot_weights
from ._units import plot_contributions, plot_unit_map

__all__ = [
    "PALETTE",
    "dark_rules",
    "inline_svg",
    "parse_size",
    "plot_attribution",
    "plot_attributions",
    "plot_calibration",
    "plot_change_points",
    "plot_class_scores",
    "plot_classification_data",
    "plot_confusion",
    "plot_contributions",
    "plot_coverage",
    "plot_cv",
    "plot_decision_boundary",
    "plot_ensemble",
    "plot_gains",
    "plot_gradients",
    "plot_history",
    "plot_importance",
    "plot_layer_activations_facetted",
    "plot_layer_report",
    "plot_layers",
    "plot_learning_curve",
    "plot_network",
    "plot_partial_dependence",
    "plot_path",
    "plot_path_fits",
    "plot_precision_recall",
    "plot_predicted",
    "plot_qq",
    "plot_rates",
    "plot_regression_data",
    "plot_residuals",
    "plot_roc",
    "plot_sweep",
    "plot_unit_map",
    "plot_weights",
    "save",
]
