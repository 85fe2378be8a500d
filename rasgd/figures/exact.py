"""Exact E‖∇F‖² of the quadratic experiments, to put beside what was simulated. [derived]"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rasgd.experiments import build
from rasgd.theory.cycle_maps import METHODS as EXACT_METHODS  # those whose moments are known in closed form
from rasgd.theory.first_passage import time_to_target
from rasgd.theory.quadratic import QuadraticInstance, quadratic_instance
from rasgd.theory.synchronous import malenia_twin
from rasgd.theory.transient import moment_trajectory


class ExactCase(NamedTuple):
    """A case of an experiment on quadratics with fixed compute times.

    Attributes:
        instance: the problem.
        compute_times: seconds per gradient, `[n]`.
    """

    instance: QuadraticInstance
    compute_times: Sequence[float]

    def time(self, method: str, step_size: float, target: float, options: dict | None = None) -> float:
        """Seconds until E‖∇F‖² over the last tenth of elapsed time is ≤ target; nan where nothing exact is known."""
        instance, times = self.instance, self.compute_times
        if method == "malenia":
            instance, times = malenia_twin(instance, times, options["S"])
            method = "minibatch"
        if method not in EXACT_METHODS:
            return np.nan
        return float(time_to_target(instance, times, method, step_size, target))

    def curve(self, method: str, step_size: float, times: np.ndarray) -> np.ndarray:
        """E‖∇F‖² at the times `[m]`; nan where nothing exact is known."""
        if method not in EXACT_METHODS:
            return np.full(len(times), np.nan)
        trajectory = moment_trajectory(self.instance, self.compute_times, method, step_size, times)
        return trajectory.expected_grad_norm_sq


def exact_cases(quadratics: dict[str, dict]) -> dict[str, ExactCase]:
    """All cases, from their settings problem and compute_times."""
    return {case: exact_case(own["problem"], own["compute_times"]) for case, own in quadratics.items()}


def exact_case(problem: dict, compute_times: Sequence[float]) -> ExactCase:
    """The case of a quadratic's settings and seconds per gradient, `[n]`."""
    made = build.build_problem({"problem": problem}, len(compute_times))
    arrays = (made.A.numpy(), made.b.numpy(), made.noise_std, made.x0.numpy())
    return ExactCase(quadratic_instance(*arrays), compute_times)
