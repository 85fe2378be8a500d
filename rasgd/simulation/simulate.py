"""`simulate`: the front door of every run, in virtual time or with real processes."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from rasgd import methods
from rasgd.backends import BACKENDS, check_options
from rasgd.compute_times import ComputeTimes, as_compute_times
from rasgd.instants import after
from rasgd.methods.base import Method
from rasgd.problems.base import Problem, checked_device
from rasgd.simulation.averaging import checked_average, with_average
from rasgd.simulation.checkpoint import Checkpoints, Requests, do_nothing, unpacked_trajectory
from rasgd.simulation.evaluation import check_evaluations
from rasgd.simulation.fingerprint import problem_fingerprint, times_fingerprint
from rasgd.simulation.run import Run
from rasgd.simulation.step_size_decay import checked_decay, with_decay
from rasgd.trajectory import Trajectory, merge, plain
from rasgd.validation import one_or_several, real_number, shown, whole_number


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
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = 60.0,
    step_size_decay: dict | None = None,
    average: float | str | None = None,
    measure_weights: bool = True,
    **method_options,
) -> Trajectory:
    """Runs one method on one problem, for all step sizes × seeds, and returns what came out.

    Args:
        problem: what is minimised.
        method: short name (a key of `rasgd.METHODS`) or a `Method` class.
        compute_times: seconds per gradient of every worker, `[n]`, or a `ComputeTimes`; None for real processes whose
            times are measured.
        step_size: γ > 0, one or several.
        seed: of samples and x⁰, ≥ 0, one or several; replicas stand in `itertools.product(step_size, seed)` order.
        until: horizon in seconds.
        eval_every: seconds between evaluations, at 0, eval_every, 2·eval_every, … (default until/60).
        schedule_seed: of random compute times and random assignment, ≥ 0.
        backend: "simulator" (virtual clock) or "processes" (real workers on the wall clock).
        record: keep the trace of all arrivals.
        device: "cpu" or "cuda"; None leaves the problem where it is.
        replicas_per_pass: replicas computed together (default: the problem's; all with real processes, whose schedule
            never repeats). Part of what fixes the last bit.
        progress: called with the fraction done at every evaluation.
        backend_options: options of the processes backend, such as time_scale; see `rasgd.backends.processes.Processes`.
        checkpoint: file that keeps the state of the run, written every so often and on SIGINT or SIGTERM, which then
            end the call; if it is there at the start, the run goes on from it; it is removed at the end.
        checkpoint_every: seconds on the wall between checkpoints.
        step_size_decay: {"after": a, "to": b} multiplies γ by a factor that is 1 up to the time a·until and then falls
            linearly to b at `until`; None keeps γ constant.
        average: evaluate, and return, the mean of x over the last complete window of so many seconds, or of "cycle",
            the slowest worker's mean seconds τ_max; None evaluates x itself. Steps stay what they are.
        measure_weights: whether to measure effective weights and the total step over time, which takes one more method
            update per arrival; None stands in their place otherwise.
        method_options: the method's own, such as S, R, K, restart, abort, assignment or weights, where "samples" stands
            for every worker's share of the problem's samples.

    Returns:
        A `Trajectory`. Its statistics: effective_weights `[n]`, total_step `[num_evaluations]` (the sum of all steps up
        to every evaluation, in units of γ) and step_per_second, all three None where they are not measured;
        idle_seconds `[n]`, num_updates,
        computed/applied/wasted_gradients, delay_mean, delay_max, delay_histogram (arrivals by delay), arrivals `[n]`,
        server_vectors, server_bytes (of one replica), started_jobs `[n]`, lost_jobs; with real processes also overruns
        `[n]`, compute_seconds `[n]`, lateness_mean_seconds, lateness_max_seconds and faults.

    Raises:
        ValueError: naming the argument, what was given and what is allowed.
        rasgd.backends.faults.WorkerFailure: when a real worker fails and the run cannot go on without it.
    """
    method = methods.find(method)
    measured = compute_times is None and (backend_options or {}).get("times") == "measured"
    times = None if measured else as_compute_times(compute_times)
    step_sizes = one_or_several("step_size", step_size, partial(real_number, above=0))
    seeds = one_or_several("seed", seed, partial(whole_number, at_least=0))
    schedule_seed = whole_number("schedule_seed", schedule_seed, at_least=0)
    until = real_number("until", until, above=0)
    eval_every = real_number("eval_every", until / 60 if eval_every is None else eval_every, above=0)
    check_evaluations(until, eval_every)
    if not isinstance(problem, Problem):
        raise ValueError(f"problem must be a rasgd.Problem, got {shown(problem)}")
    check_options(backend, backend_options or {})
    methods.check_options(method, method_options)
    method_options = methods.with_sample_shares(method_options, problem.sample_counts)
    average = checked_average(average)
    method = with_average(with_decay(method, checked_decay(step_size_decay, until)), average)
    if times is not None:
        check_times(times, problem.num_workers, until)
    checkpoint_every = real_number("checkpoint_every", checkpoint_every, above=0)
    backend_options = dict(backend_options or {})
    on_wall_clock = BACKENDS[backend].wall_clock
    if on_wall_clock:
        # Only workers touch a GPU; the method's arithmetic stays on the CPU, beside the shared memory.
        backend_options["device"] = str(checked_device(problem.device if device is None else device))
        device = "cpu"
    if device is not None and checked_device(device) != problem.device:
        problem = problem.to(device)
    arguments = {
        "until": until,
        "eval_every": eval_every,
        "schedule_seed": schedule_seed,
        "times": None if times is None else times.seeded(schedule_seed),
        "method_options": method_options,
        "backend": backend,
        "backend_options": backend_options,
    }
    if replicas_per_pass is None:
        # Real clocks never repeat a schedule, so there all replicas run together.
        replicas_per_pass = len(step_sizes) * len(seeds) if on_wall_clock else problem.replicas_per_pass
    replicas_per_pass = whole_number("replicas_per_pass", replicas_per_pass)
    passes = split_into_passes(step_sizes, seeds, replicas_per_pass if method.batched else 1)
    if on_wall_clock and len(passes) > 1:
        refuse_several_schedules(method, len(step_sizes) * len(seeds), replicas_per_pass)
    fingerprint = None
    if record or checkpoint is not None:
        with one_thread(problem.device):
            fingerprint = problem_fingerprint(problem, seeds[0])
    requests = contextlib.nullcontext(Requests())
    if checkpoint is not None:
        identity = {name: plain(value) for name, value in arguments.items() if name not in ("times", "backend_options")}
        identity |= {
            "method": method.label,
            "step_sizes": step_sizes,
            "seeds": seeds,
            "num_workers": problem.num_workers,
        }
        identity |= {"dim": problem.dim, "dtype": str(problem.dtype), "step_size_decay": step_size_decay}
        identity |= {"average": average}
        identity |= {"compute_times": None if times is None else times.mean.tolist()}
        identity |= {"first_durations": None if times is None else times_fingerprint(arguments["times"], until)}
        identity |= {"replicas_per_pass": min(replicas_per_pass, len(step_sizes) * len(seeds))}
        requests = Checkpoints(checkpoint, checkpoint_every, problem, fingerprint, identity)
    with requests as asked, one_thread(problem.device):
        result = merge(run_passes(passes, problem, method, arguments, asked, progress, record, measure_weights))
    result.metadata |= {"replicas_per_pass": replicas_per_pass, "step_sizes": step_sizes, "seeds": seeds}
    result.metadata |= {"average": average}
    result.metadata |= {"step_size_decay": step_size_decay, "fingerprint": fingerprint if record else None}
    result.single = np.ndim(step_size) == 0 and np.ndim(seed) == 0
    if result.statistics["num_updates"] == 0:
        warnings.warn(f"{method.label} made no update within {until:g} s", stacklevel=2)
    return result


def run_passes(
    passes, problem, method, arguments, requests: Requests, progress, record: bool, measure_weights: bool
) -> list[Trajectory]:
    """Runs the passes that are not done yet, one after the other."""
    state = requests.load()
    parts = [unpacked_trajectory(done) for done in requests.finished]
    for number, (some_steps, some_seeds) in enumerate(passes[len(parts) :], len(parts)):
        report = None if progress is None else lambda part, done=number: progress((done + part) / len(passes))
        run = Run(problem, method, some_steps, some_seeds, requests=requests, **arguments)
        try:
            run.go(state, report)
        finally:
            requests.reach(do_nothing)
            run.backend.close()
        # Replicas share the schedule, so its statistics are measured once.
        parts.append(run.trajectory(record=record, measure_weights=measure_weights and number == 0))
        requests.pass_done(parts[-1])
        state = None
    return parts


def split_into_passes(steps: list[float], seeds: list[int], replicas_per_pass: int) -> list[tuple[list, list]]:
    """Cuts step sizes × seeds into batched runs that are products themselves and keep the replica order."""
    if replicas_per_pass >= len(seeds):
        chunk = replicas_per_pass // len(seeds)
        return [(steps[i : i + chunk], seeds) for i in range(0, len(steps), chunk)]
    chunks = [seeds[j : j + replicas_per_pass] for j in range(0, len(seeds), replicas_per_pass)]
    return [([step], chunk) for step in steps for chunk in chunks]


def refuse_several_schedules(method: type[Method], num_replicas: int, replicas_per_pass: int) -> None:
    """Passes on a real clock would each have a schedule of their own, and no trace or statistic would hold for all."""
    if not method.batched:
        raise ValueError(
            f"step_size and seed must be single for {method.label} with real processes: its schedule depends on them"
        )
    raise ValueError(
        f"replicas_per_pass must be at least {num_replicas} with real processes, whose schedule never repeats, "
        f"got {replicas_per_pass}"
    )


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


def check_times(times: ComputeTimes, num_workers: int, until: float) -> None:
    if times.num_workers != num_workers:
        raise ValueError(f"compute_times must be for the problem's {num_workers} workers, got {times.num_workers}")
    if after(times.mean.min(), until):
        raise ValueError(
            f"until must be at least the fastest worker's {times.mean.min():g} seconds per gradient, got {until:g}"
        )
    if after(until, times.horizon):
        raise ValueError(
            f"until must be at most {times.horizon:g} seconds, the length of the recorded times, got {until:g}; "
            "rasgd.RecordedTimes(trace, after='repeat') goes on"
        )
