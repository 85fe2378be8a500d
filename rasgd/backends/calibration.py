"""How long real gradients take, measured before time 0."""

from __future__ import annotations

import time as wall
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
        sent: a place per worker for what it has been sent and not answered, by which hung workers are found.
    """

    def __init__(self, crew: Crew, gradients: GradientSlots, sent: list[tuple[int, int, float] | None]):
        self.crew, self.gradients, self.sent = crew, gradients, sent
        self.slots = [gradients.take() for _ in crew.processes]
        self.answers: list[list[float]] = [[] for _ in crew.processes]
        self.computing = len(crew.processes)

    def means(self, collect: Callable[[], object]) -> np.ndarray:
        """Mean seconds between a worker's answers, `[n]`; `collect` waits for answers and hands them to `answered`."""
        for worker in range(len(self.slots)):
            self.send(worker, 0)
        while self.computing:
            collect()
        for slot in self.slots:
            self.gradients.give_back(slot)
        return np.array([(times[-1] - times[0]) / (len(times) - 1) for times in self.answers])

    def send(self, worker: int, k: int) -> None:
        self.sent[worker] = (k, self.slots[worker], wall.monotonic())
        self.crew.send(worker, k, 0, self.slots[worker], 0.0)

    def answered(self, worker: int, k: int, end: float) -> None:
        self.answers[worker].append(end)
        self.sent[worker] = None
        if min(map(len, self.answers)) <= GRADIENTS:
            self.send(worker, k + 1)  # others still count on this worker to take its share of the machine
        else:
            self.computing -= 1
