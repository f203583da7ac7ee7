"""Time training on a streamed Parquet file and on the same rows in memory.

    python benchmarks/programs/stream.py -o results.json              # all cases, in turns
    python benchmarks/programs/stream.py --make --directory DIR    # write the files,
    python benchmarks/programs/stream.py --run stream --rows 1200000 --directory DIR -o results.json
    python benchmarks/programs/stream.py --from results.json

Every measurement runs in its own process, which adds a line to the JSON file. Files are read once
before timing, to warm the disk cache. The time is the mean over the epochs after the first, each
from its fastest round, because other programs can only slow it down. Memory is the process's peak.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import recording

N_COLUMNS = 64
UNITS = [256, 256, 256]
BATCH_SIZE = 256
ROWS = (400_000, 800_000)  # about 160 and 320 MB
GROUP_ROWS = 100_000
EPOCHS = 4


def file_of(directory, rows):
    return directory / f"stream-{rows}.parquet"


def make(directory, rows):
    """Write a file of random numbers in row groups."""
    import pyarrow as pa
    from pyarrow import parquet

    path = file_of(directory, rows)
    if path.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    slopes = rng.standard_normal(N_COLUMNS).astype(np.float32)
    names = [f"x{i + 1}" for i in range(N_COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in [*names, "y"]])
    with parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, GROUP_ROWS):
            x = rng.standard_normal((min(GROUP_ROWS, rows - first), N_COLUMNS), np.float32)
            y = np.sin(x @ slopes / 8)
            arrays = [pa.array(np.ascontiguousarray(column)) for column in x.T]
            writer.write_table(pa.Table.from_arrays([*arrays, pa.array(y)], schema=schema))


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(how, path):
    """Train in this process; return seconds of each epoch and peak memory."""
    from fastmlp import datasets, models, streaming
    from fastmlp.callbacks import Callback
    from fastmlp.preprocessing import Preprocessing

    with path.open("rb") as file:  # warm the disk's cache
        while file.read(1 << 22):
            pass
    times = []

    class Clock(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            times.append(time.perf_counter() - self.start)

    start, before = time.perf_counter(), peak_mb()
    if how == "stream":
        stream = datasets.ParquetStream(path, "y", standardize=True)
    else:
        table = datasets.read_table(path)
        state = Preprocessing.fit(table, "y", standardize=True)
        x, y = state.inputs(table), state.targets(table)
        del table
    prepared = time.perf_counter() - start
    model = models.mlp(UNITS, N_COLUMNS, 1, seed=1)
    model.compile("adam", "mse")
    options = {"batch_size": BATCH_SIZE, "epochs": EPOCHS, "verbose": 0, "callbacks": [Clock()]}
    if how == "stream":
        history = streaming.fit(model, stream, **options)
    else:
        history = model.fit(x, y, **options)
    return {
        "how": how,
        "rows": history.params["samples"],
        "file_mb": path.stat().st_size / 1e6,
        "preparing_s": prepared,
        "epochs_s": times,
        "loss": history.history["loss"][-1],
        "start_mb": before,
        "peak_mb": peak_mb(),
    }


def quickest(results):
    """Return the mean over the epochs after the first, each from its fastest round."""
    epochs = zip(*(result["epochs_s"] for result in results), strict=True)
    return statistics.mean([min(times) for times in epochs][1:])


def table(results):
    lines = [
        f"{'rows':>9} {'file':>7} {'how':8}{'preparing':>10}{'epoch':>9}{'speed':>8}{'peak':>9}"
    ]
    for rows in sorted({r["rows"] for r in results}):
        ways = {how: [r for r in results if (r["how"], r["rows"]) == (how, rows)]
                for how in ("memory", "stream")}  # fmt: skip
        epochs = {how: quickest(of) for how, of in ways.items() if of}
        for how, of in ways.items():
            if of:
                speed = f"{epochs['memory'] / epochs[how]:.0%}" if "memory" in epochs else ""
                peak = max(r["peak_mb"] for r in of)
                prepared = statistics.median(r["preparing_s"] for r in of)
                lines.append(
                    f"{rows:>9} {of[0]['file_mb']:>4.0f} MB {how:8}{prepared:>8.1f} s"
                    f"{epochs[how]:>7.2f} s{speed:>8}{peak:>6.0f} MB"
                )
    return "\n".join(lines)


def keep(output, result):
    if output.exists():
        document = recording.read(output)
    else:
        settings = {"units": UNITS, "columns": N_COLUMNS, "batch_size": BATCH_SIZE,
                    "epochs": EPOCHS, "group_rows": GROUP_ROWS}  # fmt: skip
        document = {"machine": recording.machine(), "settings": settings, "results": []}
    document["results"].append(result)
    recording.write(output, document)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path("stream-data"))
    parser.add_argument("--rows", type=int, default=None, help="rows of the file to train on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", action="store_true", help="write the files, then exit")
    parser.add_argument("--run", choices=["memory", "stream"], help="measure once in this process")
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="file to add results to")
    parser.add_argument("--from", dest="source", type=Path, metavar="JSON",
                        help="print and draw this file without measuring")  # fmt: skip
    options = parser.parse_args()
    if options.source:
        print(table(recording.read(options.source)["results"]))
        return
    for rows in (options.rows,) if options.rows else ROWS:
        make(options.directory, rows)
    if options.make:
        return
    if options.run:
        result = run(options.run, file_of(options.directory, options.rows or ROWS[-1]))
        print(json.dumps(result))
        if options.output:
            keep(options.output, result)
        return
    results = []
    for _ in range(options.rounds):
        for rows in (options.rows,) if options.rows else ROWS:
            for how in ("memory", "stream"):
                command = [sys.executable, __file__, "--run", how, "--rows", str(rows),
                           "--directory", str(options.directory)]  # fmt: skip
                if options.output:
                    command += ["-o", str(options.output)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                results.append(json.loads(output))
    print(table(results))


if __name__ == "__main__":
    sys.exit(main())
