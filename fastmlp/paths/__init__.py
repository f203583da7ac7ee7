"""Paths: networks fitted for a grid of lambdas, cross-validated, and one lambda chosen.

_path        `path`: arguments, defaults and the order of the work
_search      the largest lambda of the grid
_grid        the grid of lambdas
_fold_paths  the paths on all rows and without each fold, fitted by an engine
_solvers     a model that is fitted for one lambda after another
_linear      models without hidden layers, solved to rounding error
_sparsity    the nonzero weights, live units and used inputs of a model
_result      `PathResult`: scores, choices, models, tables and figures
"""

from .._model.architecture import parse_hidden
from ._path import REFUSED, PathInterrupted, lengths, path
from ._result import PathResult
from ._sparsity import Description

__all__ = [
    "REFUSED",
    "Description",
    "PathInterrupted",
    "PathResult",
    "lengths",
    "parse_hidden",
    "path",
]
