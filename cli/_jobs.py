"""The trainings of `fastmlp train`: on the lecture's data, on a table in memory, on a stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from fastmlp.errors import printable

from . import _config, _data, _decided, _options, _ranks, _report, _resume
from ._output import Messages, OutputOptions, check_outputs, console, grid, print_json
from ._training import ALL_ROWS, NetworkOptions, Settings, TrainingOptions, build

if TYPE_CHECKING:
    from fastmlp.models import Sequential
    from fastmlp.tabular import FoldsTraining, Prepared, TableTraining


@dataclass
class Given:
    """The options of the command."""

    units: str | None
    network: NetworkOptions
    training: TrainingOptions
    options: _decided.TableOptions
    source: _data.Source
    held_out: _data.Validation
    streaming: _data.Streaming
    validation_every: int | None
    checkpoints: _resume.Checkpoints
    polish: bool
    team: _ranks.Team
    report: Messages
    dry_run: bool


class Job:
    """One training, from its data to its results.

    Parameters
    ----------
    given : Given
    settings : Settings
        A seed, and what options or defaults for the lecture's data say.
    resumed : Sequential or None
        The model of the run that is resumed.

    Attributes
    ----------
    model : Sequential
        Compiled; other than before `train` if it is trained anew on all rows.
    data : Data
    settings : Settings
    """

    model: Sequential
    data: _data.Data

    def __init__(self, given: Given, settings: Settings, resumed: Sequential | None) -> None:
        self.given, self.settings, self.resumed = given, settings, resumed
        self.report, self.team = given.report, given.team
        self.prepare()

    @classmethod
    def check(cls, given: Given) -> None:
        """Fail, before any file is read, if options do not fit this kind of training."""

    def prepare(self) -> None:
        """Read the data, and make the model."""
        raise NotImplementedError

    def configuration(self) -> str:
        """Return the options of the run, with every decision, as a TOML file."""
        raise NotImplementedError

    def find_rate(self, figures: str | None, results: OutputOptions) -> None:
        """Print and draw the loss over rising learning rates."""
        raise click.UsageError("--find-rate needs DATA with all rows in memory")

    def train(self) -> None:
        """Train the model, and polish it if asked."""
        data, settings, model = self.data, self.settings, self.model
        options: dict[str, Any] = {
            "batch_size": settings.batch_size,
            "epochs": settings.epochs,
            "verbose": self.report.verbosity,
            "shuffle": settings.batch_size < data.n_rows,
            "validation_data": data.validation,
            "validation_freq": settings.validation_every,
            **self.given.checkpoints.arguments,
            **self.team.arguments,
            **self.more_arguments(),
        }
        if isinstance(data.train, tuple):
            x, y = data.train
            model.fit(x, y, **options)
        else:
            from fastmlp import streaming

            streaming.fit(model, data.train, **options)
        self.polish()

    def more_arguments(self) -> dict[str, Any]:
        """Return further arguments of `fit`."""
        return {}

    def polish(self) -> None:
        """Optimise on all training rows at once, if asked."""
        if not self.given.polish:
            return
        assert isinstance(self.data.train, tuple)
        x, y = self.data.train
        polished = self.model.polish(x, y, verbose=self.report.verbosity)
        self.report.note(
            f"Polished: {polished.message}, slack {polished.slack:.1e} after "
            f"{polished.n_iter} iterations."
        )

    def finish_early(self) -> None:
        """Complete a model whose training was interrupted."""

    def result(self, seconds: float) -> dict[str, Any]:
        """Return all results, for JSON and for `print_result`."""
        return _report.result(
            self.model, self.data, self.described(), seconds, self.report.quiet, self.team
        )

    def described(self) -> dict[str, Any]:
        """Return the description of the network."""
        return _report.described(self.model, self.data, self.settings)

    def print_result(self, result: dict[str, Any], output: str | None) -> None:
        """Print the results."""
        _report.print_table(result, self.data.preprocessing.target.is_scaled)


class PlainJob(Job):
    """A training with the defaults of the lecture; also of runs begun before there were others."""

    @classmethod
    def check(cls, given: Given) -> None:
        """Require --units; refuse options for tables."""
        if given.units is None:
            raise click.UsageError("Missing option '--units', which the lecture's data need")
        given.options.refuse("is for DATA, which is not given")

    def prepare(self) -> None:
        """Read the data, and make the model."""
        given, settings, resumed = self.given, self.settings, self.resumed
        source = given.source
        assert given.units is not None
        arguments = given.network.arguments(given.units)
        whole = settings.batch_size == ALL_ROWS
        run = self.run = _config.resolved(
            epochs=settings.epochs,
            batch_size=None if whole else settings.batch_size,
            validation_every=settings.validation_every,
            validation_split=None if given.held_out.validation else 0.0,
            seed=settings.seed,
            optimizer=settings.optimizer.name,
            learning_rate=settings.optimizer.learning_rate,
            standardize=None if source.data is None else True,
            shards=given.team.shards,
        )
        if _config.print_wanted():
            return
        by_class = resumed is None or resumed.extras.get("split") == "by class"
        kept = None
        if resumed is not None and source.data is not None:
            from fastmlp.preprocessing import Preprocessing

            kept = Preprocessing.of(resumed)
        self.data = _data.read(
            source, given.streaming, given.held_out, settings.seed, given.report, given.team.ranks,
            by_class, kept,
        )  # fmt: skip
        state = self.data.preprocessing
        if source.data is not None:
            run = {**run, "target": [state.target.name], "task": state.task}
        self.model = resumed or build(arguments, self.data, settings)
        self.model.extras.setdefault(_config.KEPT, run)
        if by_class and given.held_out.validation_split and state.target.labels:
            self.model.extras["split"] = "by class"

    def configuration(self) -> str:
        """Return the options of the run as a TOML file."""
        return _config.to_toml(self.run)


class _DecidedJob(Job):
    """A training on a table, whose network and epochs are decided."""

    prepared: Prepared
    training: TableTraining

    def begin(self) -> None:
        """Make the model, and keep the run's options in it."""
        decisions = self.prepared.decisions
        state = self.prepared.preprocessing
        self.run = _config.resolved(
            **_decided.resolved(self.prepared),
            target=[state.target.name, *(target.name for target in state.further)],
            task=state.task,
            validation_every=1,
            seed=self.settings.seed,
            standardize=True,
            impute="median",
            indicator=self.given.source.impute != "none",
            max_categories=64,
            unknown="ignore",
            shards=self.team.shards,
        )
        if self.given.held_out.validation is not None:
            self.run.pop("validation-split", None)
        if _config.print_wanted():
            return
        for line in self.prepared.notes:
            self.report.note(line)
        if self.resumed is None:
            self.report.note(self.prepared.sentence())
        self._details()
        if self.given.dry_run:  # no weights are drawn: those of a large network take a while
            self.prepared.decisions = replace(decisions, start="glorot")
        with _options.library_call():
            self.make()
        self.model.extras.setdefault(_config.KEPT, self.run)
        optimizer = self.model.optimizer
        assert optimizer is not None
        self.settings = Settings(
            self.prepared.n_epochs, decisions.batch_size, self.given.validation_every or 1,
            self.settings.seed, optimizer,
        )  # fmt: skip

    def make(self) -> None:
        """Make the model that is trained."""
        from fastmlp import tabular

        self.training = tabular.TableTraining(self.prepared, self.resumed, self.report.note)
        self.model = self.training.model

    def _details(self) -> None:
        report, data = self.report, self.data
        for column in data.preprocessing.columns:
            if column.kind == "categorical":
                report.detail(f"Column '{column.name}': {len(column.categories)} categories.")
        if data.preprocessing.target.labels:
            report.detail(f"Classes: {', '.join(map(str, data.preprocessing.target.labels))}.")
        held = _data.n_rows(data.validation)
        report.detail(
            f"{data.n_rows} training rows, {held} validation rows, "
            f"{data.preprocessing.n_inputs} inputs."
        )

    def configuration(self) -> str:
        """Return the options of the run, with every decision, as a TOML file."""
        return _decided.comments(self.prepared) + _config.to_toml(self.run)

    def result(self, seconds: float) -> dict[str, Any]:
        """Return all results."""
        decisions, kept = self.prepared.decisions, self.model.extras["table"]
        found = super().result(seconds)
        return {
            **found,
            "epochs": len(self.model.history.epoch) if self.model.history else 0,
            "learning_rate": decisions.learning_rate,
            "schedule": decisions.schedule,
            "best_epoch": kept.get("best_epoch"),
            "decisions": decisions.to_dict(),
            "held_out": kept.get("held_out"),
            "threshold": kept.get("threshold"),
        }


