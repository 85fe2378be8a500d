"""What runs of all methods on the same quadratics say: weights, costs, and who is how fast."""

from __future__ import annotations

import math
from dataclasses import replace

from rasgd.claims.products import MissingNumbersError, Products, number, product, select
from rasgd.claims.statistics import T_TEST, Evidence, exact, from_interval, paired_ratio

COSTS, TIMES, LEVELS = "table_1_methods", "table_2_time_to_target", "figure_3_quadratic_by_seed"
HARD_INSTANCES = "figure_13_hard_instances"


def weight_error(products: Products, settings: dict) -> list[Evidence]:
    """Half the summed absolute difference between workers' shares in all steps and 1/n, over whole cycles."""
    measured = number(product(products, COSTS), "weight_error_measured", method=settings["method"])
    return [exact(settings["method"], measured, 0.0)]


def arrival_weights(products: Products, settings: dict) -> list[Evidence]:
    """The same for a method whose shares should be those of arrivals, over what theory says."""
    costs, method = product(products, COSTS), settings["method"]
    measured, predicted = (number(costs, f"weight_error_{kind}", method=method) for kind in ("measured", "theory"))
    if predicted <= 0:
        raise MissingNumbersError("all workers are equally fast: there is no difference to see")
    return [exact(f"{method}: {measured:.4g} for {predicted:.4g}", measured / predicted, 1.0)]


def cost(products: Products, settings: dict) -> list[Evidence]:
    """What a method costs, by column of the table."""
    costs = product(products, COSTS)
    return [
        exact(column.removesuffix("_measured"), number(costs, column, method=settings["method"]), 0.0)
        for column in settings["columns"]
    ]


def cost_table(products: Products, settings: dict) -> list[Evidence]:
    """How many of a method's costs contradict theory: memory is a number, waiting and dropping are yes or no.

    A table of n vectors may come with their mean, one more, and a queue need not be full. Where theory says that
    gradients can be dropped, none need be.
    """
    costs = product(products, COSTS)
    evidence = []
    for method in settings["methods"]:
        row = select(costs, method=method).iloc[0]
        memory, expected = row["memory_measured"], row["memory_theory"]
        wrong = [
            not expected / 2 <= memory <= expected + 1 if expected > 1 else memory != expected,
            (row["idle_measured"] > 0) != bool(row["idle_theory"]),
            row["wasted_measured"] > 0 and not row["wasted_theory"],
        ]
        evidence.append(exact(method, sum(wrong), 0.0))
    return evidence


def time_ratio(products: Products, settings: dict) -> list[Evidence]:
    """T(Rescaled)/T(other), all tuned, for every target and method wanted; bootstrap over paired seeds.

    Raises:
        MissingNumbersError: where a target is not reached by all, or the horizon is too short to compare.
    """
    times = select(product(products, TIMES), case=settings["case"])
    evidence = []
    for target in settings["targets"]:
        rows = select(times, target=target)
        own = number(rows, "time", method="rescaled")
        for method in settings["others"]:
            row = select(rows, method=method).iloc[0]
            name = f"{method}, ‖∇F‖² ≤ {target:g}"
            if math.isinf(row["time"]) or not row["horizon_is_safe"]:
                raise MissingNumbersError(f"{name} is not reached, or too late to trust the horizon")
            replicas = int(row["replicas"])
            if math.isinf(own):  # Rescaled ASGD alone does not get there
                evidence.append(Evidence(name, math.inf, test=T_TEST, replicas=replicas))
                continue
            evidence.append(
                Evidence(
                    name, 1 / row["ratio"], math.nan, T_TEST, replicas, row["log_ratio_error"], max(1, replicas - 1),
                    logarithmic=True,
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
