"""`fastmlp train --checkpoint` and `--resume`: the same results, and what is refused."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from fastmlp import models
from fastmlp._training import checkpoint

OPTIONS = ("--units", "16x2", "--dropout", 0.1, "--epochs", 12, "--batch-size", 8, "--seed", 3,
           "--validation-split", 0.2, "--standardize")  # fmt: skip


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def interrupted(run, *args, epochs=5):
    """Start a training, press Ctrl-C after some epochs, and return the outcome."""
    real = checkpoint.Checkpoint.write_if_due

    def write_if_due(self, training):
        if training.done == epochs:
            os.kill(os.getpid(), signal.SIGINT)
        real(self, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "write_if_due", write_if_due)
        keeping = ("--checkpoint", "run.fmlp", "--checkpoint-every", "epoch")
        outcome = run("train", *args, *keeping)
    assert outcome.code == 130
    assert f"Interrupted after {epochs} epochs" in outcome.err
    return outcome


def without_seconds(outcome):
    assert outcome.code == 0, outcome.err
    return {k: v for k, v in json.loads(outcome.out).items() if k not in ("seconds", "output")}


@pytest.mark.parametrize("kind", ["table", "classes", "lecture", "files", "stream"])
def test_a_resumed_run_has_the_same_result(run, numbers, flowers, write, kind):
    args = {
        "table": (numbers, *OPTIONS),
        "classes": (flowers, *OPTIONS, "--target", "kind", "--l1", "0.001"),
        "lecture": ("--units", 8, "--data", "classification", "--epochs", 40, "--seed", 1),
        "files": (numbers, *OPTIONS[:-3], "--validation", "more.csv", "--optimizer", "rmsprop"),
        "stream": ("t.parquet", *OPTIONS, "--stream", "--buffer-rows", 40),
    }[kind]
    if kind == "stream":
        csv = pytest.importorskip("pyarrow.csv")
        pytest.importorskip("pyarrow.parquet").write_table(csv.read_csv(numbers), "t.parquet")
    write("more.csv", "a,b,y\n1,2,3\n4,5,6\n")
    plain = run("train", *args, "--json", "-o", "plain.fmlp")
    outcome = interrupted(run, *args, "--json")
    assert "; --resume run.fmlp continues." in outcome.err
    resumed = run("train", "--resume", "run.fmlp", "--json", "-o", "resumed.fmlp", "--threads", 2)
    assert without_seconds(resumed) == without_seconds(plain)
    a, b = models.load_model("plain.fmlp"), models.load_model("resumed.fmlp")
    assert a.history.history == b.history.history
    assert a.training_config == b.training_config
    for left, right in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    for slot in a.optimizer.slots:
        np.testing.assert_array_equal(
            a.network.weights_slot(slot, 0), b.network.weights_slot(slot, 0)
        )
    # Once more: it has ended, and says so again at once.
    again = run("train", "--resume", "run.fmlp", "--json")
    assert without_seconds(again) == without_seconds(plain)


def test_a_checkpoint_is_a_model_too(run, numbers):
    outcome = interrupted(run, numbers, *OPTIONS, "-o", "model.fmlp")
    assert "; model.fmlp has the model of these epochs; --resume run.fmlp continues." in outcome.err
    predictions = [run("predict", name, numbers).out for name in ("run.fmlp", "model.fmlp")]
    assert predictions[0] == predictions[1] != ""


def test_how_often_is_passed_on(run, monkeypatch):
    seen, made = [], checkpoint.Checkpoint.__init__

    def note(self, path, every, data):
        seen.append(every)
        made(self, path, every, data)

    args = ("train", "--units", 4, "--epochs", 3, "--force", "--checkpoint", "run.fmlp")
    for options in ((), ("--checkpoint-every", "2 epochs"), ("--checkpoint-every", "0.5")):
        monkeypatch.setattr(checkpoint.Checkpoint, "__init__", note)
        assert run(*args, *options).code == 0
    assert run("train", "--resume", "run.fmlp", "--checkpoint-every", "epoch").code == 0
    assert seen == [60.0, "2 epochs", "0.5", "epoch"]


def test_changed_data_are_noticed(run, numbers, tmp_path):
    interrupted(run, numbers, *OPTIONS)
    text = (tmp_path / numbers).read_text()
    (tmp_path / numbers).write_text(text.replace("29,5,20", "29,5,20.001"))
    outcome = run("train", "--resume", "run.fmlp")
    assert outcome.code == 4
    assert "must be that of the run in run.fmlp" in outcome.error
    (tmp_path / numbers).unlink()
    assert run("train", "--resume", "run.fmlp").code == 4
    (tmp_path / numbers).write_text(text)
    assert run("train", "--resume", "run.fmlp").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--resume", "run.fmlp", "--epochs", 9), "--epochs cannot be given with it"),
        (("--resume", "run.fmlp", "--units", 9), "--units cannot be given with it"),
        (("--resume", "run.fmlp", "x.csv"), "DATA cannot be given with it"),
        (("--resume", "run.fmlp", "--dry-run"), "--dry-run cannot be given with it"),
        (("--resume", "run.fmlp", "--checkpoint", "b"), "--checkpoint cannot be given with it"),
        (("--units", 4, "--checkpoint-every", 3), "--checkpoint-every needs --checkpoint"),
        (("--units", 4, "--checkpoint", "-"), "a checkpoint cannot be written to standard output"),
        (("--units", 4, "--checkpoint", "a", "-o", "a"), "must name different files"),
        (
            ("--units", 4, "--checkpoint", "a", "--checkpoint-every", "often"),
            "expected seconds, 'epoch' or such as '10 epochs'. Received: 'often'",
        ),
        (
            ("--units", 4, "--checkpoint", "a", "--checkpoint-every", 0),
            "expected seconds, 'epoch' or such as '10 epochs'. Received: '0'",
        ),
    ],
)
def test_wrong_options(run, options, message):
    run("train", "--units", 4, "--epochs", 2, "--checkpoint", "run.fmlp")
    outcome = run("train", *options)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())


def test_files_that_are_in_the_way_or_no_checkpoints(run, write, tmp_path):
    args = ("train", "--units", 4, "--epochs", 2)
    assert run(*args, "--checkpoint", "run.fmlp", "-o", "model.fmlp").code == 0
    content = (tmp_path / "run.fmlp").read_bytes()
    outcome = run(*args, "--checkpoint", "run.fmlp")
    assert (outcome.code, outcome.error) == (
        1, "Error: run.fmlp: the file exists; --force replaces it",
    )  # fmt: skip
    assert (tmp_path / "run.fmlp").read_bytes() == content
    assert run(*args, "--checkpoint", "run.fmlp", "--force").code == 0
    assert run(*args, "--checkpoint", "no/run.fmlp").code == 1
    write("bad.fmlp", content[: len(content) // 2])
    for name, message in [
        ("model.fmlp", "it holds a model but not a run"),
        ("bad.fmlp", "is not a usable model file"),
        ("none.fmlp", "Cannot read model file none.fmlp"),
    ]:
        outcome = run("train", "--resume", name)
        assert outcome.code == 4
        assert message in outcome.error


def test_options_in_a_checkpoint_are_not_trusted(run, tmp_path):
    """It names no file to write, and what it should not have is no option."""
    assert run("train", "--units", 4, "--epochs", 2, "--checkpoint", "run.fmlp").code == 0
    path = tmp_path / "run.fmlp"

    def changed(**values):
        model = models.resume(path)
        model.extras["config"] |= values
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        table = json.loads(header["__metadata__"]["fastmlp"])
        table["extras"] = model.extras
        header["__metadata__"] = {"fastmlp": json.dumps(table)}  # and no checksum
        text = json.dumps(header).encode()
        (tmp_path / "evil.fmlp").write_bytes(
            len(text).to_bytes(8, "little") + text + raw[8 + length :]
        )

    changed(output="stolen", force=True, plot="figures")
    assert run("train", "--resume", "evil.fmlp").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.fmlp", "run.fmlp"]
    for values in ({"shell": "rm"}, {"units": {"a": 1}}, {"epochs": "many"}):
        changed(**values)
        outcome = run("train", "--resume", "evil.fmlp")
        assert outcome.code == 4
        assert "damaged configuration" in outcome.error


def test_help_mentions_them(run):
    text = run("train", "--help-all").out
    for name in ("--checkpoint FILE", "--checkpoint-every TIME", "--resume FILE"):
        assert name in text
