"""How a table's columns become a network's inputs and targets.

_preprocessing  the class that a model's file keeps
_columns        one column, or the target: what is kept of it
_statistics     what is measured of columns: means, medians, levels
_fit            which columns, which task, which levels
_transform      applying it: filling, scaling, codes
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
