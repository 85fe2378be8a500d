"""Virtual time: gradients are computed at their arrival, the clock jumps from one to the next."""

from __future__ import annotations

from bisect import insort
from heapq import heappop, heappush

from rasgd.backends.base import Backend, Finished, StartedJob
from rasgd.compute_times import ComputeTimes, checked_duration
from rasgd.instants import latest
from rasgd.problems.base import Problem, Samples


class Simulator(Backend):
    """An event queue over the compute times.

    A gradient started at s arrives at s + τ. When the earliest arrival is due, all that are due at the same instant
    (`rasgd/instants.py`) come with it, at its time and in increasing worker index; what they start belongs to a later
    instant, however short. Each gradient is computed when it arrives, which keeps its point in the cache better than
    batching all jobs in flight does.
    """

    def __init__(self, problem: Problem, compute_times: ComputeTimes, samples: Samples):
        self.problem = problem
        self.compute_times = compute_times
        self.samples = samples
        self.events = []  # heap of (arrival time, worker, k)
        self.time = 0.0  # of the latest instant
        self.together = []  # (worker, k) that are still to come at that instant, the next one last
        self.jobs = [None] * problem.num_workers  # (k, point, duration) in progress, None when idle or aborted

    def begin(self, job: StartedJob) -> None:
        worker, k, point, start = job
        duration = checked_duration(self.compute_times, worker, k, start)
        self.jobs[worker] = (k, point, duration)
        time = start + duration
        if start < self.time and time <= latest(self.time):  # a run that goes on in the midst of an instant
            insort(self.together, (worker, k), key=lambda entry: -entry[0])
        else:
            heappush(self.events, (time, worker, k))

    def resume(self, time: float, gone: list[int]) -> None:
        self.time = time

    def now(self) -> float:
        return self.time

    def abort(self, worker: int) -> None:
        self.jobs[worker] = None

    def next_finished(self, until: float) -> Finished | None:
        while True:
            if self.together:
                worker, k = self.together.pop()
            elif self.events and self.events[0][0] <= latest(until):
                worker, k = self.next_instant()
            else:
                return None
            job = self.jobs[worker]
            if job is None or job[0] != k:
                continue  # aborted
            self.jobs[worker] = None
            gradient = self.problem.gradient(worker, job[1], self.samples(worker, k))
            return Finished(worker, k, gradient, self.time, job[2])

    def next_instant(self) -> tuple[int, int]:
        """Moves the clock to the earliest arrival; the first worker and k of its instant."""
        events = self.events
        self.time, worker, k = heappop(events)
        end = latest(self.time)
        if not (events and events[0][0] <= end):
            return worker, k
        together = [(worker, k)]
        while events and events[0][0] <= end:
            together.append(heappop(events)[1:])
        together.sort(reverse=True)
        self.together = together
        return together.pop()
