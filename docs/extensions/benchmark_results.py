"""The directive `estimators-benchmark`: a table of what benchmarks/compare_sklearn.py recorded."""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
HEADER = ("case", "fastmlp, s", "scikit-learn, s", "times as fast", "scores")


def _row(cells):
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph(text=cell))
    return row


class EstimatorsBenchmark(SphinxDirective):
    """Shows one row for each case, and on what machine it was measured."""

    def run(self):
        """Return a table and a paragraph."""
        path = RESULTS / "sklearn.json"
        self.env.note_dependency(str(path))
        document = json.loads(path.read_text(encoding="utf-8"))
        group = nodes.tgroup(cols=len(HEADER))
        group += [nodes.colspec(colwidth=1) for _ in HEADER]
        group += nodes.thead("", _row(HEADER))
        body = nodes.tbody()
        for result in document["results"]:
            times = (result["seconds"], result["sklearn_seconds"], result["ratio"])
            body += _row([result["case"], *(f"{x:.3g}" for x in times), result["verdict"]])
        group += body
        machine = document["machine"]
        text = (
            f"Measured on {machine['processors_usable']} processors ({machine['processor']}, "
            f"{machine['instruction_set']}), scikit-learn {machine['scikit-learn']}, "
            f"NumPy {machine['numpy']}, {machine['compiler']}."
        )
        return [nodes.table("", group), nodes.paragraph(text=text)]


def setup(app):
    """Register the directive."""
    app.add_directive("estimators-benchmark", EstimatorsBenchmark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
