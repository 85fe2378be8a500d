"""Where gradients come from, and who is working on what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from rasgd.compute_times import ComputeTimes
from rasgd.problems.base import Problem, Samples


class StartedJob(NamedTuple):
    """One gradient that a worker has begun: the backend computes it, the run keeps the books."""

    worker: int
    k: int  # counts the worker's started jobs, aborted ones included: the key of its sample and of its duration
    point: Tensor  # [num_replicas, d]
    start: float  # seconds since the run began


class Finished(NamedTuple):
    """One gradient that has been computed."""

    worker: int
    k: int
    gradient: Tensor  # [num_replicas, d], owned by the receiver
    time: float  # seconds since the run began
    duration: float  # seconds it took


class Backend(ABC):
    """A source of gradients with a clock. It does not know which method it serves.

    Attributes:
        placed_addcmul: makes a new x where workers can read it, if that saves copying.
        evaluates_later: the clock does not stop for an evaluation, so the run keeps x and evaluates it at the end.
    """

    evaluates_later = False
    placed_addcmul: Callable | None = None
    compute_times: ComputeTimes

    @classmethod
    def of_run(
        cls, problem: Problem, compute_times: ComputeTimes | None, seeds: list[int], num_replicas: int, **options
    ) -> Backend:
        """The backend of a run with these seeds of samples and so many rows of points and gradients."""
        return cls(problem, compute_times, Samples(problem, seeds), **options)

    def attach(self, lost: Callable[[int, float, bool], None], tick: Callable[[], None], requests) -> None:  # noqa: B027
        """Connects the backend to its run.

        Args:
            lost: is told of a failed worker: its index, the time, and whether it comes back. One that does not come
                back is told of from within `next_finished`, after all that was handed out before and not after `until`.
            tick: is called now and then.
            requests: while its `pending` is true, `next_finished` does not wait.
        """

    def resume(self, time: float, gone: list[int]) -> None:  # noqa: B027, a recording follows its rows
        """Sets the clock of a run that goes on at `time` seconds without the workers that have left.

        Its jobs in flight are begun again afterwards.
        """

    def now(self) -> float:
        """Seconds since the run began, for `resume`."""
        return 0.0

    def wake(self) -> None:  # noqa: B027, a virtual clock never waits
        """Lets `next_finished` look at the requests at once; also from a signal handler."""

    @abstractmethod
    def begin(self, job: StartedJob) -> None:
        """Lets an idle worker start."""

    @abstractmethod
    def abort(self, worker: int) -> None:
        """Drops what the worker is doing; a late result never comes out of `next_finished`."""

    @abstractmethod
    def next_finished(self, until: float) -> Finished | None:
        """The next gradient that finishes not after the instant `until`, or None when there is none left."""

    def statistics(self) -> dict:
        """What the backend itself has measured, as plain JSON values."""
        return {}

    def close(self) -> None:  # noqa: B027, most backends hold nothing
        """Releases whatever the backend holds."""


class Desk:
    """Who works on what: hands out jobs one at a time, keeps queues, counts delays, idle seconds and waste.

    Both clocks share these books, so a schedule means the same in virtual time and with real processes.
    """

    def __init__(self, backend: Backend, num_workers: int):
        self.backend = backend
        self.k = [0] * num_workers  # number of started jobs
        self.busy: list[StartedJob | None] = [None] * num_workers
        self.held: list[tuple[Tensor, int] | None] = [None] * num_workers  # point and the update it was handed out at
        self.queues: list[deque] = [deque() for _ in range(num_workers)]
        self.num_queued = 0
        self.max_queued = 0
        self.idle_seconds = [0.0] * num_workers  # up to the worker's latest start
        self.idle_since: list[float | None] = [0.0] * num_workers  # None while it works
        self.aborted = 0  # jobs dropped after more than 0 seconds
        self.lost = 0  # jobs whose worker failed
        self.gone = [False] * num_workers  # workers that have left for good: what they are asked to do is not done

    def issue(self, jobs, x: Tensor, updates: int, now: float) -> None:
        """Carries out what the method asked for after `updates` updates, at `now` seconds."""
        for worker, point, abort in jobs:
            if not 0 <= worker < len(self.k):
                raise ValueError(f"jobs must be for workers 0 to {len(self.k) - 1}, got one for worker {worker}")
            if abort:
                self.clear(worker, now)
            if self.gone[worker]:
                continue
            if point == "current":
                handed = (x, updates)
            elif point != "held":
                raise ValueError(f"the point of a job must be 'current' or 'held', got {point!r} for worker {worker}")
            elif self.busy[worker] is not None:
                raise ValueError(f"a job with point 'held' was issued to worker {worker}, which is busy")
            elif self.held[worker] is None:
                raise ValueError(f"a job with point 'held' was issued to worker {worker}, which holds no point yet")
            else:
                handed = self.held[worker]
            if self.busy[worker] is None:
                self.begin(worker, handed, now)
            else:
                self.queues[worker].append(handed)
                self.num_queued += 1
                self.max_queued = max(self.max_queued, self.num_queued)

    def begin(self, worker: int, handed: tuple[Tensor, int], now: float) -> None:
        job = StartedJob(worker, self.k[worker], handed[0], now)
        self.k[worker] += 1
        self.idle_seconds[worker] += now - self.idle_since[worker]
        self.idle_since[worker] = None
        self.held[worker] = handed
        self.busy[worker] = job
        self.backend.begin(job)

    def clear(self, worker: int, now: float) -> None:
        """Aborts the worker's job and empties its queue."""
        job = self.busy[worker]
        if job is not None:
            self.backend.abort(worker)
            self.aborted += now > job.start  # nothing was computed by a job stopped at the instant it started
            self.busy[worker] = None
            self.idle_since[worker] = now
        self.num_queued -= len(self.queues[worker])
        self.queues[worker].clear()

    def retry(self, worker: int, now: float) -> None:
        """Begins the lost job of a failed worker again, from the same point, as its next k."""
        job = self.busy[worker]
        if job is not None:
            self.lost += 1
            again = self.busy[worker] = StartedJob(worker, self.k[worker], job.point, now)
            self.k[worker] += 1
            self.backend.begin(again)

    def dismiss(self, worker: int, now: float) -> None:
        """Takes a failed worker off the books, with its job and its queue."""
        self.lost += self.busy[worker] is not None
        self.busy[worker] = None
        if self.idle_since[worker] is None:
            self.idle_since[worker] = now
        self.num_queued -= len(self.queues[worker])
        self.queues[worker].clear()
        self.gone[worker] = True

    def finish(self, worker: int, updates: int, now: float) -> int:
        """Closes the worker's job, lets it start the next one it has queued, and returns the delay."""
        delay = updates - self.held[worker][1]
        self.busy[worker] = None
        self.idle_since[worker] = now
        if self.queues[worker]:
            self.num_queued -= 1
            self.begin(worker, self.queues[worker].popleft(), now)
        return delay

    def idle_seconds_until(self, horizon: float) -> list[float]:
        """Seconds every worker had nothing to do until the horizon; a job in flight counts as work."""
        return [
            seconds if since is None else seconds + max(0.0, horizon - since)  # since: perhaps that instant, rounded up
            for seconds, since in zip(self.idle_seconds, self.idle_since, strict=True)
        ]

    def state(self) -> dict:
        """The books as tensors, numbers, lists and dicts."""
        state = {name: value for name, value in vars(self).items() if name != "backend"}
        state["busy"] = [None if job is None else list(job) for job in self.busy]
        state["queues"] = [list(queue) for queue in self.queues]
        return state

    def restore(self, state: dict) -> None:
        """Takes over the books of an interrupted run and begins its jobs in flight again."""
        vars(self).update(state)
        self.busy = [None if job is None else StartedJob(*job) for job in state["busy"]]
        self.queues = [deque(queue) for queue in state["queues"]]
        for job in self.busy:
            if job is not None:
                self.backend.begin(job)
