"""Draws whether vanilla ASGD's bias lasts on a network: over time, by dose, and with tuned step sizes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.figures.text_table import ROW_INCHES, draw_text_table, short_label

# What is averaged over the last part of the horizon, as headed in the table.
METRICS = {
    "loss": "F",
    "loss_frequency": "Fₚ",
    "grad_norm_sq": "‖∇F‖²",
    "grad_norm_sq_frequency": "‖∇Fₚ‖²",
    "accuracy_fast_owners": "acc. fast",
    "accuracy_slow_owners": "acc. slow",
}
TAIL = 0.1  # of the horizon
EARLY = 0.1  # of the horizon: before, the loss is that of x⁰, far above what the methods differ by
COLLAPSE = 1.5  # times the best loss or more: a network that has collapsed
SAME, TUNED = "same", "tuned"  # β of the methods
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_bias_network(
    path_to_curves: Sequence[str],
    path_to_tuned_curves: Sequence[str],
    path_to_grids: Sequence[str],
    cases: dict[str, str],
    compute_times: dict[str, Sequence[float]],
    problems: dict[str, dict],
    log2_beta: float,
    caption: str,
    path_stem: Path,
) -> None:
    """Writes the figure: loss over time in both arms, loss against β, three responses to the dose, and end values.

    Args:
        path_to_curves: metric rows of the methods at one β.
        path_to_tuned_curves, path_to_grids: metric rows at the best β, and what was tried, for some of the same cases.
        cases: their labels.
        compute_times: by case, seconds per gradient of every worker, of which there are two.
        problems: by case, settings of the network; label_noise tells the arms apart.
        log2_beta: of the one β.
        caption: plain text.
        path_stem: of the files to write.
    """
    same = summaries.read_tables(path_to_curves).assign(step_sizes=SAME)
    tuned = summaries.read_tables(path_to_tuned_curves).assign(step_sizes=TUNED)
    curves = pd.concat([same, tuned], ignore_index=True)
    keys = ["step_sizes", "case", "method", "log2_beta"]
    ends = summaries.last_values(curves, keys, list(METRICS), share=TAIL)
    ends.insert(2, "ratio", ends["case"].map({case: max(own) / min(own) for case, own in compute_times.items()}))
    arms = {case: cases[case] for case in cases if case in set(tuned["case"])}
    noisy = [case for case in cases if problems[case]["label_noise"]["share"] > 0]
    panels = [
        *(loss_over_time(same, case) for case in arms),
        loss_by_beta(path_to_grids, next(case for case in arms if case in noisy)),
        *(by_ratio(ends[(ends["step_sizes"] == SAME) & ends["case"].isin(noisy)], metric) for metric in METRICS),
    ]
    methods = style.in_order(curves["method"])
    with style.settings():
        table_inches = ROW_INCHES * (2 * len(arms) * len(methods) + 2)
        figure = style.new_figure(height_inches=3.6 + table_inches)
        grid = figure.add_gridspec(3, 3, height_ratios=[1.5, 1.5, table_inches])
        for column, (case, panel) in enumerate(zip(arms, panels, strict=False)):
            axes = figure.add_subplot(grid[0, column])
            style.draw_bands(axes, panel, methods, "x")
            hide_above(axes, panel, panel["x"] >= EARLY * panel["x"].max())
            axes.set(title=style.two_lines(cases[case]), xlabel="simulated time (s)", ylabel="" if column else "F")
        axes = figure.add_subplot(grid[0, 2])
        draw_grid(axes, panels[len(arms)], methods, log2_beta)
        axes.set_title(f"{style.two_lines(next(cases[case] for case in arms if case in noisy))}, on tuning seeds")
        draw_responses([figure.add_subplot(grid[1, column]) for column in range(3)], panels[len(arms) + 1 :], methods)
        draw_ends(figure.add_subplot(grid[2, :]), ends, arms, methods)
        figure.legend(handles=style.legend_handles(methods), loc="outside upper center", ncols=len(methods))
        saving.save_figure(figure, path_stem, pd.concat(panels, ignore_index=True), caption)
    saving.save_csv(ends, f"{path_stem}_by_seed.csv")


def loss_over_time(curves: pd.DataFrame, case: str) -> pd.DataFrame:
    bands = summaries.band_table(curves[curves["case"] == case], ["method"], "loss").rename(columns={"time": "x"})
    return bands.assign(panel=f"F over time, {case}", quantity="loss")


def loss_by_beta(path_to_grids: Sequence[str], case: str) -> pd.DataFrame:
    """What tuning saw: the training loss over the last quarter, median over tuning seeds."""
    grid = summaries.read_tables(path_to_grids)
    grid = grid[grid["case"] == case].sort_values("log2_beta", kind="stable")
    columns = {"log2_beta": "x", "score": "median", "chosen": "chosen", "method": "method"}
    return grid[list(columns)].rename(columns=columns).assign(panel=f"F by log2 beta, {case}", quantity="loss")


def by_ratio(ends: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Quartiles over seeds of an end value, by method and ratio of compute times."""
    grouped = ends.groupby(["method", "ratio"], sort=False)[metric]
    table = grouped.quantile([0.25, 0.5, 0.75]).unstack().reset_index()
    table.columns = ["method", "x", "lower_quartile", "median", "upper_quartile"]
    return table.sort_values("x", kind="stable").assign(panel="end value by r", quantity=metric)


