"""Naive minibatch SGD: wait for one gradient of each worker."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class Minibatch(Method):
    """One step needs one gradient of every worker at the same x, so each step takes τ_max seconds.

        x ← x − γ (1/n) Σᵢ gᵢ;   restart all                                                            [lit]

    Fast workers idle until the slowest has answered.

    Reduces to: gradient descent when the gradients are exact; Malenia SGD with S = n when all times are equal.

    Source: Naive minibatch SGD of Mahran, Maranjyan, Richtárik 2026 (arXiv 2605.13434), Table 1.
    """

    label = "Minibatch SGD"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.sum = None
        self.answered = []  # in this step
        self.present = list(range(num_workers))
        self.missing = num_workers

    def receive(self, arrival: Arrival) -> list[Job]:
        self.sum = arrival.gradient if self.sum is None else self.sum.add_(arrival.gradient)
        self.answered.append(arrival.worker)
        self.missing -= 1
        return [] if self.missing else self.step()

    def leave(self, worker: int) -> list[Job]:
        """The others make the steps; a gradient that the worker has already sent still counts in this one."""
        self.present.remove(worker)
        if worker in self.answered:
            return []
        self.missing -= 1
        return self.step() if self.answered and not self.missing else []

    def step(self) -> list[Job]:
        self.update(self.sum, 1 / len(self.answered))
        self.sum, self.answered, self.missing = None, [], len(self.present)
        return [Job(worker) for worker in self.present]
