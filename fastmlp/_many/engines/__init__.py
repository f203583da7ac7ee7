"""Engines, which call a function for many items: in threads, processes or a Dask cluster.

An engine calls ``function(shared, item, progress)`` for every item. `shared` is sent to each
worker once, and results are handed over in the calling thread as they arrive. Items of a lost
worker are processed by another one. Ctrl-C stops all calls within a second.

choice     `engine`, which picks the engine that the options ask for
base       `Engine`, the base class
threads    an engine of this process's threads
processes  engines of joblib's workers
dask       an engine of a Dask cluster's workers
calls      one call in a worker
progress   the progress of one item
"""

from .base import Engine
from .choice import engine
from .progress import Progress

__all__ = ["Engine", "Progress", "engine"]