def hide_above(axes, drawn: pd.DataFrame, kept: pd.Series) -> None:
    """Lets the vertical axis fit the kept rows, so that lines from elsewhere come in through its top."""
    low, high = drawn.loc[kept, "median"].min(), drawn.loc[kept, "median"].max()
    axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))


def draw_grid(axes, drawn: pd.DataFrame, methods: Sequence[str], log2_beta: float) -> None:
    axes.axvline(log2_beta, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
    for method in methods:
        rows = drawn[drawn["method"] == method]
        colour, marker = style.style(method)
        axes.plot(rows["x"], rows["median"], color=colour, linestyle=style.line_style(method))
        axes.plot(rows["x"], rows["median"], marker, color=colour, markerfacecolor="white")
        axes.plot(*rows.loc[rows["chosen"], ["x", "median"]].to_numpy().T, marker, color=colour)
    hide_above(axes, drawn, drawn["median"] <= COLLAPSE * drawn["median"].min())
    axes.set_xlabel("log₂ β")
    axes.set_xticks(sorted(set(drawn["x"])))


def draw_responses(panels: Sequence, tables: Sequence[pd.DataFrame], methods: Sequence[str]) -> None:
    """End values against r: both losses, both gradients, accuracy on the data of fast and slow workers."""
    names = (("F", "Fₚ"), ("‖∇F‖²", "‖∇Fₚ‖²"), ("acc. fast", "acc. slow"))
    for axes, pair, (full, hollow) in zip(panels, (tables[0:2], tables[2:4], tables[4:6]), names, strict=True):
        style.draw_bands(axes, pair[0], methods, "x", markevery=1)
        style.draw_bands(axes, pair[1], methods, "x", markevery=1, markerfacecolor="white")
        axes.plot([], [], "o", color=style.GUIDE_COLOUR, label=full)
        axes.plot([], [], "o", color=style.GUIDE_COLOUR, markerfacecolor="white", label=hollow)
        axes.set_xlabel("r")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handlelength=1, columnspacing=1)
    panels[0].set_ylabel("at the end")
    style.log_axes(panels[1])
    ticks = sorted(set(tables[0]["x"]))
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)


def draw_ends(axes, ends: pd.DataFrame, arms: dict[str, str], methods: Sequence[str]) -> None:
    """Medians over seeds, by arm and step sizes."""
    medians = ends.groupby(["case", "step_sizes", "method"])[["log2_beta", *METRICS]].median()
    heads = ["at the end", "β", *METRICS.values()]
    rows = []
    for case, label in arms.items():
        for step_sizes in (SAME, TUNED):
            for method in methods:
                own = medians.loc[(case, step_sizes, method)]
                numbers = [f"{own[metric]:.1e}" if "grad" in metric else f"{own[metric]:.3f}" for metric in METRICS]
                place = f"{label.split(':')[0]}, {step_sizes} β: {short_label(method)}"
                rows.append([place, "2" + f"{own['log2_beta']:g}".translate(SUPERSCRIPTS), *numbers])
    draw_text_table(
        axes, heads, rows, widths=[3.5, 0.45, *np.ones(len(METRICS))], bold=[[False] * len(heads)] * len(rows)
    )


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_12_bias_network"):
        draw_bias_network(
            path_to_curves=snakemake.input.curves,
            path_to_tuned_curves=snakemake.input.tuned_curves,
            path_to_grids=snakemake.input.tuned_grids,
            cases=snakemake.params.cases,
            compute_times=snakemake.params.compute_times,
            problems=snakemake.params.problems,
            log2_beta=snakemake.params.log2_beta,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
