"""Turn a table's columns into a network's inputs and targets.

_preprocessing  the class `Preprocessing`, which a model's file holds
_columns        the settings of one column and of the target: scaling, JSON
_statistics     what is computed from columns: means, medians, quantiles, categories
_at_once        the same from many columns at once
_target_statistics  what is computed from the target: the task, the scale, labels
_ids            which columns only number or name the rows
_checks         warnings: columns that give the target away, rows that occur twice
_fit            fitting: the treatment of each column, the task, and notes on both
_transform      applying a preprocessing: imputing, one-hot codes
_dates          the year, month, weekday and hour of dates
_targets        transforms of targets, rows that have a target
"""

from __future__ import annotations

from ._columns import DATE_PARTS, FAR, LARGEST_LOG, MAX_CATEGORIES, Column, Label, Target
from ._dates import DAYS_OF_YEAR, MARCH_1, waves
from ._fit import choose_task, column_names
from ._preprocessing import Fitting, Preprocessing, split
from ._targets import missing_cells, usable_rows
from ._transform import refuse_missing, spellings

__all__ = [
    "DATE_PARTS",
    "DAYS_OF_YEAR",
    "FAR",
    "LARGEST_LOG",
    "MARCH_1",
    "MAX_CATEGORIES",
    "Column",
    "Fitting",
    "Label",
    "Preprocessing",
    "Target",
    "choose_task",
    "column_names",
    "missing_cells",
    "refuse_missing",
    "spellings",
    "split",
    "usable_rows",
    "waves",
]
