"""Rennala SGD: the first S gradients at x, whoever sends them."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import whole_number


class Rennala(Method):
    """Collects S gradients at the current x from anybody, steps, and restarts everybody.

        gradients at the current x only:  G ← G + g,  B ← B + 1;   at B = S:  x ← x − γ G/S,  restart all     [lit]

    Optimal for homogeneous data; with heterogeneous data the fast workers fill the batch and the objective is wrong.

    Args:
        S: batch size in gradients (default n).

    Reduces to: minibatch SGD with S = n when all times are equal.

    Source: Tyurin, Richtárik 2023, homogeneous case.
    """

    label = "Rennala SGD"
    right_objective = False

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, S=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.S = num_workers if S is None else whole_number("S", S)
        self.sum = None
        self.count = 0

    def receive(self, arrival: Arrival) -> list[Job]:
        if arrival.delay > 0:
            self.ignored += 1
            return [Job(arrival.worker)]
        self.sum = arrival.gradient if self.sum is None else self.sum.add_(arrival.gradient)
        self.count += 1
        if self.count < self.S:
            return [Job(arrival.worker)]
        self.update(self.sum, 1 / self.S)
        self.sum, self.count = None, 0
        return self.restart_all()

    def leave(self, worker: int) -> list[Job]:
        return []
