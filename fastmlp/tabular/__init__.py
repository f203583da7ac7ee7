"""Networks for tables: from a file or data frame to a model that knows its columns.

_fit          `fit`, which does all of it in one call
_model        the class `TableModel`, which `fit` returns
_prepare      from a table to arrays and decisions
_decisions    every decision: sizes, rates, epochs, shares
_held_out     which rows are held out
_class_weights weights of classes in training
_train        training: the best epoch of held-out rows or of folds
_folds        effort="high": a network for each fold, and their mean
_endings      the last wave of the rates with the penalty and without it
_rate         the learning-rate finder
_start        initial weights
_answers      held-out figures, intervals and the threshold that a model keeps
_scores       the figures by which a model is judged, and how sure they are
_baselines    a constant and a linear model, which a network must beat
_calibration  one temperature for a classifier's probabilities
_intervals    split-conformal intervals and sets
_thresholds   from which probability on a row counts as class 1
_digest       which rows a model has seen
_profile      the distribution of each column in training, and how later tables differ
_quality      what a model keeps of all this
_figures      figures of a network on the rows of a table
_summary      what a model knows of its table, as text
"""

from __future__ import annotations

from ._answers import Wanted, answer, answer_folds, check_answers, choose, figures, refit, score
from ._baselines import Baselines
from ._calibration import scale_last_layer, temperature
from ._decisions import SHARE, UNBOUNDED, Decisions, checked_units, decide, path_units, shown_units
from ._digest import RowDigest, row_hashes
from ._figures import TABLE_FIGURES, TableFigures
from ._fit import fit
from ._folds import FoldsTraining
from ._held_out import folds_of_groups
from ._intervals import Conformal, conformal
from ._model import KEPT, TableModel
from ._prepare import (
    DECIDED,
    PREPARATION,
    READING,
    Prepared,
    opened,
    prepared,
    prepared_stream,
    row_weights,
)
from ._profile import ColumnProfile, Drift, drifts
from ._quality import HeldOut, Quality
from ._rate import RateCurve, find_rate
from ._scores import (
    bootstrap,
    per_class,
    rounded,
    row_losses,
    scores,
    shown_name,
    standard_errors,
)
from ._summary import table_facts, table_text
from ._thresholds import Threshold, best_threshold, parse_costs
from ._train import (
    TableTraining,
    best_kept,
    cross_validated,
    describe,
    fit_rows,
    network,
    template,
)

__all__ = [
    "DECIDED",
    "KEPT",
    "PREPARATION",
    "READING",
    "SHARE",
    "TABLE_FIGURES",
    "UNBOUNDED",
    "Baselines",
    "ColumnProfile",
    "Conformal",
    "Decisions",
    "Drift",
    "FoldsTraining",
    "HeldOut",
    "Prepared",
    "Quality",
    "RateCurve",
    "RowDigest",
    "TableFigures",
    "TableModel",
    "TableTraining",
    "Threshold",
    "Wanted",
    "answer",
    "answer_folds",
    "best_kept",
    "best_threshold",
    "bootstrap",
    "check_answers",
    "checked_units",
    "choose",
    "conformal",
    "cross_validated",
    "decide",
    "describe",
    "drifts",
    "figures",
    "find_rate",
    "fit",
    "fit_rows",
    "folds_of_groups",
    "network",
    "opened",
    "parse_costs",
    "path_units",
    "per_class",
    "prepared",
    "prepared_stream",
    "refit",
    "rounded",
    "row_hashes",
    "row_losses",
    "row_weights",
    "scale_last_layer",
    "score",
    "scores",
    "shown_name",
    "shown_units",
    "standard_errors",
    "table_facts",
    "table_text",
    "temperature",
    "template",
]
