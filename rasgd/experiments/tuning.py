"""Step sizes and methods' own parameters: grids, scores, selection.

The grid is one for all methods in β, the step per *second*: step size = β / (updates per second of the method on its
schedule). Raw best step sizes span a factor of 200 between methods, best β a factor of 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rasgd import summaries
from rasgd.compute_times import ComputeTimes
from rasgd.problems.quadratic import Quadratic
from rasgd.simulation import simulate as run
from rasgd.theory.methods import ROWS
from rasgd.theory.step_sizes import step_parameters

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


def step_size_of(value: float, parameterisation: str, method: str, times: ComputeTimes) -> float:
    """The `step_size` of `rasgd.simulate` from one that settings give.

    Args:
        value: what settings list.
        parameterisation: "step_size", or "paper": γ of γᵢ = γτᵢτ_H/(nτ_max) where the method's steps follow eq. (2),
            and γ per server update of any other method.
        method: short name.
        times: of the case.
    """
    if parameterisation == "step_size" or ROWS[method].paper_step == "step_size":
        return value
    return float(step_parameters(times.mean, **{ROWS[method].paper_step: value}).step_size)


@dataclass(frozen=True)
class Candidate:
    """One point of the grid and what it scored; lower is better.

    Attributes:
        exponent: log₂ β.
        scores: one pair per target (primary, secondary); the secondary decides among equals.
        given_step_size: as settings list it, in their parameterisation; nan where β is listed.
    """

    options: dict
    exponent: float
    step_size: float
    scores: tuple[tuple[float, float], ...]
    num_diverged: int = 0
    num_collapsed: int = 0
    given_step_size: float = math.nan


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


def search_values(
    values: Sequence[float],
    options_grid: Sequence[dict],
    evaluate: Callable[[dict, list[float]], list[Candidate]],
    num_targets: int,
) -> tuple[list[Candidate], list[tuple[Candidate, bool]]]:
    """Tries the step sizes that are listed, neither more nor less; what it returns is as in `search`."""
    everything = [candidate for options in options_grid for candidate in evaluate(options, list(values))]
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
        final = float(summaries.trailing_mean(times, mean)[-1])
        scores[step] = tuple((float(summaries.time_to_target(times, mean, target)), final) for target in targets)
    return scores


def score_losses(curves, until: float, last: float, share: float = NETWORK_TAIL) -> dict[float, tuple]:
    """Per step size: (median over seeds of the training loss averaged over the last `share` of the horizon, 0).

    A replica without a row at `last`, the time of the last evaluation, has diverged and counts as infinite.
    """
    scores = {}
    for step, rows in curves.groupby("step_size"):
        losses = [
            run.loc[run["time"] >= (1 - share) * until, "loss"].mean() if run["time"].max() >= last else math.inf
            for _, run in rows.groupby(["schedule_seed", "seed"])
        ]
        scores[step] = ((float(np.median(losses)), 0.0),)
    return scores
