"""Time the steps of one network trained on two ranks, and the parts of a step.

    python benchmarks/programs/ranks.py -o results.json             # all cases
    python benchmarks/programs/ranks.py --only 512x3 --append -o results.json    # one case
    python benchmarks/programs/ranks.py --only parts --append -o results.json
    python benchmarks/programs/ranks.py --from results.json         # print the tables

For each case two ranks of one thread each are launched. In each turn each rank trains alone while
the other waits; then both train at the same time, each by itself; then both train one network with
the same shards, with MPI's reduction or in the fixed tree. The time of a turn is that of the
fastest step of some epochs. Its efficiency is the time alone divided by twice the time together.
The median over turns is reported, so that noise affects all equally.

The time of both at the same time, each by itself, shows whether there are two processors: other
guests of the host may use them too, or they may be two threads of one core. Turns in which such a
step took over 10% longer than alone are counted and reported separately.

A second kind of launch times the parts of a step: the forward and backward pass for several numbers
of rows, the update, and the exchange of several numbers of bytes. They give the constants of the
cost model in docs/many-machines.md.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import recording

INPUTS = 64
# Hidden layers and rows of a batch. The first case is the main one.
CASES = {
    "1024x5": ([1024] * 5, 512),
    "1024x5-2048": ([1024] * 5, 2048),
    "1024x5-128": ([1024] * 5, 128),
    "512x3": ([512] * 3, 512),
    "256x3": ([256] * 3, 512),
}
ENOUGH = 1.1  # largest time with both ranks busy, relative to the time alone
SHARDS = 2
BYTES = [1 << k for k in (12, 16, 20, 22, 24)]
ROWS = (32, 64, 128, 256, 512, 1024)
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PYTHONPATH": str(Path(__file__).parent),  # even with PYTHONSAFEPATH
}


def launch(ranks, *arguments):
    """Run this program on some ranks; return the output of rank 0."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    command = [mpiexec, "-n", str(ranks), sys.executable, __file__, "--worker", *arguments]
    done = subprocess.run(
        command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout)


# ---- on the ranks ------------------------------------------------------------------------------


def model_of(units):
    from fastmlp import models

    model = models.mlp(units, INPUTS, 1, seed=1)
    model.compile("adam", "mse")
    return model


