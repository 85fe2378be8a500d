"""`cumulative_step`: how far a method has stepped by when, which its schedule alone decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rasgd import methods
from rasgd.compute_times import ComputeTimes, as_compute_times
from rasgd.methods.base import Method
from rasgd.problems.quadratic import Quadratic
from rasgd.simulation.simulate import simulate

if TYPE_CHECKING:
    import pandas as pd


def cumulative_step(
    method: str | type[Method],
    compute_times: ComputeTimes | Sequence[float],
    until: float,
    schedule_seed: int = 0,
    **options,
) -> pd.DataFrame:
    """Returns the total step after every update, in units of γ: the method run on F(x) = −x, whose gradient is −1.

    A step counts with all that the method multiplies gradients by, so a step along their average counts γ whatever they
    are: α-steps of Figure 2 are Rescaled ASGD with γ = α/K for K arrivals per cycle, Malenia SGD with γ = α, Ringleader
    ASGD with γ = α/n. [paper, Section 5]

    Args:
        method, compute_times, until, schedule_seed, options: as for `rasgd.simulate`.

    Returns:
        One row per update: time in seconds; total_step, the sum of all steps up to and with this one; worker, whose
        arrival made it. The total is 0 before the first row.

    Raises:
        ValueError: for a method that is not linear in the gradients, and as `rasgd.simulate` does.
    """
    import pandas as pd

    method, times = methods.find(method), as_compute_times(compute_times)
    if not method.linear:
        raise ValueError(f"method must be linear in the gradients to have a total step, {method.label} is not")
    rows = []

    class Noting(method):
        def receive(self, arrival):
            updates = self.updates
            jobs = super().receive(arrival)
            if self.updates > updates:
                rows.append((arrival.time, self.x, arrival.worker))
            return jobs

    n = times.num_workers
    minus_x = Quadratic(np.zeros((n, 1, 1)), np.ones((n, 1)))
    simulate(
        minus_x, Noting, times, 1.0, until=until, eval_every=until, schedule_seed=schedule_seed,
        measure_weights=False, **options,
    )  # fmt: skip
    return pd.DataFrame(
        {
            "time": [time for time, _, _ in rows],
            "total_step": [float(x) for _, x, _ in rows],
            "worker": [worker for _, _, worker in rows],
        }
    )
