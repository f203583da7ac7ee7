"""Old names of modules that moved: pickles made by earlier versions hold these names."""

from __future__ import annotations

import importlib
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# For each old module, those that its classes and functions moved to.
_MOVED: dict[str, tuple[str, ...]] = {
    "_callback": ("callbacks", "_model.history"),
    "_cells": ("_tables.cells",),
    "_columns": ("preprocessing",),
    "_file_callbacks": ("callbacks",),
    "_layer_report": ("inspection",),
    "_parquet": ("datasets",),
    "_proximal": ("_training.polish",),
    "_table": ("_tables.table",),
    "mlp": ("models",),
    "paths._problem": ("_many.cross_validation",),
    "paths._run": ("paths._fold_paths",),
    "paths._walkers": ("paths._solvers",),
    "persistence": ("models", "_saving.fmlp"),
    "sklearn._settings": ("sklearn._parameters",),
}
# New names of what was renamed when it moved, by old module and name.
_RENAMED = {
    ("paths._problem", "Part"): "Split",
    ("paths._problem", "Problem"): "TableProblem",
    ("paths._walkers", "Settings"): "PathSettings",
    ("sklearn._settings", "Architecture"): "HiddenLayers",
}


def specification(name: str) -> ModuleSpec | None:
    """Return the specification of an old module; None for any other name."""
    rest = name.partition(".")[2]
    return ModuleSpec(name, _Loader()) if rest in _MOVED else None


class _Loader(Loader):
    """Makes a module that looks up each name in the new modules when it is used."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python to make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the module a `__getattr__`."""
        package, _, rest = module.__name__.partition(".")

        def look_up(name: str) -> Any:
            for place in _MOVED[rest]:
                new = importlib.import_module(f"{package}.{place}")
                for new_name in (_RENAMED.get((rest, name), name), name):
                    if hasattr(new, new_name):
                        return getattr(new, new_name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = look_up  # type: ignore[method-assign]
