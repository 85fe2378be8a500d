"""The paper's Figure 2: the total step over time, fixed and fluctuating compute times."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd.figures import style, variants
from rasgd.figures.figure_1_mnist import panel_names
from rasgd.figures.product import Product


def caption(settings: dict) -> str:
    setting = settings["cumulative_step"]
    seconds = np.unique(setting["cases"]["fixed"]["compute_times"])
    long = setting["slopes"]
    return f"""Total step made so far, in units of the cycle step size α, against time in units of τ_max: compute
        times {", ".join(f"{value:g}" for value in seconds)} s, two workers each, (a) fixed, (b) exponential with
        these means, one schedule for all methods. Steps as the paper sets them: ατᵢ/(nτ_max) per arrival for
        Rescaled ASGD, α per update for Malenia SGD (S = n), α/n per update for Ringleader ASGD. Grey: slope 1. In
        the legend: slopes in the long run, (a) and (b), over {long["until"] - long["from"]:g} τ_max, in (b) mean of
        {len(long["schedule_seeds"])} schedules. By its paper Ringleader ASGD keeps slope 1 only where a single
        worker is the slowest; with two, rounds last 1½ τ_max in (a). With the rule inferred from the published
        curves, where the gradient that triggers an update opens the next table, they last one gathering. The same at
        every scale."""


def draw(tables: dict, settings: dict) -> Product:
    setting = settings["cumulative_step"]
    steps, slopes = (tables["cumulative_step"][name] for name in ("steps", "slopes"))
    names = panel_names(setting)
    lines = variants.variants(steps)
    figure = style.new_figure(height_inches=3.2)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, (case, title) in zip(panels, names.items(), strict=True):
        axes.plot([0, setting["until"]], [0, setting["until"]], color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
        for variant in lines:
            own = variants.rows(steps[steps["case"] == case], variant)
            spacing = max(1, len(own) // 5)
            how = variant.line() | {"label": with_slopes(variant, slopes), "markevery": spacing}
            axes.plot(own["time"], own["total_step"], drawstyle="steps-post", **how)
        axes.set(
            title=title, xlabel=r"time / $\tau_{\max}$", xlim=(0, setting["until"]), ylim=(0, setting["until"] * 1.03)
        )
    panels[0].set_ylabel("total step / α")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Product(numbers(steps, slopes), figure)


def with_slopes(variant: variants.Variant, slopes: pd.DataFrame) -> str:
    own = variants.rows(slopes, variant)["slope"]
    return f"{variant.label}: {', '.join(f'{slope:.3g}' for slope in own)}"


def numbers(steps: pd.DataFrame, slopes: pd.DataFrame) -> pd.DataFrame:
    """The slopes in the long run, then every point of the lines."""
    return pd.concat([slopes.assign(kind="slope"), steps.assign(kind="step")], ignore_index=True)[
        [
            "kind",
            "case",
            "method",
            "options",
            "slope",
            "error",
            "replicas",
            "expected",
            "distance",
            "time",
            "total_step",
        ]
    ]
