"""How E‖∇F‖² falls on quadratics with every method at its best step size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS
from rasgd.summaries import trailing_mean

REFERENCE = "rescaled"  # drawn in every panel, on top
EXACT = {"color": "0.75", "linewidth": 3.4, "solid_capstyle": "round", "zorder": 1.5}  # a halo around what it predicts
NUM_TIMES = 80  # evenly spread on the logarithmic axis
METHODS_PER_PANEL = 4  # beside the reference: more hide each other


def caption(settings: dict) -> str:
    setting = settings["quadratic"]
    targeted = any(own.get("targets") for own in captions.cases(setting).values())
    choice = (
        ", which with the methods' own parameters reach the dotted line, each case's smallest target, soonest, or come "
        "closest to it"
    )
    return f"""‖∇F‖² against simulated time on quadratics with known noise σ and heterogeneity ζ, averaged over the last
        tenth of elapsed time; median and interquartile band over {captions.num_replicas(setting)} seeds at
        {captions.steps(setting)}{choice if targeted else ""}. Grey: exact expectation [derived], where it is known.
        Rescaled ASGD stands in every panel. {captions.ANOTHER_OBJECTIVE} {captions.quadratic_setting(setting)}"""


def draw(tables: dict, settings: dict) -> Product:
    """One column per case; methods that minimise F above those that do not, a few to the panel."""
    setting = settings["quadratic"]
    curves, exact = tables["quadratic"]["curves"], tables["quadratic_exact"]["curves"]
    targets = smallest_targets(curves)
    labels = captions.labels(setting)
    drawn = pd.concat([bands(curves, exact, case, target) for case, target in targets.items()], ignore_index=True)
    groups = panel_groups(style.in_order(drawn["method"]))
    figure = style.new_figure(height_inches=0.5 + 1.6 * len(groups))
    grid = figure.add_gridspec(len(groups), len(targets) + 1, width_ratios=[1] * len(targets) + [0.62])
    for column, (case, target) in enumerate(targets.items()):
        shared = None
        for row, (_, methods) in enumerate(groups):
            axes = shared = figure.add_subplot(grid[row, column], sharex=shared, sharey=shared)
            draw_methods(axes, drawn[drawn["case"] == case], methods)
            if np.isfinite(target):
                axes.axhline(target, color=style.GUIDE_COLOUR, linewidth=0.8, linestyle=":")
            axes.set_title(style.two_lines(labels[case]) if row == 0 else "")
            axes.set_xlabel("simulated time (s)" if row == len(groups) - 1 else "")
            axes.set_ylabel("‖∇F‖²" if column == 0 else "")
    for row, (title, methods) in enumerate(groups):
        legend = figure.add_subplot(grid[row, -1])
        legend.set_axis_off()
        handles = style.legend_handles(methods)
        if row == 0:
            handles += [style.guide("exact E‖∇F‖²", **EXACT), style.guide("target", linestyle=":")]
        legend.legend(handles=handles, title=title, loc="center left", alignment="left")
    return Product(drawn, figure, levels(curves, targets))


def panel_groups(methods: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Title and methods of every row of panels, the reference in each of them."""
    groups = []
    for right, title in ((True, "minimise F"), (False, f"{style.OTHER_OBJECTIVE} another objective")):
        mine = [m for m in methods if METHODS[m].right_objective == right and m != REFERENCE]
        rows = -(-len(mine) // METHODS_PER_PANEL)
        parts = [mine[row::rows] for row in range(rows)] or ([[]] if right else [])
        groups += [(title, [*part, *([REFERENCE] if REFERENCE in methods else [])]) for part in parts]
    return [(title, part) for title, part in groups if part]


def draw_methods(axes, drawn: pd.DataFrame, methods: Sequence[str]) -> None:
    style.draw_bands(axes, drawn, methods)
    for method in methods:
        rows = drawn[drawn["method"] == method]
        axes.plot(rows["time"], rows["exact"], **EXACT)
    style.log_axes(axes, x=True)


def smallest_targets(curves: pd.DataFrame) -> dict[str, float]:
    """The smallest target of every case, nan where it has none."""
    return {case: float(rows["target"].min()) for case, rows in curves.groupby("case", sort=False)}


def tuned_for(table: pd.DataFrame, case: str, target: float) -> pd.DataFrame:
    """The rows of a case that belong to a target, or to none."""
    return table[(table["case"] == case) & (table["target"].isna() if np.isnan(target) else table["target"] == target)]


def bands(curves: pd.DataFrame, exact: pd.DataFrame, case: str, target: float) -> pd.DataFrame:
    """Median and quartiles over seeds of ‖∇F‖² at NUM_TIMES times, and its exact expectation where that is known.

    All are averages over the last tenth of elapsed time.
    """
    curves, exact = tuned_for(curves, case, target), tuned_for(exact, case, target)
    shown = log_spaced(np.sort(curves["time"].unique()))
    parts = []
    for method, rows in curves.groupby("method", sort=False):
        times, values = summaries.by_replica(rows, "grad_norm_sq")
        with np.errstate(invalid="ignore"):  # inf − inf after a divergence
            smooth = trailing_mean(times, values)
        table = summaries.quartile_table(times, np.where(np.isnan(smooth), np.inf, smooth)).set_index("time")
        table = table.reindex(shown, fill_value=np.inf)
        own = exact[exact["method"] == method].sort_values("time")
        if len(own):
            expected = trailing_mean(own["time"].to_numpy(), own["grad_norm_sq"].to_numpy())
            table["exact"] = pd.Series(expected, index=own["time"]).reindex(shown)
        else:
            table["exact"] = np.nan
        parts.append(table.reset_index(names="time").assign(case=case, method=method, target=target))
    columns = ["case", "method", "target", "time", "median", "lower_quartile", "upper_quartile", "exact"]
    return pd.concat(parts, ignore_index=True)[columns]


def levels(curves: pd.DataFrame, targets: dict[str, float]) -> pd.DataFrame:
    """‖∇F‖² over the last tenth of the horizon by replica, of the runs tuned for each case's target."""
    drawn = pd.concat([tuned_for(curves, case, target) for case, target in targets.items()])
    by_replica = summaries.last_values(drawn, ["case", "method"], ["grad_norm_sq"], share=0.1)
    by_replica.insert(2, "target", by_replica["case"].map(targets))
    return by_replica


def log_spaced(times: np.ndarray) -> np.ndarray:
    """At most NUM_TIMES of the positive times, spread evenly in their logarithm, first and last included."""
    times = times[times > 0]
    wanted = np.geomspace(times[0], times[-1], NUM_TIMES)
    return times[np.unique(np.abs(times[:, None] - wanted).argmin(axis=0))]
