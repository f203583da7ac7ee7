"""The members of `fastmlp ensemble` over a table, each trained as `fastmlp train` does it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data, _decided, _options
from ._output import Messages, keep
from ._training import NetworkOptions, Settings, TrainingOptions

if TYPE_CHECKING:
    from fastmlp.ensembles import Ensemble
    from fastmlp.tabular import Prepared


class MembersJob:
    """An ensemble over a table, from its options to its results.

    Parameters
    ----------
    chosen : MemberOptions
    network : NetworkOptions
    training : TrainingOptions
    options : SharedOptions
    source : Source
    held_out : Validation
    """

    def __init__(
        self,
        chosen: Any,
        network: NetworkOptions,
        training: TrainingOptions,
        options: _decided.SharedOptions,
        source: _data.Source,
        held_out: _data.Validation,
    ) -> None:
        self.chosen, self.network, self.source = chosen, network, source
        source.one_target("ensemble")
        if chosen.folds is not None and (held_out.validation or held_out.validation_split):
            given = "--validation" if held_out.validation else "--validation-split"
            raise click.UsageError(f"{given} and --folds exclude each other")
        words = {**_decided.table_keywords(source), **options.keywords, **network.chosen()}
        words |= {name: getattr(training, name) for name in
                  ("optimizer", "learning_rate", "batch_size", "epochs")}  # fmt: skip
        words |= {"validation": held_out.validation, "validation_split": held_out.validation_split}
        if chosen.folds is not None:
            for name in ("group", "time"):
                if words.get(name) is not None:
                    raise click.UsageError(f"--{name} and --folds exclude each other")
            words["validation_split"] = 0.0
        if len(chosen.units) == 1:
            words["units"] = chosen.units[0]
        self.seed = _options.given_seed(training.seed)
        assert source.data is not None
        self.prepared: Prepared = _decided.prepared(source.data, source, self.seed, words)
        if chosen.folds is not None and chosen.folds > len(self.prepared.y):
            raise click.UsageError(
                f"--folds {chosen.folds} is more than the {len(self.prepared.y)} rows"
            )
        state = self.prepared.preprocessing
        decided = _decided.resolved(self.prepared)
        units = decided.pop("units")
        self.run = _config.resolved(
            **decided, **_decided.described(source), units=[units], target=[state.target.name],
            task=state.task, seed=self.seed,
        )  # fmt: skip
        if chosen.folds is not None or held_out.validation is not None:
            self.run.pop("validation-split", None)

    def configuration(self) -> str:
        """Return the options, with every decision, as a TOML file."""
        return _decided.comments(self.prepared) + _config.to_toml(self.run)

    @property
    def data(self) -> _data.Data:
        """The rows, for the report."""
        prepared = self.prepared
        train, held = prepared.train, prepared.held
        return _data.Data(
            self.source.name, prepared.preprocessing, train[:2], None if held is None else held[:2]
        )

    def settings(self, made: Ensemble) -> Settings:
        """Return how the members were trained, for the report."""
        decisions = self.prepared.decisions
        assert made.optimizer is not None
        return Settings(decisions.epochs, decisions.batch_size, 1, self.seed, made.optimizer)

    def figures(self, made: Ensemble, quiet: bool) -> dict[str, Any] | None:
        """Return the figures on rows held out; print a line if simple models are as good."""
        from fastmlp.tabular import Quality

        found = Quality.of(made).held_out
        if found is None:
            return None
        for line in [] if quiet else found.warnings():
            click.secho(line, fg="yellow", err=True)
        return found.to_dict()

    def train(self, workers: _options.Workers, output: str | None, report: Messages) -> Ensemble:
        """Train; if training is interrupted, save what there is, and say so."""
        from fastmlp import ensembles

        chosen, prepared = self.chosen, self.prepared
        for line in [*prepared.notes, prepared.sentence()]:
            report.note(line)
        given = {
            "seeds": None, "bootstrap": chosen.bootstrap, "folds": chosen.folds,
            "lambdas": chosen.lambdas, "penalty": chosen.penalty,
            "groups": self.network.groups or "units", "proximal": bool(self.network.proximal),
            **{name: _lambdas(name, getattr(self.network, name)) for name in
               ("l1", "l2", "group_l1")},
        }  # fmt: skip
        begun: list[Any] = []
        try:
            made = ensembles.of_prepared(
                begun, prepared, list(chosen.units) or None, chosen.members, given,
                workers.jobs, workers.cluster, None, report.verbosity,
            )  # fmt: skip
        except KeyboardInterrupt:
            # A second Ctrl-C must not lose what the first one saves.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            partial = begun[0].ensemble(partial=True) if begun else None
            kept = "no member had an epoch"
            if partial is not None:
                kept = f"{len(partial)} members had {partial.training_config['epochs']} epochs"
                if output is not None:
                    begun[0].described(partial)
                    keep(partial, output)
                    kept += f"; {output} has them"
            raise KeyboardInterrupt(f"Interrupted: {kept}.") from None
        made.extras[_config.KEPT] = self.run
        return made


def _lambdas(name: str, text: str | None) -> float | list[float] | None:
    found = _options.numbers(f"--{name.replace('_', '-')}", text)
    return None if not found else found[0] if len(found) == 1 else found
