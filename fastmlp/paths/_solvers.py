"""Solvers: models that are fitted for one lambda of a path after another, with warm starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import optimizers, regularizers
from .._many.cross_validation import Split
from .._utils import arguments
from .._utils.names import PENALTIES
from ..errors import DivergedError
from ..models import Sequential, mlp
from ._linear import LinearModel, Penalty, null_model
from ._sparsity import zero_unused_weights

Array = NDArray[np.float64]
State = list[NDArray[Any]]


@dataclass(frozen=True)
class PathSettings:
    """The network, its penalty and its training.

    Parameters
    ----------
    units : list of int
        Widths of the hidden layers.
    penalty : {"l1", "l2", "group"}
    l1_ratio : float
        With the penalty "l1", each layer adds
        lambda * (l1_ratio * sum(|w|) + (1 - l1_ratio) / 2 * sum(w**2)).
    n_classes : int
        0 for regression.
    activation : str or list of str
    seed : int
    epochs, first_epochs : int
        Epochs of each step, and of the first one.
    batch_size : int
    learning_rate : float
    """

    units: list[int]
    penalty: str = "l1"
    l1_ratio: float = 1.0
    n_classes: int = 0
    activation: Any = "relu"
    seed: int = 0
    epochs: int = 200
    first_epochs: int = 1000
    batch_size: int = 1024
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, str) or self.penalty not in PENALTIES:
            raise arguments.unknown("penalty", str(self.penalty), PENALTIES)
        arguments.number(
            "l1_ratio", self.l1_ratio, "a number above 0 and at most 1", lambda v: 0 < v <= 1
        )
        if self.l1_ratio != 1 and self.penalty != "l1":
            raise ValueError(f"l1_ratio needs penalty='l1'. Received: penalty={self.penalty!r}")

    @property
    def linear(self) -> bool:
        """Whether there are no hidden layers."""
        return not self.units

    @property
    def dtype(self) -> str:
        """Type of weights and data."""
        return "float64" if self.linear else "float32"

    @property
    def loss(self) -> str:
        """The loss, without penalty."""
        if not self.n_classes:
            return "mean_squared_error"
        return "binary_crossentropy" if self.n_classes == 2 else "sparse_categorical_crossentropy"

    def model(self, n_inputs: int) -> Sequential:
        """Make a model with random weights, without penalty."""
        output = ("linear", "", "sigmoid")[self.n_classes] if self.n_classes < 3 else "softmax"
        model = mlp(
            self.units,
            n_inputs,
            self.n_classes if self.n_classes > 2 else 1,
            self.activation,
            output,
            seed=self.seed,
            dtype=self.dtype,
        )
        metrics = ["accuracy"] if self.n_classes else ["mse"]
        model.compile(optimizers.Adam(self.learning_rate), self.loss, metrics)
        return model

    def regularizer(self, lam: float) -> regularizers.Regularizer | None:
        """Return a layer's penalty at a lambda."""
        if not lam:
            return None
        if self.penalty == "l2":
            return regularizers.L2(lam)
        if self.penalty == "group":
            return regularizers.GroupL1(lam, groups="inputs")
        if self.l1_ratio < 1:
            ratio = self.l1_ratio
            return regularizers.L1L2(lam * ratio, lam * (1 - ratio) / 2, proximal=True)
        return regularizers.L1(lam, proximal=True)


class Solver:
    """A model that is fitted for one lambda after another.

    Parameters
    ----------
    settings : PathSettings
    split : Split
        The rows to train on.

    Attributes
    ----------
    model : Sequential
    """

    def __init__(self, settings: PathSettings, split: Split) -> None:
        self.settings, self.split = settings, split
        self.model = settings.model(split.x.shape[1])
        self.model.materialise()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the rows, which another process has."""
        return {name: value for name, value in self.__dict__.items() if name != "split"}

    def fit(self, lambdas: Sequence[float] | Array) -> None:
        """Fit the model with a lambda for each layer, starting from the present weights."""
        raise NotImplementedError

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs."""
        return self.model.predict(x, verbose=0)

    def state(self) -> State:
        """Return copies of all weights and biases; afterwards the model has them, too."""
        return self.model.get_weights()

    def snapshot(self) -> State:
        """Return copies of what the next fit depends on; nothing where the solution is unique."""
        return []

    def restore(self, snapshot: State) -> None:
        """Go back to the state at which `snapshot` was taken."""


