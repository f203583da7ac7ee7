"""A learning-rate finder: the loss of steps whose rate rises from very small to too large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DivergedError
from ._prepare import Prepared
from ._train import network

_LOW, _HIGH, _STEPS = 1e-6, 1.0, 150
_SMOOTH = 0.9  # of the running mean of losses
_TOO_LARGE = 4.0  # times the smallest loss: the end


@dataclass
class RateCurve:
    """Losses of a network whose learning rate rises with every step.

    Parameters
    ----------
    rates : ndarray of shape (n,)
    losses : ndarray of shape (n,)
        A running mean.
    suggested : float
        The rate at which the loss falls fastest.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggested: float


def find_rate(prepared: Prepared) -> RateCurve:
    """Train a new network for up to 150 batches, at rates from 1e-6 to 1.

    Parameters
    ----------
    prepared : Prepared

    Returns
    -------
    RateCurve
    """
    x, y, weight = prepared.train
    model = network(prepared, x, y)
    assert model.optimizer is not None
    rng = np.random.default_rng([prepared.seed, 5])
    size = min(prepared.decisions.batch_size, len(x))
    rates = np.geomspace(_LOW, _HIGH, _STEPS)
    losses: list[float] = []
    mean, order = 0.0, np.zeros(0, np.intp)
    for step, rate in enumerate(rates):
        if len(order) < size:
            order = rng.permutation(len(x))
        rows, order = np.sort(order[:size]), order[size:]
        model.optimizer.learning_rate = float(rate)
        try:
            history = model.fit(
                x[rows], y[rows], batch_size=size, epochs=1, verbose=0, shuffle=False,
                class_weight=prepared.class_weight,
                sample_weight=None if weight is None else weight[rows],
            )  # fmt: skip
        except DivergedError:
            break
        mean = _SMOOTH * mean + (1 - _SMOOTH) * history.history["loss"][0]
        losses.append(mean / (1 - _SMOOTH ** (step + 1)))
        if step > 10 and losses[-1] > _TOO_LARGE * min(losses):
            break
    found = np.array(losses)
    return RateCurve(rates[: len(found)], found, _suggested(rates, found))


def _suggested(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate of steepest descent before the smallest loss, with two digits.

    The slope is that over a tenth of the curve, so that the noise of batches is averaged.
    """
    lowest, span = int(np.argmin(losses)), max(2, _STEPS // 10)
    if lowest <= span:
        return float(f"{rates[lowest]:.1e}")
    fall = losses[: lowest + 1 - span] - losses[span : lowest + 1]
    return float(f"{rates[int(np.argmax(fall)) + span // 2]:.1e}")
