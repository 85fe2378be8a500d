"""Step sizes and methods' own parameters: grids, scores, selection.

The grid is one for all methods in β, the step per *second*: step size = β / (updates per second of the method on its
schedule). Raw best step sizes span a factor of 200 between methods, best β a factor of 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rasgd.compute_times import ComputeTimes
from rasgd.problems.quadratic import Quadratic
from rasgd.simulation import simulate as run

NETWORK_TAIL = 0.25  # last part of the horizon over which a network's training loss is averaged for its score


def updates_per_second(method, times: ComputeTimes, until: float, schedule_seed: int, options: dict) -> float:
    """Server updates per second of a method on a schedule, counted on a problem without gradients.

    A method that makes no update within the horizon counts as making one.
    """
    nothing = Quadratic(np.zeros((1, 1)), np.zeros((times.num_workers, 1)))
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run that follows says that no update was made
        t = run.simulate(
            nothing,
            method,
            times,
            1.0,
            until=until,
            eval_every=until,
            schedule_seed=schedule_seed,
            measure_weights=False,
            **options,
        )
    return max(1, t.statistics["num_updates"]) / until


def trailing_mean(times: np.ndarray, values: np.ndarray, share: float = 0.1) -> np.ndarray:
    """At every time t the mean of the values over [(1 − share)·t, t].

    Args:
        times: increasing, `[m]`.
        values: `[m]` or `[m, …]`, averaged along the first axis.
    """
    nothing = np.zeros_like(values[:1])
    before = np.concatenate([nothing, np.cumsum(values, axis=0)])  # sums of all earlier values
    after = np.concatenate([np.cumsum(values[::-1], axis=0)[::-1], nothing])  # and of this and all later ones
    first = np.searchsorted(times, (1 - share) * times - 1e-12 * np.abs(times))
    last = np.arange(1, len(times) + 1)
    counts = (last - first).reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore"):  # after an infinite value every mean is NaN
        # A difference of sums loses what is small beside them: behind a huge value the later sums are the better ones.
        behind_a_peak = before[last] > 1e6 * after[first]
        return np.where(behind_a_peak, after[first] - after[last], before[last] - before[first]) / counts


def time_to_target(times: np.ndarray, values: np.ndarray, target: float) -> float:
    """First time at which the mean over the last tenth of elapsed time is at most the target; inf if there is none.

    Args:
        times: evaluation times in seconds, increasing, `[m]`.
        values: the metric already averaged over seeds, `[m]`; NaN counts as above the target.
    """
    reached = np.flatnonzero(trailing_mean(times, np.nan_to_num(values, nan=np.inf)) <= target)
    return float(times[reached[0]]) if len(reached) else math.inf


@dataclass(frozen=True)
class Candidate:
    """One point of the grid and what it scored; lower is better.

    Attributes:
        exponent: log₂ β.
        scores: one pair per target (primary, secondary); the secondary decides among equals.
    """

    options: dict
    exponent: float
    step_size: float
    scores: tuple[tuple[float, float], ...]
    num_diverged: int = 0
    num_collapsed: int = 0


def grid_exponents(grid: dict) -> list[float]:
    """log₂ β of the first grid, from settings lowest_log2, steps_per_octave, count."""
    return [grid["lowest_log2"] + index / grid["steps_per_octave"] for index in range(grid["count"])]


def search(
    grid: dict,
    options_grid: Sequence[dict],
    evaluate: Callable[[dict, list[float]], list[Candidate]],
    num_targets: int,
) -> tuple[list[Candidate], list[tuple[Candidate, bool]]]:
    """Tries the grid, extends it while a winner stands on its edge, refines it around the winners.

    Args:
        grid: settings lowest_log2, steps_per_octave, count, max_extensions (each adds an octave), refine (points per
            octave around a winner; 0 for none).
        options_grid: combinations of the method's own parameters.
        evaluate: scores some exponents under one combination.
        num_targets: a winner is chosen for each.

    Returns:
        All candidates, and per target the winner with a flag that it stands on the edge of what was tried.
    """
    tried: list[list[Candidate]] = []
    for options in options_grid:
        candidates = evaluate(options, grid_exponents(grid))
        for _ in range(grid["max_extensions"]):
            more = beyond_edges(candidates, num_targets, grid["steps_per_octave"])
            if not more:
                break
            candidates += evaluate(options, more)
        tried.append(candidates)
    everything = [candidate for candidates in tried for candidate in candidates]
    for options in options_grid if grid["refine"] else []:
        mine = [winner for winner in (best(everything, j) for j in range(num_targets)) if winner.options == options]
        missing = refinement(mine, {c.exponent for c in everything if c.options == options}, grid)
        if missing:
            everything += evaluate(options, missing)
    winners = [best(everything, j) for j in range(num_targets)]
    return everything, [(winner, on_edge(winner, everything)) for winner in winners]


def refinement(winners: Sequence[Candidate], have: set[float], grid: dict) -> list[float]:
    """Exponents between the winners and their neighbours on the grid, `refine` to the octave."""
    between = range(-(grid["refine"] // grid["steps_per_octave"]) + 1, grid["refine"] // grid["steps_per_octave"])
    around = {winner.exponent + step / grid["refine"] for winner in winners for step in between}
    return sorted(around - have)


def best(candidates: Sequence[Candidate], target: int) -> Candidate:
    """The candidate with the lowest score; among equals the smallest step."""
    return min(candidates, key=lambda c: (c.scores[target], c.exponent))


def on_edge(winner: Candidate, candidates: Sequence[Candidate]) -> bool:
    exponents = [c.exponent for c in candidates if c.options == winner.options]
    return winner.exponent in (min(exponents), max(exponents))


def beyond_edges(candidates: Sequence[Candidate], num_targets: int, steps_per_octave: int) -> list[float]:
    """Exponents of one more octave on every edge on which some target's winner stands."""
    exponents = [c.exponent for c in candidates]
    winners = {best(candidates, j).exponent for j in range(num_targets)}
    more = []
    for edge, sign in ((min(exponents), -1), (max(exponents), 1)):
        if edge in winners:
            more += [edge + sign * step / steps_per_octave for step in range(1, steps_per_octave + 1)]
    return more


