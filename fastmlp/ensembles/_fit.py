"""`fastmlp.ensemble`: checks the arguments, and makes and trains the networks."""

from __future__ import annotations

import numbers
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import losses, tabular
from .._kernels import memory
from .._many.cross_validation import target_named
from .._many.engines import engine
from .._model.clone import clone
from .._training import data
from .._training.arguments import Arguments
from .._utils import arguments as _arguments
from .._utils import arrays
from .._utils.progress import say
from ..errors import DataError
from ..models import Sequential, mlp
from ..preprocessing import split
from ..tabular import Prepared
from ._ensemble import Ensemble
from ._table_members import KEYWORDS, TableMembers, kinds
from ._training import Training

_MAX_MEMBERS = 1_000_001
# Defaults for arrays; for a table they are decided.
_PLAIN = {"activation": "relu", "output_activation": "linear", "dropout": 0.0,
          "optimizer": "adam", "loss": "mean_squared_error"}  # fmt: skip
_PLAIN_EPOCHS, _PLAIN_BATCH = 100, 32
_MORE = ("group_l1", "groups", "proximal", "learning_rate")  # further words of a network


def check_keywords(given: dict[str, Any], is_table: bool) -> None:
    """Raise for keywords that nothing knows, or that describe a table where arrays are given."""
    for name, value in given.items():
        if name not in KEYWORDS and name not in _MORE:
            raise TypeError(f"ensemble() has no argument {name!r}")
        if not is_table and value is not None:
            raise ValueError(
                f"{name} describes a table whose target is named. "
                f"Received: {name}={_arguments.shown(value)}, and y as an array"
            )


def fit(**given: Any) -> Ensemble:
    """Train an ensemble; see `fastmlp.ensemble`."""
    training: list[Training] = []
    try:
        made = _fit(training, **given)
    except KeyboardInterrupt as stop:
        left = training[0].ensemble(partial=True) if training else None
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
    """Check the arguments, add the training to `begun`, and run it."""
    named, y = target_named(x, y, given.pop("target"))
    table = given.pop("table")
    check_keywords(table, named)
    if named:
        given |= {name: table.pop(name) for name in _MORE if name in table}
        given.setdefault("learning_rate", None)
        prepared = _prepared(x, y, units, given, table)
        if verbose:
            for note in [*prepared.notes, prepared.sentence()]:
                say(note, sys.stderr)
        return of_prepared(begun, prepared, units, members, given, jobs, cluster, threads, verbose)
    if units is None:
        raise ValueError("units must say which networks to train, if y is an array. Received: None")
    given["epochs"] = _PLAIN_EPOCHS if given["epochs"] is None else given["epochs"]
    given["batch_size"] = _PLAIN_BATCH if _is_auto(given["batch_size"]) else given["batch_size"]
    if given["validation_split"] is None:
        given["validation_split"] = 0.0
    names = ("batch_size", "epochs", "shuffle", "validation_split")
    batch_size, *rest = (given.pop(name) for name in names)
    everything = batch_size is None
    arguments = Arguments(1 if everything else batch_size, rest[0], verbose, rest[2], rest[1])
    seeds = _seeds(members, given.pop("seed"), given.pop("seeds"))
    bootstrap = _arguments.flag("bootstrap", given.pop("bootstrap"))
    folds, validation_data = given.pop("folds"), given.pop("validation_data")
    weight = given.pop("sample_weight")
    x, y = arrays.numeric("x", x), arrays.numeric("y", y)
    for name, array in (("x", x), ("y", y)):  # their shapes set the width of the networks
        if array.ndim not in (1, 2) or not array.size:
            raise DataError(
                f"{name} must have shape (n, k) and not be empty. Received: shape {array.shape}"
            )
    plain = {n: _PLAIN[n] if n in _PLAIN and v is None else v for n, v in given.items()}
    templates = _templates(x, y, units, **plain)
    _warn_unused(units, given)
    for template in templates:  # raise before anything is trained if one does not fit the data
        template.adapt(x)
        rows = data.checked(template, x, y, weight)
    validation = None
    if validation_data is not None:
        split = {"validation_split": arguments.validation_split}
        _arguments.warn_unused(
            "validation_data takes the place of a split", split, {"validation_split": 0.0}
        )
        validation = data.validation_rows(templates[0], validation_data)
    else:
        rows, validation = _split(templates[0], rows, arguments.validation_split, seeds[0])
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
        training.run(workers)
    made = training.ensemble()
    assert made is not None
    return made


