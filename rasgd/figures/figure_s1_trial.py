"""Figure 1 on trial: the same methods on one fine axis of step sizes, and against the total step they have made."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments import settings as experiments
from rasgd.experiments.build import build_compute_times
from rasgd.figures import figure_1_mnist as published
from rasgd.figures import style, variants
from rasgd.figures.product import Product

AXES = {"published": "mnist", "fine": "mnist_fine"}  # of step sizes → the experiment that tuned on it
WORST_SHOWN = 30  # times the best score: what scored worse is cut off
LOWEST_SHOWN = 1 / 16  # of the common axis' smallest step: what the published grid has below is cut off


def caption(settings: dict) -> str:
    fine, seeds = settings["mnist_fine"], settings["mnist_fine"]["reporting"]["seeds"]
    finest = fine["step_sizes"]["grid"]["refine"] or fine["step_sizes"]["grid"]["steps_per_octave"]
    return f"""Whether Figure 1's order is one of methods or of grids. Top: training loss over the end of the horizon
        on the tuning seed(s) against the total step per second (step size times updates per second, for Rescaled
        ASGD .1613γ, for Malenia SGD with fixed times .0625γ). Small points: a common axis of ratio 2, and
        2^(1/{finest:g}) around the best; rings: the paper's grid γ = 10^x, which falls on other places of the axis
        for every method; vertical: chosen on the common axis. What diverged has no point. Bottom: the runs chosen on
        the common axis, against the total step made so far; median over {len(seeds)} seeds. Lines that agree there
        differ by the step size they stand, not by the use they make of it. The setting is that of Figure 1."""


def draw(tables: dict, settings: dict) -> Product:
    fine = settings["mnist_fine"]
    tried = tried_steps(tables)
    curves = tables["mnist_fine"]["curves"]
    drawn = by_total_step(curves)
    names = published.panel_names(fine)
    lines = variants.variants(curves)
    figure = style.new_figure(height_inches=4.6)
    panels = figure.subplots(2, len(names), sharex="row", sharey="row", squeeze=False)
    for column, (case, title) in enumerate(names.items()):
        draw_tried(panels[0, column], tried[tried["case"] == case], lines)
        panels[0, column].set(title=title, xlabel="total step per second (1/s)")
        for variant in lines:
            rows = variants.rows(drawn[drawn["case"] == case], variant)
            panels[1, column].plot(
                rows["total_step"], rows["median"], **variant.line(), markevery=max(1, len(rows) // 6)
            )
        style.log_axes(panels[0, column], x=True)
        style.log_axes(panels[1, column])
        panels[1, column].set(xlabel="total step so far")
    panels[0, 0].set_ylabel("training loss at the end")
    panels[1, 0].set_ylabel("training loss")
    figure.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Product(numbers(tried, drawn), figure, by_seed(tables, settings))


def tried_steps(tables: dict) -> pd.DataFrame:
    """One row per step size that was tried on either axis: step_per_second and score, inf where a run diverged."""
    parts = [tables[experiment]["grid"].assign(step_sizes=axis) for axis, experiment in AXES.items()]
    table = pd.concat(parts, ignore_index=True)
    table["step_per_second"] = 2.0 ** table["log2_beta"]
    columns = [
        "step_sizes",
        "case",
        "method",
        "options",
        "step_per_second",
        "step_size",
        "score",
        "collapsed",
        "chosen",
    ]
    return table[columns].sort_values(["step_sizes", "case", "method", "options", "step_per_second"], kind="stable")


def draw_tried(axes, tried: pd.DataFrame, lines: list[variants.Variant]) -> None:
    finite = tried["score"].replace(np.inf, np.nan)
    lowest = tried.loc[tried["step_sizes"] == "fine", "step_per_second"].min() * LOWEST_SHOWN
    shown = tried[(finite <= WORST_SHOWN * finite.min()) & (tried["step_per_second"] >= lowest)]
    for variant in lines:
        how = variant.line()
        own = variants.rows(shown, variant)
        fine, grid = own[own["step_sizes"] == "fine"], own[own["step_sizes"] == "published"]
        axes.plot(fine["step_per_second"], fine["score"], **how)
        axes.plot(
            grid["step_per_second"], grid["score"], "o", color=how["color"], markersize=6.5, markerfacecolor="none",
        )  # fmt: skip
        for step in fine.loc[fine["chosen"], "step_per_second"]:
            axes.axvline(step, color=how["color"], linestyle=how["linestyle"], linewidth=0.5)


def by_total_step(curves: pd.DataFrame) -> pd.DataFrame:
    """Median loss over seeds at every evaluation, with the total step made by then: step per second times seconds."""
    keys = ["case", "method", "options"]
    table = summaries.band_table(curves, keys, "loss")
    rates = curves.drop_duplicates(keys)[[*keys, "log2_beta"]]
    table = table.merge(rates, on=keys)
    table["total_step"] = 2.0 ** table["log2_beta"] * table["time"]
    return table[[*keys, "time", "total_step", "median", "lower_quartile", "upper_quartile"]]


def numbers(tried: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """What was tried, with chosen as 0 or 1, then the lines of the lower panels, whose step_sizes are total_step."""
    tried = tried.assign(chosen=tried["chosen"].astype(float))
    return pd.concat([tried, drawn.assign(step_sizes="total_step")], ignore_index=True)


def by_seed(tables: dict, settings: dict) -> pd.DataFrame:
    """Every reported seed's loss over the last tenth at the step chosen on each axis, with that step in three scales.

    step_size is `rasgd.simulate`'s, paper_step_size the paper's γ, step_per_second the total step per second.
    """
    keys = ["case", "method", "options"]
    parts = []
    for axis, experiment in AXES.items():
        curves, setting = tables[experiment]["curves"], settings[experiment]
        losses = published.by_seed(curves)
        steps = curves.drop_duplicates(keys)[[*keys, "step_size", "log2_beta"]]
        table = losses.merge(steps, on=keys)
        table.insert(0, "step_sizes", axis)
        times = {
            case: build_compute_times(experiments.case_settings(setting, case)["compute_times"]).mean
            for case in setting["cases"]
        }
        table["paper_step_size"] = [
            published.paper_step_size(row.method, row.step_size, times[row.case]) for row in table.itertuples()
        ]
        parts.append(table.assign(step_per_second=2.0 ** table["log2_beta"]).drop(columns="log2_beta"))
    return pd.concat(parts, ignore_index=True)
