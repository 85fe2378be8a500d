"""One run: one method on one schedule, from time 0 or from a checkpoint to the horizon."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.backends import BACKENDS
from rasgd.backends.base import Desk
from rasgd.backends.faults import WorkerFailure
from rasgd.compute_times import ComputeTimes, FixedTimes
from rasgd.methods import short_name
from rasgd.methods.base import Arrival, Method
from rasgd.problems.base import Problem
from rasgd.simulation.checkpoint import Requests, method_state, packed, restore_method
from rasgd.simulation.evaluation import Evaluations, evaluation_times
from rasgd.simulation.statistics import (
    NO_STEP_STATISTICS,
    RECORD_COLUMNS,
    arrival_statistics,
    count_vectors,
    step_statistics,
)
from rasgd.simulation.status import StatusLine
from rasgd.trajectory import Trajectory, plain


class Run:
    """One method on one schedule: the clock, the evaluations and the books."""

    def __init__(
        self,
        problem: Problem,
        method: type[Method],
        step_sizes: list[float],
        seeds: list[int],
        until: float,
        eval_every: float,
        schedule_seed: int,
        times: ComputeTimes | None,
        method_options: dict,
        backend: str,
        backend_options: dict,
        requests: Requests,
    ):
        self.problem, self.until, self.eval_every = problem, until, eval_every
        self.schedule_seed, self.method_options, self.requests = schedule_seed, method_options, requests
        self.replicas = list(itertools.product(step_sizes, seeds))
        self.seeds, self.method_type = seeds, method
        if backend_options.get("on_fault") == "drop" and not hasattr(method, "leave"):
            raise ValueError(
                f"on_fault must be 'restart' or 'fail' for {method.label}, which needs every worker, got 'drop'"
            )
        initial = torch.stack([problem.initial_point(seed) for seed in seeds])
        if initial.shape[1:] != (problem.dim,):
            raise ValueError(
                f"initial_point of {type(problem).__name__} must have {problem.dim} coordinates, the problem's dim, "
                f"got shape {list(initial.shape[1:])}"
            )
        x0 = initial.repeat(len(step_sizes), 1)
        steps = torch.tensor([[step] for step, _ in self.replicas], dtype=problem.dtype, device=problem.device)
        self.backend = BACKENDS[backend].type.of_run(problem, times, seeds, len(self.replicas), **backend_options)
        self.backend_name, self.backend_options = backend, backend_options
        self.times = self.backend.compute_times
        try:
            self.method = self.new_method(x0, steps)
        except BaseException:
            self.backend.close()
            raise
        self.desk = Desk(self.backend, problem.num_workers)
        self.evaluations = Evaluations(problem, self.replicas, later=self.backend.evaluates_later)
        self.record = {name: array(code) for name, code in zip(RECORD_COLUMNS, "dqqqd", strict=True)}
        self.departures = []  # workers that left, each as [number of arrivals before, worker, time]
        self.retries = []  # lost jobs of workers that came back, likewise
        self.method_vectors = 0
        self.num_arrivals = 0
        # Walking the method's state costs O(n), so it is spread over the first rounds of arrivals (and evaluations).
        self.memory_stride = problem.num_workers // 16 | 1
        self.memory_checks_end = 20 * problem.num_workers

    def new_method(self, x0: Tensor, steps: Tensor) -> Method:
        return self.method_type(
            x0,
            steps,
            self.problem.num_workers,
            compute_times=self.times.mean,
            generator=randomness.generator(self.schedule_seed, "assignment"),
            **self.method_options,
        )

    def go(self, state: dict | None = None, report: Callable[[float], None] | None = None) -> None:
        """Runs from time 0, or from the state of an interrupted run, to the horizon."""
        self.backend.attach(self.lost, StatusLine(self), self.requests)
        self.method.placed_addcmul = self.backend.placed_addcmul
        self.requests.reach(self.backend.wake)
        if state is None:
            self.desk.issue(self.method.start(), self.method.x, 0, 0.0)
        else:
            self.restore(state)
        for time in evaluation_times(self.until, self.eval_every)[len(self.evaluations) :]:
            self.advance(time)
            self.evaluations.add(time, self.method.updates, self.method.answer(time))
            self.measure_memory()
            if report is not None:
                report(time / self.until)
        self.advance(self.until)

    def advance(self, until: float) -> None:
        """Handles every arrival with time ≤ until, and requests in between."""
        self.handle_arrivals(until)
        while self.requests.pending:
            self.requests.answer(self)
            self.handle_arrivals(until)

    def handle_arrivals(self, until: float) -> None:
        requests = self.requests
        method, desk, next_finished = self.method, self.desk, self.backend.next_finished
        x, version = method.x, method.x._version  # torch counts what is written to a tensor
        note_time, note_worker, note_k, note_delay, note_duration = (self.record[c].append for c in RECORD_COLUMNS)
        while not requests.pending and (finished := next_finished(until)) is not None:
            worker, k, gradient, time, duration = finished
            updates = method.updates
            if k == 0 and (gradient.shape != method.x.shape or gradient.dtype != method.x.dtype):
                raise ValueError(
                    f"gradient of {type(self.problem).__name__} must have the shape and type of x, "
                    f"{list(method.x.shape)} {method.x.dtype}, got {list(gradient.shape)} {gradient.dtype}"
                )
            delay = desk.finish(worker, updates, time)
            jobs = method.receive(Arrival(worker, gradient, delay, time, duration))
            if method.x is not x:
                x, version = method.x, method.x._version
            elif x._version != version:
                raise ValueError(
                    f"{method.label} changed x in place, but workers hold it; a step must make a new tensor"
                )
            if method.updates > updates + 1:
                raise ValueError(
                    f"{method.label} made {method.updates - updates} updates on one arrival, at most 1 is allowed"
                )
            if jobs is None:
                raise ValueError(f"receive of {method.label} must return a list of jobs, got None")
            del finished, gradient  # so that the next gradient may take this one's memory, which is in the cache
            desk.issue(jobs, method.x, method.updates, time)
            note_time(time), note_worker(worker), note_k(k), note_delay(delay), note_duration(duration)
            self.num_arrivals += 1
            if self.num_arrivals <= self.memory_checks_end and self.num_arrivals % self.memory_stride == 0:
                self.measure_memory()

    def lost(self, worker: int, time: float, comes_back: bool) -> None:
        """Lets a restarted worker do its job again, or goes on without the worker."""
        if comes_back:
            self.retries.append([self.num_arrivals, worker, min(time, self.until)])
            self.desk.retry(worker, time)
            return
        self.desk.dismiss(worker, time)
        if all(self.desk.gone):
            raise WorkerFailure(f"all workers have failed, the last one, worker {worker}, at {time:.6g} s")
        self.departures.append([self.num_arrivals, worker, time])
        self.desk.issue(self.method.leave(worker), self.method.x, self.method.updates, time)

    def state(self) -> dict:
        """Everything the run is, as tensors, numbers, strings, lists and dicts."""
        return {
            "time": self.backend.now(),
            "mean_times": self.times.mean.tolist(),
            "method": method_state(self.method),
            "desk": packed("desk", self.desk.state()),
            "evaluations": self.evaluations.state(),
            "record": {name: torch.from_numpy(np.array(values)) for name, values in self.record.items()},
            "departures": self.departures,
            "retries": self.retries,
            "counts": [self.method_vectors, self.num_arrivals],
        }

    def restore(self, state: dict) -> None:
        if self.backend_options.get("times") == "measured":
            self.times = FixedTimes(state["mean_times"])
        restore_method(self.method, state["method"])
        self.evaluations.restore(state["evaluations"])
        for name, values in state["record"].items():
            self.record[name].extend(values.tolist())
        self.departures, self.retries = state["departures"], state["retries"]
        self.method_vectors, self.num_arrivals = state["counts"]
        self.backend.resume(state["time"], [worker for _, worker, _ in self.departures])
        self.desk.restore(state["desk"])

    def measure_memory(self) -> None:
        self.method_vectors = max(self.method_vectors, count_vectors(self.method))

    def trajectory(self, record: bool, measure_weights: bool) -> Trajectory:
        """What came out, as plain numpy."""
        arrivals = {name: np.array(values) for name, values in self.record.items()}
        columns, final_points = self.evaluations.columns(), self.method.answer(self.until)
        return Trajectory(
            columns=columns,
            replicas=self.evaluations.replica_columns(final_points),
            statistics=self.statistics(arrivals, measure_weights),
            final_points=final_points.cpu().numpy().copy(),
            metadata={
                "method": short_name(self.method_type),
                "label": self.method.label,
                "method_options": {name: plain(value) for name, value in self.method_options.items()},
                "backend": self.backend_name,
                "device": self.backend_options.get("device", self.problem.device.type),
                "backend_options": self.backend_options,
                "dtype": str(self.problem.dtype).removeprefix("torch."),
                "num_workers": self.problem.num_workers,
                "dim": self.problem.dim,
                "mean_compute_times": self.times.mean.tolist(),
                "until": self.until,
                "eval_every": self.eval_every,
                "schedule_seed": self.schedule_seed,
                "departures": self.departures,
                "retries": self.retries,
            },
            arrivals=arrivals if record else None,
        )

    def statistics(self, arrivals: dict[str, np.ndarray], measure_weights: bool) -> dict:
        steps, vectors = NO_STEP_STATISTICS, self.method_vectors + self.desk.max_queued
        if measure_weights and self.method.linear:
            times = np.array(evaluation_times(self.until, self.eval_every))
            steps = step_statistics(self.new_method, arrivals, self.times.mean, self.departures, times, self.until)
        return {
            **steps,
            "idle_seconds": self.desk.idle_seconds_until(self.until),
            "num_updates": self.method.updates,
            **arrival_statistics(arrivals, self.problem.num_workers, self.method.ignored, self.desk.aborted),
            "server_vectors": vectors,
            "server_bytes": vectors * self.problem.dim * torch.finfo(self.problem.dtype).bits // 8,
            "started_jobs": self.desk.k,
            "lost_jobs": self.desk.lost,
            **self.backend.statistics(),
        }
