"""The call of fit: which run it makes, or which it goes on with, and on what data."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _callback
from ._callback import Callback, History
from ._fit_data import Arguments, Rows, prepared
from ._run import Run
from .layers import Dropout

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .models import Sequential
    from .stack import Attempt

__all__ = ["Run", "carried_out", "fit", "is_sharded", "session_seed"]


def fit(
    model: Sequential,
    x: Any,
    y: Any,
    arguments: dict[str, Any],
    *,
    callbacks: Callback | Sequence[Callback] | None,
    validation_data: Any,
    sample_weight: Any,
    checkpoint: Any,
    checkpoint_every: Any,
    comm: Any = None,
) -> History:
    """Train `model`; see `Sequential.fit`. `arguments` are those of `Arguments`."""
    given, hooks = Arguments(**arguments), _callback.as_list(callbacks)
    with model.accepting(fit=True) as attempt:
        return _fit(
            model, x, y, given, hooks, attempt, validation_data=validation_data,
            sample_weight=sample_weight, checkpoint=checkpoint, checkpoint_every=checkpoint_every,
            comm=comm,
        )  # fmt: skip


def _fit(
    model: Sequential,
    x: Any,
    y: Any,
    given: Arguments,
    hooks: list[Callback],
    attempt: Attempt,
    *,
    validation_data: Any,
    sample_weight: Any,
    checkpoint: Any,
    checkpoint_every: Any,
    comm: Any,
) -> History:
    if is_sharded(model, given, comm):
        from . import sharded

        def prepare(arguments: Arguments) -> tuple[Rows, Rows | None]:
            return prepared(model, x, y, sample_weight, validation_data, arguments)

        return sharded.fit(
            comm, model, prepare, given, hooks, attempt, checkpoint, checkpoint_every
        )
    if model.resumed is not None:
        given = model.resumed.arguments(given)
    rows, validation = prepared(model, x, y, sample_weight, validation_data, given)

    def made(arguments: Arguments, hooks: list[Callback], keeper: Checkpoint | None) -> Run:
        return Run(model, rows, validation, arguments, hooks, keeper)

    data = (rows, validation)
    return carried_out(model, made, given, hooks, attempt, data, checkpoint, checkpoint_every)


def is_sharded(model: Sequential, given: Arguments, comm: Any) -> bool:
    """Whether to train as `sharded.fit` does: asked for, or because a resumed run does."""
    if comm is not None or given.shards is not None:
        return True
    if model.resumed is not None and model.resumed.is_sharded:
        return True
    if given.fast_reduce:
        raise ValueError(
            "fast_reduce says how shards are added: it needs comm or shards. "
            "Received: fast_reduce=True"
        )
    return False


@contextlib.contextmanager
def _alone(model: Sequential) -> Iterator[None]:
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
    model: Sequential,
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
    model : Sequential
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


def _session_seed(model: Sequential) -> int:
    """Return the seed of order and dropout, a new one for every call of fit."""
    given = [layer.seed for layer in model.layers if isinstance(layer, Dropout)]
    entropy = [model.seed, *(seed for seed in given if seed is not None)]
    return session_seed(entropy, model.n_fits)


def session_seed(entropy: list[int], n_fits: int) -> int:
    """Return the seed of a call of fit, before which there were `n_fits`."""
    sequence = np.random.SeedSequence(entropy, spawn_key=(1, n_fits))
    return int(sequence.generate_state(1, np.uint64)[0])
