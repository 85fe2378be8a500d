"""The paper's Figure 3: vanilla ASGD stops beside the minimiser, Rescaled ASGD arrives."""

from __future__ import annotations

import pandas as pd

from rasgd.figures import style
from rasgd.figures.product import Product
from rasgd.methods import METHODS

# Read off the paper's poster, which has the same figure, every 30 seconds from 0 on.
POSTER_SPACING = 30
POSTER = {
    "rescaled": [5, 2.4, 0.98, 0.22, -0.19, -0.42, -0.54, -0.60, -0.64, -0.66],
    "asgd": [5, 1.74, 0.82, 0.56, 0.48, 0.46, 0.455],
}
# Where two objectives are smallest, and how many points below the line there is room for the name.
MINIMISERS = {-2 / 3: ("−2/3 minimises F", -3), 1 / 2: ("1/2 minimises F̃", -7)}
PANELS = {"all": "(a) all iterates", "cycle": "(b) cycle iterates"}


def caption(settings: dict) -> str:
    curves = settings["toy"]["curves"]
    drawn = curves["rescaled_drawn"]["step"]["paper_step_size"], curves["asgd_drawn"]["step"]["step_size"]
    stated = curves["rescaled_stated"]["step"]["cycle_step_size"]
    return f"""Two workers with F₁ = (x − 4)² and F₂ = 2(x + 3)², compute times (1, 2) s, no noise. (a) every
        iterate, also those at the same instant; (b) the iterates at the ends of cycles of 2 s. Solid and dashed: the
        steps of the paper's curves, eq. (2) with γ = {drawn[0]:g} for Rescaled ASGD (cycle step size α = γτ_H =
        .0133) and {drawn[1]:g} per arrival for Vanilla ASGD (α = .03); open markers: read off the poster's copy of
        this figure. Dotted: the same cycle step size α = {stated:g} for both, as the paper's text has it; at equal α
        Vanilla ASGD approaches its limit no faster than Rescaled ASGD. F̃ weighs workers by their share of arrivals.
        The same at every scale."""


def draw(tables: dict, settings: dict) -> Product:
    iterates = tables["toy"]["iterates"]
    figure = style.new_figure(height_inches=2.5)
    panels = figure.subplots(1, 2, sharey=True)
    end = iterates["time"].max()
    for axes, (panel, title) in zip(panels, PANELS.items(), strict=True):
        rows = iterates if panel == "all" else iterates[iterates["at_cycle_end"]]
        draw_curves(axes, rows, "steps-post" if panel == "all" else "default")
        for value, (name, drop) in MINIMISERS.items():
            axes.axhline(value, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
            if panel == "cycle":
                axes.annotate(name, (end, value), (0, drop), textcoords="offset points", ha="right", va="top")
        axes.set(title=title, xlabel="simulated time (s)", xlim=(-4, end), ylim=(-1.35, 5.3))
    panels[0].set_ylabel("x")
    for method, points in POSTER.items():
        at = [POSTER_SPACING * index for index in range(len(points))]
        colour, marker = style.style(method)
        panels[1].plot(
            at, points, marker, color=colour, markerfacecolor="white", label=f"{METHODS[method].label}, poster"
        )
    panels[1].legend(loc="upper right")
    return Product(numbers(iterates, tables["toy"]["limits"]), figure)


def draw_curves(axes, rows: pd.DataFrame, path: str) -> None:
    for (curve, method), own in rows.groupby(["curve", "method"], sort=False):
        if curve.endswith("_stated"):
            how = {"linestyle": ":", "linewidth": 0.9, "label": f"{METHODS[method].label}, α = .01"}
        else:
            how = {"linestyle": style.line_style(method), "label": METHODS[method].label}
        axes.plot(own["time"], own["x"], color=style.style(method).colour, drawstyle=path, **how)


def numbers(iterates: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """x of every iterate, at every point of the poster, and in the limit of cycle ends, whose time is inf."""
    poster = [
        ("poster", f"{method}_drawn", method, index * POSTER_SPACING, x)
        for method, points in POSTER.items()
        for index, x in enumerate(points)
    ]
    columns = ["source", "curve", "method", "time", "x"]
    parts = [
        iterates.assign(source="iterate"),
        pd.DataFrame(poster, columns=columns),
        limits.rename(columns={"limit": "x"}).assign(source="limit", time=float("inf")),
    ]
    table = pd.concat(parts, ignore_index=True)[[*columns, "update", "at_cycle_end"]]
    return table.assign(at_cycle_end=table["at_cycle_end"].astype(float))