class TableJob(_DecidedJob):
    """A training on a table in memory."""

    @classmethod
    def check(cls, given: Given) -> None:
        """Refuse what cannot be combined."""
        options, several = given.options, given.team.shards is not None
        if several and options.max_time is not None:
            raise click.UsageError("--max-time works in one process; shards keep no common clock")
        if options.refit and given.checkpoints.checkpoint is not None:
            raise click.UsageError("--refit trains twice; a --checkpoint holds one run")
        if options.refit and (several or given.polish):
            other = "--polish" if given.polish else "shards"
            raise click.UsageError(f"--refit and {other} exclude each other")
        if several and (options.weight or options.class_weight):
            raise click.UsageError("--weight and --class-weight work without shards")

    def prepare(self) -> None:
        """Read and prepare the table."""
        from fastmlp import tabular

        given, source = self.given, self.given.source
        assert source.data is not None
        keywords = _decided.keywords(
            source, given.options, given.network, given.training, given.held_out, given.units
        )
        with given.team.ranks.collectively():
            prepared = _decided.prepared(source.data, source, self.settings.seed, keywords)
            shown = tabular.shown_units(prepared.decisions.units)
            prepared.penalties = given.network.penalties(shown or "1")
            prepared.twice = not given.polish  # which makes the penalised loss small
            with _options.library_call():
                tabular.check_answers(prepared, given.options.wanted, given.options.refit)
        self.prepared = prepared
        train, held = prepared.train, prepared.held
        self.data = _data.Data(
            source.name, prepared.preprocessing, train[:2], None if held is None else held[:2],
        )  # fmt: skip
        self.begin()

    def find_rate(self, figures: str | None, results: OutputOptions) -> None:
        """Print and draw the loss over rising learning rates."""
        from fastmlp import plots, tabular

        check_outputs(figures, ["learning_rates.png"], results.force)
        curve = tabular.find_rate(self.prepared)
        if figures is not None:
            from pathlib import Path

            figure = plots.plot_rates(curve.rates, curve.losses, curve.suggested)
            plots.save(figure, Path(figures) / "learning_rates.png")
            self.report.note(f"Wrote learning_rates.png to {figures}.")
        if results.as_json:
            print_json({"learning_rates": curve.rates.tolist(), "losses": curve.losses.tolist(),
                        "suggested": curve.suggested})  # fmt: skip
            return
        _print_curve(curve.rates.tolist(), curve.losses.tolist(), curve.suggested)

    def train(self) -> None:
        """Let folds choose the epochs if there are few rows; train, and score rows held out."""
        from fastmlp import tabular

        training, options = self.training, self.given.options
        if training.cross_validates:
            tabular.choose(training, options.wanted)
        more = {"validation_freq": self.settings.validation_every}
        training.run(
            self.report.verbosity,
            **(more if training.held is not None else {}),
            **self.given.checkpoints.arguments,
            **self.team.arguments,
        )
        self.polish()
        tabular.answer(training, options.wanted)
        if options.refit:
            tabular.refit(training, self.report.verbosity)
            self.model = training.model

    def finish_early(self) -> None:
        """Score the best epoch so far on the rows held out."""
        from fastmlp import tabular

        tabular.answer(self.training, self.given.options.wanted)

    def print_result(self, result: dict[str, Any], output: str | None) -> None:
        """Print the figures on rows held out, beside simple models, and what to do next."""
        from fastmlp import tabular

        figures = tabular.figures(self.training)
        if figures is None:
            super().print_result(result, output)
            return
        table, out = grid(), console()
        table.add_column("")
        linear = "linear" if result["task"] == "regression" else "logistic"
        for name in ("network", "constant", linear):
            table.add_column(name, justify="right", no_wrap=True)
        for row in figures.closing_table():
            table.add_row(*row)
        out.print(table)
        zeros = f" ({result['zeros']:.2%} of weights zero)" if result["zeros"] else ""
        ranks = f", {result['ranks']} ranks" if result.get("ranks", 1) > 1 else ""
        out.print(
            f"{figures.n_rows:,} rows, {figures.how}; {self.kept_networks(result)}; "
            f"{result['parameters']:,} parameters{zeros}, {result['seconds']:.3g} s, "
            f"seed {result['seed']}{ranks}"
        )
        threshold = result["threshold"]
        if threshold is not None and threshold["rule"] != "given":
            label = printable(str(self.prepared.preprocessing.target.labels[1]))
            out.print(
                f"'{label}' from a probability of {threshold['value']:.3g} on "
                f"({threshold['rule']}): "
                f"{threshold['false_positives']} false positives, "
                f"{threshold['false_negatives']} false negatives on these rows",
                markup=False,
            )
        for line in figures.warnings() if not self.report.quiet else ():
            click.secho(line, fg="yellow", err=True)
        file = output or "MODEL"
        kept = "" if output else "Keep the model with -o MODEL. "
        self.report.note(
            f"{kept}Next: fastmlp evaluate {file} new.csv, fastmlp predict {file} new.csv"
        )

    def kept_networks(self, result: dict[str, Any]) -> str:
        """Say which network, or networks, the model holds."""
        from fastmlp import tabular

        bounded = self.prepared.decisions.epochs < tabular.UNBOUNDED
        of = f" of {self.prepared.n_epochs}" if bounded else ""
        again = ", then trained on all rows" if self.given.options.refit else ""
        return f"best epoch {result['best_epoch']}{of}{again}"


