"""A session's settings as a command, as TOML and as Python that train the same network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from .._utils import arguments
from ._session import PlaySession
from ._settings import PlaySettings

FORMS = ("command", "toml", "python")


def recipe(session: PlaySession, form: str) -> str:
    """Return text that trains a session's network with its present settings.

    Python gives the same bits, if nothing was changed while it trained. The command and TOML
    cannot: `fastmlp train` draws its own rows to hold out. Of simulated data they read the file
    ``rows.csv``, which the page saves.

    Parameters
    ----------
    session : PlaySession
    form : {'command', 'toml', 'python'}

    Returns
    -------
    str
    """
    arguments.one_of("form", form, FORMS)
    if form == "python":
        return _python(session)
    options = _options(session)
    notes = _notes(session)
    if form == "toml":
        lines = [f"# {note}" for note in notes]
        lines += [f"{key} = {_toml(value)}" for key, value in options.items()]
        return "\n".join(lines) + "\n"
    words = ["fastmlp", "train", str(options.pop("data"))]
    for key, value in options.items():
        if value is True:
            words.append(f"--{key}")
        elif value is False:
            words.append(f"--no-{key}")
        else:
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{key}", str(each)]
    return "".join(f"# {note}\n" for note in notes) + shlex.join(words) + "\n"


def _toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | str | list) else repr(value)


def _joined(values: Sequence[float]) -> str:
    same = len(set(values)) == 1
    return f"{values[0]:g}" if same else ",".join(f"{v:g}" for v in values)


def epochs_of(session: PlaySession) -> int:
    """Return the epochs that have ended, at least 1."""
    return max(1, session.model.network.epoch)


def _options(session: PlaySession) -> dict[str, Any]:
    """Return the options of ``fastmlp train``."""
    s, table = session.settings, session.settings.data == "table"
    assert session.table is not None or not table
    path = "rows.csv"
    if table and session.table is not None:
        path = session.table.path or "table.csv"
    options: dict[str, Any] = {
        "data": path,
        "target": session.data.preprocessing.target.name,
        "task": session.data.task,
        "units": ",".join(map(str, s.units)),
        "activation": s.activation,
        "bins": 0,
    }
    if any(s.l1):
        options |= {"l1": _joined(s.l1)} | ({"proximal": True} if s.proximal else {})
    if any(s.l2):
        options["l2"] = _joined(s.l2)
    if any(s.group):
        options |= {"group-l1": _joined(s.group), "groups": s.groups}
    options |= {
        "dropout": f"{s.dropout:g}",
        "optimizer": s.optimizer,
        "learning-rate": s.rate,
        "schedule": "constant",
        "epochs": epochs_of(session),
        "batch-size": s.batch or len(session.data.x),
        "seed": s.seed,
        "validation-split": s.held_out,
    }
    if not table:
        options["standardize"] = False
    if s.drop:
        options["drop"] = list(s.drop)
    return options


def _notes(session: PlaySession) -> list[str]:
    notes = []
    if session.settings.data != "table":
        notes.append('rows.csv: saved by "Rows as CSV".')
    if session.settings.start != "glorot":
        notes.append(
            f"fastmlp train draws Glorot's initial weights, not '{session.settings.start}'."
        )
    if session.events:
        notes.append("Settings were changed in training; this has the present ones from the start.")
    return notes


def _python(session: PlaySession) -> str:
    s, data, n_in = session.settings, session.data, session.data.preprocessing.n_inputs
    if session.events:
        note = [
            "# Settings or rows were changed while it trained; this has the present ones from the",
            '# beginning. The file of "Recording" repeats every change: playgrounds.replay(path).',
        ]
    else:
        note = ["# The same bits as on the page."]
    given: dict[str, Any] = {"held_out": s.held_out, "seed": s.seed}
    if s.data == "table":
        first: Any = (session.table.path if session.table else "") or "table.csv"
        given["target"] = data.preprocessing.target.name
        given |= {"drop": list(s.drop)} if s.drop else {}
    else:
        first = s.data
        given |= {"rows": s.rows, "noise": s.noise, "data_seed": s.data_seed}
        if session.points:
            given["points"] = [tuple(point) for point in session.points]
    named = ", ".join(f"{key}={value!r}" for key, value in given.items())
    lines = [
        "from fastmlp import initializers, layers, models, optimizers, playgrounds, regularizers",
        "",
        *note,
        f"x, y = playgrounds.training_rows({first!r}, {named})",
        f"model = models.Sequential([layers.Input(({n_in},))], seed={s.seed})",
    ]
    for i, layer in enumerate(session.model.dense_layers):
        words = [f"{layer.units}", f"{layer.activation!r}"]
        words += _start(s, n_in)
        if layer.kernel_regularizer is not None:
            words.append(f"kernel_regularizer=regularizers.{layer.kernel_regularizer!r}")
        lines.append(f"model.add(layers.Dense({', '.join(words)}))")
        if s.dropout and i < len(s.units):
            lines.append(f"model.add(layers.Dropout({s.dropout!r}))")
        n_in = layer.units
    assert session.model.optimizer is not None and session.model.loss is not None
    rule = type(session.model.optimizer).__name__
    lines += [
        f"model.compile(optimizers.{rule}({s.rate!r}), {session.model.loss.name!r})",
        f"model.fit(x, y, batch_size={s.batch or len(data.x)}, epochs={epochs_of(session)})",
    ]
    return "\n".join(lines) + "\n"


def _start(s: PlaySettings, n_in: int) -> list[str]:
    """Return a layer's initializers as arguments; none for the default."""
    if s.start == "he":
        return ["kernel_initializer='he_normal'"]
    rule = {
        "uniform": f"initializers.RandomUniform(-{n_in}**-0.5, {n_in}**-0.5)",
        "normal": "initializers.RandomNormal()",
    }.get(s.start)
    return [] if rule is None else [f"kernel_initializer={rule}", f"bias_initializer={rule}"]
