"""Output of `fastmlp sweep`: the ranking as a table, or everything as a JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._output import console, grid, significant

if TYPE_CHECKING:
    from rich.table import Table

    from fastmlp.sweeps import Rank, SweepResult


def document(
    result: SweepResult, measure: str | None, store: str | None, seconds: float | None
) -> dict[str, Any]:
    """Return a sweep's ranking and settings as plain values."""
    from fastmlp import __version__

    return {
        "version": __version__,
        "store": store,
        "settings": result.settings,
        "measure": measure or result.measure,
        "runs": len(result),
        "total": result.total,
        "ranking": [vars(rank) for rank in result.ranking(measure)],
        "sessions": result.sessions,
        "seconds": seconds,
    }


def print_table(result: SweepResult, measure: str | None, top: int, seconds: float | None) -> None:
    """Print the best configurations, with the columns that fit the terminal."""
    measure = measure or result.measure
    ranking = result.ranking(measure)
    out = console(60)
    columns = _columns(ranking[:top], result.varied or ["units"], measure)
    table = _grid(columns)
    for name in (
        "nonzero",
        "training",
        "sd",
        "runs",
    ):  # columns that a narrow terminal has no room for
        if _width(table) > out.width:
            columns.pop(name, None)
            table = _grid(columns)
    out.print(table)
    if len(ranking) > top:
        out.print(f"{len(ranking) - top} more configurations; --top shows them")
    out.print(_summary(result, seconds))


def _columns(ranks: list[Rank], names: list[str], measure: str) -> dict[str, list[str]]:
    columns = {"": [str(rank.rank) for rank in ranks]}
    for name in names:
        columns[name.replace("_", " ")] = [_text(rank.config[name]) for rank in ranks]
    if len({rank.epochs for rank in ranks}) > 1:
        columns["epochs"] = [str(rank.epochs) for rank in ranks]
    columns[measure] = [
        "diverged" if rank.mean is None else significant(rank.mean, 5) for rank in ranks
    ]
    if any(rank.sd is not None for rank in ranks):
        columns["sd"] = [significant(rank.sd, 2) for rank in ranks]
    columns["training"] = [significant(rank.train, 5) for rank in ranks]
    columns["nonzero"] = ["" if rank.nonzero is None else f"{rank.nonzero:,.0f}" for rank in ranks]
    columns["runs"] = [
        f"{rank.runs} ({rank.diverged} diverged)" if rank.diverged else str(rank.runs)
        for rank in ranks
    ]
    return columns


def _width(table: Table) -> int:
    """Return the width that a table needs."""
    from rich.console import Console

    return Console(width=10_000).measure(table).maximum


def _grid(columns: dict[str, list[str]]) -> Table:

    table = grid()
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _summary(result: SweepResult, seconds: float | None) -> str:
    done = f"{len(result):,} runs"
    if result.total > len(result):
        done = f"{len(result):,} of {result.total:,} runs"
    parts = [done, f"{sum(result.seconds.values()):.3g} s of training"]
    if seconds is not None:
        parts.append(f"{seconds:.3g} s in all")
    return ", ".join([*parts, f"seeds from {result.settings['seed']}"])
