"""The settings with which a model is trained again, as TOML."""

from __future__ import annotations

import json
from typing import Any

from .. import lecture
from ..ensembles import Ensemble
from ..tabular import UNBOUNDED, Decisions, shown_units
from ._subject import Subject

_CONFIG = "config"  # among a model's extras: what `fastmlp train` was called with
# Decisions that are options of `fastmlp train` under the same name.
_SAME = ("activation", "optimizer", "learning_rate", "schedule", "batch_size", "loss", "bins")
# What was printed and written does not make another network.
_OF_OUTPUT = (
    "dry-run",
    "find-rate",
    "force",
    "json",
    "output",
    "plot",
    "quiet",
    "report",
    "verbose",
)


def recipe(model: Subject) -> str:
    """Return the configuration with which `command` trains the model again.

    Parameters
    ----------
    model : Subject

    Returns
    -------
    str
        TOML: what the command was called with, or the decisions of `fastmlp.fit`. Empty if the
        model keeps neither.
    """
    given = model.network.extras.get(_CONFIG)
    if not isinstance(given, dict) or not given:
        given = {} if model.decided is None else _decided(model, model.decided)
    return "".join(f"{_key(name)} = {_toml(value)}\n" for name, value in given.items()
                   if value is not None and name not in _OF_OUTPUT)  # fmt: skip


def command(model: Subject) -> str:
    """Return the command that trains the model again, with `recipe` in the file model.toml.

    Parameters
    ----------
    model : Subject

    Returns
    -------
    str
        Empty if the model keeps no settings.
    """
    network = model.network
    if not recipe(model):
        known = model.lecture_task and network.name in lecture.CATALOGUE
        return f"fastmlp catalogue {network.name} -o lecture" if known else ""
    if "path" in network.extras:
        return "fastmlp path --config model.toml -o model"
    if isinstance(network, Ensemble) and model.decided is None:
        return "fastmlp ensemble --config model.toml -o model.fmlp"
    return "fastmlp train --config model.toml -o model.fmlp"


def _decided(model: Subject, decisions: Decisions) -> dict[str, Any]:
    found: dict[str, Any] = {
        "data": model.source,
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
