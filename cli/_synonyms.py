"""Words from other programs, and the commands and options that they mean here."""

from __future__ import annotations

from collections.abc import Iterable

# Each line: what is meant, the best first; then words for it. A command suggests those it has.
_OPTIONS = """
--learning-rate: lr learning-rate-init rate step-size eta0
--units: hidden hidden-units hidden-layers hidden-layer-sizes hidden-sizes layers layer-sizes
--units: neurons nodes width widths sizes architecture n-hidden dense
--l2 --penalty: alpha weight-decay wd l2-penalty l2-reg ridge
--l1 --penalty: l1-penalty l1-reg lasso
--l2 --penalty --lambdas: lambda reg regularization regularizer regularisation kernel-regularizer
--l1-ratio: elastic-net elasticnet
--group-l1 --penalty: group-lasso
--standardize: normalize normalise scale scaling scaler standardise zscore
--patience: early-stopping early-stop early-stopping-rounds n-iter-no-change stop-early
--epochs: max-iter n-epochs num-epochs max-epochs iterations iter n-iter steps
--epochs: num-boost-round num-iterations
--batch-size: batch minibatch bs minibatch-size
--optimizer: solver optimiser opt
--seed: random-state random-seed rng
--schedule: scheduler lr-schedule lr-scheduler learning-rate-schedule decay
--clip: grad-clip gradient-clip clipnorm clip-norm max-grad-norm clip-grad
--max-time: time-limit time-budget timeout max-runtime
--class-weight: class-weights scale-pos-weight
--weight: weights sample-weight weight-column sample-weights
--loss: objective criterion loss-function
--metric --measure --sort: metrics scoring eval-metric
--activation: act activation-function nonlinearity
--dropout: dropout-rate drop-rate p-dropout
--target: label labels y response outcome target-column dependent label-column
--task: type problem-type task-type mode classification regression
--drop: ignore exclude ignore-columns drop-columns skip
--categorical: cat cat-features categorical-columns categorical-features categories factor
--delimiter: sep separator delim
--missing: na na-values na-strings null-values missing-values
--impute: imputer fillna fill-missing imputation
--no-header: headerless
--validation-split --folds: test-size validation-fraction test-split holdout split val-split
--validation: validation-data val test test-data valid eval-set dev
--folds: cv k-folds nfolds kfold k n-splits n-folds cross-validation cross-validate
--group: groups-column group-column cluster-column
--refit: retrain
--threshold: cutoff cut-off
--interval: prediction-interval conformal coverage
--n-lambdas: nlambda n-alphas num-lambdas
--lambda-ratio: lambda-min-ratio eps
--choose: select lambda-choice
--members: n-estimators n-members num-members n-models size
--bootstrap: bag bagging
--samples: n-trials trials n-iter n-samples n-configs
--method: search strategy sampler
--find-rate: lr-find lr-finder find-lr
--threads: num-threads n-threads cpus cores nthread
--jobs --threads: n-jobs workers processes nproc num-workers
--cluster: dask scheduler-address
--shards: ranks
--output: out save save-model output-file model-file model dest
--plot --output: figures figure fig plots
--json: format output-format
--force: overwrite replace yes
--quiet: silent
--verbose: debug verbosity log-level
--checkpoint: save-every snapshot
--resume: continue restart warm-start
--config: conf settings params
--keep-columns: all-columns keep-all
--id: id-column key
--to: format
--kind: type plot-type
"""
_COMMANDS = """
train: fit learn run-training model teach
sweep: tune search grid hyperopt optimize optimise tuning gridsearch random-search halving optuna
path: lasso glmnet regularize cv lambda lambdas ridge elasticnet
ensemble: bag bagging members many forest
summary: info describe print layers show
evaluate: score test eval metrics validate assess quality
inspect report: explain interpret importance shap diagnose features dependence attribution
predict: infer apply forecast run inference transform
compare: versus diff rank
plot: draw figure graph chart visualize visualise roc
report: html card page
export: convert save onnx keras torch c
import: load read
prune: shrink compress simplify
datasets: data dataset examples
bench: benchmark speed time timing
doctor: check diagnostics env environment info-system bug
catalogue: lecture reproduce catalog networks
completion: complete shell autocomplete
"""


def _table(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        meant, _, words = line.partition(":")
        for word in words.split():
            found.setdefault(word, []).extend(meant.split())
    return found


def options(written: str, known: Iterable[str]) -> list[str]:
    """Return which of the known options a user may mean.

    Parameters
    ----------
    written : str
        An option that a command lacks, such as --lr.
    known : iterable of str
        The options of the command.

    Returns
    -------
    list of str
        Empty if the word is not in the table.
    """
    word = written.lstrip("-").replace("_", "-").lower()
    own = set(known)
    if f"--{word}" in own:
        return [f"--{word}"]
    return list(dict.fromkeys(name for name in _table(_OPTIONS).get(word, ()) if name in own))


def commands(written: str) -> list[str]:
    """Return which commands a user may mean by a word; none if it is not in the table."""
    return _table(_COMMANDS).get(written.lower(), [])
