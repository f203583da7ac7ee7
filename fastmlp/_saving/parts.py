"""A model taken apart for writers of other formats, and what readers of other formats return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from .._model.architecture import parse_layer_values
from .._utils.arrays import describe
from ..errors import ModelFileError
from ..layers import Layer, activation_name
from .untrusted import BadFileError

if TYPE_CHECKING:
    from .._model.model import Model
    from ..preprocessing import Preprocessing


MOST_LAYERS = 4096  # in a file to import: even a tiny layer takes memory


# The arrays of a piecewise-linear encoding: see `PiecewiseLinear.kernel_arrays`.
Encoding = tuple[np.ndarray, np.ndarray, np.ndarray]


class WrongArgumentError(ValueError):
    """An argument does not fit the file; the file itself is sound."""


@dataclass(frozen=True)
class DensePart:
    """One dense layer: activation(x @ weights + bias).

    Parameters
    ----------
    weights : ndarray of shape (n_in, units)
        In `StackedNetworks`, this and the bias have an axis of networks in front.
    bias : ndarray of shape (units,), or None
    activation : str
    name : str
    """

    weights: np.ndarray
    bias: np.ndarray | None
    activation: str
    name: str


class _Group(Protocol):
    """Networks of one architecture, as `NetworkGroup` holds them."""

    parameters: list[np.ndarray]

    @property
    def template(self) -> Model: ...


@runtime_checkable
class Grouped(Protocol):
    """What writers read of an `Ensemble`."""

    name: str
    extras: dict[str, Any]

    def __len__(self) -> int: ...

    @property
    def groups(self) -> Sequence[_Group]: ...

    @property
    def n_inputs(self) -> int: ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def dtype(self) -> np.dtype: ...


@dataclass(frozen=True)
class StackedNetworks:
    """Networks that differ in their weights only.

    Parameters
    ----------
    layers : list of DensePart
        Weights of shape (networks, n_in, units), biases of shape (networks, units).
    encoding : int, or None
        Which of the encodings of `MeanOfNetworks` their first layer takes.
    """

    layers: list[DensePart]
    encoding: int | None

    def __len__(self) -> int:
        return len(self.layers[0].weights)

    @property
    def size(self) -> int:
        """Number of weights and biases."""
        return sum(p.weights.size + (0 if p.bias is None else p.bias.size) for p in self.layers)


@dataclass(frozen=True)
class MeanOfNetworks:
    """A model, or an ensemble, taken apart: its output is the mean of its networks' outputs.

    Parameters
    ----------
    stacks : list of StackedNetworks
        One for each architecture.
    encodings : list of Encoding
        Of the inputs; no two are equal.
    n_inputs, n_outputs : int
        Of each network.
    dtype : dtype
    preprocessing : Preprocessing, or None
    """

    stacks: list[StackedNetworks]
    encodings: list[Encoding]
    n_inputs: int
    n_outputs: int
    dtype: np.dtype
    preprocessing: Preprocessing | None

    def __len__(self) -> int:
        return sum(map(len, self.stacks))


class Foreign(NamedTuple):
    """The content of a foreign file; `interchange` makes a model from it.

    Attributes
    ----------
    layers : sequence of Layer
        Dense and Dropout.
    n_inputs : int
    arrays : list of (weights, bias or None)
        For each Dense layer.
    name : str or None
    """

    layers: Sequence[Layer]
    n_inputs: int
    arrays: list[tuple[np.ndarray, np.ndarray | None]]
    name: str | None = None


def parts(model: Model) -> list[DensePart]:
    """Return the dense layers of a model, their arrays as views.

    Parameters
    ----------
    model : Model
        Built; its weights are drawn if they were not yet.
    """
    from .._model.model import Model

    if not isinstance(model, Model):
        raise ValueError(f"model must be a Sequential. Received: {describe(model)}")
    network = model.network
    return [
        DensePart(network.weights(i), network.bias(i) if layer.use_bias else None,
             layer.activation, layer.name)
        for i, layer in enumerate(model.dense_layers)
    ]  # fmt: skip


def taken_apart(model: Model | Grouped) -> MeanOfNetworks:
    """Return what a model or an ensemble computes, its arrays as views where that is possible.

    Parameters
    ----------
    model : Model or Ensemble

    Raises
    ------
    ModelFileError
        If its preprocessing is damaged, or does not fit its networks.
    """
    encodings: list[Encoding] = []
    if isinstance(model, Grouped):
        stacks = _joined(model.groups, encodings)
    else:
        layers = [
            DensePart(
                part.weights[None],
                None if part.bias is None else part.bias[None],
                part.activation,
                part.name,
            )
            for part in parts(model)
        ]
        stacks = [StackedNetworks(layers, _place(model, encodings))]
    n_inputs, n_outputs = model.n_inputs, model.n_outputs
    assert n_inputs is not None and n_outputs is not None
    state = preprocessing_of(model)
    return MeanOfNetworks(stacks, encodings, n_inputs, n_outputs, model.dtype, state)


def _place(model: Model, encodings: list[Encoding]) -> int | None:
    """Return the index of a model's encoding among those that are known; a new one is added."""
    encoding = model.kernel_encoding(model.dtype)
    if encoding is None:
        return None
    for i, known in enumerate(encodings):
        if all(map(np.array_equal, encoding, known)):
            return i
    encodings.append(encoding)
    return len(encodings) - 1


