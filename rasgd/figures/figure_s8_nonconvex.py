"""Which of two gradients each method brings to zero on a nonconvex problem."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, style
from rasgd.figures.product import Product

GRADIENTS = {"grad_norm_sq": "‖∇F‖²", "grad_norm_sq_frequency": "‖∇Fₚ‖²"}
TAIL = 0.1  # of the horizon, over which end values are averaged
NUM_PANELS = 3  # the first cases are drawn, all are in the table


def caption(settings: dict) -> str:
    setting = settings["nonconvex"]
    return f"""Each method brings its own gradient to zero, and only that: ‖∇F‖² of the equal average F and ‖∇F_p‖² of
        F_p = Σ pᵢFᵢ, pᵢ ∝ 1/τᵢ, against simulated time; median and interquartile band over
        {captions.num_replicas(setting)} seeds of x⁰ and samples. Table: medians of averages over the last tenth of the
        horizon. With equal times Rescaled and Vanilla ASGD are the same. {captions.data_setting(setting)};
        {captions.steps(setting)}. {captions.ANOTHER_OBJECTIVE} Our own setting for the paper's assumptions."""


def draw(tables: dict, settings: dict) -> Product:
    """Per case one panel for each gradient that was evaluated; their end values as a table."""
    curves, cases = tables["nonconvex"]["curves"], captions.labels(settings["nonconvex"])
    gradients = [metric for metric in GRADIENTS if metric in curves]
    losses = [name for name in ("loss", "loss_frequency") if name in curves]
    ends = summaries.last_values(curves, ["case", "method"], [*gradients, *losses], share=TAIL)
    drawn = pd.concat(
        [
            summaries.band_table(curves[curves["case"] == case], ["case", "method"], metric).assign(metric=metric)
            for metric in gradients
            for case in cases
        ],
        ignore_index=True,
    )
    methods = style.in_order(drawn["method"])
    panels = list(cases)[:NUM_PANELS]
    figure = style.new_figure(height_inches=0.9 + 1.5 * len(gradients))
    axes_grid = figure.subplots(len(gradients), len(panels), sharex="col", sharey=True, squeeze=False)
    for row, metric in enumerate(gradients):
        for column, case in enumerate(panels):
            axes = axes_grid[row, column]
            style.draw_bands(axes, drawn[(drawn["case"] == case) & (drawn["metric"] == metric)], methods)
            style.log_axes(axes)
            axes.set(title="" if row else style.two_lines(cases[case]), ylabel="" if column else GRADIENTS[metric])
            axes.set_xlabel("simulated time (s)" if row == len(gradients) - 1 else "")
            axes.tick_params(labelbottom=True)
    figure.legend(handles=style.legend_handles(methods), loc="outside upper center", ncols=min(4, len(methods)))
    return Product(drawn, figure, ends, end_table(ends, cases, methods, gradients))


def end_table(
    ends: pd.DataFrame, cases: dict[str, str], methods: Sequence[str], gradients: Sequence[str]
) -> pd.DataFrame:
    """Medians over seeds, one row per case and method."""
    medians = ends.groupby(["case", "method"])[list(gradients)].median()
    keys = [(case, method) for case in cases for method in methods if (case, method) in medians.index]
    rows = [
        [style.legend_label(method), *(f"{medians.loc[(case, method), metric]:.1e}" for metric in gradients)]
        for case, method in keys
    ]
    columns = ["At the end", *(GRADIENTS[metric] for metric in gradients)]
    return pd.DataFrame(rows, columns=columns, index=[cases[case] for case, _ in keys])
