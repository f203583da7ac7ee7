"""How fast fastmlp is beside other libraries that train the same networks.

    cases.py     the workloads, by name
    peers.py     each workload in fastmlp, NumPy, PyTorch, JAX, Keras and scikit-learn
    __main__.py  one library on one workload: a process that measures when it is told to
    turns.py     starts such processes, lets them take turns, and compares
    clock.py     timing, and how much work fills a window
    host.py      what a reader needs to judge the figures

Nothing here prints. Importing the package imports no NumPy: the command line completes names
from it.
"""

from .cases import CASES, LIBRARIES, Case, installed, parse_cases, parse_peers
from .host import machine
from .turns import Timing, compare

__all__ = [
    "CASES",
    "LIBRARIES",
    "Case",
    "Timing",
    "compare",
    "installed",
    "machine",
    "parse_cases",
    "parse_peers",
]
