"""Time many tiny networks at once: fastmlp.ensemble and JAX's vmap over a compiled loop.

1000 networks of 1-16-1 with different seeds train for 1000 epochs of Adam on the lecture's 50 rows,
all rows in each batch. JAX starts from the weights that fastmlp draws. The time of fastmlp is that
of the whole call: checks, drawing weights, training, and the loss of every epoch and network. The
time of JAX includes neither compilation nor drawing weights, and only the last loss is computed.
Each library runs in its own process, and they take turns.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import recording

import fastmlp
from fastmlp import datasets


def train_fastmlp(settings):
    """Return a function that trains all networks and returns their last losses."""
    x, y = datasets.regression_train()

    def train():
        made = fastmlp.ensemble(
            x,
            y,
            [settings["units"]],
            settings["members"],
            epochs=settings["epochs"],
            batch_size=None,
            seed=0,
            verbose=0,
        )
        return made.losses

    return train


def train_jax(settings):
    """Return the same function in JAX: a compiled training loop with vmap over the networks."""
    import jax
    import jax.numpy as jnp

    x, y = (jnp.asarray(array) for array in datasets.regression_train())
    initial = [jnp.asarray(array) for array in np.load(settings["weights"]).values()]
    rate, beta_1, beta_2, epsilon = 0.001, 0.9, 0.999, 1e-7

    def loss(parameters):
        w, b, v, c = parameters
        return jnp.mean((jax.nn.relu(x @ w + b) @ v + c - y) ** 2)

    def step(i, state):
        parameters, first, second, _ = state
        value, gradient = jax.value_and_grad(loss)(parameters)
        t = i + 1.0
        step_rate = rate * jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        first = [beta_1 * m + (1 - beta_1) * g for m, g in zip(first, gradient, strict=True)]
        second = [beta_2 * s + (1 - beta_2) * g * g for s, g in zip(second, gradient, strict=True)]
        parameters = [
            p - step_rate * m / (jnp.sqrt(s) + epsilon)
            for p, m, s in zip(parameters, first, second, strict=True)
        ]
        return parameters, first, second, value

    def one(parameters):
        zeros = [jnp.zeros_like(p) for p in parameters]
        state = (parameters, zeros, zeros, jnp.float32(0))
        parameters, _, _, value = jax.lax.fori_loop(0, settings["epochs"], step, state)
        return parameters, value

    compiled = jax.jit(jax.vmap(one))

    def train():
        parameters, losses = compiled(initial)
        jax.block_until_ready(parameters)
        return np.asarray(losses)

    return train


LIBRARIES = {"fastmlp": train_fastmlp, "jax": train_jax}


def serve(name):
    """Train once for each input line and print the seconds; at the end print the losses."""
    train = LIBRARIES[name](json.loads(sys.stdin.readline()))
    losses = None
    for line in sys.stdin:
        if line.strip() == "losses":
            print(json.dumps(np.asarray(losses, np.float64).tolist()), flush=True)
            continue
        start = time.perf_counter()
        losses = train()
        print(time.perf_counter() - start, flush=True)


class Library:
    """A process that trains on request."""

    def __init__(self, name, settings):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # PYTHONPATH, because PYTHONSAFEPATH would hide `recording`.
            env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parent)},
        )
        self._ask(json.dumps(settings), answer=False)
        self.first = float(self.ask("train"))  # includes imports and compilation

    def _ask(self, text, answer=True):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() if answer else None

    def ask(self, text):
        answer = self._ask(text)
        if not answer:
            raise SystemExit(f"{self.name} failed: see above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def write_weights(path, units, members):
    """Write the weights that fastmlp draws for these seeds, networks stacked."""
    models = [fastmlp.models.mlp([units], 1, 1, seed=seed) for seed in range(members)]
    arrays = zip(*(model.get_weights() for model in models), strict=True)
    np.savez(path, **{f"p{i}": np.stack(parts) for i, parts in enumerate(arrays)})


def measure(args):
    names = [name for name in LIBRARIES if name != "jax" or installed("jax")]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "weights.npz"
        write_weights(path, args.units, args.members)
        settings = {
            "members": args.members,
            "units": args.units,
            "epochs": args.epochs,
            "weights": str(path),
        }
        libraries = [Library(name, settings) for name in names]
        seconds = {name: [] for name in names}
        for turn in range(args.turns):
            for library in libraries if turn % 2 else libraries[::-1]:
                seconds[library.name].append(library.ask("train"))
                time.sleep(0.2)  # until idle threads of the library stop spinning
        losses = {library.name: np.array(library.ask("losses")) for library in libraries}
        for library in libraries:
            library.close()
    del settings["weights"]
    return {
        "settings": settings | {"turns": args.turns, "threads": fastmlp.get_num_threads()},
        "machine": recording.machine(),
        "versions": {name: version(name) for name in ("numpy", "jax", "jaxlib")},
        "results": {
            library.name: {
                "median": statistics.median(seconds[library.name]),
                "first": library.first,
                "seconds": seconds[library.name],
                "mean_loss": float(losses[library.name].mean()),
            }
            for library in libraries
        },
        **compared(seconds, losses),
    }


def compared(seconds, losses):
    """Return the ratio of times and the difference of the final losses."""
    if "jax" not in seconds:
        return {}
    ratio = statistics.median(seconds["fastmlp"]) / statistics.median(seconds["jax"])
    difference = np.abs(losses["fastmlp"] / losses["jax"] - 1)
    return {
        "ratio": ratio,
        "relative_difference_of_losses": {
            "median": float(np.median(difference)),
            "largest": float(difference.max()),
        },
    }


def installed(name):
    return version(name) is not None


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--units", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=9, help="turns of each library (9)")
    parser.add_argument("-o", dest="output", type=Path, help="write a JSON file")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    document = measure(args)
    print(f"{args.members} networks of 1-{args.units}-1, {args.epochs} epochs")
    for name, result in document["results"].items():
        print(
            f"{name:<9} {result['median']:.3f} s, first call {result['first']:.2f} s, "
            f"mean loss {result['mean_loss']:.6f}"
        )
    if "ratio" in document:
        print(f"fastmlp takes {document['ratio']:.3f} of JAX's time")
    else:
        print("JAX is not installed: pip install jax")
    if args.output is not None:
        recording.write(args.output, document)


if __name__ == "__main__":
    main()
