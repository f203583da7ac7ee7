"""`fastmlp doctor`: whether everything works, what helps, and the facts for a bug report."""

from __future__ import annotations

from typing import Any

import click

from fastmlp.errors import printable

from . import _checks, _help, _options
from ._output import Failure, print_json

EPILOG = """\b
Examples:
  fastmlp doctor                  print everything
  fastmlp doctor --json           the same as one JSON document
  FASTMLP_ISA=avx2 fastmlp doctor  force an instruction set

The command trains a small network, compares it with the formula, and tries to import every package
that fastmlp can use, including optional ones. The last lines list each problem or suggestion and
how to solve it. If there is a problem, the exit code is 1; suggestions, such as an optional package
that is not installed, leave it at 0.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.as_json
def command(as_json: bool) -> None:
    """Check the installation, and print the facts for a bug report.

    The facts are versions, processor and threads. Nothing is sent anywhere, and no file names are
    printed.
    """
    packages = _checks.packages()
    facts = _facts(packages)
    found = _checks.findings(packages)
    verdict = _checks.verdict(found)
    if as_json:
        print_json({**facts, "verdict": verdict, "findings": _checks.as_json(found)})
    else:
        for title, section in facts.items():
            click.echo(f"{title}:")
            width = max(map(len, section), default=0)
            for name, value in section.items():
                click.echo(f"  {name:<{width}}  {_shown(value)}")
        click.echo(f"verdict: {verdict}")
        for finding in found:
            click.echo(printable(f"  {finding.level}: {finding.text}\n    {finding.remedy}"))
    if any(finding.level == _checks.PROBLEM for finding in found):
        raise Failure(verdict)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _facts(packages: list[_checks.Package]) -> dict[str, dict[str, Any]]:
    import importlib.util
    import os
    import platform
    import sys

    import fastmlp
    from fastmlp import _kernels, threads

    count, automatic = threads.resolve()
    settings = ("FASTMLP_ISA", "OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_WAIT_POLICY", "NO_COLOR")
    return {
        "fastmlp": {
            "version": fastmlp.__version__,
            "instruction set": _kernels.isa(),
            "supported": list(_kernels.supported_isas()),
            "threads": count,
            "threads chosen": "automatically" if automatic else "by setting",
            "editable install": any(
                importlib.util.find_spec(name) is not None
                for name in ("_fastmlp_editable", "_editable_skbc_fastmlp")
            ),
        },
        "machine": {
            "system": platform.platform(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "processors": os.cpu_count(),
            "processors usable": threads.available(),
            "memory": _memory(),
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
            "virtual environment": sys.prefix != sys.base_prefix,
        },
        "packages": {p.name: p.version for p in packages if p.extra is None},
        "optional packages": {p.name: p.version for p in packages if p.extra is not None},
        "environment": {name: os.environ[name] for name in settings if name in os.environ},
    }


def _proc_field(path: str, key: str) -> str | None:
    from pathlib import Path

    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), None)


def _processor() -> str | None:
    import platform

    return _proc_field("/proc/cpuinfo", "model name") or platform.processor() or None


def _memory() -> str | None:
    text = _proc_field("/proc/meminfo", "MemTotal")
    return None if text is None else f"{int(text.split()[0]) / 2**20:.1f} GiB"
