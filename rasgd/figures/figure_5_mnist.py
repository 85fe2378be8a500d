"""Draws the training loss on MNIST over simulated time, with the end values of the paper's poster as a note."""

from __future__ import annotations

import pandas as pd

from rasgd import summaries
from rasgd.experiments.tuning import NETWORK_TAIL
from rasgd.figures import captions, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS

POSTER_END = 30_000  # seconds
POSTER_LOSS = {"rescaled": 0.029, "ringleader": 0.095, "malenia": 0.12}  # there, read off the poster


def caption(settings: dict) -> str:
    setting = settings["mnist"]
    return f"""Training loss against simulated time; median and interquartile band over
        {captions.num_replicas(setting)} runs at {captions.steps(setting)} (the smallest median training loss over the
        last quarter). {captions.ANOTHER_OBJECTIVE} {captions.data_setting(setting)}, {captions.compute_times(setting)}.
        The poster states neither workers, partition nor grid; the same authors' code has n = 100, all of MNIST,
        784-128-10, batch 4, Dirichlet(0.1), horizon 30000 s, 30 seeds."""


def draw(tables: dict, settings: dict) -> Product:
    """One panel per case."""
    curves, cases = tables["mnist"]["curves"], captions.labels(settings["mnist"])
    drawn = pd.concat(
        [summaries.band_table(curves[curves["case"] == case], ["case", "method"], "loss") for case in cases],
        ignore_index=True,
    )
    methods = style.in_order(drawn["method"])
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
    by_seed = summaries.last_values(curves, ["case", "method"], ["loss"], share=NETWORK_TAIL)
    return Product(drawn, figure, by_seed)


def poster_note() -> str:
    lines = [f"  {METHODS[method].label}: {loss:g}" for method, loss in POSTER_LOSS.items()]
    return "\n".join([f"poster, {POSTER_END} s, n unknown:", *lines])
