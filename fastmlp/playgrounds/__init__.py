"""A page on which a network is seen learning, and can be held, stepped, rewound and compared.

_playground  `playground` and `replay`
_server      the page in a browser: one page, one socket, on this machine only
_widget      the same page in a notebook
_engine      the thread that trains, takes controls and gives frames
_frames      what a page shows of a session, as bytes
_trials      many networks beside a session's: other seeds, other lambdas
_recipe      the settings as a command, as TOML and as Python
_session     training with events, frames to rewind to, and replay
_network     the network, and how it changes while it keeps what it has learnt
_data        the rows: simulated ones, or a table's
_lessons     the lecture in twelve steps
_settings    what is trained, on which rows and how, with limits

The folder `page` has what runs in the browser, with the code of others in `page/vendor`.
"""

from __future__ import annotations

from ._lessons import lessons
from ._playground import playground, replay, training_rows
from ._server import PlaygroundServer, check_installed

__all__ = [
    "PlaygroundServer",
    "check_installed",
    "lessons",
    "playground",
    "replay",
    "training_rows",
]
