"""Directives that show measurements from benchmarks/results/, and the machine they are from.

`estimators-benchmark`: compare_sklearn.py; `many-networks-benchmark`: many_networks.py.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def _row(cells):
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph(text=cell))
    return row


def _table(header, rows):
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead("", _row(header))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group)


def _machine(machine, versions):
    return nodes.paragraph(
        text=f"Measured on {machine['processors_usable']} processors ({machine['processor']}), "
        f"{versions}, {machine['compiler']}."
    )


class _Results(SphinxDirective):
    def read(self, name):
        """Return a file's content; the page is rebuilt when the file changes."""
        self.env.note_dependency(str(RESULTS / name))
        return json.loads((RESULTS / name).read_text(encoding="utf-8"))


class EstimatorsBenchmark(_Results):
    """Shows one row for each case."""

    def run(self):
        """Return a table and a paragraph."""
        document = self.read("sklearn.json")
        rows = []
        for result in document["results"]:
            times = (result["seconds"], result["sklearn_seconds"], result["ratio"])
            rows.append([result["case"], *(f"{x:.3g}" for x in times), result["verdict"]])
        machine = document["machine"]
        versions = (
            f"{machine['instruction_set']}, scikit-learn {machine['scikit-learn']}, "
            f"NumPy {machine['numpy']}"
        )
        header = ("case", "fastmlp, s", "scikit-learn, s", "times as fast", "scores")
        return [_table(header, rows), _machine(machine, versions)]


class ManyNetworksBenchmark(_Results):
    """Shows one row for each instruction set."""

    def run(self):
        """Return a table and a paragraph."""
        documents = [self.read(name) for name in ("many_networks.json", "many_networks_avx2.json")]
        rows = []
        for document in documents:
            times = [document["results"][name]["median"] for name in ("fastmlp", "jax")]
            isa = document["machine"]["instruction_set"]
            rows.append([f"fastmlp with {isa}", *(f"{x:.3g}" for x in times),
                         f"{times[1] / times[0]:.3g}"])  # fmt: skip
        versions = f"JAX {documents[0]['versions']['jax']}"
        header = ("", "fastmlp, s", "JAX, s", "times as fast")
        return [_table(header, rows), _machine(documents[0]["machine"], versions)]


def setup(app):
    """Register the directives."""
    app.add_directive("estimators-benchmark", EstimatorsBenchmark)
    app.add_directive("many-networks-benchmark", ManyNetworksBenchmark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
