"""What must cease to matter as ε → 0: heterogeneity, staleness, the slowest worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import t as students_t

from rasgd import exact
from rasgd.experiments import settings as experiment
from rasgd.methods import METHODS
from rasgd.simulation.simulate import simulate
from rasgd.theory.instances import DiagonalQuadratic, spectrum_quadratic

TABLES = ("ratios", "floors")
SKIPPED = 0.125  # first part of a simulated run that is left out of its time average


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """Ratios of exact times of Rescaled ASGD, and ratios of floors.

    Ratios: one row per effect (heterogeneity, staleness, slowest), parameter (ζ, ζ, τ_max) and ε; measured is the
    median over instances, low and high their range, predicted the limit as ε → 0; replicas counts the instances.
    Floors: one row per method and step, 0 being the limit of small ones; measured is floor(ζ)/floor(0) with its 95 %
    interval, exact where low = high, predicted the limit as the step vanishes.
    """
    ratios = time_ratios(settings, lambda done: report(done / 2))
    floors = [floor_ratios(settings, method) for method in settings["floor"]["methods"]]
    return {"ratios": ratios, "floors": pd.concat(floors, ignore_index=True)}


def time_ratios(settings: dict, report: Callable[[float], None]) -> pd.DataFrame:
    @cache
    def seconds(seed: int, zeta: float, times: tuple, epsilon: float, fresh: bool = False) -> float:
        problem = quadratic(settings, zeta, seed).problem()
        return exact.best_time(exact.dynamics(problem, "rescaled", times, fresh), epsilon).seconds

    usual, slowest = tuple(settings["compute_times"]), settings["slowest"]
    stale, apart = settings["staleness"]["heterogeneity"], slowest["heterogeneity"]
    reference = tuple(slowest["reference"])
    rows = []
    for number, epsilon in enumerate(settings["epsilons"]):
        report(number / len(settings["epsilons"]))
        ratios = {
            ("heterogeneity", zeta): [
                seconds(seed, zeta, usual, epsilon) / seconds(seed, 0.0, usual, epsilon)
                for seed in settings["instance_seeds"]
            ]
            for zeta in settings["heterogeneity"]
        }
        ratios["staleness", stale] = [
            seconds(seed, stale, usual, epsilon) / seconds(seed, stale, usual, epsilon, fresh=True)
            for seed in settings["instance_seeds"]
        ]
        for times in map(tuple, slowest["compute_times"]):
            ratios["slowest", max(times)] = [
                seconds(seed, apart, times, epsilon) / seconds(seed, apart, reference, epsilon)
                for seed in settings["instance_seeds"]
            ]
        rows += [
            {
                "effect": effect, "parameter": parameter, "epsilon": epsilon, "predicted": 1.0,
                "measured": np.median(values), "low": min(values), "high": max(values), "replicas": len(values),
            }
            for (effect, parameter), values in ratios.items()
        ]  # fmt: skip
    order = ["effect", "parameter", "epsilon"]
    return pd.DataFrame(rows).sort_values(order, ascending=[True, True, False], ignore_index=True)


def quadratic(settings: dict, zeta: float, seed: int) -> DiagonalQuadratic:
    num_workers = len(settings["compute_times"])
    return spectrum_quadratic(settings["curvatures"], num_workers, zeta, settings["noise"], settings["gap"], seed)


def floor_ratios(settings: dict, method: str) -> pd.DataFrame:
    """floor(ζ)/floor(0) of one instance at every step size and, extrapolated from the two smallest, at none."""
    runs, times, seed = settings["floor"], settings["compute_times"], settings["instance_seeds"][0]
    both = [quadratic(settings, zeta, seed) for zeta in (runs["heterogeneity"], 0.0)]
    simulated = METHODS[method].draws_jobs
    steps = np.sort(runs["step_sizes"] + ([] if simulated else runs["exact_step_sizes"]))[::-1]
    if not simulated:
        dynamics = (exact.dynamics(given.problem(), method, times) for given in both)
        with_zeta, without = (exact.stationary_error(known, steps).total[:, None] for known in dynamics)
    else:
        with_zeta, without = (simulated_floors(q, times, method, steps, runs) for q in both)
    measured, width = ratio_of_means(with_zeta, without, extrapolation(steps))
    steps = np.append(steps, [0.0] * (len(measured) - len(steps)))
    count = len(runs["schedule_seeds"]) if simulated else 1
    # Gradients of workers drawn independently have variance σ² + ζ²; in permutations their differences cancel.
    excess = (runs["heterogeneity"] / settings["noise"]) ** 2 if method == "concurrent" else 0.0
    return pd.DataFrame(
        {
            "method": method, "step_size": steps, "predicted": 1.0 + excess, "measured": measured,
            "low": measured - width, "high": measured + width, "replicas": count,
        }
    )  # fmt: skip


def simulated_floors(
    given: DiagonalQuadratic, times: list[float], method: str, steps: np.ndarray, runs: dict
) -> np.ndarray:
    """Time averages of ‖∇F‖² [steps, schedules] from the minimiser on, mean over seeds: schedules are what varies."""
    at_rest = DiagonalQuadratic(given.curvatures, given.b, given.noise_std, np.zeros_like(given.initial_point))
    columns = []
    for schedule_seed, seeds in experiment.dealt_seeds(runs, random_schedule=True):
        result = simulate(
            at_rest.problem(), method, times, list(steps), seed=seeds, until=runs["until"],
            eval_every=runs["eval_every"], schedule_seed=schedule_seed,
        )  # fmt: skip
        late = result.metrics[result.metrics["time"] >= SKIPPED * runs["until"]]
        columns.append(late.groupby("step_size")["grad_norm_sq"].mean().loc[list(steps)].to_numpy())
    return np.stack(columns, axis=1)


def extrapolation(steps: np.ndarray) -> np.ndarray:
    """Weights of the values at decreasing step sizes in the line through the last two at no step, `[1, steps]`.

    What is left at a small step is proportional to it. With one step there is no line: `[0, 1]`.
    """
    if len(steps) < 2:
        return np.zeros((0, len(steps)))
    weights = np.zeros((1, len(steps)))
    weights[0, -2:] = np.array([-steps[-1], steps[-2]]) / (steps[-2] - steps[-1])
    return weights


def ratio_of_means(above: np.ndarray, below: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratios of paired means over the last axis and half their 95 % intervals, by the jackknife.

    Args:
        above, below: `[rows, replicas]`; one replica is exact.
        weights: of combinations of the ratios, which follow them, `[combinations, rows]`.
    """
    count = above.shape[1]
    ratios = above.mean(axis=1) / below.mean(axis=1)
    values = np.append(ratios, weights @ ratios)
    if count == 1:
        return values, np.zeros_like(values)
    left_out = [(table.sum(axis=1, keepdims=True) - table) / (count - 1) for table in (above, below)]
    without_one = left_out[0] / left_out[1]
    error = np.sqrt((count - 1) * np.vstack([without_one, weights @ without_one]).var(axis=1))
    return values, students_t.ppf(0.975, count - 1) * error
