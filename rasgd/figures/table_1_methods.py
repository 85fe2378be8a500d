"""The paper's Table 1, its rows, columns and ticks, beside what is measured; below it the methods it does not list."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, saving, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS
from rasgd.theory import weights
from rasgd.theory.methods import ROWS

PAPER_ROWS = ("minibatch", "malenia", "ringleader", "concurrent", "delay_adaptive", "rescaled")
BELOW = "Not in the paper's table"
MEAN_TIME = ("ΔLσ²/(nε²)·τ_A", r"$\Delta L\sigma^2/(n\varepsilon^2)\cdot\tau_A$")
SLOWEST_TIME = ("ΔLσ²/(nε²)·τ_max", r"$\Delta L\sigma^2/(n\varepsilon^2)\cdot\tau_{\max}$")
LEADING_TERMS = {
    "rescaled": MEAN_TIME,
    "malenia": MEAN_TIME,
    "ringleader": ("ΔL′σ²/(nε²)·τ_A", r"$\Delta L'\sigma^2/(n\varepsilon^2)\cdot\tau_A$"),
    "delay_adaptive": (MEAN_TIME[0] + " to ζ²", MEAN_TIME[1] + r" to $\zeta^2$"),
    "minibatch": SLOWEST_TIME,
    "ia2sgd": SLOWEST_TIME,
    "concurrent": ("ΔL(σ²+ζ²)/(nε²)·τ_max", r"$\Delta L(\sigma^2+\zeta^2)/(n\varepsilon^2)\cdot\tau_{\max}$"),
}
TICKS = {True: ("✓", r"\checkmark"), False: ("✗", r"$\times$")}
CASE = "noise_dominated"
HEADER = [
    "Method",
    "Leading term",
    "measured/τ_A",
    "Optimal",
    "No idle",
    "idle",
    "No memory",
    "vectors",
    "wasted",
    "weight error",
]


def caption(settings: dict) -> str:
    quadratic, exact = settings["quadratic"], settings["time_to_target"]
    profiles = "; ".join(own["label"] for own in exact["profiles"].values())
    return f"""The paper's Table 1, with its ticks, beside what is measured. Leading term: of the time to an
        ε-stationary point, as the paper has it (L′ ≥ L is Ringleader ASGD's own constant; Delay-adaptive ASGD gets
        only to the level of ζ², and τ_A holds for equal times; IA²SGD: from its literature). Measured/τ_A: exact
        seconds to ε = {min(exact["epsilons"]):g} times nε²/(ΔLσ²τ_A) at the best step, for compute times {profiles},
        on instances adapted to ε; an optimal method has one constant for all profiles, τ_max in place of τ_A shows.
        Idle: share of worker seconds; vectors: what the server holds beside x; wasted: share of computed gradients;
        weight error: half the summed absolute difference between the workers' shares in all steps and 1/n; all four
        as `quadratic` measured them on its case {chosen_case(quadratic)}. † minimises another objective.
        {captions.quadratic_setting(quadratic)}"""


def draw(tables: dict, settings: dict) -> Product:
    """One row per method: the paper, one run at the steps chosen for one case's smallest target, and exact times."""
    setting, runs = settings["quadratic"], tables["quadratic"]["runs"]
    case = chosen_case(setting)
    own = captions.cases(setting)[case]
    runs = runs[runs["case"] == case]
    runs = runs[runs["target"].isna() | (runs["target"] == runs["target"].min())]
    times, until = captions.mean_times(setting)[case], own["until"]
    reached = times_over_mean(tables["time_to_target"]["times"])
    rows = [measurements(group.iloc[0], times, until) for _, group in runs.groupby("method")]
    measured = pd.DataFrame(rows).set_index("method").loc[ordered(row["method"] for row in rows)]
    measured = measured.join(reached.add_prefix("over_mean_time_")).reset_index()
    profiles = [f"over_mean_time_{profile}" for profile in reached.columns]
    cells = [row(numbers, [numbers[profile] for profile in profiles]) for numbers in measured.to_dict("records")]
    groups = ["" if method in PAPER_ROWS else BELOW for method in measured["method"]]
    return Product(measured, shown=pd.DataFrame(cells, columns=HEADER, index=groups))


def ordered(methods) -> list[str]:
    """The paper's rows in its order, then the others."""
    given = style.in_order(methods)
    return [method for method in PAPER_ROWS if method in given] + [m for m in given if m not in PAPER_ROWS]


def chosen_case(setting: dict) -> str:
    """The case whose runs are measured, the first one where that of the paper's regime is not there."""
    return CASE if CASE in setting["cases"] else next(iter(setting["cases"]))


def times_over_mean(times: pd.DataFrame) -> pd.DataFrame:
    """seconds·nε²/(ΔLσ²τ_A) at the best step and the smallest ε, one row per method and one column per profile.

    Only of methods that minimise F: the others' times are those of data without heterogeneity.
    """
    tuned = times[(times["epsilon"] == times["epsilon"].min()) & (times["steps"] == "tuned")]
    tuned = tuned[[METHODS[method].right_objective for method in tuned["method"]]]
    return tuned.groupby(["method", "profile"], sort=False)["scaled"].min().unstack()[tuned["profile"].unique()]


def measurements(run: pd.Series, compute_times: Sequence[float], until: float) -> dict:
    """Theory and measurement of one method, as numbers; nan where there is none."""
    n, method, options = len(compute_times), run["method"], json.loads(run["options"])
    statistics, theory = json.loads(run["statistics"]), ROWS.get(method)
    ticks = theory.ticks if theory else None
    try:
        expected = summaries.weight_error(weights.effective_weights(method, compute_times))
    except ValueError:  # weights that depend on delays have no closed form
        expected = np.nan
    measured = statistics["effective_weights"]
    return {
        "method": method,
        "right_objective": METHODS[method].right_objective,
        "optimal_paper": float(ticks.optimal) if ticks else np.nan,
        "no_idle_paper": float(ticks.no_idle) if ticks else np.nan,
        "no_memory_paper": float(ticks.no_memory) if ticks else np.nan,
        "memory_theory": theory.memory(n, options) if theory else np.nan,
        "memory_measured": statistics["server_vectors"],
        "idle_theory": theory.idles if theory else np.nan,
        "idle_measured": sum(statistics["idle_seconds"]) / (n * until),
        "wasted_theory": theory.wastes if theory else np.nan,
        "wasted_measured": statistics["wasted_gradients"] / max(1, statistics["computed_gradients"]),
        "weight_error_theory": expected,
        "weight_error_measured": summaries.weight_error(measured),
        "arrival_error_measured": summaries.weight_error(measured, weights.arrival_frequency(compute_times)),
    }


def row(numbers: dict, over_mean_time: Sequence[float]) -> list[saving.Cell]:
    exact = all(np.isfinite(over_mean_time))
    return [
        style.legend_label(numbers["method"]),
        LEADING_TERMS.get(numbers["method"], saving.NO_VALUE),
        " · ".join(f"{value:.2f}" for value in over_mean_time) if exact else saving.NO_VALUE,
        tick(numbers["optimal_paper"]),
        tick(numbers["no_idle_paper"]),
        percentage(numbers["idle_measured"]),
        tick(numbers["no_memory_paper"]),
        f"{numbers['memory_measured']:g}",
        percentage(numbers["wasted_measured"]),
        saving.number_cell(numbers["weight_error_measured"]),
    ]


def tick(value: float) -> saving.Cell:
    return saving.NO_VALUE if np.isnan(value) else TICKS[bool(value)]


def percentage(share: float) -> str:
    return f"{100 * share:.1f} %"
