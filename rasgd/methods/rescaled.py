"""Rescaled ASGD: plain asynchronous SGD with steps proportional to compute times."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class Rescaled(Method):
    """Every worker gets the same aggregate step per second, so x descends the equal average F.

    On the arrival of a gradient g of worker i, computed at the point the worker was handed:

        x ← x − γᵢ g,   γᵢ = γ·τᵢ/τ_H;   restart i                                            [paper: γᵢ ∝ τᵢ]

    The normalisation by the harmonic mean τ_H = n/Σ(1/τⱼ) makes γ the mean step per arrival, as for vanilla ASGD
    [derived]. No waiting, no buffer, no memory beside x.

    Args:
        compute_times: τᵢ, the *mean* seconds per gradient of worker i, `[n]`.

    Raises:
        ValueError: without compute_times.

    Reduces to: vanilla ASGD when all compute times are equal.

    Source: Mahran, Maranjyan, Richtárik 2026 (arXiv 2605.13434), abstract and poster.
    """

    label = "Rescaled ASGD"
    needs_compute_times = True

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        if compute_times is None:
            raise ValueError("compute_times is needed by method 'rescaled', got None; give the mean seconds per worker")
        harmonic_mean = num_workers / sum(1.0 / seconds for seconds in self.compute_times)
        self.scale = [seconds / harmonic_mean for seconds in self.compute_times]

    def receive(self, arrival: Arrival) -> list[Job]:
        self.update(arrival.gradient, self.scale[arrival.worker])
        return [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        """The others keep their steps, so each still moves x equally much per second."""
        return []
