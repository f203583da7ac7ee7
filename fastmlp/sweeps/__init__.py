"""Sweeps: many configurations trained with several seeds, with every result in one store.

_sweep      `sweep`: arguments, held-out rows and the order of the work
_space      the values of each parameter
_methods    which configurations are tried, and for how many epochs
_scheduler  the rounds of a method as numbered runs, trained by an engine
_training   the training and scoring of runs, in a worker
_table_runs runs over a table, as `fastmlp.fit` trains its network
_store      the SQLite file of a sweep, which only the calling process writes
_schema     its tables, and its errors
_result     `SweepResult`: the ranking, the figure and the exports
"""

from ._result import Rank, SweepResult, load
from ._schema import EmptyStoreError, StoreError
from ._space import LogUniform, Uniform
from ._sweep import SHARE, SweepInterrupted, seed_for, sweep

__all__ = [
    "SHARE",
    "EmptyStoreError",
    "LogUniform",
    "Rank",
    "StoreError",
    "SweepInterrupted",
    "SweepResult",
    "Uniform",
    "load",
    "seed_for",
    "sweep",
]
