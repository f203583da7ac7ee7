"""The store of a sweep: its columns, the digest that identifies a sweep, and its errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from ..errors import DataError

APPLICATION = 0x666D6C70  # "fmlp", in the file's header
VERSION = 1

COLUMNS: dict[str, str] = {
    "run": "INTEGER PRIMARY KEY",
    "round": "INTEGER NOT NULL",
    "units": "TEXT NOT NULL",
    "activation": "TEXT NOT NULL",
    "l1": "REAL NOT NULL",
    "l2": "REAL NOT NULL",
    "group_l1": "REAL NOT NULL",
    "dropout": "REAL NOT NULL",
    "optimizer": "TEXT NOT NULL",
    "learning_rate": "REAL NOT NULL",
    "batch_size": "INTEGER NOT NULL",
    "epochs": "INTEGER NOT NULL",
    "seed": "INTEGER NOT NULL",
    "fold": "INTEGER NOT NULL",
    "status": "TEXT NOT NULL CHECK (status IN ('done', 'diverged'))",
    "message": "TEXT",
    "parameters": "INTEGER NOT NULL",
    "nonzero": "INTEGER",
    "loss": "REAL",
}
KEY = ("units", "activation", "l1", "l2", "group_l1", "dropout", "optimizer", "learning_rate",
       "batch_size", "epochs", "seed", "fold")  # fmt: skip
COSTS = ("run", "session", "seconds", "threads", "isa", "host")


class StoreError(DataError):
    """A store is damaged, belongs to another sweep, or is not a store."""


class EmptyStoreError(StoreError):
    """A store has no tables yet, because the process that created it was killed."""


class OtherSweepError(StoreError):
    """A store belongs to another sweep.

    Attributes
    ----------
    n_runs : int
        Number of runs in the store.
    """

    def __init__(self, message: str, n_runs: int) -> None:
        super().__init__(message)
        self.n_runs = n_runs


def digest_of(settings: dict[str, Any]) -> str:
    """Return the hash that identifies a sweep's data and settings."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def differences(theirs: Any, ours: Any, name: str = "") -> Iterator[str]:
    """Yield messages on the settings in which two sweeps differ."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*ours, *theirs]):
            yield from differences(theirs.get(key), ours.get(key), key)
    elif theirs != ours:
        if name.endswith("digest"):
            yield f"other {name.removesuffix(' digest')}"
        else:
            yield f"{name} {_shown(theirs)} there, {_shown(ours)} now"


def _shown(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    text = ", ".join("none" if v is None else f"{v:g}" if isinstance(v, float) else str(v)
                     for v in values)  # fmt: skip
    return text if len(text) < 60 else f"{text[:57]}..."


def score_columns(settings: dict[str, Any]) -> list[str]:
    """Return the names of the columns of scores."""
    return [f"{part}_{name}" for name in settings["measures"] for part in ("train", "val")]


def kinds_of(name: str) -> tuple[type, ...]:
    """Return the allowed types of a column's values."""
    kind = COLUMNS.get(name, "REAL")
    base = {"INTEGER": int, "TEXT": str, "REAL": float}[kind.split()[0]]
    return (base,) if "NOT NULL" in kind or "KEY" in kind else (base, type(None))