def step_seconds(comm, case, how, n_steps, n_epochs):
    """Return seconds of a step in the fastest epoch, and the last loss."""
    from fastmlp.callbacks import Callback

    units, batch = CASES[case]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch * n_steps, INPUTS)).astype(np.float32)
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]
    times = []

    class Clock(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            times.append((time.perf_counter() - self.start) / n_steps)

    together = {} if how == "plain" else {
        "comm": comm, "shards": SHARDS, "fast_reduce": how == "fast"
    }  # fmt: skip
    history = model_of(units).fit(
        x, y, batch_size=batch, epochs=n_epochs + 1, verbose=0, callbacks=Clock(), **together
    )
    return min(times[1:]), history.history["loss"][-1]


def turns(comm, case, n_turns):
    """Return the seconds of a step in each turn."""
    from mpi4py import MPI

    units, batch = CASES[case]
    work = 6 * batch * sum(a * b for a, b in itertools.pairwise([INPUTS, *units, 1]))
    sizes = max(1, int(2e10 / work)), 4

    def timed(how, who, together=False):
        """Return the mean time over the training ranks, and the last loss."""
        found = None
        if comm.Get_rank() in who:
            found = step_seconds(comm if together else MPI.COMM_SELF, case, how, *sizes)
        request = comm.Ibarrier()
        while not request.Test():
            time.sleep(0.01)  # a waiting rank must not use the processor
        found = [pair for pair in comm.allgather(found) if pair is not None]
        return statistics.mean(seconds for seconds, _ in found), found[0][1]

    entries = []
    for turn in range(n_turns):
        plain = timed("plain", [turn % 2])[0]
        entries.append({"turn": turn, "how": "plain", "alone": plain})
        for how in ("fast", "tree"):
            alone = statistics.mean(timed(how, [rank])[0] for rank in (0, 1))
            at_once = timed(how, [0, 1])[0]
            together, loss = timed(how, [0, 1], together=True)
            entries.append({"turn": turn, "how": how, "alone": alone, "at once": at_once,
                            "together": together, "loss": loss})  # fmt: skip
    return entries


def quickest(comm, work, repeats=9):
    """Return the median time of work that all ranks do at the same time."""
    times = []
    for _ in range(repeats + 1):
        comm.Barrier()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def parts(comm):
    """Return seconds of the parts of a step, with all ranks busy."""
    from fastmlp._training.distributed import Ranks, allreduce

    found = {"pass": {}, "update": {}, "tree": {}, "fast": {}}
    rng = np.random.default_rng(0)
    for name, (units, _) in CASES.items():
        if "-" in name:
            continue
        network = model_of(units).ready()
        step = sys.modules[type(network).__module__].PartStep(network)
        step.begin(0)
        top = len(units)
        for rows in ROWS:
            x = rng.standard_normal((rows, INPUTS)).astype(np.float32)
            y = x[:, :1].copy()

            def there_and_back(step=step, x=x, y=y, rows=rows, top=top):
                step.forward(x, y, n_batch=rows, first_row=0, n_threads=1)
                step.backward(top, 0, penalty=True)

            found["pass"][f"{name},{rows}"] = quickest(comm, there_and_back)
        found["update"][name] = quickest(comm, lambda step=step: step.apply(n_threads=1))
    if comm.Get_size() > 1:
        for n_bytes in BYTES:
            array = np.zeros(n_bytes // 4, np.float32)
            for how in ("tree", "fast"):
                exchange = allreduce.exchange_of(Ranks(comm), array, how == "fast")

                def exchanged(exchange=exchange, n=n_bytes // 4):
                    exchange.start(0, n)
                    exchange.finish()

                found[how][str(n_bytes)] = quickest(comm, exchanged)
    return found


def worker(arguments):
    from mpi4py import MPI

    import fastmlp

    fastmlp.set_num_threads(1)
    comm = MPI.COMM_WORLD
    what, *rest = arguments
    found = parts(comm) if what == "parts" else turns(comm, what, *map(int, rest))
    if comm.Get_rank() == 0:
        print(json.dumps(found))


# ---- in turns ----------------------------------------------------------------------------------


def measure(names, n_turns, path, append):
    """Measure each case, and write the file after each."""
    document = {
        "machine": recording.machine(),
        "settings": {"threads": 1, "shards": SHARDS, "inputs": INPUTS, "optimizer": "adam",
                     "loss": "mse"},
        "steps": [],
        "parts": [],
    }  # fmt: skip
    if append and path.exists():
        document = recording.read(path)
    for name in names:
        if name == "parts":
            document["parts"] += [{"ranks": ranks, **launch(ranks, "parts")} for ranks in (1, 2)]
        else:
            units, batch = CASES[name]
            for entry in launch(2, name, str(n_turns)):
                document["steps"].append({"case": name, "units": units, "batch": batch, **entry})
        recording.write(path, document)
    return document


def turns_of(document, case, how):
    """Return the turns of a case, first those with two free processors."""
    found = [e for e in document["steps"] if (e["case"], e["how"]) == (case, how)]
    whole = [entry for entry in found if entry["at once"] <= ENOUGH * entry["alone"]]
    return whole, found


def efficiency(entries):
    """Return the median over turns of time alone / (2 * time together)."""
    return statistics.median(entry["alone"] / (2 * entry["together"]) for entry in entries)


def table(document):
    """Return the lines of a table."""
    lines = [f"{'case':<12} {'':<5} {'plain':>8} {'alone':>8} {'at once':>8} {'together':>8}"
             f" {'efficiency':>10} {'turns':>6} {'of all turns':>13}"]  # fmt: skip
    for case in dict.fromkeys(entry["case"] for entry in document["steps"]):
        plain = [e["alone"] for e in document["steps"] if (e["case"], e["how"]) == (case, "plain")]
        for how in ("fast", "tree"):
            whole, found = turns_of(document, case, how)
            times = [
                statistics.median(entry[kind] for entry in whole or found)
                for kind in ("alone", "at once", "together")
            ]
            cells = " ".join(f"{1e3 * s:8.2f}" for s in (statistics.median(plain), *times))
            shown = f"{efficiency(whole):10.2f}" if whole else f"{'':10}"
            lines.append(f"{case:<12} {how:<5} {cells} {shown} {len(whole):>3}/{len(found):<2}"
                         f" {efficiency(found):13.2f}")  # fmt: skip
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--from", dest="source", type=Path)
    parser.add_argument("--only", choices=[*CASES, "parts"], action="append")
    parser.add_argument("--turns", type=int, default=10, help="number of turns, even")
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
        return
    if arguments.source:
        document = recording.read(arguments.source)
    else:
        path = arguments.output or Path("ranks.json")
        names = arguments.only or [*CASES, "parts"]
        document = measure(names, arguments.turns, path, arguments.append)
    print("milliseconds a step, one thread a rank")
    print("\n".join(table(document)))


if __name__ == "__main__":
    main()
