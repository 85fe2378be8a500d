"""The periodic arrival schedule of fixed, commensurate compute times."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times

_LARGEST_DENOMINATOR = 1_000_000


@dataclass(frozen=True)
class ArrivalCycle:
    """One cycle (0, T] of arrivals; all workers start, and restart, together at its ends.

    ``period``: T in seconds. ``workers`` [E] and ``times`` [E]: who arrives and when, ordered by time and then by
    worker index. ``starts`` [E+1] and ``seconds`` [E+1]: when the phase after each arrival begins (phase 0 begins
    with the cycle) and how long it lasts; arrivals at the same instant leave phases of 0 seconds between them.
    """

    period: float
    workers: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    seconds: np.ndarray


def _integer_ratios(times: np.ndarray) -> tuple[list[int], float]:
    """Return integers kᵢ without a common factor and the unit u in seconds with τᵢ = kᵢ u."""
    ratios = [Fraction(float(t / times[0])).limit_denominator(_LARGEST_DENOMINATOR) for t in times]
    for worker, ratio in enumerate(ratios):
        if ratio == 0 or abs(float(ratio) - times[worker] / times[0]) > 1e-13 * float(ratio):
            raise ValueError(
                f"compute_times must be commensurate, but worker {worker}'s {times[worker]:.17g} s over worker 0's "
                f"{times[0]:.17g} s is no fraction with a denominator up to {_LARGEST_DENOMINATOR}"
            )
    denominator = lcm(*(ratio.denominator for ratio in ratios))
    integers = [int(ratio * denominator) for ratio in ratios]
    common = gcd(*integers)
    integers = [k // common for k in integers]
    return integers, float(times[0] / integers[0])


def arrival_cycle(compute_times: ArrayLike, max_arrivals: int = 100_000) -> ArrivalCycle:
    """Return the cycle after which all workers arrive together: T = lcm(τ), Σ T/τᵢ arrivals. [derived]

    Times are taken as exact fractions of each other, so that ties are what they are on paper. Raises ``ValueError``
    when the compute times are not commensurate or the cycle has more than ``max_arrivals`` arrivals.
    """
    times = checked_times(compute_times)
    integers, unit = _integer_ratios(times)
    period = lcm(*integers)
    counts = [period // k for k in integers]
    if sum(counts) > max_arrivals:
        raise ValueError(
            f"compute_times must have a cycle of at most {max_arrivals} arrivals, got one of {sum(counts)} "
            f"({period * unit:g} s); round the times to fewer distinct values"
        )
    workers = np.repeat(np.arange(times.size), counts)
    ticks = np.concatenate([k * np.arange(1, count + 1) for k, count in zip(integers, counts, strict=True)])
    order = np.lexsort((workers, ticks))
    starts = np.concatenate([[0], ticks[order]]) * unit
    return ArrivalCycle(
        period=float(period * unit),
        workers=workers[order],
        times=starts[1:],
        starts=starts,
        seconds=np.diff(starts, append=starts[-1]),
    )


def locate(cycle: ArrivalCycle, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (whole cycles passed, phase index) at each time: after every arrival with time ≤ t.

    Times within 1e-9 of a cycle below an arrival count as that arrival, so sums of decimal times tie.
    """
    slack = 1e-9
    cycles = np.floor(times / cycle.period + slack).astype(np.int64)
    elapsed = times - cycles * cycle.period
    phases = np.searchsorted(cycle.starts, elapsed + slack * cycle.period, side="right") - 1
    # At the very end of a cycle the next one's phase 0 holds the same state, and `cycles` has already counted it.
    return cycles, np.clip(phases, 0, len(cycle.starts) - 1)
