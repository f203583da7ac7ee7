"""Sessions, engines and a page that is only a list of frames."""

import threading
import time

import numpy as np
import pytest

from fastmlp.playgrounds._engine import PlayEngine
from fastmlp.playgrounds._frames import unpack
from fastmlp.playgrounds._session import PlaySession
from fastmlp.playgrounds._settings import PlaySettings


def session_of(**settings):
    return PlaySession(PlaySettings.from_dict(settings))


def bits(session):
    return b"".join(array.tobytes() for array in session.model.get_weights())


class FakePage:
    """Takes an engine's frames; acknowledges them unless it is told to be slow."""

    def __init__(self, engine, slow=False):
        self.engine, self.slow = engine, slow
        self.answers, self.arrived = [], threading.Condition()
        engine.attach(self._take)

    def _take(self, frame):
        with self.arrived:
            self.answers.append(unpack(frame))
            self.arrived.notify_all()
        if not self.slow and self.answers[-1][0]["kind"] == "frame":
            self.engine.control({"do": "seen"})

    def send(self, what, **values):
        self.engine.control({"do": what, **values})

    def wait(self, kind, test=lambda head: True, seconds=10):
        """Return the next answer of a kind, and what was before it is forgotten."""
        end = time.monotonic() + seconds
        with self.arrived:
            while True:
                for i, (head, arrays) in enumerate(self.answers):
                    if head["kind"] == kind and test(head):
                        del self.answers[: i + 1]
                        return head, arrays
                if not self.arrived.wait(max(0, end - time.monotonic())):
                    got = [head["kind"] for head, _ in self.answers]
                    raise AssertionError(f"no {kind} within {seconds} s, but {got[-20:]}")


@pytest.fixture
def page():
    engines = []

    def opened(slow=False, table=None, lesson=None, **settings):
        engines.append(PlayEngine(PlaySettings.from_dict(settings), table, lesson))
        return FakePage(engines[-1], slow)

    yield opened
    for engine in engines:
        engine.close()


def table(n=300):
    rng = np.random.default_rng(0)
    age, income = rng.normal(40, 10, n), rng.lognormal(10, 0.5, n)
    city = rng.choice(["Aachen", "Bonn", "<b>Ulm"], n)
    price = age + 5 * (city == "Bonn") + rng.normal(size=n)
    return {"age": age, "income": income, "city": city, "price": price,
            "kind": np.where(price < 35, "low", np.where(price < 45, "mid", "high"))}  # fmt: skip
