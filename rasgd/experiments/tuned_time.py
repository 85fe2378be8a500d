"""Time to a target at the best step size, on instances small enough to tune within one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rasgd import summaries
from rasgd.compute_times import ComputeTimes
from rasgd.experiments import tuning
from rasgd.problems.base import Problem
from rasgd.simulation.simulate import simulate

HORIZON = 2.5  # times the reported time: shorter ones favour methods that are fast early
EVALUATIONS = 300


class TunedTime(NamedTuple):
    """``seconds`` to the target with its 95 % interval [``low``, ``high``], inf where the horizon ends before it.

    ``step_size`` and ``log2_beta``: what was chosen; ``on_edge``: it stands on the edge of what was tried; ``until``:
    the horizon.
    """

    seconds: float
    low: float
    high: float
    step_size: float
    log2_beta: float
    on_edge: bool
    until: float


def tuned_time(
    problem: Problem,
    method: str,
    times: ComputeTimes,
    target: float,
    until: float,
    grid: dict,
    tuning_seeds: Sequence[int],
    seeds: Sequence[int],
    max_doublings: int,
    options: dict | None = None,
) -> TunedTime:
    """Simulates a method at the step size that reaches E‖∇F‖² ≤ target soonest on other seeds.

    Args:
        problem, method, times: as `rasgd.simulate` takes them.
        target: ε.
        until: horizon in seconds, doubled until it is 2.5 times the time found, `max_doublings` times at most.
        grid: settings of `tuning.search`.
        tuning_seeds, seeds: for tuning and for reporting.
        max_doublings: of the horizon.
        options: the method's own parameters.
    """
    options = options or {}

    def error_curves(steps: list[float], seeds: Sequence[int]):
        """Evaluation times [m] and per step the metric of every seed [steps, m, seeds], inf after a divergence."""
        result = simulate(
            problem, method, times, steps, seed=seeds, until=until, eval_every=until / EVALUATIONS, **options
        )
        tables = result.metrics.pivot(index="time", columns=["step_size", "seed"], values="grad_norm_sq")
        at = tables.index.to_numpy()
        return at, np.stack([tables[step].fillna(np.inf).to_numpy() for step in steps])

    for doubling in range(max_doublings + 1):
        rate = tuning.updates_per_second(method, times, until, 0, options)

        def evaluate(own: dict, exponents: list[float], rate: float = rate) -> list[tuning.Candidate]:
            steps = [2.0**exponent / rate for exponent in exponents]
            at, curves = error_curves(steps, tuning_seeds)
            with np.errstate(over="ignore", invalid="ignore"):  # steps that diverge
                scores = [summaries.time_to_target(at, curve.mean(axis=1), target) for curve in curves]
                ends = [float(curve[-1].mean()) for curve in curves]
            return [
                tuning.Candidate(own, exponent, step, ((score, end),))
                for exponent, step, score, end in zip(exponents, steps, scores, ends, strict=True)
            ]

        _, [(chosen, on_edge)] = tuning.search(grid, [options], evaluate, 1)
        if HORIZON * chosen.scores[0][0] <= until or doubling == max_doublings:
            break
        until *= 2
    at, curves = error_curves([chosen.step_size], seeds)
    seconds = crossings(at, curves[0], target)
    return TunedTime(*seconds, chosen.step_size, chosen.exponent, on_edge, until)


def crossings(times: np.ndarray, values: np.ndarray, target: float) -> tuple[float, float, float]:
    """When the mean over replicas first is at most the target, and its pointwise 95 % interval's lower and upper end.

    Each is averaged over the last tenth of elapsed time. First hits of resampled means would come too early: each of
    them may dip below the target where the exact mean does not.

    Args:
        times: evaluation times in seconds, `[m]`.
        values: `[m, replicas]`.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # inf − inf after a divergence
        mean, width = summaries.t_interval(summaries.trailing_mean(times, values))
        ends = (mean, mean - width, mean + width)
    return tuple(float(summaries.first_time_below(times, end, target)) for end in ends)
