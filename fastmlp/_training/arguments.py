"""The arguments of fit, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._utils import arguments


def check_verbose(verbose: Any) -> None:
    """Raise unless `verbose` is 0, 1, 2 or 'auto', which means 1."""
    if not (isinstance(verbose, str) and verbose == "auto"):
        arguments.verbosity(verbose)


def _validation_epochs(freq: Any) -> int | frozenset[int]:
    if isinstance(freq, (list, tuple, set, frozenset)):
        return frozenset(arguments.integer("an epoch in validation_freq", epoch) for epoch in freq)
    return arguments.integer("validation_freq", freq)


class Arguments:
    """Arguments of fit that a checkpoint stores, checked, with fit's defaults.

    Parameters
    ----------
    batch_size, epochs : int
    verbose : {0, 1, 2, 'auto'}
    validation_split : float
    shuffle : bool
    class_weight : mapping of class to weight, or None
        Checked with the data.
    validation_freq : int or collection of int
    shards : int, optional
        Number of parts that rows and batches are cut into; None for training without shards.
    fast_reduce : bool
        Whether the shards' gradients are added in the fastest order, not in a fixed one.
    """

    def __init__(
        self,
        batch_size: Any = 32,
        epochs: Any = 1,
        verbose: Any = 1,
        validation_split: Any = 0.0,
        shuffle: Any = True,
        class_weight: Any = None,
        validation_freq: Any = 1,
        shards: Any = None,
        fast_reduce: Any = False,
    ) -> None:
        self.batch_size = arguments.batch_size(batch_size)
        self.epochs = arguments.integer("epochs", epochs)
        check_verbose(verbose)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.validation_split = arguments.fraction("validation_split", validation_split)
        self.shuffle = arguments.flag("shuffle", shuffle)
        self.class_weight = class_weight
        self.validation_freq = _validation_epochs(validation_freq)
        self.shards = None if shards is None else arguments.integer("shards", shards)
        self.fast_reduce = arguments.flag("fast_reduce", fast_reduce)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, from which `from_dict` makes the same arguments."""
        table = dict(vars(self))
        if isinstance(self.validation_freq, frozenset):
            table["validation_freq"] = sorted(self.validation_freq)
        if isinstance(self.class_weight, Mapping):  # its keys are numbers, unlike those of JSON
            pairs = self.class_weight.items()
            table["class_weight"] = [[float(label), float(weight)] for label, weight in pairs]
        return table

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Arguments:
        """Return the arguments that `to_dict` described."""
        weights = table.get("class_weight")
        return cls(**{**table, "class_weight": None if weights is None else dict(weights)})
