"""A progress line for a network of the catalogue."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from fastmlp._utils.progress import ProgressLine
from fastmlp.callbacks import Callback

if TYPE_CHECKING:
    from fastmlp.lecture import Entry

# With fewer multiplications in an epoch, a thousand epochs are too fast for a progress line; the
# compiled loop need not return to Python after each.
SMALL = 500_000


class EpochLine(ProgressLine):
    """A progress line that a callback updates.

    Parameters
    ----------
    label : str
    epochs : int
    enabled : bool
    """

    def __init__(self, label: str, epochs: int, enabled: bool) -> None:
        super().__init__(label, epochs, enabled=enabled)

    def callbacks(self, entry: Entry) -> list[Callback]:
        """Return the callbacks that update the line; none for a small network."""
        widths = [1, *entry.units, 1]
        work = sum(a * b for a, b in itertools.pairwise(widths)) * 50
        return [_Follow(self)] if work >= SMALL else []


class _Follow(Callback):
    def __init__(self, line: ProgressLine) -> None:
        self.line = line

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        shown = {key: value for key, value in (logs or {}).items() if key.endswith("loss")}
        self.line.update(epoch + 1, shown)
