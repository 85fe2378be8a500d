"""How long every method takes to each target on quadratics, with bootstrap intervals over seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, saving, style
from rasgd.figures.product import Product

REFERENCE = "rescaled"  # the method others are compared with
SAFE_HORIZON = 2.5  # times the reported time: a shorter horizon favours methods that are fast early
HEADER = [
    "Method",
    "Own parameters",
    "Step size γ",
    "log₂ β",
    "Seconds to target",
    "exact",
    "Over Rescaled ASGD",
    "theory",
]


def caption(settings: dict) -> str:
    setting = settings["quadratic"]
    return f"""Simulated seconds until E‖∇F‖² averaged over seeds and over the last tenth of elapsed time is at most the
        target, at the options and step size that are fastest on tuning seeds; in brackets 95 % bootstrap intervals over
        {captions.num_replicas(setting)} reporting seeds. Exact: from the moments of the same method at the
        same step, where they are known [derived]. Over Rescaled ASGD: ratio of times, resampling the same seeds for
        both; beside it τ_max/τ_A, the ratio of the leading terms, for Minibatch SGD where noise dominates.
        "> horizon": not reached. * step size on the edge of what was tried. ‡ the horizon is less than 2.5 times this
        time. † minimises another objective. {captions.quadratic_setting(setting)}"""


def draw(tables: dict, settings: dict) -> Product:
    """One group of rows per case and target."""
    setting, curves, exact = settings["quadratic"], tables["quadratic"]["curves"], tables["quadratic_exact"]["times"]
    labels, seconds = captions.labels(setting), captions.mean_times(setting)
    numbers, cells, groups = [], [], []
    for case, own in captions.cases(setting).items():
        mine, known = curves[curves["case"] == case], exact[exact["case"] == case]
        expected = predicted_ratio(own["problem"], seconds[case])
        for target in sorted(mine["target"].dropna().unique(), reverse=True):
            exact_seconds = known[known["target"] == target].set_index("method")["seconds"]
            table = times_to(mine[mine["target"] == target], target, own["until"], exact_seconds, expected)
            numbers.append(table)
            reference = dict(zip(table["method"], table["time"], strict=True)).get(REFERENCE, np.nan)
            cells += [row(record, reference) for record in table.to_dict("records")]
            groups += [f"{labels[case]}; E‖∇F‖² ≤ {target:g}"] * len(table)
    if not numbers:
        raise ValueError("table_s1 shows times to targets: a case of quadratic must have targets")
    return Product(pd.concat(numbers, ignore_index=True), shown=pd.DataFrame(cells, columns=HEADER, index=groups))


def times_to(
    curves: pd.DataFrame, target: float, until: float, exact: pd.Series, expected_ratio: float
) -> pd.DataFrame:
    """One row per method: its choice, its time to the target and the ratio to the reference's, with intervals.

    Args:
        curves: metric rows of one case, tuned for the target.
        until: horizon in seconds.
        exact: seconds by method, of those whose exact time is known.
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
                "time_exact": float(exact.get(method, np.nan)),
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
    if problem.get("noise", 0) <= problem.get("heterogeneity", 0):
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
