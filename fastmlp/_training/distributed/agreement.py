"""Check that all ranks have the same model, arguments and data."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ... import _kernels
from ..._utils.version import __version__
from ...errors import DataError
from ..arguments import Arguments
from ..run_state import describe_data
from .ranks import Ranks

if TYPE_CHECKING:
    from ..._model.model import Model


def describe(model: Model, arguments: Arguments, data: tuple[Any, Any]) -> dict[str, Any]:
    """Return what must be the same on all ranks, or its digest, by the name in messages."""
    assert model.optimizer is not None and model.loss is not None
    layers = [
        [layer.units, layer.activation, layer.use_bias, repr(layer.kernel_regularizer),
         repr(layer.bias_regularizer), layer.trainable]
        for layer in model.dense_layers
    ]  # fmt: skip
    rates = [getattr(layer, "rate", None) for layer in model.layers]
    edges = None if model.encoding is None else model.encoding.edges
    compiled = [model.optimizer.engine_options(), model.loss.name, model.metrics_names]
    parts = {
        "The version of fastmlp": __version__,
        "The instruction set (FASTMLP_ISA)": _kernels.isa(),
        "The model": _digest([model.n_inputs, model.dtype.name, edges, layers, rates, compiled]),
        "The arguments of fit": _digest({**arguments.to_dict(), "verbose": 0}),
    }
    if model.resumed is not None:
        parts["The run to resume"] = _digest([model.resumed.progress, model.resumed.seed])
    return parts | describe_data(*data)


def _digest(value: Any) -> dict[str, str]:
    text = json.dumps(value, sort_keys=True, default=str)
    return {"digest": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}


def check_same(ranks: Ranks, found: dict[str, Any]) -> None:
    """Raise DataError, the same on all ranks, unless all descriptions are the same."""
    everyone = ranks.allgather(found)
    for rank, other in enumerate(everyone):
        for name, value in everyone[0].items():
            if other.get(name) == value:
                continue
            shown = [_shown(part) for part in (value, other.get(name))]
            detail = "" if shown[0] == shown[1] else f": {shown[1]} instead of {shown[0]}"
            raise DataError(
                f"{name} must be the same on all ranks. Received: another on rank {rank} of "
                f"{ranks.size} than on rank 0{detail}"
            )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"shape {tuple(value['shape'])}" if "shape" in value else ""
    return "none" if value is None else str(value)
