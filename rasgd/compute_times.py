"""How many seconds each worker's gradients take: the only source of system heterogeneity."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from rasgd import randomness
from rasgd.instants import after
from rasgd.validation import real_array, shown, whole_number


class ComputeTimes(ABC):
    """Seconds per stochastic gradient.

    Attributes:
        mean: mean seconds per gradient of every worker, float64 `[n]`.
        horizon: seconds for which durations are known.
    """

    mean: np.ndarray
    horizon: float = math.inf

    @property
    def num_workers(self) -> int:
        return len(self.mean)

    @abstractmethod
    def duration(self, worker: int, k: int, start: float) -> float:
        """Seconds the worker's k-th gradient takes when it is started at `start` seconds."""

    def seeded(self, schedule_seed: int) -> ComputeTimes:
        """The same law with the random choices of a schedule, whatever they were; fixed times return themselves.

        `rasgd.simulate` draws from `seeded(schedule_seed)`, with its own schedule_seed.
        """
        return self


def checked_times(times) -> np.ndarray:
    """Seconds per worker as a float64 vector.

    Raises:
        ValueError: naming the first worker whose time is not a positive finite number.
    """
    given = real_array("compute_times", times, "positive numbers of seconds, one per worker")
    seconds = np.atleast_1d(given.astype(np.float64))
    if seconds.ndim != 1 or len(seconds) == 0:
        raise ValueError(f"compute_times must be a non-empty list of seconds, got an array of shape {seconds.shape}")
    for worker, value in enumerate(seconds):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"compute_times must be positive finite seconds, got {value} for worker {worker}")
    return seconds


class FixedTimes(ComputeTimes):
    """Worker i needs τᵢ seconds for every gradient: the fixed computation model [lit].

    Args:
        seconds: τᵢ, positive, `[n]`.
    """

    def __init__(self, seconds: Sequence[float]):
        self.mean = checked_times(seconds)
        self.seconds = self.mean.tolist()

    def duration(self, worker: int, k: int, start: float) -> float:
        return self.seconds[worker]


class DrawnTimes(ComputeTimes):
    """Every gradient's duration is drawn afresh; a law says how 16 consecutive ones of a worker are drawn.

    Draws are keyed by (schedule seed, worker, k // 16). The seed is no part of the law: in a run it is the run's
    schedule_seed, elsewhere that of `seeded`, or 0.

    Args:
        seconds: τᵢ, positive, `[n]`, the parameter of worker i's law.
    """

    def __init__(self, seconds: Sequence[float]):
        self.base = checked_times(seconds)
        self.mean = self.base
        self.schedule_seed = 0
        self.blocks = {}  # worker → (block number, durations)

    @abstractmethod
    def draw(self, generator: np.random.Generator, base: float) -> np.ndarray:
        """Seconds of 16 gradients of a worker with parameter τᵢ = `base`, `[16]`."""

    def duration(self, worker: int, k: int, start: float) -> float:
        number, position = divmod(k, randomness.BLOCK)
        block = self.blocks.get(worker)
        if block is None or block[0] != number:
            generator = randomness.generator(self.schedule_seed, "duration", worker, number)
            block = self.blocks[worker] = (number, self.draw(generator, self.base[worker]).tolist())
        return block[1][position]

    def seeded(self, schedule_seed: int) -> DrawnTimes:
        other = copy.copy(self)
        other.schedule_seed, other.blocks = whole_number("schedule_seed", schedule_seed, at_least=0), {}
        return other


class NoisyTimes(DrawnTimes):
    """Worker i's k-th gradient takes τᵢ + |N(0, τᵢ)| seconds, redrawn for every gradient [code].

    τᵢ is also the *variance* of the normal variable, so the mean is τᵢ + √(2τᵢ/π) and the squared coefficient of
    variation (1 − 2/π)/(√τᵢ + √(2/π))² [derived]; Rescaled ASGD must scale by this mean, not by τᵢ.
    """

    def __init__(self, seconds: Sequence[float]):
        super().__init__(seconds)
        self.mean = self.base + np.sqrt(2 * self.base / math.pi)

    def draw(self, generator: np.random.Generator, base: float) -> np.ndarray:
        return base + np.abs(math.sqrt(base) * generator.standard_normal(randomness.BLOCK))


