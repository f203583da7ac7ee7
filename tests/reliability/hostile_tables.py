"""Read damaged tables, stores and checkpoints, each in a child that may end as it likes.

Called as ``hostile_tables.py DIRECTORY START STOP``: the directory holds sound files of one kind,
the seeds say how to damage them. A file must be read or refused with one typed error, within
SECONDS of the processor and MEMORY beyond what its reader took for sound files. Libraries in C++
may end the process instead: so a child is forked for each. Prints a JSON document.
"""

import importlib.util
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path

import numpy as np

from fastmlp import models
from fastmlp._tables.files import file_format, read_table
from fastmlp.datasets._parquet import ParquetStream, read_head
from fastmlp.errors import DataError, ModelFileError
from fastmlp.sweeps._store import Store

SECONDS, MEMORY = 20, 256 << 20
_FOUND = importlib.util.spec_from_file_location(
    "hostile", Path(__file__).parents[1] / "saving" / "hostile.py"
)
hostile = importlib.util.module_from_spec(_FOUND)
_FOUND.loader.exec_module(hostile)


def read(path):
    if path.suffix == ".fmlp":
        models.resume(path)
    elif path.suffix == ".db":
        with Store.opened(path) as store:
            store.rows(), store.sessions(), store.seconds()
    elif file_format(path) == "Parquet":
        read_head(path)
        read_table(path)
        for x, _ in ParquetStream(path, "y", "regression", impute="mean").arrays("float32"):
            assert np.asarray(x).size
    else:
        read_table(path)


def spoilt_footer(rng, data):
    """Change a byte or a few in the description at a Parquet file's end."""
    data = bytearray(data)
    first = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for _ in range(rng.choice([1, 1, 2, 4])):
        data[rng.randrange(first, len(data) - 8)] = rng.randrange(256)
    return bytes(data)


def damaged(rng, path, data):
    if path.suffix == ".parquet" and rng.randrange(2):
        return spoilt_footer(rng, data)
    return hostile.mutated(rng, data)


def outcome(path):
    """Return what reading a file came to, as the child says it."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read(path)
        said = "read"
    except (DataError, ModelFileError) as error:
        said = "refused" if str(error).isprintable() else f"not one line: {error!r}"
    except OSError as error:
        said = "refused" if path.suffix == ".db" else f"OSError: {error}"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    spent = resource.getrusage(resource.RUSAGE_SELF)
    if (spent.ru_maxrss - used) << 10 > MEMORY:
        said = f"{said}, with {spent.ru_maxrss - used:,} KiB"
    return said


def in_child(path):
    """Fork; return what the child says, or how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(10 * SECONDS)
        os.write(writer, outcome(path)[:500].encode(errors="replace"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return f"ended by signal {status & 127}" if status else said


def main():
    directory, start, stop = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    files = {path: path.read_bytes() for path in sorted(directory.iterdir())}
    for path in files:
        read(path)  # so that libraries are loaded before the forks
    report = {"read": 0, "refused": 0, "wrong": []}
    for seed in range(start, stop):
        rng = random.Random(seed)
        path = rng.choice(list(files))
        mutant = path.with_name(f"mutant{path.suffix}")
        mutant.write_bytes(damaged(rng, path, files[path]))
        said = in_child(mutant)
        if said in ("read", "refused"):
            report[said] += 1
        else:
            report["wrong"].append([path.name, seed, said])
    print(json.dumps(report))


if __name__ == "__main__":
    main()
