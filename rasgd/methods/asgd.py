"""Vanilla asynchronous SGD."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class Asgd(Method):
    """Every arrival moves x by the same step, so fast workers weigh more.

        x ← x − γ g;   restart i                                                             [paper, Section 4]

    In one second worker i delivers 1/τᵢ gradients, so x descends F_p = Σ pᵢFᵢ with pᵢ ∝ 1/τᵢ instead of F
    [paper, Thm 4.3].

    Reduces to: Rescaled ASGD when all compute times are equal.

    Source: Mahran, Maranjyan, Richtárik 2026 (arXiv 2605.13434), whose equal steps are γ/K for a cycle of K arrivals.
    """

    label = "Vanilla ASGD"
    right_objective = False

    def receive(self, arrival: Arrival) -> list[Job]:
        self.update(arrival.gradient)
        return [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        return []
