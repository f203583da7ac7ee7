"""Attributions: how much each feature contributes to the prediction for single rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._model.model import Model, all_or_nothing
from .._training.input_gradients import InputGradients
from .._utils import arguments, cards
from ._features import Feature, checked_inputs, named_features, outputs_of

METHODS = ("auto", "shapley", "gradients")
_EXACT = 10  # features; with more, Shapley values are sampled
_MANY = 64  # features; with more, gradients are the default
_BACKGROUND = 100
_CHUNK = 1 << 22  # numbers of changed rows at a time
_NODES = 32  # of the path of gradients between a row and one of the background
_SHOWN = 12


@dataclass(frozen=True)
class Attributions:
    """Contributions of features to predictions: they add up to prediction minus `base`.

    Parameters
    ----------
    names : list of str
        Of the features.
    values : ndarray of shape (n, n_features, n_outputs)
        For each row, feature and output.
    base : ndarray of shape (n_outputs,)
        Mean prediction over the background.
    predictions : ndarray of shape (n, n_outputs)
    errors : ndarray of shape (n, n_features, n_outputs)
        Standard errors of `values` from sampling; 0 where they are exact.
    rows : ndarray of shape (n, n_features)
        The features' values in their own units; a category's index; NaN where missing.
    features : tuple of Feature
    method : {'shapley', 'gradients'}
    seed : int or None
        Random seed of the background and of the samples.
    """

    names: list[str]
    values: np.ndarray
    base: np.ndarray
    predictions: np.ndarray
    errors: np.ndarray
    rows: np.ndarray
    features: tuple[Feature, ...]
    method: str
    seed: int | None = None

    @property
    def mean(self) -> np.ndarray:
        """Mean size of the contributions over rows and outputs, (n_features,)."""
        return np.abs(self.values).mean(axis=(0, 2))

    @property
    def order(self) -> np.ndarray:
        """Indices of the features, the largest mean contribution first."""
        return np.argsort(-self.mean, kind="stable")

    def __repr__(self) -> str:
        first = ", ".join(f"{self.names[i]} {self.mean[i]:.4g}" for i in self.order[:3])
        rest = ", ..." if len(self.names) > 3 else ""
        n, k, m = self.values.shape
        return f"<Attributions: {n} rows, {k} features, {m} outputs, {self.method}; {first}{rest}>"

    def _repr_html_(self) -> str:
        """Return bars of the mean contributions, for notebooks."""
        order, mean = self.order[:_SHOWN], self.mean
        left = len(self.names) - len(order)
        return cards.card(
            "Attributions: mean size of each column's contribution",
            f"{len(self.values):,} rows, by {self.method}; mean prediction "
            f"{', '.join(f'{base:.4g}' for base in self.base[:8])}",
            cards.bars(
                [self.names[i] for i in order], [float(mean[i]) for i in order],
                [f"{mean[i]:.3g}" for i in order],
            ),
            f"{left:,} columns are not shown" if left else "",
        )  # fmt: skip


@all_or_nothing
def attributions(
    model: Model,
    x: Any,
    background: Any = None,
    *,
    method: str = "auto",
    n_samples: int = 100,
    seed: int | None = None,
    features: Sequence[str | Feature] | None = None,
    postprocess: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Attributions:
    """Attribute the prediction of each row to the features.

    A row's contributions add up to its prediction minus the mean prediction over the background.

    'shapley': Shapley values of the game in which the features outside of a coalition have the
    values of a background row, averaged over the background. They are exact with up to 10
    features; with more, each sample is an order of the features and a background row, taken in
    both directions. It takes about ``2 * n_samples * n_features`` predictions a row.

    'gradients': expected gradients, the gradient of the output along the line from a background
    row to the row, times their difference, averaged over the background. It takes about
    ``32 * n_samples`` gradients a row, however many features there are. The two agree for a model
    that is a sum of functions of one feature; they differ where features interact.

    Parameters
    ----------
    model : Model
    x : array-like of shape (n, n_inputs)
        Rows to explain.
    background : array-like of shape (m, n_inputs), optional
        Rows to compare with, such as the training rows; at most 100 of them are drawn. The
        default is x.
    method : {'auto', 'shapley', 'gradients'}
        'auto': Shapley values with up to 64 features, gradients with more.
    n_samples : int
        Number of orders for each row, or of background rows for 'gradients'.
    seed : int, optional
        Random seed; drawn if it is not given.
    features : sequence of str or Feature, optional
        As for `permutation_importance`.
    postprocess : callable, optional
        Maps outputs (n, n_outputs) to other units, for 'shapley'. It must be linear for
        'gradients', which scale by its slope.

    Returns
    -------
    Attributions

    Raises
    ------
    DataError
        If x or background has another number of columns than the model, or no rows.

    References
    ----------
    Lundberg & Lee (2017), A Unified Approach to Interpreting Model Predictions, NeurIPS.
    Erion et al. (2021), Improving Performance of Deep Learning Models with Axiomatic Attribution
    Priors and Expected Gradients, Nature Machine Intelligence 3.
    """
    x = checked_inputs(model, x)
    if background is None:
        background = x
    background = checked_inputs(model, background, "background")
    method = arguments.one_of("method", method, METHODS)
    n_samples = arguments.integer("n_samples", n_samples)
    known = named_features(features, x.shape[1])
    if method == "auto":
        alone = isinstance(model, Model)
        method = "gradients" if alone and len(known) > _MANY else "shapley"
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    rng = np.random.default_rng(arguments.integer("seed", seed, 0))
    if len(background) > _BACKGROUND:
        chosen = rng.choice(len(background), _BACKGROUND, replace=False)
        background = background[np.sort(chosen)]

    def predicted(rows: np.ndarray) -> np.ndarray:
        outputs = outputs_of(model, rows)
        if postprocess is not None:
            outputs = postprocess(outputs)
        return np.asarray(outputs, np.float64).reshape(len(rows), -1)

    base, at_x = predicted(background).mean(0), predicted(x)
    if method == "gradients":
        arguments.instance("model", model, Model)
        slopes = _slopes(postprocess, model.n_outputs or 1)
        found = _gradients(model, x, background, known, predicted, slopes, rng, n_samples)
    elif len(known) <= _EXACT:
        found = _exact(x, background, known, predicted)
    else:
        found = _sampled(x, background, known, predicted, rng, n_samples)
    values, errors = found
    # Samples of the background have another mean than all of it: what is left is spread in
    # proportion to the errors, so that the sum is exact.
    left = (at_x - base) - values.sum(1)
    weight = errors + np.abs(values) * 1e-9 + 1e-300
    values = values + left[:, None] * (weight / weight.sum(1, keepdims=True))
    rows = np.stack([_own(feature, x) for feature in known], axis=1)
    names = [feature.name for feature in known]
    return Attributions(names, values, base, at_x, errors, rows, tuple(known), method, seed)


def _own(feature: Feature, x: np.ndarray) -> np.ndarray:
    """Return a feature's values in its own units."""
    columns = x[:, list(feature.columns)]
    if feature.kind == "categorical":
        shares = columns[:, : len(feature.categories)]
        codes = shares.argmax(1).astype(np.float64)
        return np.where(shares.max(1) > 0, codes, np.nan)
    values = np.asarray(feature.own(columns[:, 0]), np.float64)
    return np.where(columns[:, -1] > 0.5, np.nan, values) if feature.indicator else values


