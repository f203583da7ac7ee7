"""The lecture's networks, with the figures that it prints.

_catalogue  every network, its training and its rows of the tables
_figures    the lecture's figures (drawn with matplotlib, so imported on its own)
"""

from __future__ import annotations

from typing import Any

from ._catalogue import (
    CATALOGUE,
    EPOCHS,
    Entry,
    Result,
    Row,
    build,
    data,
    preprocessing,
    repair,
    rows,
    train,
)

__all__ = [
    "CATALOGUE",
    "EPOCHS",
    "Entry",
    "Result",
    "Row",
    "build",
    "data",
    "preprocessing",
    "repair",
    "rows",
    "train",
]


# Loaded on first use (PEP 562): they import matplotlib's part of the package, and NumPy.
def __getattr__(name: str) -> Any:
    if name in ("data_figures", "figures"):
        from . import _figures

        return getattr(_figures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
