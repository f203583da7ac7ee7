"""A new, unbuilt model with another's layers and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .. import losses, metrics, optimizers
from .._utils import arguments

if TYPE_CHECKING:
    from .model import Model

M = TypeVar("M", bound="Model")


def clone(model: M, seed: int | None = None) -> M:
    """Return a model of the same architecture and compilation, without weights.

    Parameters
    ----------
    model : Model
    seed : int, optional
        Seed of the new model; the model's own by default.

    Returns
    -------
    Sequential
    """
    made = type(model).from_config(model.get_config() | ({} if seed is None else {"seed": seed}))
    if model.loss is not None and model.optimizer is not None:
        own: dict[str, Any] = {type(model.optimizer).__name__: type(model.optimizer)}
        own |= {type(model.optimizer.schedule).__name__: type(model.optimizer.schedule)}
        loss = model.loss if model.loss.in_python else losses.get(losses.saved(model.loss))
        made.compile(
            optimizers.get(arguments.saved(model.optimizer), own),
            loss,
            [metrics.get(arguments.saved(m), {type(m).__name__: type(m)}) for m in model.metrics],
        )
    return made
