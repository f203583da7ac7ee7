"""Every code block of the documentation and the README runs, and prints what it shows.

A page is a program: its ``python`` blocks share one namespace, its ``console`` blocks one
directory. What a ``text`` block after a ``python`` one shows, or a console block after its ``$``
lines, is what must come out: "..." is anything, and numbers agree within 2%. A comment in front of
a block says more: ``<!-- file: NAME -->``, this is the content of a file; ``<!-- slow -->``, it
takes long; ``<!-- frameworks: torch -->``, it needs that one; ``<!-- mpi -->``, it needs mpi4py and
mpiexec; ``<!-- checkout -->``, it is run in a new clone with a new virtual environment;
``<!-- continuous integration -->``, .ci/run runs it.
"""

import contextlib
import importlib.util
import io
import math
import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

import fastmlp

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^>]*) -->\n\s*)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass
class Block:
    """A fenced block."""

    language: str
    text: str
    mark: str
    argument: str
    line: int
    wanted: str | None = None


def blocks_of(text):
    """Cut a page into its blocks; output belongs to the block before."""
    blocks = []
    end = 0
    for found in FENCE.finditer(text):
        mark, _, argument = (found["mark"] or "").partition(": ")
        line = text.count("\n", 0, found.start("text"))
        block = Block(found["language"], found["text"], mark, argument, line)
        adjoining = not text[end : found.start()].strip()
        if block.language == "text" and not mark and adjoining and blocks:
            blocks[-1].wanted = block.text
        else:
            blocks.append(block)
        end = found.end()
    return blocks


def commands_of(text):
    """Cut a console block into commands and what each prints; without "$" it is a script."""
    if not re.search(r"^\$ ", text, re.MULTILINE):
        return [[text, ""]]
    commands = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            commands.append([line[2:], ""])
        elif commands and commands[-1][0].endswith("\\\n") and not commands[-1][1]:
            commands[-1][0] += line
        else:
            commands[-1][1] += line
    return commands


CI = "continuous integration"
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")


def compare(wanted, got, where):
    """Compare outputs: "..." is anything, spacing does not count, numbers agree within 2%."""
    pattern, numbers = "", []
    # Digits right before "..." are the beginning of a number, and are to come as they stand.
    for part in re.split(r"([\d.,]*\.\.\.|\s+)", wanted.strip()):
        if part.endswith("..."):
            pattern += re.escape(part[:-3]) + ".*?"
        elif not part.strip():
            pattern += r"\s+" if part else ""
        else:
            numbers += NUMBER.findall(part)
            pattern += r"([-+]?\d[\d.,e+-]*)".join(map(re.escape, NUMBER.split(part)))
    found = re.fullmatch(pattern, got.strip(), re.S)
    if found is None or not all(
        math.isclose(
            float(a.replace(",", "")), float(b.rstrip(".,").replace(",", "")), rel_tol=0.02
        )
        for a, b in zip(numbers, found.groups(), strict=True)
    ):
        raise AssertionError(f"{where} shows\n{wanted}\nbut prints\n{got}")


