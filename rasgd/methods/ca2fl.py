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
        total = self.mean.new_zeros(self.mean.shape)
        for worker, gradient in self.buffer:
            self.add_change(total, worker, gradient, 1.0)
        self.update(self.mean.add(total, alpha=1 / self.K))
        newest = dict(self.buffer)  # a later gradient of a worker replaces an earlier one
        self.mean.add_(total, alpha=1 / self.num_workers)
        for worker, gradient in self.buffer:
            if gradient is not newest[worker]:
                self.add_change(self.mean, worker, gradient, -1 / self.num_workers)
        for worker, gradient in newest.items():
            self.cache[worker] = gradient
        self.buffer = []

    def add_change(self, total, worker: int, gradient, scale: float) -> None:
        """total ← total + scale·(g − hᵢ)."""
        total.add_(gradient, alpha=scale)
        if self.cache[worker] is not None:
            total.sub_(self.cache[worker], alpha=scale)
