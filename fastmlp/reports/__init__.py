"""One page about a model: how good it is, what it uses, where it fails, how to make it again.

_report    `report`, and `Report`, which it returns
_subject   the model of a report: of any kind, with or without a table
_numbers   the numbers of a report, without a page
_known     the numbers that a model keeps
_measure   the numbers of a model on a table
_slices    parts of a table where the model fails, and its worst rows
_warnings  what a reader should know first
_recipe    the settings with which the model is trained again
_drawings  the figures
_sentences one sentence of finding for each section
_tables    what the tables of the page show
_page      the page: one HTML file without any request
"""

from __future__ import annotations

from ._numbers import (
    ColumnNumbers,
    LambdaNumbers,
    LayerNumbers,
    MemberNumbers,
    MetricNumbers,
    ReportNumbers,
    SliceNumbers,
    TargetNumbers,
    ThresholdNumbers,
    WorstRow,
)
from ._report import Report, check_installed, report

__all__ = [
    "ColumnNumbers",
    "LambdaNumbers",
    "LayerNumbers",
    "MemberNumbers",
    "MetricNumbers",
    "Report",
    "ReportNumbers",
    "SliceNumbers",
    "TargetNumbers",
    "ThresholdNumbers",
    "WorstRow",
    "check_installed",
    "report",
]
