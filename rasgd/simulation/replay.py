"""Replay: a recorded run once more, without clocks and processes, to the same bits."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rasgd import methods
from rasgd.compute_times import FixedTimes
from rasgd.instants import after
from rasgd.methods.base import Method
from rasgd.problems.base import Problem
from rasgd.simulation.averaging import with_average
from rasgd.simulation.checkpoint import Requests
from rasgd.simulation.evaluation import check_evaluations
from rasgd.simulation.fingerprint import difference
from rasgd.simulation.run import Run
from rasgd.simulation.simulate import one_thread
from rasgd.simulation.statistics import RECORD_COLUMNS
from rasgd.simulation.step_size_decay import checked_decay, with_decay
from rasgd.trace import KEY, read_trace
from rasgd.trajectory import Trajectory
from rasgd.validation import one_or_several, real_number, whole_number

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

    A method is a deterministic function of its arrivals, and an arrival's gradient is determined by the point that its
    worker was handed and the sample of (seed, worker, k). So the trace is all that is needed, whatever the clocks,
    aborted jobs and lost workers were: it is one more run, whose arrivals, failures and departures are known. With
    other step sizes it answers how the same schedule would have gone; for another method on the same cluster simulate
    with `rasgd.RecordedTimes(trace)` instead.

    Args:
        problem: the recorded one.
        method: the recorded one.
        trace: `Trajectory.trace`, or the path of one written by `rasgd.write_trace`.
        step_size, seed: default to the recorded ones; together with those replicas, all bits are the same.
        until: at most the recorded horizon, to which it defaults.
        eval_every: defaults to the recorded one.
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
    if not recorded.keys() >= {"fingerprint", "retries"}:
        raise ValueError("trace was recorded by another version of rasgd, record it again")
    method = methods.find(method)
    check_recorded(problem, method, recorded)
    method_options = method_options or recorded["method_options"]
    methods.check_options(method, method_options)
    method_options = methods.with_sample_shares(method_options, problem.sample_counts)
    method = with_decay(method, checked_decay(recorded.get("step_size_decay"), recorded["until"]))
    method = with_average(method, recorded.get("average"))
    step_sizes, seeds = recorded["step_sizes"], recorded["seeds"]
    if step_size is not None:
        step_sizes = one_or_several("step_size", step_size, partial(real_number, above=0))
    if seed is not None:
        seeds = one_or_several("seed", seed, partial(whole_number, at_least=0))
    until = recorded["until"] if until is None else real_number("until", until, above=0)
    if after(until, recorded["until"]):
        raise ValueError(f"until must be at most the {recorded['until']:g} seconds that were recorded, got {until:g}")
    eval_every = recorded["eval_every"] if eval_every is None else real_number("eval_every", eval_every, above=0)
    check_evaluations(until, eval_every)
    if not method.batched and (len(step_sizes), len(seeds)) != (1, 1):
        raise ValueError(f"step_size and seed must be single for {method.label}, whose schedule depends on them")
    arrivals = {name: trace[name].to_numpy() for name in RECORD_COLUMNS}
    with one_thread(problem.device):
        run = Run(
            problem,
            method,
            step_sizes,
            seeds,
            until,
            eval_every,
            recorded["schedule_seed"],
            FixedTimes(recorded["mean_compute_times"]),
            method_options,
            "recording",
            {"arrivals": arrivals, "departures": recorded["departures"], "retries": recorded["retries"]},
            Requests(),
        )
        run.go()
        result = run.trajectory(record=True, measure_weights=True)
    check_delays(result.arrivals, arrivals["delay"])
    known = ("until", "eval_every", "departures", "retries")
    changed = {name: result.metadata[name] for name in known} | {"step_sizes": step_sizes, "seeds": seeds}
    result.metadata = recorded | changed | {"backend": "replay"}
    result.single = (len(step_sizes), len(seeds)) == (1, 1)
    return result


def check_delays(arrivals: dict[str, np.ndarray], recorded: np.ndarray) -> None:
    different = np.flatnonzero(arrivals["delay"] != recorded[: len(arrivals["delay"])])
    if len(different):
        row = different[0]
        raise ValueError(
            f"trace does not fit the method: arrival {row} has a delay of {arrivals['delay'][row]}, "
            f"the trace says {recorded[row]}"
        )


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
    if what := difference(recorded["fingerprint"], problem):
        raise ValueError(f"problem must be the recorded one, {what}")
