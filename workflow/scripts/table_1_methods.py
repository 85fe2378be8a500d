"""Writes what every method costs and whose objective it minimises: theory beside what runs measured."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
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


def tabulate_methods(
    path_to_runs: Sequence[str], case: str, target: float, compute_times: Sequence[float], until: float, caption: str,
    path_stem: Path,
) -> None:  # fmt: skip
    """Writes the table, one row per method.

    Args:
        path_to_runs: rows with the statistics of the methods' runs.
        case, target: whose runs are measured.
        compute_times: seconds per gradient of every worker, `[n]`.
        until: horizon in seconds.
        caption: plain text.
        path_stem: of the files to write.
    """
    runs = summaries.read_tables(path_to_runs)
    runs = runs[(runs["case"] == case) & (runs["target"] == target)]
    measured = pd.DataFrame([measurements(rows.iloc[0], compute_times, until) for _, rows in runs.groupby("method")])
    measured = measured.set_index("method").loc[style.in_order(measured["method"])].reset_index()
    rows = [row(numbers) for numbers in measured.to_dict("records")]
    saving.save_table(path_stem, HEADER, [saving.Group("", rows)], measured, caption)


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


if "snakemake" in globals():
    with job(snakemake.log[0], "table_1_methods"):
        tabulate_methods(
            path_to_runs=snakemake.input.runs,
            case=snakemake.params.case,
            target=snakemake.params.target,
            compute_times=snakemake.params.compute_times,
            until=snakemake.params.until,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.csv).with_suffix(""),
        )
