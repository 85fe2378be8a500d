"""Draws the training loss on MNIST over simulated time, with the end values of the paper's poster as a note."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.experiments.tuning import NETWORK_TAIL
from rasgd.figures import saving, style
from rasgd.methods import METHODS

POSTER_END = 30_000  # seconds
POSTER_LOSS = {"rescaled": 0.029, "ringleader": 0.095, "malenia": 0.12}  # there, read off the poster


def draw_mnist(path_to_curves: Sequence[str], cases: dict[str, str], caption: str, path_stem: Path) -> None:
    """Writes the figure, one panel per case.

    Args:
        path_to_curves: metric rows of the methods.
        cases: their labels.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    drawn = pd.concat(
        [summaries.band_table(curves[curves["case"] == case], ["case", "method"], "loss") for case in cases],
        ignore_index=True,
    )
    methods = style.in_order(drawn["method"])
    with style.settings():
        figure = style.new_figure(height_inches=2.6)
        grid = figure.add_gridspec(1, len(cases) + 1, width_ratios=[1] * len(cases) + [0.66])
        shared = None
        for column, (case, label) in enumerate(cases.items()):
            axes = shared = figure.add_subplot(grid[column], sharey=shared)
            style.draw_bands(axes, drawn[drawn["case"] == case], methods)
            style.log_axes(axes)
            axes.set(xlabel="simulated time (s)", ylabel="" if column else "training loss", title=label)
            axes.tick_params(labelleft=column == 0)
        axes = figure.add_subplot(grid[-1])
        axes.set_axis_off()
        axes.legend(handles=style.legend_handles(methods), loc="upper left", borderaxespad=0)
        axes.text(0.02, 0, poster_note(), color=style.GUIDE_COLOUR, fontsize=6.5, transform=axes.transAxes)
        saving.save_figure(figure, path_stem, drawn, caption)
    by_seed = summaries.last_values(curves, ["case", "method"], ["loss"], share=NETWORK_TAIL)
    saving.save_csv(by_seed, f"{path_stem}_by_seed.csv")


def poster_note() -> str:
    lines = [f"  {METHODS[method].label}: {loss:g}" for method, loss in POSTER_LOSS.items()]
    return "\n".join([f"poster, {POSTER_END} s, n unknown:", *lines])


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_5_mnist"):
        draw_mnist(
            path_to_curves=snakemake.input.curves,
            cases=snakemake.params.cases,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
