"""The directive `figure-gallery`: every figure of `fastmlp.plots`, drawn when the pages are built.

Each figure is drawn twice from the code that is shown beside it, for light and for dark pages, and
written as SVG beside the page.
"""

import html
import warnings
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

SETUP = """\
import numpy as np
import fastmlp
from fastmlp import datasets, inspection, lecture, models, plots

# A curve, a classifier of points, and tables with a number, two and three classes.
x, y = datasets.regression_train()
curve = models.mlp("12", 1, 1, seed=3)
curve.compile("adam", "mse", ["mae"])
history = curve.fit(x, y, batch_size=50, epochs=1500, validation_split=0.2, verbose=0)
wide = lecture.train(lecture.CATALOGUE["model_1024units"], 100).model
points, classes = datasets.classification_train()
classifier = models.mlp("16x2", 2, 1, seed=1, output_activation="sigmoid", l2=1e-3)
classifier.compile("adam", "binary_crossentropy")
classifier.fit(points, classes, epochs=300, verbose=0)
rng = np.random.default_rng(0)
rows = {"age": rng.normal(45, 12, 500), "income": rng.lognormal(10, 0.5, 500),
        "city": rng.choice(["Aachen", "Bremen", "Celle"], 500), "member": rng.integers(0, 2, 500)}
score = (rows["age"] - 45) / 12 - np.log(rows["income"]) + 10 + 0.8 * (rows["city"] == "Celle")
score = score + 0.3 * rng.normal(size=500)
made = {"units": "16", "epochs": 40, "seed": 1, "interval": 0.9, "verbose": 0}
prices = {**rows, "price": 100 + 20 * score}
of_price = fastmlp.fit(prices, "price", **made)
risks = {**rows, "risk": np.where(score > 0, "high", "low")}
of_risk = fastmlp.fit(risks, "risk", **made)
grades = {**rows, "grade": np.digitize(score, [-0.7, 0.7]).astype(str)}
of_grade = fastmlp.fit(grades, "grade", **made)
path = fastmlp.path(x, y, "12", penalty="l1", n_lambdas=12, folds=4, epochs=150, seed=1, verbose=0)
"""

