"""The rules of the layout that ARCHITECTURE.md describes; tests/layout/check has the contracts."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

import pytest

from .imports import CHECKOUT, Import, circles, imports, modules, parsed

FILES = modules()
PACKAGES = sorted(name for name, path in FILES.items() if path.name == "__init__.py")
NAMES = "fastmlp._utils.names"

# Files over 400 lines, each with the reason why it is one file.
LONG_FILES = {
    "cli/_data.py": "one concept: the rows that a command reads, from options to arrays",
    "cli/_jobs.py": "one command's three kinds of training, which share one interface",
    "cli/ensemble.py": "one command: its options, its checks and its tables",
    "cli/path.py": "one command: its options, its checks and its files",
    "cli/sweep.py": "one command: its options, its checks and its tables",
    "fastmlp/_kernels/formulas.py": "what every kernel computes, of one form",
    "fastmlp/_kernels/network.pyx": "one class: prediction, evaluation, gradients, steps in halves",
    "fastmlp/_kernels/simd/stacked.h": "one algorithm: tiny networks, a vector's lane each",
    "fastmlp/_kernels/steps/passes.pxi": "a layer's three passes, read side by side",
    "fastmlp/_model/model.py": "one class",
    "fastmlp/_saving/c.py": "one file format: the parts of a C file, and their order",
    "fastmlp/_saving/fmlp.py": "one file format, its writer beside its reader",
    "fastmlp/_saving/onnx.py": "one file format: the parts of a graph, and their order",
    "fastmlp/_tables/cells.py": "the kinds of column, which share one interface",
    "fastmlp/_tables/csv.py": "one concept: rows of text, read by two readers that must agree",
    "fastmlp/_training/loop.py": "one class: the epoch loop",
    "fastmlp/bench/peers.py": "the libraries to compare with, of one interface",
    "fastmlp/datasets/_parquet.py": "one class: a Parquet file in parts",
    "fastmlp/ensembles/_fit.py": "one public function, with what it checks",
    "fastmlp/initializers.py": "all initializers, of one interface",
    "fastmlp/layers.py": "all layers, of one interface",
    "fastmlp/lecture/_catalogue.py": "a table: the lecture's networks and their published results",
    "fastmlp/losses.py": "all losses, of one interface",
    "fastmlp/metrics/_functions.py": "all metrics as functions, of one interface",
    "fastmlp/metrics/_metrics.py": "all metrics, of one interface",
    "fastmlp/models/_sequential.py": "one class: the methods of a model, and what they promise",
    "fastmlp/optimizers.py": "all optimizers, of one interface",
    "fastmlp/paths/_result.py": "one class: the result of a path",
    "fastmlp/paths/_path.py": "one public function, with what it checks",
    "fastmlp/playgrounds/_engine.py": "one class: the thread behind a page, and its controls",
    "fastmlp/playgrounds/_session.py": "one class: a session, its events and its frames",
    "fastmlp/preprocessing/_preprocessing.py": "one class",
    "fastmlp/schedules.py": "all schedules, of one interface",
    "fastmlp/sklearn/_base.py": "one class: what both estimators do",
    "fastmlp/sweeps/_store.py": "one class: a sweep's SQLite file",
    "fastmlp/sweeps/_sweep.py": "one public function, with what it checks",
    "fastmlp/tabular/_figures.py": "one class: every figure of a model on a table",
    "fastmlp/tabular/_prepare.py": "one concept: from a table to arrays and decisions",
    "fastmlp/tabular/_train.py": "one class: the training of a network for a table",
}

# Tests over 500 lines, each with the reason why they are one file.
LONG_TESTS = {
    "reliability/differential/truth.py": "one independent implementation of training",
    "reliability/entry_points.py": "a table: the public functions and their arguments",
    "tables/test_files_in_the_wild.py": "a table: files as they come, and what each holds",
}
# Those that are to be cut by what they test; nothing may be added.
TESTS_TO_CUT = {
    "test_callbacks.py",
    "test_checkpoint.py",
    "test_ensembles.py",
    "test_inspection.py",
    "test_models.py",
    "test_persistence.py",
    "test_plots.py",
    "test_streaming.py",
    "test_training.py",
}

# Class names that occur twice today, to be renamed; nothing may be added.
REPEATED_CLASSES: set[str] = set()

# Modules that their package's docstring does not name today; nothing may be added.
UNNAMED_MODULES: dict[str, set[str]] = {}


@functools.cache
def edges():
    return imports(FILES)


def test_no_circles():
    assert circles(edges()) == []


def test_a_planted_circle_is_found(tmp_path):
    package = tmp_path / "planted"
    package.mkdir()
    (package / "__init__.py").write_text("from .a import x\n")
    (package / "a.py").write_text("def x():\n    from . import b\n")
    (package / "b.py").write_text("if TYPE_CHECKING:\n    from planted.c import y\n")
    (package / "c.py").write_text("from .a import x\n")
    (package / "d.py").write_text("from . import a, b\nimport planted.c\n")
    found = imports(modules(tmp_path, {"planted": "planted"}))
    assert circles(found) == [["planted.a", "planted.b", "planted.c"]]


def package_of(module):
    """Return a module's package, which is the module itself if that is a package."""
    parts = module.split(".")
    return parts if FILES[module].name == "__init__.py" else parts[:-1]


