"""The command `fastmlp`: one module a command, loaded when it is called.

Each module parses its options, calls the library and prints. Nothing here imports NumPy,
Matplotlib or Rich until a command runs, so that help and shell completion answer at once.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from ._app import cli
    except KeyboardInterrupt:  # which nobody listens for yet
        raise SystemExit(130) from None
    cli(prog_name="fastmlp")
