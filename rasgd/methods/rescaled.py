"""Rescaled ASGD: plain asynchronous SGD with steps proportional to compute times."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import checked_weights


class Rescaled(Method):
    """Every worker gets the same aggregate step per second, so x descends the equal average F.

    On the arrival of a gradient g of worker i, computed at the point the worker was handed:

        x ← x − γᵢ g,   γᵢ = γ'·τᵢτ_H/(nτ_max);   restart i                                       [paper, eq. (2)]
                           = γ·τᵢ/τ_H,   γ = γ'·τ_H²/(nτ_max),   in the `step_size` γ that every method has here

    So γ is the mean step per arrival, as for vanilla ASGD, and one cycle of τ_max seconds makes a total step of
    α = γ'τ_H, the paper's cycle step size; `rasgd.theory.step_parameters` converts. No waiting, no buffer, no memory
    beside x.

    With weights w the steps γᵢ = γ·nwᵢτᵢ/τ_H have the same mean and descend Σ wᵢFᵢ instead [paper, Thm B.9]. What a
    run evaluates as loss and grad_norm_sq remains the equal average F: a problem's evaluation_weightings add others.

    Args:
        compute_times: τᵢ, the *mean* seconds per gradient of worker i, `[n]`.
        weights: wᵢ, n numbers of at least 0 with sum 1; None for 1/n each. Of `rasgd.simulate` also "samples", every
            worker's share of the problem's samples.

    Raises:
        ValueError: without compute_times, and for weights that are not such.

    Reduces to: vanilla ASGD when all compute times are equal, and with weights in proportion to 1/τᵢ.

    Source: Mahran, Maranjyan, Richtárik 2026 (arXiv 2605.13434), Section 4, eq. (2).
    """

    label = "Rescaled ASGD"
    needs_compute_times = True

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, weights=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        if compute_times is None:
            raise ValueError("compute_times is needed by method 'rescaled', got None; give the mean seconds per worker")
        harmonic_mean = num_workers / sum(1.0 / seconds for seconds in self.compute_times)
        self.scale = [seconds / harmonic_mean for seconds in self.compute_times]
        if weights is not None:
            # Divided by 1/n, not multiplied by n: equal weights give exactly 1.
            ratios = [weight / (1 / num_workers) for weight in checked_weights("weights", weights, num_workers)]
            self.scale = [scale * ratio for scale, ratio in zip(self.scale, ratios, strict=True)]

    def receive(self, arrival: Arrival) -> list[Job]:
        self.update(arrival.gradient, self.scale[arrival.worker])
        return [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        """The others keep their steps, so each still moves x as much per second as before."""
        return []
