"""Beyond the paper's assumptions: other compute times, the average over a cycle, divergence, delays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd.figures import captions, style
from rasgd.figures.product import Product

LAWS = {
    ("exponential", "mean"): ("exponential, steps by the mean", "#0072B2", "o"),
    ("gamma", "mean"): ("gamma ($c_v$ = ½), steps by the mean", "#56B4E9", "s"),
    ("exponential", "own"): ("exponential, steps by own duration", "#D55E00", "^"),
    ("gamma", "own"): ("gamma ($c_v$ = ½), steps by own duration", "#E69F00", "v"),
    ("fixed", "mean"): ("fixed", "#000000", "D"),
}
AVERAGES = {
    "time": ("time average of ‖∇F‖²", "s"),
    "seconds": ("point averaged by seconds", "o"),
    "arrivals": ("point averaged by arrivals", "^"),
}


def caption(settings: dict) -> str:
    setting = settings["theorems"]
    fluctuating = setting["fluctuating"]
    return f"""(a) Floor of E‖∇F‖² over that of fixed times as s → 0, against ζ/σ at a total step of
        s = {min(fluctuating["rates"]):g} per second ({fluctuating["runs"]} runs, each with its own schedule; bars: two
        standard errors). Long dashes, derived: 1 + c_v²ζ_τ²/σ² for steps by the mean time, 1 + c_v² for steps by each
        gradient's own duration. (b) Exact time to ε at the best step over ΔLσ²τ_A/(nε²): compute times without harmonic
        periods (dashed) behave as the others do. (c) ‖∇F‖² at cycle ends of the limit cycle over three averages, mean
        over {setting["draws"]} draws of heterogeneity; missing where the first-order bias vanishes. (d) Growth per
        second over s² where the workers' curvatures cancel in one direction: Rescaled ASGD diverges at every step
        size; dotted: derived. (e) Time on compute times rounded up to powers of two over that on the given ones; line:
        equal to the ratio of their means τ_A. (f) Weight of the fastest worker under delay-adaptive steps γ/(1+δ), from
        the delays against the paper's τ⁻² formula. {captions.OUR_SETTING}"""


def draw(tables: dict, settings: dict) -> Product:
    setting = settings["theorems"]
    labels = captions.profile_labels(setting) | {name: own["label"] for name, own in setting["examples"].items()}
    beyond, checks, terms, delays = (tables["theorems"][name] for name in ("beyond", "checks", "terms", "delays"))
    figure = style.new_figure(height_inches=6.6)
    grid = figure.subplots(3, 2)
    draw_floors(grid[0, 0], beyond, min(setting["fluctuating"]["rates"]))
    draw_noise(grid[0, 1], terms, labels)
    draw_averages(grid[1, 0], checks, labels)
    draw_divergence(grid[1, 1], beyond)
    draw_rounding(grid[2, 0], beyond)
    draw_weights(grid[2, 1], delays, labels)
    numbers = pd.concat(
        [
            beyond.assign(kind="beyond"),
            terms[terms["term"] == "noise"].rename(columns={"profile": "case", "scaled": "value"}).assign(kind="time"),
            checks[checks["check"].str.startswith("averaging_")]
            .rename(columns={"check": "topic"})
            .assign(kind="averaging"),
            delays.rename(columns={"profile": "case", "weight": "value", "formula_weight": "predicted"}).assign(
                kind="delay"
            ),
        ],
        ignore_index=True,
    )
    columns = ["kind", "topic", "case", "law", "steps", "rate", "worker", "compute_time", "x"]
    columns += ["value", "predicted", "error", "replicas", "median"]
    return Product(numbers[columns], figure)


def draw_floors(axes, beyond: pd.DataFrame, rate: float) -> None:
    rows = beyond[beyond["topic"] == "fluctuating_floor"]
    for (law, steps), (label, colour, marker) in LAWS.items():
        own = rows[(rows["law"] == law) & (rows["steps"] == steps) & (rows["rate"] == rate)]
        axes.plot(own["x"], own["predicted"], "_", color=colour, markersize=11)
        axes.errorbar(
            own["x"], own["value"], 2 * own["error"], color=colour, marker=marker, linestyle="none", capsize=2,
            label=label,
        )  # fmt: skip
    axes.set_ylim(0.6, 60)
    style.log_axes(axes)
    axes.set(title="(a) fluctuating times", xlabel="ζ/σ", ylabel="floor over fixed times'")
    axes.legend(loc="upper left", fontsize=5.5)


