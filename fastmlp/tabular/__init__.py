"""Networks for tables: from a file or data frame to a model that knows its columns.

_fit         `fit`, which does all of it in one call
_model       the class `TableModel`, which `fit` returns
_prepare     from a table to arrays and decisions
_decisions   every decision: sizes, rates, epochs, shares
_held_out    which rows are held out
_train       training: the best epoch of held-out rows or of folds
_rate        the learning-rate finder
_start       initial weights
_answers     held-out figures, intervals and the threshold that a model keeps
_scores      the figures by which predictions are judged
_baselines   a constant and a linear model to compare with
_calibration temperature scaling
_intervals   conformal intervals and sets
_thresholds  from which probability on a row is of the second class
_digest      which rows a model has seen
_quality     what a model keeps of all this
"""

from __future__ import annotations

from ._answers import Wanted, answer, check_answers, choose, figures, refit
from ._decisions import SHARE, UNBOUNDED, Decisions, decide, shown_units
from ._fit import fit
from ._model import KEPT, TableModel
from ._prepare import Prepared, prepared, prepared_stream
from ._rate import RateCurve, find_rate
from ._train import Training, describe, network

__all__ = [
    "KEPT",
    "SHARE",
    "UNBOUNDED",
    "Decisions",
    "Prepared",
    "RateCurve",
    "TableModel",
    "Training",
    "Wanted",
    "answer",
    "check_answers",
    "choose",
    "decide",
    "describe",
    "figures",
    "find_rate",
    "fit",
    "network",
    "prepared",
    "prepared_stream",
    "refit",
    "shown_units",
]
