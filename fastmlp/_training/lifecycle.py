"""A run from its beginning to its end: begun or resumed, and finished, under the model's lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._model.history import History
from ..callbacks import Callback
from ..layers import Dropout
from .arguments import Arguments
from .loop import Run

if TYPE_CHECKING:
    from .._model.model import Attempt, Model
    from .checkpoint import Checkpoint


@contextlib.contextmanager
def _alone(model: Model) -> Iterator[None]:
    """Refuse to train a model that another thread is training."""
    trainer = model.network.trainer
    if not trainer.acquire(blocking=False):
        raise RuntimeError(
            f"Model {model.name!r} is trained by one thread at a time. "
            "Received: a call of fit while another thread trains it"
        )
    try:
        model.require_rest("fit")  # of this thread: a callback's
        model._fitting = os.getpid()
        try:
            yield
        finally:
            model._fitting = 0
    finally:
        trainer.release()


def carried_out(
    model: Model,
    make: Callable[[Arguments, list[Callback], Checkpoint | None], Run],
    arguments: Arguments,
    hooks: list[Callback],
    attempt: Attempt,
    data: tuple[Any, Any],
    checkpoint: Any,
    checkpoint_every: Any,
) -> History:
    """Begin a run, or go on with the one that the model is resumed from, and train to its end.

    Parameters
    ----------
    model : Model
    make : callable
        Makes the run of arguments, callbacks, and what keeps it.
    arguments : Arguments
    hooks : list of Callback
    attempt : Attempt
        Is told when the call is accepted: training begins.
    data : tuple
        The rows for training and validation, by which a run knows them again.
    checkpoint, checkpoint_every
        As given to fit.

    Returns
    -------
    History

    Raises
    ------
    RuntimeError
        If another thread is training the model.
    """
    with _alone(model), contextlib.ExitStack() as held:
        resumed, keeper = model.resumed, None
        if resumed is not None:
            arguments = resumed.arguments(arguments)
            hooks = resumed.callbacks(hooks) if not resumed.complete else []
        if checkpoint is not None or checkpoint_every is not None or resumed is not None:
            from . import checkpoint as _checkpoint

            keeper = _checkpoint.keeper(checkpoint, checkpoint_every, data, resumed)
            held.callback(keeper.release)
        if resumed is not None and resumed.complete:
            model.resumed = None
            assert model.history is not None
            return model.history
        run = make(arguments, hooks, keeper)
        run.attempt = attempt
        kept = [(hook, dict(vars(hook))) for hook in hooks if is_own(hook)]
        try:
            run.begin(_session_seed(model) if resumed is None else resumed.seed, resumed)
            model.resumed = None
            run.carry_out(hooks, keeper, resumed)
        finally:
            if not run.forked:
                run.session.end()
            run.rates.clear()
            if attempt.accepted:
                run.update_config()
            else:
                for hook, state in kept:
                    vars(hook).clear()
                    vars(hook).update(state)
        return run.history


def is_own(callback: Callback) -> bool:
    """Whether a callback is one of fastmlp's."""
    return type(callback).__module__.split(".")[0] == "fastmlp"


def _session_seed(model: Model) -> int:
    """Return the seed of order and dropout, a new one for every call of fit."""
    given = [layer.seed for layer in model.layers if isinstance(layer, Dropout)]
    entropy = [model.seed, *(seed for seed in given if seed is not None)]
    return session_seed(entropy, model.n_fits)


def session_seed(entropy: list[int], n_fits: int) -> int:
    """Return the seed of a call of fit, before which there were `n_fits`."""
    sequence = np.random.SeedSequence(entropy, spawn_key=(1, n_fits))
    return int(sequence.generate_state(1, np.uint64)[0])
