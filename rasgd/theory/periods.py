"""Cycles: when arrivals of fixed compute times repeat, in which order they come, and what rounding costs.

Marks: [paper] Rescaled ASGD (arXiv 2605.13434), [derived] worked out in this project.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import gcd, lcm, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times

LARGEST_DENOMINATOR = 1_000_000  # of a ratio of two compute times that counts as commensurate
RELATIVE_SLACK = 1e-12  # decimal times (0.1, 0.3) have the ratios they are written with
MAX_ARRIVALS = 1_000_000  # of one cycle: beyond that its arrivals are not worth listing
# E τ′/τ where log₂ τ is uniform: ∫₀¹ 2^{1−u} du = 1/ln 2. [derived]
MEAN_ROUNDING = 1.0 / log(2.0)


class Cycle(NamedTuple):
    """One cycle of arrivals, from a common start to the next common arrival.

    ``seconds``: T. ``arrivals`` [n]: Kᵢ = T/τᵢ. ``workers`` [K]: who arrives, in order. ``times`` [K]: when, in (0, T].
    """

    seconds: float
    arrivals: np.ndarray
    workers: np.ndarray
    times: np.ndarray

    @property
    def length(self) -> int:
        """K = Σ Kᵢ, the arrivals in one cycle."""
        return len(self.workers)


def are_harmonic(compute_times: ArrayLike) -> bool:
    """Say whether of every two times one is a whole multiple of the other. [paper, Assumption 3.1]"""
    times = np.unique(checked_times(compute_times))
    return all(is_whole(later / earlier) for earlier, later in pairwise(times))


def divide_the_slowest(compute_times: ArrayLike) -> bool:
    """Say whether τᵢ divides τ_max for every i: all that the paper's proofs use of Assumption 3.1. [derived]

    Then τ_max is the cycle and every Kᵢ = τ_max/τᵢ is whole. 2 and 3 with 6 satisfy this but are not harmonic.
    """
    times = checked_times(compute_times)
    return all(is_whole(times.max() / own) for own in times)


def rounded_up(compute_times: ArrayLike, unit: float = 1.0) -> np.ndarray:
    """Return the times [n] raised to ``unit`` times the next power of two: harmonic, at most doubled. [paper, §3]

    Every worker waits for its round time, so the leading term grows by τ_A′/τ_A ≤ 2, by ``MEAN_ROUNDING`` = 1.443 on
    average where log₂ of the times is uniform [derived].
    """
    times = checked_times(compute_times)
    return unit * 2.0 ** np.ceil(np.log2(times / unit * (1.0 - RELATIVE_SLACK)))


def cycle_seconds(compute_times: ArrayLike) -> float:
    """Return T, the least common multiple of the times: τ_max where every τᵢ divides it. [paper, §3; derived]"""
    ticks, unit = whole_ticks(compute_times)
    return lcm(*ticks) * unit


def arrival_counts(compute_times: ArrayLike) -> np.ndarray:
    """Return Kᵢ = T/τᵢ [n]; their sum K is nτ_max/τ_H where every τᵢ divides τ_max. [paper, §3]"""
    ticks, _ = whole_ticks(compute_times)
    return np.array([lcm(*ticks) // own for own in ticks], dtype=float)


def cycle(compute_times: ArrayLike, order: Sequence[int] | None = None) -> Cycle:
    """Return the cycle's arrivals, those at the same instant in the ``order`` of their workers (default: by index).

    ``order``: a permutation of the workers, first to arrive first. Raises ``ValueError`` when it is none, and when a
    cycle holds more than a million arrivals.
    """
    ticks, unit = whole_ticks(compute_times)
    n, period = len(ticks), lcm(*ticks)
    ranks = np.arange(n) if order is None else np.argsort(_permutation(order, n))
    counts = [period // own for own in ticks]
    if sum(counts) > MAX_ARRIVALS:
        raise ValueError(
            f"compute_times must repeat within {MAX_ARRIVALS:,} arrivals, they do after {sum(counts):,}; round them"
        )
    workers = np.repeat(np.arange(n), counts)
    at = np.concatenate([own * np.arange(1, count + 1) for own, count in zip(ticks, counts, strict=True)])
    sequence = np.lexsort((ranks[workers], at))
    return Cycle(period * unit, np.array(counts, dtype=float), workers[sequence], at[sequence] * unit)


def delays(compute_times: ArrayLike, order: Sequence[int] | None = None) -> list[np.ndarray]:
    """Return δ of each of worker i's Kᵢ arrivals in a later cycle: updates since its point was handed out. [derived]

    In the first cycle, from a common start, they are smaller by the arrivals that tie with the cycle's end.
    """
    own = cycle(compute_times, order)
    positions = [np.flatnonzero(own.workers == worker) for worker in range(len(own.arrivals))]
    return [np.diff(places, prepend=places[-1] - own.length) - 1 for places in positions]


def mean_delays(compute_times: ArrayLike) -> np.ndarray:
    """Return nτᵢ/τ_H − 1 [n], worker i's delay on average over a cycle, in any tie order. [paper, eq. 21; derived]

    The paper states it for every single delay. That fails in every tie order: with τ = (1, 2) worker 1's are 0 and 1.
    As a mean it holds for all commensurate times, since the Kᵢ gaps between a worker's arrivals add up to K.
    """
    times = checked_times(compute_times)
    return times * np.sum(1.0 / times) - 1.0


def common_divisors(compute_times: ArrayLike) -> np.ndarray:
    """Return gcd(τᵢ, τⱼ) [n, n] in seconds, τᵢ on the diagonal."""
    ticks, unit = whole_ticks(compute_times)
    return unit * np.array([[gcd(one, other) for other in ticks] for one in ticks], dtype=float)


def whole_ticks(compute_times: ArrayLike) -> tuple[list[int], float]:
    """Return integers without a common factor and the unit in seconds that makes them the compute times.

    Raises ``ValueError`` where two times have no ratio with a denominator up to a million.
    """
    times = checked_times(compute_times)
    fastest = times.min()
    ratios = [Fraction(float(time / fastest)).limit_denominator(LARGEST_DENOMINATOR) for time in times]
    for time, ratio in zip(times, ratios, strict=True):
        if abs(float(ratio) - time / fastest) > RELATIVE_SLACK * time / fastest:
            raise ValueError(f"compute_times must be commensurate, got {time:.17g} beside {fastest:.17g}")
    denominator = lcm(*(ratio.denominator for ratio in ratios))
    ticks = [int(ratio * denominator) for ratio in ratios]
    shared = gcd(*ticks)
    return [tick // shared for tick in ticks], float(fastest * shared / denominator)


def is_whole(ratio: float) -> bool:
    """Say whether a ratio of two times is a whole number but for rounding."""
    return abs(ratio - round(ratio)) <= RELATIVE_SLACK * ratio


def _permutation(order: Sequence[int], num_workers: int) -> np.ndarray:
    given = np.array(list(order))
    if sorted(given.tolist()) != list(range(num_workers)):
        raise ValueError(f"order must hold every worker 0…{num_workers - 1} once, got {given.tolist()}")
    return given
