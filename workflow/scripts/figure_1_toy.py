"""Draws the toy example beside the points read off the paper's poster."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.methods import METHODS

# Read off the poster of arXiv 2605.13434 every 30 seconds from 0 on.
POSTER_SPACING = 30
POSTER = {
    "rescaled": [5, 2.4, 0.98, 0.22, -0.19, -0.42, -0.54, -0.60, -0.64, -0.66],
    "asgd": [5, 1.74, 0.82, 0.56, 0.48, 0.46, 0.455],
}
# Where two objectives are smallest, with the side of the line on which there is room for the name.
MINIMISERS = {
    -2 / 3: ("−2/3 minimises F, the equal average", "top"),
    1 / 2: ("1/2 minimises the average weighted by arrivals", "bottom"),
}


def draw_toy(path_to_curves: Sequence[str], caption: str, path_stem: Path) -> None:
    """Writes the figure of x over time, simulated and as on the poster.

    Args:
        path_to_curves: metric rows of the methods on the toy problem.
        caption: plain text.
        path_stem: of the files to write.
    """
    drawn = drawn_points(summaries.read_tables(path_to_curves))
    with style.settings():
        figure = style.new_figure(height_inches=2.3)
        axes = figure.add_subplot()
        end = drawn["time"].max()
        for value, (name, side) in MINIMISERS.items():
            axes.axhline(value, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
            shift = (0, 4 if side == "bottom" else -3)
            axes.annotate(name, (end, value), shift, textcoords="offset points", ha="right", va=side)
        for (source, method), rows in drawn.groupby(["source", "method"], sort=False):
            colour, marker = style.style(method)
            if source == "simulation":
                label = METHODS[method].label
                axes.plot(rows["time"], rows["x"], color=colour, linestyle=style.line_style(method), label=label)
            else:
                label = f"{METHODS[method].label}, poster"
                axes.plot(rows["time"], rows["x"], marker, color=colour, markerfacecolor="white", label=label)
        axes.set(xlabel="simulated time (s)", ylabel="x", xlim=(-4, end), ylim=(-1.35, 5.3))
        axes.legend(loc="upper right", ncols=2)
        saving.save_figure(figure, path_stem, drawn, caption)


def drawn_points(curves: pd.DataFrame) -> pd.DataFrame:
    """x at every evaluation of the simulation and at every point of the poster."""
    simulated = curves.rename(columns={"point_0": "x"}).assign(source="simulation")
    poster = [
        ("poster", method, index * POSTER_SPACING, x)
        for method, points in POSTER.items()
        for index, x in enumerate(points)
    ]
    columns = ["source", "method", "time", "x"]
    return pd.concat([simulated[columns], pd.DataFrame(poster, columns=columns)], ignore_index=True)


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_1_toy"):
        draw_toy(
            path_to_curves=snakemake.input.curves,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
