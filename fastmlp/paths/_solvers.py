"""Walkers: a model that is fitted for one step of a path after another, each from the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import optimizers, regularizers
from .._many.cross_validation import Part
from .._utils import arguments
from ..errors import DivergedError
from ..models import Sequential, mlp
from ._linear import LinearModel, Penalty, null_model
from ._sparsity import tidy

Array = NDArray[np.float64]
State = list[NDArray[Any]]

PENALTIES = ("l1", "l2", "group")


@dataclass(frozen=True)
class Settings:
    """What a walker is made with.

    Parameters
    ----------
    units : list of int
        Widths of the hidden layers.
    penalty : {"l1", "l2", "group"}
    l1_ratio : float
        Of the penalty "l1": lambda * (l1_ratio * sum(|w|) + (1 - l1_ratio) / 2 * sum(w**2)).
    n_classes : int
        0 for regression.
    activation : str or list of str
    seed : int
    epochs, first_epochs : int
        A step, and before the first one.
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
            raise ValueError(f"l1_ratio goes with penalty='l1'. Received: penalty={self.penalty!r}")

    @property
    def linear(self) -> bool:
        """Whether there are no hidden layers."""
        return not self.units

    @property
    def dtype(self) -> str:
        """Of weights and data."""
        return "float64" if self.linear else "float32"

    @property
    def loss(self) -> str:
        """The loss that is penalised."""
        if not self.n_classes:
            return "mean_squared_error"
        return "binary_crossentropy" if self.n_classes == 2 else "sparse_categorical_crossentropy"

    def model(self, n_inputs: int) -> Sequential:
        """Make a model without penalty, its weights drawn."""
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


class Walker:
    """A model on its way along a path.

    Parameters
    ----------
    settings : Settings
    part : Part
        Whose training rows it is fitted to.

    Attributes
    ----------
    model : Sequential
    """

    def __init__(self, settings: Settings, part: Part) -> None:
        self.settings, self.part = settings, part
        self.model = settings.model(part.x.shape[1])
        self.model.materialise()

    def fit(self, lambdas: Sequence[float] | Array) -> None:
        """Fit at a lambda for each layer, from where the walker stands."""
        raise NotImplementedError

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs."""
        return self.model.predict(x, verbose=0)

    def state(self) -> State:
        """Return copies of all weights and biases, as the model then has them."""
        return self.model.get_weights()

    def snapshot(self) -> State:
        """Return copies of all that a step depends on but for its start: nothing, if unique."""
        return []

    def restore(self, snapshot: State) -> None:
        """Go back to where `snapshot` was taken."""


class LinearWalker(Walker):
    """A model without hidden layers: every step is solved to rounding error."""

    def __init__(self, settings: Settings, part: Part) -> None:
        super().__init__(settings, part)
        ratio = settings.l1_ratio
        penalty = {
            "l1": Penalty(ratio, (1 - ratio) / 2),
            "l2": Penalty(0.0, 1.0),
            "group": Penalty(1.0, 0.0, grouped=True),
        }[settings.penalty]
        self.solver = LinearModel(part.x, part.y, settings.n_classes, penalty)

    def fit(self, lambdas: Sequence[float] | Array) -> None:
        """Fit at a lambda, from where the walker stands."""
        self.solver.fit(float(lambdas[0]))

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the model's outputs."""
        return self.solver.predict(x)

    def state(self) -> State:
        """Return copies of weights and biases; the model gets them, too."""
        state = [self.solver.w.copy(), self.solver.b.copy()]
        self.model.set_weights(state)
        return state


class NetworkWalker(Walker):
    """A network with hidden layers: Adam, whose moments go on from step to step."""

    def __init__(self, settings: Settings, part: Part) -> None:
        super().__init__(settings, part)
        self._begun = False
        self._intercepts = null_model(part.y, settings.n_classes).b

    def fit(self, lambdas: Sequence[float] | Array) -> None:
        """Train at a lambda for each layer, from where the walker stands."""
        self.set_penalties(lambdas)
        settings = self.settings
        epochs = settings.epochs if self._begun else settings.first_epochs
        self._train(epochs, max(lambdas))
        self._begun = True
        if settings.penalty != "l2":
            tidy(self.model)
        network, last = self.model.network, self.model.network.n_layers - 1
        if not network.weights(last).any():  # the intercepts alone have a formula
            network.bias(last)[...] = self._intercepts

    def _train(self, epochs: int, lam: float) -> None:
        """Train, at a tenth of the learning rate for the last 30% of the epochs."""
        optimizer, settings = self.model.optimizer, self.settings
        assert optimizer is not None
        x, y, size = self.part.x, self.part.y, settings.batch_size
        last, rate = max(1, round(0.3 * epochs)), settings.learning_rate
        try:
            for n, share in ((epochs - last, 1.0), (last, 0.1)):
                optimizer.learning_rate = rate * share
                if n:
                    self.model.fit(x, y, batch_size=size, epochs=n, verbose=0)
        except DivergedError as error:
            raise DivergedError(
                f"Training diverged at lambda {lam:.3g}; try a smaller learning_rate",
                epoch=error.epoch,
                layer=error.layer,
            ) from error

    def set_penalties(self, lambdas: Sequence[float] | Array) -> None:
        """Give every layer its penalty; the optimizer keeps its moments."""
        for layer, lam in zip(self.model.dense_layers, lambdas, strict=True):
            layer.kernel_regularizer = self.settings.regularizer(float(lam))
        if self.model.configured:
            self.model.apply_penalties()

    def _views(self) -> State:
        """Return what a step depends on: weights, biases and the optimizer's moments."""
        network, optimizer = self.model.ready(), self.model.optimizer
        assert optimizer is not None
        parts = [(network.weights, network.bias)]
        for slot in optimizer.slots:
            parts.append((partial(network.weights_slot, slot), partial(network.bias_slot, slot)))
        return [view(i) for i in range(network.n_layers) for pair in parts for view in pair]

    def snapshot(self) -> State:
        """Return copies of what a step depends on."""
        return [np.array(view) for view in self._views()]

    def restore(self, snapshot: State) -> None:
        """Go back to where `snapshot` was taken."""
        for view, copy in zip(self._views(), snapshot, strict=True):
            view[...] = copy


def walker(settings: Settings, part: Part) -> Walker:
    """Return the walker for these settings."""
    return LinearWalker(settings, part) if settings.linear else NetworkWalker(settings, part)
