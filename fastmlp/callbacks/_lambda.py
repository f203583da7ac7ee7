"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._utils import arguments
from ._base import HOOKS, Callback


class LambdaCallback(Callback):
    """A callback made of functions, for short hooks.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with (epoch, logs).
    on_train_begin, on_train_end : callable, optional
        Called with (logs).
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with (batch, logs).
    **hooks : callable
        Other hooks of `Callback`, by name.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any] | None,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for name, function in given.items():
            if name not in HOOKS:
                raise arguments.unknown("hook", name, HOOKS)
            if function is None:
                continue
            if not callable(function):
                raise ValueError(
                    f"{name} must be a function. Received: {arguments.shown(function)}"
                )
            setattr(self, name, function)
