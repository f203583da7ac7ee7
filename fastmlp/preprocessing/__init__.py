"""Turn a table's columns into a network's inputs and targets.

_preprocessing  the class `Preprocessing`, which a model's file holds
_columns        the settings of one column and of the target
_statistics     what is computed from columns: means, medians, categories, labels
_fit            fitting: the treatment of each column, and the task
_transform      applying a preprocessing: imputing, scaling, one-hot codes
"""

from __future__ import annotations

from ._columns import MAX_CATEGORIES, Column, Label, Target
from ._fit import choose_task
from ._preprocessing import Fitting, Preprocessing, split
from ._transform import refuse_missing

__all__ = [
    "MAX_CATEGORIES",
    "Column",
    "Fitting",
    "Label",
    "Preprocessing",
    "Target",
    "choose_task",
    "refuse_missing",
    "split",
]
