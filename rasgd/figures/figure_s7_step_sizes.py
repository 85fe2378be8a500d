"""How the score of every method depends on the step size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rasgd.figures import captions, style
from rasgd.figures.product import Product

WORST_RATIO = 10  # of a score to the best one, where the colours end
UNTRIED, NOT_REACHED = "#E8E8E8", "#F4B6AE"
SIGN = {"color": "0.3", "markersize": 3, "mfc": "none", "mew": 0.7}
CHOSEN = {"color": "#D55E00", "markersize": 4, "mec": "white"}


def caption(settings: dict) -> str:
    parts = [
        f"{name}: {captions.quadratic_setting(own) if 'data' not in own else captions.data_setting(own)}"
        for name, own in settings.items()
    ]
    return f"""Sensitivity to the step size: score on tuning seeds against β, the step per second (step size times
        updates per second), over the best score of all methods; own parameters as chosen. Scores: seconds to the
        smallest target where a case has targets, else training loss over the last quarter.
        † minimises another objective. {". ".join(part.rstrip(".") for part in parts)}."""


def draw(tables: dict, settings: dict) -> Product:
    """One row of panels per experiment, one panel per case, one line of cells per method."""
    grids = {name: own["step_sizes"]["grid"] for name, own in settings.items() if "grid" in own["step_sizes"]}
    if not grids:
        raise ValueError(f"figure_s7 shows tuned step sizes: {' and '.join(settings)} must have step_sizes.grid")
    tried = {name: hardest(tables[name]["grid"]) for name in grids}
    cells = {name: cell_table(tried[name], grids[name]) for name in grids}
    methods = {name: style.in_order(table["method"]) for name, table in cells.items()}
    heights = [0.65 + 0.15 * len(names) for names in methods.values()] + [0.95]
    figure = style.new_figure(height_inches=sum(heights))
    *parts, bottom = figure.subfigures(len(heights), 1, height_ratios=heights)
    for part, (name, table) in zip(parts, cells.items(), strict=True):
        labels = captions.labels(settings[name])
        panels = part.subplots(1, len(labels), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (case, label) in zip(panels, labels.items(), strict=True):
            image = draw_cells(axes, table[table["case"] == case], methods[name], grids[name])
            axes.set_title(style.two_lines(f"{name}, {label}"))
        panels[0].set_yticks(range(len(methods[name])), map(style.legend_label, methods[name]))
        part.supxlabel("log₂ β, the step per second (β in 1/s)", fontsize=7)
    draw_colour_bar(bottom.subplots(), image)
    bottom.legend(handles=sign_handles(), loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.2)
    drawn = pd.concat([table.assign(experiment=name) for name, table in cells.items()], ignore_index=True)
    return Product(drawn[["experiment", *drawn.columns.drop("experiment")]], figure)


def hardest(tried: pd.DataFrame) -> pd.DataFrame:
    """The candidates' scores for every case's smallest target, under the options chosen for it."""
    smallest = tried.groupby("case")["target"].transform("min")
    tried = tried[(tried["target"] == smallest) | smallest.isna()]
    chosen = tried[tried["chosen"]].set_index(["case", "method"])["options"]
    keys = pd.MultiIndex.from_frame(tried[["case", "method"]])
    return tried[tried["options"].to_numpy() == chosen.loc[keys].to_numpy()]


def exponents(grid: dict) -> np.ndarray:
    """log₂ β of the grid and of all points its extensions could add."""
    added = grid["max_extensions"] * grid["steps_per_octave"]
    return grid["lowest_log2"] + np.arange(-added, grid["count"] + added) / grid["steps_per_octave"]


def cell_table(tried: pd.DataFrame, grid: dict) -> pd.DataFrame:
    """One row per case, method and exponent of the grid; nan where it was not tried. Refinements are left out."""
    best = tried.groupby("case")["score"].transform("min")
    tried = tried.assign(ratio=tried["score"] / best.where(np.isfinite(best), 1.0))
    parts = []
    for (case, method), rows in tried.groupby(["case", "method"], sort=False):
        rows = rows.assign(key=(rows["log2_beta"] * grid["steps_per_octave"]).round(6))
        keys = (exponents(grid) * grid["steps_per_octave"]).round(6)
        values = rows.set_index("key")[["score", "ratio", "diverged", "collapsed"]].reindex(keys)
        chosen = rows.loc[rows["chosen"], "log2_beta"].iloc[0]
        part = values.assign(case=case, method=method, log2_beta=exponents(grid), chosen_log2_beta=chosen)
        parts.append(part[["case", "method", "log2_beta", "chosen_log2_beta", *values.columns]])
    return pd.concat(parts, ignore_index=True)


def draw_cells(axes, table: pd.DataFrame, methods: Sequence[str], grid: dict):
    """One line of cells per method: colour for the score, red where it is infinite, grey where nothing was tried."""
    from matplotlib.colors import ListedColormap, LogNorm

    ratios = table.pivot(index="method", columns="log2_beta", values="ratio").reindex(methods)
    columns, half = ratios.columns.to_numpy(), 0.5 / grid["steps_per_octave"]
    edges = np.append(columns - half, columns[-1] + half)
    rows = np.arange(len(methods) + 1) - 0.5
    axes.pcolormesh(edges, rows, np.where(ratios.isna(), 1.0, np.nan), cmap=ListedColormap([UNTRIED]))
    axes.pcolormesh(edges, rows, np.where(np.isposinf(ratios), 1.0, np.nan), cmap=ListedColormap([NOT_REACHED]))
    image = axes.pcolormesh(
        edges,
        rows,
        np.where(np.isfinite(ratios), ratios, np.nan),
        cmap="viridis",
        norm=LogNorm(1, WORST_RATIO),
    )
    position = {method: row for row, method in enumerate(methods)}
    for name, marker in (("diverged", "x"), ("collapsed", "o")):
        marked = table[table[name] > 0]
        axes.plot(marked["log2_beta"], marked["method"].map(position), marker, **SIGN)
    chosen = table.drop_duplicates("method")
    axes.plot(chosen["chosen_log2_beta"], chosen["method"].map(position), "o", **CHOSEN)
    tried = columns[ratios.notna().any().to_numpy()]
    axes.set(xlim=(tried.min() - half, tried.max() + half), ylim=(len(methods) - 0.5, -0.5))
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    for line in rows[1:-1]:
        axes.axhline(line, color="white", linewidth=1)
    return image


def sign_handles() -> list:
    """What the colours and signs of cells mean that are not on the colour bar."""
    from matplotlib.patches import Patch

    return [
        Patch(color=NOT_REACHED, label="target not reached, or diverged"),
        Patch(color=UNTRIED, label="not tried"),
        style.guide("a replica diverged", marker="x", linestyle="none", **SIGN),
        style.guide("collapsed to a constant", marker="o", linestyle="none", **SIGN),
        style.guide("chosen", marker="o", linestyle="none", **CHOSEN),
    ]


def draw_colour_bar(axes, image) -> None:
    bar = axes.figure.colorbar(image, cax=axes, orientation="horizontal")
    bar.set_label("score over the best score of the case")
    bar.set_ticks([1, 2, 5, WORST_RATIO], labels=["1", "2", "5", f"≥ {WORST_RATIO}"])
    bar.minorticks_off()
