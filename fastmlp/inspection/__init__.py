"""Explain a model: importance and attributions of features, partial dependence, diagnostics.

_features    the columns of x that are changed together
_importance  permutation importance
_dependence  partial dependence
_attributions  contributions of features to single predictions
_layers      per-layer diagnostics
"""

from __future__ import annotations

from ._attributions import Attributions, attributions
from ._dependence import PartialDependence, partial_dependence
from ._features import Feature, features
from ._importance import Importance, permutation_importance
from ._layers import EXPLODED, VANISHED, LayerFigures, LayerReport, layer_report

__all__ = [
    "EXPLODED",
    "VANISHED",
    "Attributions",
    "Feature",
    "Importance",
    "LayerFigures",
    "LayerReport",
    "PartialDependence",
    "attributions",
    "features",
    "layer_report",
    "partial_dependence",
    "permutation_importance",
]
