"""How large a step methods have made in all by a time, and at which rate they go on; no gradients are needed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

import rasgd
from rasgd.compute_times import ComputeTimes
from rasgd.experiments.build import build_compute_times
from rasgd.theory import mean_gathering_time, step_parameters

TABLES = ("steps", "slopes")


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """The total step of every curve over time, and its slope in the long run.

    steps: case, method, options (JSON), time in units of τ_max, total_step in units of the cycle step size α; a row at
    0 and one after every update, those at the same instant in their order.

    slopes: case, method, options, slope (total step in α per τ_max, over `slopes.until` τ_max after `slopes.from`),
    error (standard error over schedules, 0 where nothing is random), replicas (how many schedules),
    expected (closed form, nan where there is none),
    distance (largest |total_step − time| in `steps`, all instants up to the horizon counted).
    """
    steps, slopes = [], []
    every = list(itertools.product(settings["cases"], settings["curves"].values()))
    for number, (case, own) in enumerate(every):
        report(number / len(every))
        times = build_compute_times(settings["cases"][case]["compute_times"])
        cycle = times.mean.max()
        options = {key: value for key, value in own.items() if key not in ("method", "step")}
        names = {"case": case, "method": own["method"], "options": json.dumps(options)}
        step_size = float(step_parameters(times.mean, **own["step"]).step_size)
        arguments = (own["method"], times, step_size, options)
        path = total_steps(*arguments, settings["schedule_seed"], settings["until"] * cycle)
        path["time"] /= cycle
        steps.append(path.assign(**names)[[*names, "time", "total_step"]])
        rates = [long_run_slope(*arguments, seed, settings["slopes"]) for seed in schedules(times, settings["slopes"])]
        error = np.std(rates, ddof=1) / math.sqrt(len(rates)) if len(rates) > 1 else 0.0
        expected = expected_slope(own["method"], times, options)
        distance = largest_distance(path["time"].to_numpy(), path["total_step"].to_numpy(), settings["until"])
        found = {"slope": np.mean(rates), "error": error, "replicas": len(rates)}
        slopes.append(names | found | {"expected": expected, "distance": distance})
    return {"steps": pd.concat(steps, ignore_index=True), "slopes": pd.DataFrame(slopes)}


def unit_descent(num_workers: int) -> rasgd.Quadratic:
    """A problem in one dimension whose every gradient is −1, so that x is the total step made from x⁰ = 0."""
    return rasgd.Quadratic(np.zeros((1, 1)), np.ones((num_workers, 1)), initial_point=[0.0])


def total_steps(
    method: str, times: ComputeTimes, step_size: float, options: dict, schedule_seed: int, until: float
) -> pd.DataFrame:
    """Columns time in seconds and total_step, at 0 and after every update."""
    path = rasgd.cumulative_step(method, times, until, schedule_seed, **options)[["time", "total_step"]]
    path["total_step"] *= step_size
    return pd.concat([pd.DataFrame({"time": [0.0], "total_step": [0.0]}), path], ignore_index=True)


def schedules(times: ComputeTimes, setting: dict) -> Sequence[int]:
    """Schedule seeds: the first alone where times are fixed."""
    seeds = setting["schedule_seeds"]
    return seeds if times.seeded(0) is not times else seeds[:1]


def long_run_slope(
    method: str, times: ComputeTimes, step_size: float, options: dict, schedule_seed: int, setting: dict
) -> float:
    """Total step per τ_max from `from` to `until`, both in units of τ_max."""
    cycle = times.mean.max()
    t = rasgd.simulate(
        unit_descent(times.num_workers), method, times, step_size, until=setting["until"] * cycle,
        eval_every=setting["from"] * cycle, schedule_seed=schedule_seed, measure_weights=False, **options,
    )  # fmt: skip
    points = t.metrics[["time", "point_0"]].to_numpy()
    (start, before), (stop, after) = points[1], points[-1]
    return float((after - before) / (stop - start) * cycle)


def largest_distance(times: np.ndarray, totals: np.ndarray, until: float) -> float:
    """sup |total(t) − t| over 0 ≤ t ≤ until, of a total that is constant between its rows."""
    before_next = np.append(times[1:], until)  # just before the next update the same total stands against a later time
    return float(max(np.abs(totals - times).max(), np.abs(totals - before_next).max()))


def expected_slope(method: str, times: ComputeTimes, options: dict) -> float:
    """Slope by theory, nan where there is none.

    1 for Rescaled ASGD; τ_max over the mean gathering for methods that make a cycle step in every gathering: Malenia
    SGD with S = n, Ringleader ASGD whose triggering gradients open the next table.
    """
    if method == "rescaled":
        return 1.0
    if (method, options) in (("malenia", {}), ("ringleader", {"trigger": "opens"})):
        fixed = type(times) is rasgd.FixedTimes
        return 1.0 if fixed else float(times.mean.max() / mean_gathering_time(times.mean))
    return math.nan
