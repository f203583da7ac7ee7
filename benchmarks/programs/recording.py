"""Record measurements: the machine, the compiler flags, reading and writing files."""

import json
import re
from pathlib import Path

from fastmlp import bench

BUILD_FILE = Path(__file__).parents[2] / "fastmlp" / "_kernels" / "CMakeLists.txt"


def machine():
    """Return processor, load, compiler, flags and versions."""
    about = bench.machine()
    return about | {"flags": compiler_flags(about["instruction_set"])}


def compiler_flags(isa):
    """Return the compiler flags of the kernels in use, read from the build file."""
    text = " ".join(BUILD_FILE.read_text().split())
    common = re.search(r"set\(flags (.*?) ?\$\{ARGN\}\)", text)
    own = re.search(rf"network_modules\({isa} ?(.*?)\)", text)
    flags = " ".join(match[1] for match in (common, own) if match)
    for name, value in re.findall(r'set\((\w+) "([^"]*)" CACHE', text):
        flags = flags.replace(f"${{{name}}}", value)
    return flags


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def read(path):
    return json.loads(path.read_text())


def conditions(document):
    """Return one line for a chart: machine, version, threads and date of the measurements."""
    about, threads = document["machine"], document["settings"]["threads"]
    return ", ".join(
        [
            f"{about['processor']} with {about['processors_usable']} processors",
            f"fastmlp {about['fastmlp']} ({about['instruction_set']})",
            f"{threads} threads" if threads else "each library's own number of threads",
            about["date"][:10],
        ]
    )
