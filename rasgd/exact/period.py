"""When the control flow of a method on fixed compute times repeats. [derived]

The method runs with random gradients, three replicas at once: two and their sum, so that a method which is not linear
in gradients shows. What the desk does is noted arrival by arrival. A repetition is found where (worker, seconds since
the last arrival, delay, update or not) repeat and the desk's books are equal, for at least as long as everything before
took. Counters inside a method may grow for ever, so equal attributes are not asked for; `rasgd.exact.maps` demands
instead that one period and the next have equal maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rasgd.compute_times import ComputeTimes, FixedTimes, checked_times
from rasgd.exact.running import Running, Seen, Setting
from rasgd.methods import check_options, find
from rasgd.methods.base import Method
from rasgd.theory.periods import whole_ticks

MAX_ARRIVALS = 200_000  # after which a repetition is no longer looked for
_MAX_CANDIDATES = 24  # whose maps may differ before a repetition is no longer looked for


class Repetition(NamedTuple):
    """The arrivals after tick `start` repeat every `ticks` ticks; `start` is a multiple of it."""

    start: int
    ticks: int


def checked_setting(method: str | type[Method], compute_times, options: dict) -> Setting:
    """The setting of a linear method on fixed commensurate times.

    Raises:
        ValueError: for a method that is not linear, whose jobs depend on gradients or are drawn at random, for options
            it does not have, and for times that are random or no fractions of each other.
    """
    method = find(method)
    check_options(method, options)
    if not method.linear:
        raise ValueError(f"method must be linear in gradients for exact theory, and {method.label} is not")
    if not method.batched:
        raise ValueError(f"method must not choose jobs by gradients for exact theory, as {method.label} does")
    if method.draws_jobs and options.get("assignment") is None:
        raise ValueError(f"assignment must be given for exact theory of {method.label}, which else draws workers")
    if isinstance(compute_times, ComputeTimes):
        if not isinstance(compute_times, FixedTimes):
            raise ValueError(f"compute_times must be fixed for exact theory, got {type(compute_times).__name__}")
        compute_times = compute_times.mean
    seconds = checked_times(compute_times)
    ticks, unit = whole_ticks(seconds)
    frozen = tuple(
        (name, tuple(value) if isinstance(value, list | np.ndarray) else value) for name, value in options.items()
    )
    return Setting(method, frozen, tuple(seconds.tolist()), tuple(ticks), unit)


def repetitions(setting: Setting, max_arrivals: int = MAX_ARRIVALS) -> Iterator[Repetition]:
    """Candidates, shortest first, from a run that is prolonged until it shows one.

    Raises:
        ValueError: if nothing repeats within `max_arrivals` arrivals, or at the first arrival at which the method turns
            out not to be linear.
    """
    cycle = lcm(*setting.ticks)
    expected = sum(cycle // ticks for ticks in setting.ticks)
    refusal = (
        f"compute_times must make {setting.method.label} repeat itself within {max_arrivals} arrivals for exact theory"
    )
    if 4 * expected > max_arrivals:  # the first cycle is another, and all must be seen twice
        raise ValueError(f"{refusal}, but all workers meet only after {expected}; round the times")
    probe, log, wanted, refused = Probe(setting), Log(), 4 * expected, set()
    while True:
        probe.extend(log, min(wanted, max_arrivals))
        for candidate in log.repetitions():
            if candidate not in refused:
                yield candidate
                refused.add(candidate)
            if len(refused) == _MAX_CANDIDATES:
                raise ValueError(f"{refusal}, but its steps differ where its jobs repeat")
        if wanted >= max_arrivals:
            raise ValueError(f"{refusal}, got no repetition")
        wanted *= 2


class Log:
    """What was seen, one entry per arrival, and the desk's key after the last arrival of a tick (0 elsewhere)."""

    def __init__(self):
        self.ticks: list[int] = []
        self.tokens: list[int] = []
        self.updated: list[bool] = []
        self.keys: list[int] = []

    def note(self, seen: Seen) -> None:
        gap = seen.tick - (self.ticks[-1] if self.ticks else 0)
        self.tokens.append(hash((gap, seen.worker, seen.delay, seen.updated)))
        self.ticks.append(seen.tick)
        self.updated.append(seen.updated)
        self.keys.append(0)

    def repetitions(self) -> Iterator[Repetition]:
        """Distances at which everything up to the last whole tick repeats, shortest first."""
        keys, tokens, updated = np.array(self.keys), np.array(self.tokens), np.array(self.updated)
        last = int(np.flatnonzero(keys)[-1])
        keys, tokens = keys[: last + 1], tokens[: last + 1]
        for first in np.flatnonzero(keys[:-1] == keys[-1])[::-1]:
            distance = last - first
            differ = np.flatnonzero(tokens[:-distance] != tokens[distance:])
            start = int(differ[-1]) + 1 if differ.size else 0
            if 2 * (start + distance) > last + 1 or not updated[first + 1 : last + 1].any():
                continue
            ticks = self.ticks[last] - self.ticks[first]
            after = self.ticks[start - 1] if start else 0
            yield Repetition(-(-after // ticks) * ticks, ticks)


class Probe:
    """A run with random gradients on replicas a, b and a + b, which a linear method keeps apart."""

    def __init__(self, setting: Setting, dim: int = 2):
        self.random = torch.Generator().manual_seed(0)
        self.dim = dim
        self.running = Running(setting, self.draw(), torch.full((3, 1), 0.5, dtype=torch.float64), self.gradient)
        self.tick = 0
        self.count = 0

    def draw(self) -> Tensor:
        pair = torch.randn(2, self.dim, generator=self.random, dtype=torch.float64)
        return torch.cat([pair, pair.sum(0, keepdim=True)])

    def gradient(self, worker: int, point: Tensor) -> Tensor:
        return self.draw()

    def extend(self, log: Log, count: int) -> None:
        """Goes on until `count` arrivals are in the log and the tick of the last one is over."""
        while True:
            seen = self.running.receive(self.tick)
            if seen is None:  # nothing else arrives at this tick
                if log.keys:
                    log.keys[-1] = self.running.desk_key(self.tick) or 1
                if self.count >= count:
                    return self.check()
                seen = self.running.receive()
            if seen is None:
                raise ValueError(f"{self.running.method.label} waits for ever: no worker has a job")
            self.tick = seen.tick
            self.count += 1
            log.note(seen)

    def check(self) -> None:
        """Refuses a method that is not linear."""
        x = self.running.method.x
        # Sums of up to MAX_ARRIVALS random numbers, each rounded to 1e-16 of its size.
        if not torch.allclose(x[2], x[0] + x[1], rtol=0, atol=1e-10 * float(x.abs().max() + 1)):
            label = self.running.method.label
            raise ValueError(f"{label} calls itself linear in gradients, but its x at a sum is not the sum of its x")