Predict = Callable[[np.ndarray], np.ndarray]


def _columns_of(features: Sequence[Feature], n_inputs: int) -> np.ndarray:
    """Return for each column of x the index of its feature; -1 if it has none."""
    owner = np.full(n_inputs, -1)
    for i, feature in enumerate(features):
        owner[list(feature.columns)] = i
    return owner


def _exact(
    x: np.ndarray, background: np.ndarray, features: Sequence[Feature], predicted: Predict
) -> tuple[np.ndarray, np.ndarray]:
    """Return Shapley values over all coalitions."""
    k = len(features)
    coalitions = np.array(list(itertools.product([False, True], repeat=k)))
    owner = _columns_of(features, x.shape[1])
    # A column without a feature keeps the background's value, as one outside of every coalition.
    taken = np.concatenate([coalitions, np.zeros((len(coalitions), 1), bool)], axis=1)[:, owner]
    size = coalitions.sum(1)
    factor = [math.factorial(s) * math.factorial(k - s - 1) / math.factorial(k) for s in range(k)]
    n_outputs = predicted(x[:1]).shape[1]
    values = np.zeros((len(x), k, n_outputs))
    per_row = len(background) * x.shape[1]
    part = max(1, _CHUNK // per_row)
    for i, row in enumerate(x):
        worth = np.empty((len(coalitions), n_outputs))
        for start in range(0, len(coalitions), part):
            mask = taken[start : start + part]
            mixed = np.where(mask[:, None, :], row, background[None])
            outputs = predicted(mixed.reshape(-1, x.shape[1]))
            shape = (len(mask), len(background), n_outputs)
            worth[start : start + part] = outputs.reshape(shape).mean(1)
        for j in range(k):
            without = np.flatnonzero(~coalitions[:, j])
            gain = worth[without + (1 << (k - 1 - j))] - worth[without]
            weight = np.array([factor[s] for s in size[without]])
            values[i, j] = (weight[:, None] * gain).sum(0)
    return values, np.zeros_like(values)


def _sampled(
    x: np.ndarray,
    background: np.ndarray,
    features: Sequence[Feature],
    predicted: Predict,
    rng: np.random.Generator,
    n_samples: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return Shapley values from random orders, each taken forwards and backwards."""
    k, owner = len(features), _columns_of(features, x.shape[1])
    orders = np.array([rng.permutation(k) for _ in range(n_samples)])
    chosen = _spread(rng, n_samples, len(background))
    total = squares = np.zeros((len(x), k, 1))
    steps = np.arange(k + 1)[:, None]
    rows = max(1, _CHUNK // (2 * (k + 1) * x.shape[1]))
    for order, b in zip(orders, chosen, strict=True):
        place = np.argsort(order)  # of each feature in the order
        masks = np.concatenate([place[None, :] < steps, (k - 1 - place)[None, :] < steps])
        taken = np.concatenate([masks, np.zeros((len(masks), 1), bool)], axis=1)[:, owner]
        gains = []
        for start in range(0, len(x), rows):
            part = x[start : start + rows]
            mixed = np.where(taken[None], part[:, None, :], background[b])
            worth = predicted(mixed.reshape(-1, x.shape[1])).reshape(len(part), 2, k + 1, -1)
            steps_up = np.diff(worth, axis=2)
            gains.append((steps_up[:, 0][:, place] + steps_up[:, 1][:, k - 1 - place]) / 2)
        gain = np.concatenate(gains)
        total, squares = total + gain, squares + gain**2
    mean = total / n_samples
    variance = np.maximum(squares / n_samples - mean**2, 0) / max(1, n_samples - 1)
    return mean, np.sqrt(variance)


def _spread(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Return n indices below `size`, each about equally often."""
    rounds: Iterator[np.ndarray] = (rng.permutation(size) for _ in range(-(-n // size)))
    return np.concatenate(list(rounds))[:n]


def _gradients(
    model: Model,
    x: np.ndarray,
    background: np.ndarray,
    features: Sequence[Feature],
    predicted: Predict,
    slopes: np.ndarray,
    rng: np.random.Generator,
    n_samples: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return expected gradients: the mean of each background row's path integral."""
    owner, gradient = _columns_of(features, x.shape[1]), InputGradients(model)
    n_outputs = model.n_outputs or 1
    chosen = _spread(rng, min(n_samples, len(background)), len(background))
    at = ((np.arange(_NODES) + 0.5) / _NODES).astype(x.dtype)
    ends = (np.arange(_NODES + 1) / _NODES).astype(x.dtype)
    total = np.zeros((len(x), len(features), n_outputs))
    squares = np.zeros_like(total)
    rows = max(1, _CHUNK // (_NODES * x.shape[1]))
    for b in chosen:
        for start in range(0, len(x), rows):
            part = x[start : start + rows]
            step = part - background[b]
            line = background[b] + at[:, None, None] * step
            bounds = predicted((background[b] + ends[:, None, None] * step).reshape(-1, x.shape[1]))
            change = np.diff(bounds.reshape(_NODES + 1, len(part), n_outputs), axis=0)
            for j in range(n_outputs):
                slope = gradient(line.reshape(-1, x.shape[1]), j).reshape(line.shape)
                each = slopes[j] * slope.astype(np.float64) * step / _NODES
                parts = _exactly(each, change[:, :, j])
                found = np.zeros((len(part), len(features)))
                for i in range(x.shape[1]):
                    if owner[i] >= 0:
                        found[:, owner[i]] += parts[:, i]
                total[start : start + rows, :, j] += found
                squares[start : start + rows, :, j] += found**2
    n = len(chosen)
    mean = total / n
    whole = n == len(background)  # nothing was sampled
    spread = np.zeros_like(mean) if whole else np.sqrt(
        np.maximum(squares / n - mean**2, 0) / max(1, n - 1)
    )  # fmt: skip
    return mean, spread


def _slopes(postprocess: Any, n_outputs: int) -> np.ndarray:
    """Return by what a linear postprocess multiplies each output."""
    if postprocess is None:
        return np.ones(n_outputs)
    ends = [np.asarray(postprocess(np.full((1, n_outputs), v)), np.float64) for v in (0.0, 1.0)]
    if ends[0].size != n_outputs:
        raise ValueError(
            "method='gradients' needs a postprocess that returns as many outputs as it is given, "
            f"{n_outputs}. Received: one that returns {ends[0].size}"
        )
    return (ends[1] - ends[0]).ravel()


def _exactly(each: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Sum contributions over the path, scaled so that each piece's add up to the output's change.

    Parameters
    ----------
    each : ndarray of shape (nodes, n, n_inputs)
        Gradient times difference at the middle of each piece.
    change : ndarray of shape (nodes, n)
        Change of the output over the piece.
    """
    size = np.abs(each)
    left = change - each.sum(2)
    whole = size.sum(2)
    share = size / np.where(whole > 0, whole, 1)[..., None]
    if each.shape[2]:
        share = np.where((whole > 0)[..., None], share, 1 / each.shape[2])
    return np.asarray((each + left[..., None] * share).sum(0))
