"""Constructor arguments of the estimators, checked when fit is called."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import regularizers
from .._model.architecture import parse_layer_values, parse_units
from .._utils import arguments as _arguments
from .._utils.names import ACTIVATIONS

SOLVERS = ("adam", "lbfgs", "sgd")
SCHEDULES = ("adaptive", "constant", "invscaling")
_ACTIVATIONS = {name: name for name in ACTIVATIONS} | {
    "identity": "linear",
    "logistic": "sigmoid",
    "swish": "silu",
}


class HiddenLayers(NamedTuple):
    """Hidden layers: widths, activations by the engine's names, dropout rates."""

    units: tuple[int, ...]
    activations: tuple[str, ...]
    rates: tuple[float, ...]


class FitSettings(NamedTuple):
    """Constructor arguments, checked and given for each layer.

    Attributes
    ----------
    architecture : HiddenLayers
    factors : tuple of float
        Factor of the initial weights' variance for each layer, output included.
    l1 : list of float
        For each layer, output included.
    l2 : list of float or None
        None if alpha is used.
    """

    architecture: HiddenLayers
    factors: tuple[float, ...]
    l1: list[float]
    l2: list[float] | None


def keep(estimator: Any, arguments: dict[str, Any]) -> None:
    """Set a constructor's arguments as attributes, unchanged, as scikit-learn requires."""
    estimator.__dict__.update(
        {k: v for k, v in arguments.items() if k not in ("self", "__class__")}
    )


def _at_least_zero(value: float) -> bool:
    return value >= 0


# name: (rule in words, whether a finite number obeys it)
_NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "alpha": ("a finite number of at least 0", _at_least_zero),
    "learning_rate_init": ("a finite number above 0", lambda v: v > 0),
    "power_t": ("a finite number of at least 0", _at_least_zero),
    "tol": ("a finite number of at least 0", _at_least_zero),
    "momentum": ("a number in [0, 1]", lambda v: 0 <= v <= 1),
    "validation_fraction": ("a number in [0, 1)", lambda v: 0 <= v < 1),
    "beta_1": ("a number in [0, 1)", lambda v: 0 <= v < 1),
    "beta_2": ("a number in [0, 1)", lambda v: 0 <= v < 1),
    "epsilon": ("a finite number above 0", lambda v: v > 0),
}
_FLAGS = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "standardize")


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    _arguments.one_of(name, value, known)


def hidden_units(estimator: Any) -> list[int]:
    """Return the widths of the hidden layers; `units` replaces `hidden_layer_sizes`."""
    name, given = "units", estimator.units
    if isinstance(given, str):
        return parse_units(given)
    if given is None:
        name, given = "hidden_layer_sizes", estimator.hidden_layer_sizes
    widths = [given] if np.ndim(given) == 0 else list(given)
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, numbers.Integral) or width < 1:
            raise ValueError(
                f"{name} must hold positive integers. Received: {name}={_arguments.shown(given)}"
            )
        _arguments.below(f"a width in {name}", width, 1 << 31, words="2**31")
    return [int(width) for width in widths]


def _activations(given: Any, n_hidden: int) -> tuple[list[str], list[float]]:
    """Return each hidden layer's activation, and each layer's factor of the initial variance."""
    single = not isinstance(given, (list, tuple))
    names = [given] if single else parse_layer_values("activation", given, n_hidden, "hidden layer")
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"activation must be a name, or a list of them. Received: {given!r}")
    engine = [_arguments.lookup("activation", name, _ACTIVATIONS) for name in names]
    if single:
        engine = engine * max(n_hidden, 1)
    factors = [2.0 if name == "sigmoid" else 6.0 for name in engine] or [6.0]
    # The output layer has the factor of the last hidden layer.
    return engine[:n_hidden], [*factors[:n_hidden], factors[-1]]


# Options that each solver ignores.
_UNUSED = {
    "adam": ("learning_rate", "power_t", "momentum", "nesterovs_momentum", "max_fun"),
    "sgd": ("beta_1", "beta_2", "epsilon", "max_fun"),
    "lbfgs": ("batch_size", "learning_rate", "learning_rate_init", "power_t", "shuffle", "momentum",
              "nesterovs_momentum", "early_stopping", "validation_fraction", "beta_1", "beta_2",
              "epsilon", "n_iter_no_change"),
}  # fmt: skip


def warn_of_unused(estimator: Any, has_validation: bool) -> None:
    """Warn of arguments that differ from their defaults but have no effect.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier
        With checked arguments.
    has_validation : bool
        Whether fit was given validation data.
    """
    defaults = _arguments.defaults_of(type(estimator).__init__)

    def warn(reason: str, *names: str) -> None:
        given = {name: getattr(estimator, name) for name in names if name in defaults}
        _arguments.warn_unused(reason, given, defaults)

    solver = estimator.solver
    warn(f"solver={solver!r} does not use it", *_UNUSED[solver])
    if solver == "sgd":
        if estimator.learning_rate != "invscaling":
            warn("it is for learning_rate='invscaling'", "power_t")
        if not estimator.momentum:
            warn("momentum is 0", "nesterovs_momentum")
    if solver != "lbfgs":
        if has_validation:
            warn("X_val is given", "validation_fraction")
        elif not estimator.early_stopping:
            warn("it is for early_stopping=True", "validation_fraction")
    if estimator.l2 is not None:
        warn("l2 replaces it", "alpha")
    if estimator.units is not None:
        warn("units replaces it", "hidden_layer_sizes")


def checked(estimator: Any) -> FitSettings:
    """Check every argument of an estimator's constructor.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier

    Returns
    -------
    FitSettings

    Raises
    ------
    ValueError
        If an argument does not obey its documentation.
    """
    for name, (rule, obeys) in _NUMBERS.items():
        _arguments.number(name, getattr(estimator, name), rule, obeys)
    for name in _FLAGS:
        _arguments.flag(name, getattr(estimator, name))
    _one_of("solver", estimator.solver, SOLVERS)
    _one_of("learning_rate", estimator.learning_rate, SCHEDULES)
    _arguments.integer("max_iter", estimator.max_iter)
    _arguments.integer("max_fun", estimator.max_fun)
    patience, batch_size = estimator.n_iter_no_change, estimator.batch_size
    if not (isinstance(patience, float) and patience == math.inf):
        _arguments.integer("n_iter_no_change", patience)
    if not (isinstance(batch_size, str) and batch_size == "auto"):
        _arguments.batch_size(batch_size)
    units = hidden_units(estimator)
    activations, factors = _activations(estimator.activation, len(units))
    rates = [
        _arguments.fraction("dropout", rate)
        for rate in parse_layer_values("dropout", estimator.dropout, len(units), "hidden layer")
    ]
    if estimator.solver == "lbfgs" and any(rates):
        raise ValueError(
            "dropout needs solver='adam' or 'sgd': L-BFGS needs the same objective at every "
            f"call. Received: solver='lbfgs', dropout={estimator.dropout!r}"
        )
    n = len(units) + 1
    return FitSettings(
        HiddenLayers(tuple(units), tuple(activations), tuple(rates)),
        tuple(factors),
        regularizers.one_per_layer("l1", estimator.l1, n),
        None if estimator.l2 is None else regularizers.one_per_layer("l2", estimator.l2, n),
    )
