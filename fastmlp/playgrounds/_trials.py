"""Many networks beside a session's: with other seeds, or with other lambdas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._many.pool import run_many
from .._utils import arguments
from .._utils.names import PENALTIES
from ._data import PlayTable
from ._frames import PlayView, outputs_on_grid
from ._session import PlaySession
from ._settings import finite

N_MEMBERS = 20
LAMBDAS = np.geomspace(1e-6, 1e-1, 11)


def members(
    record: Mapping[str, Any],
    table: PlayTable | None,
    view: PlayView,
    on_done: Callable[[int], Any],
    on_wait: Callable[[], Any],
) -> np.ndarray:
    """Repeat a session with twenty seeds; the first is its own.

    Every change is repeated at its step. The rows held out stay those of the session's seed if
    they are drawn afresh, and differ with the seed if they are a share of the rows.

    Parameters
    ----------
    record : mapping
        See `PlaySession.record`.
    table : PlayTable or None
    view : PlayView
    on_done : callable
        Called with the index of each network that is done.
    on_wait : callable
        Called every tenth of a second; an exception ends the work.

    Returns
    -------
    ndarray of shape (20, points of the figure)
        What the figure draws of each network.
    """
    seed = record["settings"]["seed"]

    def task(i: int) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            session = PlaySession.replayed(record, table, seed=seed + i)
            drawn = outputs_on_grid(session, view).astype(np.float32)
            session.close()
            return drawn

        return run

    tasks = [task(i) for i in range(N_MEMBERS)]
    return np.stack(run_many(tasks, on_done=on_done, on_wait=on_wait))


def path(
    session: PlaySession,
    penalty: str,
    on_done: Callable[[int], Any],
    on_wait: Callable[[], Any],
) -> dict[str, Any]:
    """Train a session's network anew with each of eleven lambdas, for as many epochs.

    Parameters
    ----------
    session : PlaySession
    penalty : {'l1', 'l2', 'group'}
        What lambda is of, on every layer; the other penalties are 0.
    on_done, on_wait : callable
        See `members`.

    Returns
    -------
    dict
        'lambdas', and for each the 'loss' of the training rows, the loss of rows 'held' out and
        the share of weights that are not zero, 'nonzero'.
    """
    arguments.one_of("penalty", penalty, PENALTIES)
    none = {"l1": 0.0, "l2": 0.0, "group": 0.0, "proximal": True}
    settings = session.settings.to_dict()
    steps, table, points = session.steps, session.table, session.points

    def task(value: float) -> Callable[[], tuple[float | None, float | None, float | None]]:
        def run() -> tuple[float | None, float | None, float | None]:
            changed = session.settings.from_dict({**settings, **none, penalty: value})
            other = PlaySession(changed, table)
            for point in points:
                other.apply({"do": "point", "at": list(point[:-1]), "value": point[-1]})
            other.advance(steps)
            loss, held, _ = other.losses()
            weights = [layer.get_weights()[0] for layer in other.model.dense_layers]
            share = sum(map(np.count_nonzero, weights)) / sum(w.size for w in weights)
            other.close()
            return loss, held, finite(share)

        return run

    found = run_many([task(float(v)) for v in LAMBDAS], on_done=on_done, on_wait=on_wait)
    loss, held, nonzero = zip(*found, strict=True)
    return {"penalty": penalty, "lambdas": LAMBDAS.tolist(), "loss": list(loss),
            "held": list(held), "nonzero": list(nonzero)}  # fmt: skip
