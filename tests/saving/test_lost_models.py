"""A checkpoint, a kept model or a table that cannot be written costs no training; full disks."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import callbacks, models, sweeps
from fastmlp._training import checkpoint

from ..support.disks import fill, make_null, small_disk

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(os.name == "nt", reason="there are no such locks and disks"),
]
X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, :1] - X[:, 1:2]


def compiled(units="5"):
    model = models.mlp(units, 3, 1, seed=1)
    model.compile("adam", "mean_squared_error")
    return model


def at(*events):
    """Make a callback of functions to call after epochs, counted from 1."""
    table = dict(events)

    def called(epoch, logs):
        table.get(epoch + 1, lambda: None)()

    return callbacks.LambdaCallback(on_epoch_end=called)


class Long(callbacks.Callback):
    """Makes rows of three kilobytes: a disk has its last page for short ones."""

    def on_epoch_end(self, epoch, logs=None):
        logs |= {f"v{i}": (i + 1) / 7 for i in range(150)}


def weights(model):
    return b"".join(w.tobytes() for w in model.get_weights())


def trained(epochs=6, **options):
    model = compiled()
    model.fit(X, Y, epochs=epochs, verbose=0, batch_size=8, **options)
    return model


# ---- disks that are full, directories that go ----


@pytest.mark.parametrize("trouble", ["full", "gone", "closed"])
def test_a_checkpoint_that_cannot_be_written_is_tried_again(tmp_path, trouble):
    with small_disk(tmp_path / "disk", "128k") as disk:
        folder = disk / "runs"
        folder.mkdir()
        path, seen = folder / "run.fmlp", []

        def spoil():
            seen.append(models.resume(path).history.epoch[-1])
            if trouble == "full":
                fill(disk)
            elif trouble == "gone":
                shutil.rmtree(folder)
            else:  # root writes whatever the mode: a file where the directory was
                shutil.rmtree(folder)
                folder.write_bytes(b"")

        def mend():
            if trouble == "full":
                seen.append(models.resume(path).history.epoch[-1])  # the old one is whole
                (disk / "filler").unlink()
            elif trouble == "gone":
                folder.mkdir()
            else:
                folder.unlink()
                folder.mkdir()

        hook = at((2, spoil), (4, mend))
        keeping = {"checkpoint": path, "checkpoint_every": "epoch"}
        with pytest.warns(RuntimeWarning, match=r"Checkpoint .*run\.fmlp could not be written: "):
            model = trained(callbacks=hook, **keeping)
        assert weights(model) == weights(trained())  # nothing was lost of the run
        assert seen == ([0, 0] if trouble == "full" else [0])
        assert models.resume(path).resumed.complete
        assert weights(models.load_model(path)) == weights(model)
        assert {p.name for p in folder.iterdir()} == {"run.fmlp"}


def test_a_run_goes_on_from_the_last_checkpoint_that_was_written(tmp_path):
    with small_disk(tmp_path / "disk", "128k") as disk:
        path = disk / "run.fmlp"

        def stop():
            raise KeyboardInterrupt

        hook = at((2, lambda: fill(disk)), (4, stop))
        with pytest.warns(RuntimeWarning, match="No space left"), pytest.raises(KeyboardInterrupt):
            trained(callbacks=hook, checkpoint=path, checkpoint_every="epoch")
        (disk / "filler").unlink()
        model = models.resume(path)
        assert model.history.epoch == [0]
        model.fit(X, Y, verbose=0, callbacks=at())
        assert weights(model) == weights(trained())


def test_models_and_tables_of_callbacks_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", "128k") as disk:
        best = callbacks.ModelCheckpoint(disk / "m{epoch}.fmlp", "loss", save_best_only=True)
        table = callbacks.CSVLogger(disk / "t.csv")
        path = tmp_path / "run.fmlp"  # on another disk: the table's rows are in it
        hook = at((2, lambda: fill(disk)), (4, (disk / "filler").unlink))
        with pytest.warns(RuntimeWarning) as warned:
            model = trained(callbacks=[Long(), best, table, hook], checkpoint=path)
        texts = sorted({str(w.message).split(" could")[0] for w in warned})
        assert texts == [f"Model file {disk}/m{i}.fmlp" for i in (3, 4)] + [f"Table {disk}/t.csv"]
        assert weights(model) == weights(trained())
        assert {p.name for p in disk.iterdir()} == {
            "t.csv", "m1.fmlp", "m2.fmlp", "m5.fmlp", "m6.fmlp",
        }  # fmt: skip
        rows = list(csv.DictReader((disk / "t.csv").read_text().splitlines()))
        assert [int(row["epoch"]) for row in rows] == list(range(6))
        assert [float(row["loss"]) for row in rows] == model.history.history["loss"]


def test_a_best_that_could_not_be_saved_is_not_the_best(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    best = callbacks.ModelCheckpoint(folder / "m.fmlp", "loss", save_best_only=True)
    with pytest.warns(RuntimeWarning, match=r"m\.fmlp could not be written"):
        model = trained(callbacks=[at((5, lambda: shutil.rmtree(folder))), best])
    assert best.best == model.history.history["loss"][3]


def test_rows_that_a_table_lacks_are_in_the_checkpoint(tmp_path):
    with small_disk(tmp_path / "disk", "128k") as disk:
        path = tmp_path / "run.fmlp"
        table = callbacks.CSVLogger(disk / "t.csv")

        def stop():
            raise KeyboardInterrupt

        hook = at((2, lambda: fill(disk)), (5, stop))
        with pytest.warns(RuntimeWarning, match=r"t\.csv"), pytest.raises(KeyboardInterrupt):
            trained(callbacks=[Long(), table, hook], checkpoint=path, checkpoint_every="epoch")
        (disk / "filler").unlink()
        models.resume(path).fit(
            X, Y, verbose=0, callbacks=[Long(), callbacks.CSVLogger(disk / "t.csv"), at()]
        )
        rows = list(csv.DictReader((disk / "t.csv").read_text().splitlines()))
        assert [int(row["epoch"]) for row in rows] == list(range(6))


def test_a_sweep_goes_on_when_the_disk_is_full(tmp_path, monkeypatch):
    options = {"epochs": 2, "seeds": 40, "seed": 0, "verbose": 0, "threads": 1}
    with small_disk(tmp_path / "disk", "256k") as disk:
        add, calls = sweeps._store.Store.add, []

        def noted(self, rows, costs):
            calls.append(rows)
            if len(calls) == 2:
                fill(disk)
            add(self, rows, costs)

        monkeypatch.setattr(sweeps._store.Store, "add", noted)
        with pytest.warns(RuntimeWarning, match=r"s\.db .*full"):
            made = fastmlp.sweep(X, Y, ["2", "3", "300"], store=disk / "s.db", **options)
        monkeypatch.undo()
        whole = fastmlp.sweep(X, Y, ["2", "3", "300"], **options)
        assert made.rows == whole.rows
        kept = sweeps.load(disk / "s.db").rows
        assert 0 < len(kept) < len(whole.rows)
        (disk / "filler").unlink()
        assert (
            fastmlp.sweep(X, Y, ["2", "3", "300"], store=disk / "s.db", **options).rows
            == whole.rows
        )


# ---- what is known before training ----


class Untouched(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        raise AssertionError("training began")


@pytest.mark.parametrize("how", ["checkpoint", "ModelCheckpoint", "CSVLogger"])
@pytest.mark.parametrize("where", ["none/m", "folder", "file/m", "full/m", "n" * 300])
def test_a_file_that_cannot_be_written_is_refused_before_training(tmp_path, how, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    path, options = tmp_path / where, {"callbacks": [Untouched()]}
    if how == "checkpoint":
        options["checkpoint"] = path
    else:
        options["callbacks"] = [getattr(callbacks, how)(path), Untouched()]
    if where != "full/m":
        with pytest.raises((OSError, ValueError)):
            trained(**options)
    elif how != "CSVLogger":  # whose rows are not known
        with small_disk(tmp_path / "full", "64k") as disk:
            fill(disk)
            with pytest.raises(OSError, match="No space left") as info:
                trained(**options)
            assert info.value.errno == errno.ENOSPC


@pytest.mark.parametrize("how", ["checkpoint", "ModelCheckpoint"])
def test_a_description_that_cannot_be_written_is_refused_before_training(tmp_path, how):
    for extras in ({"a": object()}, {"a": float("nan")}, {"names": [[]] * 1_000_000}):
        model, path = compiled(), tmp_path / "m.fmlp"
        model.extras = extras
        options = {"callbacks": [Untouched()]}
        if how == "checkpoint":
            options["checkpoint"] = path
        else:
            options["callbacks"].insert(0, callbacks.ModelCheckpoint(path))
        with pytest.raises(ValueError, match=r"JSON"):
            model.fit(X, Y, verbose=0, **options)
        assert not path.exists()


def test_a_checkpoint_is_not_a_device(tmp_path):
    node = make_null(tmp_path / "node")
    with pytest.raises(ValueError, match="must be a regular file"):
        trained(checkpoint=node, callbacks=Untouched())
    for callback in (callbacks.ModelCheckpoint(node), callbacks.CSVLogger(node),
                     callbacks.CSVLogger(node, append=True)):  # fmt: skip
        trained(callbacks=callback)
        trained(callbacks=callback, checkpoint=tmp_path / "run.fmlp")
    assert node.is_char_device() and {p.name for p in tmp_path.iterdir()} == {"node", "run.fmlp"}


# ---- two writers ----

WRITER = """
import sys, time
import numpy as np
from fastmlp import callbacks, models
x = np.ones((8, 3))
model = models.mlp("2", 3, 1, seed=1)
model.compile("adam", "mse")
class Wait(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3:
            print("running", flush=True)
            {then}
model.fit(x, x[:, :1], epochs=5, verbose=0, callbacks=Wait(),
          checkpoint=sys.argv[1], checkpoint_every="epoch")
"""


class Wait(callbacks.Callback):
    """Stands for the run's callback of that name."""


def started(path, then="time.sleep(60)"):
    """Start a run in another process, which has written the file some times."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(then=then), str(path)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"running\n"
    return process


@pytest.mark.parametrize("forced", [False, True])
def test_a_second_writer_is_refused_and_a_killed_one_is_none(tmp_path, forced):
    path = tmp_path / "run.fmlp"
    other = started(path)
    try:
        before = path.read_bytes()
        given = checkpoint.Replacing(path) if forced else path
        with pytest.raises(FileExistsError, match="no other run writes"):
            trained(checkpoint=given)
        resumed = models.resume(path)
        with pytest.raises(FileExistsError, match="no other run writes"):
            resumed.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0, callbacks=Wait())
        assert path.read_bytes() == before
    finally:
        other.kill()
        other.communicate()
    trained(checkpoint=checkpoint.Replacing(path))
    assert {p.name for p in tmp_path.iterdir()} == {"run.fmlp"}


def test_a_child_of_a_killed_run_does_not_keep_its_file(tmp_path):
    path = tmp_path / "run.fmlp"
    # The child writes, so that it has run what it runs at its start.
    then = "import os; os.fork() and time.sleep(60); os.write(1, b'child\\n'); time.sleep(60)"
    other = started(path, then)
    assert other.stdout.readline() == b"child\n"
    other.kill()
    other.wait()
    try:
        trained(checkpoint=checkpoint.Replacing(path))
    finally:
        other.stdout.close()


def test_a_child_that_goes_on_does_not_write_its_parents_checkpoint(tmp_path):
    path, reader_writer = tmp_path / "run.fmlp", os.pipe()

    class Fork(callbacks.Callback):
        child = False

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                if os.fork() == 0:
                    self.child = True
                    signal.alarm(30)
                else:
                    os.wait()

    hook, before = Fork(), []
    try:
        trained(checkpoint=path, checkpoint_every="epoch", callbacks=hook)
    except RuntimeWarning as warning:  # an error here
        os.write(reader_writer[1], b"1" if hook.child and "forked child" in str(warning) else b"0")
    except RuntimeError:
        os.write(reader_writer[1], b"1")  # a child need not be able to go on
    finally:
        if hook.child:
            os._exit(0)
    os.close(reader_writer[1])
    assert os.read(reader_writer[0], 2) == b"1" and not before
    os.close(reader_writer[0])
    assert models.resume(path).resumed.complete


def test_one_process_refuses_itself_while_it_trains_and_resumes_afterwards(tmp_path):
    path, refused = tmp_path / "run.fmlp", []

    def second():
        with pytest.raises(FileExistsError, match="no other run writes") as info:
            trained(checkpoint=checkpoint.Replacing(path))
        refused.append(info.value)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, checkpoint_every="epoch", callbacks=at((3, second)))
    assert len(refused) == 1
    model = models.resume(path)
    model.fit(X, Y, verbose=0, callbacks=at())
    assert weights(model) == weights(trained())
    trained(checkpoint=path)  # a finished one may be replaced


def test_a_file_that_another_run_has_begun_meanwhile_is_left_to_it(tmp_path):
    path, others = tmp_path / "run.fmlp", []

    def replaced():
        path.unlink()
        others.append(started(path))
        others.append(path.read_bytes())

    try:
        with pytest.warns(RuntimeWarning, match="could not be written"):
            model = trained(checkpoint=path, checkpoint_every="epoch", callbacks=at((2, replaced)))
        assert path.read_bytes() == others[1]
        assert weights(model) == weights(trained())
    finally:
        others[0].kill()
        others[0].communicate()


@pytest.mark.slow
def test_many_writers_and_one_right(tmp_path):
    """Processes that begin at the same moment: one trains, the others are refused."""
    path, start = tmp_path / "run.fmlp", time.time() + 3
    program = f"import time; time.sleep(max(0, {start} - time.time()))\n" + WRITER.format(
        then="time.sleep(3)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
        for _ in range(4)
    ]  # fmt: skip
    ended = [process.communicate(timeout=60) for process in running]
    assert sorted(process.returncode for process in running) == [0, 1, 1, 1]
    errors = [err for _, err in ended if err]
    assert len(errors) == 3 and all(b"no other run writes" in err for err in errors)
    assert models.resume(path).resumed.complete
