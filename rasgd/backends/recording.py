"""The arrivals of an earlier run, handed out once more in their order and at their times."""

from __future__ import annotations

from collections import deque

import numpy as np

from rasgd.backends.base import Backend, Finished, StartedJob
from rasgd.compute_times import ComputeTimes
from rasgd.instants import after
from rasgd.problems.base import Problem, Samples


class Recording(Backend):
    """A schedule that is known: of the earlier run only gradients are computed again, each when it arrives.

    Args:
        problem: what is minimised.
        compute_times: what the method is told about its workers.
        samples: of the problem.
        arrivals: the recorded schedule, by column.
        departures: workers that left, each as [number of arrivals before, worker, time].
        retries: lost jobs of workers that came back, likewise.
    """

    def __init__(
        self,
        problem: Problem,
        compute_times: ComputeTimes,
        samples: Samples,
        arrivals: dict[str, np.ndarray],
        departures: list,
        retries: list,
    ):
        self.problem, self.compute_times, self.samples = problem, compute_times, samples
        names = ("worker", "k", "time", "duration")
        self.rows = list(zip(*(arrivals[name].tolist() for name in names), strict=True))
        self.position = 0  # of the next arrival
        losses = [(*gone, False) for gone in departures] + [(*again, True) for again in retries]
        self.losses = deque(sorted(losses, key=lambda loss: loss[0]))
        self.jobs: list[StartedJob | None] = [None] * problem.num_workers

    def attach(self, lost, tick, requests) -> None:
        self.lost = lost

    def begin(self, job: StartedJob) -> None:
        self.jobs[job.worker] = job

    def abort(self, worker: int) -> None:
        self.jobs[worker] = None

    def next_finished(self, until: float) -> Finished | None:
        row = self.rows[self.position] if self.position < len(self.rows) else None
        while self.losses and self.losses[0][0] <= self.position:
            _, worker, time, comes_back = self.losses[0]
            # Emulated arrivals may be dated before a retry that they came after.
            if after(min(time, row[2]) if comes_back and row else time, until):
                return None
            self.losses.popleft()
            self.lost(worker, time, comes_back)
        if row is None or after(row[2], until):
            return None
        self.position += 1
        worker, k, time, duration = row
        job, self.jobs[worker] = self.jobs[worker], None
        if job is None or job.k != k:
            raise ValueError(
                f"trace does not fit the method: at {time:.6g} s worker {worker} was to work on its gradient "
                f"{None if job is None else job.k}, the trace has its gradient {k}"
            )
        return Finished(worker, k, self.problem.gradient(worker, job.point, self.samples(worker, k)), time, duration)