def score_times(curves, targets: Sequence[float], last: float) -> dict[float, tuple]:
    """Per step size and target: (time to target of E‖∇F‖², its trailing mean at the horizon).

    Args:
        curves: metric rows over tuning seeds and schedules, with columns step_size, time, grad_norm_sq. A replica that
            diverged has no later rows, which makes the step infinitely bad, whatever it had reached before.
        targets: of E‖∇F‖².
        last: time of the last evaluation.
    """
    scores = {}
    for step, rows in curves.groupby("step_size"):
        table = rows.pivot(index="time", columns=["schedule_seed", "seed"], values="grad_norm_sq")
        mean = table.mean(axis=1, skipna=False).to_numpy()
        times = table.index.to_numpy()
        if times[-1] < last or not np.isfinite(mean[-1]):
            scores[step] = tuple((math.inf, math.inf) for _ in targets)
            continue
        final = float(trailing_mean(times, mean)[-1])
        scores[step] = tuple((time_to_target(times, mean, target), final) for target in targets)
    return scores


def score_losses(curves, until: float, last: float) -> dict[float, tuple]:
    """Per step size: (median over seeds of the training loss averaged over the last quarter, 0).

    A replica without a row at `last`, the time of the last evaluation, has diverged and counts as infinite.
    """
    scores = {}
    for step, rows in curves.groupby("step_size"):
        losses = [
            run.loc[run["time"] >= (1 - NETWORK_TAIL) * until, "loss"].mean() if run["time"].max() >= last else math.inf
            for _, run in rows.groupby(["schedule_seed", "seed"])
        ]
        scores[step] = ((float(np.median(losses)), 0.0),)
    return scores
