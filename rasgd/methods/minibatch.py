"""Naive minibatch SGD: wait for one gradient of each worker."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class Minibatch(Method):
    """One step needs one gradient of every worker at the same x, so each step takes τ_max seconds.

        x ← x − γ (1/n) Σᵢ gᵢ;   restart all                                                            [lit]

    Fast workers idle until the slowest has answered.

    Reduces to: gradient descent when the gradients are exact; Malenia SGD with S = n when all times are equal.

    Source: the synchronous baseline of the paper's comparison table.
    """

    label = "Minibatch SGD"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.sum = None
        self.count = 0

    def receive(self, arrival: Arrival) -> list[Job]:
        self.sum = arrival.gradient if self.sum is None else self.sum.add_(arrival.gradient)
        self.count += 1
        if self.count < self.num_workers:
            return []
        self.update(self.sum, 1 / self.num_workers)
        self.sum, self.count = None, 0
        return [Job(worker) for worker in range(self.num_workers)]
