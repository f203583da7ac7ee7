"""The learning rates of the next steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._utils import settings

if TYPE_CHECKING:
    from .._kernels.interface import Network
    from ..optimizers import Optimizer


_MAX_RATES = 1 << 13  # of a schedule, computed at a time


class Rates:
    """Sets the learning rates of a network's next steps.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._schedule: Any = None
        self._stop = 0
        self._latest_change = -1  # number of the latest change of any setting, a schedule's too

    def prepare(self, optimizer: Optimizer, max_steps: int) -> int:
        """Set the rates; return how many steps they and `max_steps` allow, 0 for any number."""
        network, schedule = self._network, optimizer.schedule
        if schedule is None:
            self.clear()
            network.learning_rate = optimizer.learning_rate
            return max_steps
        step = network.step
        before, self._latest_change = self._latest_change, settings.latest()
        changed = before != self._latest_change
        if schedule is not self._schedule or step >= self._stop or changed:
            network.set_rates(optimizer.rates(step, _MAX_RATES), step)
            self._schedule, self._stop = schedule, step + _MAX_RATES
        left = self._stop - step
        return min(max_steps, left) if max_steps else left

    def clear(self) -> None:
        """Have the network use its single rate again."""
        if self._schedule is not None:
            self._network.set_rates(None)
            self._schedule = None