def _is_auto(batch_size: Any) -> bool:
    return isinstance(batch_size, str) and batch_size == "auto"


def _prepared(
    x: Any, target: Any, units: Any, given: dict[str, Any], table: dict[str, Any]
) -> Prepared:
    """Prepare a table, and decide what is not given."""
    words = {**table, "validation_split": given["validation_split"]}
    if given["validation_data"] is not None:
        if table.get("validation") is not None:
            raise ValueError("validation and validation_data are the same. Received: both")
        words["validation"] = given["validation_data"]
    for name in ("activation", "dropout", "optimizer", "loss", "metrics", "epochs"):
        words[name] = given[name]
    if not _is_auto(given["batch_size"]):
        words["batch_size"] = given["batch_size"]
    for name in ("output_activation", "sample_weight"):
        if given[name] is not None:
            what = "a table names a column: weight" if name == "sample_weight" else (
                "a table's target decides it"
            )  # fmt: skip
            raise DataError(f"{name} is for arrays; {what}. Received: {name}")
    if given["dtype"] != "float32":
        raise ValueError(f"dtype is for arrays. Received: dtype={given['dtype']!r}, and a table")
    if given["folds"] is not None:
        for name in ("validation_split", "validation", "group", "time"):
            if words.get(name) is not None:
                raise ValueError(f"{name} and folds exclude each other. Received: both")
        words["validation_split"] = 0.0
    architectures = [] if units is None else _architectures(units)
    if len(architectures) == 1 and not isinstance(architectures[0], Sequential):
        words["units"] = architectures[0]
    seed = given["seed"] if given["seeds"] is None else _seeds(1, None, given["seeds"])[0]
    words["learning_rate"] = given["learning_rate"]
    return tabular.prepared(x, target, seed=seed, **words)


def of_prepared(
    begun: list[Training],
    prepared: Prepared,
    units: Any,
    members: Any,
    given: dict[str, Any],
    jobs: int | None,
    cluster: str | None,
    threads: int | None,
    verbose: Any,
) -> Ensemble:
    """Train an ensemble on a prepared table.

    Parameters
    ----------
    begun : list of Training
        The training is added, so that an interruption finds it.
    prepared : Prepared
    units, members, jobs, cluster, threads, verbose
        See `ensemble`.
    given : dict
        The arguments of `ensemble` that say which members there are.

    Returns
    -------
    Ensemble
    """
    if len(prepared.targets) > 1:
        raise ValueError(f"an ensemble takes one target. Received: {prepared.targets}")
    seeds = given["seeds"]
    seeds = _seeds(members, prepared.seed if seeds is None else None, seeds)
    bootstrap = _arguments.flag("bootstrap", given["bootstrap"])
    more = {"group_l1": given.get("group_l1") or 0.0, "groups": given.get("groups", "units"),
            "proximal": given.get("proximal", False)}  # fmt: skip
    grid = _lambdas(given["lambdas"], given["penalty"], given["l1"], given["l2"])
    penalties = [
        {**more, **one, "proximal": more["proximal"] and bool(np.any(one["l1"]))} for one in grid
    ]
    if all(given.get(name) is None for name in ("lambdas", "l1", "l2", "group_l1")):
        penalties = [{}]  # the decided one
    chosen = kinds(prepared, [] if units is None else _architectures(units), penalties)
    parts = None
    if given["folds"] is not None:
        parts = _parts(given["folds"], len(prepared.y), seeds[0], bootstrap)
    training = TableMembers(chosen, seeds, bootstrap, parts, verbose)
    begun.append(training)
    with engine(jobs, cluster, threads) as workers:
        training.run(workers)
    made = training.ensemble()
    assert made is not None
    training.described(made)
    return made


def _warn_unused(units: Any, given: dict[str, Any]) -> None:
    """Warn of arguments that describe networks if all networks are given as models."""
    defaults = _arguments.defaults_of(ensemble)
    made = _architectures(units)
    if all(isinstance(part, Sequential) for part in made):
        named = {name: given[name] for name in given if name not in ("lambdas", "penalty")}
        _arguments.warn_unused("units holds compiled models, which already say it", named, defaults)
    if given["lambdas"] is None:
        named = {"penalty": given["penalty"]}
        _arguments.warn_unused(
            "it names the penalty of lambdas, and no lambdas are given", named, defaults
        )


