"""An ensemble's networks trained by other processes: pieces go out, what they learnt comes back."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

from . import _stacks, threads
from ._workers import Engine, Progress
from .progress import ProgressLine

if TYPE_CHECKING:
    from ._ensemble_training import Kind, Training


class Piece(NamedTuple):
    """Some networks of one kind.

    Parameters
    ----------
    kind : int
    places : list of int
        Among those of the kind.
    """

    kind: int
    places: list[int]


def run(training: Training, engine: Engine, line: ProgressLine) -> None:
    """Have all networks trained by an engine's workers; each has the bits that it has alone.

    Parameters
    ----------
    training : Training
        Its kinds get what came of it.
    engine : Engine
    line : ProgressLine
        Of as many units as there are networks.
    """
    pieces = [
        Piece(k, places)
        for k, kind in enumerate(training.kinds)
        for places in _cut(training, kind, engine.n_workers)
    ]
    sent = copy.copy(training)
    sent.kinds, sent.validation = [kind.emptied() for kind in training.kinds], None
    done = 0

    def take(i: int, learnt: Kind) -> None:
        nonlocal done
        piece = pieces[i]
        training.kinds[piece.kind].take(piece.places, learnt)
        done += len(piece.places)

    engine.run(train, sent, pieces, take, lambda share: line.update(done + share))


def _cut(training: Training, kind: Kind, n_workers: int) -> list[list[int]]:
    """Cut a kind into pieces: what a kernel trains side by side, or one network."""
    n, rows = len(kind.seeds), len(training.rows.x)
    batch_size = min(training.arguments.batch_size, rows)
    how = _stacks.plan(kind.template, n, batch_size, n_workers)
    size = 1 if how is None else how.size
    return [list(range(start, min(start + size, n))) for start in range(0, n, size)]


def train(training: Training, piece: Piece, progress: Progress) -> Kind:
    """Train a piece, in a worker."""
    kind = training.kinds[piece.kind].some(piece.places)
    total = training.arguments.epochs * len(piece.places)
    progress.watch(lambda: kind.epochs_done() / total)
    for task in training._tasks(kind, 1, None):
        threads.obey_halt()
        task()
    threads.obey_halt()
    return kind
