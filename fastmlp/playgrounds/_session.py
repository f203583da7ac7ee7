"""A session: a network in training that can be held, stepped, changed, rewound and replayed.

A session is determined by its settings at the beginning, by a list of events, each at a step of
the optimizer, and by the number of steps done: `PlaySession.record` has all three, and
`PlaySession.replayed` repeats them to the same bits. The steps are those of `fit`: after N epochs
without an event the weights have the bits that `fit` with N epochs gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import lecture, threads
from .._kernels.interface import Progress
from .._training.lifecycle import session_seed
from .._utils import arguments
from .._utils.names import PENALTIES
from ..models import Sequential
from . import _network
from ._data import PlayData, PlayTable, rows_of
from ._settings import LIVE, MOST_LAYERS, MOST_POINTS, PlaySettings, finite, whole

MOST_FRAMES = 300
MOST_EVENTS = 20_000
_FRAME_BYTES = 24 << 20  # of weights and moments kept for rewinding
_EPOCHS = 4096  # of one call, bounds the array of losses
_JUDGED, _JUDGED_WORK = 2000, 1 << 31  # rows of which a frame has the loss; and times weights
# What a recorded event may hold.
_KEPT = ("do", "values", "layer", "count", "unit", "after", "at", "value")
_CURVE = 1200  # points of the loss that are kept


@dataclass
class PlayFrame:
    """A moment to which a session can be rewound.

    Without `parts` it is computed from the frame before it.
    """

    steps: int
    n_events: int
    settings: PlaySettings
    points: int
    progress: Progress
    optimizer_step: int
    parts: list[list[np.ndarray]] | None

    @property
    def nbytes(self) -> int:
        """Bytes of weights and moments."""
        return sum(a.nbytes for part in self.parts or () for a in part)


class PlaySession:
    """A network in training.

    Parameters
    ----------
    settings : PlaySettings
    table : PlayTable, optional
        What ``data='table'`` means.

    Attributes
    ----------
    model : Sequential
    data : PlayData
        With the points that were added.
    settings : PlaySettings
        The present ones.
    steps : int
        Steps of the optimizer since the beginning.
    frames : list of PlayFrame
        Those to which `rewind` returns are the last 300.
    curve : list of tuple
        (steps, epoch, loss, loss of the rows held out or None, penalty).
    """

    model: Sequential
    data: PlayData

    def __init__(self, settings: PlaySettings, table: PlayTable | None = None) -> None:
        self.table = table
        self._start(settings, rows_of(settings, table))

    def _start(self, settings: PlaySettings, data: PlayData) -> None:
        model = _network.make(settings, data)
        model.ready()
        self.start = self.settings = settings
        self._rows = self.data = data
        self.points: list[tuple[float, ...]] = []
        self._events: list[dict[str, Any]] = []  # behind a rewind also later ones
        self._n_events = 0  # of those that are done
        self.frames: list[PlayFrame] = []
        self.curve: list[tuple[int, float, float | None, float | None, float | None]] = []
        self.curve_version = getattr(self, "curve_version", 0) + 1
        self.steps = 0
        self._losses = np.empty(_EPOCHS)
        self.model = model
        self._begin()
        self.keep_frame()

    def _begin(self, progress: Progress | None = None) -> None:
        """Give the network its rows, at a position of the run."""
        network, n = self.model.ready(), len(self.data.x)
        batch = self.settings.batch or n
        network.begin(
            self.data.x, self.data.y, batch_size=batch, shuffle=batch < n,
            # fit's, for the model's first call.
            seed=session_seed([self.settings.seed], 0),
        )  # fmt: skip
        if progress is not None:
            network.progress = progress

    # ---- position ----

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was changed since the beginning, each with its 'step'."""
        return self._events[: self._n_events]

    @property
    def place(self) -> int:
        """Index of the latest frame up to the present moment, among the last 300."""
        here = (self.steps, self._n_events)
        later = sum((f.steps, f.n_events) > here for f in self.frames)
        return min(len(self.frames), MOST_FRAMES) - 1 - later

    @property
    def n_batches(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.data.x) // (self.settings.batch or len(self.data.x)))

    @property
    def epoch(self) -> float:
        """Epochs done, the present one in parts."""
        network = self.model.network
        return network.epoch + network.batch / self.n_batches

    @property
    def diverged(self) -> bool:
        """Whether a loss or weight is not finite; only a rewind or a new start helps."""
        return self.model.network.diverged is not None

    def advance(self, steps: int, seconds: float = math.inf) -> int:
        """Train on.

        Parameters
        ----------
        steps : int
            At most so many steps of the optimizer.
        seconds : float
            Stop after this time.

        Returns
        -------
        int
            Steps done: fewer after `seconds`, or when training diverges.
        """
        if steps > 0:
            self._drop_later()
        return self._train(steps, seconds)

    def _train(self, steps: int, seconds: float = math.inf) -> int:
        done = 0
        network = self.model.ready()
        assert self.model.optimizer is not None
        network.learning_rate = self.settings.rate
        n_threads, automatic = threads.resolve()
        while done < steps and network.diverged is None:
            before = network.step
            want = min(steps - done, _EPOCHS)
            network.run(
                want, self._losses[:want], np.empty((want, 0)), n_threads=n_threads,
                automatic=automatic, max_seconds=min(seconds, 0.1), max_steps=want,
            )  # fmt: skip
            done += network.step - before
            threads.raise_if_cancelled()
            if seconds < math.inf:
                break
        self.steps += done
        return done

    # ---- events ----

    def apply(self, event: Mapping[str, Any]) -> None:
        """Change something, and record it.

        Parameters
        ----------
        event : mapping
            Its 'do' says what: 'set' (with values of live settings by name), 'add_units' (layer,
            count), 'remove_unit' (layer, unit), 'add_layer' (after), 'remove_layer' (layer),
            'point' (at, value), 'repair'. 'start' (settings) and 'reset' begin anew, with an
            empty list.

        Raises
        ------
        ValueError
            If it is not possible; nothing is changed then.
        """
        what = event.get("do")
        known = (*self._events_by_name, "start", "reset")
        if not isinstance(what, str) or what not in known:
            raise arguments.unknown("event", arguments.shown(what), known)
        if what in ("start", "reset"):
            settings = self.settings
            if what == "start":
                given = event.get("settings", {})
                if not isinstance(given, Mapping) or not all(isinstance(k, str) for k in given):
                    raise ValueError(f"settings must be a mapping. Received: {given!r:.200}")
                settings = settings.changed(**given)
            points = self.points if what == "reset" and event.get("points", True) else []
            # The same rows: a table need not be read anew.
            same = ("data", "rows", "noise", "data_seed", "held_out", "target", "drop")
            kept = all(getattr(settings, n) == getattr(self.settings, n) for n in same) and (
                settings.seed == self.settings.seed or not settings.held_out
            )
            rows = self._rows if kept else rows_of(settings, self.table)
            rows.drawn_over(settings.inputs)
            self._start(settings, rows)
            for point in points:
                self.apply({"do": "point", "at": list(point[:-1]), "value": point[-1]})
            return
        if self._n_events >= MOST_EVENTS:
            raise ValueError(f"A session has at most {MOST_EVENTS:,} events: reset it")
        self._events_by_name[what](self, event)
        self._drop_later()
        self._events.append({"step": self.steps} | {k: event[k] for k in _KEPT if k in event})
        self._n_events += 1

    def _set(self, event: Mapping[str, Any]) -> None:
        given = event.get("values")
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"values must be settings by name. Received: {given!r:.200}")
        for name in given:
            arguments.one_of("A live setting", name, LIVE)
        settings = self.settings.changed(**given)
        had, has = bool(self.settings.dropout), bool(settings.dropout)
        if settings.optimizer != self.settings.optimizer or had != has:
            self._remake(settings, lambda parts: parts)
        else:
            _network.apply_live(self.model, settings)
            self.settings = settings

    def _remake(self, settings: PlaySettings, edit: _network.Edit) -> None:
        """Make another network, which goes on from edited weights and moments."""
        old, progress = self.model.network, self.model.network.progress
        same = settings.optimizer == self.settings.optimizer
        model = _network.make(settings, self.data)
        parts = edit(_network.read(self.model))
        _network.write(model, parts if same else parts[:1], old.step if same else 0)
        old.end()
        self.model, self.settings = model, settings
        self._begin(progress)

    def _layer(self, event: Mapping[str, Any], name: str = "layer") -> int:
        return arguments.below(name, event.get(name), len(self.settings.units), 0)

    def _add_units(self, event: Mapping[str, Any]) -> None:
        layer, units = self._layer(event), list(self.settings.units)
        count = arguments.below("count", event.get("count", 1), 1025)
        units[layer] += count
        settings = self.settings.changed(units=units)
        n_in = [self.data.preprocessing.n_inputs, *units][layer]
        rng = np.random.default_rng([settings.seed, 2, self._n_events])
        drawn = _network.make(settings, self.data).dense_layers[layer]
        fresh, bias = drawn.initial_weights(np.dtype(np.float32), (rng, rng))
        self._remake(settings, _network.with_units(layer, fresh[:n_in, :count], bias[:count]))

    def _remove_unit(self, event: Mapping[str, Any]) -> None:
        layer, units = self._layer(event), list(self.settings.units)
        unit = arguments.below("unit", event.get("unit", units[layer] - 1), units[layer], 0)
        if units[layer] == 1:
            raise ValueError("A layer keeps at least one unit. Received: its last one to remove")
        units[layer] -= 1
        keep = np.delete(np.arange(units[layer] + 1), unit)
        self._remake(self.settings.changed(units=units), _network.without_units(layer, keep))

    def _with_layers(self, units: list[int], lambdas: Callable[[list[float]], list[float]]) -> Any:
        own = {name: lambdas(list(getattr(self.settings, name))) for name in PENALTIES}
        return self.settings.changed(units=units, **own)

    def _add_layer(self, event: Mapping[str, Any]) -> None:
        after, units = self._layer(event, "after"), list(self.settings.units)
        if len(units) == MOST_LAYERS:
            raise ValueError(f"A network has at most {MOST_LAYERS} hidden layers here")
        units.insert(after + 1, units[after])
        settings = self._with_layers(units, lambda v: [*v[: after + 1], v[after], *v[after + 1 :]])
        self._remake(settings, _network.with_layer(after))

    def _remove_layer(self, event: Mapping[str, Any]) -> None:
        layer, units = self._layer(event), list(self.settings.units)
        if len(units) == 1:
            raise ValueError("A network keeps at least one hidden layer. Received: its last one")
        del units[layer]
        settings = self._with_layers(units, lambda v: v[:layer] + v[layer + 1 :])
        self._remake(settings, _network.without_layer(layer))

    def _point(self, event: Mapping[str, Any]) -> None:
        if self.settings.data == "table":
            raise ValueError("Points can be added to simulated data only. Received: a table")
        if len(self.points) >= MOST_POINTS:
            raise ValueError(f"At most {MOST_POINTS} points can be added")
        at = arguments.items("at", event.get("at"), "coordinates")
        if len(at) != len(self.data.axes):
            raise ValueError(f"at must have {len(self.data.axes)} numbers. Received: {at!r:.200}")
        near = [axis.checked(v) for v, axis in zip(at, self.data.axes, strict=True)]
        value = event.get("value")
        if self.data.task == "classification":
            target = float(whole("value", value, 0, 1))
        else:
            target = arguments.number("value", value, "a number from -10 to 10",
                                      lambda v: abs(v) <= 10)  # fmt: skip
        self._take_points([*self.points, (*near, target)])
        epoch = self.model.network.epoch
        # The present epoch begins anew, with all rows.
        self._begin((epoch, 0, 0, 0, 0.0, []))

    def _take_points(self, points: list[tuple[float, ...]]) -> None:
        self.points, self.data = points, self._rows.with_points(points)

    def _repair(self, event: Mapping[str, Any]) -> None:
        repaired, _ = lecture.repair(self.model)
        self.model.layers[0].set_weights(repaired.layers[0].get_weights())

    # ---- losses ----

    def losses(self) -> tuple[float | None, float | None, float | None]:
        """Return the loss of training rows, of rows held out, and the penalty; None if infinite.

        Of at most 2000 rows each, and of fewer for a network of millions of weights.
        """
        network = self.model.ready()
        most = min(_JUDGED, max(1, _JUDGED_WORK // self.model.count_params()))
        n_threads, automatic = threads.resolve()
        found: list[float | None] = []
        for x, y in ((self.data.x, self.data.y), (self.data.x_held, self.data.y_held)):
            if not len(x):
                found.append(None)
                continue
            rows = (np.ascontiguousarray(a[:: -(-len(a) // most)]) for a in (x, y))
            value = network.evaluate(*rows, n_threads=n_threads, automatic=automatic)[0]
            found.append(finite(value))
        return found[0], found[1], finite(network.penalty())

    # ---- frames ----

    def keep_frame(self) -> None:
        """Remember the present moment, for `rewind`, and its losses."""
        self._drop_later()
        if not self.diverged:
            self.frames.append(self._moment())
            self._thin()
        if not self.curve or self.curve[-1][0] != self.steps:
            self.curve.append((self.steps, self.epoch, *self.losses()))
            if len(self.curve) > _CURVE:
                self.curve = [*self.curve[:-1:2], self.curve[-1]]
                self.curve_version += 1

    def _drop_later(self) -> None:
        """Forget the frames that lie behind the present moment, which has taken another course."""
        here = (self.steps, self._n_events)
        self.frames = [f for f in self.frames if (f.steps, f.n_events) <= here]
        del self._events[self._n_events :]
        if self.curve and self.curve[-1][0] > self.steps:
            self.curve = [point for point in self.curve if point[0] <= self.steps]
            self.curve_version += 1

    def _thin(self) -> None:
        """Keep the last 300 frames, and the weights of as many as memory allows, three at least."""
        while True:
            # Others are computed from the one before that has its weights.
            place = next((i for i, f in enumerate(self.frames) if i and f.parts is not None), 0)
            if not place or len(self.frames) - place < MOST_FRAMES:
                break
            del self.frames[:place]
        held = sum(frame.nbytes for frame in self.frames)
        places = [i for i, f in enumerate(self.frames) if f.parts is not None]
        while held > _FRAME_BYTES and len(places) > 3:
            # The one whose neighbours are nearest to one another.
            gap = [places[i + 1] - places[i - 1] for i in range(1, len(places) - 1)]
            place = places.pop(1 + int(np.argmin(gap)))
            held -= self.frames[place].nbytes
            self.frames[place].parts = None

    def _moment(self) -> PlayFrame:
        network = self.model.network
        return PlayFrame(
            self.steps, self._n_events, self.settings, len(self.points), network.progress,
            network.step, _network.read(self.model),
        )  # fmt: skip

    def _restore(self, frame: PlayFrame) -> None:
        assert frame.parts is not None
        self._take_points(self._all_points()[: frame.points])
        self.model.network.end()
        if self.settings == frame.settings:
            model = self.model
        else:
            model = _network.make(frame.settings, self.data)
        _network.write(model, frame.parts, frame.optimizer_step)
        self.model, self.settings, self.steps = model, frame.settings, frame.steps
        self._n_events = frame.n_events
        self._begin(frame.progress)

    def _all_points(self) -> list[tuple[float, ...]]:
        return [(*e["at"], float(e["value"])) for e in self._events if e["do"] == "point"]

    def rewind(self, place: int) -> None:
        """Return to a frame; later ones are kept until training goes on or something changes.

        Parameters
        ----------
        place : int
            Among the last 300 frames, from the earliest.
        """
        shown = self.frames[-MOST_FRAMES:]
        goal = shown[arguments.below("place", place, len(shown), 0)]
        number = self.frames.index(goal)
        near = next(f for f in self.frames[number::-1] if f.parts is not None)
        self._restore(near)
        for event in self._events[near.n_events : goal.n_events]:
            self._train(event["step"] - self.steps)
            self._events_by_name[event["do"]](self, event)
            self._n_events += 1
        self._train(goal.steps - self.steps)

    # ---- records ----

    def record(self) -> dict[str, Any]:
        """Return what `replayed` needs: plain JSON values."""
        return {"settings": self.start.to_dict(), "events": self.events, "steps": self.steps}

    @classmethod
    def replayed(
        cls, record: Mapping[str, Any], table: PlayTable | None = None, **settings: Any
    ) -> PlaySession:
        """Repeat a session.

        Parameters
        ----------
        record : mapping
            What `record` returned.
        table : PlayTable, optional
        **settings
            Values for the beginning that differ, such as another seed.

        Returns
        -------
        PlaySession
            With the same bits, if no setting differs.
        """
        for name, kind in (("settings", Mapping), ("events", list), ("steps", int)):
            if not isinstance(record, Mapping) or not isinstance(record.get(name), kind):
                raise ValueError(f"record must be what a session recorded. Received: no {name!r}")
        session = cls(PlaySettings.from_dict({**record["settings"], **settings}), table)
        for event in record["events"]:
            step = arguments.integer("step", event.get("step"), 0)
            session.advance(step - session.steps)
            session.apply({k: v for k, v in event.items() if k != "step"})
        session.advance(record["steps"] - session.steps)
        return session

    def close(self) -> None:
        """Release the rows."""
        self.model.network.end()

    # What `apply` records, by name.
    _events_by_name: ClassVar[dict[str, Callable[..., None]]] = {
        "set": _set,
        "add_units": _add_units,
        "remove_unit": _remove_unit,
        "add_layer": _add_layer,
        "remove_layer": _remove_layer,
        "point": _point,
        "repair": _repair,
    }
