"""What exact theory and runs on quadratics say of the claims: the toy example, floors, times to smaller targets."""

from __future__ import annotations

import math

import numpy as np

from rasgd.claims.products import MissingNumbersError, Products, complete, number, product, select
from rasgd.claims.statistics import Evidence, exact, from_extremes, from_interval

TOY, FLOORS = "figure_3_toy", "figure_s5_stationary_error"
TIMES, EXACT_TIMES = "figure_s4_time_to_target", "table_s2_exact_times"


def toy_points(products: Products, settings: dict) -> list[Evidence]:
    """The largest distance between the simulated x and the poster's points, for every method of the poster."""
    toy = product(products, TOY)
    evidence = []
    for method in settings["methods"]:
        poster, simulated = select(toy, source="poster", method=method), drawn_cycles(toy, method)
        at = np.interp(poster["time"], simulated["time"], simulated["x"], right=np.nan)
        if np.isnan(at).any():
            raise MissingNumbersError(f"the simulation of {method} is shorter than the poster's")
        evidence.append(exact(method, np.abs(at - poster["x"]).max(), 0.0))
    return evidence


def toy_end_points(products: Products, settings: dict) -> list[Evidence]:
    """How far x ends from the point each method should settle at, over the distance of these points."""
    toy, ends = product(products, TOY), settings["end_points"]
    spread = max(ends.values()) - min(ends.values())
    evidence = []
    for method, point in ends.items():
        rows = drawn_cycles(toy, method)
        last = rows.loc[rows["time"].idxmax(), "x"]
        evidence.append(exact(f"{method}: {last:.4g} for {point:.4g}", abs(last - point) / spread, 0.0))
    return evidence


def drawn_cycles(toy, method: str):
    """The method's iterates at the ends of cycles, of the curve that the paper draws."""
    return select(toy, source="iterate", method=method, series=f"{method}_drawn", at_cycle_end=1)


def settled_bias(products: Products, settings: dict) -> list[Evidence]:
    """‖∇F‖² on a method's limit cycle at its smallest step, over ‖∇F(x_p)‖² of the frequency-weighted minimiser."""
    floors = product(products, FLOORS)
    limit = number(floors, "limit", method="asgd")
    if limit <= 0:
        raise MissingNumbersError("the frequency-weighted minimiser is that of F: there is no bias to see")
    step = settings["relative_step"]
    bias = number(floors, "predicted_bias", method=settings["method"], relative_step=step)
    return [exact(f"{settings['method']} at {step:.2g} of its largest step", bias / limit, settings["predicted"])]


def simulated_floors(products: Products, settings: dict) -> list[Evidence]:
    """Simulated over exact floors."""
    floors = product(products, FLOORS)
    evidence = []
    for method in settings["methods"]:
        for row in select(floors, method=method).dropna(subset="measured").to_dict("records"):
            scale = row["predicted"]
            evidence.append(
                from_interval(
                    f"{method} at {row['relative_step']:g}", row["measured"] / scale, row["low"] / scale,
                    row["high"] / scale, int(row["replicas"]), 1.0,
                )
            )  # fmt: skip
    return evidence


def collapse(products: Products, settings: dict) -> list[Evidence]:
    """Largest over smallest time to target in units of the leading term, over profiles of compute times."""
    rows = select(panel(products, "rescaled"), kind="time", x=settings["epsilon"])
    values = complete(rows["value"], "times of all profiles")
    if len(values) < 2:
        raise MissingNumbersError("there are fewer than two profiles of compute times")
    return [exact(f"{len(values)} profiles at ε = {settings['epsilon']:g}", values.max() / values.min(), 1.0)]


def inverse_square(products: Products, settings: dict) -> list[Evidence]:
    """By what factor T·ε² changes between two targets, for every profile."""
    rows = select(panel(products, "rescaled"), kind="time")
    large, small = (select(rows, x=epsilon).set_index("series")["value"] for epsilon in settings["epsilons"])
    return [exact(name, small[name] / large[name], 1.0) for name in large.index]


def within_bound(products: Products, settings: dict) -> list[Evidence]:
    """Largest ratio of the time to the four-term bound, whose one constant is fitted at the smallest target."""
    rows = panel(products, "rescaled")
    select(rows, x=settings["epsilon"])  # the constant means something only there
    evidence = []
    for name in rows["series"].unique():
        own, bound = (select(rows, series=name, kind=kind).set_index("x")["value"] for kind in ("time", "bound"))
        evidence.append(exact(name, complete(own / bound, name).max()))
    return evidence


