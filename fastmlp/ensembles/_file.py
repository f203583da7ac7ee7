"""The file of an ensemble: the stacked arrays of every group of members, and JSON; no code.

It is a model file of the kind 'ensemble'. For each group its JSON holds the description of a model
without weights, and the members' seeds and folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from .._many.group import NetworkGroup
from .._saving import fmlp
from .._saving.untrusted import BadFileError, of_type, take
from ..models import Sequential
from ._members import Members

_MAX_LOSSES = 200_000  # values of loss curves that a file keeps

M = TypeVar("M", bound=Members)


def _kept_epochs(made: Members) -> list[int]:
    """Return the indices of the epochs whose losses are stored; the last epoch always is."""
    n = len(made.groups[0].epochs)
    step = max(1, -(-n * len(made) // _MAX_LOSSES))
    return list(range(n - 1, -1, -step))[::-1]


def to_bytes(made: Members) -> bytes:
    """Return the content of an ensemble's file; equal for equal ensembles."""
    arrays: dict[str, np.ndarray] = {}
    groups = []
    kept = _kept_epochs(made)
    for g, group in enumerate(made.groups):
        at = 0
        for i, layer in enumerate(group.template.dense_layers):
            for part in ("weights", "bias")[: len(layer.shapes)]:
                arrays[f"groups.{g}.layers.{i}.{part}"] = group.parameters[at]
                at += 1
        arrays[f"groups.{g}.losses"] = group.losses[:, kept].astype(np.float64)
        groups.append(
            {
                "model": {
                    **group.template.get_config(),
                    "compile": fmlp.compilation(group.template),
                },
                "seeds": group.seeds,
                "epochs": [group.epochs[i] for i in kept],
                "folds": group.folds,
                "training_config": group.training_config,
            }
        )
    noise = made.noise_sd
    table = {
        "kind": "ensemble",
        "version": fmlp.VERSION,
        "name": made.name,
        "groups": groups,
        "noise_sd": None if noise is None else noise.tolist(),
        "noise_source": made.noise_source,
        "training_config": made.training_config,
        "diverged": made.diverged,
        "interrupted": made.interrupted,
        "extras": made.extras,
    }
    return fmlp.packed(arrays, table)


def _group(
    g: int, table: Any, arrays: dict[str, np.ndarray], custom: Mapping[str, Any]
) -> NetworkGroup:
    of_type("a group", table, dict)
    described = take(table, "model", dict)
    template = fmlp.described_model(Sequential, described, len(arrays))
    if described.get("compile") is not None:
        fmlp.compile_as(template, described["compile"], custom)
    seeds = [of_type("a seed", seed, int) for seed in take(table, "seeds", list)]
    epochs = [of_type("an epoch", epoch, int) for epoch in take(table, "epochs", list)]
    if not seeds or min(seeds) < 0:
        raise BadFileError("a group has no members, or a seed below 0")
    if not epochs or sorted(set(epochs)) != epochs or epochs[0] < 1:
        raise BadFileError("'epochs' must ascend from 1 or more")
    folds = table.get("folds")
    if folds is not None:
        folds = [of_type("a fold", fold, int) for fold in of_type("'folds'", folds, list)]
        if len(folds) != len(seeds):
            raise BadFileError("'folds' must have an entry for each member")
    expected: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    for i, layer in enumerate(template.dense_layers):
        for part, shape in zip(("weights", "bias"), layer.shapes, strict=False):
            name = f"groups.{g}.layers.{i}.{part}"
            expected[name] = (len(seeds), *shape), template.dtype
    curves = f"groups.{g}.losses"
    expected[curves] = (len(seeds), len(epochs)), np.dtype(np.float64)
    found = {name: fmlp.checked_array(name, arrays, *e) for name, e in expected.items()}
    for name in expected:
        del arrays[name]
    losses = found.pop(curves)
    config = take(table, "training_config", dict)
    parameters = [np.array(array) for array in found.values()]
    return NetworkGroup(template, seeds, parameters, np.array(losses), epochs, folds, config)


def read_ensemble(
    cls: type[M], table: dict[str, Any], arrays: dict[str, np.ndarray], custom: Mapping[str, Any]
) -> M:
    """Make an ensemble, of class `cls`, from a file's description and arrays.

    Raises
    ------
    BadFileError, DataError, ValueError, TypeError, OverflowError
        If the file is damaged.
    """
    entries = take(table, "groups", list)
    if not entries or len(entries) > len(arrays):
        raise BadFileError("it has no groups, or they do not match its arrays")
    rest = dict(arrays)
    groups = [_group(g, entry, rest, custom) for g, entry in enumerate(entries)]
    if rest:
        raise BadFileError(f"array {min(rest)!r} belongs to no group")
    kinds = {(x.template.n_inputs, x.template.n_outputs, x.template.dtype) for x in groups}
    if len(kinds) > 1:
        raise BadFileError("its groups differ in their inputs, outputs or type")
    noise, source = table.get("noise_sd"), table.get("noise_source")
    if noise is not None:
        noise = np.array([of_type("a noise", sd, float) for sd in of_type("it", noise, list)])
        if len(noise) != groups[0].template.n_outputs or not (noise >= 0).all():
            raise BadFileError("'noise_sd' must be a number of at least 0 for each output")
    if source is not None:
        of_type("'noise_source'", source, str)
    result = cls(groups, noise, source, take(table, "name", str))
    result.training_config = take(table, "training_config", dict)
    result.extras = take(table, "extras", dict)
    result.diverged = [of_type("an entry", e, dict) for e in take(table, "diverged", list)]
    result.interrupted = take(table, "interrupted", bool)
    return result
