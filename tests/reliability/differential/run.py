"""Make draws and count what they reach.

    python -m differential.run FIRST STOP FILE [--seconds S]   append a line a draw to FILE
    python -m differential.run --sum FILE ...                  print and check the counts of pieces

with PYTHONPATH=tests/reliability. Draws that FILE has already are left out, so that a run which
was stopped, or whose seconds were up, is resumed by the same command.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from pathlib import Path

import threadpoolctl

from fastmlp import _kernels

from .draws import HIDDEN, KINDS, SCHEDULES, draw
from .trial import OPTIMIZERS, DifferenceError, attempt

PARAMETERS = "weights", "biases"
LOSSES = (
    *("mean_squared_error", "mean_absolute_error", "huber", "poisson", "binary_crossentropy"),
    *("categorical_crossentropy", "sparse_categorical_crossentropy", "log_cosh"),
)


# What the draws must reach, each often; `counted` may find more.
REGIMES = (
    *("tiny", "shallow", "layers", "parts", "shards", "python_loss", "ordered", "patterns"),
    *("groups_of_rows", "left_out", "left_out_backward", "picked", "packed", "packed_rest"),
    *("late", "gathered", "blocks", "smaller_batch", "single_row", "clip_norm"),
    *("clip_array_norm", "clip_value", "group_units", "group_inputs", "team", "narrow"),
    *("panel_rest", "dropout", "weighted", "rates", "sliced", "encoded"),
    *("stacked_shallow", "stacked_layers", "stacked_parts", "stacked_smaller_batch"),
    *("stacked_weighted", "type float32", "type float64", "skip 0", "skip 1", "order 0", "order 1"),
    *(f"threads {n}" for n in range(1, 9)),
    *(f"batches of {kind}" for kind in KINDS),
    *(f"schedule {kind}" for kind in SCHEDULES),
    *(f"optimizer {name}" for name in ("momentum", "nesterov", *OPTIMIZERS)),
    *(f"activation {name}" for name in ("softmax", *HIDDEN)),
    *(f"last activation {name}" for name in ("softmax", *HIDDEN)),
    *(f"loss {name}" for name in LOSSES),
    *(f"{what} of {where}" for what in ("l1", "proximal l1", "l2") for where in PARAMETERS),
)


def missing(results, least):
    """Return the regimes that fewer draws than `least` reached."""
    counts = counted(results)
    wanted = [*REGIMES, *(f"isa {name}" for name in _kernels.supported_isas())]
    return {name: counts[name] for name in wanted if counts[name] < least}


def lines(*paths):
    """Return the results in files, those of the same draw once."""
    found = {}
    for path in filter(Path.exists, map(Path, paths)):
        for line in path.read_text().splitlines():
            result = json.loads(line)
            found[result["number"]] = result
    return found


def make(first, stop, path, seconds=float("inf")):
    """Make the draws of [first, stop) that the file does not have; return how many are left."""
    deadline, done = time.monotonic() + seconds, lines(path)
    left = [number for number in range(first, stop) if number not in done]
    with threadpoolctl.threadpool_limits(1, user_api="blas"), Path(path).open("a") as file:
        while left and time.monotonic() < deadline:
            number = left.pop(0)
            try:
                result = attempt(draw(number))
            except DifferenceError as error:
                result = {"number": number, "ran": [], "difference": str(error)}
                print(error, file=sys.stderr)
            except Exception as error:
                raise RuntimeError(f"draw {number}") from error
            file.write(json.dumps(result) + "\n")
            file.flush()
    return len(left)


def counted(results):
    """Count for each regime the draws that reached it."""
    return collections.Counter(name for result in results for name in result["ran"])


def table(results):
    """Return a text with the counts and figures of results."""
    results = list(results)
    counts = counted(results)
    rows = [f"{name:45} {count:6}" for name, count in sorted(counts.items())]
    wrong = [result for result in results if "difference" in result]
    right = [result for result in results if "difference" not in result]
    return "\n".join(
        [
            *rows,
            *(result["difference"] for result in wrong),
            f"{len(results)} draws, {len(wrong)} differ, "
            f"{sum(result['weak'] for result in right)} with a weak bound; the largest distance is "
            f"{max((result['ratio'] for result in right), default=0):.3g} of the tolerance; "
            f"{sum(result['seconds'] for result in right):.0f} s in all",
        ]
    )


def require_sound(results, count):
    """Require that `count` draws were made, none differs, and each regime was reached often."""
    results = list(results)
    assert len(results) >= count, f"{len(results)} of {count} draws"
    assert not [result["difference"] for result in results if "difference" in result]
    # In float64 every bound must be far below what training does.
    weak = [result for result in results if result["weak"]]
    assert not [result["number"] for result in weak if "type float64" in result["ran"]]
    assert len(weak) < 0.1 * count, f"{len(weak)} weak bounds"
    assert not missing(results, count // 100)


def main():
    parser = argparse.ArgumentParser(prog="differential.run")
    parser.add_argument("--sum", nargs="+", metavar="FILE")
    parser.add_argument("--count", type=int, default=10_000, help="draws that --sum asks for")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("first", type=int, nargs="?")
    parser.add_argument("stop", type=int, nargs="?")
    parser.add_argument("file", nargs="?")
    given = parser.parse_args()
    if given.sum:
        results = lines(*given.sum).values()
        print(table(results))
        require_sound(results, given.count)
        return 0
    left = make(given.first, given.stop, given.file, given.seconds)
    print(f"{left} draws left", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
