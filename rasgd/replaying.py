"""Replay: a recorded run once more, without clocks and processes, to the same bits."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rasgd import methods, randomness
from rasgd.evaluation import Evaluations, evaluation_times, initial_loss, same_loss
from rasgd.methods.base import Arrival, Method
from rasgd.problems.base import Problem, Samples
from rasgd.run import one_thread
from rasgd.schedule import RECORD_COLUMNS, arrival_statistics, count_vectors, effective_weights, leavers
from rasgd.step_size_decay import checked_decay, with_decay
from rasgd.trace import KEY, read_trace
from rasgd.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas as pd


def replay(
    problem: Problem,
    method: str | type[Method],
    trace: pd.DataFrame | str | os.PathLike,
    step_size: float | list[float] | None = None,
    seed: int | list[int] | None = None,
    until: float | None = None,
    eval_every: float | None = None,
    **method_options: Any,
) -> Trajectory:
    """Feeds a recorded trace to a method: the iterates of the recorded run, bit for bit.

    A method is a deterministic function of its arrivals, and an arrival's gradient is determined by the point x at
    update `updates − delay` and the sample of (seed, worker, k). So the trace is all that is needed, whatever the
    clocks, aborted jobs and lost workers were. With other step sizes it answers how the same schedule would have gone;
    for another method on the same cluster simulate with `rasgd.RecordedTimes(trace)` instead.

    Args:
        problem: the recorded one.
        method: the recorded one.
        trace: `Trajectory.trace`, or the path of one written by `rasgd.write_trace`.
        step_size, seed: default to the recorded ones; together with those replicas, all bits are the same.
        until, eval_every: default to the recorded ones.
        method_options: default to the recorded ones.

    Raises:
        ValueError: if the trace lacks something, or belongs to another method or problem.
    """
    trace = trace if hasattr(trace, "columns") else read_trace(trace)
    recorded = trace.attrs.get(KEY)
    missing = [name for name in RECORD_COLUMNS if name not in trace]
    if missing or not recorded:
        lacking = f"columns {', '.join(missing)}" if missing else "the description of its run"
        raise ValueError(f"trace must come from a run with record=True, it lacks {lacking}")
    method = methods.find(method)
    check_recorded(problem, method, recorded)
    method_options = method_options or recorded["method_options"]
    methods.check_options(method, method_options)
    method = with_decay(method, checked_decay(recorded.get("step_size_decay"), recorded["until"]))
    step_sizes = recorded["step_sizes"] if step_size is None else np.atleast_1d(step_size).tolist()
    seeds = recorded["seeds"] if seed is None else np.atleast_1d(seed).tolist()
    until = recorded["until"] if until is None else float(until)
    eval_every = recorded["eval_every"] if eval_every is None else float(eval_every)
    with one_thread(problem.device):
        rerun = Replay(problem, method, step_sizes, seeds, recorded, method_options)
        rerun.go(trace, evaluation_times(until, eval_every), until)
        result = rerun.trajectory(trace, until, eval_every)
    result.single = (len(step_sizes), len(seeds)) == (1, 1)
    return result


def check_recorded(problem: Problem, method: type[Method], recorded: dict) -> None:
    if method.label != recorded["label"]:
        raise ValueError(
            f"method must be the recorded one, {recorded['label']}, got {method.label}; another method takes the same "
            "cluster's times through rasgd.RecordedTimes(trace)"
        )
    given = {"num_workers": problem.num_workers, "dim": problem.dim, "dtype": str(problem.dtype).split(".")[-1]}
    for name, value in given.items():
        if value != recorded[name]:
            raise ValueError(f"problem must be the recorded one with {name} {recorded[name]}, got {value}")
    loss, known = initial_loss(problem, recorded["seeds"][0]), recorded["initial_loss"]
    if not same_loss(known, loss):
        raise ValueError(f"problem must be the recorded one, whose loss at the start is {known:.8g}, got {loss:.8g}")


class Replay:
    """One method and the points it has been at, as far back as delays reach."""

    def __init__(self, problem, method, step_sizes, seeds, recorded, method_options):
        self.problem, self.method_type, self.recorded = problem, method, recorded
        self.method_options = method_options
        self.step_sizes, self.seeds = step_sizes, seeds
        self.replicas = list(itertools.product(step_sizes, seeds))
        x0 = torch.stack([problem.initial_point(seed) for seed in seeds]).repeat(len(step_sizes), 1)
        steps = torch.tensor([[step] for step, _ in self.replicas], dtype=problem.dtype, device=problem.device)
        self.method = self.new_method(x0, steps)
        self.samples = Samples(problem, seeds)
        self.evaluations = Evaluations(problem, self.replicas)
        self.method_vectors = 0

    def new_method(self, x0, steps) -> Method:
        return self.method_type(
            x0,
            steps,
            self.problem.num_workers,
            compute_times=np.array(self.recorded["mean_compute_times"]),
            generator=randomness.generator(self.recorded["schedule_seed"], "assignment"),
            **self.method_options,
        )

    def go(self, trace: pd.DataFrame, times: list[float], until: float) -> None:
        method, remaining = self.method, deque(times)
        method.start()
        left = leavers(self.recorded["departures"])
        points = deque([method.x], maxlen=int(trace["delay"].max()) + 1)
        rows = zip(*(trace[name].tolist() for name in RECORD_COLUMNS), strict=True)
        for position, (time, worker, k, delay, duration) in enumerate(rows):
            if time > until:
                break
            for gone in left.get(position, ()):
                self.note_update(points, method.leave, gone)
            while remaining and remaining[0] < time:
                self.evaluate(remaining.popleft())
            if delay >= len(points):
                raise ValueError(f"trace does not fit the method: a delay of {delay} after {method.updates} updates")
            gradient = self.problem.gradient(worker, points[-1 - delay], self.samples(worker, k))
            self.note_update(points, method.receive, Arrival(worker, gradient, delay, time, duration))
        for time in remaining:
            self.evaluate(time)

    def note_update(self, points: deque, step: Callable, argument) -> None:
        """Lets the method take a step, and keeps its point if that was an update."""
        updates = self.method.updates
        step(argument)
        if self.method.updates > updates:
            points.append(self.method.x)

    def evaluate(self, time: float) -> None:
        self.evaluations.add(time, self.method.updates, self.method.x)
        self.method_vectors = max(self.method_vectors, count_vectors(self.method))

    def trajectory(self, trace: pd.DataFrame, until: float, eval_every: float) -> Trajectory:
        arrivals = {name: trace[name].to_numpy()[trace["time"] <= until] for name in RECORD_COLUMNS}
        problem, method, mean_times = self.problem, self.method, np.array(self.recorded["mean_compute_times"])
        changed = {"until": until, "eval_every": eval_every, "step_sizes": self.step_sizes, "seeds": self.seeds}
        weights = None
        if method.linear:
            weights = effective_weights(self.new_method, arrivals, mean_times, self.recorded["departures"])
        return Trajectory(
            columns=self.evaluations.columns(),
            replicas=self.evaluations.replica_columns(method.x),
            statistics={
                "effective_weights": weights,
                "idle_seconds": self.recorded["idle_seconds"],
                "num_updates": method.updates,
                **arrival_statistics(arrivals, problem.num_workers, method.ignored, self.recorded["aborted_jobs"]),
                "server_vectors": self.method_vectors,
                "server_bytes": self.method_vectors * problem.dim * torch.finfo(problem.dtype).bits // 8,
            },
            final_points=method.x.cpu().numpy().copy(),
            metadata=self.recorded | {"backend": "replay"} | changed,
            arrivals=arrivals,
        )
