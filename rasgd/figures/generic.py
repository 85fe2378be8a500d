"""The figure of a trained experiment that has none of its own: what it was tuned for against time, case by case."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, style
from rasgd.figures.product import Product

PANELS_PER_ROW = 3
TAIL = 0.1  # of the horizon, over which end values are averaged
LABELS = {"loss": "training loss", "grad_norm_sq": "‖∇F‖²"}


def caption(settings: dict) -> str:
    ((_, setting),) = settings.items()
    data = f" {captions.data_setting(setting)}." if "data" in setting else ""
    return f"""{setting["title"]}. {LABELS[metric_of(setting)]} against simulated time; median and interquartile band
        over {captions.num_replicas(setting)} seeds at {captions.steps(setting)}; of several targets, those for the
        smallest. {captions.num_workers(setting)}, {captions.compute_times(setting)}, {captions.horizon(setting)}.{data}
        {captions.ANOTHER_OBJECTIVE}"""


def metric_of(setting: dict) -> str:
    """What the experiment is tuned for: the gradient where it has targets, else the loss."""
    return "grad_norm_sq" if any("targets" in own for own in captions.cases(setting).values()) else "loss"


def draw(tables: dict, settings: dict) -> Product:
    """One panel per case and backend."""
    ((experiment, setting),) = settings.items()
    metric, labels, curves = metric_of(setting), captions.labels(setting), tables[experiment]["curves"]
    smallest = curves.groupby("case")["target"].transform("min")
    curves = curves[curves["target"].isna() | (curves["target"] == smallest)]
    keys = ["case", "backend", "method"]
    drawn = pd.concat(
        [summaries.band_table(rows, keys, metric) for _, rows in curves.groupby("case", sort=False)],
        ignore_index=True,
    ).assign(metric=metric)
    methods = style.in_order(drawn["method"])
    panels = list(drawn.groupby(["case", "backend"], sort=False))
    num_rows, columns = -(-len(panels) // PANELS_PER_ROW), min(PANELS_PER_ROW, len(panels))
    legend_rows = -(-len(methods) // 4)
    figure = style.new_figure(height_inches=0.5 + 0.15 * legend_rows + 1.9 * num_rows)
    axes_grid = figure.subplots(num_rows, columns, squeeze=False)
    for axes, ((case, backend), rows) in zip(axes_grid.flat, panels, strict=False):
        style.draw_bands(axes, rows, methods)
        shown = rows.loc[np.isfinite(rows["median"]), "median"]
        if (shown > 0).all():
            style.log_axes(axes)
        where = "" if drawn["backend"].nunique() == 1 else f" ({backend})"
        axes.set(title=style.two_lines(labels[case]) + where, xlabel="simulated time (s)")
    for axes in axes_grid[:, 0]:
        axes.set_ylabel(LABELS[metric])
    for axes in axes_grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.legend(handles=style.legend_handles(methods), loc="outside lower center", ncols=min(4, len(methods)))
    return Product(drawn, figure, summaries.last_values(curves, keys, [metric], share=TAIL))