def slowest_ratio(products: Products, settings: dict) -> list[Evidence]:
    """T(minibatch)/T(Rescaled) over its predicted limit τ_max/τ_A, for every profile."""
    rows = select(panel(products, "minibatch"), x=settings["epsilon"])
    return [
        exact(f"{name}: {value:.3g} for {predicted:.3g}", value / predicted, 1.0)
        for name, value, predicted in zip(rows["series"], rows["value"], rows["predicted"], strict=True)
    ]


def simulated_times(products: Products, settings: dict) -> list[Evidence]:
    """Simulated over exact times to target."""
    rows = select(panel(products, "rescaled"), kind="time").dropna(subset="simulated")
    if rows.empty:
        raise MissingNumbersError("there is no simulated time")
    return [
        from_interval(
            f"{row['series']}, ε = {row['x']:g}", row["simulated"] / row["value"],
            row["simulated_low"] / row["value"], row["simulated_high"] / row["value"],
            int(row["replicas"]), 1.0, logarithmic=True,
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip


def vanishing_effect(products: Products, settings: dict) -> list[Evidence]:
    """Ratio of times with and without an effect at the smallest target, for every strength of the effect."""
    rows = select(panel(products, settings["effect"]), x=settings["epsilon"])
    return [
        from_extremes(
            f"{settings['effect']} {row['series']}",
            row["value"],
            row["low"],
            row["high"],
            int(row["replicas"]),
            row["predicted"],
        )
        for row in rows.to_dict("records")
    ]


def monotone_effects(products: Products, settings: dict) -> list[Evidence]:
    """The largest growth of |ratio − 1| from one target to the next smaller one, 0 where there is none."""
    first, last = settings["epsilons"]
    evidence = []
    for effect in settings["effects"]:
        rows = panel(products, effect)
        for epsilon in (first, last):
            select(rows, x=epsilon)
        for name, line in rows[rows["x"] <= first * (1 + 1e-4)].groupby("series", sort=False):
            distance = (complete(line.sort_values("x", ascending=False)["value"], f"{effect}, {name}") - 1).abs()
            evidence.append(exact(f"{effect}, {name}", max(0.0, distance.diff().max()), 0.0))
    return evidence


def floor_ratio(products: Products, settings: dict) -> list[Evidence]:
    """floor(ζ)/floor(0) over its predicted limit, at a step or, where that is 0, extrapolated to none."""
    evidence = []
    for method, step in settings["step_sizes"].items():
        row = select(panel(products, "floor"), method=method, x=step).iloc[0]
        limit = row["predicted"]
        value, low, high = (row[column] / limit for column in ("value", "low", "high"))
        label = f"{method}: {row['value']:.3g} for {limit:.3g}"
        if low == high:
            evidence.append(exact(label, value, 1.0))
        else:
            evidence.append(from_interval(label, value, low, high, int(row["replicas"]), 1.0))
    return evidence


def theory_steps(products: Products, settings: dict) -> list[Evidence]:
    """T(Rescaled)/T(other), each at the step that its theory prescribes, for every profile and the other's targets.

    Rescaled ASGD's time is exact; the other's comes with an interval where it is simulated.
    """
    times = select(product(products, EXACT_TIMES), steps="theory")
    evidence = []
    for method, epsilons in settings["targets"].items():
        for epsilon in epsilons:
            rows = select(times, epsilon=epsilon)
            for profile in rows["profile"].unique():
                own = number(rows, "seconds", profile=profile, method="rescaled")
                other = select(rows, profile=profile, method=method).iloc[0]
                name, ratio = f"{method}, {profile}, ε = {epsilon:.3g}", own / other["seconds"]
                if not math.isfinite(other["seconds"]):
                    raise MissingNumbersError(f"{name} is not reached within the horizon")
                if math.isnan(other["low"]):
                    evidence.append(exact(name, ratio))
                else:
                    ends = (own / other["high"], own / other["low"])
                    evidence.append(from_interval(name, ratio, *ends, int(other["replicas"]), logarithmic=True))
    return evidence


def homogeneous_price(products: Products, settings: dict) -> list[Evidence]:
    """T(Rescaled)/T(vanilla) without heterogeneity over τ_A/τ_H, for every profile of compute times."""
    rows = select(product(products, EXACT_TIMES), method="asgd", epsilon=settings["epsilon"])
    return [
        exact(f"{profile}: {1 / ratio:.4g} for {1 / predicted:.4g}", predicted / ratio, 1.0)
        for profile, ratio, predicted in zip(
            rows["profile"], rows["over_rescaled"], rows["predicted_ratio"], strict=True
        )
    ]


def panel(products: Products, name: str):
    return select(product(products, TIMES), panel=name)
