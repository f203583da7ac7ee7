"""Tiny networks of one kind trained side by side by one kernel, a lane of its vectors each."""

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

_MAX_UNITS = 512  # beyond, a network's own vectors are full and its weights no longer in cache
_MAX_ROWS = 1 << 14  # of a batch
_CALL_SECONDS = 0.1  # how long a signal may wait
_CALL_EPOCHS = 4096  # of one call: bounds the array that receives the losses
_COST_HALF = 0.85  # of a stack of AVX2's lanes, relative to one of AVX-512's


class Plan(NamedTuple):
    """How networks are stacked: by which kernels, so many at a time."""

    module: Any
    ref: int  # vector length of the kernels that would serve one of them alone
    size: int


class Rows(NamedTuple):
    """Rows for one stack: arrays (n, k) that its networks share, or (members, n, k)."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None


def plan(model: Sequential, n_members: int, n_rows: int, n_threads: int) -> Plan | None:
    """Decide how to stack `n_members` networks like `model`; None if each had better run alone.

    Parameters
    ----------
    model : Sequential
        Compiled, with the width of its input known; not trained.
    n_members : int
    n_rows : int
        Of a batch.
    n_threads : int

    Returns
    -------
    Plan or None
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
    if network_of(lone, model).regime == "tiny":  # sums in another order, and is quick alone
        return None
    # As even as can be over stacks, and over threads.
    n_stacks = -(-n_members // best.LANES)
    n_stacks = -(-n_stacks // n_threads) * n_threads
    return Plan(best, lone.LANES, -(-n_members // n_stacks))


def _cost(model: Sequential) -> float:
    """Say what a step of a stack costs, in steps of one network alone: measured, roughly.

    The wider a layer, the better the vectors of a network alone are filled.
    """
    widest = max((layer.units for layer in model.dense_layers[:-1]), default=0)
    assert model.n_inputs is not None
    if len(model.dense_layers) == 2 and model.n_inputs <= 4:
        return 2.5 + widest / 20
    return 3.0 + widest / 6


def _is_plain(model: Sequential) -> bool:
    """Whether the model has nothing that stacks do not know."""
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
    """Make a network like the model's, configured, in another module of kernels."""
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
    """Draw networks' initial weights, as `Sequential` does for a model of each seed.

    Parameters
    ----------
    model : Sequential
        Of their architecture.
    seeds : sequence of int
    views : sequence of ndarray
        Written to, (n_networks, ...) each: of layer after layer weights, then biases.
    """
    at = 0
    for place, layer in enumerate(model.dense_layers):
        rules = (layer.kernel_initializer, layer.bias_initializer)
        for part, (rule, shape) in enumerate(zip(rules, layer.shapes, strict=False)):
            if type(rule) in (Zeros, Ones, Constant) or rule.seed is not None:
                views[at][...] = rule(shape, model.dtype)
            else:
                for i, seed in enumerate(seeds):
                    sequence = np.random.SeedSequence(seed, spawn_key=(0, place, part))
                    views[at][i] = rule(shape, model.dtype, np.random.default_rng(sequence))
            at += 1


class Stacked(NamedTuple):
    """What became of a stack: for each network parameters, losses, whether it stayed finite."""

    parameters: list[np.ndarray]
    losses: np.ndarray  # (members, kept epochs that are done)
    latest: np.ndarray  # (members,)
    done: int  # epochs
    finite: list[bool]


def train(
    how: Plan,
    model: Sequential,
    seeds: Sequence[int],
    rows: Rows,
    *,
    kept: np.ndarray,
    batch_size: int,
    shuffle: bool,
    on_call: Callable[[int], None] | None = None,
) -> Stacked:
    """Train networks like `model`, of which each has a seed, side by side in this thread.

    Every one ends with the bits of ``model.fit`` on its rows. Once `threads.worker.halt` is set,
    it stops early.

    Parameters
    ----------
    how : Plan
    model : Sequential
        For its architecture and compilation; it stays as it is.
    seeds : sequence of int
        At most `how.size`.
    rows : Rows
    kept : ndarray of int
        The epochs, from 1 and ascending, whose losses are wanted; the last one is the last.
    batch_size : int
    shuffle : bool
    on_call : callable, optional
        Told now and then how many epochs are done.

    Returns
    -------
    Stacked
    """
    network, n, epochs = network_of(how.module, model), len(seeds), int(kept[-1])
    stack = how.module.Stack(network, n, how.ref)
    both = zip(model.dense_layers, *[iter(stack.parameters())] * 2, strict=True)
    views = [view for layer, w, b in both for view in ((w, b) if layer.use_bias else (w,))]
    draw_into(model, seeds, views)
    shuffle = shuffle and batch_size < rows.x.shape[-2]
    orders = [session_seed([seed], 0) for seed in seeds] if shuffle else [0] * n
    stack.begin(*rows, batch_size=batch_size, shuffle=shuffle, seeds=orders)
    size = min(epochs, _CALL_EPOCHS)
    buffer = np.empty((size, how.module.LANES))
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
