"""Explain a model: feature importance, partial dependence, per-layer diagnostics.

_features    the columns of x that are changed together
_importance  permutation importance
_dependence  partial dependence
_layers      per-layer diagnostics
"""

from __future__ import annotations

from ._dependence import PartialDependence, partial_dependence
from ._features import Feature, features
from ._importance import Importance, permutation_importance
from ._layers import EXPLODED, VANISHED, LayerFigures, LayerReport, layer_report

__all__ = [
    "EXPLODED",
    "VANISHED",
    "Feature",
    "Importance",
    "LayerFigures",
    "LayerReport",
    "PartialDependence",
    "features",
    "layer_report",
    "partial_dependence",
    "permutation_importance",
]
