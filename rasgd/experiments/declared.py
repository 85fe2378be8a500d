"""What a module of rasgd declares, read from its source: importing it may load torch, which takes a second."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@cache
def parsed(module: str) -> ast.Module:
    """The syntax tree of a module, given without the leading package name."""
    return ast.parse(PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text())


@cache
def constant(module: str, name: str):
    """The literal that a module assigns to a name at its top level."""
    for node in parsed(module).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return ast.literal_eval(node.value)
    raise ValueError(f"rasgd.{module} must assign a literal to {name}")
