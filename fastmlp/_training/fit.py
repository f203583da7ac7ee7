"""Check the arguments and the data of fit, and choose the kind of run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._model.history import History
from ..callbacks import Callback, as_list
from .arguments import Arguments
from .data import Rows, prepared
from .lifecycle import run_to_end
from .loop import Run

if TYPE_CHECKING:
    from .._model.model import Attempt, Model
    from .checkpoint import Checkpoint


def fit(
    model: Model,
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
    given, hooks = Arguments(**arguments), as_list(callbacks)
    with model.accepting(fit=True) as attempt:
        return _fit(
            model, x, y, given, hooks, attempt, validation_data=validation_data,
            sample_weight=sample_weight, checkpoint=checkpoint, checkpoint_every=checkpoint_every,
            comm=comm,
        )  # fmt: skip


def _fit(
    model: Model,
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
        from . import distributed

        def prepare(arguments: Arguments) -> tuple[Rows, Rows | None]:
            return prepared(model, x, y, sample_weight, validation_data, arguments)

        return distributed.fit(
            comm, model, prepare, given, hooks, attempt, checkpoint, checkpoint_every
        )
    if model.resumed is not None:
        given = model.resumed.arguments(given)
    rows, validation = prepared(model, x, y, sample_weight, validation_data, given)

    def make(arguments: Arguments, hooks: list[Callback], keeper: Checkpoint | None) -> Run:
        return Run(model, rows, validation, arguments, hooks, keeper)

    data = (rows, validation)
    return run_to_end(model, make, given, hooks, attempt, data, checkpoint, checkpoint_every)


def is_sharded(model: Model, given: Arguments, comm: Any) -> bool:
    """Return whether to train in shards: requested, or resumed from a sharded run."""
    if comm is not None or given.shards is not None:
        return True
    if model.resumed is not None and model.resumed.is_sharded:
        return True
    if given.fast_reduce:
        raise ValueError(
            "fast_reduce sets how gradients are added: it needs comm or shards. "
            "Received: fast_reduce=True"
        )
    return False
