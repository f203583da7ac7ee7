"""The lecture's networks: train them and compare with the lecture's tables and figures.

_catalogue  every network, its training, the rows of the tables
_figures    the figures of each network
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


# Loaded on first use (PEP 562): _figures is not needed for names and tables.
def __getattr__(name: str) -> Any:
    if name in ("data_figures", "figures"):
        from . import _figures

        return getattr(_figures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
