"""The class of all figures, which notebooks show by themselves. Importing it imports matplotlib."""

from __future__ import annotations

import io
import warnings
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ._style import SAVING

_SHARP = 2.0  # pixels of a notebook's picture for one on the page


class NotebookFigure(Figure):
    """A figure that is not registered with pyplot and that a notebook shows by itself.

    It draws with fastmlp's settings of matplotlib, whatever the user's are.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        FigureCanvasAgg(self)

    def savefig(self, *args: Any, **options: Any) -> None:
        """Save the figure, as matplotlib's `Figure.savefig`."""
        with matplotlib.style.context(["default", SAVING]):
            super().savefig(*args, **options)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture, and its size on the page: IPython calls this to show the figure."""
        content = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            self.savefig(content, format="png", dpi=_SHARP * self.dpi)
        width, height = (round(self.dpi * inches) for inches in self.get_size_inches())
        return content.getvalue(), {"width": width, "height": height}
