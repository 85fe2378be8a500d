"""What runs of all methods on the same quadratics say: weights, costs, and who is how fast."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rasgd.claims.products import MissingNumbersError, Products, number, product, select
from rasgd.claims.statistics import T_TEST, Evidence, exact, from_interval, paired_ratio

COSTS, TIMES, LEVELS = "table_1_methods", "table_s1_time_to_target", "figure_s6_quadratic_by_seed"
HARD_INSTANCES = "figure_s12_hard_instances"
QUEUEING = ("concurrent", "shuffled")  # their server keeps points that wait for busy workers


def weight_error(products: Products, settings: dict) -> list[Evidence]:
    """Half the summed absolute difference between workers' shares in all steps and equal shares, or those of arrivals.

    Which of the two, the column of the table says.
    """
    measured = number(product(products, COSTS), settings["column"], method=settings["method"])
    return [exact(settings["method"], measured, 0.0)]


def cost(products: Products, settings: dict) -> list[Evidence]:
    """What a method costs, by column of the table."""
    costs = product(products, COSTS)
    return [
        exact(column.removesuffix("_measured"), number(costs, column, method=settings["method"]), 0.0)
        for column in settings["columns"]
    ]


def cost_table(products: Products, settings: dict) -> list[Evidence]:
    """How many of a method's costs contradict theory: memory is a number, waiting and dropping are yes or no.

    A table may come with the mean of its vectors, one more, or lack one that no worker happened to need; a queue need
    not be full. Where theory says that gradients can be dropped, none need be.
    """
    costs = product(products, COSTS)
    evidence = []
    for method in settings["methods"]:
        row = select(costs, method=method).iloc[0]
        memory, expected = row["memory_measured"], row["memory_theory"]
        least = expected / 2 if method in QUEUEING else expected - 1
        wrong = [
            not least <= memory <= expected + 1 if expected > 1 else memory != expected,
            (row["idle_measured"] > 0) != bool(row["idle_theory"]),
            row["wasted_measured"] > 0 and not row["wasted_theory"],
        ]
        evidence.append(exact(method, sum(wrong), 0.0))
    return evidence


def time_ratio(products: Products, settings: dict) -> list[Evidence]:
    """T(Rescaled)/T(other), all tuned, for every target and method wanted.

    Exact at the tuned steps where exact theory knows both times, else simulated: bootstrap over paired seeds.

    Raises:
        MissingNumbersError: where a target is not reached by all, or the horizon is too short to compare.
    """
    times = select(product(products, TIMES), case=settings["case"])
    evidence = []
    for target in settings["targets"]:
        rows = select(times, target=target)
        own = select(rows, method="rescaled").iloc[0]
        for method in settings["others"]:
            other = select(rows, method=method).iloc[0]
            name, replicas = f"{method}, ‖∇F‖² ≤ {target:g}", int(other["replicas"])
            if np.isfinite([own["time_exact"], other["time_exact"]]).all():
                evidence.append(exact(name, own["time_exact"] / other["time_exact"]))
            elif math.isinf(other["time"]) or not other["horizon_is_safe"]:
                raise MissingNumbersError(f"{name} is not reached, or too late to trust the horizon")
            elif math.isinf(own["time"]):  # then the ratio is at least that of the horizon to the other's time
                least = own["horizon"] / other["time"]
                ends = (own["horizon"] / other["time_high"], own["horizon"] / other["time_low"])
                bound = from_interval(f"{name}, > {own['horizon']:g} s", least, *ends, replicas, logarithmic=True)
                evidence.append(replace(bound, at_least=True))
            elif not own["horizon_is_safe"]:
                raise MissingNumbersError(f"rescaled reaches {target:g} too late to trust the horizon")
            else:
                evidence.append(
                    Evidence(
                        name, 1 / other["ratio"], math.nan, T_TEST, replicas, other["log_ratio_error"],
                        max(1, replicas - 1), logarithmic=True,
                    )
                )  # fmt: skip
    return evidence


def stall(products: Products, settings: dict) -> list[Evidence]:
    """‖∇F‖² over the last tenth of the horizon over the target for which the method was tuned."""
    levels = select(product(products, LEVELS), case=settings["case"])
    evidence = []
    for method in settings["methods"]:
        rows = select(levels, method=method)
        evidence.append(paired_ratio(method, rows["grad_norm_sq"], rows["target"], clusters=rows["schedule_seed"]))
    return evidence


def over_lower_bound(products: Products, settings: dict) -> list[Evidence]:
    """T(Rescaled) over the lower bound, for every profile and noise level, over the smallest of these ratios."""
    rows = select(product(products, HARD_INSTANCES), instance="chain", method="rescaled").to_dict("records")
    if len(rows) < 2:
        raise MissingNumbersError("there are fewer than two hard instances")
    single = [
        from_interval(
            f"{row['case']}, σ²/ε = {row['x']:g}", row["value"], row["low"], row["high"], int(row["replicas"]),
            logarithmic=True,
        )
        for row in rows
    ]  # fmt: skip
    smallest = min(single, key=lambda one: one.measured)
    return [
        replace(one, measured=one.measured / smallest.measured, error=math.hypot(one.error, smallest.error))
        for one in single
        if one is not smallest
    ]


def smoothness_ratio(products: Products, settings: dict) -> list[Evidence]:
    """T(L_max)/T(L_max = L) of Rescaled ASGD by exact theory, for every L_max."""
    rows = select(product(products, HARD_INSTANCES), instance="curvature", method="rescaled", x=settings["epsilon"])
    return [exact(f"L_max = {float(row['case']):g} L", row["exact"], 1.0) for row in rows.to_dict("records")]
