"""Every command with every kind of bad file and option: one line, a code of the book, no trace."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from fastmlp import models
from fastmlp.cli._app import cli

from .entry_points import shared

pytestmark = pytest.mark.reliability

TABLE = "a,b,c,y\n" + "".join(f"{i},{i * i % 7},{i % 3},{i / 2}\n" for i in range(12))
# Sound commands; MODEL, TABLE and OUT stand for files.
COMMANDS = {
    "summary": "MODEL", "evaluate": "MODEL TABLE --target y", "predict": "MODEL INPUTS -o OUT.csv",
    "compare": "MODEL MODEL TABLE --target y", "inspect": "MODEL TABLE --target y --repeats 1",
    "export": "MODEL --to c -o OUT.c", "prune": "MODEL -o OUT.fmlp",
    "plot": "MODEL --kind network -o OUT.png", "import": "KERAS -o OUT.fmlp",
    "train": "TABLE --target y --units 2 --epochs 1 -o OUT.fmlp -q",
    "path": "TABLE --target y --units none --n-lambdas 2 --folds 2 -o OUT -q",
    "sweep": "TABLE --target y --units 2 --epochs 1 --seeds 1 -o OUT.db -q",
    "ensemble": "TABLE --target y --units 2 --epochs 1 --members 2 -o OUT.fmlp -q",
    "datasets": "regression_train -o OUT.csv",
}  # fmt: skip
BAD_FILES = {
    "missing": None, "empty": b"", "text": b"not a model", "zeros": bytes(1000),
    "ones": b"\xff" * 1000, "zip": b"PK\x03\x04" + bytes(200), "null": b"\0", "header": b"a,b\n",
    "ragged": b"a,b,y\n1,2,3\n4,5\n", "texts": b"a,b,c,y\nx,y,z,\n,,,\n",
    "nan": b"a,b,c,y\nnan,1,2,3\ninf,1,2,3\n", "directory": "directory",
}  # fmt: skip
BAD_OPTIONS = [
    "--unknown", "--epochs 0", "--epochs -1", "--epochs x", "--epochs 1e400", "--epochs nan",
    "--units 0", "--units -3", "--units 2xx", "--units ,", "--target nonsense", "--seed -1",
    "--seed x", "--threads 0", "--threads 99999999", "--learning-rate 0", "--learning-rate nan",
    "--learning-rate x", "--batch-size 0", "--l1 -1", "--l2 nan", "--dropout 1", "--dropout -1",
    "--activation nonsense", "--folds 1", "--folds 99", "--n-lambdas 0", "--lambdas x",
    "--members 0", "--seeds 0", "--jobs 0", "--config missing.toml", "--task nonsense",
    "--to nonsense", "--kind nonsense", "--drop nonsense", "--categorical nonsense",
    "--measure nonsense", "--impute nonsense", "--repeats 0", "--loss nonsense",
    "--optimizer nonsense", "--validation-split 1", "--validation missing.csv",
]  # fmt: skip


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shared().save("model.fmlp")
    shared().export("model.keras")
    Path("table.csv").write_text(TABLE)
    Path("inputs.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    words = {
        "MODEL": "model.fmlp",
        "TABLE": "table.csv",
        "INPUTS": "inputs.csv",
        "KERAS": "model.keras",
    }

    def call(name, spoilt=None, extra=""):
        """Return the exit code and what goes to standard error."""
        arguments, place = [name], 0
        for word in COMMANDS[name].split():
            if word in words:
                place += 1
                word = "spoilt" + Path(words[word]).suffix if place == spoilt else words[word]
            arguments.append(word)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([*arguments, *extra.split()])
        return end.value.code, capsys.readouterr().err

    yield call
    import fastmlp

    fastmlp.set_num_threads(None)


def fault(code, err, codes):
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    if "Traceback" in err or "please report this" in err:
        return f"unexpected: {err[-300:]}"
    if code not in codes or len(errors) != 1 or len(errors[0]) < 15:
        return f"code {code}: {err[-300:]!r}"
    return None


def test_there_are_as_many_as_the_documentation_says():
    assert (len(COMMANDS), len(BAD_OPTIONS), len(BAD_FILES)) == (14, 44, 12)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_say_what_is_wrong(name, run, tmp_path):
    assert name == "datasets" or run(name, extra="")[0] == 0
    before = (tmp_path / "model.fmlp").read_bytes()
    wrong, tried = [], 0
    n_files = sum(word in ("MODEL", "TABLE", "INPUTS", "KERAS") for word in COMMANDS[name].split())
    for place, (kind, content) in itertools.product(range(1, n_files + 1), BAD_FILES.items()):
        for suffix in (".fmlp", ".csv", ".keras"):
            path = tmp_path / f"spoilt{suffix}"
            if path.is_dir():
                path.rmdir()
            path.unlink(missing_ok=True)
            if content == "directory":
                path.mkdir()
            elif content is not None:
                path.write_bytes(content)
        tried += 1
        said = fault(*run(name, place, "--force" if "-o" in COMMANDS[name] else ""), {1, 2, 4})
        if said:
            wrong.append(f"file {place} {kind}: {said}")
    for option in BAD_OPTIONS:
        tried += 1
        said = fault(*run(name, extra=option), {1, 2, 4})
        if said:
            wrong.append(f"{option}: {said}")
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)
    assert (tmp_path / "model.fmlp").read_bytes() == before
    assert models.load_model(tmp_path / "model.fmlp").n_inputs == 3
