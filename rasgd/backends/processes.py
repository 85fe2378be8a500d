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
from rasgd.backends.calibration import Calibration
from rasgd.backends.clock import check_clock
from rasgd.backends.crew import Crew, refuse_unguarded_main
from rasgd.backends.faults import Faults, Silence, WorkerFailure
from rasgd.backends.shipment import Shipment
from rasgd.backends.slots import GradientSlots, PointSlots, Slots
from rasgd.compute_times import ComputeTimes, FixedTimes, checked_duration
from rasgd.instants import after, latest
from rasgd.problems.base import Problem

LATE_SECONDS = 0.05  # how long an evaluation waits for arrivals that are due before it and still under way
START_SECONDS = 120.0  # a worker that is not ready by then (it may have to import a large main script) has failed
WATCH_SECONDS = 0.2  # how often the server looks whether all workers live and answer
WATCH_MILLISECONDS = 200
TICK_SECONDS = 1.0  # between progress lines


class Processes(Backend):
    """Workers are processes, the clock is the wall's.

    *Emulated* times: a worker computes its gradient, then sleeps until its deadline. One second of the run is
    `time_scale` seconds on the wall. `time` and `duration` of an arrival are nominal: the deadline and τ, so a next
    job's deadline continues from there and nothing drifts. Only a computation that takes longer than its slot, an
    overrun, arrives later than planned, and is counted. Arrivals are handed out in the order in which they really
    came, which near ties need not be that of their deadlines; their times never decrease.

    *Measured* times: workers answer as soon as they can, `time` is when the gradient was ready and `duration` the
    seconds since its job was issued. Methods that use compute times get means of calibration gradients, for which all
    workers run at once before time 0.

    Between server and workers there are vectors in shared memory and tokens of a few bytes; waiting is `poll`, never a
    loop. A worker has at most one job. A worker whose job is aborted is woken if it sleeps; if it computes, it goes on,
    its gradient is discarded, and only then is it sent the next job.

    Args:
        problem: sent to every worker once.
        compute_times: emulated seconds per gradient; None for measured times.
        seeds: of the samples.
        num_replicas: rows of points and gradients.
        times: "emulated" or "measured".
        time_scale: seconds on the wall per second of the run; 1 for measured times.
        on_fault: what happens when a worker is killed, crashes, hangs or returns a gradient that is not finite:
            "restart" it (its next k starts from the same point), "drop" it (for methods with `leave`; the gradients it
            has sent count, then it leaves), or "fail".
        max_restarts: failures in a row that one worker may recover from.
        hang_seconds: how late on the wall an answer may be before its worker counts as hung; None: 0.8 s, and at least
            ten times the longest computation so far.
        progress: print a line every second.
        device: where workers compute, "cpu" or "cuda"; the server's arithmetic stays on the CPU.

    Raises:
        ValueError: for wrong options, or a problem that cannot be sent to another process.
        WorkerFailure: when a worker fails and the policy does not allow to go on, with the end of its log.
    """

    evaluates_later = True

    @classmethod
    def of_run(cls, problem, compute_times, seeds, num_replicas, **options) -> Processes:
        return cls(problem, compute_times, seeds, num_replicas, **options)

    def __init__(
        self,
        problem: Problem,
        compute_times: ComputeTimes | None,
        seeds,
        num_replicas: int,
        times: str = "emulated",
        time_scale: float = 1.0,
        on_fault: str = "restart",
        max_restarts: int = 5,
        hang_seconds: float | None = None,
        progress: bool = False,
        device: str = "cpu",
    ):
        refuse_unguarded_main()
        check_clock(times, time_scale, compute_times)
        if problem.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"problem must be in float32 or float64 for real processes, got {problem.dtype}")
        n = self.num_workers = problem.num_workers
        self.emulated, self.time_scale, self.progress = times == "emulated", float(time_scale), progress
        self.compute_times = compute_times
        self.faults, self.silence = Faults(n, on_fault, max_restarts, hang_seconds), Silence()
        self.jobs: list[StartedJob | None] = [None] * n  # what the method waits for
        self.durations = [0.0] * n  # emulated seconds of that job
        self.due = [0.0] * n  # its nominal arrival
        self.sent: list[tuple[int, int, float] | None] = [None] * n  # a worker's k, gradient slot, wall time it is due
        self.unsent = [False] * n  # its job waits until it is ready or has answered for an aborted one
        self.arrived: deque[Finished] = deque()
        self.leaving: deque[tuple[int, float]] = deque()  # dropped workers of which the run is to be told, and when
        self.nominal = [(math.nan, 0.0)] * n  # time reported for the last arrival, and its own deadline
        self.floor = 0.0  # times handed out never decrease
        self.start = None  # wall clock at second 0
        self.overruns, self.answers, self.compute_seconds = [0] * n, [0] * n, [0.0] * n
        self.lateness, self.max_lateness = 0.0, 0.0
        self.next_watch, self.next_tick = 0.0, math.inf
        self.ready, self.restart_at = [False] * n, {}
        self.calibration: Calibration | None = None
        self.poll, self.worker_of_sentinel = select.poll(), {}
        warm_up = torch.stack([problem.initial_point(seeds[0])] * num_replicas)
        shipment = Shipment(problem)  # refuses a problem before anything is open
        shape = (num_replicas, problem.dim, problem.dtype)
        points, gradients = Slots(None, 3 * n + 8, *shape), Slots(None, 5 * n + 8, *shape)
        self.points, self.gradients = PointSlots(points, n), GradientSlots(gradients, reserve=n)
        if not self.points.short:
            self.placed_addcmul = self.points.placed_addcmul
        points.tensors[0].copy_(warm_up)  # the slot that workers read when they compute their first gradient
        self.crew = Crew(n, shipment, seeds, device, points, gradients)
        try:
            self.poll.register(self.crew.tokens, select.POLLIN)
            self.start_workers()
            if not self.emulated:
                self.calibration = Calibration(self.crew, self.gradients, self.sent)
                self.compute_times = FixedTimes(
                    self.calibration.means(lambda: self.read_tokens() or self.watch(WATCH_MILLISECONDS))
                )
                self.calibration = None
        except BaseException:
            self.close()
            raise

    def start_workers(self) -> None:
        for worker in range(self.num_workers):
            self.start_worker(worker)
        patience = wall.monotonic() + START_SECONDS
        while not all(self.ready):
            if wall.monotonic() > patience:
                silent = self.ready.index(False)
                raise WorkerFailure(f"worker {silent} did not start within {START_SECONDS:g} s")
            if not self.read_tokens():
                self.watch(WATCH_MILLISECONDS)

    def start_worker(self, worker: int) -> None:
        self.crew.start(worker)
        sentinel = self.crew.processes[worker].sentinel
        self.worker_of_sentinel[sentinel] = worker
        self.poll.register(sentinel, select.POLLIN)

    def end_worker(self, worker: int) -> None:
        sentinel = self.crew.processes[worker].sentinel
        self.poll.unregister(sentinel)
        del self.worker_of_sentinel[sentinel]
        self.crew.end(worker)

    # What the run asks for

    def attach(self, lost, tick, requests) -> None:
        self.lost, self.tick, self.requests = lost, tick, requests
        self.next_tick = wall.monotonic() + TICK_SECONDS if self.progress else math.inf

    def resume(self, time: float, gone: list[int]) -> None:
        for worker in gone:
            self.end_worker(worker)
            self.ready[worker] = False
        self.start = wall.monotonic() - time * self.time_scale
        self.floor = time

    def now(self) -> float:
        """Seconds of the run, never before what has been handed out."""
        return max(self.floor, (wall.monotonic() - self.start) / self.time_scale)

    def wake(self) -> None:
        self.crew.wake()

    def begin(self, job: StartedJob) -> None:
        worker = job.worker
        if self.start is None:
            self.start = wall.monotonic()
        if self.emulated:
            reported, deadline = self.nominal[worker]
            base = deadline if job.start == reported else job.start
            self.durations[worker] = checked_duration(self.compute_times, worker, job.k, base)
            self.due[worker] = base + self.durations[worker]
        self.jobs[worker] = job
        if self.sent[worker] is None and self.ready[worker]:
            self.send(worker)
        else:
            self.unsent[worker] = True

    def send(self, worker: int) -> None:
        """Sends a worker its job, unless it has ended and what it sent before is just being taken in."""
        if self.crew.processes[worker] is None:
            return
        job = self.jobs[worker]
        slot = self.gradients.take()
        self.unsent[worker] = False
        deadline, now = 0.0, wall.monotonic()
        if self.emulated:
            deadline = self.start + self.due[worker] * self.time_scale
        self.sent[worker] = (job.k, slot, max(deadline, now))
        self.crew.send(worker, job.k, self.points.hand(worker, job.point), slot, deadline)

    def abort(self, worker: int) -> None:
        self.jobs[worker] = None
        if self.unsent[worker]:
            self.unsent[worker] = False
        elif self.sent[worker] is not None:
            self.crew.send(worker, self.sent[worker][0], 0, w.ABORT, 0.0)
        else:  # it has arrived already and waits to be handed out
            others = [finished for finished in self.arrived if finished.worker != worker]
            self.arrived.clear()
            self.arrived.extend(others)

    def next_finished(self, until: float) -> Finished | None:
        arrived = self.arrived
        while True:
            if arrived:
                return None if after(arrived[0].time, until) else arrived.popleft()
            if self.let_leave(until) or self.read_tokens() or arrived or self.let_leave(until):
                continue
            if self.requests.pending:
                return None
            patience = self.patience(until)
            if patience <= 0:
                self.floor = max(self.floor, math.nextafter(latest(until), math.inf))
                return None
            self.watch(math.ceil(1000 * min(patience, WATCH_SECONDS)))

    def patience(self, until: float) -> float:
        """Seconds on the wall for which an arrival at or before `until` may still come."""
        if all(job is None or after(due, until) for job, due in zip(self.jobs, self.due, strict=True)):
            return 0.0
        return self.start + until * self.time_scale + LATE_SECONDS - wall.monotonic()

    # What workers answer

    def read_tokens(self) -> bool:
        """Takes in what workers have sent; False if there is nothing."""
        if wall.monotonic() > self.next_watch:
            self.watch(0)
        return self.take_tokens()

    def take_tokens(self) -> bool:
        try:
            tokens = os.read(self.crew.tokens, 64 * w.TOKEN.size)
        except BlockingIOError:
            return False
        for token in w.TOKEN.iter_unpack(tokens):
            self.take_in(*token)
        return True

    def drain(self) -> None:
        while self.take_tokens():
            pass

    def take_in(self, worker: int, kind: int, k: int, end: float, seconds: float) -> None:
        if kind >= w.READY:
            self.take_notice(worker, kind, seconds)
            return
        if self.calibration is not None:
            self.faults.answered(worker, seconds)
            self.calibration.answered(worker, k, end)
            return
        sent = self.sent[worker]
        if sent is None or sent[0] != k:
            return  # from a worker that has been ended meanwhile
        slot = sent[1]
        self.sent[worker] = None
        self.answers[worker] += 1
        self.compute_seconds[worker] += seconds
        job = self.jobs[worker]
        if job is not None and job.k == k and kind == w.DONE:
            self.jobs[worker] = None
            time, duration = self.when(worker, job.start, end)
            self.arrived.append(Finished(worker, k, self.gradients.lend(slot), time, duration))
            self.faults.answered(worker, seconds)
            return
        self.gradients.give_back(slot)
        if job is not None and job.k == k:
            if self.crew.processes[worker] is not None:  # else it is being lost already
                self.lose(worker, "returned a gradient that is not finite")
        elif self.unsent[worker]:
            self.send(worker)

    def take_notice(self, worker: int, kind: int, seconds: float) -> None:
        if kind == w.READY:
            self.ready[worker] = True
            self.faults.longest = max(self.faults.longest, seconds)
            if self.unsent[worker]:
                self.send(worker)
        # Else the worker has failed, and its end follows, seen by `watch`; or the token just ended a wait.

    def when(self, worker: int, start: float, end: float) -> tuple[float, float]:
        """Time and duration of an arrival whose gradient was ready at `end` on the wall."""
        due = (end - self.start) / self.time_scale
        if self.emulated:
            if due > self.due[worker]:
                self.overruns[worker] += 1
            else:
                due = self.due[worker]
        late = wall.monotonic() - self.start - due * self.time_scale
        self.lateness += late
        if late > self.max_lateness:
            self.max_lateness = late
        if not self.emulated:
            time = self.floor = max(due, self.floor)
            return time, time - start
        time = self.floor = due if after(due, self.floor) else self.floor  # one instant has one time
        self.nominal[worker] = (time, due)
        duration = self.durations[worker]
        on_time = not (after(time, start + duration) or after(start + duration, time))
        return time, duration if on_time else time - start

    # Workers that fail

    def watch(self, milliseconds: int) -> None:
        """Waits for tokens or the end of a worker, and now and then looks after the workers."""
        for descriptor, _ in self.poll.poll(milliseconds):
            if descriptor in self.worker_of_sentinel:
                worker = self.worker_of_sentinel[descriptor]
                self.lose(worker, self.crew.how_it_ended(worker))
        now = wall.monotonic()
        if now > self.next_watch:
            stalled = now > self.next_watch + WATCH_SECONDS > WATCH_SECONDS
            self.next_watch = now + WATCH_SECONDS
            self.look_after_workers(now, stalled)

    def look_after_workers(self, now: float, stalled: bool) -> None:
        """Restarts workers whose time has come, and looks for hung ones unless the server itself had no time to."""
        for worker, at in list(self.restart_at.items()):
            if now >= at:
                del self.restart_at[worker]
                self.start_worker(worker)
        if not stalled:
            self.look_for_hung_workers(now)
        if now >= self.next_tick:
            self.next_tick = now + TICK_SECONDS
            self.tick()

    def look_for_hung_workers(self, now: float) -> None:
        self.drain()
        late = {worker: sent for worker, sent in enumerate(self.sent) if sent is not None and now > sent[2]}
        limit = self.faults.patience()
        for worker, sent in late.items():
            # Losing one worker takes in what the others have sent meanwhile.
            if now - sent[2] > limit and self.sent[worker] is sent:
                self.lose(worker, f"was silent for {now - sent[2]:.2g} s")
        self.silence.look({worker: sent[2] for worker, sent in late.items() if self.sent[worker] is sent})

    def lose(self, worker: int, what: str) -> None:
        """Ends a worker that has failed, and what follows by policy."""
        self.end_worker(worker)
        self.drain()  # what it sent before it ended
        log = self.crew.log_tail(worker)
        if self.start is None or (not self.ready[worker] and not self.faults.in_a_row[worker]):
            when = "when it started" if self.calibration is None else "while its times were measured"
            raise WorkerFailure(f"worker {worker} {what} {when}" + (f"; its log ends:\n{log}" if log else ""))
        if self.sent[worker] is not None:
            self.gradients.give_back(self.sent[worker][1])
            self.sent[worker] = None
        self.ready[worker] = self.unsent[worker] = False
        delay = self.faults.note(worker, self.now(), what, log)
        comes_back = self.faults.policy == "restart"
        if comes_back:
            self.restart_at[worker] = wall.monotonic() + delay
            self.next_watch = 0.0
        waiting = self.jobs[worker] is not None
        self.jobs[worker] = None
        if not comes_back:
            self.leaving.append((worker, self.now()))
        elif waiting:
            self.lost(worker, self.now(), True)

    def let_leave(self, until: float) -> bool:
        """Tells the run of a dropped worker, once everything that came before has been handed out."""
        if not self.leaving or after(time := max(self.leaving[0][1], self.floor), until):
            return False
        worker, _ = self.leaving.popleft()
        self.floor = time
        self.jobs[worker] = None  # what it was given to do meanwhile
        self.unsent[worker] = False
        self.lost(worker, time, False)
        return True

    def statistics(self) -> dict:
        answers = max(1, sum(self.answers))
        return {
            "overruns": self.overruns,
            "compute_seconds": [
                seconds / max(1, count) for seconds, count in zip(self.compute_seconds, self.answers, strict=True)
            ],
            "lateness_mean_seconds": self.lateness / answers,
            "lateness_max_seconds": self.max_lateness,
            "faults": self.faults.list,
        }

    def close(self) -> None:
        self.lost = self.tick = self.requests = None  # the run and its memory can go at once
        self.crew.close()
