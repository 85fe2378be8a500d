"""Every point a method passes through on a problem without noise, and where it ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

import rasgd
from rasgd import methods
from rasgd.compute_times import ComputeTimes, FixedTimes
from rasgd.experiments.build import build_problem
from rasgd.theory import step_parameters

TABLES = ("iterates", "limits")
REPEATED = 1e-12  # two cycle iterates in a row that differ by no more, relative to x⁰, count as the limit


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """The iterates of every curve, and what they tend to.

    iterates: curve, method, time, update (how many were made before and with it), at_cycle_end (the last one at a whole
    number of τ_max, x⁰ included), x. Updates at the same instant are rows of their own, in their order.

    limits: curve, method, step_size (the mean step per arrival that `rasgd.simulate` takes), limit (of the iterates at
    cycle ends), lowest and highest (inside the last cycle), arrivals of every worker (as text) and largest delay within
    a cycle. A limit is an iterate that equals the one a cycle before within 1e-12 of |x⁰|.

    Raises:
        ValueError: if a curve has not settled after `settle_cycles`, or the problem has more than one dimension.
    """
    times = FixedTimes(settings["compute_times"])
    cycle = times.mean.max()
    problem = build_problem(settings, times.num_workers)
    if problem.dim != 1:
        raise ValueError(f"problem must have one dimension for its iterates to be drawn, got {problem.dim}")
    iterates, limits = [], []
    for number, (curve, own) in enumerate(settings["curves"].items()):
        report(number / len(settings["curves"]))
        step_size = float(step_parameters(times.mean, **own["step"]).step_size)
        options = {key: value for key, value in own.items() if key not in ("method", "step", "label")}
        names = {"curve": curve, "method": own["method"]}
        path = passed_points(problem, own["method"], times, step_size, settings["settle_cycles"] * cycle, options)
        shown = path[path["time"] <= settings["until"]]
        iterates.append(shown.assign(**names)[[*names, "time", "update", "at_cycle_end", "x"]])
        limits.append(names | {"step_size": step_size, **last_cycle(path, curve)})
    return {"iterates": pd.concat(iterates, ignore_index=True), "limits": pd.DataFrame(limits)}


def passed_points(
    problem, method: str, times: ComputeTimes, step_size: float, until: float, options: dict, schedule_seed: int = 0
) -> pd.DataFrame:
    """x⁰ and x after every update, with time, update, at_cycle_end, x, worker and delay of the gradient behind it."""
    rows = [(0.0, 0, float(problem.initial_point(0)[0]), -1, 0)]
    rasgd.simulate(
        problem, watched(methods.find(method), rows), times, step_size, until=until, eval_every=until,
        schedule_seed=schedule_seed, measure_weights=False, **options,
    )  # fmt: skip
    path = pd.DataFrame(rows, columns=["time", "update", "x", "worker", "delay"])
    cycle = times.mean.max()
    at_end = np.isclose(path["time"], cycle * (path["time"] / cycle).round(), rtol=1e-9) & ~path["time"].duplicated(
        keep="last"
    )
    path.insert(2, "at_cycle_end", at_end)
    return path


def watched(method: type[methods.Method], rows: list) -> type[methods.Method]:
    """The method, which also notes every point that an update leads to; of single runs in one dimension."""

    class Watched(method):
        def receive(self, arrival):
            before = self.updates
            jobs = super().receive(arrival)
            if self.updates > before:
                rows.append((arrival.time, self.updates, float(self.x[0, 0]), arrival.worker, arrival.delay))
            return jobs

    return Watched


def last_cycle(path: pd.DataFrame, curve: str) -> dict:
    """The limit at cycle ends, and the range of x, arrivals and delays within the last cycle."""
    ends = path.loc[path["at_cycle_end"], ["time", "x"]].to_numpy()
    (start, before), (stop, limit) = ends[-2:]
    if abs(limit - before) > REPEATED * max(1.0, abs(path["x"].iloc[0])):
        raise ValueError(
            f"curves.{curve}: x at cycle ends still moves by {abs(limit - before):.1e} a cycle after {stop:g} s; "
            "settle_cycles must be larger"
        )
    inside = path[(path["time"] > start) & (path["time"] <= stop)]
    arrivals = inside["worker"].value_counts().sort_index()
    return {
        "limit": limit,
        "lowest": inside["x"].min(),
        "highest": inside["x"].max(),
        "arrivals": " ".join(map(str, arrivals)),
        "largest_delay": int(inside["delay"].max()),
    }