class FoldsJob(TableJob):
    """The training of a network for each fold of a table, with --effort high."""

    training: FoldsTraining  # type: ignore[assignment]

    @classmethod
    def check(cls, given: Given) -> None:
        """Refuse what is about one network."""
        others = {
            "--polish": given.polish,
            "--checkpoint": given.checkpoints.checkpoint is not None,
            "--find-rate": given.options.find_rate,
            "--shards, or several ranks,": given.team.shards is not None,
        }
        for name, found in others.items():
            if found:
                raise click.UsageError(
                    f"--effort high trains several networks; {name} is for one network"
                )
        super().check(given)

    def make(self) -> None:
        """Make the network that each fold trains anew."""
        from fastmlp import tabular

        self.training = tabular.FoldsTraining(self.prepared, self.report.note)
        self.model = self.training.template

    def train(self) -> None:
        """Train, and score each network on the rows of its fold."""
        from fastmlp import tabular

        training = self.training
        try:
            training.run(self.report.verbosity)
        finally:
            if training.model is not None:
                self.model = training.model
                self.model.extras.setdefault(_config.KEPT, self.run)
        tabular.answer_folds(training, self.given.options.wanted)

    def finish_early(self) -> None:
        """Score the networks so far on the rows of their folds."""
        from fastmlp import tabular

        tabular.answer_folds(self.training, self.given.options.wanted)

    def described(self) -> dict[str, Any]:
        """Return the description of the networks."""
        from fastmlp._model.summary import zero_share

        found = _report.described(self.training.template, self.data, self.settings)
        shares = [zero_share(member) for member in self.training.model]
        return {
            **found,
            "networks": len(shares),
            "parameters": self.training.model.count_params(),
            "zeros": sum(shares) / len(shares),
        }

    def kept_networks(self, result: dict[str, Any]) -> str:
        """Say how many networks the model holds."""
        return (
            f"the mean of {result['networks']} networks of at most {self.prepared.n_epochs} epochs"
        )


