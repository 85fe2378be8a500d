"""How a product becomes the numbers that a claim speaks of: one function per kind of statistic.

The arguments of a check are the keys of a row of config/claims.yaml beside those that all rows have. `rows`, `each` and
`by` choose rows of the product, as `rasgd.claims.products.named_parts` says; only short names and numbers are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rasgd.claims.products import (
    MissingNumbersError,
    complete,
    named_parts,
    number,
    numbers,
    paired,
    select,
)
from rasgd.claims.statistics import (
    T_TEST,
    Evidence,
    exact,
    from_extremes,
    from_interval,
    paired_difference,
    paired_ratio,
)

if TYPE_CHECKING:
    import pandas as pd


def value(
    table: pd.DataFrame, *, column: str, rows: dict | None = None, each: dict | None = None, by: list | None = None,
    minus: float | str | dict | None = None, over: float | str | dict | None = None, over_rows: dict | None = None,
) -> list[Evidence]:  # fmt: skip
    """A number of the product as it stands, or its distance from another, or its ratio to another; without error.

    Args:
        table: of the product.
        column: of the number.
        rows, each, by: which rows.
        minus: what it is compared with (a number, a column, or a number for each name): the distance counts.
        over: what it is divided by, given in the same way.
        over_rows: the number (or distance) is divided by that of other rows, which differ in this.
    """
    evidence = []
    for name, part in named_parts(table, rows or {}, each, by or []).items():
        measured = distance(part, column, minus, name)
        if over is not None:
            measured /= reference(part, over, name)
        if over_rows is not None:
            others = select(table, **{**(rows or {}), **over_rows})
            measured /= distance(others, column, minus, name)
        evidence.append(exact(name or column, measured))
    return evidence


def distance(part: pd.DataFrame, column: str, minus: float | str | dict | None, name: str) -> float:
    found = number(part, column, name)
    return found if minus is None else abs(found - reference(part, minus, name))


def reference(part: pd.DataFrame, given: float | str | dict, name: str) -> float:
    if isinstance(given, str):
        return number(part, given, name)
    return float(given[name] if isinstance(given, dict) else given)


def interval(
    table: pd.DataFrame, *, column: str, rows: dict | None = None, each: dict | None = None, by: list | None = None,
    low: str = "low", high: str = "high", error: str | None = None, over: float | str | dict = 1.0,
    logarithmic: bool = False,
) -> list[Evidence]:  # fmt: skip
    """A number that comes with its 95 % interval or its standard error, over another, and with its replicas.

    Args:
        table, column, rows, each, by, over: as of `value`. Rows without the number are left out.
        low, high: columns with the ends of the interval; a number whose ends are equal is exact.
        error: column with the standard error, in place of the interval.
        logarithmic: the interval is one of the number's logarithm.
    """
    evidence = []
    for name, rows_of in named_parts(table, rows or {}, each, by or []).items():
        part = rows_of[~np.isnan(numbers(rows_of, column))]
        if part.empty:
            continue
        measured, scale = number(part, column, name), reference(part, over, name)
        if error is not None:
            width = number(part, error, name)
            ends = (measured - width, measured + width)
        else:
            ends = (number(part, low, name), number(part, high, name))
        if ends[0] == ends[1]:
            evidence.append(exact(name, measured / scale))
            continue
        count = int(number(part, "replicas", name))
        if error is not None:
            evidence.append(Evidence(name, measured / scale, T_TEST, count, width / abs(scale), max(1, count - 1)))
            continue
        bounds = (end / scale for end in ends)
        evidence.append(from_interval(name, measured / scale, *bounds, count, logarithmic=logarithmic))
    if not evidence:
        raise MissingNumbersError(f"there is no number in {column}")
    return evidence


def instances(table: pd.DataFrame, *, column: str, rows: dict, by: list) -> list[Evidence]:
    """Medians over independent instances, with their extremes in the columns low and high."""
    return [
        from_extremes(
            name, number(part, column, name), number(part, "low", name), number(part, "high", name),
            int(number(part, "replicas", name)),
        )
        for name, part in named_parts(table, rows, None, by).items()
    ]  # fmt: skip


def paired_seeds(
    table: pd.DataFrame, *, metric: str, above: dict, below: dict | None = None, over: str | None = None,
    rows: dict | None = None, each: dict | None = None, difference: bool = False,
) -> list[Evidence]:  # fmt: skip
    """A metric of one selection of runs over (or minus) that of another, or over a column, replica by replica.

    Args:
        table: one row per replica.
        metric: its column.
        above, below: the two selections.
        over: the column, in place of the second one.
        rows: what all have in common.
        each: name → {column: value, above: {…}, below: {…}}.
        difference: of the two, where their ratio means nothing.
    """
    evidence, common = [], select(table, **(rows or {}))
    for name, added in (each or {"": {}}).items():
        shared = {key: wanted for key, wanted in added.items() if key not in ("above", "below")}
        own, chosen = select(common, **shared), {**above, **added.get("above", {})}
        other = (chosen, over) if over else ({**(below or {}), **added.get("below", {})}, metric)
        both = paired(own, (chosen, metric), other)
        clusters = both.index.get_level_values("schedule_seed")
        compare = paired_difference if difference else paired_ratio
        evidence.append(compare(name or metric, both["above"], both["below"], clusters=clusters))
    return evidence


def spread(
    table: pd.DataFrame, *, column: str, rows: dict, by: list | None = None, each: dict | None = None
) -> list[Evidence]:
    """Largest over smallest number of the rows; without error.

    Raises:
        MissingNumbersError: with fewer than two numbers.
    """
    evidence = []
    for name, part in named_parts(table, rows, each, by or []).items():
        values = complete(part, column, name or column)
        if len(values) < 2:
            raise MissingNumbersError(f"{name or column}: there are fewer than two numbers")
        evidence.append(exact(name or f"{len(values)} numbers", values.max() / values.min()))
    return evidence


def slope(
    table: pd.DataFrame, *, column: str, along: str, rows: dict, by: list | None = None, each: dict | None = None
) -> list[Evidence]:
    """The slope of the logarithm of a number in that of another by least squares; without error.

    Raises:
        MissingNumbersError: with fewer than two points.
    """
    evidence = []
    for name, part in named_parts(table, rows, each, by or []).items():
        x, y = (np.log(complete(part, one, name or column)) for one in (along, column))
        if len(np.unique(x)) < 2:
            raise MissingNumbersError(f"{name or column}: there are fewer than two points")
        evidence.append(exact(name or column, np.polyfit(x, y, 1)[0]))
    return evidence


def curve(
    table: pd.DataFrame, *, x: str, y: str, drawn: dict, points: dict, each: dict, ratio: bool = False
) -> list[Evidence]:
    """The largest distance of points from a curve, linear between its own; without error.

    Args:
        table: of the product.
        x, y: columns.
        drawn, points: rows of the curves, and of the points.
        each: name → what tells curve and points of this name from others; `points` under it where only these have it.
        ratio: the largest factor between the two instead, 1 where they are equal.

    Raises:
        MissingNumbersError: where a curve ends before the points do.
    """
    evidence = []
    for name, own in each.items():
        shared = {key: wanted for key, wanted in own.items() if key not in ("drawn", "points")}
        path = select(table, **drawn, **shared, **own.get("drawn", {})).sort_values(x, kind="stable")
        marks = select(table, **points, **shared, **own.get("points", {}))
        at = np.interp(numbers(marks, x), numbers(path, x), numbers(path, y), right=np.nan)
        if np.isnan(at).any():
            raise MissingNumbersError(f"the curve of {name} ends before the points it is held against")
        marked = numbers(marks, y)
        apart = np.exp(np.abs(np.log(at / marked))) if ratio else np.abs(at - marked)
        evidence.append(exact(name, apart.max()))
    return evidence


def growth(
    table: pd.DataFrame, *, column: str, along: str, rows: dict, largest: float, smallest: float, by: list
) -> list[Evidence]:
    """The largest growth of |number − 1| from one row to the next smaller `along`, 0 where there is none."""
    evidence = []
    for name, part in named_parts(table, rows, None, by).items():
        select(part, **{along: [largest, smallest]})
        line = part[numbers(part, along) <= largest * (1 + 1e-4)].sort_values(along, ascending=False)
        steps = np.diff(np.abs(complete(line, column, name) - 1))
        evidence.append(exact(name, max(0.0, *steps)))
    return evidence


def trend(
    table: pd.DataFrame, *, metric: str, above: dict, below: dict, doses: dict, rows: dict | None = None
) -> list[Evidence]:
    """By what factor the ratio of a metric between two selections grows per factor of e in the dose, seed by seed.

    The slope of the logarithm against that of the dose, by least squares: a test for a trend has the power that steps
    between neighbours lack.

    Args:
        table, metric, above, below, rows: as of `paired_seeds`.
        doses: case → its dose.
    """
    common, logs = select(table, **(rows or {})), []
    for case in doses:
        both = paired(select(common, case=case), (above, metric), (below, metric))
        logs.append(np.log(both["above"] / both["below"]))
        if not logs[0].index.equals(logs[-1].index):
            raise MissingNumbersError(f"{case} was not run on the same seeds as the others")
    centred = np.log(list(doses.values()))
    centred = centred - centred.mean()
    slopes = centred @ np.stack(logs) / (centred @ centred)
    clusters = logs[0].index.get_level_values("schedule_seed")
    return [paired_ratio(f"{metric}, per factor of e", np.exp(slopes), np.ones_like(slopes), clusters=clusters)]


def tuned_times(
    table: pd.DataFrame, *, case: str, targets: list, others: list, method: str = "rescaled"
) -> list[Evidence]:
    """T(method)/T(other), all tuned, for every target and other method.

    Exact at the tuned steps where exact theory knows both times, else simulated: bootstrap over paired seeds.

    Raises:
        MissingNumbersError: where a target is not reached by all, or the horizon is too short to compare.
    """
    evidence = []
    for target in targets:
        rows = select(table, case=case, target=target)
        own = select(rows, method=method).iloc[0]
        for other_name in others:
            other = select(rows, method=other_name).iloc[0]
            evidence.append(tuned_ratio(f"{other_name}, ‖∇F‖² ≤ {target:g}", own, other))
    return evidence


def tuned_ratio(name: str, own: pd.Series, other: pd.Series) -> Evidence:
    replicas = int(other["replicas"])
    if np.isfinite([own["time_exact"], other["time_exact"]]).all():
        return exact(name, own["time_exact"] / other["time_exact"])
    if math.isinf(other["time"]) or not other["horizon_is_safe"]:
        raise MissingNumbersError(f"{name} is not reached, or too late to trust the horizon")
    if math.isinf(own["time"]):  # then the ratio is at least that of the horizon to the other's time
        least = own["horizon"] / other["time"]
        ends = (own["horizon"] / other["time_high"], own["horizon"] / other["time_low"])
        bound = from_interval(f"{name}, > {own['horizon']:g} s", least, *ends, replicas, logarithmic=True)
        return replace(bound, at_least=True)
    if not own["horizon_is_safe"]:
        raise MissingNumbersError(f"{name}: {own['method']} gets there too late to trust the horizon")
    return Evidence(
        name, 1 / other["ratio"], T_TEST, replicas, other["log_ratio_error"], max(1, replicas - 1),
        logarithmic=True,
    )  # fmt: skip


def ticks(table: pd.DataFrame, *, methods: list, spread: float) -> list[Evidence]:
    """How many of the paper's ticks the measurements contradict, one number per method and column.

    No idle: some worker waited, or none did. No memory: the server held more than one vector beside x (a running sum is
    no overhead), or did not. Optimal: exact times over the leading term τ_A differ between profiles of compute times by
    more than `spread`; a cross says that a method is slow on some problem, which these cannot contradict.
    """
    evidence = []
    for method in methods:
        own = select(table, method=method)
        idle, memory = (number(own, column, method) for column in ("idle_measured", "memory_measured"))
        contradicted = {"no_idle": (idle == 0), "no_memory": (memory <= 1)}
        for column, found in contradicted.items():
            said = bool(number(own, f"{column}_paper", method))
            evidence.append(exact(f"{method}, {column}", float(said != found)))
        if number(own, "optimal_paper", method):
            names = [name for name in own if name.startswith("over_mean_time_")]
            times = own[names].to_numpy(dtype=float).ravel()
            if len(times) < 2 or np.isnan(times).any():
                raise MissingNumbersError(f"exact times of {method} are missing")
            evidence.append(exact(f"{method}, optimal", float(times.max() / times.min() > spread)))
    return evidence


CHECKS: dict[str, Callable[..., list[Evidence]]] = {
    check.__name__: check
    for check in (
        value, interval, instances, paired_seeds, spread, slope, curve, growth, trend, tuned_times, ticks
    )
}  # fmt: skip
