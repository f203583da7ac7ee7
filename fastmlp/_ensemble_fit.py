"""Trains an ensemble: checks what is given, and says which networks there are."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np

from . import _arrays, _checks, _fit_data, ensembles, losses
from ._ensemble_training import Training
from ._groups import like
from ._kernels import memory
from ._workers import engine
from .ensembles import Ensemble
from .errors import DataError
from .mlp import mlp
from .models import Sequential

_MAX_MEMBERS = 1_000_001


def fit(**given: Any) -> Ensemble:
    """Train; see `fastmlp.ensemble`."""
    training: list[Training] = []
    try:
        made = _fit(training, **given)
    except KeyboardInterrupt as stop:
        left = training[0].ensemble(some=True) if training else None
        stop.ensemble = left  # type: ignore[attr-defined]
        raise
    for entry in made.diverged:
        message = f"The network of seed {entry['seed']} is left out: {entry['message']}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    return made


def _fit(
    begun: list[Training],
    *,
    x: Any,
    y: Any,
    units: Any,
    members: Any,
    jobs: int | None,
    cluster: str | None,
    threads: int | None,
    verbose: Any,
    **given: Any,
) -> Ensemble:
    """Check everything, then train; the training is put in `begun` first."""
    names = ("batch_size", "epochs", "shuffle", "validation_split")
    batch_size, *rest = (given.pop(name) for name in names)
    everything = batch_size is None
    arguments = _fit_data.Arguments(
        1 if everything else batch_size, rest[0], verbose, rest[2], rest[1]
    )
    seeds = _seeds(members, given.pop("seed"), given.pop("seeds"))
    bootstrap = _checks.flag("bootstrap", given.pop("bootstrap"))
    folds, validation_data = given.pop("folds"), given.pop("validation_data")
    weight = given.pop("sample_weight")
    x, y = _arrays.numeric("x", x), _arrays.numeric("y", y)
    for name, array in (("x", x), ("y", y)):  # which say how wide the networks are
        if array.ndim not in (1, 2) or not array.size:
            raise DataError(
                f"{name} must have shape (n, k) and not be empty. Received: shape {array.shape}"
            )
    templates = _templates(x, y, units, **given)
    _warn_unused(units, given)
    for template in templates:  # that each fits the data, and says so before anything is trained
        rows = _fit_data.checked(template, x, y, weight)
    validation = None
    if validation_data is not None:
        split = {"validation_split": arguments.validation_split}
        _checks.warn_unused(
            "validation_data takes the place of a split", split, {"validation_split": 0.0}
        )
        validation = _fit_data._validation_rows(templates[0], validation_data)
    else:
        rows, validation = _fit_data._split(rows, arguments.validation_split)
    if everything:
        arguments.batch_size = len(rows.x)
    parts = None if folds is None else _parts(folds, len(rows.x), seeds[0], bootstrap)
    size = sum(template.count_params() * template.dtype.itemsize for template in templates)
    memory.require(
        float(size) * len(seeds) * (1 if parts is None else len(parts)),
        "an ensemble",
        f"{len(seeds):,} members for each architecture",
        "fewer members take less",
    )
    training = Training(templates, seeds, rows, validation, arguments, bootstrap, parts)
    begun.append(training)
    with engine(jobs, cluster, threads) as workers:
        training.run(threads, workers)
    made = training.ensemble()
    assert made is not None
    return made


def _warn_unused(units: Any, given: dict[str, Any]) -> None:
    """Warn of arguments that say how to make networks where none is made by them."""
    defaults = _checks.defaults_of(ensembles.ensemble)
    made = _architectures(units)
    if all(isinstance(part, Sequential) for part in made):
        named = {name: given[name] for name in given if name not in ("lambdas", "penalty")}
        _checks.warn_unused("units holds compiled models, which say it", named, defaults)
    if given["lambdas"] is None:
        named = {"penalty": given["penalty"]}
        _checks.warn_unused("it says what lambdas are of, which are not given", named, defaults)


def _seeds(members: Any, seed: Any, seeds: Any) -> list[int]:
    members = _checks.below("members", members, _MAX_MEMBERS)
    if seeds is None:
        first = Sequential().seed if seed is None else _checks.integer("seed", seed, 0)
        return [first + i for i in range(members)]
    if seed is not None:
        raise ValueError("seed and seeds exclude each other. Received: both")
    given = _checks.items("seeds", seeds, "integers")
    default = _checks.defaults_of(ensembles.ensemble)["members"]
    if members not in (default, len(given)):
        _checks.warn_unused(
            "there is a member for each of seeds", {"members": members}, {"members": default}
        )
    found = [_checks.integer("a seed in seeds", value, 0) for value in given]
    if not found or len(set(found)) < len(found):
        raise ValueError(
            "seeds must hold at least one seed, and no seed twice: its networks would be the "
            f"same. Received: seeds={seeds!r}"
        )
    return found


def _architectures(units: Any) -> list[Any]:
    """Return what `units` says as a list with an entry for each architecture."""
    if isinstance(units, (str, Sequential)):
        return [units]
    if not isinstance(units, (list, tuple, np.ndarray)):
        raise ValueError(
            "units must be such as '64x2' or [64, 64], a compiled model, or a list of these. "
            f"Received: units={units!r}"
        )
    given = list(units)
    return [given] if all(isinstance(part, numbers.Integral) for part in given) else given


def _lambdas(lambdas: Any, penalty: Any, l1: Any, l2: Any) -> list[dict[str, Any]]:
    """Return the arguments l1 and l2 of `mlp` for each lambda."""
    _checks.one_of("penalty", penalty, ("l1", "l2"))
    if lambdas is None:
        return [{"l1": l1, "l2": l2}]
    if np.any(l1) or np.any(l2):
        raise ValueError("lambdas and l1 or l2 exclude each other. Received: both")
    if isinstance(lambdas, numbers.Real):
        lambdas = [lambdas]
    values = _checks.items("lambdas", lambdas, "numbers")
    found = [_checks.non_negative("a value in lambdas", value) for value in values]
    if not found:
        raise ValueError("lambdas must hold at least one value. Received: lambdas=[]")
    if len(set(found)) < len(found):
        raise ValueError(f"The values in lambdas must differ. Received: lambdas={found}")
    return [{"l1": 0.0, "l2": 0.0, penalty: value} for value in found]


def _templates(
    x: np.ndarray,
    y: np.ndarray,
    units: Any,
    *,
    lambdas: Any,
    penalty: Any,
    l1: Any,
    l2: Any,
    optimizer: Any,
    loss: Any,
    metrics: Any,
    **network: Any,
) -> list[Sequential]:
    """Return a compiled model for each architecture and lambda."""
    templates, grid = [], _lambdas(lambdas, penalty, l1, l2)
    chosen = losses.get(loss)
    n_outputs = 1 if y.ndim < 2 else y.shape[1]
    if chosen.name == losses.SPARSE and not chosen.in_python and y.size:
        n_outputs = max(2, int(y.max()) + 1)
    for architecture in _architectures(units):
        if isinstance(architecture, Sequential):
            if architecture.loss is None:
                raise RuntimeError(architecture._why_not_compiled())
            if lambdas is not None:
                raise ValueError("lambdas are for networks given by units. Received: a model")
            templates.append(like(architecture))
            continue
        for penalties in grid:
            model = mlp(
                architecture,
                n_inputs=1 if x.ndim < 2 else x.shape[1],
                n_outputs=n_outputs,
                seed=0,
                **penalties,
                **network,
            )
            model.compile(optimizer, loss, metrics)
            templates.append(like(model))
    kinds = {(m.n_outputs, m.dtype.name, getattr(m.loss, "name", "")) for m in templates}
    if len(kinds) > 1:
        raise ValueError(
            "The models of an ensemble must have the same outputs, type and loss. "
            f"Received: {', '.join(map(str, sorted(kinds, key=str)))}"
        )
    return templates


def _parts(folds: Any, n: int, seed: int, bootstrap: bool) -> list[np.ndarray]:
    """Return the rows that each fold holds out."""
    count = _checks.integer("folds", folds, 2)
    if count > n:
        raise DataError(f"folds must not be more than the rows. Received: folds={count}, {n} rows")
    if bootstrap:
        raise ValueError("bootstrap and folds exclude each other. Received: both")
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,))).permutation(n)
    return [np.sort(part) for part in np.array_split(order, count)]
