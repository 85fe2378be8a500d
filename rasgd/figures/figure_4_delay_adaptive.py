"""The paper's Figure 4: steps that shrink with the delay lead to the fast worker's minimiser."""

from __future__ import annotations

import pandas as pd

from rasgd.figures import captions, style
from rasgd.figures.product import Product

RULES = {"delay_adaptive_paper": "γ/(1+δ)", "delay_adaptive_code": "γ·n/max(n, δ)"}
MINIMISER = 0.0


def caption(settings: dict) -> str:
    setting = settings["delay_adaptive"]
    fast, slow = setting["compute_times"]
    step = setting["curves"]["rescaled"]["step"]["paper_step_size"]
    return f"""Two workers with F₁ = (x − 1)² and F₂ = (x + 1)², compute times ({fast:g}, {slow:g}) s, no noise, x⁰ =
        {setting["problem"]["initial_point"][0]:g}. Lines: every iterate, also those at the same instant; points: at
        the ends of cycles of {slow:g} s; right: the exact limits of these (points) and of the range within a cycle
        (bars). γ = {step:g}, in eq. (2) for Rescaled ASGD, per arrival for Vanilla ASGD, of a fresh gradient for
        Delay-adaptive ASGD; the paper does not state its step. Delay-adaptive ASGD with the paper's rule γ/(1+δ) and
        with the public code's γ·n/max(n, δ). F is smallest at 0, F₁ at 1. {captions.ANOTHER_OBJECTIVE} The same at
        every scale."""


def draw(tables: dict, settings: dict) -> Product:
    iterates, limits = (tables["delay_adaptive"][name] for name in ("iterates", "limits"))
    figure = style.new_figure(height_inches=2.5)
    axes, aside = figure.subplots(1, 2, sharey=True, width_ratios=[1, 0.16])
    for value in (MINIMISER, 1.0):
        for part in (axes, aside):
            part.axhline(value, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
    for curve, own in iterates.groupby("curve", sort=False):
        how = line(curve, own["method"].iloc[0])
        path = {"linewidth": 0.8, "drawstyle": "steps-post", "marker": None}
        axes.plot(own["time"], own["x"], **{**how, **path, "label": None})
        ends = own[own["at_cycle_end"]]
        axes.plot(ends["time"], ends["x"], **{**how, "linestyle": "none", "label": None})
        axes.plot([], [], **how)
    for position, row in enumerate(limits.itertuples()):
        how = line(row.curve, row.method)
        aside.plot([position] * 2, [row.lowest, row.highest], color=how["color"], linewidth=1.2)
        aside.plot(position, row.limit, **{**how, "linestyle": "none"})
    axes.set(xlabel="simulated time (s)", ylabel="x", xlim=(-20, iterates["time"].max() + 20), ylim=(-0.3, 3.1))
    aside.set(xlabel="limits", xlim=(-0.7, len(limits) - 0.3), xticks=[])
    axes.legend(loc="upper right")
    return Product(numbers(iterates, limits), figure)


def line(curve: str, method: str) -> dict:
    """How a curve is drawn; the two step rules of one method differ in marker and dashes."""
    colour, marker = style.style(method)
    if curve in RULES:
        label = f"{style.legend_label(method)}, {RULES[curve]}"
        dashes = style.line_style(method) if curve == "delay_adaptive_paper" else (0, (1, 1))
        face = colour if curve == "delay_adaptive_paper" else "white"
        return {"color": colour, "marker": marker, "linestyle": dashes, "markerfacecolor": face, "label": label}
    return {
        "color": colour, "marker": marker, "linestyle": style.line_style(method), "label": style.legend_label(method)
    }  # fmt: skip


def numbers(iterates: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """x of every iterate; then the limit of cycle ends, whose time is inf, and the range within a cycle."""
    ends = limits.rename(columns={"limit": "x"}).assign(time=float("inf"), at_cycle_end=True)
    table = pd.concat([iterates, ends], ignore_index=True)
    columns = ["curve", "method", "time", "update", "at_cycle_end", "x", "lowest", "highest", "largest_delay"]
    return table[columns].assign(at_cycle_end=table["at_cycle_end"].astype(float))
