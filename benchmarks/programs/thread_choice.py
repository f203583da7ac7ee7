"""Compare the automatic number of threads with one thread, and with one processor.

    python benchmarks/programs/thread_choice.py -o benchmarks/results/thread_choice.json

Networks of one hidden layer, 16 inputs and one output train with Adam, all rows in each batch. For
each size the automatic number of threads and one thread take turns of one window. The result is
the ratio of the medians. Then networks of tables train for some seconds with the automatic number,
with one thread and with one for each processor, on the idle machine and beside a process that keeps
one processor busy. At last a process bound to one processor is compared with a process that is
set to one thread.
"""

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import recording

import fastmlp
from fastmlp import models, threads

# Networks of tables: units, inputs, rows of a batch.
TABLES = (("128x3", 16, 128), ("256x3", 32, 256), ("256x3", 256, 256), ("1024x5", 1, 1000))
UNITS = (2, 16, 64, 256, 1024, 8192)
ROWS = (100, 1000, 10_000, 100_000)
INPUTS = 16


def trainer(units, rows):
    """Return a function that trains for a number of epochs and returns the seconds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, INPUTS)).astype("f4")
    model = models.mlp(str(units), INPUTS, 1, seed=1)
    model.compile("adam", "mean_squared_error")
    y = x[:, :1]

    def train(epochs):
        start = time.perf_counter()
        model.fit(x, y, batch_size=rows, epochs=epochs, shuffle=False, verbose=0)
        return time.perf_counter() - start

    return train


def compared(units, rows, windows, seconds):
    """Return microseconds per epoch: automatic, and on one thread."""
    train = trainer(units, rows)
    train(1)
    epochs = max(1, int(seconds / max(train(1), 1e-5)))
    found = {None: [], 1: []}
    for i in range(windows):
        for n in (None, 1) if i % 2 else (1, None):
            fastmlp.set_num_threads(n)
            found[n].append(1e6 * train(epochs) / epochs)
    fastmlp.set_num_threads(None)
    return [statistics.median(found[n]) for n in (None, 1)]


def beside(n_busy, seconds):
    """Return for each of `TABLES` seconds on the automatic number of threads, one, and all."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_busy)]
    try:
        return [_with_each_number(*case, seconds) for case in TABLES]
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _with_each_number(units, inputs, batch_size, seconds):
    x = np.random.default_rng(0).normal(size=(32 * batch_size, inputs)).astype("f4")
    model = models.mlp(units, inputs, 1, seed=1)
    model.compile("adam", "mean_squared_error")

    def train(n_threads, epochs):
        fastmlp.set_num_threads(n_threads)
        start = time.perf_counter()
        model.fit(x, x[:, :1], batch_size=batch_size, epochs=epochs, verbose=0)
        fastmlp.set_num_threads(None)
        return time.perf_counter() - start

    train(1, 1)
    epochs = max(1, round(seconds / train(1, 1)))
    numbers = (None, 1, threads.available())
    found = {n: [] for n in numbers}
    for turn in range(3):
        for n in numbers[:: 1 if turn % 2 else -1]:
            found[n].append(train(n, epochs))
    automatic, one, every = (statistics.median(found[n]) for n in numbers)
    return {
        "units": units, "inputs": inputs, "batch": batch_size, "epochs": epochs,
        "automatic": automatic, "one": one, "all": every,
    }  # fmt: skip


def one_processor():
    """Return microseconds per epoch on one processor: automatic, and set to one thread."""
    script = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r}); import thread_choice as t;"
        "train = t.trainer(256, 2000); train(20);"
        "print(1e6 * min(train(50) for _ in range(5)) / 50)"
    )
    found = {"": [], "1": []}
    for _ in range(3):
        for n in found:
            environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
            environment |= {"OMP_NUM_THREADS": n} if n else {}
            done = subprocess.run(
                [sys.executable, "-c", script], env=environment, capture_output=True, check=True
            )
            found[n].append(float(done.stdout))
    return [min(times) for times in found.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="seconds of a window")
    parser.add_argument("--long", type=float, default=4.0, help="seconds of a table's training")
    options = parser.parse_args()
    rows = []
    for units in UNITS:
        for n in ROWS:
            if units * n > 2**26:  # more memory than a small machine has
                continue
            automatic, one = compared(units, n, options.windows, options.seconds)
            rows.append({"units": units, "rows": n, "automatic": automatic, "one": one})
            print(f"{units:>5} units {n:>7} rows: {automatic / one:.2f} of one thread's time")
    tables = {}
    for n_busy in (0, 1):
        tables[f"beside {n_busy} busy"] = found = beside(n_busy, options.long)
        for row in found:
            ratio = row["automatic"] / min(row["one"], row["all"])
            name = f"{row['units']}, {row['inputs']} inputs, batches of {row['batch']}"
            print(f"{name}, beside {n_busy} busy processes: {ratio:.2f} of the best number's time")
    alone, told = one_processor()
    print(f"one processor by affinity: {alone / told:.2f} of one thread's time")
    if options.output is not None:
        document = {
            "machine": recording.machine(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "settings": {"inputs": INPUTS, "windows": options.windows, "seconds": options.seconds},
            "microseconds an epoch": rows,
            "seconds of tables": tables,
            "one processor": {"automatic": alone, "told": told},
        }
        recording.write(options.output, document)
        print(f"Wrote {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
