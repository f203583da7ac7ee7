"""How many threads the steps of a training use: as many as are fastest here and now."""

from __future__ import annotations

from collections.abc import Generator

from .. import threads

SLICE_SECONDS = 0.008  # of steps that are timed together
_FIRST_SECONDS, _USUAL_SECONDS, _LONGEST_SECONDS = 0.25, 1.0, 16.0  # between comparisons
_PROOF_SECONDS = 0.1
_SHARE = 40  # times a comparison's seconds with the other number: at least so long to the next
_GAIN = 0.95  # more threads must take at most this part of the time of fewer
_CLEAR = 0.2  # a difference from that part that one turn shows


class ThreadChoice:
    """Chooses the number of threads of each call of a session.

    Threads wait for each other at the ends of layers. So a further thread may make short steps
    slower, and makes them much slower where another process holds its processor. Therefore steps
    of the training itself are timed in turn with the present number of threads and with half or
    twice as many, at the beginning and then about each second. More threads are used if they take
    at most 0.95 of the time. The weights do not depend on their number.

    Parameters
    ----------
    n_threads : int
        The most.
    automatic : bool
        Whether fewer may be used.

    Attributes
    ----------
    size : int
        The number chosen.
    """

    def __init__(self, n_threads: int, automatic: bool) -> None:
        self.size = self._most = n_threads
        self._plan = self._choose() if automatic and n_threads > 1 else None
        self._call = None if self._plan is None else next(self._plan)

    def next_call(self, longest: float) -> tuple[int, float]:
        """Return the number of threads of the next call, and its seconds, at most `longest`."""
        size, seconds = self._call or (self.size, longest)
        return size, min(seconds, longest)

    def took(self, steps: int, seconds: float) -> None:
        """Take note of the steps of that call, and of the seconds that they took."""
        if self._plan is not None:
            self._call = self._plan.send((steps, seconds))

    # These generators yield a call's threads and seconds, and are sent its steps and seconds.

    def _choose(self) -> Generator[tuple[int, float], tuple[int, float], None]:
        yield self.size, SLICE_SECONDS  # these steps allocate memory
        better, spent = True, 0.0
        while better and self.size > 1:
            better, spent = yield from self._compare(self.size // 2)
            self.size //= 1 + better
        due = dict.fromkeys(("fewer", "more"), max(_FIRST_SECONDS, _SHARE * spent))
        doubt = _USUAL_SECONDS
        while True:
            pause = max(min(due.values()), SLICE_SECONDS)
            pace = yield from self._time(self.size, pause)
            # The system's quota may have changed.
            most = min(self._most, threads.resolve()[0])
            self.size = min(self.size, most)
            others = {"fewer": self.size // 2, "more": min(2 * self.size, most)}
            for which, other in others.items():
                due[which] -= pause
                if due[which] > 0:
                    continue
                due[which] = _USUAL_SECONDS
                if other in (0, self.size):
                    continue
                # The system lets a thread that has slept run first, so a slice after a change may
                # not show what other processes cost: with fewer threads the time before counts.
                least = pace if which == "fewer" else 0.0
                better, spent = yield from self._compare(other, least)
                if better:  # not by chance?
                    better, again = yield from self._compare(other, least)
                    spent += again
                due[which] = max(_USUAL_SECONDS, _SHARE * spent)
                if not better:
                    continue
                before, self.size = self.size, other
                if which == "more":  # and with more threads the time after
                    if (yield from self._time(other, _PROOF_SECONDS)) > _GAIN * pace:
                        self.size, due["more"] = before, max(doubt, due["more"])
                        doubt = min(2 * doubt, _LONGEST_SECONDS)
                        continue
                    doubt = _USUAL_SECONDS
                break

    def _compare(
        self, other: int, pace: float = 0.0
    ) -> Generator[tuple[int, float], tuple[int, float], tuple[bool, float]]:
        """Return whether another number is better, and the seconds spent with it.

        A step with the present number is taken to need at least `pace` seconds.
        """
        own = others = 0.0
        for _ in range(2):
            others += yield from self._time(other, SLICE_SECONDS)
            own += max(pace, (yield from self._time(self.size, SLICE_SECONDS)))
            more, fewer = (others, own) if other > self.size else (own, others)
            if abs(more / fewer - _GAIN) > _CLEAR:
                break
        better = (more <= _GAIN * fewer) == (other > self.size)
        return better, 2 * (SLICE_SECONDS + others)

    def _time(
        self, size: int, least: float
    ) -> Generator[tuple[int, float], tuple[int, float], float]:
        """Make steps for some time; return the seconds of one."""
        steps, seconds = 0, 0.0
        while not steps or seconds < least:
            done, took = yield size, max(least - seconds, SLICE_SECONDS / 8)
            steps, seconds = steps + done, seconds + took
        return seconds / steps
