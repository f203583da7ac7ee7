"""Errors of fastmlp's own, so that callers can tell one kind of trouble from another."""

from __future__ import annotations


class DataError(ValueError):
    """Data cannot be used: wrong shape or type, not finite, empty, or a bad table."""


class ModelFileError(ValueError):
    """A model file is damaged, or is not one; the message names the file."""


class RankError(RuntimeError):
    """Another of the processes that train a network together has failed; the message says how."""


class DivergedError(RuntimeError):
    """Training reached a loss, weight or optimizer moment that is not finite.

    The model holds the weights of the latest finite snapshot when this is raised.

    Parameters
    ----------
    message : str
    epoch : int
        The epoch in which it happened, counted from 1.
    layer : str or None
        Name of the first Dense layer with such a value; None if only the loss has one.
    """

    def __init__(self, message: str, *, epoch: int = 0, layer: str | None = None) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.layer = layer
