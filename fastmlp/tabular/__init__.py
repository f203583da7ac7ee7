"""Networks for tables: from a file or data frame to a model that knows its columns.

_scores       the figures by which a model is judged, and how sure they are
_baselines    a constant and a linear model, which a network must beat
_calibration  one temperature for a classifier's probabilities
_intervals    split-conformal intervals and sets
_thresholds   from which probability on a row counts as class 1
_digest       which rows a model has seen
_quality      figures beside simple models, and what a model keeps of all this
"""

from __future__ import annotations

from ._baselines import Baselines
from ._calibration import scale_last_layer, temperature
from ._digest import RowDigest, row_hashes
from ._intervals import Conformal, conformal
from ._quality import HeldOut, Quality
from ._scores import SHOWN, bootstrap, per_class, rounded, scores, standard_errors
from ._thresholds import Threshold, best_threshold, parse_costs

__all__ = [
    "SHOWN",
    "Baselines",
    "Conformal",
    "HeldOut",
    "Quality",
    "RowDigest",
    "Threshold",
    "best_threshold",
    "bootstrap",
    "conformal",
    "parse_costs",
    "per_class",
    "rounded",
    "row_hashes",
    "scale_last_layer",
    "scores",
    "standard_errors",
    "temperature",
]
