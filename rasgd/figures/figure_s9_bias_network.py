"""Whether vanilla ASGD's bias lasts on a network: over time, by dose, and with tuned step sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, style
from rasgd.figures.product import Product

# What is averaged over the last part of the horizon, as headed in the table.
METRICS = {
    "loss": "F",
    "loss_frequency": "Fₚ",
    "grad_norm_sq": "‖∇F‖²",
    "grad_norm_sq_frequency": "‖∇Fₚ‖²",
    "accuracy_fast_owners": "accuracy, fast",
    "accuracy_slow_owners": "accuracy, slow",
}
# Panels of the second row: what is drawn with full markers, and with hollow ones.
RESPONSES = (
    ("loss", "loss_frequency"),
    ("grad_norm_sq", "grad_norm_sq_frequency"),
    ("accuracy_fast_owners", "accuracy_slow_owners"),
)
TAIL = 0.1  # of the horizon
EARLY = 0.1  # of the horizon: before, the loss is that of x⁰, far above what the methods differ by
COLLAPSE = 1.5  # times the best loss or more: a network that has collapsed
SAME, TUNED = "same", "tuned"  # β of the methods
DOSE = "r: slow workers' seconds over fast ones'"
SUPERSCRIPTS = str.maketrans("-0123456789.", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·")


def caption(settings: dict) -> str:
    setting, tuned = settings["bias_network"], settings["bias_network_tuned"]
    return f"""Vanilla ASGD's bias on a network whose slow workers take r times as long per gradient as its fast ones.
        Top: F over time with one β, the step per second, for both methods; right: F over the last quarter of the
        horizon against β, median over {len(tuned["tuning"]["seeds"])} tuning seeds, filled where chosen, dotted at the
        β of the other panels; an arrow marks where a line leaves the panel. Below: averages over the last tenth of the
        horizon against r, with wrong labels; hollow: F_p = Σ pᵢFᵢ with pᵢ ∝ 1/τᵢ, and the data of slow workers. Table:
        the same averages at one β, and with each method at its own best β. Medians and interquartile bands over
        {captions.num_replicas(setting)} seeds; accuracies count wrong labels as they are.
        {captions.data_setting(setting)}; {captions.steps(setting)}. {captions.ANOTHER_OBJECTIVE}
        {captions.OUR_SETTING}"""


def draw(tables: dict, settings: dict) -> Product:
    """Loss over time in the arms that were tuned, loss against β, responses to the dose; end values as a table."""
    setting, cases = settings["bias_network"], captions.labels(settings["bias_network"])
    same = tables["bias_network"]["curves"].assign(step_sizes=SAME)
    tuned = tables["bias_network_tuned"]["curves"].assign(step_sizes=TUNED)
    grid = tables["bias_network_tuned"]["grid"]
    curves = pd.concat([same, tuned], ignore_index=True)
    metrics = [metric for metric in METRICS if metric in curves]
    ends = summaries.last_values(curves, ["step_sizes", "case", "method", "log2_beta"], metrics, share=TAIL)
    ratios = {case: max(own) / min(own) for case, own in captions.mean_times(setting).items()}
    ends.insert(2, "ratio", ends["case"].map(ratios))
    arms = [case for case in cases if case in set(tuned["case"])]
    noisy = [case for case, own in captions.cases(setting).items() if own["problem"]["label_noise"]["share"] > 0]
    tuned_arm = next(case for case in [*(case for case in arms if case in noisy), *arms])
    at_one_step = ends[(ends["step_sizes"] == SAME) & ends["case"].isin(noisy)]
    drawn = pd.concat(
        [
            *(loss_over_time(same, case) for case in arms),
            loss_by_beta(grid, tuned_arm),
            *(by_ratio(at_one_step, metric) for metric in metrics),
        ],
        ignore_index=True,
    )
    methods = style.in_order(curves["method"])
    figure = style.new_figure(height_inches=3.9)
    top, bottom = figure.subfigures(2, 1)
    panels = top.subplots(1, len(arms) + 1, squeeze=False)[0]
    for axes, case in zip(panels, arms, strict=False):
        draw_loss(axes, drawn[(drawn["panel"] == "time") & (drawn["case"] == case)], methods)
        axes.set(title=style.two_lines(cases[case]), xlabel="simulated time (s)")
    panels[0].set_ylabel("F, training loss")
    draw_grid(panels[-1], drawn[drawn["panel"] == "step_size"], methods, setting["step_sizes"].get("log2_beta"))
    panels[-1].set_title(f"{style.two_lines(cases[tuned_arm])}, on tuning seeds")
    pairs = [pair for pair in RESPONSES if set(pair) <= set(metrics)]
    for axes, pair in zip(bottom.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        draw_response(axes, drawn[drawn["panel"] == "dose"], pair, methods)
    figure.legend(handles=style.legend_handles(methods), loc="outside upper center", ncols=len(methods))
    bottom.supxlabel(DOSE, fontsize=7.5)
    return Product(drawn, figure, ends, end_table(ends, {case: cases[case] for case in arms}, methods, metrics))


def loss_over_time(curves: pd.DataFrame, case: str) -> pd.DataFrame:
    bands = summaries.band_table(curves[curves["case"] == case], ["method"], "loss").rename(columns={"time": "x"})
    return bands.assign(panel="time", case=case, metric="loss")


def loss_by_beta(grid: pd.DataFrame, case: str) -> pd.DataFrame:
    """What tuning saw: the training loss over the last quarter, median over tuning seeds."""
    grid = grid[grid["case"] == case].sort_values("log2_beta", kind="stable")
    columns = {"log2_beta": "x", "score": "median", "chosen": "chosen", "method": "method"}
    return grid[list(columns)].rename(columns=columns).assign(panel="step_size", case=case, metric="loss")


def by_ratio(ends: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Quartiles over seeds of an end value, by method and ratio of compute times."""
    grouped = ends.groupby(["method", "ratio"], sort=False)[metric]
    table = grouped.quantile([0.25, 0.5, 0.75]).unstack().reset_index()
    table.columns = ["method", "x", "lower_quartile", "median", "upper_quartile"]
    return table.sort_values("x", kind="stable").assign(panel="dose", metric=metric)


