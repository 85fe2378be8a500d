"""Draws which of two gradients each method brings to zero on a nonconvex problem."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.figures.text_table import ROW_INCHES, draw_text_table, short_label

GRADIENTS = {"grad_norm_sq": "‖∇F‖²", "grad_norm_sq_frequency": "‖∇Fₚ‖²"}
TAIL = 0.1  # of the horizon, over which end values are averaged
NUM_PANELS = 3  # the first cases are drawn, all are in the table


def draw_nonconvex(path_to_curves: Sequence[str], cases: dict[str, str], caption: str, path_stem: Path) -> None:
    """Writes the figure: per case one panel for each gradient, and their end values in a table.

    Args:
        path_to_curves: metric rows of the methods, with ‖∇F‖² and ‖∇F_p‖².
        cases: their labels.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    ends = summaries.last_values(curves, ["case", "method"], [*GRADIENTS, "loss", "loss_frequency"], share=TAIL)
    drawn = pd.concat(
        [
            summaries.band_table(curves[curves["case"] == case], ["case", "method"], metric).assign(gradient=gradient)
            for metric, gradient in GRADIENTS.items()
            for case in cases
        ],
        ignore_index=True,
    )
    methods = style.in_order(drawn["method"])
    panels = list(cases)[:NUM_PANELS]
    with style.settings():
        table_inches = ROW_INCHES * (len(cases) + 2)
        figure = style.new_figure(height_inches=3.3 + table_inches)
        grid = figure.add_gridspec(3, len(panels), height_ratios=[1.4, 1.4, table_inches])
        shared = None
        for row, gradient in enumerate(GRADIENTS.values()):
            for column, case in enumerate(panels):
                axes = shared = figure.add_subplot(grid[row, column], sharex=shared, sharey=shared)
                style.draw_bands(axes, drawn[(drawn["case"] == case) & (drawn["gradient"] == gradient)], methods)
                style.log_axes(axes)
                axes.set(title="" if row else style.two_lines(cases[case]), ylabel="" if column else gradient)
                axes.set_xlabel("simulated time (s)" if row == 1 else "")
                axes.tick_params(labelleft=column == 0, labelbottom=row == 1)
        draw_ends(figure.add_subplot(grid[2, :]), ends, cases, methods)
        figure.legend(handles=style.legend_handles(methods), loc="outside upper center", ncols=len(methods))
        saving.save_figure(figure, path_stem, drawn, caption)
    saving.save_csv(ends, f"{path_stem}_by_seed.csv")


def draw_ends(axes, ends: pd.DataFrame, cases: dict[str, str], methods: Sequence[str]) -> None:
    """Medians over seeds; bold where a gradient is at most a tenth of what another method leaves of it."""
    medians = ends.groupby(["case", "method"])[list(GRADIENTS)].median()
    columns = [("", ""), *((method, metric) for method in methods for metric in GRADIENTS)]
    heads = ["at the end", *(f"{short_label(m)}: {GRADIENTS[g]}" for m, g in columns[1:])]
    rows, bold = [], []
    for case, label in cases.items():
        values = [medians.loc[(case, method), metric] for method, metric in columns[1:]]
        largest = medians.loc[case].max()
        rows.append([label, *(f"{value:.1e}" for value in values)])
        bold.append([False, *(v <= 0.1 * largest[g] for v, (_, g) in zip(values, columns[1:], strict=True))])
    draw_text_table(axes, heads, rows, widths=[1.5, *np.ones(len(columns) - 1)], bold=bold)


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_11_nonconvex"):
        draw_nonconvex(
            path_to_curves=snakemake.input.curves,
            cases=snakemake.params.cases,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
