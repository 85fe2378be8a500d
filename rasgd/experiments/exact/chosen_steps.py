"""Exact E‖∇F‖² on quadratics at the step sizes that training chose, beside what was simulated. [derived]"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd.compute_times import FixedTimes
from rasgd.experiments import build
from rasgd.experiments import settings as experiment
from rasgd.theory.cycle_maps import METHODS as EXACT_METHODS  # those whose moments are known in closed form
from rasgd.theory.first_passage import time_to_target
from rasgd.theory.quadratic import QuadraticInstance, quadratic_instance
from rasgd.theory.synchronous import malenia_twin
from rasgd.theory.transient import moment_trajectory

TABLES = ("curves", "times")
KINDS = ("quadratic", "random_quadratic")  # of problems whose moments are known
KEYS = ["case", "method", "target", "options", "step_size"]


def compute(settings: dict, report: Callable[[float], None], read: dict) -> dict[str, pd.DataFrame]:
    """E‖∇F‖² at every evaluation (curves) and seconds until it reaches the target (times).

    Rows are those of the choices whose moments are known; cases that are no quadratics on fixed times have none.

    Args:
        settings: of the experiment; `reads` names the trained one.
        report: told the fraction done.
        read: the trained experiment's settings and its table curves, by its name.
    """
    columns = {"curves": [*KEYS, "time", "grad_norm_sq"], "times": [*KEYS, "seconds"]}
    found = {name: [pd.DataFrame(columns=own)] for name, own in columns.items()}
    for trained in read.values():
        curves = trained.tables["curves"]
        for case, rows in curves.groupby("case", sort=False):
            known = exact_case(trained.settings, case)
            if known is None:
                continue
            at = np.sort(rows["time"].unique())
            choices = rows.drop_duplicates(KEYS)[KEYS].to_dict("records")
            for number, choice in enumerate(choices):
                report(number / len(choices))
                expected, reached = curve(*known, choice, at), seconds_to_target(*known, choice)
                if expected is not None:
                    found["curves"].append(pd.DataFrame(choice | {"time": at, "grad_norm_sq": expected}))
                if not np.isnan(reached):
                    found["times"].append(pd.DataFrame([choice | {"seconds": reached}]))
    return {name: joined(parts) for name, parts in found.items()}


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows, or the empty first part where there are none."""
    return pd.concat(parts[1:], ignore_index=True) if len(parts) > 1 else parts[0]


def exact_case(settings: dict, case: str) -> tuple[QuadraticInstance, np.ndarray] | None:
    """The instance of a case and its workers' seconds per gradient, `[n]`; None where its moments are not known."""
    own = experiment.case_settings(settings, case)
    times = build.build_compute_times(own["compute_times"])
    if own["problem"]["kind"] not in KINDS or not isinstance(times, FixedTimes):
        return None
    made = build.build_problem(own, times.num_workers)
    return quadratic_instance(made.A.numpy(), made.b.numpy(), made.noise_std, made.x0.numpy()), times.mean


def curve(instance: QuadraticInstance, seconds: np.ndarray, choice: dict, at: np.ndarray) -> np.ndarray | None:
    """E‖∇F‖² at the times `[m]`; None where nothing exact is known of the method."""
    if choice["method"] not in EXACT_METHODS:
        return None
    return moment_trajectory(instance, seconds, choice["method"], choice["step_size"], at).expected_grad_norm_sq


def seconds_to_target(instance: QuadraticInstance, seconds: np.ndarray, choice: dict) -> float:
    """Seconds until E‖∇F‖² over the last tenth of elapsed time is at most the target; nan where nothing is known."""
    method = choice["method"]
    if np.isnan(choice["target"]):
        return np.nan
    if method == "malenia":
        instance, seconds = malenia_twin(instance, seconds, json.loads(choice["options"])["S"])
        method = "minibatch"
    if method not in EXACT_METHODS:
        return np.nan
    return float(time_to_target(instance, seconds, method, choice["step_size"], choice["target"]))
