"""The workloads and the libraries of the comparison, by name."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass

from .._utils import arguments

# Name, that of the module unless _MODULES has another, to the name to install.
LIBRARIES = {
    "fastmlp": "fastmlp",
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax",
    "keras": "keras",
    "sklearn": "scikit-learn",
    "litert": "ai-edge-litert",
    "openvino": "openvino",
}
_MODULES = {"litert": "ai_edge_litert"}
KERAS_BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Case:
    """One workload: ReLU layers and a linear or sigmoid output, trained with Adam.

    Parameters
    ----------
    rows, inputs : int
    hidden : tuple of int
        Widths of the hidden layers.
    batch : int
        Rows of a training step.
    l1, l2 : float
        Penalty on all weights.
    loss : {"mse", "bce"}
    what : {"train", "predict"}
    data : {"drawn", "regression", "classification"}
        Random data, or the lecture's.
    outputs : int
        More than one only for predictions.
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
    outputs: int = 1

    @property
    def widths(self) -> list[int]:
        """Inputs, hidden units, outputs."""
        return [self.inputs, *self.hidden, self.outputs]

    @property
    def full_batch(self) -> bool:
        """Whether each batch has all rows."""
        return self.what == "train" and self.batch >= self.rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch of whole batches."""
        return max(1, self.rows // self.batch) if self.what == "train" else 1

    @property
    def warm_up(self) -> int:
        """Training steps before the measurement: on the lecture's data units die in them."""
        return 100 if self.data != "drawn" else 0

    @property
    def flops(self) -> int:
        """Floating-point operations of a step (6 per weight and row, 4 in layer 1) or predict."""
        products = [a * b for a, b in itertools.pairwise(self.widths)]
        if self.what == "predict":
            return 2 * self.rows * sum(products)
        return min(self.batch, self.rows) * (6 * sum(products) - 2 * products[0])

    @property
    def network(self) -> str:
        """Widths in short form, such as '1-1024x5-1'."""
        runs = [(width, len(list(group))) for width, group in itertools.groupby(self.hidden)]
        hidden = [f"{width}x{times}" if times > 1 else str(width) for width, times in runs]
        return "-".join([str(self.inputs), *hidden, str(self.outputs)])

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
    "units-512x5": _lecture((512,) * 5),
    "lecture-l2": _lecture(_DEEP, l2=1e-3),
    "lecture-l1": _lecture(_DEEP, l1=1e-3),
    "lecture-classes": Case(100, 2, _DEEP, 100, l2=1e-3, loss="bce", data="classification"),
    "table-32": Case(20000, 64, _TABLE, 32, l2=1e-4),
    "table-256": Case(20000, 64, _TABLE, 256, l2=1e-4),
    "wide-512": Case(8192, 256, _DEEP, 512, l2=1e-4),
    "predict-10000": Case(10000, 2, _DEEP, 0, what="predict"),
    "predict-1": Case(1, 64, _TABLE, 0, what="predict"),
    "predict-7": Case(7, 13, (64, 64), 0, what="predict", outputs=3),
    "predict-50000": Case(50000, 30, (200, 100), 0, what="predict"),
}


def missing(peer: str) -> str | None:
    """Return what to install before a library can be measured; None if nothing is missing."""
    if importlib.util.find_spec(_MODULES.get(peer, peer)) is None:
        return f"{LIBRARIES[peer]} is not installed: pip install {LIBRARIES[peer]}"
    if peer == "keras" and not any(importlib.util.find_spec(name) for name in KERAS_BACKENDS):
        return f"keras needs one of {', '.join(KERAS_BACKENDS)}. None is installed"
    return None


def installed() -> list[str]:
    """Return the names of the libraries that are installed."""
    return [name for name in LIBRARIES if missing(name) is None]


def _split(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    return list(dict.fromkeys(names))  # without duplicates, in order


def parse_cases(text: str) -> list[str]:
    """Parse names of cases separated by commas.

    Parameters
    ----------
    text : str
        For example "lecture,table-32", or "all".

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such case. The message suggests the nearest name.
    """
    if text.strip() == "all":
        return list(CASES)
    for name in _split(text):
        if name not in CASES:
            raise arguments.unknown("case", name, CASES)
    return _split(text)


def parse_peers(text: str) -> list[str]:
    """Parse names of libraries separated by commas; fastmlp always comes first.

    Parameters
    ----------
    text : str
        For example "numpy,torch", or "all" for those that are installed.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If a name is not known or the library is not installed.
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
