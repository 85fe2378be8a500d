"""One colour, marker and label per method in every figure, and the settings all figures share.

Methods that minimise another objective than F under heterogeneous data are dashed and carry a dagger.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rasgd import methods
from rasgd.methods import METHODS

if TYPE_CHECKING:
    import pandas as pd

TEXT_WIDTH_INCHES = 5.5  # of a NeurIPS page
OTHER_OBJECTIVE = "†"
GUIDE_COLOUR = "0.45"  # of targets, minimisers and other lines that are no method

# Laid over seaborn's theme and context.
SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib and has Greek letters, subscripts and norms
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.edgecolor": "0.15",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    "xtick.bottom": True,
    "ytick.left": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "lines.markeredgewidth": 0.8,
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
# Of methods that were added, one after the other.
SPARE_MARKERS = ("8", "H", "1", "2", "3", "4", "+", "x")
GOLDEN_RATIO = 0.618034  # between their hues, on a circle of 1: however many there are, no two are close


def style(method: str) -> Style:
    """Colour and marker of a method, by its short name.

    Methods that are not listed get theirs by their place among the methods that are not.

    Raises:
        ValueError: if there is no such method.
    """
    if method in STYLES:
        return STYLES[method]
    methods.find(method)
    import seaborn

    place = [name for name in METHODS if name not in STYLES].index(method)
    (colour,) = seaborn.husl_palette(1, h=(place + 1) * GOLDEN_RATIO % 1, s=0.95, l=0.45).as_hex()
    return Style(colour, SPARE_MARKERS[place % len(SPARE_MARKERS)])


def shades(count: int) -> list[str]:
    """Colours from light to dark for what is no method, such as profiles and parameters."""
    import seaborn

    return seaborn.color_palette("light:#222222", count + 2).as_hex()[2:]


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
    """The context in which every figure is made and saved: seaborn's theme, and what is laid over it.

    Figures are drawn to files, so whatever backend the surroundings name is left aside: a notebook's need not even be
    there.
    """
    os.environ["MPLBACKEND"] = "agg"  # read when matplotlib is imported, where an unknown one ends everything
    import seaborn
    from matplotlib import rc_context, rcParamsDefault

    # From matplotlib's own defaults: a reader's matplotlibrc must not change the figures.
    defaults = {key: value for key, value in rcParamsDefault.items() if not key.startswith("backend")}
    with rc_context(defaults):
        theme = seaborn.axes_style("whitegrid") | seaborn.plotting_context("paper")
    return rc_context(defaults | theme | SETTINGS)


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


def guide(label: str, **arguments):
    """A grey line for a legend, for what is no method."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **({"color": GUIDE_COLOUR, "linewidth": 0.9, "label": label} | arguments))


def mark_above(axes, methods_values: Iterable[tuple[str, Sequence[float], Sequence[float]]]) -> None:
    """An arrow at the top edge where a method's line leaves the axes upwards.

    Args:
        axes: with its limits set.
        methods_values: short name, x `[m]` and y `[m]`.
    """
    top = axes.get_ylim()[1]
    for method, x, y in methods_values:
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        above = np.flatnonzero((y > top) & np.isfinite(y))
        for place in above[np.diff(above, prepend=-2) > 1]:  # the first point of every stretch
            axes.plot(x[place], 1, "^", transform=axes.get_xaxis_transform(), color=style(method).colour, clip_on=False)


def mathematics(text: str) -> str:
    """Names with an index, such as τ_max, as matplotlib sets them."""
    return re.sub(r"([A-Za-zτ])_(A|H|max)\b", r"$\1_\\mathrm{\2}$", text)


def two_lines(label: str) -> str:
    """A case's label, broken after its colon to fit above a narrow panel."""
    return mathematics(label.replace(": ", ":\n", 1))