def draw_noise(axes, terms: pd.DataFrame, labels: dict[str, str]) -> None:
    rows = terms[terms["term"] == "noise"]
    profiles = list(dict.fromkeys(rows["profile"]))
    for profile, colour in zip(profiles, style.shades(len(profiles)), strict=True):
        own = rows[rows["profile"] == profile].sort_values("x")
        harmonic = "not harmonic" not in labels[profile]
        axes.plot(own["x"], own["scaled"], "-" if harmonic else "--", color=colour, marker="o", label=labels[profile])
    style.log_axes(axes, x=True)
    axes.invert_xaxis()
    axes.set(title="(b) noise leads", xlabel="target ε", ylabel="time over leading term")
    axes.legend(loc="upper right", fontsize=5.5)


def draw_averages(axes, checks: pd.DataFrame, labels: dict[str, str]) -> None:
    rows = checks[checks["check"].str.startswith("averaging_") & np.isfinite(checks["value"])]
    profiles = list(dict.fromkeys(rows["case"]))
    for kind, (label, marker) in AVERAGES.items():
        own = rows[rows["check"] == f"averaging_by_{kind}"]
        places = [profiles.index(case) for case in own["case"]]
        axes.plot(places, own["value"], marker, color="#333333", label=label)
    axes.set_xticks(range(len(profiles)), [labels[profile].replace(", ", ",\n") for profile in profiles])
    axes.set_ylim(0.8, 5000)
    style.log_axes(axes)
    axes.set(title="(c) averages over a cycle", ylabel="cycle ends over average")
    axes.legend(loc="upper left", fontsize=5.5)


def draw_divergence(axes, beyond: pd.DataFrame) -> None:
    rows = beyond[beyond["topic"] == "divergence"]
    cases = list(dict.fromkeys(rows["case"]))
    for case, colour in zip(cases, style.shades(len(cases)), strict=True):
        own = rows[rows["case"] == case].sort_values("x")
        axes.plot(own["x"], own["value"], color=colour, marker="o", label=case)
        axes.plot(own["x"], own["predicted"], ":", color=colour, linewidth=0.8)
    axes.set(
        title="(d) opposing curvatures", xscale="log", xlabel="total step per second s",
        ylabel="growth per second / s²", ylim=(0, None),
    )  # fmt: skip
    axes.legend(loc="lower left", fontsize=5.5)


def draw_rounding(axes, beyond: pd.DataFrame) -> None:
    rows = beyond[beyond["topic"] == "rounding"]
    smallest = rows[rows["x"] == rows["x"].min()]
    axes.plot([1, 2], [1, 2], color=style.GUIDE_COLOUR, linewidth=0.7)
    for (_, own), marker in zip(smallest.iterrows(), "os^DvP", strict=False):
        axes.plot(own["predicted"], own["value"], marker, color="#333333", label=own["case"])
    axes.set(title="(e) rounding up", xlabel=style.mathematics("ratio of τ_A"), ylabel="ratio of times")
    axes.legend(loc="upper left", fontsize=5.5)


def draw_weights(axes, delays: pd.DataFrame, labels: dict[str, str]) -> None:
    fastest = delays.loc[delays.groupby("profile", sort=False)["compute_time"].idxmin()]
    places = np.arange(len(fastest))
    axes.plot(fastest["weight"], places, "o", color="#882255", label="from the delays")
    axes.plot(fastest["formula_weight"], places, "o", color="#882255", markerfacecolor="white", label="∝ τ⁻²")
    axes.set_yticks(places, [labels[profile].replace(", not", ",\nnot") for profile in fastest["profile"]], fontsize=6)
    axes.invert_yaxis()
    axes.set(title="(f) delay-adaptive weights", xlabel="weight of the fastest", xlim=(0, 1.03))
    axes.legend(loc="upper right", fontsize=5.5)
