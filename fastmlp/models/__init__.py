"""Networks: `Sequential`, `mlp`, and reading models and runs from files.

_sequential  the class `Sequential`, whose methods call the services
_mlp         `mlp`: make a multilayer perceptron in one call
_files       `load_model` and `resume`
"""

from __future__ import annotations

from .._model.architecture import parse_layer_values, parse_units
from ._files import load_model, resume
from ._mlp import mlp
from ._sequential import Sequential, _unbuilt, from_bytes  # noqa: F401 - pickles name _unbuilt

__all__ = [
    "Sequential",
    "from_bytes",
    "load_model",
    "mlp",
    "parse_layer_values",
    "parse_units",
    "resume",
]
