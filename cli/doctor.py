"""`fastmlp doctor`: facts for a bug report."""

from __future__ import annotations

from typing import Any

import click

from . import _options
from ._output import print_json

EPILOG = """\b
Examples:
  fastmlp doctor                  print everything
  fastmlp doctor --json           the same as one JSON document
  FASTMLP_ISA=avx2 fastmlp doctor check that the instruction set can be forced
"""


@click.command(epilog=EPILOG)
@_options.as_json
def command(as_json: bool) -> None:
    """Print the facts that a bug report needs.

    These are versions, processor and threads. Nothing is sent anywhere, and no file is named.
    """
    facts = _facts()
    if as_json:
        print_json(facts)
        return
    for title, section in facts.items():
        click.echo(f"{title}:")
        width = max(map(len, section), default=0)
        for name, value in section.items():
            click.echo(f"  {name:<{width}}  {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _facts() -> dict[str, dict[str, Any]]:
    import importlib.metadata
    import importlib.util
    import os
    import platform
    import sys

    import fastmlp
    from fastmlp import _kernels, threads

    count, automatic = threads.resolve()
    versions: dict[str, str | None] = {}
    for name in ("numpy", "scipy", "matplotlib", "click", "rich", "safetensors"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
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
        "packages": versions,
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
