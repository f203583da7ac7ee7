"""Compare the speed of fastmlp with other libraries that train the same networks.

cases     the workloads, by name
peers     each workload in fastmlp, NumPy, PyTorch, JAX, Keras and scikit-learn
__main__  the process that measures one library on one workload
turns     starts such processes, runs them in turns, and compares their times
clock     timing, and the amount of work in a window
host      processor, load, compiler and versions

Nothing here prints. Importing the package does not import NumPy, because the command line
completes names from it.
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
