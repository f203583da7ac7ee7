"""Old names of modules that moved: pickles made by earlier versions hold these names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# For each old module, those that its classes and functions moved to.
_MOVED = {
    "_callback": ("callbacks", "_model.history"),
    "_cells": ("_tables.cells",),
    "_columns": ("preprocessing",),
    "_file_callbacks": ("callbacks",),
    "_fitting": ("preprocessing",),
    "_layer_report": ("inspection",),
    "_parquet": ("datasets",),
    "_proximal": ("_training.polish",),
    "_table": ("_tables.table",),
    "checkpoint": ("_training.checkpoint", "_utils.interrupts"),
    "mlp": ("models",),
    "paths._problem": ("_many.cross_validation",),
    "paths._run": ("paths._tracks",),
    "paths._walkers": ("paths._solvers",),
    "persistence": ("models",),
    "sklearn._settings": ("sklearn._parameters",),
    "stack": ("_model.model",),
    "summary": ("_model.summary",),
    "training": ("_training.lifecycle",),
}


class Finder:
    """Finds old modules; `fastmlp` appends it to `sys.meta_path`."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of an old module; None for any other name."""
        package, _, rest = name.partition(".")
        return ModuleSpec(name, cls) if package == "fastmlp" and rest in _MOVED else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave it to Python to make the module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Make the module look up each name in the new modules when it is used."""
        package, _, rest = module.__name__.partition(".")

        def look_up(name: str) -> Any:
            for place in _MOVED[rest]:
                new = importlib.import_module(f"{package}.{place}")
                if hasattr(new, name):
                    return getattr(new, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = look_up  # type: ignore[method-assign]
