"""The thread that trains: it takes controls from a page, and gives it frames.

The page acknowledges every frame. A frame is drawn only when at most one is on its way, so that
frames are dropped and training is never blocked by a slow page; and drawing takes at most 30% of
the time.
"""

from __future__ import annotations

import collections
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .. import threads
from .._many.pool import as_worker
from .._utils import arguments
from ..errors import DataError
from . import _frames, _recipe, _trials
from ._data import PlayTable
from ._lessons import lesson, lessons
from ._session import PlaySession
from ._settings import PlaySettings

_DRAWING = 0.3  # share of the time
_PERIOD = 1 / 20  # between two frames
_SLICE = 0.008  # seconds of training between two looks at the controls
_BREATH = 0.003  # seconds after each, at full speed, for a browser on the same processors
_LARGE = 500_000  # weights of a network that trains on all processors
_MOST_WAITING = 200  # controls, and answers
_SIDES = ("a", "b")
_FAULT = "The playground has a fault; it goes on. Please report:"
_EXPECTED = (ValueError, DataError, MemoryError, RuntimeError)


class CancelledError(Exception):
    """A trial of many networks was stopped."""


class PlayEngine:
    """Trains one or two sessions in a thread of its own.

    Parameters
    ----------
    settings : PlaySettings
    table : PlayTable, optional
    name : str, optional
        Of a lesson to begin with.

    Attributes
    ----------
    sessions : dict of str to PlaySession
        'a', and 'b' while two are compared. Only the engine's thread may touch them.
    """

    def __init__(
        self, settings: PlaySettings, table: PlayTable | None = None, name: str | None = None
    ) -> None:
        self._table = table
        self.sessions = {"a": PlaySession(settings, table)}
        self._views = {"a": _frames.PlayView()}
        self._controls: collections.deque[dict[str, Any]] = collections.deque(maxlen=_MOST_WAITING)
        self._answers: collections.deque[bytes] = collections.deque(maxlen=_MOST_WAITING)
        self._send: Callable[[bytes], None] | None = None
        self._wake = threading.Condition()
        self._ended = False
        self._playing, self._speed = False, 60.0  # epochs a second; 0: as many as possible
        self._goal: dict[str, int] = {}  # steps to go to, of a call of "step"
        self._owed, self._latest = 0.0, time.monotonic()
        self._sent = self._acknowledged = 0
        self._next_frame = 0.0
        self._due = True  # whether something has changed since the last frame
        self._sent_curve: dict[str, tuple[int, int]] = {}
        self._trial = False
        self.lesson = ""
        if name:
            self._begin_lesson(name)
        self._thread = threading.Thread(target=self._run, name="fastmlp playground", daemon=True)
        self._thread.start()

    # ---- called by any thread ----

    def attach(self, send: Callable[[bytes], None] | None) -> None:
        """Give frames to a page from now on, or to none; training pauses without one.

        Parameters
        ----------
        send : callable or None
            Called in the engine's thread with the bytes of a frame; it must not wait.
        """
        with self._wake:
            self._send = send
            self._sent = self._acknowledged = 0
            self._controls.append({"do": "hello" if send else "pause"})
            self._wake.notify()

    def control(self, text: Any) -> None:
        """Take a message of the page.

        Parameters
        ----------
        text : str or mapping
            A JSON object whose 'do' names a control. Anything else is answered by an error.
        """
        message: Any = text
        if not isinstance(text, Mapping):
            try:
                message = json.loads(text)
            except (ValueError, TypeError, RecursionError):
                message = None
        if not isinstance(message, Mapping) or not isinstance(message.get("do"), str):
            message = {"do": "unknown"}
        with self._wake:
            if message["do"] == "seen":
                self._acknowledged = min(self._acknowledged + 1, self._sent)
            elif message["do"] == "cancel":
                self._trial = False
            else:
                # Only the latest of a slider's many positions matters.
                last = self._controls[-1] if self._controls else None
                if last is not None and _same_slider(last, message):
                    self._controls.pop()
                self._controls.append(dict(message))
            self._wake.notify()

    def close(self, seconds: float = 2.0) -> None:
        """End the thread, after at most some seconds."""
        with self._wake:
            self._ended, self._trial, self._send = True, False, None
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    # ---- the thread ----

    def _run(self) -> None:
        while not self._ended:
            with self._wake:
                if not self._controls and not self._busy():
                    self._wake.wait(self._idle_seconds())
            self._take_controls()
            self._deliver()
            if self._ended:
                break
            try:
                if self._busy():
                    with as_worker(self._threads(), None):
                        self._train()
                if self._send is not None and self._may_draw():
                    self._draw()
            except Exception as error:  # a fault of ours must not end the session
                self._playing, self._goal = False, {}
                self._answer({"kind": "error", "text": f"{_FAULT} {error!r}"[:1000]})
            self._deliver()
        for session in self.sessions.values():
            session.close()

    def _threads(self) -> int:
        """Return how many threads train: one less than there are, which the browser draws with."""
        n_threads, _ = threads.resolve()
        large = any(s.model.n_weights > _LARGE for s in self.sessions.values())
        return n_threads if large else max(1, n_threads - 1)

    def _busy(self) -> bool:
        if self._goal:
            return True
        return self._playing and self._send is not None and not self._diverged()

    def _diverged(self) -> bool:
        return any(session.diverged for session in self.sessions.values())

    def _idle_seconds(self) -> float:
        return max(self._next_frame - time.monotonic(), 0.001) if self._due else 0.5

    def _take_controls(self) -> None:
        while self._controls and not self._ended:
            message = self._controls.popleft()
            try:
                self._apply(message)
            except _EXPECTED as error:
                self._answer({"kind": "error", "text": f"{error}"[:1000]})
            except Exception as error:  # a fault of ours must not end the session
                self._answer({"kind": "error", "text": f"{_FAULT} {error!r}"[:1000]})
            self._due = True

    def _answer(self, head: dict[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self._answers.append(_frames.pack(head, arrays))

    def _deliver(self) -> None:
        while self._answers:
            frame = self._answers.popleft()
            send = self._send
            if send is not None:
                with contextlib.suppress(Exception):  # a page that has just gone
                    send(frame)

    def _train(self) -> None:
        """Train for a short while: to a goal, or as fast as the speed says."""
        now = time.monotonic()
        passed, self._latest = min(now - self._latest, 0.1), now
        seconds = _SLICE
        if self._goal:
            for side, goal in list(self._goal.items()):
                session = self.sessions[side]
                session.advance(min(goal - session.steps, 100_000), seconds)
                if session.steps >= goal or session.diverged:
                    del self._goal[side]
        else:
            first = self.sessions["a"]
            if self._speed:
                self._owed = min(self._owed + passed * self._speed * first.n_batches, 1e6)
                steps = int(self._owed)
            else:
                steps = 100_000
            if steps:
                if not self._speed:
                    time.sleep(_BREATH)
                other = self.sessions.get("b")
                behind = int(first.epoch * other.n_batches) - other.steps if other else 0
                if behind <= 0:  # the slower of two sets the pace
                    done = first.advance(steps, seconds)
                    self._owed = max(self._owed - done, 0.0) if self._speed else 0.0
                    behind = int(first.epoch * other.n_batches) - other.steps if other else 0
                if other:
                    other.advance(behind, seconds)
            else:
                time.sleep(0.002)
                return
        self._due = True
        if self._diverged():
            self._playing, self._goal = False, {}
            self._answer({"kind": "error", "text": "Training diverged: a loss or weight is no "
                          "longer finite. Rewind, or reset with a smaller rate."})  # fmt: skip

    def _may_draw(self) -> bool:
        return (
            self._due
            and self._sent - self._acknowledged < 2
            and time.monotonic() >= self._next_frame
        )

    def _draw(self) -> None:
        start = time.monotonic()
        self._due = False
        for side, session in self.sessions.items():
            view = self._views[side]
            try:
                if self._playing or self._goal or session.steps > session.curve[-1][0]:
                    session.keep_frame()
                head, arrays = _frames.draw(session, view)
            except _EXPECTED as error:  # a unit of a network that is not finite, for example
                if self._views[side] == _frames.PlayView():
                    raise
                self._views[side], self._due = _frames.PlayView(), True
                self._answer({"kind": "error", "text": f"{error}"[:1000]})
                continue
            version, known = self._sent_curve.get(side, (0, 0))
            if version != session.curve_version or known > len(session.curve):
                known = 0
            head |= {
                "side": side, "playing": self._playing and not self._diverged(),
                "curve": session.curve[known:], "curve_from": known, "last": session.curve[-1],
            }  # fmt: skip
            self._sent_curve[side] = session.curve_version, len(session.curve)
            self._sent += 1
            self._answer(head, arrays)
        end = time.monotonic()
        self._next_frame = max(start + _PERIOD, start + (end - start) / _DRAWING)

    # ---- controls ----

    def _apply(self, message: dict[str, Any]) -> None:
        what = message["do"]
        handler = self._controls_by_name.get(what)
        if handler is not None:
            handler(self, message)
            return
        sides = [self._side(message)]
        if what in ("point", "reset") or (what == "start" and "b" not in self.sessions):
            sides = list(self.sessions)
        event = {k: v for k, v in message.items() if k not in ("side", "id")}
        for side in sides:
            self.sessions[side].apply(event)
        if what in ("start", "reset"):
            self._goal.clear()
            self._owed = 0.0
            if what == "start" and "b" in self.sessions:  # both begin together
                for side in self.sessions:
                    if side not in sides:
                        self.sessions[side].apply({"do": "reset"})
        for side in sides:
            self._tell(side, rows=what in ("start", "reset", "point"))

    def _side(self, message: Mapping[str, Any]) -> str:
        side = arguments.one_of("side", message.get("side", "a"), _SIDES)
        if side not in self.sessions:
            raise ValueError("side 'b' exists only while two settings are compared")
        return side

    def _tell(self, side: str, rows: bool = True) -> None:
        """Send a session's settings, and its rows if they may have changed."""
        session = self.sessions[side]
        head, arrays = _frames.describe(session) if rows else ({"kind": "settings"}, {})
        self._answer({**head, "side": side, "settings": session.settings.to_dict(),
                      "points": len(session.points)}, arrays)  # fmt: skip

    def _hello(self, message: Mapping[str, Any]) -> None:
        self._sent_curve.clear()
        self._next_frame = 0.0
        self._answer({"kind": "hello", "lesson": self.lesson, "lessons": lessons(),
                      "playing": self._playing, "speed": self._speed,
                      "compared": "b" in self.sessions})  # fmt: skip
        for side in self.sessions:
            self._tell(side)

    def _play(self, message: Mapping[str, Any]) -> None:
        self._playing, self._goal, self._owed = True, {}, 0.0
        self._latest = time.monotonic()

    def _pause(self, message: Mapping[str, Any]) -> None:
        self._playing, self._goal = False, {}

    def _step(self, message: Mapping[str, Any]) -> None:
        epochs = arguments.below("epochs", message.get("epochs", 1), 100_001)
        self._playing = False
        for side, session in self.sessions.items():
            self._goal[side] = session.steps + epochs * session.n_batches

    def _set_speed(self, message: Mapping[str, Any]) -> None:
        rule = "a number of epochs a second, 0 for as many as possible"
        self._speed = arguments.number("speed", message.get("speed"), rule, lambda v: 0 <= v <= 1e6)
        self._owed = 0.0

    def _view(self, message: Mapping[str, Any]) -> None:
        self._views[self._side(message)] = _frames.PlayView.from_dict(message.get("view"))

    def _rewind(self, message: Mapping[str, Any]) -> None:
        self._playing, self._goal = False, {}
        for session in self.sessions.values():
            shown = min(len(session.frames), 300)
            place = arguments.below("place", message.get("place"), 300, 0)
            session.rewind(min(place, shown - 1))
        for side in self.sessions:
            self._tell(side)

    def _compare(self, message: Mapping[str, Any]) -> None:
        """Begin or end a comparison of two settings from one seed."""
        if arguments.flag("on", message.get("on", True)):
            self._goal.clear()
            first = self.sessions["a"]
            first.apply({"do": "reset"})
            other = PlaySession(first.settings, self._table)
            for event in first.events:
                other.apply(event)
            self.sessions["b"], self._views["b"] = other, _frames.PlayView()
        else:
            kept = self.sessions.pop(self._side({"side": message.get("keep", "a")}))
            for session in self.sessions.values():
                session.close()
            self.sessions, self._goal = {"a": kept}, {}
            self._views = {"a": self._views["a"]}
        self._sent_curve.clear()
        self._answer({"kind": "compared", "on": "b" in self.sessions})
        for side in self.sessions:
            self._tell(side)

    def _begin_lesson(self, name: str) -> None:
        chosen = lesson(name)
        if "b" in self.sessions:
            self._compare({"on": False})
        session = self.sessions["a"]
        settings = PlaySettings.from_dict(chosen["settings"])
        session.apply({"do": "start", "settings": settings.to_dict()})
        if "other" in chosen:
            self._compare({"on": True})
            other = {"do": "start", "settings": chosen["other"]}
            self.sessions["b"].apply(other)
        self.lesson, self._playing, self._goal = name, False, {}
        self._speed = float(chosen.get("speed", 60))

    def _take_lesson(self, message: Mapping[str, Any]) -> None:
        self._begin_lesson(str(message.get("name")))
        self._views = {side: _frames.PlayView() for side in self.sessions}
        self._sent_curve.clear()
        self._answer({"kind": "compared", "on": "b" in self.sessions})
        self._answer({"kind": "lesson", "name": self.lesson, "speed": self._speed})
        for side in self.sessions:
            self._tell(side)

    def _give_file(self, message: Mapping[str, Any]) -> None:
        kind = arguments.one_of("kind", message.get("kind"), ("model", "recording", "rows"))
        session = self.sessions[self._side(message)]
        if kind == "model":
            name, content = "playground.fmlp", _model_file(session)
        elif kind == "recording":
            name, content = "recording.json", json.dumps(session.record(), indent=1).encode()
        else:
            name, content = "rows.csv", _rows_file(session)
        blob = np.frombuffer(content, np.uint8)
        self._answer({"kind": "file", "name": name}, {"content": blob})

    def _copy(self, message: Mapping[str, Any]) -> None:
        form = arguments.one_of("form", message.get("form"), _recipe.FORMS)
        text = _recipe.recipe(self.sessions[self._side(message)], form)
        self._answer({"kind": "copy", "form": form, "text": text})

    # ---- many networks ----

    def _try(self, what: str, total: int, work: Callable[..., Any]) -> Any:
        """Train many networks while the page waits, with progress; a "cancel" ends it."""
        self._playing, self._goal, self._trial = False, {}, True
        done = 0

        def on_done(i: int) -> None:
            nonlocal done
            done += 1
            self._answer({"kind": "progress", "what": what, "done": done, "total": total})
            self._deliver()

        def on_wait() -> None:
            if not self._trial or self._ended or self._send is None:
                raise CancelledError

        try:
            self._answer({"kind": "progress", "what": what, "done": 0, "total": total})
            self._deliver()
            return work(on_done, on_wait)
        except CancelledError:
            return None
        finally:
            self._trial = False
            self._answer({"kind": "progress", "what": what, "done": total, "total": total})

    def _members(self, message: Mapping[str, Any]) -> None:
        session, view = self.sessions["a"], self._views["a"]

        def work(on_done: Any, on_wait: Any) -> Any:
            return _trials.members(session.record(), self._table, view, on_done, on_wait)

        found = self._try("members", _trials.N_MEMBERS, work)
        if found is None:
            return
        head: dict[str, Any] = {"kind": "members", "n": len(found), "epoch": session.epoch}
        mean, spread = found.mean(axis=0), found.std(axis=0)
        arrays = {"mean": mean, "spread": spread}
        if found.shape[1] == _frames.CURVE_POINTS:
            arrays["curves"] = found
        self._answer(head, {name: np.nan_to_num(a) for name, a in arrays.items()})

    def _path(self, message: Mapping[str, Any]) -> None:
        penalty, session = message.get("penalty", "l1"), self.sessions["a"]

        def work(on_done: Any, on_wait: Any) -> Any:
            return _trials.path(session, penalty, on_done, on_wait)

        found = self._try("path", len(_trials.LAMBDAS), work)
        if found is not None:
            self._answer({"kind": "path", "epoch": session.epoch, **found})

    # Controls that no session records, by name.
    _controls_by_name: ClassVar[dict[str, Callable[..., None]]] = {
        "hello": _hello,
        "play": _play,
        "pause": _pause,
        "step": _step,
        "speed": _set_speed,
        "view": _view,
        "rewind": _rewind,
        "compare": _compare,
        "lesson": _take_lesson,
        "file": _give_file,
        "copy": _copy,
        "members": _members,
        "path": _path,
    }


def _same_slider(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether a message makes the one before it needless."""
    if one["do"] != other["do"] or one.get("side") != other.get("side"):
        return False
    if one["do"] in ("rewind", "view", "speed"):
        return True
    values = one.get("values"), other.get("values")
    if one["do"] != "set" or not all(isinstance(v, Mapping) for v in values):
        return False
    return set(values[0]) <= set(values[1])  # type: ignore[arg-type]


def _model_file(session: PlaySession) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.fmlp"
        session.model.save(path)
        return path.read_bytes()


def _rows_file(session: PlaySession) -> bytes:
    """Return the training rows as CSV, in their own units."""
    data = session.data
    if session.settings.data == "table":
        raise ValueError("The rows are those of your table. Received: rows of a table to save")
    names = [axis.name for axis in data.axes]
    lines = [",".join([*names, data.preprocessing.target.name])]
    for x, y in zip(data.x.tolist(), data.y[:, 0].tolist(), strict=True):
        target = str(int(y)) if data.task == "classification" else repr(np.float32(y).item())
        lines.append(",".join([*map(repr, x), target]))
    return ("\n".join(lines) + "\n").encode()
