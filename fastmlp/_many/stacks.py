"""Stacks: tiny networks of one architecture trained by one kernel, one per SIMD lane."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _kernels, threads
from .._training.lifecycle import session_seed
from ..initializers import Constant, Ones, Zeros
from ..regularizers import L1, L1L2, L2, Regularizer

if TYPE_CHECKING:
    from ..models import Sequential

_MAX_UNITS = 512  # wider networks fill vectors on their own, and their weights leave the cache
_MAX_ROWS = 1 << 14  # rows of a batch
_CALL_SECONDS = 0.1  # longest delay of a signal
_CALL_EPOCHS = 4096  # epochs of one call: bounds the array of losses
_COST_HALF = 0.85  # cost of a stack with AVX2's lanes, relative to one with AVX-512's


class StackPlan(NamedTuple):
    """The kernels of stacks, and the number of networks in each."""

    module: Any
    ref: int  # vector length of the kernels that would train one of the networks alone
    size: int


class StackRows(NamedTuple):
    """Rows for one stack: arrays (n, k) that its networks share, or (members, n, k)."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None


def plan(model: Sequential, n_members: int, n_rows: int, n_threads: int) -> StackPlan | None:
    """Decide how to stack `n_members` networks like `model`; None if training each alone is faster.

    Parameters
    ----------
    model : Sequential
        Compiled, with a known number of inputs; not trained.
    n_members : int
    n_rows : int
        Rows of a batch.
    n_threads : int

    Returns
    -------
    StackPlan or None
    """
    if n_members < 2 or n_rows > _MAX_ROWS or not _is_plain(model):
        return None
    best, least = None, float(-(-n_members // n_threads))
    for i, module in enumerate(_kernels.stack_modules(model.dtype.name)):
        n_stacks = -(-n_members // module.LANES)
        cost = -(-n_stacks // n_threads) * _cost(model) * _COST_HALF**i
        if cost < least:
            best, least = module, cost
    if best is None or not best.stackable(network_of(best, model)):
        return None
    widest = max(layer.units for layer in model.dense_layers)
    lone = importlib.import_module(_kernels.network_class(model.dtype.name, widest).__module__)
    if network_of(lone, model).regime == "tiny":  # it sums in another order, and is fast alone
        return None
    # Stacks of about equal size, and equally many for each thread.
    n_stacks = -(-n_members // best.LANES)
    n_stacks = -(-n_stacks // n_threads) * n_threads
    return StackPlan(best, lone.LANES, -(-n_members // n_stacks))


def _cost(model: Sequential) -> float:
    """Return the rough cost of a stack's step, measured in steps of one network alone.

    The wider a layer, the better a network alone fills its vectors.
    """
    widest = max((layer.units for layer in model.dense_layers[:-1]), default=0)
    assert model.n_inputs is not None
    if len(model.dense_layers) == 2 and model.n_inputs <= 4:
        return 2.5 + widest / 20
    return 3.0 + widest / 6


def _is_plain(model: Sequential) -> bool:
    """Return whether stacks support everything that the model has."""
    loss, optimizer = model.loss, model.optimizer
    if loss is None or optimizer is None or loss.in_python or optimizer.schedule is not None:
        return False
    dense = model.dense_layers
    if len(model.layers) != len(dense) or max(layer.units for layer in dense) > _MAX_UNITS:
        return False
    known = (type(None), Regularizer, L1, L2, L1L2)
    return all(
        layer.trainable and type(rule) in known and not getattr(rule, "proximal", False)
        for layer in dense
        for rule in (layer.kernel_regularizer, layer.bias_regularizer)
    )


def network_of(module: Any, model: Sequential) -> Any:
    """Make a configured network like the model's from another module of kernels."""
    dense = model.dense_layers
    network = module.Network(
        model.n_inputs,
        [layer.units for layer in dense],
        [layer.activation for layer in dense],
        use_bias=[layer.use_bias for layer in dense],
    )
    model.configure(network, with_metrics=False)
    return network


def draw_into(model: Sequential, seeds: Sequence[int], views: Sequence[np.ndarray]) -> None:
    """Draw the initial weights that a `Sequential` of each seed would have.

    Parameters
    ----------
    model : Sequential
        The networks' architecture.
    seeds : sequence of int
    views : sequence of ndarray
        For each layer, the weights, then the biases, of shape (n_networks, ...); written to.
    """
    at = 0
    for i_layer, layer in enumerate(model.dense_layers):
        rules = (layer.kernel_initializer, layer.bias_initializer)
        for part, (rule, shape) in enumerate(zip(rules, layer.shapes, strict=False)):
            if type(rule) in (Zeros, Ones, Constant) or rule.seed is not None:
                views[at][...] = rule(shape, model.dtype)
            else:
                for i, seed in enumerate(seeds):
                    sequence = np.random.SeedSequence(seed, spawn_key=(0, i_layer, part))
                    views[at][i] = rule(shape, model.dtype, np.random.default_rng(sequence))
            at += 1


class Stacked(NamedTuple):
    """The result of a stack: parameters, losses and finiteness of each network."""

    parameters: list[np.ndarray]
    losses: np.ndarray  # (members, kept epochs up to `done`)
    latest: np.ndarray  # (members,)
    done: int  # epochs
    finite: list[bool]


def train(
    plan: StackPlan,
    model: Sequential,
    seeds: Sequence[int],
    rows: StackRows,
    *,
    kept: np.ndarray,
    batch_size: int,
    shuffle: bool,
    on_call: Callable[[int], None] | None = None,
) -> Stacked:
    """Train networks like `model`, one for each seed, as a stack in this thread.

    Each gets, bit for bit, the weights of ``model.fit`` on its rows. Training stops early once
    `threads.worker.halt` is set.

    Parameters
    ----------
    plan : StackPlan
    model : Sequential
        Architecture and compilation; not changed.
    seeds : sequence of int
        At most `plan.size`.
    rows : StackRows
    kept : ndarray of int
        The epochs, from 1 and ascending, whose losses are returned. The last entry is the number
        of epochs.
    batch_size : int
    shuffle : bool
    on_call : callable, optional
        Called from time to time with the number of epochs done.

    Returns
    -------
    Stacked
    """
    network, n, epochs = network_of(plan.module, model), len(seeds), int(kept[-1])
    stack = plan.module.Stack(network, n, plan.ref)
    both = zip(model.dense_layers, *[iter(stack.parameters())] * 2, strict=True)
    views = [view for layer, w, b in both for view in ((w, b) if layer.use_bias else (w,))]
    draw_into(model, seeds, views)
    shuffle = shuffle and batch_size < rows.x.shape[-2]
    orders = [session_seed([seed], 0) for seed in seeds] if shuffle else [0] * n
    stack.begin(*rows, batch_size=batch_size, shuffle=shuffle, seeds=orders)
    size = min(epochs, _CALL_EPOCHS)
    buffer = np.empty((size, plan.module.LANES))
    halt, done = threads.worker.halt, 0
    finite, latest = np.ones(n, bool), np.full(n, np.nan)
    losses = np.full((n, len(kept)), np.nan)
    while done < epochs and not (halt is not None and halt.is_set()):
        ended = stack.run(min(epochs - done, size), buffer, max_seconds=_CALL_SECONDS)
        if ended:
            values = buffer[:ended, :n].T
            finite &= np.isfinite(values).all(1)
            first, last = np.searchsorted(kept, [done + 1, done + ended + 1])
            losses[:, first:last] = values[:, kept[first:last] - done - 1]
            latest = values[:, -1].copy()
            done += ended
        if on_call is not None:
            on_call(done)
    finite &= stack.finite()
    at = np.searchsorted(kept, done, "right")
    return Stacked(
        [np.array(view) for view in views], losses[:, :at], latest, done, finite.tolist()
    )
