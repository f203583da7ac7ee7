"""The workloads that libraries are compared on, and the libraries, by name."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass

from .._utils import arguments

# By the names of their modules; what to install for each.
LIBRARIES = {
    "fastmlp": "fastmlp",
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax",
    "keras": "keras",
    "sklearn": "scikit-learn",
}
KERAS_BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Case:
    """One workload: relu layers and a linear output (a sigmoid for classification), with Adam.

    Parameters
    ----------
    rows, inputs : int
    hidden : tuple of int
        Widths of the hidden layers; there is one output.
    batch : int
        Rows of a training step.
    l1, l2 : float
        Penalty on all weights.
    loss : {"mse", "bce"}
    what : {"train", "predict"}
    data : {"drawn", "regression", "classification"}
        Drawn at random, or the lecture's.
    """

    rows: int
    inputs: int
    hidden: tuple[int, ...]
    batch: int
    l1: float = 0.0
    l2: float = 0.0
    loss: str = "mse"
    what: str = "train"
    data: str = "drawn"

    @property
    def widths(self) -> list[int]:
        """Inputs, hidden units, output."""
        return [self.inputs, *self.hidden, 1]

    @property
    def full_batch(self) -> bool:
        """Whether every step takes all rows."""
        return self.what == "train" and self.batch >= self.rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch in whole batches."""
        return max(1, self.rows // self.batch) if self.what == "train" else 1

    @property
    def warm_up(self) -> int:
        """Steps that the weights have behind them: on the lecture's data units die meanwhile."""
        return 100 if self.data != "drawn" else 0

    @property
    def flops(self) -> int:
        """Floating-point operations of a step (6 a weight and row, 4 in layer 1) or a predict."""
        products = [a * b for a, b in itertools.pairwise(self.widths)]
        if self.what == "predict":
            return 2 * self.rows * sum(products)
        return min(self.batch, self.rows) * (6 * sum(products) - 2 * products[0])

    @property
    def network(self) -> str:
        """The widths in short, such as '1-1024x5-1'."""
        runs = [(width, len(list(group))) for width, group in itertools.groupby(self.hidden)]
        hidden = [f"{width}x{times}" if times > 1 else str(width) for width, times in runs]
        return "-".join([str(self.inputs), *hidden, "1"])

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        parts = [self.network, rows]
        if self.what == "predict":
            parts.append("prediction")
        else:
            parts.append("all a batch" if self.full_batch else f"{self.batch} a batch")
        parts += [f"{name} {v:g}" for name, v in (("l1", self.l1), ("l2", self.l2)) if v]
        if self.loss == "bce":
            parts.append("two classes")
        return ", ".join(parts)


_DEEP = (1024,) * 5
_TABLE = (256,) * 3


def _lecture(hidden: tuple[int, ...], l1: float = 0.0, l2: float = 0.0) -> Case:
    return Case(50, 1, hidden, 50, l1, l2, data="regression")


CASES = {
    "tiny2": _lecture((2,)),
    "units-16x4": _lecture((16,) * 4),
    "units-128": _lecture((128,)),
    "units-1024": _lecture((1024,)),
    "units-8192": _lecture((8192,)),
    "lecture": _lecture(_DEEP),
    "lecture-l2": _lecture(_DEEP, l2=1e-3),
    "lecture-l1": _lecture(_DEEP, l1=1e-3),
    "lecture-classes": Case(100, 2, _DEEP, 100, l2=1e-3, loss="bce", data="classification"),
    "table-32": Case(20000, 64, _TABLE, 32, l2=1e-4),
    "table-256": Case(20000, 64, _TABLE, 256, l2=1e-4),
    "wide-512": Case(8192, 256, _DEEP, 512, l2=1e-4),
    "predict-10000": Case(10000, 2, _DEEP, 0, what="predict"),
    "predict-1": Case(1, 64, _TABLE, 0, what="predict"),
}


def missing(peer: str) -> str | None:
    """Say what has to be installed before a library can be measured; None if nothing has."""
    if importlib.util.find_spec(peer) is None:
        return f"{LIBRARIES[peer]} is not installed: pip install {LIBRARIES[peer]}"
    if peer == "keras" and not any(importlib.util.find_spec(name) for name in KERAS_BACKENDS):
        return f"keras needs one of {', '.join(KERAS_BACKENDS)}, and none is installed"
    return None


def installed() -> list[str]:
    """Return the names of the libraries that this interpreter can run."""
    return [name for name in LIBRARIES if missing(name) is None]


def _split(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    return list(dict.fromkeys(names))  # each once, in the order given


def parse_cases(text: str) -> list[str]:
    """Read names of cases between commas.

    Parameters
    ----------
    text : str
        Such as "lecture,table-32"; "all" for all.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such case; the message has the nearest.
    """
    if text.strip() == "all":
        return list(CASES)
    for name in _split(text):
        if name not in CASES:
            raise arguments.unknown("case", name, CASES)
    return _split(text)


def parse_peers(text: str) -> list[str]:
    """Read names of libraries between commas; fastmlp, which the others are compared with, leads.

    Parameters
    ----------
    text : str
        Such as "numpy,torch"; "all" for those that are installed.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If a name is not known, or the library not installed.
    """
    if text.strip() == "all":
        return installed()
    names = _split(text)
    for name in names:
        if name not in LIBRARIES:
            raise arguments.unknown("peer", name, LIBRARIES)
    for name in names:
        reason = missing(name)
        if reason is not None:
            raise ValueError(reason)
    return ["fastmlp", *(name for name in names if name != "fastmlp")]
