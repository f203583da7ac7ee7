"""Sweeps: many configurations tried, each with several seeds, every result a row of one store.

`sweep` checks what is given; a `Space` (`_space`) holds the values to try, a method (`_methods`)
says which of them when, and `_runs` turns its rounds into numbered runs and those into pieces of
work, which `_training` does, on this machine or on others (`_many.engines`). The parent alone
writes to the `Store` (`_store`, its columns `_schema`); `SweepResult` (`_result`) ranks, draws and
exports what is in it.
"""

from ._result import SweepResult, load
from ._schema import EmptyStoreError, StoreError
from ._space import LogUniform, Uniform
from ._sweep import SweepInterrupted, sweep

__all__ = [
    "EmptyStoreError",
    "LogUniform",
    "StoreError",
    "SweepInterrupted",
    "SweepResult",
    "Uniform",
    "load",
    "sweep",
]
