"""How long real gradients take, measured before time 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rasgd.backends.crew import Crew
from rasgd.backends.slots import GradientSlots

GRADIENTS = 20  # of every worker


class Calibration:
    """Lets all workers compute at once, without pause, until each has made enough gradients; throws these away.

    Args:
        crew: ready workers.
        gradients: slots, one of which each worker writes to meanwhile.
    """

    def __init__(self, crew: Crew, gradients: GradientSlots):
        self.crew, self.gradients = crew, gradients
        self.slots = [gradients.take() for _ in crew.processes]
        self.answers: list[list[float]] = [[] for _ in crew.processes]
        self.computing = len(crew.processes)

    def means(self, collect: Callable[[], object]) -> np.ndarray:
        """Mean seconds between a worker's answers, `[n]`; `collect` waits for answers and hands them to `answered`."""
        for worker, slot in enumerate(self.slots):
            self.crew.send(worker, 0, 0, slot, 0.0)
        while self.computing:
            collect()
        for slot in self.slots:
            self.gradients.give_back(slot)
        return np.array([(times[-1] - times[0]) / (len(times) - 1) for times in self.answers])

    def answered(self, worker: int, k: int, end: float) -> None:
        self.answers[worker].append(end)
        if (
            min(map(len, self.answers)) <= GRADIENTS
        ):  # others still count on this worker to take its share of the machine
            self.crew.send(worker, k + 1, 0, self.slots[worker], 0.0)
        else:
            self.computing -= 1
