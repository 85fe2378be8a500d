"""The run: clock, evaluation and stopping; `simulate` is its front door."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from array import array
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from rasgd import methods, randomness
from rasgd.arguments import (
    check_options,
    checked_evaluations,
    checked_number,
    checked_numbers,
    plain,
    positive_number,
    whole_seed,
)
from rasgd.backends.base import Backend, Desk
from rasgd.backends.simulator import Simulator
from rasgd.compute_times import ComputeTimes, as_compute_times
from rasgd.evaluation import Evaluations, evaluation_times
from rasgd.methods.base import Arrival, Method
from rasgd.problems.base import Problem, Samples, checked_device
from rasgd.schedule import RECORD_COLUMNS, arrival_statistics, count_vectors, effective_weights
from rasgd.trajectory import Trajectory, merge
from rasgd.validation import shown, whole_number

BACKENDS = ("simulator", "processes")


def simulate(
    problem: Problem,
    method: str | type[Method],
    compute_times: ComputeTimes | Sequence[float],
    step_size: float | Sequence[float],
    seed: int | Sequence[int] = 0,
    until: float = 100.0,
    eval_every: float | None = None,
    schedule_seed: int = 0,
    backend: str = "simulator",
    record: bool = False,
    device: str | torch.device | None = None,
    replicas_per_pass: int | None = None,
    progress: Callable[[float], None] | None = None,
    backend_options: dict | None = None,
    **method_options,
) -> Trajectory:
    """Runs one method on one problem, for all step sizes × seeds, and returns what came out.

    Args:
        problem: what is minimised.
        method: short name (a key of `rasgd.METHODS`) or a `Method` class.
        compute_times: seconds per gradient of every worker, `[n]`, or a `ComputeTimes`.
        step_size: γ > 0, one or several.
        seed: of samples and x⁰, ≥ 0, one or several; replicas stand in `itertools.product(step_size, seed)` order.
        until: horizon in seconds.
        eval_every: seconds between evaluations, at 0, eval_every, 2·eval_every, … (default until/60).
        schedule_seed: of random compute times and random assignment, ≥ 0.
        backend: "simulator" (virtual clock) or "processes" (real workers on the wall clock).
        record: keep the trace of all arrivals.
        device: "cpu" or "cuda"; None leaves the problem where it is.
        replicas_per_pass: replicas computed together (default: the problem's). Part of what fixes the last bit.
        progress: called with the fraction done at every evaluation.
        backend_options: options of the processes backend, such as time_scale.
        method_options: the method's own, such as S, R, K, restart, abort or assignment.

    Returns:
        A `Trajectory`. Its statistics: effective_weights `[n]` or None, idle_seconds `[n]`, num_updates,
        computed/applied/wasted_gradients, delay_mean, delay_max, delay_histogram (arrivals by delay), arrivals `[n]`,
        server_vectors, server_bytes (of one replica).

    Raises:
        ValueError: naming the argument, what was given and what is allowed.
    """
    method = methods.find(method)
    times = as_compute_times(compute_times)
    step_sizes = checked_numbers("step_size", step_size, positive_number, "a positive finite number")
    seeds = checked_numbers("seed", seed, whole_seed, "a whole number from 0 to 2**63 - 1")
    schedule_seed = checked_number("schedule_seed", schedule_seed, whole_seed, "a whole number from 0 to 2**63 - 1")
    until = checked_number("until", until, positive_number, "a positive finite number of seconds")
    if eval_every is None:
        eval_every = until / 60
    eval_every = checked_number("eval_every", eval_every, positive_number, "a positive finite number of seconds")
    checked_evaluations(until, eval_every)
    if not isinstance(problem, Problem):
        raise ValueError(f"problem must be a rasgd.Problem, got {shown(problem)}")
    if times.num_workers != problem.num_workers:
        raise ValueError(f"compute_times must be {problem.num_workers} as the problem has, got {times.num_workers}")
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    check_options(method, method_options)
    if until < times.mean.min():
        raise ValueError(
            f"until must be at least the fastest worker's {times.mean.min():g} seconds per gradient, got {until:g}"
        )
    backend_options = dict(backend_options or {})
    if backend == "processes":
        # Only workers touch a GPU; the method's arithmetic stays on the CPU, beside the shared memory.
        backend_options["device"] = str(checked_device(problem.device if device is None else device))
        device = "cpu"
    if until > times.horizon:
        raise ValueError(
            f"until must be at most {times.horizon:g} seconds, the length of the recorded times, got {until:g}; "
            "rasgd.RecordedTimes(trace, after='repeat') goes on"
        )
    if device is not None and checked_device(device) != problem.device:
        problem = problem.to(device)
    arguments = {
        "until": until,
        "eval_every": eval_every,
        "schedule_seed": schedule_seed,
        "times": times.seeded(schedule_seed),
        "method_options": method_options,
        "backend": backend,
        "backend_options": backend_options,
    }
    if replicas_per_pass is None:
        # Real clocks never repeat a schedule, so there all replicas run together.
        replicas_per_pass = problem.replicas_per_pass if backend == "simulator" else len(step_sizes) * len(seeds)
    replicas_per_pass = whole_number("replicas_per_pass", replicas_per_pass)
    passes = split_into_passes(step_sizes, seeds, replicas_per_pass if method.batched else 1)
    parts = []
    for number, (some_steps, some_seeds) in enumerate(passes):
        report = None if progress is None else lambda part, done=number: progress((done + part) / len(passes))
        with one_thread(problem.device):
            run = Run(problem, method, some_steps, some_seeds, **arguments)
            try:
                run.go(report)
            finally:
                run.backend.close()
            # Replicas share the schedule, so its statistics are measured once.
            parts.append(run.trajectory(record=record, measure_weights=number == 0))
    result = merge(parts)
    result.metadata |= {"replicas_per_pass": replicas_per_pass, "step_sizes": step_sizes, "seeds": seeds}
    result.single = np.ndim(step_size) == 0 and np.ndim(seed) == 0
    if result.statistics["num_updates"] == 0:
        warnings.warn(f"{method.label} made no update within {until:g} s", stacklevel=2)
    return result


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
        times: ComputeTimes,
        method_options: dict,
        backend: str,
        backend_options: dict,
    ):
        self.problem, self.until, self.eval_every = problem, until, eval_every
        self.times, self.schedule_seed, self.method_options = times, schedule_seed, method_options
        self.replicas = list(itertools.product(step_sizes, seeds))
        initial = torch.stack([problem.initial_point(seed) for seed in seeds])
        x0 = initial.repeat(len(step_sizes), 1)
        steps = torch.tensor([[step] for step, _ in self.replicas], dtype=problem.dtype, device=problem.device)
        self.method_type = method
        self.method = self.new_method(x0, steps)
        self.backend: Backend
        if backend == "simulator":
            if backend_options:
                raise ValueError(f"backend_options must be empty for the simulator, got {', '.join(backend_options)}")
            self.backend = Simulator(problem, times, Samples(problem, seeds))
        else:
            from rasgd.backends.processes import Processes

            self.backend = Processes(problem, times, seeds, len(self.replicas), **backend_options)
        self.backend_name = backend
        self.device = backend_options.get("device", problem.device.type)
        self.desk = Desk(self.backend, problem.num_workers)
        self.evaluations = Evaluations(problem, self.replicas, later=self.backend.evaluates_later)
        self.record = {name: array(code) for name, code in zip(RECORD_COLUMNS, "dqqqd", strict=True)}
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

    def go(self, report: Callable[[float], None] | None = None) -> None:
        """Runs from time 0 to the horizon."""
        self.desk.issue(self.method.start(), self.method.x, 0, 0.0)
        for time in evaluation_times(self.until, self.eval_every):
            self.advance(time)
            self.evaluations.add(time, self.method.updates, self.method.x)
            self.measure_memory()
            if report is not None:
                report(time / self.until)
        self.advance(self.until)

    def advance(self, until: float) -> None:
        """Handles every arrival with time ≤ until."""
        method, desk, next_finished = self.method, self.desk, self.backend.next_finished
        note_time, note_worker, note_k, note_delay, note_duration = (self.record[c].append for c in RECORD_COLUMNS)
        while (finished := next_finished(until)) is not None:
            worker, k, gradient, time, duration = finished
            delay = desk.finish(worker, method.updates, time)
            jobs = method.receive(Arrival(worker, gradient, delay, time, duration))
            desk.issue(jobs, method.x, method.updates, time)
            note_time(time), note_worker(worker), note_k(k), note_delay(delay), note_duration(duration)
            self.num_arrivals += 1
            if self.num_arrivals <= self.memory_checks_end and self.num_arrivals % self.memory_stride == 0:
                self.measure_memory()

    def measure_memory(self) -> None:
        self.method_vectors = max(self.method_vectors, count_vectors(self.method))

    def trajectory(self, record: bool, measure_weights: bool) -> Trajectory:
        """What came out, as plain numpy."""
        arrivals = {name: np.array(values) for name, values in self.record.items()}
        columns = self.evaluations.columns()
        return Trajectory(
            columns=columns,
            replicas=self.evaluations.replica_columns(self.method.x),
            statistics=self.statistics(arrivals, measure_weights),
            final_points=self.method.x.cpu().numpy().copy(),
            metadata={
                "method": self.method_type.__module__.rsplit(".", 1)[-1],
                "label": self.method.label,
                "method_options": {name: plain(value) for name, value in self.method_options.items()},
                "backend": self.backend_name,
                "device": self.device,
                "dtype": str(self.problem.dtype).removeprefix("torch."),
                "num_workers": self.problem.num_workers,
                "dim": self.problem.dim,
                "mean_compute_times": self.times.mean.tolist(),
                "until": self.until,
                "eval_every": self.eval_every,
                "schedule_seed": self.schedule_seed,
                "initial_loss": float(columns["loss"][0]),
                "idle_seconds": self.desk.idle_seconds_until(self.until),
                "aborted_jobs": self.desk.aborted,
            },
            arrivals=arrivals if record else None,
        )

    def statistics(self, arrivals: dict[str, np.ndarray], measure_weights: bool) -> dict:
        weighed = measure_weights and self.method.linear
        vectors = self.method_vectors + self.desk.max_queued
        return {
            "effective_weights": effective_weights(self.new_method, arrivals, self.times.mean) if weighed else None,
            "idle_seconds": self.desk.idle_seconds_until(self.until),
            "num_updates": self.method.updates,
            **arrival_statistics(arrivals, self.problem.num_workers, self.method.ignored, self.desk.aborted),
            "server_vectors": vectors,
            "server_bytes": vectors * self.problem.dim * torch.finfo(self.problem.dtype).bits // 8,
            **self.backend.statistics(),
        }


def split_into_passes(steps: list[float], seeds: list[int], replicas_per_pass: int) -> list[tuple[list, list]]:
    """Cuts step sizes × seeds into batched runs that are products themselves and keep the replica order."""
    if replicas_per_pass >= len(seeds):
        chunk = replicas_per_pass // len(seeds)
        return [(steps[i : i + chunk], seeds) for i in range(0, len(steps), chunk)]
    chunks = [seeds[j : j + replicas_per_pass] for j in range(0, len(seeds), replicas_per_pass)]
    return [([step], chunk) for step in steps for chunk in chunks]


@contextlib.contextmanager
def one_thread(device: torch.device):
    """One CPU thread: small operations run fastest so, and sums do not depend on the number of cores."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)
