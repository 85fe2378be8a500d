"""What a run's schedule was like: effective weights, delays, waste, memory. All replicas share one schedule."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from rasgd.instants import latest
from rasgd.methods.base import Arrival, Method

RECORD_COLUMNS = ("time", "worker", "k", "delay", "duration")  # of every arrival
MAX_WEIGHT_GROUPS = 256  # more workers than this are weighed in groups of similar speed


def arrival_statistics(arrivals: dict[str, np.ndarray], num_workers: int, ignored: int, aborted: int) -> dict:
    """Counts of gradients and delays, as plain JSON values."""
    count, delays = len(arrivals["worker"]), arrivals["delay"]
    return {
        "computed_gradients": count + aborted,
        "applied_gradients": count - ignored,
        "wasted_gradients": ignored + aborted,
        "delay_mean": float(delays.mean()) if count else 0.0,
        "delay_max": int(delays.max()) if count else 0,
        "delay_histogram": np.bincount(delays).tolist() if count else [],
        "arrivals": np.bincount(arrivals["worker"], minlength=num_workers).tolist(),
    }


def step_statistics(
    new_method: Callable[[Tensor, Tensor], Method],
    arrivals: dict[str, np.ndarray],
    mean_times: np.ndarray,
    departures: list,
    times: np.ndarray,
    until: float,
) -> dict:
    """The steps that were applied, by worker and over time, by feeding the schedule to a second instance.

    Worker i's gradients are replaced by the i-th unit vector and γ by 1, so −x sums up the steps of each worker.
    More than 256 workers are weighed in groups of similar speed.

    Args:
        new_method: makes the second instance from x⁰ and step size.
        arrivals: the recorded schedule, by column.
        mean_times: seconds per gradient, by which workers are grouped.
        departures: workers that left, each as [number of arrivals before, worker, time].
        times: seconds at which the total step is wanted, in increasing order.
        until: horizon in seconds.

    Returns:
        effective_weights, the share of every worker in the sum of all steps, `[n]`, None without any step; total_step,
        the sum of all steps up to each of `times`, in units of γ; step_per_second, its mean slope up to the horizon.
    """
    n = len(mean_times)
    num_groups = min(n, MAX_WEIGHT_GROUPS)
    group_of = np.empty(n, dtype=np.int64)
    for group, members in enumerate(np.array_split(np.argsort(mean_times, kind="stable"), num_groups)):
        group_of[members] = group
    group_of = np.arange(n) if num_groups == n else group_of
    twin = new_method(torch.zeros(1, num_groups, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64))
    twin.start()
    left = deque(departures)
    units = unit_vectors(group_of[arrivals["worker"]], num_groups)
    rows = zip(units, *(arrivals[name].tolist() for name in ("worker", "delay", "time", "duration")), strict=True)
    total_step, position = [], 0
    for end in [*np.searchsorted(arrivals["time"], latest(times), side="right").tolist(), len(arrivals["time"])]:
        for unit, worker, delay, time, duration in itertools.islice(rows, end - position):
            while left and left[0][0] <= position:
                twin.leave(left.popleft()[1])
            twin.receive(Arrival(worker, unit, delay, time, duration))
            position += 1
        total_step.append(0.0 - float(twin.x.sum()))
    for _, worker, _ in left:
        twin.leave(worker)
    total = -float(twin.x.sum())
    weights = None
    if total != 0:
        shares = (twin.x[0] / -total).numpy() + 0.0  # no negative zeros
        weights = (shares[group_of] / np.bincount(group_of)[group_of]).tolist()
    return {"effective_weights": weights, "total_step": total_step[:-1], "step_per_second": total / until + 0.0}


NO_STEP_STATISTICS = dict.fromkeys(("effective_weights", "total_step", "step_per_second"))


def unit_vectors(indices: np.ndarray, dim: int) -> Iterator[Tensor]:
    """The unit vectors of these indices, `[1, dim]` each and apart in memory; a thousand at a time is fastest."""
    every = torch.eye(dim, dtype=torch.float64)
    for some in torch.from_numpy(indices).split(1000):
        yield from every[some].split(1)


def count_vectors(method: Method) -> int:
    """Distinct tensors of x's size among the method's attributes, x itself not counted."""
    size, found = method.x.numel(), {}

    def walk(value):
        if isinstance(value, Tensor):
            if value.numel() == size and value is not method.x:
                found[id(value)] = True
        elif isinstance(value, list | tuple):
            for entry in value:
                walk(entry)
        elif isinstance(value, dict):
            for entry in value.values():
                walk(entry)

    for name, value in vars(method).items():
        if name not in ("x", "step_size", "compute_times"):
            walk(value)
    return len(found)
