"""Compare subgradient steps, proximal steps and group penalties on the lecture's regression.

    python benchmarks/programs/compare_penalties.py -o benchmarks/results/penalties.json
    python benchmarks/programs/compare_penalties.py --epochs 100 --units 256x3
    python benchmarks/programs/compare_penalties.py --from benchmarks/results/penalties.json

The network is the lecture's, five layers of 1024 units, trained for 1000 epochs of Adam on all 50
rows. The L1 penalty 0.001 is taken by subgradient steps, as in Keras, and by proximal steps. For
each penalty the program reports the loss, the mean squared error on training and validation rows,
and the share of weights that are exactly zero. Then it prunes the network, times an epoch before
and after in turns, and polishes the pruned network. Other penalties in an existing file are kept.
"""

import argparse
import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np
import recording

from fastmlp import datasets, lecture, models, optimizers, regularizers

SMALL = 100_000  # most parameters of a network that is polished
LAMBDA, GROUP_LAMBDA = 0.001, 0.0001
WAYS = {
    "subgradient": lambda: regularizers.L1(LAMBDA),
    "proximal": lambda: regularizers.L1(LAMBDA, proximal=True),
    "groups of units": lambda: regularizers.GroupL1(GROUP_LAMBDA),
    "groups of inputs": lambda: regularizers.GroupL1(GROUP_LAMBDA, groups="inputs"),
}


def lecture_model(units):
    """Return the lecture's penalised network with its initial weights, not compiled."""
    entry = next(e for e in lecture.CATALOGUE.values() if e.l1 == LAMBDA and e.task == "regression")
    return lecture.build(entry) if units is None else models.mlp(units, 1, 1, seed=1)


def trained(way, units, epochs):
    model = lecture_model(units)
    for layer in model.dense_layers:
        layer.kernel_regularizer = WAYS[way]()
    model.compile(optimizers.Adam(), "mse", ["mse"])
    x, y = datasets.regression_train()
    start = time.perf_counter()
    model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=1)
    return model, time.perf_counter() - start


def epoch_ms(model, x, y, epochs):
    start = time.perf_counter()
    model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0)
    return (time.perf_counter() - start) * 1000 / epochs


def figures(way, units, epochs, rounds):
    model, seconds = trained(way, units, epochs)
    weights = [layer.get_weights()[0] for layer in model.dense_layers]
    total = sum(w.size for w in weights)
    x, y = datasets.regression_train()
    loss, mse = model.evaluate(x, y, verbose=0)
    validation = datasets.regression_validation()
    pruned = model.prune()
    grid = datasets.grid()
    difference = np.abs(pruned.predict(grid, verbose=0) - model.predict(grid, verbose=0)).max()
    found = {
        "loss": loss,
        "mse": mse,
        "validation_mse": model.evaluate(*validation, verbose=0)[1],
        "zeros": sum(int((w == 0).sum()) for w in weights) / total,
        "seconds": seconds,
        "parameters": [model.count_params(), pruned.count_params()],
        "units": [[layer.units for layer in m.dense_layers[:-1]] for m in (model, pruned)],
        "prune_difference": float(difference),
    }
    times = {"before": [], "after": []}
    for _ in range(rounds):  # in turns, so that noise affects both equally
        for name, each in (("before", model), ("after", pruned)):
            epoch_ms(each, x, y, 2)
            times[name].append(epoch_ms(each, x, y, 20))
    found["epoch_ms"] = {name: statistics.median(values) for name, values in times.items()}
    if pruned.count_params() > SMALL:
        return found
    polished = pruned.polish(x, y)
    found["polished"] = dataclasses.asdict(polished) | {"mse": pruned.evaluate(x, y, verbose=0)[1]}
    return found


def table(document):
    lines = [
        f"{'':18}{'loss':>9}{'mse':>9}{'val mse':>9}{'zeros':>9}{'ms':>8}{'pruned':>8}"
        f"{'polished':>10}{'slack':>9}  units left"
    ]
    for way, row in document["ways"].items():
        left, ms = ",".join(map(str, row["units"][1])), row["epoch_ms"]
        end = row.get("polished")
        polished = f"{end['loss']:10.4f}{end['slack']:9.1e}" if end else " " * 19
        lines.append(
            f"{way:18}{row['loss']:9.4f}{row['mse']:9.4f}{row['validation_mse']:9.4f}"
            f"{row['zeros']:9.2%}{ms['before']:8.2f}{ms['after']:8.2f}"
            f"{polished}  {left}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--units", help="hidden layers; default: the lecture's")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--from", dest="source", type=Path, help="print this file only")
    options = parser.parse_args()
    if options.source:
        print(table(recording.read(options.source)))
        return
    settings = {
        "units": options.units or "1024x5",
        "epochs": options.epochs,
        "lambda": LAMBDA,
        "group_lambda": GROUP_LAMBDA,
        "threads": None,
    }
    document = {"machine": recording.machine(), "settings": settings, "ways": {}}
    if options.output and options.output.exists():
        document["ways"] = recording.read(options.output)["ways"]
    for way in options.ways.split(","):
        document["ways"][way] = figures(way, options.units, options.epochs, options.rounds)
        print(table(document), flush=True)
    if options.output:
        recording.write(options.output, document)


if __name__ == "__main__":
    main()
