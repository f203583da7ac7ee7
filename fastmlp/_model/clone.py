"""A new, unbuilt model with another's layers and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import losses, metrics, optimizers
from .._utils import arguments

if TYPE_CHECKING:
    from .model import Model


def like(model: Model, seed: int | None = None) -> Model:
    """Return a model of that architecture and compilation, of another seed, without weights.

    Parameters
    ----------
    model : Model
    seed : int, optional
        The model's own by default.

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
