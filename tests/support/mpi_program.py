"""A program that tests/training/test_mpi.py starts on several ranks, with TASK and DIRECTORY."""

import functools
import os
import signal
import sys
from pathlib import Path

import numpy as np

from fastmlp import (
    callbacks,
    datasets,
    layers,
    models,
    optimizers,
    regularizers,
    schedules,
    streaming,
)
from fastmlp._training import distributed
from fastmlp._training.distributed import allreduce
from fastmlp.errors import DataError

N = 203
rng = np.random.default_rng(0)
X = rng.standard_normal((N, 5)).astype(np.float32)
Y = (X[:, :1] * 2 - X[:, 1:2] ** 2).astype(np.float32)


def log_cosh(y, out):
    error = out - y
    return np.log(np.cosh(error)).mean(axis=1), np.tanh(error) / error.shape[1]


def made(optimizer="adam", loss="mse", metrics=("mae", "r2"), dtype="float32", **network):
    layers.reset_names()
    model = models.mlp([300, 300, 33], 5, 1, seed=1, dtype=dtype, **network)
    model.name = "m"
    model.compile(optimizer, loss, list(metrics))
    return model


def stop_early():
    return [callbacks.EarlyStopping("val_loss", 0.6, patience=1, restore_best_weights=True),
            callbacks.ReduceLROnPlateau("val_loss", patience=0)]  # fmt: skip


CASES = {
    "adam": ({}, {}),
    "float64": ({"optimizer": "rmsprop", "dtype": "float64", "l2": 1e-3}, {}),
    "clipped": (
        {"optimizer": optimizers.SGD(0.01, momentum=0.9, global_clipnorm=0.5), "dropout": 0.3},
        {"validation_split": 0.2, "callbacks": stop_early, "epochs": 12},
    ),
    "proximal": ({"optimizer": "adagrad", "l1": 1e-3, "proximal": True}, {"weight": True}),
    "groups": ({"group_l1": 1e-3, "optimizer": "adamw"}, {"batch_size": N}),
    "python": ({"loss": log_cosh, "dropout": 0.1}, {"shuffle": False}),
    "schedule": (
        {"optimizer": optimizers.Adam(schedules.CosineDecay(0.01, 20)), "metrics": ["mse", "rmse"]},
        {"validation_data": (X[:30], Y[:30]), "validation_freq": 2},
    ),
    "classes": (
        {
            "loss": "binary_crossentropy",
            "output_activation": "sigmoid",
            "metrics": ["accuracy", "auc"],
        },
        {
            "classes": True,
            "class_weight": {0: 1.0, 1: 3.0},
            "validation_data": (X[:3], np.array([0, 1, 1])),
        },
    ),
    "six": ({"dropout": 0.2}, {"shards": 6}),
}


