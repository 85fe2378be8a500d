"""Times on the hard instance of the lower bound, and on a smooth mean of less smooth functions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd.figures import captions, style
from rasgd.figures.product import Product

DODGE = 1.09  # factor in x between methods at the same place


def caption(settings: dict) -> str:
    chains, curvatures = settings["worst_case"], settings["small_smoothness"]
    steps = ", ".join(f"{value:g}" for value in curvatures["max_smoothness"] if value > 1)
    return f"""Top: the block zero-chain of the lower bound (Arjevani et al. 2019; Tyurin & Richtárik 2023), every
        worker owning {chains["chain_length"]} coordinates that its gradients show with probability pᵢ; seconds to
        E‖∇F‖² ≤ ε over LΔ/ε·τ_max + LΔσ²/(nε²)·τ_A, scaled by one constant throughout, at the step size chosen on
        other seeds, with 95 % intervals over {len(chains["reporting"]["seeds"])} seeds; points are moved sideways so
        that methods which coincide show. A method is optimal up to a constant if its lines do not rise, along σ²/ε or
        from panel to panel; they fall because the bound's first term, larger on the left, has the larger constant.
        Bottom: curvatures that cancel in the mean to L = 1, with L_max = {steps}; lines: exact, markers: simulated,
        with intervals over {len(curvatures["reporting"]["seeds"])} seeds. Our own settings, none of the paper's."""


def draw(tables: dict, settings: dict) -> Product:
    """One panel per profile of compute times above one panel per method where curvatures cancel."""
    profiles = captions.profile_labels(settings["worst_case"])
    chains, curvatures = tables["worst_case"]["times"], tables["small_smoothness"]["times"]
    drawn = pd.concat([chain_rows(chains), curvature_rows(curvatures)], ignore_index=True)
    figure = style.new_figure(height_inches=4.4)
    grid = figure.add_gridspec(2, len(profiles))
    methods = style.in_order(drawn.loc[drawn["instance"] == "chain", "method"])
    shared = None
    for column, (profile, label) in enumerate(profiles.items()):
        axes = shared = figure.add_subplot(grid[0, column], sharey=shared)
        draw_chains(axes, drawn[(drawn["instance"] == "chain") & (drawn["case"] == profile)], methods)
        axes.set(title=style.mathematics(label), xlabel="σ²/ε")
        axes.set_ylabel("" if column else "seconds over lower bound\n(one constant)")
        axes.tick_params(labelleft=column == 0)
    smooth = drawn[drawn["instance"] == "curvature"]
    # Those that were simulated: what exact theory knows of others is that L_max does not matter to them.
    panels = style.in_order(smooth.dropna(subset="value")["method"])
    below = grid[1, :].subgridspec(1, len(panels))
    shared = None
    for column, method in enumerate(panels):
        axes = shared = figure.add_subplot(below[column], sharey=shared)
        draw_curvatures(axes, smooth[smooth["method"] == method])
        axes.set_title(f"{style.legend_label(method)}: curvatures cancel")
        axes.set_xlabel("target ε (smaller →)")
        axes.set_ylabel("" if column else style.mathematics("T(L_max) / T(L_max = L)"))
        axes.set_xlim(smooth["x"].max() * 1.5, smooth["x"].min() / 1.5)  # small ones on the right
        axes.tick_params(labelleft=column == 0)
    figure.legend(handles=style.legend_handles(methods), loc="outside upper center", ncols=3)
    return Product(drawn, figure)


ENDS = {"": "seconds", "_low": "low", "_high": "high"}


def chain_rows(times: pd.DataFrame) -> pd.DataFrame:
    """Seconds over the lower bound, times one constant that makes a single one of Rescaled ASGD's 1."""
    own = times[times["method"] == "rescaled"]
    constant = own.loc[own["noise_to_target"].idxmin(), "over_bound"]
    columns = {"value": "over_bound", "low": "over_bound_low", "high": "over_bound_high"}
    return pd.DataFrame(
        {"instance": "chain", "case": times["profile"], "method": times["method"], "x": times["noise_to_target"]}
        | {name: times[column] / constant for name, column in columns.items()}
        | {f"over_promised{end}": times[column] / times["promised"] for end, column in ENDS.items()}
        | {"replicas": times["replicas"]}
    )


def curvature_rows(times: pd.DataFrame) -> pd.DataFrame:
    """Times over those with L_max = L; exact where there is theory, else simulated with intervals."""
    smooth = times[times["max_smoothness"] > times["max_smoothness"].min()]
    return pd.DataFrame(
        {"instance": "curvature", "case": smooth["max_smoothness"], "method": smooth["method"], "x": smooth["epsilon"]}
        | {"exact": smooth["predicted_over_smooth"], "value": smooth["measured_over_smooth"]}
        | {name: smooth[f"{name}_over_smooth"] for name in ("low", "high")}
    )


def draw_chains(axes, rows: pd.DataFrame, methods: list[str]) -> None:
    """Every method's line with intervals; a method that does not get there within the horizon has no point."""
    for place, method in enumerate(methods):
        line = rows[(rows["method"] == method) & np.isfinite(rows["value"])].sort_values("x")
        x = line["x"] * DODGE ** (place - (len(methods) - 1) / 2)
        colour, marker = style.style(method)
        axes.plot(x, line["value"], color=colour, linestyle=style.line_style(method), linewidth=0.8)
        style.draw_intervals(
            axes, x, line["value"], line["low"], line["high"], color=colour, marker=marker, elinewidth=0.7
        )
    style.log_axes(axes, x=True)
    levels = sorted(rows["x"].unique())
    axes.set_xlim(levels[0] / 2, levels[-1] * 2)
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.set_xticks([], minor=True)


def draw_curvatures(axes, rows: pd.DataFrame) -> None:
    ratios = sorted(rows["case"].unique())
    for place, (ratio, colour) in enumerate(zip(ratios, style.shades(len(ratios)), strict=True)):
        line = rows[rows["case"] == ratio].sort_values("x")
        some = line[np.isfinite(line["value"])]
        axes.plot(line["x"], line["exact"], color=colour, label=style.mathematics(f"L_max = {ratio:g} L"))
        x = some["x"] * DODGE ** (place - (len(ratios) - 1) / 2)
        style.draw_intervals(
            axes, x, *(some[name] for name in ("value", "low", "high")), color=colour, marker="o",
            markerfacecolor="white",
        )  # fmt: skip
    axes.axhline(1, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle="--")
    style.log_axes(axes, x=True)
    axes.legend(loc="upper right")
