"""Processor, load, compiler and versions, recorded with every measurement."""

from __future__ import annotations

import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastmlp
from fastmlp import _kernels, threads


def machine() -> dict[str, Any]:
    """Describe the machine, its load, and the compiler of the kernels.

    Returns
    -------
    dict
        Plain JSON values.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "processors_usable": threads.available(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "fastmlp": fastmlp.__version__,
        "instruction_set": _kernels.isa(),
        "compiler": _compiler(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8", errors="replace") if info.is_file() else ""
    model = re.search(r"model name\s*: (.*)", text)
    return model[1] if model else platform.processor()


def _compiler() -> str:
    """Return the compiler that is recorded in the kernels' module."""
    path = sys.modules[_kernels.network_class("float32").__module__].__file__
    assert path is not None
    found = re.search(rb"(GCC: \([^\0]+|clang version [^\0]+)\0", Path(path).read_bytes())
    return found[1].decode(errors="replace") if found else "unknown"
