"""A page on which a network is seen learning, and can be held, stepped, rewound and compared.

_settings  what is trained, on which rows and how, with limits
_data      the rows: simulated ones, or a table's
_network   the network, and how it changes while it keeps what it has learnt
_session   training with events, frames to rewind to, and replay
"""

from __future__ import annotations