class ExponentialTimes(DrawnTimes):
    """Worker i's k-th gradient takes an exponential time of mean τᵢ seconds, redrawn for every gradient [paper, §5].

    The mean is exactly τᵢ and the squared coefficient of variation exactly 1. The law has no memory: whenever one
    looks, the rest of a gradient under way takes τᵢ seconds on average.
    """

    def draw(self, generator: np.random.Generator, base: float) -> np.ndarray:
        return base * generator.standard_exponential(randomness.BLOCK)


class RecordedTimes(ComputeTimes):
    """Durations of an earlier run, looked up by (worker, k): the same cluster under whatever method.

    Gradients that were aborted or lost left no duration; such a gap takes the worker's next one. A gradient that was
    still under way when the recording ended is taken to outlast it.

    Args:
        trace: table with columns worker, k, duration and, if known, time, as in `Trajectory.trace` (a DataFrame or a
            mapping of sequences).
        after: what happens when a worker's recorded durations run out: "stop" raises, "repeat" goes through them again.

    Raises:
        ValueError: for columns that are missing, of unequal lengths or not of such numbers, a worker without any
            duration, a gradient recorded twice, or an unknown `after`.
    """

    def __init__(self, trace, after: str = "stop"):
        if after not in ("stop", "repeat"):
            raise ValueError(f"after must be 'stop' or 'repeat', got {after!r}")
        self.after = after
        workers, ks, durations = recorded_columns(trace)
        times = np.asarray(trace["time"], dtype=np.float64) if "time" in trace else None
        self.by_worker, self.in_order, self.last_arrival = [], [], []
        for worker in range(int(workers.max()) + 1):
            (rows,) = np.nonzero(workers == worker)
            if not len(rows):
                raise ValueError(f"trace must hold a duration of every worker, worker {worker} has none")
            rows = rows[np.argsort(ks[rows], kind="stable")]
            if (np.diff(ks[rows]) == 0).any():
                raise ValueError(f"trace must hold every gradient once, worker {worker} has one of them twice")
            following = np.searchsorted(ks[rows], np.arange(ks[rows[-1]] + 1))  # itself, or the next one after a gap
            self.by_worker.append(durations[rows][following].tolist())
            self.in_order.append(durations[rows].tolist())
            self.last_arrival.append(math.inf if times is None else float(times[rows].max()))
        self.mean = np.array([np.mean(recorded) for recorded in self.in_order])
        if after == "stop" and times is not None:
            description = getattr(trace, "attrs", {}).get("rasgd", {})
            self.horizon = float(description.get("until", times.max()))

    def duration(self, worker: int, k: int, start: float) -> float:
        recorded = self.by_worker[worker]
        if k < len(recorded):
            return recorded[k]
        if self.after == "repeat":
            return self.in_order[worker][k % len(self.in_order[worker])]
        if not after(self.last_arrival[worker], start):
            return math.inf  # as in the recording, which ended before this gradient did
        raise ValueError(
            f"trace has no duration for gradient {k} of worker {worker} (asked for at {start:.6g} s); "
            "a shorter horizon or after='repeat' goes on"
        )