def _seeds(members: Any, seed: Any, seeds: Any) -> list[int]:
    members = _arguments.below("members", members, _MAX_MEMBERS)
    if seeds is None:
        first = _arguments.seed(seed)
        return [first + i for i in range(members)]
    if seed is not None:
        raise ValueError("seed and seeds exclude each other. Received: both")
    given = _arguments.items("seeds", seeds, "integers")
    default = _arguments.defaults_of(ensemble)["members"]
    if members not in (default, len(given)):
        _arguments.warn_unused(
            "seeds is given, and there is one member for each seed",
            {"members": members},
            {"members": default},
        )
    found = [_arguments.integer("a seed in seeds", value, 0) for value in given]
    if not found or len(set(found)) < len(found):
        raise ValueError(
            "seeds must hold at least one seed, and no seed twice: its networks would be the "
            f"same. Received: seeds={seeds!r}"
        )
    return found


def _architectures(units: Any) -> list[Any]:
    """Return `units` as a list with an entry for each architecture."""
    if isinstance(units, (str, Sequential)):
        return [units]
    if not isinstance(units, (list, tuple, np.ndarray)):
        raise ValueError(
            "units must be a string such as '64x2', widths such as [64, 64], a compiled model, or "
            f"a list of these. Received: units={units!r}"
        )
    given = list(units)
    return [given] if all(isinstance(part, numbers.Integral) for part in given) else given


def _lambdas(lambdas: Any, penalty: Any, l1: Any, l2: Any) -> list[dict[str, Any]]:
    """Return the arguments l1 and l2 of `mlp` for each lambda."""
    _arguments.one_of("penalty", penalty, ("l1", "l2"))
    if lambdas is None:
        return [{"l1": 0.0 if l1 is None else l1, "l2": 0.0 if l2 is None else l2}]
    if np.any(l1) or np.any(l2):
        raise ValueError("lambdas and l1 or l2 exclude each other. Received: both")
    if isinstance(lambdas, numbers.Real):
        lambdas = [lambdas]
    values = _arguments.items("lambdas", lambdas, "numbers")
    found = [_arguments.non_negative("a value in lambdas", value) for value in values]
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
                raise RuntimeError(architecture.why_not_compiled())
            if lambdas is not None:
                raise ValueError("lambdas need units as widths. Received: a compiled model")
            templates.append(clone(architecture))
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
            templates.append(clone(model))
    kinds = {(m.n_outputs, m.dtype.name, getattr(m.loss, "name", "")) for m in templates}
    if len(kinds) > 1:
        raise ValueError(
            "The models of an ensemble must have the same outputs, type and loss. "
            f"Received: {', '.join(map(str, sorted(kinds, key=str)))}"
        )
    return templates


def _split(
    model: Sequential, rows: data.Rows, share: float, seed: int
) -> tuple[data.Rows, data.Rows | None]:
    """Draw a share of the rows for validation, of a classifier the same share of each class."""
    if not share:
        return rows, None
    assert model.loss is not None
    classes = None
    if model.loss.name.endswith("crossentropy"):
        if rows.y.shape[1] == 1:
            classes = rows.y[:, 0]
        elif model.loss.name == "categorical_crossentropy":
            classes = rows.y.argmax(axis=1)
    places = split(len(rows.x), share, seed, classes)
    training, held = (
        data.Rows(rows.x[at], rows.y[at], None if rows.weight is None else rows.weight[at])
        for at in places
    )
    return training, held


def _parts(folds: Any, n: int, seed: int, bootstrap: bool) -> list[np.ndarray]:
    """Return the rows that each fold holds out."""
    count = _arguments.integer("folds", folds, 2)
    if count > n:
        raise DataError(f"folds must not be more than the rows. Received: folds={count}, {n} rows")
    if bootstrap:
        raise ValueError("bootstrap and folds exclude each other. Received: both")
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,))).permutation(n)
    return [np.sort(part) for part in np.array_split(order, count)]


