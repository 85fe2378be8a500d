"""Draws how the score of every method depends on the step size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style

WORST_RATIO = 10  # of a score to the best one, where the colours end


def draw_step_sizes(
    path_to_grids: dict[str, Sequence[str]],
    cases: dict[str, dict[str, str]],
    grids: dict[str, dict],
    caption: str,
    path_stem: Path,
) -> None:
    """Writes the figure: one row of panels per experiment, one panel per case, one line of cells per method.

    Args:
        path_to_grids: by experiment, what tuning tried, of every method.
        cases: by experiment, its cases' labels.
        grids: by experiment, the settings of its grid of step sizes.
        caption: plain text.
        path_stem: of the files to write.
    """
    tried = {experiment: hardest(summaries.read_tables(paths)) for experiment, paths in path_to_grids.items()}
    cells = {experiment: cell_table(tried[experiment], grids[experiment]) for experiment in tried}
    methods = {experiment: style.in_order(table["method"]) for experiment, table in cells.items()}
    with style.settings():
        heights = [0.65 + 0.15 * len(names) for names in methods.values()] + [0.5]
        figure = style.new_figure(height_inches=sum(heights))
        *parts, bottom = figure.subfigures(len(heights), 1, height_ratios=heights)
        for part, (experiment, table) in zip(parts, cells.items(), strict=True):
            panels = part.subplots(1, len(cases[experiment]), sharex=True, sharey=True, squeeze=False)[0]
            for axes, (case, label) in zip(panels, cases[experiment].items(), strict=True):
                image = draw_cells(axes, table[table["case"] == case], methods[experiment], grids[experiment])
                axes.set_title(style.two_lines(f"{experiment}, {label}"))
            panels[0].set_yticks(range(len(methods[experiment])), map(style.legend_label, methods[experiment]))
            part.supxlabel("log₂ β (β in 1/s)", fontsize=7)
        draw_colour_bar(bottom.subplots(), image)
        drawn = pd.concat([table.assign(experiment=name) for name, table in cells.items()], ignore_index=True)
        saving.save_figure(figure, path_stem, drawn[["experiment", *drawn.columns.drop("experiment")]], caption)


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
    """One line of cells per method: colour for the score, white where it is infinite, grey where nothing was tried."""
    from matplotlib.colors import LogNorm

    ratios = table.pivot(index="method", columns="log2_beta", values="ratio").reindex(methods)
    columns, half = ratios.columns.to_numpy(), 0.5 / grid["steps_per_octave"]
    edges = np.append(columns - half, columns[-1] + half)
    rows = np.arange(len(methods) + 1) - 0.5
    untried = np.where(ratios.isna(), 1.0, np.nan)
    axes.pcolormesh(edges, rows, untried, cmap="Greys", vmin=0, vmax=8)
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
        axes.plot(
            marked["log2_beta"], marked["method"].map(position), marker, color="0.3", markersize=3, mfc="none", mew=0.7
        )
    chosen = table.drop_duplicates("method")
    axes.plot(
        chosen["chosen_log2_beta"], chosen["method"].map(position), "o", color="#D55E00", markersize=4, mec="white"
    )
    tried = columns[ratios.notna().any().to_numpy()]
    axes.set(xlim=(tried.min() - half, tried.max() + half), ylim=(len(methods) - 0.5, -0.5))
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    for line in rows[1:-1]:
        axes.axhline(line, color="white", linewidth=1)
    return image


def draw_colour_bar(axes, image) -> None:
    bar = axes.figure.colorbar(image, cax=axes, orientation="horizontal")
    bar.set_label("score over the best score of the case")
    bar.set_ticks([1, 2, 5, WORST_RATIO], labels=["1", "2", "5", f"≥ {WORST_RATIO}"])
    bar.minorticks_off()


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_7_step_sizes"):
        draw_step_sizes(
            path_to_grids={name: snakemake.input[name] for name in snakemake.params.cases},
            cases=snakemake.params.cases,
            grids=snakemake.params.grids,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
