"""`mlp`: make a multilayer perceptron from widths, activations, penalties and rates."""

from __future__ import annotations

from collections.abc import Sequence

from .. import regularizers
from .._model.architecture import MAX_LAYERS, parse_layer_values, parse_units
from .._utils import arguments
from ..layers import Dense, Dropout, InputLayer, PiecewiseLinear
from ._sequential import Sequential


def _penalty(
    l1: float, l2: float, group: float, proximal: bool, groups: str
) -> regularizers.Regularizer | None:
    grouped = regularizers.GroupL1(group, groups)
    if not group:
        return regularizers.L1L2(l1, l2, proximal) if l1 or l2 else None
    if l1 or l2:
        raise ValueError(
            "A layer with group_l1 can have neither l1 nor l2. "
            f"Received: l1={l1:g}, l2={l2:g}, group_l1={group:g}"
        )
    return grouped


def mlp(
    units: str | Sequence[int],
    n_inputs: int,
    n_outputs: int,
    activation: str | Sequence[str] = "relu",
    output_activation: str = "linear",
    l1: float | Sequence[float] = 0.0,
    l2: float | Sequence[float] = 0.0,
    dropout: float | Sequence[float] = 0.0,
    seed: int | None = None,
    dtype: str = "float32",
    proximal: bool = False,
    group_l1: float | Sequence[float] = 0.0,
    groups: str = "units",
    bins: int = 0,
) -> Sequential:
    """Make a multilayer perceptron in one call.

    Parameters
    ----------
    units : str or sequence of int
        Widths of the hidden layers, such as "1024x5" or [64, 32].
    n_inputs, n_outputs : int
    activation : str or sequence of str
        Of the hidden layers: one for all, or one per layer.
    output_activation : str
        Of the last layer.
    l1, l2 : float or sequence of float
        Penalties on weights: one for all Dense layers, or one per layer, output included.
    dropout : float or sequence of float
        Rates after the hidden layers: one for all, or one per layer.
    seed, dtype
        See `Sequential`.
    proximal : bool
        Whether proximal steps apply the L1 penalty, which makes weights exactly zero.
    group_l1 : float or sequence of float
        Group penalties on weights: one for all Dense layers, or one per layer. A layer with a
        group penalty can have neither l1 nor l2.
    groups : {'units', 'inputs'}
        Definition of a group; see `regularizers.GroupL1`.
    bins : int
        Begin with a `layers.PiecewiseLinear` of this many bins; 0 for none.

    Returns
    -------
    Sequential
        Not compiled.
    """
    if isinstance(units, str):
        hidden = parse_units(units)
    else:
        hidden = arguments.items("units", units, "widths of hidden layers")
        if len(hidden) > MAX_LAYERS:
            raise ValueError(f"units must be {MAX_LAYERS} layers at most. Received: {len(hidden)}")
    proximal, n = arguments.flag("proximal", proximal), len(hidden)
    activations = parse_layer_values("activation", activation, n, "hidden layer")
    rates = parse_layer_values("dropout", dropout, n, "hidden layer")
    penalties = [
        _penalty(a, b, group, proximal, groups)
        for a, b, group in zip(
            regularizers.one_per_layer("l1", l1, n + 1),
            regularizers.one_per_layer("l2", l2, n + 1),
            regularizers.one_per_layer("group_l1", group_l1, n + 1),
            strict=True,
        )
    ]
    model = Sequential([InputLayer((n_inputs,))], seed=seed, dtype=dtype)
    if arguments.integer("bins", bins, 0):
        model.add(PiecewiseLinear(bins))
    for width, name, rate, penalty in zip(hidden, activations, rates, penalties, strict=False):
        model.add(Dense(width, activation=name, kernel_regularizer=penalty))
        if arguments.fraction("dropout", rate):
            model.add(Dropout(rate))
    model.add(Dense(n_outputs, activation=output_activation, kernel_regularizer=penalties[-1]))
    return model
