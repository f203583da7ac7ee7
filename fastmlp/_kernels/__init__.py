"""Compiled kernels: who calls what, how arrays lie, and the rule for threads.

    models -> network_class() -> Network, in five storeys, each class adding to the one before:
        parameters.pxi   layers, weights and the optimizer's moments   (memory: blocks.pxi)
        workspace.pxi    arrays for a batch, and how many threads it takes
        objective.pxi    penalties, loss, optimizer
        session.pxi      training on data that are held
        network.pyx      prediction, evaluation, gradients; includes all the rest
    without the interpreter, by all threads at once:
        training.pxi     one step, the epoch loop
            state.pxi        what all of them know
            batches.pxi      which rows, and in which order
            forward.pxi      outputs, losses, metrics
            backward.pxi     gradients and updates, layer by layer
            update.pxi       the step's scalars, penalties, clipping
            passes.pxi       a layer's forward, backward, update; layer.pxi: where its arrays are
        parts.pxi        steps on parts of a batch, a thread each
        sharded.pxi      a step in parts, whose gradients are added
        shallow.pxi      small networks: shallow.h, one hidden layer, unit by unit
                                         tiny.h, the same with a few units, row by row
        stacked.pxi      many small networks, a vector's lane each: stacked.h, stacked_layers.h
    in C, for one instruction set and element type:
        tiles.h          matrix products in registers
        activations.h  losses.h  optimizers.h  groups.h  philox.h  simd.h  memory.h

Arrays of a batch are row-major [n_samples, units], rows padded to whole vectors; weights are
[n_in, n_out] likewise, or transposed where a layer has at most four outputs. Gradients travel
backward feature-major, so that vectors run along the batch.
Work is cut by output: no sum crosses threads, and every element is one chain of multiply-adds in
a fixed order, so results have the same bits on any number of threads. `formulas.py` and
`reference.py` say in NumPy what each kernel computes. Padding of weights, moments and gradients
stays zero. `Network.ran` names the kernels and regimes that training has gone through.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any

from .cpu import supported_isas

__all__ = ["isa", "network_class", "stack_modules", "supported_isas"]


@functools.cache
def isa() -> str:
    """Return the instruction set in use: the best this processor runs, or ``FASTMLP_ISA``.

    Returns
    -------
    str
        ``"avx512"``, ``"avx2"``, ``"neon"`` or ``"baseline"``.

    Raises
    ------
    ValueError
        If ``FASTMLP_ISA`` names an instruction set this processor does not run.
    """
    supported = supported_isas()
    forced = os.environ.get("FASTMLP_ISA")
    if not forced:
        return supported[0]
    if forced not in supported:
        raise ValueError(
            f"FASTMLP_ISA must be one of {', '.join(supported)} on this processor. "
            f"Received: {forced!r}"
        )
    return forced


# Up to this many units a layer fill no vector of AVX-512; the half as wide ones of AVX2 are faster.
_TINY = 16


@functools.cache
def network_class(dtype: str, widest: int | None = None) -> Any:
    """Return the compiled ``Network`` for an element type.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    widest : int, optional
        Units of the network's widest layer: with few, AVX2 serves better than AVX-512 unless
        ``FASTMLP_ISA`` decides.

    Returns
    -------
    type
    """
    suffix = {"float32": "f32", "float64": "f64"}[dtype]
    chosen = isa()
    tiny = widest is not None and widest <= _TINY
    if tiny and chosen == "avx512" and not os.environ.get("FASTMLP_ISA"):
        chosen = "avx2"
    return importlib.import_module(f"{__name__}.network_{chosen}_{suffix}").Network


def stack_modules(dtype: str) -> list[Any]:
    """Return the compiled modules whose ``Stack`` may train networks side by side.

    Parameters
    ----------
    dtype : {"float32", "float64"}

    Returns
    -------
    list of module
        With ``Stack``, ``Network`` and ``LANES``; the one of the longest vectors first. With
        AVX-512 that of AVX2 as well, for stacks that would leave most lanes idle.
    """
    suffix = {"float32": "f32", "float64": "f64"}[dtype]
    names = [isa()]
    if names == ["avx512"] and not os.environ.get("FASTMLP_ISA"):
        names.append("avx2")
    return [importlib.import_module(f"{__name__}.network_{name}_{suffix}") for name in names]
