"""Concurrent ASGD: after each arrival a worker drawn at random gets the next job."""

from __future__ import annotations

from abc import abstractmethod

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import real_array


class Dealt(Method):
    """Vanilla steps whose next job goes to the next worker of a random sequence, drawn n at a time by the subclass."""

    draws_jobs = True

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, assignment=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        if assignment is not None:
            assignment = checked_workers(assignment, num_workers)
        elif generator is None:
            raise ValueError("generator is needed to draw workers when no assignment is given, got None")
        self.assignment = assignment
        self.upcoming = []  # workers of the next jobs, last one first

    @abstractmethod
    def draw(self) -> list[int]:
        """The workers of the next n jobs."""

    def receive(self, arrival: Arrival) -> list[Job]:
        self.update(arrival.gradient)
        if not self.upcoming:
            self.upcoming = (self.assignment or self.draw())[::-1]
        return [Job(self.upcoming.pop())]


class Concurrent(Dealt):
    """Vanilla steps, but jobs are dealt uniformly, so that every worker contributes equally often.

        x ← x − γ g;   the next job, carrying x, goes to a worker drawn uniformly                           [lit]

    A job carries the x of the moment it is assigned; a busy worker queues it, first in first out. n jobs are in the
    system, so at most n − 1 points are queued and fast workers idle while slow ones have a queue.

    Args:
        assignment: workers that get the jobs after the first n, in this order and from the front again when it ends;
            None draws them.

    Raises:
        ValueError: if assignment is empty or names a worker outside 0 … n − 1.

    Source: Koloskova, Stich, Jaggi 2022, algorithm 2 with uniform sampling; Islamov, Safaryan, Alistarh 2024.
    """

    label = "Concurrent ASGD"

    def draw(self) -> list[int]:
        return self.generator.integers(self.num_workers, size=self.num_workers).tolist()


def checked_workers(assignment, num_workers: int) -> list[int]:
    """The explicit assignment as a list of worker indices, or one line that says what is wrong with it."""
    allowed = f"a non-empty list of workers 0 to {num_workers - 1}"
    workers = real_array("assignment", assignment, allowed)
    if workers.ndim != 1 or not workers.size:
        raise ValueError(f"assignment must be {allowed}, got an array of shape {list(workers.shape)}")
    for worker in workers.tolist():
        if not (0 <= worker < num_workers and worker == int(worker)):  # the first comparison is False for NaN
            raise ValueError(f"assignment must be {allowed}, got {worker} in it")
    return [int(worker) for worker in workers]
