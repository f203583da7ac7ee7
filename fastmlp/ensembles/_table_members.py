"""Ensembles over a table: each member is trained as `fastmlp.fit` trains its network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import tabular
from .._training.arguments import Arguments
from .._training.data import Rows
from ..errors import DivergedError
from ..models import Sequential
from ..tabular import Prepared
from ._architecture import Architecture
from ._ensemble import Ensemble
from ._training import Training

# Keywords of `fastmlp.fit` that hold for every member.
KEYWORDS = (
    *tabular.READING, *tabular.PREPARATION, "task", "weight", "group", "time", "validation",
    "bins", "schedule", "patience", "clip", "class_weight",
)  # fmt: skip


class TableMembers(Training):
    """The networks of an ensemble over a table; run once.

    Parameters
    ----------
    kinds : list of Prepared
        The table with the decisions of each architecture and lambda.
    seeds : list of int
    bootstrap : bool
    parts : list of ndarray, or None
        The rows that each fold holds out; they choose the epoch of the networks without them.
    verbose : int
    """

    def __init__(
        self,
        kinds: list[Prepared],
        seeds: list[int],
        bootstrap: bool,
        parts: list[np.ndarray] | None,
        verbose: int,
    ) -> None:
        first = kinds[0]
        epochs, batch_size = first.n_epochs, first.decisions.batch_size
        arguments = Arguments(batch_size, epochs, verbose, 0.0, True)
        validation = None if parts is not None or first.held is None else Rows(*first.held)
        rows = Rows(*(first.taken() if parts is not None else first.train))
        templates = [tabular.template(kind) for kind in kinds]
        super().__init__(templates, seeds, rows, validation, arguments, bootstrap, parts)
        self.kinds, self.held = kinds, validation
        # Below 500 rows, the folds of `fit` choose the number of epochs.
        self.trainings = [tabular.TableTraining(kind) for kind in kinds]
        if parts is None:
            for training in self.trainings:
                if training.cross_validates:
                    tabular.choose(training, tabular.Wanted())
        self.epochs = [training.kept.get("best_epoch") for training in self.trainings]
        for k, architecture in enumerate(self.architectures):
            architecture.index = k

    def _without_results(self) -> Training:
        found = super()._without_results()
        found.trainings = []  # type: ignore[attr-defined]
        return found

    def train(self, architecture: Architecture, members: list[int]) -> None:
        """Train networks one after the other."""
        from .. import threads

        for i in members:
            threads.raise_if_cancelled()
            self._train_alone(architecture, i)

    def _train_alone(self, architecture: Architecture, i: int) -> None:
        prepared = self.kinds[architecture.index]
        chosen, held = self.rows_of(architecture, i), self.held
        x, y, weight = np.asarray(self.rows.x), self.rows.y, self.rows.weight
        if chosen is not None:
            x, y = x[chosen], y[chosen]
            weight = None if weight is None else weight[chosen]
        if self.parts is not None and architecture.folds is not None:
            held = Rows(*prepared.taken(self.parts[architecture.folds[i]]))
        model = tabular.network(prepared, x, y, architecture.seeds[i])
        architecture.running[i] = model
        judging = None if held is None else (np.asarray(held.x), held.y, held.weight)
        try:
            tabular.fit_rows(
                model, prepared, (x, y, weight), prepared.decisions,
                callbacks=[] if judging is None else [tabular.best_kept(prepared, judging)],
                validation=judging, epochs=self.epochs[architecture.index], verbose=0,
            )  # fmt: skip
        except DivergedError as error:
            architecture.errors[i] = error
        finally:
            del architecture.running[i]
            if i not in architecture.errors and model.history is not None:
                architecture.keep(i, model)
        if i not in architecture.errors:
            self._complete(architecture, i)

    def _complete(self, architecture: Architecture, i: int) -> None:
        """Let a network that has stopped early count as one with all epochs."""
        done = int(architecture.done[i])
        missing = architecture.kept > done
        architecture.losses[i, missing] = architecture.latest[i]
        architecture.done[i] = self.arguments.epochs

    def described(self, made: Ensemble) -> None:
        """Keep in an ensemble what is known of its table, and its figures on rows held out."""
        training = self.trainings[0]
        kept = training.kept
        prepared = training.prepared
        pairs = prepared.held_out.pairs
        held = pairs[0][1] if len(pairs) == 1 and self.parts is None else ()
        kept["digest"] = tabular.RowDigest.of(prepared.x, prepared.y, held).to_dict()
        if self.held is not None:
            outputs = made.predict(self.held.x, verbose=0)
            tabular.score(training, outputs, tabular.Wanted())
        made.extras |= training.model.extras


def kinds(
    prepared: Prepared, architectures: Sequence[Any], penalties: Sequence[dict[str, Any]]
) -> list[Prepared]:
    """Return the table with the decisions of each architecture and each lambda."""
    found = []
    for units in architectures or [prepared.decisions.units]:
        if isinstance(units, Sequential):
            raise ValueError("a compiled model takes arrays. Received: it, and a table")
        widths = tabular.checked_units(units)
        decisions = dataclasses.replace(prepared.decisions, units=widths)
        found += [
            dataclasses.replace(prepared, decisions=decisions, penalties=penalty)
            for penalty in penalties
        ]
    return found