class LinearSolver(Solver):
    """A model without hidden layers: every step is solved to rounding error."""

    def __init__(self, settings: PathSettings, split: Split) -> None:
        super().__init__(settings, split)
        ratio = settings.l1_ratio
        penalty = {
            "l1": Penalty(ratio, (1 - ratio) / 2),
            "l2": Penalty(0.0, 1.0),
            "group": Penalty(1.0, 0.0, grouped=True),
        }[settings.penalty]
        self.linear_model = LinearModel(split.x, split.y, settings.n_classes, penalty, split.weight)

    def fit(self, lambdas: Sequence[float] | Array) -> None:
        """Fit the model; the first lambda counts."""
        self.linear_model.fit(float(lambdas[0]))

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs."""
        return self.linear_model.predict(x)

    def state(self) -> State:
        """Return copies of weights and biases, and set those of the model."""
        state = [self.linear_model.w.copy(), self.linear_model.b.copy()]
        self.model.set_weights(state)
        return state


class NetworkSolver(Solver):
    """A network with hidden layers, trained by Adam, which keeps its moments between steps."""

    def __init__(self, settings: PathSettings, split: Split) -> None:
        super().__init__(settings, split)
        self._begun = False
        self._intercepts = null_model(split.y, settings.n_classes, split.weight).b

    def fit(self, lambdas: Sequence[float] | Array) -> None:
        """Train with a lambda for each layer, starting from the present weights."""
        self.set_penalties(lambdas)
        settings = self.settings
        epochs = settings.epochs if self._begun else settings.first_epochs
        self._train(epochs, max(lambdas))
        self._begun = True
        if settings.penalty != "l2":
            zero_unused_weights(self.model)
        network, last = self.model.network, self.model.network.n_layers - 1
        if not network.weights(last).any():  # the best intercepts then have a formula
            network.bias(last)[...] = self._intercepts

    def _train(self, epochs: int, lam: float) -> None:
        """Train, with a tenth of the learning rate in the last 30% of the epochs."""
        optimizer, settings = self.model.optimizer, self.settings
        assert optimizer is not None
        x, y, weight = self.split.x, self.split.y, self.split.weight
        size = settings.batch_size
        last, rate = max(1, round(0.3 * epochs)), settings.learning_rate
        try:
            for n, share in ((epochs - last, 1.0), (last, 0.1)):
                optimizer.learning_rate = rate * share
                if n:
                    self.model.fit(x, y, batch_size=size, epochs=n, verbose=0, sample_weight=weight)
        except DivergedError as error:
            raise DivergedError(
                f"Training diverged at lambda {lam:.3g}; try a smaller learning_rate",
                epoch=error.epoch,
                layer=error.layer,
            ) from error

    def set_penalties(self, lambdas: Sequence[float] | Array) -> None:
        """Set the penalty of every layer; the optimizer keeps its moments."""
        for layer, lam in zip(self.model.dense_layers, lambdas, strict=True):
            layer.kernel_regularizer = self.settings.regularizer(float(lam))
        if self.model.configured:
            self.model.apply_penalties()

    def _views(self) -> State:
        """Return what the next fit depends on: weights, biases and the optimizer's moments."""
        network, optimizer = self.model.ready(), self.model.optimizer
        assert optimizer is not None
        parts = [(network.weights, network.bias)]
        for slot in optimizer.slots:
            parts.append((partial(network.weights_slot, slot), partial(network.bias_slot, slot)))
        return [view(i) for i in range(network.n_layers) for pair in parts for view in pair]

    def snapshot(self) -> State:
        """Return copies of what the next fit depends on."""
        return [np.array(view) for view in self._views()]

    def restore(self, snapshot: State) -> None:
        """Go back to the state at which `snapshot` was taken."""
        for view, copy in zip(self._views(), snapshot, strict=True):
            view[...] = copy


def make_solver(settings: PathSettings, split: Split) -> Solver:
    """Make a solver for the rows to train on."""
    return LinearSolver(settings, split) if settings.linear else NetworkSolver(settings, split)
