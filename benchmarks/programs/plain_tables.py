"""Error of the plain call on real tables, beside other methods: `fastmlp.fit(frame, target)`.

    python benchmarks/programs/plain_tables.py FOLDER out.jsonl --seeds 0,1,2
    python benchmarks/programs/plain_tables.py FOLDER out.jsonl --methods sk_mlp,linear
    python benchmarks/programs/plain_tables.py FOLDER --report out.jsonl peers.jsonl

FOLDER holds `tables.py`, `scores.py` and `methods.py`, which load and split tables; they are not
part of this repository. The method fm_plain gets the frame as it is and no option but the seed.
An error is the RMSE over the target's deviation, or the log loss over that of the class shares: 1
is what a constant has. Lines that OUT has already are not measured again.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TARGET = "target__"


def fm_plain(X: Any, y: Any, Xt: Any, task: str, seed: int, **options: Any) -> np.ndarray:
    """Train on a frame with one call, and predict another frame."""
    import fastmlp

    frame = X.copy()
    frame[TARGET] = y if task == "reg" else [f"k{code}" for code in y]
    model = fastmlp.fit(frame, TARGET, seed=seed, verbose=0, **options)
    if task == "reg":
        return model.predict(Xt)
    order = [model.classes.index(f"k{code}") for code in range(int(y.max()) + 1)]
    return model.predict_proba(Xt)[:, order]


def measure(arguments: argparse.Namespace) -> None:
    sys.path.insert(0, arguments.folder)
    import tables
    from scores import score

    path = Path(arguments.out)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {(r["table"], r["method"], r["seed"]) for r in map(json.loads, lines)}
    options = json.loads(arguments.options)
    for name in tables.BAR if arguments.tables == "all" else arguments.tables.split(","):
        for seed in map(int, arguments.seeds.split(",")):
            for method in arguments.methods.split(","):
                label = method + arguments.label
                if (name, label, seed) in done:
                    continue
                X, y, Xt, yt, task = tables.split(name, seed)
                run = fm_plain
                if method != "fm_plain":
                    import methods

                    run = methods.METHODS[method]
                start, cpu = time.perf_counter(), time.process_time()
                out = run(X, y, Xt, task, seed, **(options if run is fm_plain else {}))
                seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
                found = {**score(task, yt, out, y), "table": name, "method": label, "seed": seed,
                         "task": task, "n": len(X), "seconds": round(seconds, 2),
                         "cpu": round(cpu, 2)}  # fmt: skip
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")
                print(name, seed, label, round(error(found), 4), f"{seconds:.1f} s", flush=True)


def error(line: dict[str, Any]) -> float:
    return float(line["nrmse"] if line["task"] == "reg" else line["rel_logloss"])


def report(paths: list[str]) -> None:
    errors = collections.defaultdict(list)
    for path in paths:
        for line in map(json.loads, Path(path).read_text(encoding="utf-8").splitlines()):
            if "failed" not in line:
                errors[line["table"], line["method"]].append(error(line))
    methods = list(dict.fromkeys(method for _, method in errors))
    print("table", *methods, sep="\t")
    for table in dict.fromkeys(table for table, _ in errors):
        means = [errors.get((table, method)) for method in methods]
        cells = ["" if e is None else f"{np.mean(e):.4f} ({len(e)})" for e in means]
        print(table, *cells, sep="\t")


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="with tables.py, scores.py and methods.py")
    parser.add_argument("out", nargs="?", default="plain_tables.jsonl")
    parser.add_argument("--methods", default="fm_plain")
    parser.add_argument("--tables", default="all")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--options", default="{}", help="of fastmlp.fit, as JSON")
    parser.add_argument("--label", default="", help="added to the method's name")
    parser.add_argument("--report", nargs="+", metavar="JSONL", help="print errors; do not measure")
    arguments = parser.parse_args()
    if arguments.report:
        report(arguments.report)
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
