"""CA²FL: FedBuff calibrated by a cached gradient per worker."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import whole_number


class Ca2fl(Method):
    """Steps along the mean of all cached gradients, corrected by the buffer's changes.

        at K gradients:  v = (1/n) Σⱼ hⱼ + (1/K) Σ_buffer (g − hᵢ);   x ← x − γ v;   then hᵢ ← g          [lit]
        restart i always

    The caches start at 0 and their mean always divides by n. A worker that is twice in the buffer is corrected twice
    with the old hᵢ, and its newest g is cached. The mean of the caches is kept as one more vector, so that an arrival
    costs O(d) and not O(nd).

    Args:
        K: gradients per step (default max(2, n//4)).

    Reduces to: FedBuff in its first step, when all caches are 0.

    Source: Wang, Cao, Wu, Chen, Chen 2024 (Tackling the data heterogeneity in asynchronous federated learning with
    cached update calibration), one local step.
    """

    label = "CA²FL"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, K=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.K = max(2, num_workers // 4) if K is None else whole_number("K", K)
        self.cache = [None] * num_workers  # None stands for 0
        self.mean = None
        self.buffer = []  # pairs [worker, gradient]

    def receive(self, arrival: Arrival) -> list[Job]:
        self.buffer.append([arrival.worker, arrival.gradient])
        if len(self.buffer) == self.K:
            self.step()
        return [Job(arrival.worker)]

    def step(self) -> None:
        if self.mean is None:
            self.mean = self.buffer[0][1].new_zeros(self.buffer[0][1].shape)
        direction = self.mean.clone()
        for worker, gradient in self.buffer:
            direction.add_(self.change(worker, gradient), alpha=1 / self.K)
        self.update(direction)
        for worker, gradient in self.buffer:
            self.mean.add_(self.change(worker, gradient), alpha=1 / self.num_workers)
            self.cache[worker] = gradient
        self.buffer = []

    def change(self, worker: int, gradient):
        return gradient if self.cache[worker] is None else gradient - self.cache[worker]