# Title, then the code that draws it; `theme` is added to the call.
FIGURES = {
    "Training": [
        ("Loss and metrics by epoch", "plots.plot_history(history)"),
        ("Loss over a rising learning rate",
         "plots.plot_rates(np.geomspace(1e-4, 1, 60), "
         "1 / (1 + 30 * np.geomspace(1e-4, 1, 60)) + np.geomspace(1e-4, 1, 60) ** 2, 0.1)"),
        ("Error against the number of rows",
         "plots.plot_learning_curve([50, 100, 200, 400], [[0.1, 0.2], [0.2, 0.2], [0.2, 0.3], "
         "[0.3, 0.3]], [[0.9, 0.8], [0.6, 0.5], [0.5, 0.4], [0.4, 0.4]], label='mse')"),
    ],
    "How good is a regression?": [
        ("Predicted against actual", "of_price.plot('predicted', prices)"),
        ("Residuals against prediction and columns", "of_price.plot('residuals', prices)"),
        ("Quantiles of the residuals", "of_price.plot('quantiles', prices)"),
        ("Prediction intervals", "of_price.plot('coverage', prices)"),
    ],
    "How good is a classifier?": [
        ("ROC", "of_risk.plot('roc', risks)"),
        ("Precision and recall, with the base rate", "of_risk.plot('precision-recall', risks)"),
        ("Calibration", "of_risk.plot('calibration', risks)"),
        ("Gains", "of_risk.plot('gains', risks)"),
        ("Confusion matrix", "of_grade.plot('confusion', grades)"),
        ("Scores of each class", "of_grade.plot('class-scores', grades)"),
    ],
    "Why does it predict that?": [
        ("Importance of columns", "of_price.plot('importance', prices)"),
        ("Contributions of columns to each row", "of_price.plot('attributions', prices)"),
        ("One row, explained", "of_price.plot('explain', prices, row=3)"),
        ("Partial dependence", "of_risk.plot('dependence', risks)"),
        ("Dependence on two columns", "of_price.plot('interaction', prices)"),
    ],
    "Inside a network": [
        ("Units and weights", "plots.plot_network(classifier)"),
        ("Histograms of weights", "plots.plot_weights(classifier)"),
        ("Activations of all units", "plots.plot_layers(curve)"),
        ("What each unit adds to the fit", "plots.plot_contributions(curve)"),
        ("A layer's units as a map",
         "plots.plot_unit_map(wide)"),
        ("A layer's units in small panels",
         "plots.plot_layer_activations_facetted("
         "lecture.build(lecture.CATALOGUE['model_128units']), 0)"),
        ("Diagnosis of layers",
         "plots.plot_layer_report(inspection.layer_report(classifier, points, classes))"),
        ("Gradients by layer",
         "plots.plot_gradients([models.mlp('16x8', 1, 1, seed=1, activation=name) "
         "for name in ('relu', 'sigmoid')])"),
        ("Change points before and after a repair",
         "plots.plot_change_points(wide, lecture.repair(wide)[0])"),
    ],
    "Data and boundaries": [
        ("Data of one input", "plots.plot_regression_data()"),
        ("Classes over two inputs", "plots.plot_classification_data()"),
        ("Probabilities, boundary and errors", "plots.plot_decision_boundary(classifier)"),
        ("Any two columns, the others at their medians",
         "of_grade.plot('boundary', grades, columns=['age', 'income'])"),
    ],
    "Many networks": [
        ("Cross-validated error by lambda", "plots.plot_cv(path)"),
        ("Weights by lambda", "plots.plot_path(path)"),
        ("Fits along a path", "plots.plot_path_fits(path)"),
        ("Members of an ensemble",
         "plots.plot_ensemble(fastmlp.ensemble(x, y, '16', 8, epochs=600, seed=1, verbose=0))"),
        ("Configurations of a sweep",
         "plots.plot_sweep(fastmlp.sweep(x, y, ['4', '16', '8x2'], l2=[0.0, 0.01], epochs=100, "
         "seed=1, store=folder / 'sweep', verbose=0))"),
    ],
}  # fmt: skip


def namespace(folder):
    """Run the setup; return its names."""
    names = {"folder": folder}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(SETUP, names)
    return names


def draw(code, names, theme):
    """Run a figure's code with a theme; return the figure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(f"{code[:-1]}, theme={theme!r})".replace("(, ", "("), dict(names))


class FigureGallery(SphinxDirective):
    """Shows each figure with its code."""

    def run(self):
        """Return sections of figures."""
        import tempfile

        from fastmlp import plots

        self.env.note_dependency(str(Path(plots.__file__).parent))
        directory = Path(self.env.app.outdir) / "_images" / "gallery"
        directory.mkdir(parents=True, exist_ok=True)
        found = [nodes.literal_block(SETUP, SETUP, language="python")]
        with tempfile.TemporaryDirectory() as folder:
            names = namespace(Path(folder))
            for heading, entries in FIGURES.items():
                section = nodes.section(ids=[nodes.make_id(heading)], names=[heading.lower()])
                section += nodes.title(text=heading)
                for title, code in entries:
                    stem = nodes.make_id(title)
                    for theme in ("light", "dark"):
                        path = directory / f"{stem}-{theme}.svg"
                        if code.startswith("plots.plot_sweep"):
                            (Path(folder) / "sweep").unlink(missing_ok=True)
                        plots.save(draw(code, names, theme), path)
                    section += nodes.raw("", _html(title, stem), format="html")
                    section += nodes.literal_block(code, code, language="python")
                found.append(section)
        return found


def _html(title, stem):
    images = "".join(
        f'<img class="only-{theme} fastmlp-figure" loading="lazy" '
        f'src="_images/gallery/{stem}-{theme}.svg" alt="{html.escape(title)}">'
        for theme in ("light", "dark")
    )
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{images}</figure>"


def setup(app):
    """Register the directive."""
    app.add_directive("figure-gallery", FigureGallery)
    return {"parallel_read_safe": True}
