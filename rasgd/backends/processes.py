"""Real time: one server, n worker processes, vectors in shared memory, tokens in pipes."""

from __future__ import annotations

import math
import os
import select
import time as wall
from collections import deque

import torch

from rasgd.backends import worker as w
from rasgd.backends.base import Backend, Finished, StartedJob
from rasgd.backends.crew import Crew, refuse_unguarded_main
from rasgd.backends.shipment import Shipment
from rasgd.backends.slots import GradientSlots, PointSlots, Slots
from rasgd.compute_times import ComputeTimes
from rasgd.problems.base import Problem

LATE_SECONDS = 0.05  # how long an evaluation waits for arrivals that are due before it and still under way
START_SECONDS = 120.0  # a worker that is not ready by then (it may have to import a large main script) has failed
WATCH_SECONDS = 0.2  # how often a busy server looks whether all workers live


class WorkerFailure(RuntimeError):
    """A worker ended or answered wrongly, and the run cannot go on without it."""


class Processes(Backend):
    """Workers are processes, the clock is the wall's.

    Times are *emulated*: a worker computes its gradient, then sleeps until its deadline. One second of the run is
    `time_scale` seconds on the wall. `time` and `duration` of an arrival are nominal: the deadline and τ, so a next
    job's deadline continues from there and nothing drifts. Only a computation that takes longer than its slot, an
    overrun, arrives later than planned, and is counted. Arrivals are handed out in the order in which they really
    came, which near ties need not be that of their deadlines; their times never decrease.

    Between server and workers there are vectors in shared memory and tokens of a few bytes; waiting is `poll`, never a
    loop. A worker has at most one job. A worker whose job is aborted is woken if it sleeps; if it computes, it goes on,
    its gradient is discarded, and only then is it sent the next job.

    Args:
        problem: sent to every worker once.
        compute_times: emulated seconds per gradient.
        seeds: of the samples.
        num_replicas: rows of points and gradients.
        time_scale: seconds on the wall per second of the run.
        device: where workers compute, "cpu" or "cuda"; the server's arithmetic stays on the CPU.

    Raises:
        ValueError: for wrong options, or a problem that cannot be sent to another process.
        WorkerFailure: when a worker dies, with the end of its log.
    """

    evaluates_later = True

    def __init__(
        self,
        problem: Problem,
        compute_times: ComputeTimes,
        seeds,
        num_replicas: int,
        time_scale: float = 1.0,
        device: str = "cpu",
    ):
        refuse_unguarded_main()
        if not (isinstance(time_scale, int | float) and math.isfinite(time_scale) and time_scale > 0):
            raise ValueError(f"time_scale must be a positive number of seconds per second, got {time_scale!r}")
        if problem.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"problem must be in float32 or float64 for real processes, got {problem.dtype}")
        n = self.num_workers = problem.num_workers
        self.compute_times, self.time_scale = compute_times, float(time_scale)
        shape = (num_replicas, problem.dim, problem.dtype)
        points, gradients = Slots(None, n + 2, *shape), Slots(None, 5 * n + 8, *shape)
        self.points, self.gradients = PointSlots(points, n), GradientSlots(gradients, reserve=n)
        self.jobs: list[StartedJob | None] = [None] * n  # what the method waits for
        self.durations = [0.0] * n  # emulated seconds of that job
        self.due = [0.0] * n  # its nominal arrival
        self.sent: list[tuple[int, int] | None] = [None] * n  # k and gradient slot of the job a worker has
        self.unsent = [False] * n  # its job waits until it has answered for an aborted one
        self.arrived: deque[Finished] = deque()
        self.nominal = [(math.nan, 0.0)] * n  # time reported for the last arrival, and its own deadline
        self.floor = 0.0  # times handed out never decrease
        self.start = None  # wall clock at second 0
        self.overruns = [0] * n
        self.answers = [0] * n
        self.compute_seconds = [0.0] * n
        self.lateness, self.max_lateness = 0.0, 0.0
        self.next_watch = 0.0
        # The slot that workers read when they compute their first gradient, to warm up.
        points.tensors[0].copy_(torch.stack([problem.initial_point(seeds[0])] * num_replicas))
        self.crew = Crew(n, Shipment(problem), seeds, device, points, gradients)
        try:
            self.poll = select.poll()
            self.poll.register(self.crew.tokens, select.POLLIN)
            self.worker_of_sentinel = {}
            self.start_workers()
        except BaseException:
            self.close()
            raise

    def start_workers(self) -> None:
        self.ready = [False] * self.num_workers
        for worker in range(self.num_workers):
            self.start_worker(worker)
        patience = wall.monotonic() + START_SECONDS
        while not all(self.ready):
            if wall.monotonic() > patience:
                silent = self.ready.index(False)
                raise WorkerFailure(f"worker {silent} did not start within {START_SECONDS:g} s")
            self.collect(patience - wall.monotonic())

    def start_worker(self, worker: int) -> None:
        self.crew.start(worker)
        sentinel = self.crew.processes[worker].sentinel
        self.worker_of_sentinel[sentinel] = worker
        self.poll.register(sentinel, select.POLLIN)

    # What the desk asks for

    def begin(self, job: StartedJob) -> None:
        worker = job.worker
        if self.start is None:
            self.start = wall.monotonic()
        reported, deadline = self.nominal[worker]
        base = deadline if job.start == reported else job.start
        self.durations[worker] = self.compute_times.duration(worker, job.k, base)
        self.due[worker] = base + self.durations[worker]
        self.jobs[worker] = job
        if self.sent[worker] is None and self.ready[worker]:
            self.send(worker)
        else:
            self.unsent[worker] = True

    def send(self, worker: int) -> None:
        job = self.jobs[worker]
        slot = self.gradients.take()
        self.unsent[worker] = False
        self.sent[worker] = (job.k, slot)
        deadline = self.start + self.due[worker] * self.time_scale
        self.crew.send(worker, job.k, self.points.hand(worker, job.point), slot, deadline)

    def abort(self, worker: int) -> None:
        self.jobs[worker] = None
        if self.unsent[worker]:
            self.unsent[worker] = False
        elif self.sent[worker] is not None:
            self.crew.send(worker, self.sent[worker][0], 0, w.ABORT, 0.0)
        else:  # it has arrived already and waits to be handed out
            self.arrived = deque(finished for finished in self.arrived if finished.worker != worker)

    def next_finished(self, until: float) -> Finished | None:
        while True:
            if self.arrived:
                return self.arrived.popleft() if self.arrived[0].time <= until else None
            patience = self.patience(until)
            if not self.collect(patience) and patience <= 0:
                self.floor = max(self.floor, math.nextafter(until, math.inf))
                return None

    def patience(self, until: float) -> float:
        """Seconds on the wall for which an arrival at or before `until` may still come."""
        if all(job is None or due > until for job, due in zip(self.jobs, self.due, strict=True)):
            return 0.0
        return self.start + until * self.time_scale + LATE_SECONDS - wall.monotonic()

    # What workers answer

    def collect(self, patience: float) -> bool:
        """Takes in what workers have sent, waiting for it if there is nothing; True if anything came."""
        if wall.monotonic() > self.next_watch:
            self.watch(0)
        if self.read_tokens():
            return True
        if patience > 0:
            self.watch(math.ceil(1000 * min(patience, 3600)))
            return True
        return False

    def read_tokens(self) -> bool:
        try:
            tokens = os.read(self.crew.tokens, 64 * w.TOKEN.size)
        except BlockingIOError:
            return False
        for token in w.TOKEN.iter_unpack(tokens):
            self.take_in(*token)
        return True

    def take_in(self, worker: int, kind: int, k: int, end: float, seconds: float) -> None:
        if kind == w.READY:
            self.ready[worker] = True
            if self.unsent[worker]:
                self.send(worker)
            return
        if kind == w.FAILED:
            return  # its end follows, and is seen by watch
        slot = self.sent[worker][1]
        self.sent[worker] = None
        self.answers[worker] += 1
        self.compute_seconds[worker] += seconds
        job = self.jobs[worker]
        if job is None or job.k != k:
            self.gradients.give_back(slot)
            if self.unsent[worker]:
                self.send(worker)
            return
        if kind == w.NOT_FINITE:
            raise WorkerFailure(f"worker {worker} returned a non-finite gradient for its job {k}")
        self.jobs[worker] = None
        self.arrived.append(Finished(worker, k, self.gradients.lend(slot), *self.when(worker, job.start, end)))

    def when(self, worker: int, start: float, end: float) -> tuple[float, float]:
        """Time and duration of an arrival whose gradient was ready at `end` on the wall."""
        due, ready = self.due[worker], (end - self.start) / self.time_scale
        if ready > due:
            self.overruns[worker] += 1
            due = ready
        late = wall.monotonic() - self.start - due * self.time_scale
        self.lateness += late
        self.max_lateness = max(self.max_lateness, late)
        time = self.floor = max(due, self.floor)
        self.nominal[worker] = (time, due)
        duration = self.durations[worker]
        return time, duration if time == start + duration else time - start

    def watch(self, milliseconds: int) -> None:
        """Waits for tokens, and looks whether all workers live."""
        events = self.poll.poll(milliseconds)
        self.next_watch = wall.monotonic() + WATCH_SECONDS
        for descriptor, _ in events:
            if descriptor in self.worker_of_sentinel:
                while self.read_tokens():
                    pass  # what it sent before it ended
                self.lose(self.worker_of_sentinel[descriptor])

    def lose(self, worker: int) -> None:
        process = self.crew.processes[worker]
        process.join()
        code = process.exitcode
        if code == w.UNGUARDED:
            raise WorkerFailure(
                "worker processes import the main script again, so a call with backend='processes' must stand under "
                "`if __name__ == '__main__':`"
            )
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        tail = self.crew.log_tail(worker)
        raise WorkerFailure(f"worker {worker} {how}" + (f"; the end of its log:\n{tail}" if tail else ""))

    def statistics(self) -> dict:
        answers = max(1, sum(self.answers))
        return {
            "time_scale": self.time_scale,
            "overruns": self.overruns,
            "compute_seconds": [
                seconds / max(1, count) for seconds, count in zip(self.compute_seconds, self.answers, strict=True)
            ],
            "lateness_mean_seconds": self.lateness / answers,
            "lateness_max_seconds": self.max_lateness,
        }

    def close(self) -> None:
        self.crew.close()
