"""Models and runs from files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._sequential import Sequential, from_bytes

if TYPE_CHECKING:
    from ._sequential import Sequential


def load_model(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """Read a model from a file; no code of the file's is ever run.

    Parameters
    ----------
    path : str or Path
    custom_objects : mapping of str to function or class, optional
        Losses, metrics, optimizers and schedules of one's own that the model was compiled with,
        by name. Without them it is read all the same, and has to be compiled again.

    Returns
    -------
    Sequential
        With its compilation, the optimizer's state and the history: a further `fit` goes on.
        An `ensembles.Ensemble` if the file holds one.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or no model.
    """
    from .._saving.fmlp import read

    return from_bytes(read(path), str(path), custom_objects)


def resume(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """Read a run from the checkpoint that `fit` wrote, to go on with.

    ``models.resume("run.fmlp").fit(x, y)`` trains up to the epochs that the run was started
    for, and ends with the bits that it would have had without a break. Nothing but data and
    callbacks need be given again; data must be the same, to the bit. A run of `streaming.fit`
    goes on by it: ``streaming.fit(models.resume("run.fmlp"), stream)``.

    Parameters
    ----------
    path : str or Path
        What `fit` was given as `checkpoint`; it goes on to be written there.
    custom_objects : mapping of str to function or class, optional
        As for `load_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or holds no run.
    ValueError
        If it needs something in `custom_objects` that is not there.
    """
    from .._saving import fmlp
    from .._saving.untrusted import BadFileError
    from .._training.resume import Resumed

    data, custom = fmlp.read(path), fmlp.custom_table(custom_objects)
    try:
        model, table, arrays = fmlp.read_model(data, Sequential, custom)
        if table is None:
            raise BadFileError("it holds a model but no run; models.load_model reads it")
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