class StreamJob(_DecidedJob):
    """A training on a Parquet file that is read anew for every epoch."""

    @classmethod
    def check(cls, given: Given) -> None:
        """Refuse what needs all rows in memory."""
        if given.polish:
            raise click.UsageError("--polish needs all rows in memory; they are streamed")
        given.options.refuse(
            "needs all rows in memory; they are streamed (--no-stream reads them)",
            "--loss", "--metric", "--patience", "--schedule", "--clip", "--max-time",
            "--effort",
        )  # fmt: skip
        if given.team.shards is not None and given.options.max_time is not None:
            raise click.UsageError("--max-time works in one process; shards keep no common clock")

    def prepare(self) -> None:
        """Open the stream, and decide by its number of rows."""
        from fastmlp import tabular

        given, source = self.given, self.given.source
        share = given.held_out.validation_split
        if share is None:
            share = 0.0 if given.held_out.validation else tabular.SHARE
        held_out = replace(given.held_out, validation_split=share or None)
        keywords = _decided.keywords(
            source, given.options, given.network, given.training, held_out, given.units
        )
        keywords["validation_split"] = share
        self.data = _data.read(
            source, given.streaming, held_out, self.settings.seed, given.report, given.team.ranks
        )
        with _options.library_call():
            prepared = tabular.prepared_stream(
                self.data.train, self.data.sample(), seed=self.settings.seed, **keywords
            )
            shown = tabular.shown_units(prepared.decisions.units)
            prepared.penalties = given.network.penalties(shown or "1")
        prepared.notes.append(
            "A stream holds out rows at random, not by class, group or time, and has no "
            "comparison with simple models, intervals or thresholds."
        )
        self.prepared = prepared
        self.begin()

    def more_arguments(self) -> dict[str, Any]:
        """Return the callbacks that keep the best epoch."""
        return {"callbacks": self.training.stream_callbacks(self.data.validation is not None)}

    def train(self) -> None:
        """Train; keep the best epoch."""
        with self.training.best_kept():
            super().train()
        self.training.kept["best_epoch"] = self.training.best


def _print_curve(rates: list[float], losses: list[float], suggested: float) -> None:
    """Print losses by rate, one line for each eighth of a power of ten, with bars."""
    low, high = min(losses), max([*losses[:20], min(losses)])
    for rate, loss in list(zip(rates, losses, strict=True))[::6]:
        share = min(1.0, max(0.0, (loss - low) / ((high - low) or 1.0)))
        click.echo(f"{rate:9.2e}  {loss:11.5g}  {'#' * (1 + round(40 * share))}")
    click.echo(f"Suggested: --learning-rate {suggested:g}, where the loss falls fastest.")
