"""Virtual time: gradients are computed at their arrival, the clock jumps from one to the next."""

from __future__ import annotations

from heapq import heappop, heappush

from rasgd.backends.base import Backend, Finished, StartedJob
from rasgd.compute_times import ComputeTimes, checked_duration
from rasgd.problems.base import Problem, Samples


class Simulator(Backend):
    """An event queue over the compute times.

    A gradient started at s arrives at s + τ; arrivals at the same time come in increasing worker index. Each gradient
    is computed when it arrives, which keeps its point in the cache better than batching all jobs in flight does.
    """

    def __init__(self, problem: Problem, compute_times: ComputeTimes, samples: Samples):
        self.problem = problem
        self.compute_times = compute_times
        self.samples = samples
        self.events = []  # heap of (arrival time, worker, k)
        self.jobs = [None] * problem.num_workers  # (k, point, duration) in progress, None when idle or aborted

    def begin(self, job: StartedJob) -> None:
        worker, k, point, start = job
        duration = checked_duration(self.compute_times, worker, k, start)
        self.jobs[worker] = (k, point, duration)
        heappush(self.events, (start + duration, worker, k))

    def abort(self, worker: int) -> None:
        self.jobs[worker] = None

    def next_finished(self, until: float) -> Finished | None:
        while self.events and self.events[0][0] <= until:
            time, worker, k = heappop(self.events)
            job = self.jobs[worker]
            if job is None or job[0] != k:
                continue  # aborted
            self.jobs[worker] = None
            gradient = self.problem.gradient(worker, job[1], self.samples(worker, k))
            return Finished(worker, k, gradient, time, job[2])
        return None
