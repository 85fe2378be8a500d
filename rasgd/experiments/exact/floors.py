"""Where constant steps settle on a quadratic, exactly and by simulation, and which steps are stable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd.problems.quadratic import Quadratic, random_quadratic
from rasgd.simulation.simulate import simulate
from rasgd.summaries import t_interval
from rasgd.theory import stationary, weights
from rasgd.theory.quadratic import QuadraticInstance, quadratic_instance

TABLES = ("floors", "stability")
SKIPPED = 0.25  # first part of a simulated run that is left out of its time average


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """One row per method and step (floors), and one per method and step around the largest stable one (stability).

    Floors: predicted is exact, measured with its 95 % interval is simulated, nan where it is not. Stability: growth of
    ‖∇F‖ per cycle of a noiseless run, predicted by the spectral radius.
    """
    times = settings["compute_times"]
    problem = random_quadratic(num_workers=len(times), **settings["problem"])
    instance = quadratic_instance(problem.A, problem.b, problem.noise_std, problem.x0)
    floors, stability = [], []
    for number, method in enumerate(settings["methods"]):
        report(number / len(settings["methods"]))
        largest = stationary.largest_stable_step(instance, times, method)
        exact = exact_floors(instance, times, method, largest, settings)
        floors.append(exact.merge(simulated_floors(problem, times, method, largest, settings["simulated"]), how="left"))
        stability.append(stability_rows(problem, instance, times, method, largest, settings["stability"]))
    return {name: pd.concat(rows, ignore_index=True) for name, rows in zip(TABLES, (floors, stability), strict=True)}


def exact_floors(
    instance: QuadraticInstance, times: list[float], method: str, largest: float, settings: dict
) -> pd.DataFrame:
    """Floors at the grid's and the simulated relative steps; limit is what they tend to as the step vanishes."""
    grid = settings["relative_steps"]
    exponents = np.arange(grid["lowest_log2"] * grid["steps_per_octave"], 0) / grid["steps_per_octave"]
    relative = np.union1d(2.0**exponents, settings["simulated"]["relative_steps"])
    floor = stationary.stationary_error(instance, times, method, relative * largest)
    limit = 0.0
    if method == "asgd":
        A, b = instance.curvatures, instance.offsets
        mean = instance.mean_curvature
        frequency = weights.arrival_frequency(times)
        point = np.linalg.solve(np.tensordot(frequency, A, axes=1), np.tensordot(frequency, b, axes=1)[..., None])
        limit = float(((mean @ point) ** 2).sum())
    return pd.DataFrame(
        {
            "method": method,
            "relative_step": relative,
            "step_size": relative * largest,
            "predicted": floor.total,
            "predicted_bias": floor.bias,
            "predicted_noise": floor.noise,
            "small_step": limit + stationary.small_step_floor(instance, times, method, relative * largest),
            "limit": limit,
        }
    )


def simulated_floors(problem: Quadratic, times: list[float], method: str, largest: float, runs: dict) -> pd.DataFrame:
    """Time averages of ‖∇F‖², mean over seeds with a 95 % interval; the runs start where the method settles."""
    means = None if method != "asgd" else weights.arrival_frequency(times)
    start = weights.weighted_minimiser(problem.A, problem.b, means)
    settled = Quadratic(problem.A, problem.b, problem.noise_std, start)
    relative = np.array(runs["relative_steps"])
    result = simulate(
        settled, method, times, list(relative * largest), seed=runs["seeds"], until=runs["until"],
        eval_every=runs["eval_every"],
    )  # fmt: skip
    late = result.metrics[result.metrics["time"] >= SKIPPED * runs["until"]]
    by_seed = late.groupby(["step_size", "seed"])["grad_norm_sq"].mean().unstack("seed")
    measured, width = t_interval(by_seed.to_numpy())
    return pd.DataFrame(
        {
            "relative_step": np.sort(relative),
            "measured": measured,
            "low": measured - width,
            "high": measured + width,
            "replicas": len(runs["seeds"]),
        }
    )


def stability_rows(
    problem: Quadratic, instance: QuadraticInstance, times: list[float], method: str, largest: float, runs: dict
) -> pd.DataFrame:
    """Growth of ‖∇F‖ per cycle over the second half of noiseless runs without heterogeneity, so that it tends to ρ."""
    period = float(np.lcm.reduce(np.array(times, dtype=int)))
    alike = Quadratic(problem.A, np.zeros_like(problem.b), 0.0, problem.x0)
    relative = np.array(runs["relative_steps"])
    cycles = runs["cycles"]
    result = simulate(alike, method, times, list(relative * largest), until=cycles * period, eval_every=period)
    rows = result.metrics[result.metrics["time"] >= cycles // 2 * period]
    growth = rows.groupby("step_size").apply(
        lambda run: np.exp(np.polyfit(run["time"] / period, np.log(run["grad_norm_sq"]) / 2, 1)[0]),
        include_groups=False,
    )
    # A minibatch step takes the slowest worker's seconds, of which the cycle holds several.
    own_period = period / (max(times) if method == "minibatch" else period)
    predicted = stationary.spectral_radius(instance, times, method, np.sort(relative) * largest) ** own_period
    return pd.DataFrame(
        {
            "method": method,
            "largest_stable_step": largest,
            "relative_step": np.sort(relative),
            "predicted_growth": predicted,
            "measured_growth": growth.to_numpy(),
            "predicted_stable": np.sort(relative) < 1,
            "measured_stable": growth.to_numpy() < 1,
        }
    )
