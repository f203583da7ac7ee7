"""Paths of lambdas: fit for each, cross-validate, choose, refit; see `path`.

`_path` checks what is given, and strings the rest together: a `Problem` (`_problem`) is the table,
cut into parts each of which is preprocessed by its own rows; `_folds` says which rows are held out
together; `_search` finds the largest lambda, `_grid` the others; `_run` walks along them side by
side, a `Track` for all rows and one for each fold, by a `Walker` (`_walkers`) that is a network or
the exact `LinearModel` (`_linear`); `_sparsity` says what is left of a model, and `_result` holds
what came of it all.
"""

from .._model.architecture import parse_hidden
from ._path import PathInterrupted, path
from ._result import PathResult
from ._sparsity import Description

__all__ = ["Description", "PathInterrupted", "PathResult", "parse_hidden", "path"]
