"""A method with options of its own in figures: its name, dashes and marker, from the options a run had."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from rasgd.figures import style

if TYPE_CHECKING:
    import pandas as pd

# Options that tell lines of one method apart → what the label adds, how the line is dashed, if its marker is hollow.
ADDITIONS = {
    "ringleader": {
        (("restart", "held"),): ("", "-", False),
        (("restart", "current"),): (", newest point", (0, (1, 1)), True),
        (("trigger", "opens"),): (", trigger opens next table", (0, (5, 1.2, 1, 1.2)), True),
    },
    "delay_adaptive": {
        (("rule", "paper"),): (", γ/(1+δ)", (0, (4, 1.5)), False),
        (("rule", "code"),): (", γ·n/max(n, δ)", (0, (1, 1)), True),
    },
}


class Variant(NamedTuple):
    """One line of a figure.

    Attributes:
        method: short name.
        options: as JSON, the way tables of runs hold them.
    """

    method: str
    options: str

    @property
    def addition(self) -> tuple:
        own = tuple(sorted(json.loads(self.options).items()))
        return ADDITIONS.get(self.method, {}).get(own, ("", style.line_style(self.method), False))

    @property
    def label(self) -> str:
        return style.legend_label(self.method) + self.addition[0]

    def line(self) -> dict:
        """Arguments of `axes.plot`."""
        colour, marker = style.style(self.method)
        _, dashes, hollow = self.addition
        face = "white" if hollow else colour
        return {
            "color": colour, "marker": marker, "markerfacecolor": face, "linestyle": dashes, "label": self.label
        }  # fmt: skip


def variants(table: pd.DataFrame) -> list[Variant]:
    """All pairs of columns method and options, methods in the order of figures, options as they come."""
    pairs = table[["method", "options"]].drop_duplicates().itertuples(index=False)
    return in_order(Variant(*pair) for pair in pairs)


def in_order(given: Iterable[Variant]) -> list[Variant]:
    given = list(given)
    order = style.in_order(variant.method for variant in given)
    return sorted(given, key=lambda variant: order.index(variant.method))


def rows(table: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    return table[(table["method"] == variant.method) & (table["options"] == variant.options)]
