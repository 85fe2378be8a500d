"""Where constant steps settle: exact floors, simulated ones, what is left of them as the step vanishes."""

from __future__ import annotations

import pandas as pd

from rasgd.figures import style
from rasgd.figures.product import Product
from rasgd.methods import METHODS


def caption(settings: dict) -> str:
    setting = settings["stationary_error"]
    problem, runs = setting["problem"], setting["simulated"]
    return f"""Where constant steps settle on quadratics. Lines: exact theory, averaged over a cycle of arrivals;
        markers: time averages of runs of {runs["until"]:g} s with 95 % intervals over {len(runs["seeds"])} seeds;
        dotted: the law as γ → 0, vanilla ASGD's bias ‖∇F(x_p)‖² included; vertical: the largest stable step.
        Right: the part that is no noise, proportional to γ² for Rescaled ASGD and zero for Minibatch SGD. σ =
        {problem["noise"]:g}, ζ = {problem["heterogeneity"]:g}, n = {len(setting["compute_times"])}, d =
        {problem["dim"]}, fixed times from {min(setting["compute_times"]):g} to {max(setting["compute_times"]):g}
        s; our own setting, not one of the paper's. † minimises another objective."""


def draw(tables: dict, settings: dict) -> Product:
    """The whole floor beside its part that is no noise, both against the step size."""
    floors, stability = (tables["stationary_error"][name] for name in ("floors", "stability"))
    largest = stability.groupby("method")["largest_stable_step"].first()
    drawn = floors.assign(largest_stable_step=floors["method"].map(largest))
    methods = style.in_order(drawn["method"])
    figure = style.new_figure(height_inches=2.7)
    whole, bias = figure.subplots(1, 2)
    for method in methods:
        rows = drawn[drawn["method"] == method]
        draw_floor(whole, method, rows)
        draw_bias(bias, method, rows)
    whole.set(ylabel="floor of E‖∇F‖²", title="bias and noise")
    without = [
        METHODS[method].label
        for method in methods
        if not (drawn.loc[drawn["method"] == method, "predicted_bias"] > 0).any()
    ]
    if without:
        bias.text(
            0.98, 0.03, f"{', '.join(without)}: 0", transform=bias.transAxes, ha="right", color=style.GUIDE_COLOUR
        )
    bias.set(ylabel="‖∇F‖² on the limit cycle", title="bias alone")
    for axes in (whole, bias):
        axes.set_xlabel("step size γ")
        style.log_axes(axes, x=True)
    figure.legend(handles=legend(methods), loc="outside lower center", ncols=3)
    return Product(drawn, figure)


def draw_floor(axes, method: str, rows: pd.DataFrame) -> None:
    """The exact floor, its small-step law, simulated points with intervals, and the largest stable step."""
    colour, marker = style.style(method)
    axes.plot(rows["step_size"], rows["predicted"], color=colour, linestyle=style.line_style(method))
    axes.plot(rows["step_size"], rows["small_step"], color=colour, linewidth=0.7, linestyle=":")
    some = rows.dropna(subset="measured")
    style.draw_intervals(
        axes, *(some[name] for name in ("step_size", "measured", "low", "high")), color=colour, marker=marker,
        markerfacecolor="white", elinewidth=0.8,
    )  # fmt: skip
    draw_largest_step(axes, method, rows)


def draw_bias(axes, method: str, rows: pd.DataFrame) -> None:
    colour, _ = style.style(method)
    if (rows["predicted_bias"] > 0).any():
        axes.plot(rows["step_size"], rows["predicted_bias"], color=colour, linestyle=style.line_style(method))
        draw_largest_step(axes, method, rows)
    limit = rows["limit"].iloc[0]
    if limit > 0:
        axes.axhline(limit, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
        place = (rows["step_size"].min(), limit)
        axes.annotate(r"$\|\nabla F(x_p)\|^2$", place, (0, -3), textcoords="offset points", va="top")


def draw_largest_step(axes, method: str, rows: pd.DataFrame) -> None:
    axes.axvline(rows["largest_stable_step"].iloc[0], color=style.style(method).colour, linewidth=0.6, alpha=0.6)


def legend(methods: list[str]) -> list:
    from matplotlib.lines import Line2D

    grey = {"color": style.GUIDE_COLOUR}
    return [
        *(Line2D([], [], color=h.get_color(), linestyle=h.get_linestyle(), label=h.get_label()) for h in
          style.legend_handles(methods)),
        Line2D([], [], marker="o", markerfacecolor="white", linestyle="none", label="simulated, 95 % interval", **grey),
        Line2D([], [], linestyle=":", linewidth=0.7, label="as γ → 0", **grey),
        Line2D([], [], linewidth=0.6, alpha=0.6, label="largest stable step", **grey),
    ]  # fmt: skip
