"""Odd surroundings: the command and the library work, or say in one line why they do not."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import models, sweeps
from fastmlp.cli._app import cli
from fastmlp.errors import ModelFileError, printable

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(sys.platform != "linux", reason="uses a POSIX shell"),
]
F = f'"{sys.executable}" -m fastmlp.cli'
PLAIN = "train numbers.csv --units 2 --epochs 2 --seed 1"
TRAIN = f"{F} {PLAIN}"
NUMBERS = "größe,b,y\n" + "".join(f"{i},{i % 3},{i * 0.5}\n" for i in range(12))


def sample(cases, n=1):
    """Leave all but the first cases to the slow tests: each starts processes."""
    return [pytest.param(case, marks=[pytest.mark.slow] * (i >= n)) for i, case in enumerate(cases)]


IN_TURN = """
import sys
from fastmlp.cli import main
for command in sys.argv[1:]:
    sys.argv = ["fastmlp", *command.split()]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def in_turn(*commands):
    """Return a command that runs several in one process, until one of them fails."""
    return f'"{sys.executable}" in_turn.py ' + " ".join(f"'{command}'" for command in commands)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("place")
    (directory / "numbers.csv").write_text(NUMBERS, encoding="utf-8")
    (directory / "in_turn.py").write_text(IN_TURN, encoding="utf-8")
    done = shell(directory, f"{TRAIN} -o model.fmlp")
    assert done.returncode == 0, done.stderr
    return directory


def shell(directory, command, **environment):
    kept = {k: v for k, v in os.environ.items() if environment.get(k, "") is not None}
    given = {k: v for k, v in environment.items() if v is not None}
    return subprocess.run(
        ["bash", "-c", command], cwd=directory, env=kept | given, capture_output=True, timeout=60
    )  # fmt: skip


def works(directory, command, **environment):
    done = shell(directory, command, **environment)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-500:]
    assert b"Traceback" not in done.stderr
    return done


OMP = [
    "abc",
    "-1",
    "4,2",
    "1e9",
    "",
    "0",
    " 2 ",
    "²",
    "٣",
    "1,abc",
    "99999",
    f"{10**20}",
    "9" * 5000,
]


