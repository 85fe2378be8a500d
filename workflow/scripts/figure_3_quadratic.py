"""Draws how E‖∇F‖² falls on quadratics with every method at its best step size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.figures.exact import ExactCase, exact_cases
from rasgd.methods import METHODS
from rasgd.summaries import trailing_mean

EXACT = {"color": "0.75", "linewidth": 3.4, "solid_capstyle": "round", "zorder": 1.5}  # a halo around what it predicts
NUM_TIMES = 80  # evenly spread on the logarithmic axis


def draw_quadratic(path_to_curves: Sequence[str], quadratics: dict[str, dict], caption: str, path_stem: Path) -> None:
    """Writes the figure: one column per case, methods that minimise F above those that do not.

    Args:
        path_to_curves: metric rows of the methods.
        quadratics: by case, its label, problem, compute_times and targets; the curves drawn are tuned for the smallest.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    targets = {case: min(own["targets"]) for case, own in quadratics.items()}
    exact = exact_cases(quadratics)
    drawn = pd.concat([bands(curves, case, targets[case], exact[case]) for case in quadratics], ignore_index=True)
    methods = style.in_order(drawn["method"])
    groups = {
        "minimise F": [method for method in methods if METHODS[method].right_objective],
        f"{style.OTHER_OBJECTIVE} another objective": [m for m in methods if not METHODS[m].right_objective],
    }
    with style.settings():
        figure = style.new_figure(height_inches=4.2)
        grid = figure.add_gridspec(2, len(quadratics) + 1, width_ratios=[1] * len(quadratics) + [0.66])
        for column, (case, own) in enumerate(quadratics.items()):
            shared = None
            for row, group in enumerate(groups.values()):
                axes = shared = figure.add_subplot(grid[row, column], sharex=shared, sharey=shared)
                compared = [*group, "rescaled"] if row and "rescaled" in methods else group
                draw_methods(axes, drawn[drawn["case"] == case], compared)
                axes.axhline(targets[case], color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
                axes.tick_params(labelbottom=row == 1)
                axes.set_title(style.two_lines(own["label"]) if row == 0 else "")
                axes.set_xlabel("simulated time (s)" if row == 1 else "")
                axes.set_ylabel("‖∇F‖²" if column == 0 else "")
        for row, (title, group) in enumerate(groups.items()):
            legend = figure.add_subplot(grid[row, -1])
            legend.set_axis_off()
            handles = [*style.legend_handles(group), exact_handle()]
            legend.legend(handles=handles, title=title, loc="center left", alignment="left")
        saving.save_figure(figure, path_stem, drawn, caption)
    saving.save_csv(levels(curves, targets), f"{path_stem}_by_seed.csv")


def draw_methods(axes, drawn: pd.DataFrame, methods: Sequence[str]) -> None:
    style.draw_bands(axes, drawn, methods)
    for method in methods:
        rows = drawn[drawn["method"] == method]
        axes.plot(rows["time"], rows["exact"], **EXACT)
    style.log_axes(axes, x=True)


def exact_handle():
    from matplotlib.lines import Line2D

    return Line2D([], [], **EXACT, label="exact E‖∇F‖²")


def bands(curves: pd.DataFrame, case: str, target: float, exact: ExactCase) -> pd.DataFrame:
    """Median and quartiles over seeds of ‖∇F‖² at NUM_TIMES times, and its exact expectation where that is known.

    All are averages over the last tenth of elapsed time.
    """
    curves = curves[(curves["case"] == case) & (curves["target"] == target)]
    shown = log_spaced(np.sort(curves["time"].unique()))
    parts = []
    for method, rows in curves.groupby("method", sort=False):
        times, values = summaries.by_replica(rows, "grad_norm_sq")
        with np.errstate(invalid="ignore"):  # inf − inf after a divergence
            smooth = trailing_mean(times, values)
        table = summaries.quartile_table(times, np.where(np.isnan(smooth), np.inf, smooth))
        table["exact"] = trailing_mean(times, exact.curve(method, rows["step_size"].iloc[0], times))
        table = table.set_index("time").reindex(shown, fill_value=np.inf).reset_index()
        parts.append(table.assign(case=case, method=method, target=target))
    columns = ["case", "method", "target", "time", "median", "lower_quartile", "upper_quartile", "exact"]
    return pd.concat(parts, ignore_index=True)[columns]


def levels(curves: pd.DataFrame, targets: dict[str, float]) -> pd.DataFrame:
    """‖∇F‖² over the last tenth of the horizon by replica, of the runs tuned for each case's target."""
    drawn = curves[curves["target"] == curves["case"].map(targets)]
    return summaries.last_values(drawn, ["case", "method", "target"], ["grad_norm_sq"], share=0.1)


def log_spaced(times: np.ndarray) -> np.ndarray:
    """At most NUM_TIMES of the positive times, spread evenly in their logarithm, first and last included."""
    times = times[times > 0]
    wanted = np.geomspace(times[0], times[-1], NUM_TIMES)
    return times[np.unique(np.abs(times[:, None] - wanted).argmin(axis=0))]


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_3_quadratic"):
        draw_quadratic(
            path_to_curves=snakemake.input.curves,
            quadratics=snakemake.params.quadratics,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
