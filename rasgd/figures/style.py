"""One colour, marker and label per method in every figure, and the settings all figures share.

Methods that minimise another objective than F under heterogeneous data are dashed and carry a dagger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rasgd.methods import METHODS

if TYPE_CHECKING:
    import pandas as pd

TEXT_WIDTH_INCHES = 5.5  # of a NeurIPS page
OTHER_OBJECTIVE = "†"
GUIDE_COLOUR = "0.45"  # of targets, minimisers and other lines that are no method

SETTINGS = {
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "pdf.fonttype": 42,  # fonts as TrueType: publishers refuse Type 3
    "text.usetex": False,
}


class Style(NamedTuple):
    """How a method is drawn; the line style follows from its objective."""

    colour: str
    marker: str


# Okabe and Ito's eight colours, then Tol's muted ones: distinct also to readers who are colour-blind.
STYLES = {
    "rescaled": Style("#0072B2", "o"),
    "asgd": Style("#D55E00", "s"),
    "delay_adaptive": Style("#882255", "X"),
    "minibatch": Style("#000000", "v"),
    "malenia": Style("#E69F00", "D"),
    "rennala": Style("#7B5B3A", ">"),
    "ringleader": Style("#009E73", "^"),
    "ia2sgd": Style("#CC79A7", "P"),
    "ringmaster": Style("#777777", "p"),
    "fedbuff": Style("#999933", "<"),
    "ca2fl": Style("#56B4E9", "h"),
    "concurrent": Style("#332288", "d"),
    "shuffled": Style("#44AA99", "*"),
}
# For methods that were added without a style of their own, in the order of `METHODS`.
SPARE_STYLES = (Style("#AA4499", "8"), Style("#117733", "H"), Style("#DDCC77", "1"), Style("#661100", "2"))


def style(method: str) -> Style:
    """Colour and marker of a method, by its short name."""
    if method in STYLES:
        return STYLES[method]
    added = [name for name in METHODS if name not in STYLES]
    return SPARE_STYLES[added.index(method) % len(SPARE_STYLES)]


def line_style(method: str) -> str:
    return "-" if METHODS[method].right_objective else (0, (4, 1.5))


def legend_label(method: str) -> str:
    """The method's display name, with a dagger where it minimises another objective than F."""
    return METHODS[method].label + ("" if METHODS[method].right_objective else f" {OTHER_OBJECTIVE}")


def in_order(methods: Iterable[str]) -> list[str]:
    """Each method once, those that minimise F first, in the order of `METHODS` within."""
    given = set(methods)
    known = [method for method in METHODS if method in given]
    return sorted(known, key=lambda method: not METHODS[method].right_objective)


def settings():
    """The context in which every figure is made and saved."""
    from matplotlib import rc_context, rcParamsDefault

    # From matplotlib's own defaults: a reader's matplotlibrc must not change the figures.
    defaults = {key: value for key, value in rcParamsDefault.items() if not key.startswith("backend")}
    return rc_context(defaults | SETTINGS)


def new_figure(height_inches: float):
    """An empty figure, text width wide."""
    from matplotlib.figure import Figure

    return Figure(figsize=(TEXT_WIDTH_INCHES, height_inches), layout="constrained")


def draw_band(axes, method: str, times, low, median, high, num_markers: int = 5, **line_arguments) -> None:
    """A line with markers at some of its points, over the band from `low` to `high`; each `[m]`, NaN is left out."""
    colour, marker = style(method)
    times, low, median, high = (np.asarray(values, dtype=float) for values in (times, low, median, high))
    spacing = max(1, len(times) // num_markers)
    offset = list(METHODS).index(method) * spacing // len(METHODS)  # else markers of methods would coincide
    arguments = {"color": colour, "marker": marker, "markevery": (offset, spacing), "linestyle": line_style(method)}
    axes.plot(times, np.where(np.isfinite(median), median, np.nan), **(arguments | line_arguments))
    inside = np.isfinite(low) & np.isfinite(high)
    axes.fill_between(times, low, high, where=inside, color=colour, alpha=0.15, linewidth=0)


def draw_bands(axes, drawn: pd.DataFrame, methods: Sequence[str], x: str = "time", **line_arguments) -> None:
    """The median of every method over its interquartile band.

    Args:
        drawn: columns method, median, lower_quartile, upper_quartile and the one that `x` names.
        methods: which are drawn, the first one lowest.
    """
    for method in methods:
        rows = drawn[drawn["method"] == method]
        quartiles = (rows[name] for name in ("lower_quartile", "median", "upper_quartile"))
        draw_band(axes, method, rows[x], *quartiles, **line_arguments)


def draw_intervals(axes, x, value, low, high, **arguments) -> None:
    """Points with whiskers from `low` to `high`; each `[m]`. An end that is not finite has no whisker."""
    errors = np.maximum([value - low, high - value], 0)
    axes.errorbar(x, value, np.where(np.isfinite(errors), errors, 0), linestyle="none", capsize=2, **arguments)


def legend_handles(methods: Sequence[str]) -> list:
    """One line per method, for a legend."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], color=style(m).colour, marker=style(m).marker, linestyle=line_style(m), label=legend_label(m)
        )
        for m in methods
    ]  # fmt: skip


def log_axes(axes, x: bool = False) -> None:
    """Makes y, and x if asked for, logarithmic: labels at powers of ten, at 1, 2, 5 too where there are few of these.

    To be called when everything is drawn.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, setter, limits in (
        (axes.yaxis, axes.set_yscale, axes.get_ylim),
        *([(axes.xaxis, axes.set_xscale, axes.get_xlim)] if x else []),
    ):
        setter("log")
        axis.set_minor_formatter(NullFormatter())
        low, high = limits()
        if high < 100 * low:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def two_lines(label: str) -> str:
    """A case's label, broken after its colon to fit above a narrow panel."""
    return label.replace(": ", ":\n", 1)
