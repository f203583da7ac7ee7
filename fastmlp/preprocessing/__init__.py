"""Turn a table's columns into a network's inputs and targets.

_preprocessing  the class `Preprocessing`, which a model's file holds
_columns        the settings of one column and of the target: scaling, JSON
_statistics     what is computed from columns: means, medians, categories, labels
_ids            which columns only number or name the rows
_checks         warnings: columns that give the target away, rows that occur twice
_fit            fitting: the treatment of each column, the task, and notes on both
_transform      applying a preprocessing: imputing, one-hot codes
_dates          the year, month, weekday and hour of dates
_targets        transforms of targets, rows that have a target
"""

from __future__ import annotations

from ._columns import MAX_CATEGORIES, Column, Label, Target
from ._dates import waves
from ._fit import choose_task
from ._preprocessing import Fitting, Preprocessing, split
from ._targets import missing_cells, usable_rows
from ._transform import refuse_missing

__all__ = [
    "MAX_CATEGORIES",
    "Column",
    "Fitting",
    "Label",
    "Preprocessing",
    "Target",
    "choose_task",
    "missing_cells",
    "refuse_missing",
    "split",
    "usable_rows",
    "waves",
]