@pytest.mark.parametrize("text", OMP, ids=lambda text: ascii(text)[:12])
def test_any_text_in_omp_num_threads(monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    expected = {"4,2": 4, " 2 ": 2, "1,abc": 1}.get(text)
    if text.isascii() and text.isdigit() and int(text[:50]) > 1000:
        expected = 1024
    fastmlp.set_num_threads(None)
    assert fastmlp.get_num_threads() == (expected or len(os.sched_getaffinity(0))) or (
        expected is None and fastmlp.get_num_threads() >= 1
    )


@pytest.mark.parametrize("text", sample(["abc", "²", f"{10**20}"]))
def test_training_with_any_omp_num_threads(place, text):
    works(place, TRAIN, OMP_NUM_THREADS=text)


@pytest.mark.parametrize("closed", sample(["<&- >&- 2>&-", ">&-", "2>&-", "<&-", ">&- 2>&-"]))
def test_closed_streams(place, closed):
    (place / "closed.fmlp").unlink(missing_ok=True)
    others = ("summary closed.fmlp", "predict closed.fmlp numbers.csv --json", "--help")
    works(place, f"{in_turn(f'{PLAIN} -o closed.fmlp', *others)} {closed}")
    # No file was given a stream's number, in which warnings would then be found.
    expected = models.load_model(place / "model.fmlp").get_weights()
    for a, b in zip(models.load_model(place / "closed.fmlp").get_weights(), expected, strict=True):
        assert a.tobytes() == b.tobytes()


def test_closed_input_is_an_empty_table(place):
    done = shell(place, f"{F} train - --units 2 <&-")
    assert done.returncode == 4
    assert done.stderr.count(b"\n") == 1 and b"standard input: the file is empty" in done.stderr


PYTHONW = """
import sys
import numpy as np
from fastmlp import callbacks, models
from fastmlp._utils import progress
progress._QUIET_SECONDS = 0
class Closed:
    def __getattr__(self, name):
        raise ValueError("I/O operation on closed file")
for out, err in ((None, None), (sys.__stdout__, Closed()), (sys.__stdout__, object())):
    sys.stdout, sys.stderr = out, err
    for verbose in (1, 2):
        model = models.mlp([2], 1, 1)
        model.compile("adam", "mse")
        x = np.ones((8, 1))
        model.fit(x, x, epochs=3, verbose=verbose,
                  callbacks=[callbacks.EarlyStopping("loss", patience=0, verbose=1)])
        model.summary()
        model.predict(x, verbose=1)
        model.evaluate(x, x, verbose=1)
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # which the interpreter flushes at its end
"""


def test_streams_that_are_none(place):
    works(place, program(place, "pythonw.py", PYTHONW))


def program(directory, name, text):
    """Write a program; return the command that runs it."""
    (directory / name).write_text(text, encoding="utf-8")
    return f'"{sys.executable}" {name}'


NAMES = """
import numpy as np
from fastmlp import layers, models
model = models.Sequential([layers.Dense(2, name="größe€"), layers.Dense(1)], name="模型")
model.compile("adam", "mse")
model.fit(np.ones((8, 1)), np.ones((8, 1)), epochs=1, verbose=2)
model.summary()
"""


@pytest.mark.parametrize("encoding", sample(["ascii", "latin-1", "ascii:strict", "utf-8:strict"]))
def test_poor_encodings(place, encoding):
    poor = {"LC_ALL": "C", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    others = [f"{command} model.fmlp numbers.csv" for command in ("evaluate", "inspect")]
    works(place, in_turn("summary model.fmlp", *others, f"{PLAIN} --verbose"), **poor)
    done = works(place, program(place, "names.py", NAMES), **poor)
    if encoding.startswith("ascii"):
        assert b"gr\\xf6\\xdfe\\u20ac" in done.stdout


ENVIRONMENTS = [
    {"HOME": "/proc", "MPLCONFIGDIR": "/proc/none", "TERM": "dumb", "COLUMNS": "1", "LC_ALL": "C"},
    {"HOME": None},
    {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
    {"HOME": "/proc", "MPLCONFIGDIR": "/proc/none"},
    {"TERM": None},
    {"TERM": "dumb", "COLUMNS": "1", "LINES": "1"},
    {"TERM": "nothing-of-the-kind", "COLUMNS": "0"},
    {"COLUMNS": "-5"},
    {"COLUMNS": "abc"},
    {"COLUMNS": "99999"},
    {"TZ": "Odd/Zone"},
    {"TZ": ":::"},
    {"LANG": "xx_YY.UTF-99", "LC_ALL": "xx"},
    {"LC_ALL": "POSIX"},
    {"PYTHONWARNINGS": "error"},
    {"PYTHONOPTIMIZE": "2"},
    {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    {"NO_COLOR": "1", "FORCE_COLOR": "1"},
    {"PATH": "/usr/bin:/bin", "TMPDIR": "/nonexistent"},
    {"OMP_SCHEDULE": "odd", "OMP_PROC_BIND": "true", "OMP_PLACES": "none"},
]


@pytest.mark.parametrize("environment", sample(ENVIRONMENTS), ids=str)
def test_environments(place, environment):
    made = in_turn(f"{PLAIN} -o environment.fmlp --force", "summary environment.fmlp")
    works(place, made, **environment)


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_environments_of_figures_and_sweeps(place, environment):
    others = ("sweep numbers.csv --units 2,3 --epochs 1 --target y",
              "inspect model.fmlp numbers.csv")  # fmt: skip
    works(place, in_turn(f"{PLAIN} --plot figures --force", *others), **environment)


@pytest.mark.slow
def test_a_working_directory_that_is_gone(place):
    gone = f"cp numbers.csv /tmp/fastmlp-$$.csv; mkdir gone-$$; cd gone-$$; rmdir ../gone-$$; {F}"
    done = shell(place, f"{gone} train /tmp/fastmlp-$$.csv --units 2 --epochs 1; c=$?; "
                        "rm /tmp/fastmlp-$$.csv; exit $c")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = shell(place, f"{gone} train --units 2 --epochs 1 -o m.fmlp; c=$?; "
                        "rm /tmp/fastmlp-$$.csv; exit $c")  # fmt: skip
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert b"m.fmlp: cannot be written" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("few", [20, 12, 8])
def test_few_file_descriptors(place, few):
    works(place, f"ulimit -n {few}; {TRAIN} -o few.fmlp --force")
    works(place, f"ulimit -n {few}; {F} predict few.fmlp numbers.csv -o few.csv --force")
    done = shell(
        place, f"ulimit -n {few}; {F} sweep numbers.csv --units 2 --epochs 1 -o few{few}.db"
    )
    assert b"Traceback" not in done.stderr and (
        done.returncode == 0 or done.stderr.count(b"\n") == 1
    )


@pytest.mark.parametrize(
    "command", sample(["predict model.fmlp numbers.csv", "--help", "catalogue --list"])
)
def test_a_reader_that_leaves(place, command):
    for reader in ("head -1", "true"):
        done = works(place, f"set -o pipefail; {F} {command} | {reader}")
        assert done.stderr == b""


@pytest.mark.slow
def test_a_full_device_on_standard_error_keeps_the_exit_code(place):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    assert shell(place, f"{F} summary nothere.fmlp 2>/dev/full").returncode == 4
    works(place, f"{TRAIN} --verbose 2>/dev/full")
    done = shell(place, f"{F} summary model.fmlp >/dev/full")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1


# ---- stores that others hold ---------------------------------------------------------------------


def sweep(path):
    x = np.arange(12.0).reshape(-1, 1)
    return fastmlp.sweep(x, x, ["2", "3"], epochs=1, seeds=1, verbose=0, store=path)


@pytest.mark.parametrize("begin", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_a_store_that_another_process_holds_is_waited_for(tmp_path, monkeypatch, begin):
    path = tmp_path / "store.db"
    sweep(path)
    with sweeps._store.Store.opened(path) as store:
        waits = store._connection.execute("PRAGMA busy_timeout").fetchone()[0]
    assert waits >= 20_000  # milliseconds; five seconds are a backup's
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute(begin)
    other.execute("SELECT count(*) FROM runs").fetchone()

    def release():
        time.sleep(0.5)
        other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=release)
    thread.start()
    start = time.monotonic()
    assert len(sweep(path)) == 2 and len(sweeps.load(path)) == 2
    thread.join()
    assert time.monotonic() - start < 20


# ---- the source folder ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["-c 'import fastmlp'", "-m fastmlp.cli", "-m fastmlp"])
def test_the_source_folder_says_what_to_do(tmp_path, command):
    source = Path(fastmlp.__file__).parent
    for name in ("fastmlp", "fastmlp/_kernels"):
        (tmp_path / name).mkdir()
    for name in ("__init__.py", "_kernels/__init__.py"):
        shutil.copy(source / name, tmp_path / "fastmlp" / name)
    # Without site-packages, whose finder may stand for an editable installation.
    done = shell(tmp_path, f"'{sys.executable}' -S {command}", PYTHONSAFEPATH=None)
    last = done.stderr.decode().strip().splitlines()[-1]
    assert done.returncode == 1 and "ImportError: fastmlp is imported from its source code" in last
    assert "Run Python in another folder" in last and "pip install -e ." in last
    assert "ModuleNotFoundError" not in done.stderr.decode()


# ---- text from files -----------------------------------------------------------------------------

EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202e\u2028" + "x" * 100_000


def test_printable():
    assert printable("plain ü, 模型\n") == "plain ü, 模型\n"
    assert printable("\x1b[31m\r\b\x9b\u202e") == r"\x1b[31m\r\x08\x9b\u202e"
    assert printable(f"'{'x' * 500}'") == f"'{'x' * 200}...' (500 characters)"
    assert len(printable(EVIL * 3)) < 2100


def test_escaping_a_text_imports_nothing():
    """A file could otherwise make Python import a codec, which also needs a file descriptor."""
    program = """
import sys
from fastmlp.errors import DataError
before = set(sys.modules)
DataError("\\x1b[31m")
assert set(sys.modules) == before, set(sys.modules) - before
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stage", ["predict", "train"])
def test_evil_text_in_tables(place, stage, monkeypatch, capsys):
    monkeypatch.chdir(place)
    name = '"' + EVIL.replace('"', "") + '"'
    texts = {
        "short": f"{name},b,y\n1,2,3\n1\n",
        "twice": f"{name},{name},y\n1,2,3\n",
        "cell": f"größe,b,y\n1,2,3\n{name},2,3\n1,1,1\n",
        "target": f"größe,b,{name}\n1,2,\n1,2,3\n",
        "other": f"größe,{name},y\n1,2,3\n1,2,4\n",
    }
    for case, text in texts.items():
        (place / f"evil-{case}.csv").write_text(text, encoding="utf-8")
        command = f"train evil-{case}.csv --units 2 --epochs 1"
        if stage == "predict":
            command = f"predict model.fmlp evil-{case}.csv -o evil.out --force"
        with pytest.raises(SystemExit) as end:
            cli.main(command.split())
        error = capsys.readouterr().err
        if end.value.code == 0 and stage == "train":
            continue  # it may be a category
        assert end.value.code == 4, (case, error[:300])
        assert error.count("\n") == 1 and len(error.encode()) < 3000
        assert error.strip().isprintable()


def test_evil_text_in_other_files(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    (place / "evil.toml").write_text('"\\u001b[31m' + "k" * 5000 + '" = 1\n')
    (place / "value.toml").write_text('units = "2"\nactivation = "\\u001b[31m' + "k" * 5000 + '"\n')
    for name in ("evil", "value"):
        with pytest.raises(SystemExit) as end:
            cli.main(["train", "numbers.csv", "--config", f"{name}.toml"])
        error = capsys.readouterr().err
        assert end.value.code == 2 and "\x1b" not in error and len(error) < 3000
    with pytest.raises(ModelFileError) as info:
        models.load_model(_evil_model(place))
    assert str(info.value).isprintable() and len(str(info.value)) < 3000


def _evil_model(place):
    text = b'{"%s":{"dtype":"F32","shape":[],"data_offsets":[0,9]}}' % (
        b"\\u001b[31m" + b"k" * 5000
    )
    path = place / "evil.fmlp"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


@pytest.mark.parametrize("number", ["1e999", "-1e400", "NaN", "Infinity"])
def test_numbers_that_json_does_not_have(place, number):
    data = (place / "model.fmlp").read_bytes()
    n = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + n].replace(b'\\"seed\\": 1', b'\\"seed\\": %s' % number.encode())
    assert header != data[8 : 8 + n]
    header = header.replace(b'"checksum"', b'"of before"')
    path = place / "number.fmlp"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + n :])
    with pytest.raises(ModelFileError, match="number"):
        models.load_model(path)
