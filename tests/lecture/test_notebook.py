"""The lecture's notebook runs from top to bottom, and is kept without outputs."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "lecture.ipynb"


@pytest.fixture
def notebook():
    """Yield the notebook as JSON."""
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def sources(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def small(code):
    """Make the same program a quick one."""
    return code.replace("EPOCHS = 1000", "EPOCHS = 3").replace("WIDE = 1024", "WIDE = 8")


def test_it_is_kept_without_outputs(notebook):
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 20
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_its_cells_run(notebook):
    names = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, code in enumerate(sources(notebook)):
            if not code.startswith("%"):
                exec(compile(small(code), f"cell {number}", "exec"), names)
    text = printed.getvalue()
    assert (names["EPOCHS"], names["WIDE"]) == (3, 8)
    assert len(re.findall(r"^model_\w+: training 0\.\d+, validation 0\.\d+$", text, re.M)) == 12
    assert len(re.findall(r"^penalty [\d.]+: validation loss", text, re.M)) == 3


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.filterwarnings("default")  # others' warnings, on their way to a kernel
def test_it_runs_in_jupyter_at_full_size():
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    made = nbclient.execute(
        nbformat.read(NOTEBOOK, as_version=4), timeout=1200, kernel_name="python3"
    )
    outputs = [output for cell in made.cells if cell.cell_type == "code" for output in cell.outputs]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 23
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "model_8units: training 0.0428, validation 0.0535" in text
