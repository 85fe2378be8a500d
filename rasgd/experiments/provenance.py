"""Which code a result depends on, as one hash."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

# What every training run uses, whatever the method: the rest follows from their imports.
ROOTS = (
    "simulation.simulate",
    "experiments.tuning",
    "experiments.settings",
    "data.preparation",
    *(f"problems.{path.stem}" for path in sorted((PACKAGE / "problems").glob("[!_]*.py"))),
)


def source_hash(method: str, backend: str = "simulator") -> str:
    """A hash of the code that determines a run of this method on this backend.

    Covers the files of the method, the backend and the run, and the rasgd files they import at module level. Packages'
    `__init__` files are not followed, so touching one method changes the hash of that method alone. Comments,
    formatting and docstrings do not count.
    """
    return modules_hash(*ROOTS, f"methods.{method}", f"backends.{backend}")


def modules_hash(*modules: str) -> str:
    """A hash of the code of some modules of rasgd and of all that they import at module level."""
    files = sorted(set().union(*(closure(module) for module in modules)))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file} {code_hash(PACKAGE / file)}\n".encode())
    return digest.hexdigest()[:16]


@cache
def closure(module: str) -> frozenset[str]:
    """Files, relative to the package, that a module of rasgd consists of, itself included."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        file = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
        relative = str(file.relative_to(PACKAGE))
        if relative in found or not file.is_file():
            continue
        found.add(relative)
        waiting += imported(file)
    return frozenset(found)


@cache
def imported(file: Path) -> list[str]:
    """Modules of rasgd that a file imports at module level, without the leading package name."""
    names = []
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rasgd":
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith("rasgd.")]
    return [name.removeprefix("rasgd").removeprefix(".") for name in names if "." in name]


@cache
def code_hash(file: Path) -> str:
    """A hash of a Python file's code without its docstrings, comments and formatting."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def content_hash(value) -> str:
    """A hash of plain JSON values that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]
