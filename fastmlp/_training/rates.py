"""The learning rates of the next steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._utils import settings

if TYPE_CHECKING:
    pass


_MAX_RATES = 1 << 13  # of a schedule, worked out at a time


class _Rates:
    """Tells the network the learning rate of the next steps."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._schedule: Any = None
        self._stop = 0
        self._heard = -1  # the latest change of any setting, a schedule's among them

    def prepare(self, optimizer: Any, max_steps: int) -> int:
        """Set the rates; return how many steps they and `max_steps` allow, 0 for any number."""
        network, schedule = self._network, optimizer.schedule
        if schedule is None:
            self.clear()
            network.learning_rate = optimizer.learning_rate
            return max_steps
        step = network.step
        heard, self._heard = self._heard, settings.latest()
        if schedule is not self._schedule or step >= self._stop or heard != self._heard:
            network.set_rates(optimizer.rates(step, _MAX_RATES), step)
            self._schedule, self._stop = schedule, step + _MAX_RATES
        left = self._stop - step
        return min(max_steps, left) if max_steps else left

    def clear(self) -> None:
        """Let the network go by a single rate again."""
        if self._schedule is not None:
            self._network.set_rates(None)
            self._schedule = None
