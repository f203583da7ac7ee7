"""Protocols of the results that are drawn: a path, a sweep, a sweep's ranks, an ensemble.

The classes of results import this package to draw themselves, so it does not import them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._utils import arguments

if TYPE_CHECKING:
    from ..models import Sequential
    from ..preprocessing import Preprocessing

Array = NDArray[np.float64]


class EnsembleFigures(Protocol):
    """An ensemble, such as `ensembles.Ensemble`."""

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""

    def predict(self, x: Any, *, verbose: int | str = 1) -> NDArray[Any]:
        """Return the mean of the members' outputs, (n, n_outputs)."""

    def predictions(self, x: Any, verbose: int | str = 1) -> NDArray[Any]:
        """Return every member's outputs, (n_members, n, n_outputs)."""


class PathFigures(Protocol):
    """A path, such as `paths.PathResult`."""

    lambdas: Array
    penalty: str
    measure: str
    fold_scores: dict[str, Array]
    fold_sizes: NDArray[np.int64]
    folds: NDArray[np.int64]
    preprocessing: Preprocessing
    units: list[int]
    held_out: NDArray[np.float32] | None

    @property
    def index_min(self) -> int:
        """Index of the lambda with the smallest error."""

    @property
    def index_1se(self) -> int:
        """Index of the largest lambda within one standard error of it."""

    @property
    def lambda_min(self) -> float:
        """The lambda with the smallest error."""

    @property
    def lambda_1se(self) -> float:
        """The largest lambda within one standard error of it."""

    @property
    def n_nonzero(self) -> NDArray[np.int64]:
        """Number of nonzero weights at each lambda."""

    @property
    def n_live(self) -> NDArray[np.int64]:
        """Number of hidden units with a nonzero weight, at each lambda."""

    @property
    def n_inputs(self) -> NDArray[np.int64]:
        """Number of inputs with a nonzero weight, at each lambda."""

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs."""

    @property
    def coefficients(self) -> Array:
        """Coefficients of a model without hidden layers, (n_lambdas, n_inputs, n_outputs)."""

    def cv(self, measure: str) -> tuple[Array, Array]:
        """Return means and standard errors over the folds."""

    def norms(self, layer: int) -> Array:
        """Return the norm of the weights from each input of a layer, (n_lambdas, k)."""

    def kept(self, index: int) -> bool:
        """Whether the weights at this index are available without fitting again."""

    def model_at(self, index: int) -> Sequential:
        """Return the model at this index."""

    def points(self) -> tuple[Array, NDArray[Any]]:
        """Return the rows that the path was fitted to, x (n, n_inputs) and y (n,)."""

    def target_values(self) -> NDArray[Any]:
        """Return the target in its own units, or class indices, (n,)."""


class RankFigures(Protocol):
    """A ranked configuration, such as `sweeps.Rank`."""

    config: Mapping[str, Any]
    epochs: int
    scores: list[float]
    mean: float | None
    sd: float | None
    train: float | None


class SweepFigures(Protocol):
    """A sweep, such as `sweeps.SweepResult`."""

    @property
    def measure(self) -> str:
        """The measure that the sweep ranks by."""

    @property
    def varied(self) -> list[str]:
        """The parameters that differ between configurations."""

    def ranking(self, measure: str | None = None, *, every_rung: bool = False) -> list[Any]:
        """Return the configurations, best first."""

    def longest(self, ranks: list[Any]) -> list[Any]:
        """Return each configuration's rank with the most epochs."""


def follows(value: object, protocol: type) -> bool:
    """Tell whether the class of `value` has the methods and properties of a protocol.

    isinstance would compute the properties.
    """
    names = [name for name in vars(protocol) if not name.startswith("_")]
    return all(hasattr(type(value), name) for name in names)


def check(result: object, protocol: type, kind: str) -> None:
    """Raise ValueError unless `result` follows the protocol; `kind` names its class."""
    if not follows(result, protocol):
        raise ValueError(f"result must be a {kind}. Received: result={arguments.shown(result)}")
