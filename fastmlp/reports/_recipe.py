"""The settings with which a model is trained again, as TOML."""

from __future__ import annotations

import json
from typing import Any

from ..tabular import UNBOUNDED, TableModel, shown_units

_CONFIG = "config"  # among a model's extras: what `fastmlp train` was called with
# Decisions that are options of `fastmlp train` under the same name.
_SAME = ("activation", "optimizer", "learning_rate", "schedule", "batch_size", "loss", "bins")


def recipe(model: TableModel) -> str:
    """Return the configuration with which ``fastmlp train --config`` trains the model again.

    Parameters
    ----------
    model : TableModel

    Returns
    -------
    str
        TOML: what the command was called with, or the decisions of `fastmlp.fit`.
    """
    given = model.network.extras.get(_CONFIG)
    if not isinstance(given, dict) or not given:
        given = _decided(model)
    return "".join(f"{_key(name)} = {_toml(value)}\n" for name, value in given.items()
                   if value is not None)  # fmt: skip


def _decided(model: TableModel) -> dict[str, Any]:
    decisions = model.decisions
    found: dict[str, Any] = {
        "data": str(model.network.extras.get("data", "")),
        "target": [model.target] if isinstance(model.target, str) else list(model.target),
        "task": model.task,
        "seed": model.kept.get("seed"),
        "units": shown_units(decisions.units) or None,
        "dropout": str(decisions.dropout),
        "epochs": None if decisions.epochs >= UNBOUNDED else decisions.epochs,
        "effort": decisions.effort,
    }
    for name in _SAME:
        found[name.replace("_", "-")] = getattr(decisions, name)
    if decisions.validation_split:
        found["validation-split"] = decisions.validation_split
    return found


def _key(name: str) -> str:
    plain = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if plain else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):  # TOML's basic strings are JSON's, but for U+007F
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