class Page:
    """Runs a page's blocks in one directory."""

    def __init__(self, path, directory):
        self.path = path
        self.directory = directory
        self.names = {"__name__": "__main__"}
        self.programs = Path(sys.executable).parent
        self.clone = None

    def run(self, block):
        where = f"{self.path.relative_to(CHECKOUT)}:{block.line + 1}"
        if block.mark == "file":
            (self.directory / block.argument).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self.run_python(block, where)
        elif block.language == "console" and block.mark == "checkout":
            self.run_console(block.text, where, self.in_checkout())
        elif block.language == "console":
            self.run_console(block.text, where, self.directory)
        elif block.language != "{figure-gallery}":  # which the build draws, see docs/conf.py
            raise AssertionError(f"{where}: nobody runs {block.language!r} blocks")

    def run_python(self, block, where):
        code = compile("\n" * block.line + block.text, str(self.path), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        if block.wanted is not None:
            compare(block.wanted, printed.getvalue(), where)

    def run_console(self, text, where, directory):
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FASTMLP")},
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            # Open MPI refuses root, and more ranks than processors, by itself.
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        }
        for command, wanted in commands_of(text):
            done = subprocess.run(
                ["bash", "-euc", command],
                cwd=directory,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{where}: {command}{done.stdout}{done.stderr}"
            if wanted.strip():
                compare(wanted, done.stdout, where)

    def in_checkout(self):
        if self.clone is None:
            self.clone = self.directory / "fastmlp"
            subprocess.run(["git", "clone", "-q", CHECKOUT, self.clone], check=True)
            venv.create(self.directory / "venv", with_pip=True)
            self.programs = self.directory / "venv" / "bin"
        return self.clone


MPI = importlib.util.find_spec("mpi4py") is not None and (
    Path(sys.executable).with_name("mpiexec").exists() or shutil.which("mpiexec") is not None
)


def wanted_now(block, slow):
    if block.mark == CI:
        return False
    if block.mark in ("slow", "checkout"):
        return slow
    if block.mark == "mpi":
        return MPI
    if block.mark == "frameworks":
        return slow and all(importlib.util.find_spec(name) for name in block.argument.split(", "))
    return True


@pytest.fixture
def page(request, tmp_path, monkeypatch):
    """Yield a page to run in a directory of its own, as a script would on one's desk."""
    monkeypatch.chdir(tmp_path)
    made = Page(request.param, tmp_path)
    yield made
    fastmlp.set_num_threads(None)


def name(path):
    return path.relative_to(CHECKOUT).as_posix()


def run_all(page, slow):
    for block in blocks_of(page.path.read_text(encoding="utf-8")):
        if wanted_now(block, slow):
            page.run(block)


# Pages that start many commands, or train for seconds. Continuous integration runs the README's.
LONG = ("README.md", "many-machines.md", "ensembles.md", "sweeps.md", "performance.md",
        "interchange.md", "faq.md", "how-good.md", "lambda-path.md")  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.slow] if p.name in LONG else []) for p in PAGES],
    indirect=True,
    ids=name,
)
def test_quick_blocks_run(page):
    run_all(page, slow=False)


SLOW = [
    path
    for path in PAGES
    if re.search("^<!-- (slow|frameworks|checkout)", path.read_text("utf-8"), re.M)
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", SLOW, indirect=True, ids=name)
def test_all_blocks_run(page):
    run_all(page, slow=True)


def test_pages_have_blocks_to_run():
    counts = {name(path): len(blocks_of(path.read_text(encoding="utf-8"))) for path in PAGES}
    assert sum(counts.values()) > 40
    for page in ("README.md", "docs/quick-start.md", "docs/tutorial/lecture.md"):
        assert counts[page] >= 4


def test_wrong_output_is_seen(tmp_path):
    made = Page(CHECKOUT / "README.md", tmp_path)
    text = "```python\nx = 2\nprint(x)\n```\n\n```text\n{}\n```\n\n```console\n$ echo {}\n4\n```\n"
    for block in blocks_of(text.format(2, 4)):
        made.run(block)
    python, console = blocks_of(text.format(3, 5))
    with pytest.raises(AssertionError, match="shows\n3\n\nbut prints\n2"):
        made.run(python)
    with pytest.raises(AssertionError, match="shows\n4\n\nbut prints\n5"):
        made.run(console)
    with pytest.raises(AssertionError, match="false"):
        made.run(Block("console", "$ false\n", "", "", 0))
    compare("0.02... of 3", "0.027 of 3.01", "here")
    with pytest.raises(AssertionError, match="here shows"):
        compare("0.02... of 3", "0.031 of 3", "here")
    with pytest.raises(AssertionError, match="nobody runs 'rust'"):
        made.run(Block("rust", "", "", "", 0))


@pytest.mark.skipif(shutil.which("bash") is None, reason="console blocks are bash's")
def test_blocks_are_marked_as_the_tests_know_it():
    for path in PAGES:
        for block in blocks_of(path.read_text(encoding="utf-8")):
            assert block.mark in ("", "file", "slow", "frameworks", "mpi", "checkout", CI), (
                path,
                block.mark,
            )
