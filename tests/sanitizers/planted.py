"""Planted mistakes are found, and what is none is not reported; `check` runs this."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SANITIZER = os.environ["FASTMLP_SANITIZER"]
VIEW = "numpy.zeros(3)"

MISTAKES = {
    "address": {
        "reads_past_a_block()": "heap-buffer-overflow",
        "reads_past_a_large_block()": "heap-buffer-overflow",
        "reads_before_a_block_that_is_skewed()": "heap-buffer-overflow",
        "reads_a_freed_block()": "heap-use-after-free",
        "writes_a_vector_past_a_block()": "AddressSanitizer",
        "loads_a_vector_off_its_boundary()": "misaligned address",
        "adds_beyond_an_int(1)": "signed integer overflow",
    },
    "thread": {
        "threads_write_one_vector()": "data race",
        "threads_write_vectors_that_overlap()": "data race",
        "a_thread_reads_without_waiting()": "data race",
    },
    "bounds": {
        f"reads_past_a_view({VIEW})": "IndexError",
        "reads_past_a_view(None)": "TypeError",
    },
}[SANITIZER]

FINE = {
    "reads_a_block()": "0.0",
    "adds_beyond_an_int(0)": "2147483647",
    "threads_write_neighbours()": "None",
    "a_thread_reads_after_the_barrier()": "14",
    "threads_take_tickets_and_a_team_follows_another()": "1280",
}

# Of Archer. `check` does so for the runtime alone.
ADVICE = (
    "Warning: please export TSAN_OPTIONS='ignore_noninstrumented_modules=1' "
    "to avoid false positive reports from the OpenMP runtime!"
)

# Networks of every kind of loop, trained and let go of, on one thread and on three.
KERNELS = """
import numpy as np
import fastmlp
from fastmlp import models
x = np.random.default_rng(0).normal(size=(300, 8)).astype("f4")
y = x[:, :1] ** 2
for threads in (1, 3):
    fastmlp.set_num_threads(threads)
    for units in ("4", "32", "128x3"):
        for dtype in ("float32", "float64"):
            model = models.mlp(units, 8, 1, dtype=dtype, dropout=0.1 * (units == "128x3"), seed=1)
            model.compile("adam", "mean_squared_error", metrics=["mean_absolute_error"])
            model.fit(x, y, epochs=2, batch_size=100, sample_weight=np.ones(300), verbose=0)
            model.evaluate(x, y, verbose=0)
            model.activations(x)
            del model
    many = fastmlp.ensemble(x, y, "4", 5, epochs=2, verbose=0)
    del many
"""


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("call", MISTAKES)
def test_a_mistake_is_found(call):
    done = run(f"import numpy, planted; print(planted.{call})")
    assert done.returncode != 0
    assert MISTAKES[call] in done.stderr, done.stderr
    assert "planted" in done.stderr


@pytest.mark.parametrize("call", FINE)
def test_what_is_none_is_not_reported(call):
    done = run(f"import planted; print(planted.{call})")
    errors = [line for line in done.stderr.splitlines() if line != ADVICE]
    assert (done.returncode, done.stdout.strip(), errors) == (0, FINE[call], [])


@pytest.mark.skipif(SANITIZER != "address", reason="AddressSanitizer looks for lost memory")
@pytest.mark.parametrize("leaks", [False, True])
def test_the_kernels_lose_no_memory(leaks):
    """The interpreter itself lets go of little at its end, so what counts is who allocated."""
    more = "import planted; planted.loses_a_block()" if leaks else ""
    options = os.environ["ASAN_OPTIONS"].replace("detect_leaks=0", "detect_leaks=1")
    done = run(KERNELS + more, ASAN_OPTIONS=options)
    lost = [line for line in done.stderr.splitlines() if "/_kernels/" in line]
    assert "LeakSanitizer" in done.stderr or not leaks, done.stderr
    assert bool(lost) == leaks, "\n".join(lost)
