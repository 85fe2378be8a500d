"""Which code a result depends on, as one hash."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

from rasgd.experiments.kinds import COMPUTE_TIMES, PROBLEMS

PACKAGE = Path(__file__).parents[1]

# What makes a run from its settings, whatever they are; the rest of its code follows from imports and from the kinds
# that the settings name.
RUN = ("simulation.simulate", "experiments.build")
ON_DATA = ("experiments.on_data",)  # besides, where workers own samples

# Modules that no number depends on. They, and what they alone import, count for no result: how a run is told of, kept
# and found again, and the tables of names, whose entries count one by one.
SILENT = (
    "simulation.status",
    "simulation.checkpoint",
    "simulation.fingerprint",
    "data.sources",  # of which only files with the right SHA-256 come
    "experiments.progress",
    "experiments.logged",
    "experiments.kinds",
    "files",
    "declared",
    "trace",
)


def case_hash(case: dict, method: str, backend: str) -> str:
    """A hash of the code that determines a run of this method on this case and backend.

    Args:
        case: settings of the case, of which the kinds of problem and compute times are read.
    """
    return run_hash(method, backend, case["problem"]["kind"], kinds_of_times(case["compute_times"]))


def kinds_of_times(spec: dict | list) -> tuple[str, ...]:
    """The kinds that settings of compute times name, nested ones included."""
    if isinstance(spec, list):
        return ("fixed",)
    nested = [kinds_of_times(spec[key]) for key in ("seconds", "times") if key in spec]
    return tuple(sorted({spec["kind"], *(kind for kinds in nested for kind in kinds)}))


@cache
def run_hash(method: str, backend: str, problem: str | None = None, times: tuple[str, ...] = ("fixed",)) -> str:
    """A hash of the code that determines a run.

    Covers the files of the method, the backend, the problem and the laws, and those of the run, each with the rasgd
    files it imports at module level. Packages' `__init__` files are not followed, so touching one method changes the
    hash of that method alone. What cannot change a number does not count: comments, formatting, docstrings, error
    messages, `SILENT` modules.

    Args:
        method, backend: short names.
        problem: its kind; None where the caller's own code imports it.
        times: kinds of compute times.
    """
    kind = PROBLEMS[problem] if problem else None
    laws = [COMPUTE_TIMES[name].__module__.removeprefix("rasgd.") for name in times]
    modules = [*RUN, f"methods.{method}", f"backends.{backend}", *laws]
    return modules_hash(*modules, *([kind.module] if kind else []), *(ON_DATA if kind and kind.on_data else ()))


def modules_hash(*modules: str) -> str:
    """A hash of the code of some modules of rasgd and of all that they import at module level."""
    files = sorted(set().union(*(closure(module) for module in modules)))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file} {code_hash(PACKAGE / file)}\n".encode())
    return digest.hexdigest()[:16]


@cache
def closure(module: str) -> frozenset[str]:
    """Files, relative to the package, that a module of rasgd consists of, itself included, without `SILENT` ones."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        file = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
        relative = str(file.relative_to(PACKAGE))
        if name in SILENT or relative in found or not file.is_file():
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


class Bare(ast.NodeTransformer):
    """Leaves out what says something and computes nothing: docstrings, and what an error is raised with."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
        return node


@cache
def code_hash(file: Path) -> str:
    """A hash of a Python file's code without its docstrings, comments, formatting and error messages."""
    return hashlib.sha256(ast.dump(Bare().visit(ast.parse(file.read_text()))).encode()).hexdigest()


def content_hash(value) -> str:
    """A hash of plain JSON values that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]
