"""A method at work on fixed compute times, whose tensors can be looked at and replaced between two arrivals.

The method object and the desk are those of every run. Only the clock is another: it counts whole ticks of a common unit
of all compute times, so that exactly those arrivals tie that tie on paper, however long the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

from rasgd.backends.base import Backend, Desk, Finished, StartedJob
from rasgd.methods.base import Arrival, Method


class Setting(NamedTuple):
    """What decides the control flow: a method, its options and fixed times."""

    method: type[Method]
    options: tuple  # pairs (name, value)
    seconds: tuple[float, ...]  # per gradient of every worker
    ticks: tuple[int, ...]  # the same as multiples of the unit
    unit: float  # seconds per tick

    @property
    def num_workers(self) -> int:
        return len(self.ticks)


class Seen(NamedTuple):
    """An arrival that the method has received: what another run of the same schedule must repeat."""

    tick: int
    worker: int
    delay: int
    updated: bool


class Ticks(Backend):
    """The simulator's order of events, in whole ticks: arrivals of one tick come in increasing worker index."""

    def __init__(self, ticks: tuple[int, ...], gradient: Callable[[int, Tensor], Tensor]):
        self.ticks = ticks  # per gradient of every worker
        self.gradient = gradient
        self.events = []  # heap of (tick of arrival, worker, k)
        self.jobs: list[tuple[int, Tensor] | None] = [None] * len(ticks)  # (k, point) in progress

    def begin(self, job: StartedJob) -> None:
        self.jobs[job.worker] = (job.k, job.point)
        heappush(self.events, (job.start + self.ticks[job.worker], job.worker, job.k))

    def abort(self, worker: int) -> None:
        self.jobs[worker] = None

    def next_finished(self, until: float) -> Finished | None:
        while self.events and self.events[0][0] <= until:
            tick, worker, k = heappop(self.events)
            job = self.jobs[worker]
            if job is None or job[0] != k:
                continue  # aborted
            self.jobs[worker] = None
            return Finished(worker, k, self.gradient(worker, job[1]), tick, self.ticks[worker])
        return None


class Running:
    """A method from time 0 on.

    Args:
        setting: method, options and times.
        x0: initial points, `[num_replicas, d]`.
        step_size: `[num_replicas, 1]`.
        gradient: called with a worker and the tensor it was handed, gives a new tensor.
    """

    def __init__(self, setting: Setting, x0: Tensor, step_size: Tensor, gradient: Callable[[int, Tensor], Tensor]):
        self.setting, seconds = setting, list(setting.seconds)
        self.method = setting.method(
            x0, step_size, setting.num_workers, compute_times=seconds, generator=None, **dict(setting.options)
        )
        self.clock = Ticks(setting.ticks, gradient)
        self.desk = Desk(self.clock, setting.num_workers)
        self.desk.issue(self.method.start(), self.method.x, 0, 0)

    def receive(self, until: float = inf) -> Seen | None:
        """Lets the next gradient arrive, if it does so at or before tick `until`."""
        finished = self.clock.next_finished(until)
        if finished is None:
            return None
        method, worker, unit = self.method, finished.worker, self.setting.unit
        updates = method.updates
        delay = self.desk.finish(worker, updates, finished.time)
        arrival = Arrival(worker, finished.gradient, delay, finished.time * unit, finished.duration * unit)
        self.desk.issue(method.receive(arrival), method.x, method.updates, finished.time)
        return Seen(finished.time, worker, delay, method.updates > updates)

    def desk_key(self, tick: int) -> int:
        """A number that is equal when the desk's books are: what is left of every job, and how old its point is."""
        desk, updates, ticks = self.desk, self.method.updates, self.setting.ticks
        books = [
            None if job is None else (job.start + ticks[worker] - tick, updates - desk.held[worker][1])
            for worker, job in enumerate(desk.busy)
        ]
        queues = [tuple(updates - handed for _, handed in queue) for queue in desk.queues] if desk.num_queued else []
        return hash((tuple(books), tuple(queues)))

    def tensors(self) -> list[Tensor]:
        """The distinct tensors of x's shape that method and desk remember, in an order that their structure fixes."""
        found: dict[int, Tensor] = {}

        def note(tensor: Tensor) -> Tensor:
            return found.setdefault(id(tensor), tensor)

        self.replace(note)
        return list(found.values())

    def replace(self, change: Callable[[Tensor], Tensor]) -> None:
        """Puts `change(tensor)` in the place of every remembered tensor of x's shape; other state stays."""
        shape, seen = self.method.x.shape, set()
        kept = self.method.step_size
        for books in (vars(self.method), self.desk.busy, self.desk.held, self.desk.queues, self.clock.jobs):
            replaced(books, lambda tensor: tensor if tensor is kept or tensor.shape != shape else change(tensor), seen)


def replaced(value, change: Callable[[Tensor], Tensor], seen: set[int]):
    """The value with its tensors changed; lists, dicts and deques are changed in place, once each."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        entries = [replaced(entry, change, seen) for entry in value]
        return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)
    if isinstance(value, dict | list | deque) and id(value) not in seen:
        seen.add(id(value))
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            value[key] = replaced(value[key], change, seen)
    return value


def put_basis(running: Running, size: int, more_columns: int) -> int:
    """Puts columns of a basis in the place of the remembered tensors and says how many tensors there are.

    Coordinate a of tensor j becomes column j·size + a; `more_columns` columns of zeros follow. Replica q·size + a of a
    tensor stands for coordinate a.
    """
    tensors = running.tensors()
    num_columns = len(tensors) * size + more_columns
    rows = tensors[0].shape[0]
    coordinate = torch.arange(rows) % size
    fresh: dict[int, Tensor] = {}
    for block, tensor in enumerate(tensors):
        basis = torch.zeros(rows, num_columns, dtype=torch.float64)
        basis[torch.arange(rows), block * size + coordinate] = 1.0
        fresh[id(tensor)] = basis
    running.replace(lambda tensor: fresh[id(tensor)])
    return len(tensors)
