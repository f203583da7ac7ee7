"""What the figures read of a path, of a sweep and of its ranks.

Results draw themselves, so they import this package; it knows them by these Protocols alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class PathFigures(Protocol):
    """A path, as `paths.PathResult` has it."""

    lambdas: Array
    penalty: str
    measure: str
    fold_scores: dict[str, Array]
    fold_sizes: NDArray[np.int64]
    folds: NDArray[np.int64]
    preprocessing: Any
    units: list[int]
    held_out: NDArray[np.float32] | None

    @property
    def index_min(self) -> int:
        """Place of the lambda with the least error."""

    @property
    def index_1se(self) -> int:
        """Place of the largest lambda within one standard error of it."""

    @property
    def lambda_min(self) -> float:
        """The lambda with the least error."""

    @property
    def lambda_1se(self) -> float:
        """The largest lambda within one standard error of it."""

    @property
    def n_nonzero(self) -> NDArray[np.int64]:
        """Weights that are not zero, at each lambda."""

    @property
    def n_live(self) -> NDArray[np.int64]:
        """Hidden units with a weight that is not zero, at each lambda."""

    @property
    def n_inputs(self) -> NDArray[np.int64]:
        """Inputs with a weight that is not zero, at each lambda."""

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs."""

    def cv(self, measure: str) -> tuple[Array, Array]:
        """Return means and standard errors over the folds."""

    def coefficients(self) -> Array:
        """Return the coefficients of a model without hidden layers."""

    def norms(self, layer: int) -> Array:
        """Return the norms of a layer's inputs, at each lambda."""

    def kept(self, index: int) -> bool:
        """Whether the model at this place can be made again."""

    def model_at(self, index: int) -> Any:
        """Return the model at this place."""

    def points(self) -> tuple[Array, NDArray[Any]]:
        """Return the rows that the path was fitted to."""

    def target_values(self) -> NDArray[Any]:
        """Return the target in its own units."""


class RankFigures(Protocol):
    """A configuration's place in a sweep, as `sweeps.Rank` has it."""

    config: Mapping[str, Any]
    epochs: int
    scores: list[float]
    mean: float | None
    sd: float | None
    train: float | None


class SweepFigures(Protocol):
    """A sweep as `sweeps.SweepResult` has it: what `plot_sweep` reads."""

    @property
    def measure(self) -> str:
        """What the sweep ranks by."""

    @property
    def varied(self) -> list[str]:
        """The parameters that differ between configurations."""

    def ranking(self, measure: str | None = None, *, every_rung: bool = False) -> list[Any]:
        """Return the configurations from the best."""

    def longest(self, ranks: list[Any]) -> list[Any]:
        """Return the first rank of each configuration, that of its longest training."""