def _joined(groups: Sequence[_Group], encodings: list[Encoding]) -> list[StackedNetworks]:
    """Return one stack for each architecture; groups may differ in their penalties alone."""
    alike: dict[tuple[Any, ...], list[list[DensePart]]] = {}
    for group in groups:
        arrays = iter(group.parameters)
        layers = [
            DensePart(next(arrays), next(arrays) if layer.use_bias else None,
                 layer.activation, layer.name)
            for layer in group.template.dense_layers
        ]  # fmt: skip
        shapes = [(p.weights.shape[1:], p.bias is None, p.activation) for p in layers]
        alike.setdefault((_place(group.template, encodings), *shapes), []).append(layers)
    return [
        StackedNetworks([_concatenated(same) for same in zip(*found, strict=True)], key[0])
        for key, found in alike.items()
    ]


def _concatenated(same: Sequence[DensePart]) -> DensePart:
    first = same[0]
    if len(same) == 1:
        return first
    weights = np.concatenate([part.weights for part in same])
    biases = [part.bias for part in same if part.bias is not None]
    return DensePart(
        weights, np.concatenate(biases) if biases else None, first.activation, first.name
    )


def bins_last(encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    """Return where an encoding that is made by concatenation has its columns.

    Parameters
    ----------
    encoding : Encoding

    Returns
    -------
    rows : ndarray of int, shape (n_outputs,)
        The first layer's rows of weights: those of the numbers themselves, then of all bins.
    counts : ndarray of int, shape (n_inputs,)
        Number of bins of each number.
    """
    first = encoding[0]
    bins = np.delete(np.arange(first[-1]), first[:-1])
    return np.concatenate([first[:-1], bins]), np.diff(first) - 1


def preprocessing_of(model: Model | Grouped) -> Preprocessing | None:
    """Return the preprocessing that a model keeps; None if it has none.

    Raises
    ------
    ModelFileError
        If it is damaged, or does not fit the network.
    """
    from ..preprocessing import Preprocessing

    if "preprocessing" not in model.extras:
        return None
    state = Preprocessing.of(model)
    if (state.n_inputs, state.n_outputs) != (model.n_inputs, model.n_outputs):
        raise ModelFileError(
            f"model {model.name!r}: its preprocessing gives {state.n_inputs} inputs and "
            f"{state.n_outputs} outputs, its network has {model.n_inputs} and {model.n_outputs}"
        )
    return state


def activations(hidden: str | Sequence[str] | None, output: str | None, n_layers: int) -> list[str]:
    """Return the activation of each dense layer, from a caller's arguments.

    Parameters
    ----------
    hidden : str or sequence of str, optional
        Activation of the hidden layers, one for all or one each; relu by default.
    output : str, optional
        Activation of the last layer; linear by default.
    n_layers : int

    Returns
    -------
    list of str
    """
    given = ["relu"] if hidden is None else [hidden] if isinstance(hidden, str) else list(hidden)
    names = [activation_name(name) for name in given]
    if n_layers == 1:
        if hidden is not None:
            raise WrongArgumentError(
                f"activation is for hidden layers, and the file has none. Received: {hidden!r}"
            )
        return [activation_name(output)]
    try:
        spread = parse_layer_values("activation", names, n_layers - 1, "hidden layer")
    except ValueError as error:
        raise WrongArgumentError(str(error)) from None
    return [*spread, activation_name(output)]


def check_array(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise BadFileError(f"{what} must have shape {shape}, not {array.shape}")
    # min and max, not isfinite(), which would allocate an array. Both return NaN if there is one.
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise BadFileError(f"{what} holds a value that is not finite")
