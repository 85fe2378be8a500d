"""Writes how long every method takes to each target on quadratics, with bootstrap intervals over seeds."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.figures.exact import ExactCase, exact_cases

REFERENCE = "rescaled"  # the method others are compared with
SAFE_HORIZON = 2.5  # times the reported time: a shorter horizon favours methods that are fast early
HEADER = [
    "Method",
    "Own parameters",
    ("Step size γ", r"Step size $\gamma$"),
    ("log₂ β", r"$\log_2\beta$"),
    "Seconds to target",
    "exact",
    "Over Rescaled ASGD",
    "theory",
]


def tabulate_times(path_to_curves: Sequence[str], quadratics: dict[str, dict], caption: str, path_stem: Path) -> None:
    """Writes the table, one group of rows per case and target.

    Args:
        path_to_curves: metric rows of the methods.
        quadratics: by case, its label, problem, compute_times and until, the horizon in seconds.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    tables, groups = [], []
    for case, exact in exact_cases(quadratics).items():
        own, mine = quadratics[case], curves[curves["case"] == case]
        expected = predicted_ratio(own["problem"], own["compute_times"])
        for target in sorted(mine["target"].unique(), reverse=True):
            numbers = times_to(mine[mine["target"] == target], target, own["until"], exact, expected)
            tables.append(numbers)
            reference = dict(zip(numbers["method"], numbers["time"], strict=True)).get(REFERENCE, np.nan)
            rows = [row(record, reference) for record in numbers.to_dict("records")]
            groups.append(saving.Group(f"{own['label']}; E‖∇F‖² ≤ {target:g}", rows))
    saving.save_table(path_stem, HEADER, groups, pd.concat(tables, ignore_index=True), caption)


def times_to(
    curves: pd.DataFrame, target: float, until: float, exact: ExactCase, expected_ratio: float
) -> pd.DataFrame:
    """One row per method: its choice, its time to the target and the ratio to the reference's, with intervals.

    Args:
        curves: metric rows of one case, tuned for the target.
        until: horizon in seconds.
        exact: knows the exact times of some methods.
        expected_ratio: of minibatch SGD's time to the reference's.
    """
    methods = style.in_order(curves["method"])
    samples, rows = {}, []
    for method in [*[m for m in methods if m == REFERENCE], *[m for m in methods if m != REFERENCE]]:
        mine = curves[curves["method"] == method]
        times, values = summaries.by_replica(mine, "grad_norm_sq")
        time = float(summaries.time_to_target(times, values.mean(axis=1), target))
        samples[method] = summaries.resampled_times(times, values, target)
        low, high = summaries.interval(samples[method])
        choice = mine.iloc[0]
        options = json.loads(choice["options"])
        rows.append(
            {
                "case": choice["case"],
                "target": target,
                "method": method,
                "options": choice["options"],
                "step_size": choice["step_size"],
                "log2_beta": choice["log2_beta"],
                "on_edge": bool(choice["on_edge"]),
                "time": time,
                "time_low": low,
                "time_high": high,
                "time_exact": exact.time(method, choice["step_size"], target, options),
                **ratio(
                    time,
                    samples[method],
                    rows[0]["time"] if rows else time,
                    samples.get(REFERENCE),
                    values.shape[1],
                    times[1],
                ),
                "predicted_ratio": expected_ratio if method == "minibatch" else np.nan,
                "replicas": values.shape[1],
                "horizon": until,
                "horizon_is_safe": time * SAFE_HORIZON <= until,
            }
        )
    return pd.DataFrame(rows)


def ratio(
    time: float, samples: np.ndarray, reference: float, reference_samples: np.ndarray | None, replicas: int, grid: float
) -> dict:
    """Time over the reference's time with its paired interval and the standard error of the logarithm.

    The error is that of the bootstrap, whose variance lacks a factor of m/(m − 1), and of both times standing on a grid
    of evaluations, where they are uniform within `grid` seconds. All are nan where the reference does not reach the
    target; the error is nan too where some resample does not.
    """
    if reference_samples is None or not np.isfinite(reference_samples).all() or not np.isfinite(reference):
        return dict.fromkeys(("ratio", "ratio_low", "ratio_high", "log_ratio_error"), np.nan)
    low, high = summaries.interval(samples / reference_samples)
    with np.errstate(invalid="ignore"):  # inf − inf, where a resample does not reach the target
        variance = np.log(samples / reference_samples).var(ddof=1) * replicas / max(1, replicas - 1)
    variance += grid**2 / 12 * (time**-2 + reference**-2)
    return {
        "ratio": time / reference,
        "ratio_low": low,
        "ratio_high": high,
        "log_ratio_error": float(np.sqrt(variance)),
    }


def predicted_ratio(problem: dict, compute_times: Sequence[float]) -> float:
    """τ_max/τ_A, of the leading terms of minibatch SGD and Rescaled ASGD; nan unless noise dominates."""
    if problem["noise"] <= problem["heterogeneity"]:
        return np.nan
    return max(compute_times) / float(np.mean(compute_times))


def row(numbers: dict, reference: float) -> list[saving.Cell]:
    """The cells of one method; `reference` is the reference's time."""
    unsafe = np.isfinite(numbers["time"]) and not numbers["horizon_is_safe"]
    return [
        style.legend_label(numbers["method"]),
        ", ".join(f"{name} = {value}" for name, value in json.loads(numbers["options"]).items()),
        f"{numbers['step_size']:.3g}" + ("*" if numbers["on_edge"] else ""),
        f"{numbers['log2_beta']:g}",
        with_interval(numbers, "time", numbers["horizon"], "{:.0f}") + (" ‡" if unsafe else ""),
        exact_text(numbers["time_exact"], numbers["horizon"]),
        with_interval(numbers, "ratio", numbers["horizon"] / reference, "{:.2f}"),
        "" if np.isnan(numbers["predicted_ratio"]) else f"{numbers['predicted_ratio']:.2f}",
    ]


def exact_text(time: float, horizon: float) -> str:
    return "" if np.isnan(time) else f"{time:.0f}" if time <= horizon else f"> {horizon:g}"


def with_interval(numbers: dict, name: str, largest: float, form: str) -> str:
    """Value and interval; what is infinite is only known to be larger than what the horizon allows to see."""
    value, low, high = (numbers[key] for key in (name, f"{name}_low", f"{name}_high"))

    def text(number):
        return form.format(number) if np.isfinite(number) else f"> {form.format(largest)}"

    if np.isnan(value):
        return saving.NO_VALUE
    return text(value) if np.isinf(low) else f"{text(value)} [{text(low)}, {text(high)}]"


if "snakemake" in globals():
    with job(snakemake.log[0], "table_2_time_to_target"):
        tabulate_times(
            path_to_curves=snakemake.input.curves,
            quadratics=snakemake.params.quadratics,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.csv).with_suffix(""),
        )
