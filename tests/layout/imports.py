"""Which module of fastmlp names which, read from the sources; as a program, counts the circles.

    python tests/layout/imports.py

Imports inside functions and those for annotations (``TYPE_CHECKING``) count like all others. The
folder ``cli`` is the package ``fastmlp.cli``, as installed.
"""

from __future__ import annotations

import ast
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = {"fastmlp": "fastmlp", "fastmlp.cli": "cli"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports from another."""

    importer: str
    module: str
    name: str | None
    line: int


def modules(checkout=CHECKOUT, folders=FOLDERS):
    """Return the file of each module, by its dotted name."""
    found = {}
    for package, folder in folders.items():
        for path in sorted((checkout / folder).rglob("*.py")):
            parts = path.relative_to(checkout / folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join((package, *parts))] = path
    return found


@functools.cache
def parsed(path):
    """Return what a file's source was parsed to."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(files):
    """Return every import of one of these modules by another one."""
    found = []
    for importer, path in files.items():
        package = importer.split(".")
        if path.name != "__init__.py":
            package.pop()
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                pairs = [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                pairs = [(base, alias.name) for alias in node.names]
            else:
                continue
            for module, name in pairs:
                if f"{module}.{name}" in files:
                    module, name = f"{module}.{name}", None
                if module in files and module != importer:
                    found.append(Import(importer, module, name, node.lineno))
    return found


def circles(edges):
    """Return the groups of modules that import each other, by Tarjan's algorithm."""
    graph = {}
    for edge in edges:
        graph.setdefault(edge.importer, set()).add(edge.module)
        graph.setdefault(edge.module, set())
    order, lowest, stack, found = {}, {}, [], []

    def visit(module):
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == order[module]:
            start = stack.index(module)
            if len(stack) - start > 1:
                found.append(sorted(stack[start:]))
            del stack[start:]

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return found


def main():
    """Print each circle, and how many there are."""
    found = circles(imports(modules()))
    for circle in found:
        print("circle:", ", ".join(circle))
    print(len(found), "circles")
    return bool(found)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    raise SystemExit(main())
