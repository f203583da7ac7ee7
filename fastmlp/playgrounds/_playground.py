"""`playground`: open the page; `replay` and `training_rows`: repeat what was done on it."""

from __future__ import annotations

import contextlib
import json
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._utils import arguments
from ..models import Sequential
from ._data import PlayTable, rows_of
from ._engine import PlayEngine
from ._lessons import lesson as _lesson
from ._server import PlaygroundServer, check_installed
from ._session import PlaySession
from ._settings import SETS, PlaySettings


def playground(
    data: Any = None,
    target: str | None = None,
    *,
    lesson: str | None = None,
    port: int = 0,
    browser: bool = True,
    block: bool = True,
    notebook: bool | None = None,
) -> Any:
    """Open a page on which a network is seen learning.

    The page is served on this machine only, and requests nothing from elsewhere. In a notebook it
    is shown below the cell. It needs ``fastmlp[playground]``.

    Parameters
    ----------
    data : path, Table, data frame, Arrow table, array or mapping, optional
        A table to train on. Without one there are the lecture's data and some shapes.
    target : str, optional
        The column to predict; by default the last. The page can choose another one.
    lesson : str, optional
        Name of a lesson to begin with; see `lessons`.
    port : int
        Of the server; 0 for one that is free.
    browser : bool
        Whether to open the page in a browser.
    block : bool
        Whether to return only after Ctrl-C.
    notebook : bool, optional
        Whether to return a widget instead of serving a page; by default, whether this is a
        notebook.

    Returns
    -------
    PlaygroundServer, widget or None
        The server if `block` is False, with the page's address as ``url``; end it with ``close``.

    Raises
    ------
    DataError
        If the table cannot be used, or a package is not installed.
    ValueError
        If there is no such lesson or column, or the port is not free.
    """
    port = arguments.below("port", port, 1 << 16, 0)
    browser, block = arguments.flag("browser", browser), arguments.flag("block", block)
    if lesson is not None:
        _lesson(lesson)
    in_notebook = _in_notebook() if notebook is None else arguments.flag("notebook", notebook)
    if in_notebook:
        from ._widget import check_widget, widget

        check_widget()
    else:
        check_installed()
    engine = PlayEngine(*opening(data, target), lesson)
    if in_notebook:
        return widget(engine)
    try:
        server = PlaygroundServer(engine, port)
    except ValueError:
        engine.close()
        raise
    if browser:
        webbrowser.open(server.url)
    if not block:
        server.start()
        return server
    print(f"Playground at {server.url}\nCtrl-C ends it.", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return None


def opening(data: Any, target: str | None) -> tuple[PlaySettings, PlayTable | None]:
    """Return the settings that a page begins with, and its table.

    Raises
    ------
    ValueError
        If there is a target and no table.
    """
    if data is None:
        if target is not None:
            raise ValueError(f"target names a column of data. Received: target={target!r}, no data")
        return PlaySettings(), None
    table = PlayTable(data, target)
    settings = PlaySettings(data="table", held_out=0.2, rate=0.003, batch=0, units=(16, 16))
    rows = table.rows(settings)
    if len(rows.x) > 1000:
        settings = settings.changed(batch=256)
    return settings, table


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return type(found).__name__ == "ZMQInteractiveShell"


def replay(record: Any, data: Any = None, target: str | None = None) -> Sequential:
    """Repeat a session of a page: its settings, every change at its step, and all steps.

    Parameters
    ----------
    record : path or mapping
        The file that "Recording" saves, or its content.
    data, target
        The table, if the session was on one; see `playground`.

    Returns
    -------
    Sequential
        With the same bits as on the page.

    Raises
    ------
    ValueError
        If it is not a recording.
    """
    if isinstance(record, str | Path):
        text = Path(arguments.path("record", record)).read_text("utf-8")
        try:
            record = json.loads(text)
        except ValueError as error:
            raise ValueError(f"record must be a recording in JSON. Received: {error}") from error
    table = None if data is None else PlayTable(data, target)
    session = PlaySession.replayed(record, table)
    session.close()
    return session.model


def training_rows(
    data: Any,
    *,
    target: str | None = None,
    drop: Sequence[str] = (),
    rows: int | None = None,
    noise: float | None = None,
    held_out: float = 0.0,
    data_seed: int = 0,
    seed: int = 1,
    points: Sequence[Sequence[float]] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that a page trains on, as its copy in Python does.

    Parameters
    ----------
    data : str, path, Table, data frame, Arrow table, array or mapping
        'curve', 'classes', 'circle', 'xor', 'moons', 'spiral', or a table.
    target : str, optional
        Column of the table to predict; by default the last.
    drop : sequence of str
        Columns of the table to leave out.
    rows, noise : int and float, optional
        Of simulated rows.
    held_out : float
        Share of the rows that are left out.
    data_seed, seed : int
        Of simulated rows, and of the rows held out.
    points : sequence of sequence of float
        Further rows: the inputs, then the target.

    Returns
    -------
    x, y : float32 ndarrays of shapes (n, inputs) and (n, 1)
    """
    given: dict[str, Any] = {"held_out": held_out, "data_seed": data_seed, "seed": seed}
    given["drop"] = arguments.items("drop", drop, "names of columns")
    table = None
    if isinstance(data, str) and data in SETS:
        given["data"] = data
        given |= {k: v for k, v in (("rows", rows), ("noise", noise)) if v is not None}
    else:
        table = PlayTable(data, target)
        given["data"] = "table"
    found = rows_of(PlaySettings.from_dict(given), table)
    found = found.with_points([tuple(point) for point in points])
    return found.x, found.y
