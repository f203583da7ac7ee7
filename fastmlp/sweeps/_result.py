"""The result of a sweep: rows, a ranking, a figure and exports."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._model.clone import clone
from .._utils import arguments as _arguments
from .._utils import cards
from .._utils.atomic import is_special, write_atomically
from ._space import PARAMETERS, Config
from ._store import Store
from ._training import ScaledSplit, SweepSetup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .._many.cross_validation import Split
    from ..models import Sequential

_SHOWN = 10  # configurations on a notebook's card
SUFFIXES = (".parquet", ".csv")


@dataclass
class Rank:
    """A configuration in the ranking.

    Parameters
    ----------
    rank : int
        From 1.
    config : dict
        All parameters.
    epochs : int
    scores : list of float
        The held-out error of each run that did not diverge.
    mean : float or None
        Mean of the scores; None if a run diverged.
    sd : float or None
        Standard deviation of the scores, with divisor n - 1; None for a single score.
    train : float or None
        Mean of the same error on training rows.
    nonzero : float or None
        Mean number of nonzero weights.
    runs, diverged : int
    seconds : float
        Total of all runs.
    """

    rank: int
    config: Config
    epochs: int
    scores: list[float] = field(repr=False)
    mean: float | None
    sd: float | None
    train: float | None
    nonzero: float | None
    runs: int
    diverged: int
    seconds: float


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class TrainsFirst(Protocol):
    """Trains the network of the first rank."""

    def trained(self, rank: Rank) -> Sequential:
        """Train the network of a configuration."""


class Winner:
    """Trains the network of the first rank, on the rows of the sweep.

    Parameters
    ----------
    setup : SweepSetup
    rows : Split
        Rows to train on, with the preprocessing fitted to them.
    seed : int
        Of the network.
    """

    def __init__(self, setup: SweepSetup, rows: Split, seed: int) -> None:
        self.setup, self.rows, self.seed = setup, rows, seed

    def trained(self, rank: Rank) -> Sequential:
        """Train the network of a configuration."""
        model = clone(self.setup.model(rank.config), self.seed)
        x, y, scale = self.rows.x, self.rows.y, self.rows.preprocessing.target.scale
        self.setup.fitted(rank.config, rank.epochs, ScaledSplit(x, y, x, y, float(scale)), model)
        self.rows.preprocessing.keep(model)
        return model


class SweepResult:
    """The finished runs of a sweep; made by `sweep`, or read from a store by `load`.

    Parameters
    ----------
    rows : list of dict
        In the order of the plan.
    settings : dict
        The data, parameters, method, seeds and so on of the sweep.
    seconds : dict of int to float
        Time that each run took, by its number.
    sessions : list of dict
        For each start of the sweep: time, engine, number of threads, and total number of runs.
    winner : TrainsFirst, optional
        What makes `model`; a store has no rows to train on.
    """

    _winner: TrainsFirst | None = None  # also of pickles of earlier versions
    _model: Sequential | None = None

    def __init__(
        self,
        rows: list[dict[str, Any]],
        settings: dict[str, Any],
        seconds: dict[int, float],
        sessions: list[dict[str, Any]],
        winner: TrainsFirst | None = None,
    ) -> None:
        self.rows, self.settings, self.seconds, self.sessions = rows, settings, seconds, sessions
        self._winner = winner

    @classmethod
    def of(cls, store: Store, winner: TrainsFirst | None = None) -> SweepResult:
        """Read an open store."""
        return cls(store.rows(), store.settings, store.seconds(), store.sessions(), winner)

    def __repr__(self) -> str:
        return f"<SweepResult: {len(self.rows)} of {self.total} runs, by {self.measure}>"

    def _repr_html_(self) -> str:
        """Return the best configurations, for notebooks."""
        ranking = self.ranking() if self.rows else []
        varied = self.varied
        shown = ranking[:_SHOWN]
        rows = [
            [
                rank.rank, *(_written(rank.config[name]) for name in varied), rank.epochs,
                "diverged" if rank.mean is None else f"{rank.mean:.5g}",
                "" if rank.sd is None else f"{rank.sd:.2g}",
                "" if rank.train is None else f"{rank.train:.5g}", rank.runs,
            ]
            for rank in shown
        ]  # fmt: skip
        names = [name.replace("_", " ") for name in varied]
        head = ["rank", *names, "epochs", f"held-out {self.measure}", "sd", "training", "runs"]
        left = len(ranking) - len(shown)
        return cards.card(
            "SweepResult", f"{len(self.rows)} of {self.total} runs, by {self.measure}",
            cards.table(head, rows) if rows else "",
            f"{left:,} configurations are not shown" if left else "",
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def total(self) -> int:
        """Number of runs of the finished sweep; a run in several rounds is counted in each."""
        return int(self.sessions[-1]["runs"]) if self.sessions else len(self.rows)

    @property
    def measure(self) -> str:
        """The error measure that ranks the configurations."""
        return str(self.settings["measure"])

    @property
    def measures(self) -> list[str]:
        """The error measures of every run."""
        return list(self.settings["measures"])

    @property
    def varied(self) -> list[str]:
        """The parameters with more than one value."""
        return [name for name in PARAMETERS if len({row[name] for row in self.rows}) > 1]

    @staticmethod
    def longest(ranks: Sequence[Rank]) -> list[Rank]:
        """Return each configuration's first entry, which has the most epochs."""
        found: dict[tuple[Any, ...], Rank] = {}
        for rank in ranks:
            found.setdefault(tuple(rank.config.values()), rank)
        return list(found.values())

    def ranking(self, measure: str | None = None, every_rung: bool = False) -> list[Rank]:
        """Return the configurations, the best first.

        They are ordered by epochs, the most first (so that the last rung of successive halving
        leads), then by the mean error over seeds and folds. Configurations with a diverged run
        come last within their number of epochs.

        Parameters
        ----------
        measure : str, optional
            One of `measures`; by default the sweep's own.
        every_rung : bool
            Whether to list a configuration for each number of epochs that it was trained for, or
            only for the largest.

        Returns
        -------
        list of Rank
        """
        measure = self.measure if measure is None else measure
        if measure not in self.measures:
            raise _arguments.unknown("measure", str(measure), self.measures)
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in self.rows:
            key = (row["epochs"], *(row[name] for name in PARAMETERS))
            groups.setdefault(key, []).append(row)
        found = [self._ranked(rows, measure) for rows in groups.values()]
        found.sort(key=lambda r: (-r.epochs, r.mean is None, r.mean))
        if not every_rung:
            found = self.longest(found)
        for i, rank in enumerate(found, 1):
            rank.rank = i
        return found

    def _ranked(self, rows: Sequence[dict[str, Any]], measure: str) -> Rank:
        done = [row for row in rows if row["status"] == "done"]
        scores = [row[f"val_{measure}"] for row in done]
        mean = statistics.fmean(scores) if len(done) == len(rows) else None
        return Rank(
            0,
            {name: rows[0][name] for name in PARAMETERS},
            rows[0]["epochs"],
            scores,
            mean,
            statistics.stdev(scores) if len(scores) > 1 else None,
            statistics.fmean(row[f"train_{measure}"] for row in done) if done else None,
            statistics.fmean(row["nonzero"] for row in done) if done else None,
            len(rows),
            len(rows) - len(done),
            sum(self.seconds.get(row["run"], 0.0) for row in rows),
        )

    @property
    def best(self) -> Config:
        """The configuration with the first rank.

        Raises
        ------
        ValueError
            If no configuration has finished yet.
        """
        return self._first().config

    @property
    def finished(self) -> bool:
        """Whether the first rank has a score: some configuration has finished, and not diverged."""
        ranking = self.ranking()
        return bool(ranking) and ranking[0].mean is not None

    def _first(self) -> Rank:
        if not self.finished:
            raise ValueError("No configuration has finished yet")
        return self.ranking()[0]

    @property
    def model(self) -> Sequential:
        """The best network with its preprocessing; it is trained again when first used.

        It has the first seed and the training rows, and so the same bits as that run. With folds
        it is trained on all rows.

        Raises
        ------
        ValueError
            If no configuration has finished yet, or the result was read from a store, which has
            no rows to train on.
        """
        rank = self._first()
        if self._model is None:
            if self._winner is None:
                raise ValueError(
                    "model needs the rows of the sweep, which a store does not have; call sweep "
                    "with the same arguments and the store: it repeats no run"
                )
            self._model = self._winner.trained(rank)
            self._model.extras["sweep"] = {
                "config": rank.config,
                "epochs": rank.epochs,
                "measure": self.measure,
                "held_out": rank.mean,
                "runs": rank.runs,
                "seed": self.settings["seed"],
            }
        return self._model

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows as columns; the last column is the time in seconds."""
        names = list(self.rows[0]) if self.rows else []
        columns = {name: [row[name] for row in self.rows] for name in names}
        return columns | {"seconds": [self.seconds.get(row["run"]) for row in self.rows]}

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the rows to a Parquet or CSV file, atomically.

        Parameters
        ----------
        path : str or path
            Ends in .parquet (which needs pyarrow, from the extra ``data``) or .csv. A device or
            pipe may have any name, and gets CSV.

        Raises
        ------
        ValueError
            If the suffix is unknown.
        DataError
            If pyarrow is not installed.
        OSError
            If the file cannot be written.
        """
        check_suffix(path)
        make = _parquet if Path(path).suffix.lower() == ".parquet" else _csv
        write_atomically(Path(path), make(self.columns()))

    def plot(self, measure: str | None = None, **arguments: Any) -> Figure:
        """Draw the ranking and the effect of each parameter; see `plots.plot_sweep`."""
        from .. import plots

        return plots.plot_sweep(self, measure, **arguments)


def load(path: str | os.PathLike[str]) -> SweepResult:
    """Read a sweep's store, even while a sweep is writing it.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    SweepResult

    Raises
    ------
    StoreError
        If the file is not a store, or is damaged.
    OSError
        If it cannot be read.
    """
    with Store.opened(path) as store:
        return SweepResult.of(store)


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise ValueError unless `SweepResult.export` can write a file of this name."""
    if Path(path).suffix.lower() not in SUFFIXES and not is_special(path):
        raise ValueError(f"The file name must end in .parquet or .csv. Received: {str(path)!r}")


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    import io

    from .._utils.optional import require

    arrow = require("pyarrow", "data", "Parquet")
    buffer = io.BytesIO()
    require("pyarrow.parquet", "data", "Parquet").write_table(arrow.table(columns), buffer)
    return buffer.getvalue()


def _csv(columns: dict[str, list[Any]]) -> bytes:
    import io

    from .._tables.csv import write_csv

    text = io.StringIO(newline="")
    write_csv(text, list(columns), list(columns.values()))
    return text.getvalue().encode()
