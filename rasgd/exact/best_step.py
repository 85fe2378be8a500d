"""The step size with the shortest exact time to a target, among those that stay below it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rasgd.exact.maps import Dynamics
from rasgd.exact.stationary import small_step, stationary_error
from rasgd.exact.times import time_to_target

_STEPS_PER_OCTAVE = 2
_REFINED_PER_OCTAVE = 16
_OCTAVES = 3  # tried at first on each side of the step whose small-step floor is half the target
_MAX_EXTENSIONS = 8


class BestTime(NamedTuple):
    """``seconds`` to the target at the best ``step_size``; inf and nan where no step that was tried reaches it."""

    seconds: float
    step_size: float


def best_time(dynamics: Dynamics, target: float) -> BestTime:
    """The shortest time to E‖∇F‖² ≤ ``target`` over step sizes, and the step that attains it. [derived]

    Steps whose stationary error, averaged over a period, exceeds the target count as never reaching it. Close to
    instability the error can dip below the target for a moment, before it settles at a multiple of it; such a step
    solves nothing, though ``time_to_target``, true to its definition, returns the time of the dip.

    A grid of ratio √2 around the step at which noise leaves half the target, extended while the winner stands on its
    edge, then refined to 2^(1/16) around the winner: the time is then within .1 % of the minimum where it is smooth.
    Where the winner is the last step that stays below the target, it is within 2^(1/16) of the largest such step. An
    instance without noise has no such centre and is refused with ``ValueError``.
    """
    slope = small_step(dynamics).slope
    if slope == 0:
        raise ValueError("problem must have noise_std above 0, else no step size is singled out")
    centre = target / (2 * slope)
    tried: dict[int, float] = {}  # log₂(step/centre) in sixteenths → seconds

    def evaluate(exponents: list[int]) -> None:
        new = [exponent for exponent in exponents if exponent not in tried]
        if new:
            steps = centre * 2.0 ** (np.array(new) / _REFINED_PER_OCTAVE)
            stays = stationary_error(dynamics, steps).total <= target
            seconds = np.full(len(steps), np.inf)
            if stays.any():
                seconds[stays] = time_to_target(dynamics, steps[stays], target)
            tried.update(zip(new, seconds, strict=True))

    coarse = _REFINED_PER_OCTAVE // _STEPS_PER_OCTAVE
    edge = _OCTAVES * _REFINED_PER_OCTAVE
    evaluate(list(range(-edge, edge + 1, coarse)))
    for _ in range(_MAX_EXTENSIONS):
        best, lowest, highest = min(tried, key=tried.get), min(tried), max(tried)
        if np.isinf(tried[best]) or best == lowest:
            evaluate([lowest - coarse * index for index in range(1, 2 * _STEPS_PER_OCTAVE + 1)])
        elif best == highest:
            evaluate([highest + coarse * index for index in range(1, 2 * _STEPS_PER_OCTAVE + 1)])
        else:
            break
    best = min(tried, key=tried.get)
    if np.isinf(tried[best]):
        return BestTime(np.inf, np.nan)
    evaluate([best + offset for offset in range(-coarse + 1, coarse)])
    best = min(tried, key=tried.get)
    return BestTime(float(tried[best]), float(centre * 2.0 ** (best / _REFINED_PER_OCTAVE)))
