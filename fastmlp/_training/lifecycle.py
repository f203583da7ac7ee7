"""The life of a run: begin or resume it, train and finish, while the model is locked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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


def run_to_end(
    model: Model,
    make: Callable[[Arguments, list[Callback], Checkpoint | None], Run],
    arguments: Arguments,
    hooks: list[Callback],
    attempt: Attempt,
    data: tuple[Any, Any],
    checkpoint: Any,
    checkpoint_every: Any,
) -> History:
    """Begin a run, or resume the one that the model comes from, and train to its end.

    Parameters
    ----------
    model : Model
    make : callable
        Makes the run from arguments, callbacks and its checkpoint.
    arguments : Arguments
    hooks : list of Callback
    attempt : Attempt
        Accepted when training begins.
    data : tuple
        The rows for training and validation; a resumed run must have the same.
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
    with model.training(), contextlib.ExitStack() as held:
        resumed, keeper = model.resumed, None
        if resumed is not None:
            arguments = resumed.arguments(arguments)
            hooks = resumed.callbacks(hooks) if not resumed.complete else []
        if checkpoint is not None or checkpoint_every is not None or resumed is not None:
            from .checkpoint import checkpoint_of

            keeper = checkpoint_of(checkpoint, checkpoint_every, data, resumed)
            held.callback(keeper.release)
        if resumed is not None and resumed.complete:
            model.resumed = None
            return resumed.own_history(model)
        run = make(arguments, hooks, keeper)
        run.attempt = attempt
        kept = [(hook, dict(vars(hook))) for hook in hooks if is_own(hook)]
        try:
            run.begin(_session_seed(model) if resumed is None else resumed.seed, resumed)
            model.resumed = None
            run.run_to_end(hooks, keeper, resumed)
        finally:
            if not run.forked:
                run.session.end()
            run.rates.clear()
            if attempt.accepted:
                run.update_config()
                run.keep_history()
            else:
                for hook, state in kept:
                    vars(hook).clear()
                    vars(hook).update(state)
        return run.history


def is_own(callback: Callback) -> bool:
    """Return whether a callback is one of fastmlp's."""
    return type(callback).__module__.split(".")[0] == "fastmlp"


def _session_seed(model: Model) -> int:
    """Return the seed of row order and dropout, another one for each call of fit."""
    given = [layer.seed for layer in model.layers if isinstance(layer, Dropout)]
    entropy = [model.seed, *(seed for seed in given if seed is not None)]
    return session_seed(entropy, model.n_fits)


def session_seed(entropy: list[int], n_fits: int) -> int:
    """Return the seed of a call of fit that follows `n_fits` others."""
    sequence = np.random.SeedSequence(entropy, spawn_key=(1, n_fits))
    return int(sequence.generate_state(1, np.uint64)[0])
