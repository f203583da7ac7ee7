"""Neural networks for tables on CPUs: fast, reproducible to the bit, and easy to inspect.

The names in `__all__` are loaded on first use (PEP 562), so that ``import fastmlp``, and with it
``fastmlp --help``, does not wait for NumPy.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

try:
    # Little more than the OpenMP runtime: threadpoolctl limits only what is loaded.
    from ._kernels import cpu as _cpu  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != f"{__name__}._kernels.cpu":
        raise
    raise ImportError(
        f"fastmlp is imported from its source code in {__path__[0]}, without its compiled part. "
        "Run Python in another folder to import the installed package, or install this one with "
        "'pip install -e .'"
    ) from None
from ._utils.version import __version__

if TYPE_CHECKING:
    from . import (
        backend,
        callbacks,
        datasets,
        ensembles,
        errors,
        initializers,
        inspection,
        interchange,
        layers,
        lecture,
        losses,
        metrics,
        models,
        optimizers,
        paths,
        playgrounds,
        plots,
        regularizers,
        reports,
        schedules,
        sweeps,
        tabular,
    )
    from .ensembles import ensemble
    from .paths import path
    from .playgrounds import playground
    from .reports import report
    from .sweeps import sweep
    from .tabular import TableModel, fit
    from .threads import get_num_threads, set_num_threads


class _OldModules:
    """Finds the modules of earlier versions, whose names pickles made by those hold."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if not name.startswith(f"{__name__}."):
            return None
        from ._utils.old_modules import specification

        return specification(name)


sys.meta_path.append(_OldModules)

_FUNCTIONS = {
    "TableModel": "tabular",
    "ensemble": "ensembles",
    "fit": "tabular",
    "get_num_threads": "threads",
    "path": "paths",
    "playground": "playgrounds",
    "report": "reports",
    "set_num_threads": "threads",
    "sweep": "sweeps",
}

__all__ = [
    "TableModel",
    "__version__",
    "backend",
    "callbacks",
    "datasets",
    "ensemble",
    "ensembles",
    "errors",
    "fit",
    "get_num_threads",
    "initializers",
    "inspection",
    "interchange",
    "layers",
    "lecture",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "path",
    "paths",
    "playground",
    "playgrounds",
    "plots",
    "regularizers",
    "report",
    "reports",
    "schedules",
    "set_num_threads",
    "sweep",
    "sweeps",
    "tabular",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    if name in __all__ or name == "sklearn":  # not in __all__: it needs a package of that name
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
