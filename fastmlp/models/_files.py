"""`load_model` and `resume`: read models and runs from files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._sequential import Sequential, from_bytes


def load_model(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """Read a model from a file; no code in the file is ever executed.

    Parameters
    ----------
    path : str or Path
    custom_objects : mapping of str to function or class, optional
        Losses, metrics, optimizers and schedules, written in Python, that the model was compiled
        with, by name. Without them the model is read as well, but must be compiled again.

    Returns
    -------
    Sequential
        With its compilation, the optimizer's state and the history, so that `fit` continues.
        An `ensembles.Ensemble` if the file holds one.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or not a model.
    """
    from .._saving.fmlp import read

    return from_bytes(read(path), str(path), custom_objects)


def resume(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """Read a run from the checkpoint that `fit` wrote, to resume it.

    ``models.resume("run.fmlp").fit(x, y)`` trains up to the epochs that the run was started
    with, and ends with the same bits as without the interruption. Only data and callbacks must be
    given again; the data must be the same, to the bit. ``streaming.fit(models.resume("run.fmlp"),
    stream)`` resumes a run of `streaming.fit`.

    Parameters
    ----------
    path : str or Path
        The checkpoint. The resumed run writes to it as well.
    custom_objects : mapping of str to function or class, optional
        As for `load_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or does not hold a run.
    ValueError
        If `custom_objects` lacks an object that the run needs.
    """
    from .._saving import fmlp
    from .._saving.untrusted import BadFileError
    from .._training.resume import Resumed

    data, custom = fmlp.read(path), fmlp.custom_table(custom_objects)
    try:
        model, table, arrays = fmlp.read_model(data, Sequential, custom)
        if table is None:
            raise BadFileError("it holds a model but not a run; models.load_model reads it")
        resumed = Resumed(os.fspath(path), table, arrays)
    except fmlp.WRONG as error:
        raise fmlp.unusable(str(path), error) from None
    if model.missing:
        names = ", ".join(f"{name!r}: {name}" for name in model.missing)
        raise ValueError(
            f"The run in {path} needs {', '.join(model.missing)}, written in Python: "
            f"resume({str(path)!r}, custom_objects={{{names}}})"
        )
    model.resumed = resumed
    return model