def fit(axes, drawn: pd.DataFrame, kept: pd.Series) -> None:
    """Lets the vertical axis fit the kept rows; where lines of others leave it, an arrow says so."""
    low, high = drawn.loc[kept, "median"].min(), drawn.loc[kept, "median"].max()
    margin = 0.1 * (high - low) or 0.1
    axes.set_ylim(low - margin, high + margin)
    style.mark_above(axes, [(method, rows["x"], rows["median"]) for method, rows in drawn.groupby("method")])


def draw_loss(axes, drawn: pd.DataFrame, methods: Sequence[str]) -> None:
    style.draw_bands(axes, drawn, methods, "x")
    fit(axes, drawn, (drawn["x"] >= EARLY * drawn["x"].max()) & np.isfinite(drawn["median"]))


def draw_grid(axes, drawn: pd.DataFrame, methods: Sequence[str], log2_beta: float | None) -> None:
    if log2_beta is not None:
        axes.axvline(log2_beta, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
    for method in methods:
        rows = drawn[drawn["method"] == method]
        colour, marker = style.style(method)
        chosen = rows["chosen"].astype(bool)
        axes.plot(rows["x"], rows["median"], color=colour, linestyle=style.line_style(method))
        axes.plot(rows["x"], rows["median"], marker, color=colour, markerfacecolor="white")
        axes.plot(*rows.loc[chosen, ["x", "median"]].to_numpy(dtype=float).T, marker, color=colour)
    fit(axes, drawn, drawn["median"] <= COLLAPSE * drawn["median"].min())
    axes.set_xlabel("log₂ β, the step per second")
    axes.set_xticks(sorted(set(drawn["x"])))


def draw_response(axes, drawn: pd.DataFrame, pair: Sequence[str], methods: Sequence[str]) -> None:
    """End values of two metrics against r, the second one hollow."""
    for metric, fill in zip(pair, ("full", "hollow"), strict=True):
        face = {"markerfacecolor": "white"} if fill == "hollow" else {}
        style.draw_bands(axes, drawn[drawn["metric"] == metric], methods, "x", markevery=1, **face)
        axes.plot([], [], "o", color=style.GUIDE_COLOUR, label=METRICS[metric], **face)
    if all((drawn.loc[drawn["metric"] == metric, "median"] > 0).all() and "grad" in metric for metric in pair):
        style.log_axes(axes)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handlelength=1, columnspacing=1, fontsize=6.2)
    axes.set_ylabel("average over the last tenth" if pair == RESPONSES[0] else "")
    ticks = sorted(set(drawn["x"]))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def end_table(ends: pd.DataFrame, arms: dict[str, str], methods: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Medians over seeds, by arm and step sizes."""
    medians = ends.groupby(["case", "step_sizes", "method"])[["log2_beta", *metrics]].median()
    rows, index = [], []
    for case, label in arms.items():
        for step_sizes, words in ((SAME, "one β for both methods"), (TUNED, "each method at its own best β")):
            for method in methods:
                if (case, step_sizes, method) not in medians.index:
                    continue
                own = medians.loc[(case, step_sizes, method)]
                numbers = [f"{own[metric]:.1e}" if "grad" in metric else f"{own[metric]:.3f}" for metric in metrics]
                beta = "2" + f"{own['log2_beta']:g}".translate(SUPERSCRIPTS)
                rows.append([style.legend_label(method), beta, *numbers])
                index.append(f"{label}, {words}")
    return pd.DataFrame(rows, columns=["At the end", "β", *(METRICS[metric] for metric in metrics)], index=index)