def arrays(comm, directory, size):
    for name, (settings, options) in CASES.items():
        options = {"batch_size": 30, "epochs": 4, "shards": 4, **options}
        hooks = options.pop("callbacks", list)()
        if options.pop("weight", False):
            options["sample_weight"] = 0.5 + np.arange(N) % 3
        if options["shards"] % size or (options["shards"] // size).bit_count() > 1 < size:
            continue
        model = made(**settings)
        y = Y > 0 if options.pop("classes", False) else Y
        model.fit(X, y, verbose=0, comm=comm, callbacks=hooks, **options)
        keep(model, directory / f"{name}.fmlp")


def streams(comm, directory, size):
    # Each rank starts from weights of its own: those of rank 0 count.
    for held_out in (0.0, 0.25):
        stream = datasets.ParquetStream(
            directory.parent / "t.parquet", "y", standardize=True, buffer_rows=60,
            validation_split=held_out, split_seed=0,
        )  # fmt: skip
        model = made(dropout=0.2, dtype="float64" if held_out else "float32")
        if comm is not None and comm.Get_rank():
            model.set_weights([w + 1 for w in model.get_weights()])
        streaming.fit(
            model, stream, batch_size=24, epochs=3, verbose=0, comm=comm, shards=4,
            validation_data=None if held_out else stream,
        )  # fmt: skip
        keep(model, directory / f"stream-{held_out}.fmlp")


def keep(model, path):
    """Every rank has the model: rank 0 alone writes it, the others compare."""
    data = model.history.history
    rank = 0 if world is None else world.Get_rank()
    name = path.with_suffix(f".{rank}.npz")
    weights = {f"w{i}": w for i, w in enumerate(model.get_weights())}
    np.savez(name, **weights, **{key: np.array(values) for key, values in data.items()})
    if rank == 0:
        model.save(path)


def fast(comm, directory, size):
    model = made(dtype="float64", dropout=0.2)
    model.fit(X, Y, batch_size=32, epochs=3, verbose=0, comm=comm, shards=4, fast_reduce=True)
    keep(model, directory / "fast.fmlp")


def exchanges(comm, directory, size):
    """All ways to add give the sum; the tree's is the one that tree_sum gives."""
    for dtype in ("float32", "float64"):
        for n in (1, 5, 1000, 70_001):
            everyone = np.random.default_rng(n).standard_normal((size, n)).astype(dtype)
            expected = np.empty(n, dtype)
            allreduce.tree_sum(everyone.copy(), expected)
            makes = [functools.partial(allreduce.FastExchange, overlap=o) for o in (False, True)]
            for make in (allreduce.TreeExchange, *makes):
                array = everyone[comm.Get_rank()].copy()
                exchange = make(distributed.as_ranks(comm), array)
                for start, stop in ((n // 3, n), (0, n // 3)):
                    exchange.start(start, stop)
                    exchange.progress()
                exchange.finish()
                np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-5)
                if make is allreduce.TreeExchange:
                    assert array.tobytes() == expected.tobytes()
    (directory / f"exchanged.{comm.Get_rank()}").touch()


def mismatches(comm, directory, size):
    """What differs between ranks is an error on all of them, and nothing is lost by it."""
    rank, said = comm.Get_rank(), []

    def said_by(work):
        try:
            work()
        except (ValueError, RuntimeError) as error:
            said.append(f"{type(error).__name__}: {error}")
        else:
            said.append("nothing")

    other = X + (rank == 1)
    said_by(lambda: made().fit(other, Y, comm=comm, verbose=0))
    said_by(lambda: made().fit(X[: N - rank], Y[: N - rank], comm=comm, verbose=0))
    said_by(lambda: made().fit(X, Y, comm=comm, verbose=0, batch_size=32 + rank))
    said_by(lambda: made(l2=rank / 10).fit(X, Y, comm=comm, verbose=0))
    said_by(lambda: made().fit(X, Y[:9] if rank else Y, comm=comm, verbose=0))
    said_by(lambda: made().fit(X, Y, comm=comm, verbose=0, shards=size * 3 + 1))
    broken = X.copy()
    broken[5] = np.nan
    said_by(lambda: made().fit(broken, Y, comm=comm, verbose=0))
    stop = callbacks.EarlyStopping("nothing")
    said_by(lambda: made().fit(X, Y, comm=comm, verbose=0, callbacks=stop))

    def fails_on_one(y, out):
        if rank == 1:
            raise DataError("this row is bad")
        return log_cosh(y, out)

    said_by(lambda: made(loss=fails_on_one).fit(X, Y, comm=comm, verbose=0))
    said_by(lambda: made("sgd").fit(X * 1e9, Y, comm=comm, verbose=0))
    model = made()
    model.fit(X, Y, comm=comm, verbose=0, epochs=1)
    (directory / f"said.{rank}").write_text("\n".join(said))


class Writer(callbacks.Callback):
    """Writes on every rank; ranks decide otherwise than rank 0, which counts."""

    def __init__(self, rank):
        self.rank = rank

    def on_epoch_end(self, epoch, logs=None):
        print("printed by rank", self.rank)
        self.model.optimizer.learning_rate = 0.01 / (epoch + 1 + self.rank)
        self.model.stop_training = epoch == 2 if self.rank == 0 else epoch == 0
        if self.rank == 0 and epoch == 0:
            self.model.layers[0].kernel_regularizer = regularizers.L2(0.1)
        elif epoch == 1:
            self.model.layers[-1].kernel_regularizer = regularizers.GroupL1(0.01 * self.rank)
        self.model.layers[1].rate = 0.1 + 0.2 * self.rank


def writers(comm, directory, size):
    rank = comm.Get_rank()
    model = made(dropout=0.2)
    hooks = [callbacks.ModelCheckpoint(directory / f"epoch-{{epoch}}-{rank}.fmlp"),
             callbacks.CSVLogger(directory / f"log-{rank}.csv"), Writer(rank)]  # fmt: skip
    model.fit(X, Y, epochs=9, verbose=2, comm=comm, callbacks=hooks)
    keep(model, directory / "writers.fmlp")


class Fail(callbacks.Callback):
    """On rank 1 something nobody expects happens."""

    def __init__(self, rank, how):
        self.rank, self.how = rank, how

    def on_train_batch_end(self, batch, logs=None):
        if self.rank == 1 and batch == 3:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("nobody expects this")

    def get_state(self):
        return {}


def failing(how):
    def task(comm, directory, size):
        hook = Fail(0 if comm is None else comm.Get_rank(), how)
        made(dropout=0.2).fit(
            X, Y, batch_size=30, epochs=9, verbose=0, comm=comm, callbacks=hook, shards=4,
            checkpoint=directory / "run.fmlp", checkpoint_every=1e-9,
        )  # fmt: skip

    return task


def resumed(comm, directory, size):
    model = models.resume(directory / "run.fmlp")
    model.fit(X, Y, verbose=0, comm=comm, callbacks=Fail(0, "not"))
    keep(model, directory / "resumed.fmlp")


def diverging(comm, directory, size):
    model = made("sgd")
    model.optimizer.learning_rate = 1e12
    try:
        model.fit(X, Y, verbose=0, comm=comm, epochs=3)
    except RuntimeError as error:
        found = distributed.as_ranks(comm).allgather((str(error), [w.tobytes() for w in
                                                            model.get_weights()]))  # fmt: skip
        assert found[0] == found[1]
        assert all(np.isfinite(w).all() for w in model.get_weights())
        (directory / "diverged").write_text(str(error))


TASKS = {
    "exchanges": exchanges,
    "arrays": arrays,
    "streams": streams,
    "fast": fast,
    "mismatches": mismatches,
    "writers": writers,
    "kill": failing("kill"),
    "raise": failing("raise"),
    "whole": failing("not"),
    "resumed": resumed,
    "diverging": diverging,
}

if __name__ == "__main__":
    alone = "OMPI_COMM_WORLD_SIZE" not in os.environ and "PMI_SIZE" not in os.environ
    if alone:
        world = None
    else:
        from mpi4py import MPI

        world = MPI.COMM_WORLD
    for task in sys.argv[2:]:
        TASKS[task](world, Path(sys.argv[1]), 1 if world is None else world.Get_size())
