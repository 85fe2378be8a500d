"""Delay-adaptive ASGD: stale gradients take shorter steps."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class DelayAdaptive(Method):
    """A gradient whose delay exceeds n takes a step shortened in proportion.

        x ← x − γ·n/max(n, δ)·g;   restart i                                                          [code]

    Slow workers have the long delays, so this favours fast workers even more than vanilla ASGD does.

    Reduces to: vanilla ASGD while no delay exceeds n.

    Source: the step rule is read from the authors' public code; its theory is Mishchenko, Bach, Even, Woodworth 2022
    and Koloskova, Stich, Jaggi 2022.
    """

    label = "Delay-adaptive ASGD"
    right_objective = False

    def receive(self, arrival: Arrival) -> list[Job]:
        self.update(arrival.gradient, self.num_workers / max(self.num_workers, arrival.delay))
        return [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        return []
