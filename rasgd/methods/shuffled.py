"""Shuffled ASGD: Concurrent ASGD with workers taken from fresh permutations."""

from __future__ import annotations

from rasgd.methods.concurrent import Dealt


class Shuffled(Dealt):
    """As Concurrent ASGD, but every n consecutive jobs go to n different workers.

        x ← x − γ g;   the next job, carrying x, goes to the next worker of a random permutation            [lit]

    A fresh permutation is drawn every n updates; the n jobs at time 0 are the first one. Over whole permutations every
    worker contributes exactly equally.

    Args:
        assignment: as for Concurrent ASGD.

    Source: Islamov, Safaryan, Alistarh 2024 (AsGrad).
    """

    label = "Shuffled ASGD"

    def draw(self) -> list[int]:
        return self.generator.permutation(self.num_workers).tolist()