def passes_a_face(edge):
    """Return whether an import reaches into a package to which the importer does not belong."""
    here, there = package_of(edge.importer), edge.module.split(".")
    common = 0
    while common < min(len(here), len(there)) and here[common] == there[common]:
        common += 1
    # The first name below the common package is a neighbour; what follows lies inside it.
    inside = there[common + 1 :]
    if edge.name is not None and package_of(edge.module) != here[: len(package_of(edge.module))]:
        inside.append(edge.name)
    return any(name.startswith("_") and not name.endswith("__") for name in inside)


def test_only_faces_are_imported():
    inner = Import("fastmlp.models._mlp", "fastmlp.paths._grid", "Grid", 1)
    name = Import("fastmlp.models._mlp", "fastmlp.metrics", "_name", 1)
    near = Import("fastmlp.models._mlp", "fastmlp.models._files", "_name", 1)
    assert [passes_a_face(edge) for edge in (inner, name, near)] == [True, True, False]
    assert [edge for edge in edges() if passes_a_face(edge)] == []


def test_public_entries_are_documented():
    reference = {p.stem for p in (CHECKOUT / "docs/reference").glob("*.rst")}
    entries = {name.split(".")[1] for name in FILES if name.count(".")} - {"cli"}
    assert {name for name in entries if not name.startswith("_")} == reference


def test_no_private_module_lies_at_the_top():
    assert [p.name for p in (CHECKOUT / "fastmlp").glob("_*.py")] == ["__init__.py"]


def modules_of(package):
    """Return the modules and packages directly below one, compiled ones included."""
    inner = {n.rpartition(".")[2] for n in FILES if n.rpartition(".")[0] == package}
    return inner | {p.stem for p in FILES[package].parent.glob("*.pyx")} - {"__main__"}


@pytest.mark.parametrize("package", [p for p in PACKAGES if p != "fastmlp"])
def test_docstrings_name_the_modules(package):
    text = ast.get_docstring(parsed(FILES[package])) or ""
    missing = {m for m in modules_of(package) if not re.search(rf"(?<!\w){m}(?!\w)", text)}
    assert missing - UNNAMED_MODULES.get(package, set()) == set()


def test_architecture_names_every_entry():
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert [m for m in modules_of("fastmlp") if not re.search(rf"(?<!\w){m}(?!\w)", text)] == []


def found(path):
    """Return a path that ARCHITECTURE.md gives, from the checkout or from the package."""
    return next((r / path for r in (CHECKOUT, CHECKOUT / "fastmlp") if (r / path).exists()), None)


def test_architecture_points_to_what_exists():
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`([\w./]+/[\w.]*)`", text))
    pointers = re.findall(r"`([\w./]+\.\w+):\s+([\w.]+)`", text)
    assert len(paths) > 20 and len(pointers) > 20
    assert [path for path in paths if found(path) is None] == []
    for path, name in pointers:
        # The class, function, kernel (cdef, INLINE) or method, where it is defined.
        last = name.rpartition(".")[2]
        pattern = rf"^\s*(class|def|cdef|cpdef|INLINE)\b[^=\n]*\b{last}\b"
        assert found(path) is not None, path
        assert re.search(pattern, found(path).read_text(encoding="utf-8"), re.M), (path, name)


def test_class_names_are_unique():
    places = defaultdict(list)
    for module, path in FILES.items():
        tree = parsed(path)
        if module == "fastmlp.losses" or module.startswith("fastmlp.metrics"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    repeated = {name: where for name, where in places.items() if len(where) > 1}
    assert {n: where for n, where in repeated.items() if n not in REPEATED_CLASSES} == {}


SOURCES = (".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h")


def longer_than(n_lines, folder, root=CHECKOUT):
    """Return the sources in a folder that have more lines, by their path from `root`."""
    files = [path for path in (CHECKOUT / folder).rglob("*") if path.suffix in SOURCES]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    long = [path for path, text in texts.items() if text.count("\n") > n_lines]
    return {path.relative_to(root).as_posix() for path in long}


def test_long_files_have_a_reason():
    assert longer_than(400, "fastmlp") | longer_than(400, "cli") <= set(LONG_FILES)


def test_long_tests_have_a_reason():
    long = longer_than(500, "tests", CHECKOUT / "tests")
    assert {p for p in long if Path(p).name not in TESTS_TO_CUT} <= set(LONG_TESTS)


def strings(node):
    """Return the strings of a literal tuple, list or set; None for anything else."""
    if not isinstance(node, ast.Tuple | ast.List | ast.Set) or not node.elts:
        return None
    if not all(isinstance(e, ast.Constant) and isinstance(e.value, str) for e in node.elts):
        return None
    return [e.value for e in node.elts]


@pytest.mark.skipif(NAMES not in FILES, reason="names stand in several places")
def test_names_stand_in_one_place():
    groups = [set(s) for s in map(strings, ast.walk(parsed(FILES[NAMES]))) if s and len(s) > 2]
    assert groups
    restated = []
    for module, path in FILES.items():
        tree = parsed(path)
        # The kernels lie below the names, and list their codes themselves.
        if module == NAMES or module.startswith("fastmlp._kernels"):
            continue
        # What mypy is told by Literal[...] cannot be computed; __all__ lists functions.
        allowed = {id(n.slice) for n in ast.walk(tree) if isinstance(n, ast.Subscript)}
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                allowed.add(id(node.value))
        for node in ast.walk(tree):
            if id(node) not in allowed and (said := strings(node)):
                restated += [(module, node.lineno) for g in groups if len(g & set(said)) > 2]
    assert restated == []
