"""Read and write PyTorch state_dicts in safetensors files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers import Dense, Dropout, Layer, activation_name
from .parts import MOST_LAYERS, Foreign, WrongArgumentError, activations, bins_last, parts
from .untrusted import BadFileError, safetensors

if TYPE_CHECKING:
    from .._model.model import Model

_KEY = "fastmlp_layers"  # in the metadata of files that `to_torch` writes
_MOST_GROUPS, _MOST_ORDERS = 16, 20_000  # limits of the search for the layers' order
_MODULES = {
    "relu": "ReLU()",
    "leaky_relu": "LeakyReLU(0.2)",
    "elu": "ELU()",
    "gelu": "GELU()",
    "silu": "SiLU()",
    "tanh": "Tanh()",
    "sigmoid": "Sigmoid()",
    "softplus": "Softplus()",
    "softmax": "Softmax(dim=1)",
}


# ---- writing -----------------------------------------------------------------------------------


# A module with the edges of bins as parameters that are not trained; in an expression, because
# PyTorch has no such module.
_ENCODER = (
    'type("PiecewiseLinear", (torch.nn.ParameterDict,), {{"__call__": torch.nn.Module.__call__, '
    '"forward": lambda self, x: torch.cat([x, '
    '((x.repeat_interleave(torch.tensor({counts}, device=x.device), 1) - self["lower"]) '
    '* self["inverse"]).clamp(0, 1)], 1)}})'
    '({{name: torch.nn.Parameter(torch.zeros({n_bins}), False) for name in ("lower", "inverse")}})'
)


def _modules(model: Model) -> Iterator[tuple[str, Dense | None]]:
    """Yield the modules of a ``torch.nn.Sequential``, and the layer of each that has weights."""
    if (encoding := model.kernel_encoding(model.dtype)) is not None:
        counts = bins_last(encoding)[1].tolist()
        yield _ENCODER.format(counts=counts, n_bins=sum(counts)), None
    for layer in model.layers:
        if isinstance(layer, Dense):
            bias = "" if layer.use_bias else ", bias=False"
            yield f"torch.nn.Linear({layer.n_inputs}, {layer.units}{bias})", layer
            if layer.activation != "linear":
                yield f"torch.nn.{_MODULES[layer.activation]}", None
        elif isinstance(layer, Dropout):
            yield f"torch.nn.Dropout({layer.rate!r})", None


def module_expression(model: Model) -> str:
    """Return the expression of a module to load the state_dict; see `interchange.torch_module`."""
    parts(model)
    modules = ", ".join(text for text, _ in _modules(model))
    return f"torch.nn.Sequential({modules}){'.double()' if model.dtype == np.float64 else ''}"


def to_torch(model: Model) -> bytes:
    """Write a model's weights as a PyTorch state_dict in safetensors.

    Names are those of a ``torch.nn.Sequential`` in which each activation and dropout is a separate
    module, as in `module_expression`. The metadata hold the activations, which `from_torch` reads.
    A PiecewiseLinear is a module with the arrays ``lower`` and ``inverse``, which `from_torch` does
    not read. Preprocessing is left out: the network takes what `Preprocessing.inputs` returns.

    Parameters
    ----------
    model : Model

    Returns
    -------
    bytes
        A file for ``safetensors.torch.load_file``.
    """
    from safetensors.numpy import save

    arrays, dense, network = {}, [], iter(parts(model))
    rows: slice | np.ndarray = slice(None)
    if (encoding := model.kernel_encoding(model.dtype)) is not None:
        rows, counts = bins_last(encoding)
        bins = rows[len(counts) :]
        arrays = {"0.lower": encoding[1][bins], "0.inverse": encoding[2][bins]}
    for place, (_, layer) in enumerate(_modules(model)):
        if layer is not None:
            part = next(network)
            dense.append(f"{place}:{part.activation}")
            arrays[f"{place}.weight"] = np.ascontiguousarray(part.weights[rows].T)
            rows = slice(None)
            if part.bias is not None:
                arrays[f"{place}.bias"] = np.ascontiguousarray(part.bias)
    # Only one key: the library writes several in an arbitrary order.
    return save(arrays, {_KEY: ",".join(dense)})


# ---- reading -----------------------------------------------------------------------------------


def _natural(name: str) -> list[Any]:
    """Return a sorting key that puts 'layer10' after 'layer9'."""
    parts_of = re.split(r"(\d{1,9})", name)  # text and numbers in turn
    return [int(part) if i % 2 else part for i, part in enumerate(parts_of)]


def _linear_layers(
    arrays: dict[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Return weights (units, n_in) and biases by the layer's name, in natural order of names."""
    rest = dict(arrays)
    found: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for name in sorted((n for n in arrays if n.rpartition(".")[2] == "weight"), key=_natural):
        stem = name[: -len(".weight")] if "." in name else ""
        bias = rest.pop(f"{stem}.bias" if stem else "bias", None)
        weight = rest.pop(name)
        if weight.ndim != 2 or 0 in weight.shape:
            raise BadFileError(
                f"array {name!r} has shape {weight.shape}; only linear layers can be imported, "
                "whose weights are (units, inputs)"
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            raise BadFileError(f"the bias of {stem!r} does not fit its weights")
        found[stem] = (weight, bias)
    if rest:
        raise BadFileError(f"array {min(rest)!r} is not a weight or bias of a linear layer")
    if not found:
        raise BadFileError("it holds no linear layer")
    if len(found) > MOST_LAYERS:
        raise BadFileError(f"it has more than {MOST_LAYERS} layers")
    return found


def _orders(groups: list[list[str]], widths: dict[str, tuple[int, int]]) -> list[list[str]]:
    """Return up to two orders in which outputs fit inputs and each group keeps its order."""
    total, steps = sum(map(len, groups)), 0
    found: list[list[str]] = []
    # A state: how many layers of each group are placed, the last one, and the state before it.
    waiting: list[tuple[tuple[int, ...], str, Any]] = [((0,) * len(groups), "", None)]
    while waiting and len(found) < 2:
        state = waiting.pop()
        placed, last, _ = state
        if sum(placed) == total:
            found.append(_names(state))
        for g, group in enumerate(groups):
            steps += 1
            if steps > _MOST_ORDERS:
                return []
            if placed[g] < len(group):
                name = group[placed[g]]
                if state[2] is None or widths[last][1] == widths[name][0]:
                    more = tuple(t + (i == g) for i, t in enumerate(placed))
                    waiting.append((more, name, state))
    return found


def _names(state: Any) -> list[str]:
    names = []
    while state[2] is not None:
        names.append(state[1])
        state = state[2]
    return names[::-1]


def _in_order(
    found: dict[str, tuple[np.ndarray, np.ndarray | None]], layers: Sequence[str] | None
) -> list[str]:
    """Return the layers' names in the order in which the network has them."""
    widths = {name: (w.shape[1], w.shape[0]) for name, (w, _) in found.items()}
    if layers is not None:
        order = list(layers)
        if sorted(order) != sorted(found):
            raise WrongArgumentError(
                f"layers must name each of {', '.join(map(repr, found))} once. "
                f"Received: {', '.join(map(repr, order))}"
            )
    else:
        # Names that differ only in a number define an order; otherwise widths must determine it.
        groups: dict[str, list[str]] = {}
        for name in found:
            groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
        orders = [list(found)] if len(groups) == 1 else []
        if 1 < len(groups) <= _MOST_GROUPS:
            orders = _orders(list(groups.values()), widths)
        if len(orders) != 1:
            names = ", ".join(f"{n!r} ({a} to {b})" for n, (a, b) in list(widths.items())[:20])
            raise BadFileError(
                f"the order of its layers is not clear: {names}; name it with the option layers"
            )
        order = orders[0]
    for before, after in itertools.pairwise(order):
        if widths[before][1] != widths[after][0]:
            raise BadFileError(
                f"layer {after!r} takes {widths[after][0]} inputs, but {before!r} before it has "
                f"{widths[before][1]} units"
            )
    return order


def _recorded(metadata: dict[str, Any], order: list[str]) -> list[str] | None:
    """Return the activations that `to_torch` recorded, if these are its layers."""
    text = metadata.get(_KEY)
    if not isinstance(text, str):
        return None
    pairs = [entry.partition(":") for entry in text.split(",", MOST_LAYERS)]
    if [pair[0] for pair in pairs] != order:
        return None
    return [activation_name(pair[2]) for pair in pairs]


def from_torch(
    data: bytes,
    activation: str | Sequence[str] | None = None,
    output_activation: str | None = None,
    layers: Sequence[str] | None = None,
) -> Foreign:
    """Return the model of a state_dict in a safetensors file.

    Parameters
    ----------
    data : bytes
    activation : str or sequence of str, optional
        Activation of the hidden layers, one for all or one each, as a state_dict has none; by
        default what `to_torch` recorded, else relu.
    output_activation : str, optional
        Activation of the last layer; linear by default.
    layers : sequence of str, optional
        Names of the linear layers in order, if the file does not determine it.

    Returns
    -------
    Foreign

    Raises
    ------
    BadFileError, ValueError
        If anything is wrong with the file, or with the arguments.
    """
    metadata, arrays = safetensors(data)
    if "fastmlp" in metadata:
        raise BadFileError("it is already a model of fastmlp")
    found = _linear_layers(arrays)
    order = _in_order(found, layers)
    chosen = None
    if activation is None and output_activation is None:
        chosen = _recorded(metadata, order)
    if chosen is None:
        chosen = activations(activation, output_activation, len(order))
    dense: list[Layer] = []
    pairs = []
    for name, function in zip(order, chosen, strict=True):
        weight, bias = found[name]
        dense.append(Dense(weight.shape[0], function, use_bias=bias is not None))
        pairs.append((weight.T, bias))
    return Foreign(dense, found[order[0]][0].shape[1], pairs)
