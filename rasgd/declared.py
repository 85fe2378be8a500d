"""What a module of rasgd declares, read from its source: importing it may load torch, which takes a second."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent


class Arguments(NamedTuple):
    """Names of what a class or function takes, in order, and of those among them that have no default."""

    names: tuple[str, ...]
    required: tuple[str, ...]

    def refuse(self, given, what: str) -> None:
        """Refuses names that are not among these, or required ones that are not given.

        Raises:
            ValueError: one line naming the key, `what` takes it and what it takes.
        """
        allowed = ", ".join(self.names) or "none"
        for name in given:
            if name not in self.names:
                raise ValueError(f"{what} does not take {name}; allowed: {allowed}")
        for name in self.required:
            if name not in given:
                raise ValueError(f"{what} needs {name}; allowed: {allowed}")


@cache
def parsed(module: str) -> ast.Module:
    """The syntax tree of a module, given without the leading package name."""
    return ast.parse(PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text())


@cache
def constant(module: str, name: str):
    """The literal that a module assigns to a name at its top level.

    Raises:
        ValueError: if it does not.
    """
    for node in parsed(module).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return ast.literal_eval(node.value)
    raise ValueError(f"rasgd.{module} must assign a literal to {name}")


@cache
def arguments(home: str) -> Arguments:
    """What the function or class takes, `self` excepted.

    Args:
        home: module without the leading package name, a dot, and the name in it, such as problems.network.Network.

    Raises:
        ValueError: if the module defines no such function or class with an `__init__` of its own.
    """
    module, _, name = home.rpartition(".")
    for node in parsed(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            own = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
            if own:
                return taken(own[0].args, skipped=1)
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return taken(node.args, skipped=0)
    raise ValueError(f"rasgd.{module} must define {name}, a function or a class with an __init__ of its own")


def taken(given: ast.arguments, skipped: int) -> Arguments:
    positional = [argument.arg for argument in (*given.posonlyargs, *given.args)][skipped:]
    required = positional[: len(positional) - len(given.defaults)]
    keywords = [argument.arg for argument in given.kwonlyargs]
    required += [name for name, default in zip(keywords, given.kw_defaults, strict=True) if default is None]
    return Arguments((*positional, *keywords), tuple(required))
