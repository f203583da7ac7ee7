"""One page about a model: how good it is, what it uses, where it fails, how to make it again.

_report    `report`, and `Report`, which it returns
_numbers   the numbers of a report, without a page
_measure   the numbers of a model, and of a model on a table
_slices    parts of a table where the model fails, and its worst rows
_warnings  what a reader should know first
_recipe    the settings with which the model is trained again
_drawings  the figures
_page      the page: one HTML file without any request
"""

from __future__ import annotations

from ._numbers import (
    ColumnNumbers,
    LayerNumbers,
    MemberNumbers,
    MetricNumbers,
    ReportNumbers,
    SliceNumbers,
    ThresholdNumbers,
    WorstRow,
)
from ._report import Report, check_installed, report

__all__ = [
    "ColumnNumbers",
    "LayerNumbers",
    "MemberNumbers",
    "MetricNumbers",
    "Report",
    "ReportNumbers",
    "SliceNumbers",
    "ThresholdNumbers",
    "WorstRow",
    "check_installed",
    "report",
]
