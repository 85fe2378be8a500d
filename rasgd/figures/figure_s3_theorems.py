"""How loose the paper's theorems are, where they break, and what each term of Corollary 4.2 is in truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd.figures import captions, style
from rasgd.figures.product import Product

THEOREMS = {
    "theorem_4_1": ("Theorem 4.1", "#0072B2", "o"),
    "theorem_4_3": ("Theorem 4.3", "#D55E00", "s"),
    "theorem_b_9": ("Theorem B.9", "#009E73", "^"),
    "sharper_b_9": ("B.9, sharper", "#CC79A7", "D"),
}
TERMS = {"noise": "o", "staleness": "s", "heterogeneity": "^", "deterministic": "D"}
HIGHEST = 100.0  # ratio that is drawn: beyond their limits some runs diverge
LEMMAS = {
    "b_2": "B.2",
    "b_3": "B.3",
    "b_4": "B.4",
    "b_5": "B.5",
    "b_6": "B.6",
    "sharper_b_6": "B.6*",
    "b_8": "B.8",
}


def caption(settings: dict) -> str:
    setting = settings["theorems"]
    given, terms = setting["instances"], setting["terms"]
    number = given["groups"] * given["per_group"]
    return f"""Left over right side of the theorems on {number:,} random quadratics each (n ≤ {given["max_workers"]},
        d ≤ {given["max_dim"]}, equal and unequal Hessians, noise and heterogeneity over four decades), all of it exact;
        the right side is the smallest along the curve of ζ and ρ. (a) Largest (lines) and median (dotted) over the
        instances after M cycles. (b) Largest ratio by cycle step size over the largest one allowed; above 1 nothing is
        claimed, and arrows say that it leaves the panel. (c) Largest left over right side of the lemmas (*: of the
        sharper bound). (d) Time to
        ε = {min(terms["epsilons"]):g} at the best step over each term of Corollary 4.2 without its constant, where that
        term leads: as the paper has it (open), and with τ_A for τ_Aτ_max/τ_H in the second, τ_A/n for τ_max²/τ_H in the
        third (filled); one marker per profile of compute times. (e) Time at the prescribed step over that at the best
        one: Corollary 4.2 (solid), the sharper bound (dashed). Theorems 4.1, 4.3 and B.9 are the paper's, with the
        constants of their proofs; the sharper B.9 is derived here. {captions.OUR_SETTING}"""


def draw(tables: dict, settings: dict) -> Product:
    own = tables["theorems"]
    labels = captions.profile_labels(settings["theorems"])
    looseness, outside, checks, terms, prices = (
        own[name] for name in ("looseness", "outside", "checks", "terms", "prices")
    )
    figure = style.new_figure(height_inches=4.6)
    grid = figure.subplots(2, 3)
    draw_cycles(grid[0, 0], looseness)
    draw_steps(grid[0, 1], looseness, outside)
    draw_lemmas(grid[0, 2], checks)
    draw_terms(grid[1, 0], terms)
    draw_prices(grid[1, 1], prices, labels)
    grid[1, 2].axis("off")
    handles, names = grid[0, 0].get_legend_handles_labels()
    grid[1, 2].legend(handles, names, loc="upper left", title="(a), (b)")
    figure.add_artist(grid[1, 2].get_legend())
    lines, profiles = grid[1, 1].get_legend_handles_labels()
    grid[1, 2].legend(lines, profiles, loc="lower left", title="(e)")
    return Product(numbers(looseness, outside, checks, terms, prices), figure)


def numbers(looseness: pd.DataFrame, outside: pd.DataFrame, checks, terms, prices) -> pd.DataFrame:
    """Every table one below the other, told apart by kind."""
    kinds = {
        "looseness": looseness.rename(columns={"theorem": "name"}),
        "outside": outside.rename(columns={"theorem": "name", "over_limit": "x"}),
        "check": checks.rename(columns={"check": "name"}),
        "term": terms.rename(columns={"term": "name"}),
        "price": prices.rename(columns={"method": "name", "epsilon": "x"}),
    }
    return pd.concat([table.assign(kind=kind) for kind, table in kinds.items()], ignore_index=True)[
        ["kind", "name", *dict.fromkeys(column for table in kinds.values() for column in table if column != "name")]
    ]


def draw_cycles(axes, looseness: pd.DataFrame) -> None:
    for theorem, (label, colour, marker) in THEOREMS.items():
        rows = looseness[(looseness["theorem"] == theorem) & (looseness["by"] == "cycles")]
        cycles = rows["at"].astype(float)
        axes.plot(cycles, rows["largest"], color=colour, marker=marker, label=label)
        axes.plot(cycles, rows["median"], color=colour, linestyle=":")
    finish(axes, "(a) after M cycles", "M", "left over right side")


def draw_steps(axes, looseness: pd.DataFrame, outside: pd.DataFrame) -> None:
    axes.axvline(1, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle=":")
    for theorem, (_, colour, marker) in THEOREMS.items():
        within = looseness[(looseness["theorem"] == theorem) & (looseness["by"] == "step")]
        beyond = outside[(outside["theorem"] == theorem) & (outside["over_limit"] > 1)]
        x = np.concatenate([within["at"].astype(float), beyond["over_limit"]])
        y = np.concatenate([within["largest"], beyond["largest"]]).astype(float)
        drawn = y <= HIGHEST
        axes.plot(x[drawn], y[drawn], color=colour, marker=marker)
        if (~drawn).any():
            axes.plot(
                x[~drawn].min(), 1, "^", transform=axes.get_xaxis_transform(), color=colour, clip_on=False, markersize=4
            )
    finish(axes, "(b) by cycle step size", "α over its limit", "")


def draw_lemmas(axes, checks: pd.DataFrame) -> None:
    rows = checks[checks["check"] == "lemmas"].set_index("case")["value"]
    values = [rows[f"lemma {name}"] for name in LEMMAS]
    axes.plot(values, range(len(values)), "o", color="#333333")
    axes.set_yticks(range(len(values)), LEMMAS.values())
    axes.axvline(1, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle="--")
    axes.invert_yaxis()
    axes.set(title="(c) lemmas", xscale="log", xlabel="left over right side")


def draw_terms(axes, terms: pd.DataFrame) -> None:
    smallest = terms.loc[terms["term"] == "noise", "x"].min()
    rows = terms[(terms["x"] == smallest) & terms["term"].isin(list(TERMS))]
    for place, (term, marker) in enumerate(TERMS.items()):
        own = rows[rows["term"] == term]
        spread = place + np.linspace(-0.25, 0.25, len(own)) if len(own) > 1 else [place]
        axes.plot(spread, own["over_paper"], marker, color="#333333", markerfacecolor="white")
        axes.plot(spread, own["scaled"], marker, color="#333333")
    axes.set_xticks(
        range(len(TERMS)), [r"$\sigma^2/\epsilon^2$", r"$\epsilon^{-3/2}$", r"$\rho/\epsilon$", r"$1/\epsilon$"]
    )
    axes.set(title="(d) the four terms", yscale="log", ylabel="time over term")


def draw_prices(axes, prices: pd.DataFrame, labels: dict[str, str]) -> None:
    own = prices[prices["method"] == "rescaled"]
    profiles = list(dict.fromkeys(own["profile"]))
    for profile, colour in zip(profiles, style.shades(len(profiles)), strict=True):
        for steps, line in (("theory", "-"), ("sharper", "--")):
            rows = own[(own["profile"] == profile) & (own["steps"] == steps)].sort_values("epsilon")
            label = labels[profile] if steps == "theory" else None
            axes.plot(rows["epsilon"], rows["over_tuned"], line, color=colour, marker="o", label=label)
    style.log_axes(axes, x=True)
    axes.invert_xaxis()
    axes.set(title="(e) price of the constants", xlabel="target ε", ylabel="time over best time")


def finish(axes, title: str, x: str, y: str) -> None:
    axes.axhline(1, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle="--")
    axes.set(title=title, xlabel=x, ylabel=y)
    style.log_axes(axes, x=True)
