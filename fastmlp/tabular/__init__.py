"""Networks for tables: from a file or data frame to a model that knows its columns.

_fit         `fit`, which does all of it in one call
_model       the class `TableModel`, which `fit` returns
_prepare     from a table to arrays and decisions
_decisions   every decision: sizes, rates, epochs, shares
_held_out    which rows are held out
_train       training: the best epoch of held-out rows or of folds
_start       initial weights
_answers     held-out figures, intervals and the threshold that a model keeps
_scores      the figures by which predictions are judged
_baselines   a constant and a linear model to compare with
_calibration temperature scaling
_intervals   conformal intervals and sets
_thresholds  from which probability on a row is of the second class
_digest      which rows a model has seen
"""

from __future__ import annotations

from ._answers import answer, check_answers, refit
from ._decisions import Decisions, decide
from ._fit import fit
from ._model import KEPT, TableModel
from ._prepare import Prepared, prepared
from ._train import Training, describe, network

__all__ = [
    "KEPT",
    "Decisions",
    "Prepared",
    "TableModel",
    "Training",
    "answer",
    "check_answers",
    "decide",
    "describe",
    "fit",
    "network",
    "prepared",
    "refit",
]
