"""The public calls as users write them, for a type checker: `mypy` reads this file, nothing runs it.

Each `ignore` stands for a mistake that a type checker must see: one that it does not see is reported as unused.
"""

from typing import assert_type

import numpy as np

import rasgd
from rasgd import Arrival, Job, Method, Quadratic, RecordedTimes, replay, simulate

problem = Quadratic(np.eye(2), np.zeros((3, 2)), noise_std=0.1, initial_point=np.ones(2))
run = simulate(problem, "rescaled", [1.0, 2.0, 6.0], step_size=[0.02, 0.05], seed=range(3), until=10.0, record=True)
assert_type(run, rasgd.Trajectory)
assert_type(replay(problem, "rescaled", run.trace), rasgd.Trajectory)
run.metrics.groupby("step_size")
recorded = RecordedTimes(run.trace)
simulate(problem, method=rasgd.METHODS["asgd"], compute_times=recorded, step_size=0.05)
rasgd.random_quadratic(num_workers=3, dim=10, noise=0.1, heterogeneity=1.0)


class Halved(Method):
    label = "Half steps"

    def receive(self, arrival: Arrival) -> list[Job]:
        self.update(arrival.gradient, 0.5)
        return [Job(arrival.worker)]


simulate(problem, Halved, rasgd.FixedTimes([1.0, 2.0, 6.0]), 0.05)

simulate(problem, 3, [1.0], 0.1)  # type: ignore[arg-type]
simulate(problem, "rescaled", [1.0])  # type: ignore[call-arg]
simulate("problem", "rescaled", [1.0], 0.1)  # type: ignore[arg-type]
simulate(problem, "rescaled", [1.0], 0.1, until="long")  # type: ignore[arg-type]
Job("worker 1")  # type: ignore[arg-type]
print(rasgd.simulated)  # type: ignore[attr-defined]