def ensemble(
    x: Any,
    y: Any = None,
    units: Any = None,
    members: int = 10,
    *,
    target: str | None = None,
    activation: str | Sequence[str] | None = None,
    output_activation: str | None = None,
    l1: float | Sequence[float] | None = None,
    l2: float | Sequence[float] | None = None,
    dropout: float | Sequence[float] | None = None,
    lambdas: Sequence[float] | None = None,
    penalty: str = "l2",
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = None,
    epochs: int | None = None,
    batch_size: int | str | None = "auto",
    shuffle: bool = True,
    sample_weight: Any = None,
    bootstrap: bool = False,
    folds: int | None = None,
    validation_split: float | None = None,
    validation_data: Any = None,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    dtype: str = "float32",
    jobs: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    verbose: int | str = 1,
    **table: Any,
) -> Ensemble:
    """Train many networks at once, and return them as one ensemble.

    A table whose target is named is treated as `fastmlp.fit` treats it, and each member is trained
    as its network is: whatever is not given is decided from the table, and the epoch that is best
    on the rows held out is kept. `tabular.TableModel` of the result takes tables. Arrays x and y
    have plain defaults instead.

    Every combination of architecture, lambda, fold and seed, in this order, gives one network.
    Its weights equal, bit for bit, those of the same network trained alone:
    ``models.mlp(units, n_inputs, n_outputs, seed=seeds[i], ...)``, compiled and fitted with the
    same arguments. They do not depend on the number of threads. Tiny networks of one
    architecture are trained as a stack, one per SIMD lane; small networks get a thread each, and
    large networks all threads.

    Parameters
    ----------
    x : array-like of shape (n, n_inputs)
    y : array-like of shape (n, n_outputs) or (n,)
    units : str, sequence of int, Sequential, or list of these
        One or several architectures: widths of hidden layers, as in `models.mlp`, or a compiled
        model, of which only the architecture and the compilation are used. With a model,
        `activation` to `dropout`, `optimizer`, `loss`, `metrics` and `dtype` have no effect.
    members : int
        Number of networks, with different seeds, of each architecture, lambda and fold.
    activation, output_activation, l1, l2, dropout
        See `models.mlp`.
    lambdas : sequence of float, optional
        Values of the penalty, used for the weights of every layer; l1 and l2 must be 0.
    penalty : {'l1', 'l2'}
        The penalty that `lambdas` sets.
    optimizer, loss, metrics
        See `Sequential.compile`.
    epochs, batch_size, shuffle, sample_weight
        See `Sequential.fit`; batch_size None means all rows.
    bootstrap : bool
        Bagging: each network is trained on n rows, drawn with replacement by
        ``numpy.random.default_rng(numpy.random.SeedSequence(seed, spawn_key=(2,)))`` of its own
        seed.
    folds : int, optional
        Cross-validation: the rows are divided into this many parts, at random by the first seed;
        each network is trained on all parts but one, with the rows in their original order.
    validation_split : float
        Share of the rows to hold out, drawn at random by the first seed, of each class the same
        share. The noise is estimated on them; no network is trained on them.
    validation_data : tuple (x, y), optional
        Rows to estimate the noise on, instead of a split.
    seed : int, optional
        Member i has the seed `seed` + i. Drawn if neither `seed` nor `seeds` is given.
    seeds : sequence of int, optional
        The members' seeds, all different, instead of `seed`.
    dtype : {'float32', 'float64'}
    jobs : int, optional
        Number of worker processes, through joblib. By default, the workers of an active
        ``joblib.parallel_config`` (whose backend may be Dask), or else threads of this process.
    cluster : str, optional
        The address of a Dask scheduler, "tcp://host:8786".
    threads : int, optional
        Number of threads; see `fastmlp.set_num_threads` for the default. With `jobs` or
        `cluster`, the number of each worker.
    verbose : {0, 1}
        1: a progress line on stderr once training has taken a second.

    Returns
    -------
    Ensemble
        Networks whose training diverged are left out, with a RuntimeWarning; `Ensemble.diverged`
        lists them.

    Raises
    ------
    DataError
        If the data cannot be used.
    ValueError
        If an argument is invalid; the message says what was received.
    DivergedError
        If every network diverged.
    KeyboardInterrupt
        On Ctrl-C. Its attribute ``ensemble`` holds the networks that were fully trained by then,
        or if there are none, those with at least one epoch, or None.

    References
    ----------
    Breiman (1996), Machine Learning 24: bagging. Lakshminarayanan, Pritzel & Blundell (2017),
    NeurIPS: deep ensembles.
    """
    return fit(**dict(locals()))
