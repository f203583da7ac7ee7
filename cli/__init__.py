"""The command `fastmlp`, with one module for each command, imported when it is called.

Each module parses its options, calls the library and prints. Nothing here imports NumPy,
Matplotlib or Rich until a command runs, so that help and shell completion answer at once.

    train, ensemble, path, sweep           train one network or many
    catalogue, datasets                    the lecture's networks and data
    playground                             a page on which a network is seen learning
    predict, evaluate, compare             apply saved models to a table
    summary, inspect, plot, report, prune  look into a model, draw it, make it smaller
    export, import_                        models of other programs
    bench, doctor, completion              speed, the installation, the shell
    _app, __main__                         the command with its subcommands
    _groups, _options, _file_types         options: groups as dataclasses, shared ones, files
    _help, _synonyms                       help in sections; words from other programs
    _config                                options from a TOML file
    _data, _model, _training               tables, saved models and trainings from options
    _decided, _jobs                        decisions about a table; the trainings of `train`
    _evaluate, _judge                      scores of a model on a table
    _report, _ranking, _figures            what a command shows: tables and figures
    _exports, _members, _checks            files of a sweep, members of an ensemble, doctor's checks
    _resume, _ranks                        checkpoints, and several processes
    _reading                               how a file with a table is written
    _output, _streams, _progress, _errors  files, standard streams, progress, errors and exit codes
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from ._streams import open_missing

        open_missing()
        from ._app import cli
    except KeyboardInterrupt:  # the group does not handle it yet
        raise SystemExit(130) from None
    try:
        cli(prog_name="fastmlp")
    except SystemExit as end:
        # Ranks of MPI end together, which the end of the interpreter takes care of.
        if end.code == 130 and "mpi4py.MPI" not in sys.modules:
            _end_at_once(130)
        raise


def _end_at_once(code: int) -> None:
    """End the process without unloading its modules, which may take half a second."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader may have closed it
            stream.flush()
    os._exit(code)
