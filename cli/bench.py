"""`fastmlp bench`: speed of training on this machine, compared with other libraries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from . import _help, _options
from ._output import Failure, Messages, OutputOptions, console, grid, open_text, print_json

if TYPE_CHECKING:
    from fastmlp.bench import Timing

# With these, all cases against NumPy take less than a minute.
WINDOWS, SECONDS, PATIENCE = 5, 0.05, 2.0
_UNITS = ((1e6, "s"), (1e3, "ms"), (1.0, "us"))

EPILOG = """\b
Examples:
  fastmlp bench                          against NumPy, under a minute
  fastmlp bench --peers numpy,torch,jax  against other installed libraries
  fastmlp bench --cases lecture,table-32 --threads 1
  fastmlp bench --json -o bench.json
  fastmlp bench --list                   print cases and libraries

All libraries train the same float32 weights on the same data with Adam. Each runs in a process of
its own; the processes take turns, and the time is the median of three to five turns. A ratio above
1 means slower than fastmlp. Close other programs first.

Ctrl-C ends the benchmark and prints the cases that are done.
"""


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from fastmlp import bench

    names = bench.CASES if param.name == "cases" else bench.LIBRARIES
    return _options.complete_names((*names, "all"))(ctx, param, incomplete)


@click.command(cls=_help.Command, epilog=EPILOG)
@click.option(
    "--peers",
    metavar="LIST",
    default="numpy",
    show_default=True,
    shell_complete=_complete,
    help="Libraries to compare with: some of numpy, torch, jax, keras, sklearn, and for "
    "prediction litert and openvino, with commas between, or all for those that are installed.",
)
@click.option(
    "--cases",
    metavar="LIST",
    default="all",
    show_default=True,
    shell_complete=_complete,
    help="Workloads, with commas between; --list prints them.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Number of threads of every library.  [default: its own choice]",
)
@click.option(
    "--list", "list_only", is_flag=True, help="Print cases and libraries; measure nothing."
)
@_options.output(metavar="JSON", help="Write everything measured to this file.")
@_options.common
def command(
    peers: str,
    cases: str,
    threads: int | None,
    list_only: bool,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Compare the speed with other libraries.

    The table has the time of a training step, or of a prediction, and the operations per second.
    Operations that fastmlp skips because units are inactive are counted.
    """
    from fastmlp import bench

    if list_only:
        _list(results.as_json)
        return
    with _options.wrong_option("--cases"):
        case_names = bench.parse_cases(cases)
    with _options.wrong_option("--peers"):
        peer_names = bench.parse_peers(peers)
    results.check()
    about = bench.machine()
    report.detail(", ".join(f"{name} {value}" for name, value in about.items()))
    timings: list[Timing] = []
    settings = {"threads": threads, "rounds": 1, "windows": WINDOWS, "seconds": SECONDS}

    def document() -> dict[str, Any]:
        results = [timing.to_dict() for timing in timings]
        return {"machine": about, "settings": settings, "results": results}

    try:
        _measure(case_names, peer_names, threads, report.quiet, timings)
    except KeyboardInterrupt:
        done = len(timings) // len(peer_names)
        raise KeyboardInterrupt(f"Interrupted after {done} of {len(case_names)} cases.") from None
    finally:  # after Ctrl-C as well
        if results.as_json or results.output == "-":
            print_json(document())
        elif timings:
            _print_table(timings)
    if results.output not in (None, "-"):
        with open_text(results.output) as file:
            file.write(json.dumps(document(), indent=1) + "\n")
        report.note(f"Wrote {results.output}.")
    for timing in timings:
        if timing.peer == "fastmlp" and timing.error is not None:
            raise Failure(f"fastmlp has no figure for {timing.case}: {timing.error}")


def _list(as_json: bool) -> None:
    from fastmlp import bench

    here = bench.installed()
    if as_json:
        cases = {name: {"network": case.network, "description": str(case), "flops": case.flops}
                 for name, case in bench.CASES.items()}  # fmt: skip
        print_json({"cases": cases, "peers": {name: name in here for name in bench.LIBRARIES}})
        return
    for name, case in bench.CASES.items():
        click.echo(f"{name:<16} {case}")
    click.echo(f"\ninstalled: {', '.join(here)}")


def _measure(
    cases: list[str],
    peers: list[str],
    threads: int | None,
    quiet: bool,
    timings: list[Timing],
) -> None:
    from fastmlp import bench
    from fastmlp._utils.progress import ProgressLine

    with ProgressLine("bench", len(cases), "cases", enabled=not quiet) as line:
        done = bench.compare(
            cases,
            peers,
            windows=WINDOWS,
            seconds=SECONDS,
            threads=threads,
            patience=PATIENCE,
            progress=line.update,
        )
        for timed in done:
            timings += timed


def _print_table(timings: list[Timing]) -> None:

    table = grid()
    table.add_column("case", no_wrap=True)
    table.add_column("library", no_wrap=True)
    for name in ("time", "ratio", "GFLOP/s"):
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    failed = []
    for timing in timings:
        if timing.case != last and last is not None:
            table.add_section()
        name = timing.case if timing.case != last else ""
        last = timing.case
        if timing.error is not None:
            table.add_row(name, timing.peer, "none", "", "")
            failed.append(f"{timing.case}, {timing.peer}: {timing.error}")
            continue
        ratio = "" if timing.ratio is None else f"{timing.ratio:.2f}"
        table.add_row(name, timing.peer, _time(timing.microseconds), ratio, _figure(timing.gflops))
    out = console(least_width=56)
    out.print(table)
    for line in failed:
        out.print(line, markup=False)


def _time(microseconds: float) -> str:
    size, unit = next((u for u in _UNITS if microseconds >= u[0]), _UNITS[-1])
    return f"{_figure(microseconds / size)} {unit}"


def _figure(value: float) -> str:
    """Format three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"
