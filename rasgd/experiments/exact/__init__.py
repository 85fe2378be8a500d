"""Experiments that are computed by theory, some runs beside it, by the names under which settings call them.

To add one: write its file with `TABLES`, the names of its tables, and `compute(settings, report)`, which returns them;
add its row here, and its settings to the schema. An experiment whose settings have `reads`, tables of other experiments
by name, is computed by `compute(settings, report, read)` with `read` a `Read` per experiment.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rasgd import declared

if TYPE_CHECKING:
    import pandas as pd

EXACT = {
    "floors": "experiments.exact.floors",
    "ratios": "experiments.exact.ratios",
    "times": "experiments.exact.times",
    "chain": "experiments.exact.chain",
    "curvature": "experiments.exact.curvature",
    "chosen_steps": "experiments.exact.chosen_steps",
    "iterates": "experiments.exact.iterates",
    "cumulative_step": "experiments.exact.cumulative_step",
    "theorems": "experiments.exact.theorems",
}


class Read(NamedTuple):
    """What a computation reads of another experiment: its settings, and tables by name."""

    settings: dict
    tables: dict[str, pd.DataFrame]


def table_names(computation: str) -> tuple[str, ...]:
    """Names of the tables that a computation makes."""
    return declared.constant(EXACT[computation], "TABLES")


def compute(settings: dict, report: Callable[[float], None], read: dict[str, Read]) -> dict[str, pd.DataFrame]:
    """The tables of an exact experiment.

    Args:
        settings: of the experiment, checked; `exact` names the computation.
        report: told the fraction done.
        read: what `reads` of the settings names, by experiment.

    Raises:
        ValueError: one line naming the key, or the table that was promised and not made.
    """
    computation = settings["exact"]
    module = importlib.import_module(f"rasgd.{EXACT[computation]}")
    made = module.compute(settings, report, *([read] if settings.get("reads") else []))
    if set(made) != set(module.TABLES):
        raise ValueError(f"exact: {computation} must make the tables {', '.join(module.TABLES)}, got {', '.join(made)}")
    return made