class PermutedTimes(ComputeTimes):
    """The times of another law, dealt to the workers in a random order that every schedule draws anew.

    So it is no accident of one assignment which worker's data a result depends on. Two laws permuted with the same
    schedule seed have the same order. Before `seeded`, the order is the given one.

    Args:
        times: a law, or seconds per worker.
    """

    def __init__(self, times: ComputeTimes | Sequence[float]):
        self.times = as_compute_times(times)
        self.order = list(range(self.times.num_workers))
        self.mean, self.horizon = self.times.mean, self.times.horizon

    def duration(self, worker: int, k: int, start: float) -> float:
        return self.times.duration(self.order[worker], k, start)

    def seeded(self, schedule_seed: int) -> PermutedTimes:
        other = copy.copy(self)
        other.times = self.times.seeded(schedule_seed)
        other.order = randomness.generator(schedule_seed, "permutation").permutation(self.num_workers).tolist()
        other.mean = other.times.mean[other.order]
        return other


def recorded_columns(trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns worker, k and duration of a trace, of equal length.

    Raises:
        ValueError: naming the column and what is wrong with it.
    """
    names = ("worker", "k", "duration")
    try:
        workers, ks, durations = columns = [np.asarray(trace[name]) for name in names]
    except (KeyError, TypeError, IndexError):
        raise ValueError(f"trace must be a table with columns {', '.join(names)}, got {shown(trace)}") from None
    shapes = [column.shape for column in columns]
    if len(set(shapes)) > 1 or workers.ndim != 1 or not workers.size:
        raise ValueError(f"trace must have rows, and columns of one length, got shapes {shapes}")
    for name, column in zip(names[:2], columns[:2], strict=True):
        if column.dtype.kind not in "iu" or column.min() < 0:
            raise ValueError(f"trace must have whole numbers of at least 0 in column {name}, got {shown(column)}")
    if durations.dtype.kind not in "iuf" or not (np.isfinite(durations) & (durations > 0)).all():
        raise ValueError(f"trace must have positive finite seconds in column duration, got {shown(durations)}")
    return workers, ks, durations.astype(np.float64)


def linear(num_workers: int) -> FixedTimes:
    """τᵢ = i for i = 1 … n seconds."""
    return FixedTimes(np.arange(1, whole_number("num_workers", num_workers) + 1))


def square_root(num_workers: int) -> FixedTimes:
    """τᵢ = √i for i = 1 … n seconds."""
    return FixedTimes(np.sqrt(np.arange(1, whole_number("num_workers", num_workers) + 1)))


def two_speed(num_fast: int, num_slow: int, fast: float = 1.0, slow: float = 10.0) -> FixedTimes:
    """The first `num_fast` workers take `fast` seconds, the following `num_slow` take `slow`."""
    num_fast = whole_number("num_fast", num_fast, at_least=0)
    num_slow = whole_number("num_slow", num_slow, at_least=0)
    return FixedTimes([fast] * num_fast + [slow] * num_slow)


def permuted(seconds: Sequence[float], seed: int = 0) -> np.ndarray:
    """The same seconds dealt to the workers in a seeded random order, float64 `[n]`."""
    seed = whole_number("seed", seed, at_least=0)
    return randomness.generator(seed, "permutation").permutation(checked_times(seconds))


def as_compute_times(compute_times) -> ComputeTimes:
    """Seconds per worker become `FixedTimes`; a `ComputeTimes` is returned with its means checked."""
    if not isinstance(compute_times, ComputeTimes):
        return FixedTimes(compute_times)
    law = type(compute_times).__name__
    if not isinstance(getattr(compute_times, "mean", None), np.ndarray):
        raise ValueError(f"{law}.mean must be an array of seconds, one per worker")
    checked_times(compute_times.mean)
    return compute_times


def checked_duration(times: ComputeTimes, worker: int, k: int, start: float) -> float:
    """Seconds that the worker's k-th gradient takes, infinite for one that never arrives.

    Raises:
        ValueError: if the law gives anything but a positive number.
    """
    given = times.duration(worker, k, start)
    if not (isinstance(given, float | int | np.number) and given > 0):
        raise ValueError(
            f"{type(times).__name__}.duration must be a positive number of seconds, got {given!r} "
            f"for gradient {k} of worker {worker}"
        )
    return float(given)
