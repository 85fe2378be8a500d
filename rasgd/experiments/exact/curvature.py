"""Times to ε where the workers' curvatures cancel in the mean, L ≪ L_max, computed and measured."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd import exact
from rasgd.compute_times import FixedTimes
from rasgd.experiments.tuned_time import tuned_time
from rasgd.theory.instances import DiagonalQuadratic, cancelling_quadratic

TABLES = ("times",)


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """One row per L_max, ε and method.

    Columns: predicted, the exact time at the best step, nan for methods without exact theory; measured with its 95 %
    interval [low, high], the simulated one at the step chosen on other seeds; each of them over_smooth: divided by the
    method's own time at the smallest L_max.
    """
    times = FixedTimes(settings["compute_times"])
    predicted, simulated = settings["predicted"], settings["simulated"]
    epsilons = sorted({*predicted["epsilons"], *simulated["epsilons"]}, reverse=True)
    rows = []
    every = list(itertools.product(settings["max_smoothness"], epsilons))
    for number, (smoothness, epsilon) in enumerate(every):
        report(number / len(every))
        quadratic = cancelling_quadratic(epsilon, times.num_workers, smoothness, **settings["problem"])
        for method in dict.fromkeys(predicted["methods"] + simulated["methods"]):
            row = {"max_smoothness": float(smoothness), "epsilon": epsilon, "method": method, "predicted": np.nan}
            if method in predicted["methods"]:
                row["predicted"] = exact.best_time(exact.dynamics(quadratic.problem(), method, times), epsilon).seconds
            if method in simulated["methods"] and epsilon in simulated["epsilons"]:
                row |= measured(quadratic, method, times, epsilon, settings)
            rows.append(row)
    table = pd.DataFrame(rows).dropna(subset=["predicted", "measured"], how="all")
    smallest = table["max_smoothness"].min()
    own = table[table["max_smoothness"] == smallest].set_index(["method", "epsilon"])
    keys = list(zip(table["method"], table["epsilon"], strict=True))
    for name, base in (("predicted", "predicted"), ("measured", "measured"), ("low", "high"), ("high", "low")):
        table[f"{name}_over_smooth"] = table[name] / own[base].loc[keys].to_numpy()
    return {"times": table.reset_index(drop=True)}


def measured(quadratic: DiagonalQuadratic, method: str, times: FixedTimes, epsilon: float, settings: dict) -> dict:
    """The simulated time and how it was tuned."""
    smooth = cancelling_quadratic(epsilon, times.num_workers, 1.0, **settings["problem"]).problem()
    reference = exact.best_time(exact.dynamics(smooth, "rescaled", times), epsilon).seconds
    shared = {key: settings[key] for key in ("grid", "max_doublings")}
    shared |= {"tuning_seeds": settings["tuning"]["seeds"], "seeds": settings["reporting"]["seeds"]}
    found = tuned_time(quadratic.problem(), method, times, epsilon, settings["until"] * reference, **shared)._asdict()
    return {"measured": found.pop("seconds")} | found
