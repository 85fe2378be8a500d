"""What every method costs and whose objective it minimises: theory beside what runs measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, saving, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS
from rasgd.theory import weights

MEAN_TIME = ("ΔLσ²/(nε²)·τ_A", r"$\Delta L\sigma^2/(n\varepsilon^2)\cdot\tau_A$")
SLOWEST_TIME = ("ΔLσ²/(nε²)·τ_max", r"$\Delta L\sigma^2/(n\varepsilon^2)\cdot\tau_{\max}$")
ADAPTIVE = (MEAN_TIME[0] + " to ζ²", MEAN_TIME[1] + r" to $\zeta^2$")
CONCURRENT = ("ΔL(σ²+ζ²)/(nε²)·τ_max", r"$\Delta L(\sigma^2+\zeta^2)/(n\varepsilon^2)\cdot\tau_{\max}$")


class Theory(NamedTuple):
    """What is known of a method before any run.

    Attributes:
        leading_term: of its complexity, as the paper's comparison table has it.
        memory: vectors the server holds beside x, in words.
        count: the same as a number, from n and the method's options.
        idle, wasted: whether workers wait and whether gradients are dropped.
    """

    leading_term: saving.Cell
    memory: str
    count: Callable[[int, dict], int]
    idle: bool
    wasted: bool


NOTHING, ONE = ("0", lambda n, options: 0), ("1", lambda n, options: 1)
TABLE, QUEUE = ("n", lambda n, options: n), ("n−1", lambda n, options: n - 1)
TWO_TABLES = ("2n", lambda n, options: 2 * n)
TABLE_AND_BUFFER = ("n+K", lambda n, options: n + options.get("K", max(2, n // 4)))

THEORY = {
    "rescaled": Theory(MEAN_TIME, *NOTHING, idle=False, wasted=False),
    "asgd": Theory(saving.NO_VALUE, *NOTHING, idle=False, wasted=False),
    "delay_adaptive": Theory(ADAPTIVE, *NOTHING, idle=False, wasted=False),
    "minibatch": Theory(SLOWEST_TIME, *ONE, idle=True, wasted=False),
    "malenia": Theory(MEAN_TIME, *TABLE, idle=False, wasted=True),
    "rennala": Theory(saving.NO_VALUE, *ONE, idle=False, wasted=True),
    "ringleader": Theory(MEAN_TIME, *TWO_TABLES, idle=False, wasted=False),
    "ia2sgd": Theory(SLOWEST_TIME, *TABLE, idle=False, wasted=False),
    "ringmaster": Theory(saving.NO_VALUE, *NOTHING, idle=False, wasted=True),
    "fedbuff": Theory(saving.NO_VALUE, *ONE, idle=False, wasted=False),
    "ca2fl": Theory(saving.NO_VALUE, *TABLE_AND_BUFFER, idle=False, wasted=False),
    "concurrent": Theory(CONCURRENT, *QUEUE, idle=True, wasted=False),
    "shuffled": Theory(saving.NO_VALUE, *QUEUE, idle=True, wasted=False),
}
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
    statistics, theory = json.loads(run["statistics"]), THEORY.get(method)
    try:
        expected = summaries.weight_error(weights.effective_weights(method, compute_times))
    except ValueError:  # weights that depend on delays have no closed form
        expected = np.nan
    measured = statistics["effective_weights"]
    return {
        "method": method,
        "right_objective": METHODS[method].right_objective,
        "memory_theory": theory.count(n, options) if theory else np.nan,
        "memory_measured": statistics["server_vectors"],
        "idle_theory": theory.idle if theory else np.nan,
        "idle_measured": sum(statistics["idle_seconds"]) / (n * until),
        "wasted_theory": theory.wasted if theory else np.nan,
        "wasted_measured": statistics["wasted_gradients"] / max(1, statistics["computed_gradients"]),
        "weight_error_theory": expected,
        "weight_error_measured": summaries.weight_error(measured),
        "arrival_error_measured": summaries.weight_error(measured, weights.arrival_frequency(compute_times)),
    }


def row(numbers: dict) -> list[saving.Cell]:
    theory = THEORY.get(numbers["method"])
    known = theory is not None
    return [
        style.legend_label(numbers["method"]),
        theory.leading_term if known else saving.NO_VALUE,
        theory.memory if known else saving.NO_VALUE,
        f"{numbers['memory_measured']}",
        yes_or_no(numbers["idle_theory"]) if known else saving.NO_VALUE,
        percentage(numbers["idle_measured"]),
        yes_or_no(numbers["wasted_theory"]) if known else saving.NO_VALUE,
        percentage(numbers["wasted_measured"]),
        saving.number_cell(numbers["weight_error_theory"]),
        saving.number_cell(numbers["weight_error_measured"]),
    ]


def yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def percentage(share: float) -> str:
    return f"{100 * share:.1f} %"
