"""Malenia SGD: synchronous steps that use every gradient the fast workers make meanwhile."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import real_number


class Malenia(Method):
    """Averages per worker all gradients at the same x, and steps when the harmonic mean of the counts is large enough.

        Gᵢ ← Gᵢ + g,  Bᵢ ← Bᵢ + 1,  i goes on at x;
        when n/Σ(1/Bᵢ) ≥ max(1, S/n):   x ← x − γ (1/n) Σᵢ Gᵢ/Bᵢ,  clear,  restart all                   [lit]

    Restarting all drops unfinished work: no worker idles, but gradients are wasted. The comparison allows one part in
    10¹², since plain floating point misses equality, for example B = (1, 1, 3, 3) with S = 6.

    Args:
        S: required batch in gradients; the theory takes max(⌈σ²/ε⌉, n), the authors' code n (the default).

    Reduces to: minibatch SGD with S = n when all times are equal.

    Source: Tyurin, Richtárik 2023 ("Optimal time complexities of parallel stochastic optimization methods under a
    fixed computation model"), heterogeneous case.
    """

    label = "Malenia SGD"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, S=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.S = num_workers if S is None else real_number("S", S, above=0)
        self.sums = [None] * num_workers  # an entry is meaningless while its count is 0
        self.clear()

    def clear(self) -> None:
        self.counts = [0] * self.num_workers
        self.missing = self.num_workers

    def receive(self, arrival: Arrival) -> list[Job]:
        i = arrival.worker
        self.missing -= self.counts[i] == 0
        self.sums[i] = arrival.gradient if self.counts[i] == 0 else self.sums[i].add_(arrival.gradient)
        self.counts[i] += 1
        if self.missing or self.harmonic_mean_count() < max(1.0, self.S / self.num_workers) * (1 - 1e-12):
            return [Job(i, "held")]
        total = self.sums[0].div_(self.counts[0])
        for worker in range(1, self.num_workers):
            total.add_(self.sums[worker], alpha=1 / self.counts[worker])
        self.update(total, 1 / self.num_workers)
        self.clear()
        return self.restart_all()

    def harmonic_mean_count(self) -> float:
        return self.num_workers / sum(1 / count for count in self.counts)
