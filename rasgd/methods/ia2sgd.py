"""IA²SGD (also ACE): steps along the mean of everybody's newest gradient."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class Ia2sgd(Method):
    """Keeps the newest gradient of every worker and steps along their mean at each arrival.

        hᵢ ← g;   once all n entries are there:  x ← x − γ (1/n) Σⱼ hⱼ;   restart i always                [code]

    The arrival that completes the table makes no update. The mean is kept as one more vector, so that an arrival costs
    O(d) and not O(nd).

    Reduces to: incremental aggregated gradient (IAG) when the gradients are exact.

    Source: the authors' public code; Wang et al. 2025 (ACE).
    """

    label = "IA²SGD"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.table = [None] * num_workers
        self.missing = num_workers
        self.mean = None

    def receive(self, arrival: Arrival) -> list[Job]:
        i, g = arrival.worker, arrival.gradient
        if self.missing:
            self.missing -= self.table[i] is None
            self.table[i] = g
            if not self.missing:
                self.mean = sum(self.table[1:], self.table[0].clone()).div_(self.num_workers)
            return [Job(i)]
        self.mean.add_(g, alpha=1 / self.num_workers).sub_(self.table[i], alpha=1 / self.num_workers)
        self.table[i] = g
        self.update(self.mean)
        return [Job(i)]
