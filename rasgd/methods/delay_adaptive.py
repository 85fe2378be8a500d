"""Delay-adaptive ASGD: stale gradients take shorter steps."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class DelayAdaptive(Method):
    """The longer a gradient took in server updates, the shorter its step.

        rule="code":   x ← x − γ·n/max(n, δ)·g;   restart i                                             [code]
        rule="paper":  x ← x − γ/(1 + δ)·g;       restart i                                    [paper, App. D.2]

    Slow workers have the long delays, so this favours fast workers even more than vanilla ASGD does. Under "paper" γ is
    the step of a fresh gradient, not the mean step.

    Args:
        rule: "code", where only delays above n shorten the step, or "paper", where every delay does.

    Reduces to: vanilla ASGD while no delay exceeds n ("code"), or with a single worker ("paper").

    Source: "code" is read from the public code of the authors' group, "paper" from Mahran, Maranjyan, Richtárik 2026
    (arXiv 2605.13434), App. D.2; their theory is Mishchenko, Bach, Even, Woodworth 2022 and Koloskova, Stich, Jaggi
    2022.
    """

    label = "Delay-adaptive ASGD"
    right_objective = False

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, rule="code"):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        if rule not in ("paper", "code"):
            raise ValueError(f"rule must be 'paper' or 'code', got {rule!r}")
        self.rule = rule

    def receive(self, arrival: Arrival) -> list[Job]:
        n, delay = self.num_workers, arrival.delay
        self.update(arrival.gradient, n / max(n, delay) if self.rule == "code" else 1 / (1 + delay))
        return [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        return []
