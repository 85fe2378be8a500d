"""FedBuff: a buffer of K gradients makes one step."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import whole_number


class Fedbuff(Method):
    """Sums the next K gradients, whoever sends them and however old, and steps along their mean.

        buffer ← buffer + g;   at K gradients:  x ← x − γ buffer/K,  clear;   restart i always            [lit]

    Worker i fills the buffer in proportion to 1/τᵢ, so the objective is vanilla's.

    Args:
        K: gradients per step (default max(2, n//4)).

    Reduces to: vanilla ASGD with K = 1.

    Source: Nguyen et al. 2022 (Federated learning with buffered asynchronous aggregation), one local step.
    """

    label = "FedBuff"
    right_objective = False

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, K=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.K = max(2, num_workers // 4) if K is None else whole_number("K", K)
        self.buffer = None
        self.count = 0

    def receive(self, arrival: Arrival) -> list[Job]:
        self.buffer = arrival.gradient if self.buffer is None else self.buffer.add_(arrival.gradient)
        self.count += 1
        if self.count == self.K:
            self.update(self.buffer, 1 / self.K)
            self.buffer, self.count = None, 0
        return [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        return []
