"""The text of `Ensemble.summary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.summary import summary_text

if TYPE_CHECKING:
    from ._members import Members


def ensemble_text(made: Members, line_length: int | None = None) -> str:
    """Return the text of `Ensemble.summary`: members, and the layers of each architecture.

    Parameters
    ----------
    made : Ensemble
    line_length : int, optional

    Returns
    -------
    str
    """
    lines = [f'Ensemble: "{made.name}", {len(made):,} members']
    for group in made.groups:
        seeds = _ranges(group.seeds)
        lines += ["", f"{len(group):,} of these, seeds {seeds}:"]
        if group.folds is not None:
            lines[-1] = f"{len(group):,} of these, {len(set(group.folds))} folds, seeds {seeds}:"
        lines.append(summary_text(group.template, line_length))
    lines += ["", f"Params of all members: {made.count_params():,}"]
    if made.noise_sd is not None:
        values = ", ".join(f"{sd:.4g}" for sd in made.noise_sd)
        lines.append(f"Noise (standard deviation, from {made.noise_source}): {values}")
    return "\n".join(lines)


def _ranges(seeds: list[int]) -> str:
    """Return seeds in short, such as '1-10' or the first few."""
    found = sorted(set(seeds))
    if len(found) > 2 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]}-{found[-1]}"
    return ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
