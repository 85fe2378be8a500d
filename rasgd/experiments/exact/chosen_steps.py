"""Exact E‖∇F‖² on quadratics at the step sizes that training chose, beside what was simulated. [derived]"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd import exact
from rasgd.compute_times import FixedTimes
from rasgd.experiments import build
from rasgd.experiments import settings as experiment
from rasgd.methods import METHODS
from rasgd.problems.quadratic import Quadratic

TABLES = ("curves", "times")
KINDS = ("quadratic", "random_quadratic")  # of problems whose moments are known
KEYS = ["case", "method", "target", "options", "step_size"]


def compute(settings: dict, report: Callable[[float], None], read: dict) -> dict[str, pd.DataFrame]:
    """E‖∇F‖² at every evaluation (curves) and seconds until it reaches the target (times).

    Rows are those of the linear methods that do not draw their jobs; cases that are no quadratics on fixed times have
    none.

    Args:
        settings: of the experiment; `reads` names the trained one.
        report: told the fraction done.
        read: the trained experiment's settings and its table curves, by its name.
    """
    columns = {"curves": [*KEYS, "time", "grad_norm_sq"], "times": [*KEYS, "seconds"]}
    found = {name: [pd.DataFrame(columns=own)] for name, own in columns.items()}
    for trained in read.values():
        curves = trained.tables["curves"]
        choices = curves.drop_duplicates(KEYS)[KEYS].to_dict("records")
        times = {case: np.sort(rows["time"].unique()) for case, rows in curves.groupby("case")}
        for number, choice in enumerate(choices):
            report(number / len(choices))
            dynamics = chosen_dynamics(trained.settings, choice)
            if dynamics is None:
                continue
            moments = exact.moment_trajectory(dynamics, choice["step_size"], times[choice["case"]])
            rows = {"time": moments.times, "grad_norm_sq": moments.expected_grad_norm_sq}
            found["curves"].append(pd.DataFrame(choice | rows))
            if not np.isnan(choice["target"]):
                seconds = float(exact.time_to_target(dynamics, choice["step_size"], choice["target"]))
                found["times"].append(pd.DataFrame([choice | {"seconds": seconds}]))
    return {name: joined(parts) for name, parts in found.items()}


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows, or the empty first part where there are none."""
    return pd.concat(parts[1:], ignore_index=True) if len(parts) > 1 else parts[0]


def chosen_dynamics(settings: dict, choice: dict) -> exact.Dynamics | None:
    """The dynamics of a choice; None where there is no exact theory."""
    found = exact_case(settings, choice["case"])
    method = METHODS[choice["method"]]
    if found is None or not method.linear or method.draws_jobs:
        return None
    return exact.dynamics(found[0], method, found[1], **json.loads(choice["options"]))


def exact_case(settings: dict, case: str) -> tuple[Quadratic, FixedTimes] | None:
    """Problem and compute times of a case; None where it has no exact theory."""
    own = experiment.case_settings(settings, case)
    times = build.build_compute_times(own["compute_times"])
    if own["problem"]["kind"] not in KINDS or not isinstance(times, FixedTimes):
        return None
    return build.build_problem(own, times.num_workers), times
