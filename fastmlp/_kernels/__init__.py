"""Compiled kernels: the folders, how arrays lie in memory, and the rule for threads.

The model calls `network_class` and gets `Network`. `network.pyx` is compiled once for each
instruction set and element type. It includes `steps/` and `classes/`, whose C code is in `simd/`.

classes/  the extension classes, each derived from the one before
    blocks.pxi      memory that kernels and NumPy share
    parameters.pxi  layers, weights and the optimizer's moments
    workspace.pxi   arrays for a batch, and the number of threads for it
    objective.pxi   penalties, loss, optimizer
    session.pxi     training on data that is held for many calls
    network.pyx     (one folder up) Network: prediction, evaluation, gradients
    sharded.pxi     PartStep: a step from the gradients of parts of a batch
    stacked.pxi     Stack: many small networks, one per lane of a vector
steps/    the loops, which run without the interpreter, in all threads at once
    layer.pxi       where a layer's arrays are; declarations of the C functions
    passes.pxi      a layer's forward pass, backward pass and update
    state.pxi       the struct that all loops work on
    batches.pxi     which rows a batch has, and their order
    sparse.pxi      the first layer, where inputs are given by their nonzeros, or encoded in bins
    forward.pxi     outputs, losses, metrics
    backward.pxi    gradients and updates, layer by layer
    update.pxi      scalars of the optimizer's step, penalties, clipping
    shallow.pxi     a whole step of a small network
    training.pxi    one step, and the loop over epochs
    parts.pxi       steps on parts of a batch, one part per thread
simd/     C headers, for one instruction set and element type
    simd.h          vectors and their arithmetic
    memory.h        allocation, barriers, time
    phases.h        how long each thread spends in what, if built to count it
    lists.h         flags and lists of live units
    tiles.h         matrix products in registers
    activations.h  losses.h  optimizers.h  groups.h   formulas of the same names
    sparse.h        products of nonzeros
    philox.h        random numbers for shuffling and dropout
    shallow.h       one hidden layer, unit by unit
    tiny.h          one hidden layer of a few units, row by row
    stacked.h  stacked_layers.h   networks side by side: one hidden layer, any depth
    peak.h          the machine's peak, for benchmarks
cpu.pyx       instruction sets of this processor, the OpenMP runtime's number of threads
descent.pyx   coordinate descent for linear models
interface.py  what a network offers, as types; network.pyi  the compiled classes, as types
formulas.py   what each kernel computes, in NumPy
memory.py     free memory;  cgroups.py  limits of control groups
signals.py    signals that arrive during a step
specialise.py from network.pyx to a C file for each module; run by CMakeLists.txt alone

Inputs are arrays, or sparse rows (`interface.SparseRows`) of which a batch has the nonzeros alone.
Arrays of a batch are row-major [n_samples, units], rows padded to whole vectors. Weights are
[n_in, n_out] likewise, or transposed where a layer has at most four outputs. Gradients of
activations are feature-major, so that vectors run along the batch. Padding of weights, moments
and gradients stays zero.

Work is divided by output. No sum crosses threads, and every element is one chain of multiply-adds
in a fixed order, so results have the same bits on any number of threads. `Network.ran` names the
kernels and regimes that training has used.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, cast

from .cpu import supported_isas

if TYPE_CHECKING:
    from .interface import Network
    from .network import PartStep

__all__ = ["isa", "network_class", "part_step", "stack_modules", "supported_isas"]


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
        If ``FASTMLP_ISA`` names an instruction set that this processor does not run.
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


# A layer of at most this many units does not fill a vector of AVX-512; AVX2 is faster.
_TINY = 16


@functools.cache
def network_class(dtype: str, widest: int | None = None) -> type[Network]:
    """Return the compiled ``Network`` for an element type.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    widest : int, optional
        Units of the network's widest layer. With at most 16, AVX2 is chosen instead of AVX-512
        unless ``FASTMLP_ISA`` is set.

    Returns
    -------
    type
    """
    suffix = {"float32": "f32", "float64": "f64"}[dtype]
    chosen = isa()
    tiny = widest is not None and widest <= _TINY
    if tiny and chosen == "avx512" and not os.environ.get("FASTMLP_ISA"):
        chosen = "avx2"
    module = importlib.import_module(f"{__name__}.network_{chosen}_{suffix}")
    return cast("type[Network]", module.Network)


def part_step(network: Network) -> PartStep:
    """Return the object that makes a network's steps from the gradients of parts of a batch."""
    return cast("PartStep", sys.modules[type(network).__module__].PartStep(network))


def stack_modules(dtype: str) -> list[Any]:
    """Return the compiled modules whose ``Stack`` trains networks side by side.

    Parameters
    ----------
    dtype : {"float32", "float64"}

    Returns
    -------
    list of module
        Each has ``Stack``, ``Network`` and ``LANES``. The module with the longest vectors comes
        first. With AVX-512 that of AVX2 follows, for stacks that would leave most lanes idle.
    """
    suffix = {"float32": "f32", "float64": "f64"}[dtype]
    names = [isa()]
    if names == ["avx512"] and not os.environ.get("FASTMLP_ISA"):
        names.append("avx2")
    return [importlib.import_module(f"{__name__}.network_{name}_{suffix}") for name in names]
