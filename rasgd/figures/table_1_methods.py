"""What every method costs and whose objective it minimises: theory beside what runs measured."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, saving, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS
from rasgd.theory import methods as theory
from rasgd.theory import weights

# Leading terms as a table shows them: Markdown and LaTeX.
LEADING_TERMS = {
    theory.mean_time_term: ("ΔLσ²/(nε²)·τ_A", r"$\Delta L\sigma^2/(n\varepsilon^2)\cdot\tau_A$"),
    theory.slowest_time_term: ("ΔLσ²/(nε²)·τ_max", r"$\Delta L\sigma^2/(n\varepsilon^2)\cdot\tau_{\max}$"),
    theory.concurrent_term: (
        "ΔL(σ²+ζ²)/(nε²)·τ_max", r"$\Delta L(\sigma^2+\zeta^2)/(n\varepsilon^2)\cdot\tau_{\max}$"
    ),
}  # fmt: skip
TO_NEIGHBOURHOOD = ("delay_adaptive",)  # whose term is that of the time to a ζ²-neighbourhood, not to any ε
CASE = "noise_dominated"
HEADER = [
    "Method",
    "Leading term",
    "Memory",
    "measured",
    "Idle",
    "measured",
    "Wasted",
    "measured",
    "Weight error",
    "measured",
]


def caption(settings: dict) -> str:
    setting = settings["quadratic"]
    return f"""What the methods cost and whose objective they minimise: theory beside what `quadratic` measured on its
        case {chosen_case(setting)}. Leading term: of the time to an ε-stationary point, as the paper's comparison table
        has it (IA²SGD: from its literature); — where it has none. Memory: vectors of x's size the server holds beside
        x. Idle: share of worker seconds. Wasted: share of computed gradients; in theory yes means that it can happen.
        Weight error: half the summed absolute difference between the workers' shares in all steps and 1/n; theory as t
        → ∞, measured at the horizon. † minimises another objective. {captions.quadratic_setting(setting)}"""


def draw(tables: dict, settings: dict) -> Product:
    """One row per method: theory, and one run at the steps chosen for the smallest target of one case."""
    setting, runs = settings["quadratic"], tables["quadratic"]["runs"]
    case = chosen_case(setting)
    own = captions.cases(setting)[case]
    runs = runs[runs["case"] == case]
    runs = runs[runs["target"].isna() | (runs["target"] == runs["target"].min())]
    times, until = captions.mean_times(setting)[case], own["until"]
    measured = pd.DataFrame([measurements(rows.iloc[0], times, until) for _, rows in runs.groupby("method")])
    measured = measured.set_index("method").loc[style.in_order(measured["method"])].reset_index()
    cells = [row(numbers) for numbers in measured.to_dict("records")]
    return Product(measured, shown=pd.DataFrame(cells, columns=HEADER, index=[""] * len(cells)))


def chosen_case(setting: dict) -> str:
    """The case whose runs are measured, the first one where that of the paper's regime is not there."""
    return CASE if CASE in setting["cases"] else next(iter(setting["cases"]))


def measurements(run: pd.Series, compute_times: Sequence[float], until: float) -> dict:
    """Theory and measurement of one method, as numbers; nan where there is none."""
    n, method, options = len(compute_times), run["method"], json.loads(run["options"])
    statistics, known = json.loads(run["statistics"]), theory.ROWS.get(method)
    try:
        expected = summaries.weight_error(weights.effective_weights(method, compute_times))
    except ValueError:  # weights that depend on delays have no closed form
        expected = np.nan
    measured = statistics["effective_weights"]
    return {
        "method": method,
        "right_objective": METHODS[method].right_objective,
        "memory_theory": known.memory(n, options) if known else np.nan,
        "memory_measured": statistics["server_vectors"],
        "idle_theory": known.idles if known else np.nan,
        "idle_measured": sum(statistics["idle_seconds"]) / (n * until),
        "wasted_theory": known.wastes if known else np.nan,
        "wasted_measured": statistics["wasted_gradients"] / max(1, statistics["computed_gradients"]),
        "weight_error_theory": expected,
        "weight_error_measured": summaries.weight_error(measured),
        "arrival_error_measured": summaries.weight_error(measured, weights.arrival_frequency(compute_times)),
    }


def row(numbers: dict) -> list[saving.Cell]:
    known = theory.ROWS.get(numbers["method"])
    return [
        style.legend_label(numbers["method"]),
        leading_term(numbers["method"]),
        f"{numbers['memory_theory']:g}" if known else saving.NO_VALUE,
        f"{numbers['memory_measured']}",
        yes_or_no(numbers["idle_theory"]) if known else saving.NO_VALUE,
        percentage(numbers["idle_measured"]),
        yes_or_no(numbers["wasted_theory"]) if known else saving.NO_VALUE,
        percentage(numbers["wasted_measured"]),
        saving.number_cell(numbers["weight_error_theory"]),
        saving.number_cell(numbers["weight_error_measured"]),
    ]


def leading_term(method: str) -> saving.Cell:
    term = theory.ROWS[method].leading_term if method in theory.ROWS else None
    if term is None:
        return saving.NO_VALUE
    addition = (" to ζ²", r" to $\zeta^2$") if method in TO_NEIGHBOURHOOD else ("", "")
    return tuple(form + more for form, more in zip(LEADING_TERMS[term], addition, strict=True))


def yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def percentage(share: float) -> str:
    return f"{100 * share:.1f} %"
