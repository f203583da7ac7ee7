"""Every option that names a file to write: what is there stays until something better stands."""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path

import click
import pytest

from fastmlp import models, streaming, tabular
from fastmlp._saving import fmlp
from fastmlp._training import checkpoint
from fastmlp._utils import atomic
from fastmlp._utils import claim as _claim
from fastmlp.cli import _app
from fastmlp.ensembles import Ensemble

from ..support.disks import Reader, fill, make_null, small_disk

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(os.name == "nt", reason="has neither modes nor devices"),
]

QUICK = ("--units", "2", "--epochs", 2, "--quiet")
SWEPT = ("--units", "2,3", "--epochs", 2, "--seeds", 1, "--quiet", "--data", "regression")
PATHS = ("--units", "2", "--n-lambdas", 2, "--epochs", 2, "--folds", 2, "--data", "regression")
TABLE = ("points.csv", "--target", "y")
# Commands that write one file, whose name comes last, by command and option; m.fmlp, t.fmlp and
# s.db are a model, one of a table, and a store.
FILES = {
    ("train", "--output"): ("train", *QUICK, "-o"),
    ("train", "--checkpoint"): ("train", *QUICK, "--checkpoint"),
    ("train", "--report"): ("train", *TABLE, *QUICK, "--report"),
    ("path", "--report"): ("path", *TABLE, *PATHS[:-2], "-q", "--report"),
    ("report", "--output"): ("report", "t.fmlp", "-q", "-o"),
    ("ensemble", "--output"): ("ensemble", *QUICK, "--members", 2, "-o"),
    ("predict", "--output"): ("predict", "m.fmlp", "inputs.csv", "-o"),
    ("prune", "--output"): ("prune", "m.fmlp", "-o"),
    ("export", "--output"): ("export", "m.fmlp", "--to", "c", "-o"),
    ("import", "--output"): ("import", "w.safetensors", "-o"),
    ("plot", "--output"): ("plot", "m.fmlp", "--kind", "network", "-o"),
    ("datasets", "--output"): ("datasets", "regression_train", "-o"),
    ("bench", "--output"): ("bench", "--cases", "lecture", "--peers", "numpy", "-q", "-o"),
    ("sweep", "--output"): ("sweep", *SWEPT, "-o"),
    ("sweep", "--export"): ("sweep", "--show", "s.db", "--export"),
    ("sweep", "--plot"): ("sweep", "--show", "s.db", "--plot"),
}
# Commands that write a directory, whose name comes last, and two of the files in it.
FOLDERS = {
    ("train", "--plot"): (("train", *QUICK, "--plot"), "history.png", "weights.png"),
    ("ensemble", "--plot"): (("ensemble", *QUICK, "--members", 2, "--plot"), "members.png"),
    ("path", "--output"): (("path", *PATHS, "-q", "-o"), "path.csv", "model.fmlp"),
    ("inspect", "--output"): (("inspect", "m.fmlp", "points.csv", "--target", "y", "-o"),
                              "importance.png"),
    ("catalogue", "--output"): (("catalogue", "model_2units_a", "--epochs", 2, "-q", "-o"),
                                "models/model_2units_a.fmlp", "tables/catalogue.csv"),
}  # fmt: skip
REPORTS = {("train", "--report"), ("path", "--report"), ("report", "--output")}


def marked(keys):
    drawn = pytest.mark.slow  # as figures are
    return [pytest.param(key, marks=drawn) if key in REPORTS else key for key in keys]


EACH_FILE = marked(FILES)
SLOW = [pytest.param(key, marks=pytest.mark.slow) for key in FOLDERS]  # they draw figures
# What has such a name but is read, or is not a path.
READ = {"config", "resume", "show", "validation", "data", "model", "models", "file", "names"}
PLACES = {"FILE", "DIR", "MODEL", "CSV", "JSON", "STORE", "DATA", "MODELS", "FIGURE", "PATH"}
REFUSE_DEVICES = {("train", "--checkpoint"), ("sweep", "--output")}


@pytest.fixture
def place(run, tmp_path, monkeypatch):
    """Run commands in a directory with what they read."""
    _write_inputs()
    monkeypatch.setattr("fastmlp.cli.bench._measure", lambda *args: None)  # takes half a minute
    return tmp_path


def _write_inputs():
    from fastmlp import sweeps

    model = models.mlp("2", 1, 1, seed=1)
    model.compile("adam", "mse")
    model.fit([[0.0], [1.0]], [[0.0], [1.0]], verbose=0)
    model.save("m.fmlp")
    model.export("w.safetensors")
    Path("t.fmlp").write_bytes(_table_model())
    with open("points.csv", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(12)))
    with open("inputs.csv", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("x\n1\n2\n3\n4\n")
    x = [[float(i)] for i in range(12)]
    sweeps.sweep(x, x, ["2"], epochs=1, store="s.db", verbose=0)


@functools.cache
def _table_model():
    x = [float(i) for i in range(12)]
    found = tabular.fit({"x": x, "y": x}, "y", units="2", epochs=2, seed=1, verbose=0)
    return fmlp.to_bytes(found.network)


def test_all_that_write_are_here():
    found = set()
    for name in _app.COMMANDS:
        command = _app.cli.get_command(click.Context(_app.cli), name)
        for param in command.params:
            metavar = (getattr(param, "metavar", None) or "").strip("[]. ").upper()
            long = max(param.opts, key=len)
            named = metavar in PLACES and param.name not in READ
            if named or long in ("--output", "--plot", "--export"):
                found.add((name, long))
    assert found == FILES.keys() | FOLDERS.keys()
    assert len(found) == 21  # as the documentation says


@pytest.mark.parametrize("key", EACH_FILE, ids="".join)
def test_a_device_is_written_into_or_refused_and_stays(run, place, key):
    node = make_null(place / "node")
    before = {p.name for p in place.iterdir()}
    assert run(*FILES[key], "node").code == 1  # it exists
    outcome = run(*FILES[key], "node", "--force")
    if key in REFUSE_DEVICES:
        assert outcome.code == 1 and "node: " in outcome.error
        assert "not a regular file" in outcome.error
    else:
        assert outcome.code == 0, outcome.err
    assert stat.S_ISCHR(node.lstat().st_mode) and {p.name for p in place.iterdir()} == before


@pytest.mark.parametrize("key", marked(k for k in FILES if k not in REFUSE_DEVICES), ids="".join)
def test_a_pipe_gets_the_content(run, place, key):
    reader = Reader(place / "pipe")
    assert run(*FILES[key], "pipe", "--force").code == 0
    assert stat.S_ISFIFO((place / "pipe").stat().st_mode)
    assert len(reader.finish()) > 20


@pytest.mark.parametrize("key", SLOW, ids="".join)
def test_a_device_where_a_directory_goes_or_within_it(run, place, key):
    args, *names = FOLDERS[key]
    node = make_null(place / "node")
    outcome = run(*args, "node", "--force")
    assert outcome.code == 1 and "node: is a file, expected a directory" in outcome.error
    assert stat.S_ISCHR(node.lstat().st_mode)
    for name in names:
        (place / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        make_null(place / "out" / name)
    assert run(*args, "out", "--force").code == 0
    for name in names:
        assert stat.S_ISCHR((place / "out" / name).lstat().st_mode), name


def old_file(place, key):
    """Return arguments, and a file that they replace, which a link names and which has a mode."""
    if key in FILES:
        name = "t.csv" if key[1] == "--export" else "t.png" if "plot" in "".join(key) else "t"
        args, path = (*FILES[key], name), place / name
    else:
        given, *names = FOLDERS[key]
        args, path = (*given, "out"), place / "out" / names[-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    (place / "far").write_bytes(b"old")
    (place / "far").chmod(0o640)
    path.symlink_to(place / "far")
    return args, path


@pytest.mark.parametrize("key", [*EACH_FILE, *SLOW], ids="".join)
def test_a_replaced_file_keeps_its_mode_and_its_link(run, place, key):
    args, path = old_file(place, key)
    assert run(*args).code in (1, 4) and (place / "far").read_bytes() == b"old"
    outcome = run(*args, "--force")
    assert outcome.code == 0, outcome.err
    assert path.is_symlink() and len((place / "far").read_bytes()) > 20
    assert stat.S_IMODE((place / "far").stat().st_mode) == 0o640


@pytest.mark.filterwarnings("default::RuntimeWarning")
@pytest.mark.parametrize(
    "trouble",
    ["full", *(pytest.param(name, marks=pytest.mark.slow) for name in ("interrupted", "killed"))],
)
@pytest.mark.parametrize("key", [*EACH_FILE, *SLOW], ids="".join)
def test_force_removes_nothing_before_the_new_file_stands(run, place, monkeypatch, key, trouble):
    args, path = old_file(place, key)
    real = os.fsync

    def fail(descriptor):  # when all is written, but has no name yet
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return real(descriptor)
        if trouble == "full":
            raise OSError(28, "No space left on device")
        raise KeyboardInterrupt if trouble == "interrupted" else SystemExit(9)

    monkeypatch.setattr(os, "fsync", fail)
    outcome = run(*args, "--force")
    if key == ("train", "--checkpoint") and trouble == "full":
        assert outcome.code == 0
        assert "Warning: Checkpoint t could not be written: No space left" in outcome.err
    else:
        assert outcome.code == {"full": 1, "interrupted": 130, "killed": 9}[trouble]
    assert path.read_bytes() == b"old"
    assert not [p for p in (place / "far").parent.iterdir() if p.name.startswith(".fastmlp")]


@pytest.mark.parametrize("key", [*FILES, *FOLDERS], ids="".join)
def test_what_cannot_be_written_is_refused_before_the_work(run, place, key, monkeypatch):
    """A missing directory, a directory or a file in the way, a full disk."""

    def begun(*args, **options):
        raise AssertionError("the work has begun")

    for where, name in ((models.Sequential, "fit"), (streaming, "fit"), (atomic, "replace"),
                        (checkpoint.Checkpoint, "write"), (_claim.Claim, "write")):  # fmt: skip
        monkeypatch.setattr(where, name, begun)
    args = FILES[key] if key in FILES else FOLDERS[key][0]
    suffix = ".csv" if key[1] == "--export" else ".png" if "plot" in "".join(key) else ""
    (place / "file").write_bytes(b"old")
    bad = [f"file/x{suffix}", "n" * 300 + suffix]
    if key in FILES:
        (place / f"folder{suffix}").mkdir()
        bad += [f"none/x{suffix}", f"folder{suffix}"]
    else:
        folder = place / "out" / FOLDERS[key][1]
        folder.mkdir(parents=True)
        bad += ["file", "out"]
    for path in bad:
        outcome = run(*args, path, "--force")
        assert outcome.code == 1 and "begun" not in outcome.error, (path, outcome.err)
    assert (place / "file").read_bytes() == b"old"


@pytest.mark.parametrize("command", ["train", "ensemble", "checkpoint"])
def test_room_that_a_model_needs(run, tmp_path, command, monkeypatch):
    args = {
        "train": ("train", "--units", "300x2", "--epochs", 1, "-q", "-o"),
        "ensemble": ("ensemble", "--units", "300x2", "--members", 2, "--epochs", 1, "-q", "-o"),
        "checkpoint": ("train", "--units", "300x2", "--epochs", 1, "-q", "--checkpoint"),
    }[command]
    with small_disk(tmp_path / "disk", "300k"):
        outcome = run(*args, "disk/m.fmlp")
        assert outcome.code == 1
        error = outcome.error.lower()
        assert "no space left on device" in error and "bytes are needed" in error
        assert list((tmp_path / "disk").iterdir()) == []


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_a_checkpoint_on_a_full_disk_does_not_cost_the_model(run, tmp_path, monkeypatch):
    plain = run("train", *QUICK, "--seed", 1, "-o", "plain.fmlp")
    assert plain.code == 0
    real = checkpoint.Checkpoint.claim
    with small_disk(tmp_path / "disk", "64k") as disk:

        def claim(self, training):
            real(self, training)
            fill(disk)

        monkeypatch.setattr(checkpoint.Checkpoint, "claim", claim)
        keeping = ("--checkpoint", "disk/c.fmlp", "-o", "m.fmlp")
        outcome = run("train", *QUICK, "--seed", 1, *keeping)
        assert outcome.code == 0 and "Traceback" not in outcome.err
        assert "Warning: Checkpoint disk/c.fmlp could not be written: No space" in outcome.err
        assert (tmp_path / "m.fmlp").read_bytes() != b""
        left = models.load_model("m.fmlp").get_weights()
        for a, b in zip(left, models.load_model("plain.fmlp").get_weights(), strict=True):
            assert a.tobytes() == b.tobytes()
        assert [p.name for p in disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("command", ["train", "ensemble", "path"])
def test_a_model_that_finds_no_room_at_the_end_is_kept_elsewhere(
    run, tmp_path, monkeypatch, command
):
    args = {
        "train": ("train", *QUICK, "-o", "disk/m.fmlp"),
        "ensemble": ("ensemble", *QUICK, "--members", 2, "-o", "disk/m.fmlp"),
        "path": ("path", *PATHS, "-q", "-o", "disk"),
    }[command]
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spare"))
    with small_disk(tmp_path / "disk", "64k") as disk:
        for made in (models.Sequential, Ensemble):
            real = made.save

            def save(self, path, *rest, real=real):
                fill(disk)
                real(self, path, *rest)

            monkeypatch.setattr(made, "save", save)
        outcome = run(*args, "--force")
        assert outcome.code == 1
        (kept,) = (tmp_path / "spare").iterdir()
        assert outcome.error.lower().startswith("error: disk/m")
        assert f"no space left on device; {kept} has what was trained" in outcome.error
        assert models.load_model(kept) is not None
