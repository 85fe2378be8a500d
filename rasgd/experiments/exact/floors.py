"""Where constant steps settle on a quadratic, exactly and by simulation, and which steps are stable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd import exact
from rasgd.problems.quadratic import Quadratic, random_quadratic
from rasgd.simulation.simulate import simulate
from rasgd.summaries import t_interval
from rasgd.theory.weights import weighted_minimiser

TABLES = ("floors", "stability")
SKIPPED = 0.25  # first part of a simulated run that is left out of its time average


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """One row per method and step (floors), and one per method and step around the largest stable one (stability).

    Floors: predicted is exact, measured with its 95 % interval is simulated, nan where it is not. Stability: growth of
    ‖∇F‖ per cycle of a noiseless run, predicted by the spectral radius.
    """
    times = settings["compute_times"]
    problem = random_quadratic(num_workers=len(times), **settings["problem"])
    floors, stability = [], []
    for number, method in enumerate(settings["methods"]):
        report(number / len(settings["methods"]))
        dynamics = exact.dynamics(problem, method, times)
        largest = exact.largest_stable_step(dynamics)
        small = exact.small_step(dynamics)
        simulated = simulated_floors(problem, times, method, largest, small.weights, settings["simulated"])
        rows = exact_floors(dynamics, largest, small, settings).merge(simulated, how="left")
        floors.append(rows.assign(method=method))
        stability.append(stability_rows(problem, dynamics, method, largest, settings["stability"]))
    tables = {name: pd.concat(rows, ignore_index=True) for name, rows in zip(TABLES, (floors, stability), strict=True)}
    return tables | {"floors": tables["floors"][["method", *tables["floors"].columns.drop("method")]]}


def exact_floors(dynamics: exact.Dynamics, largest: float, small: exact.SmallStep, settings: dict) -> pd.DataFrame:
    """Floors at the grid's and the simulated relative steps; limit is what they tend to as the step vanishes."""
    grid = settings["relative_steps"]
    exponents = np.arange(grid["lowest_log2"] * grid["steps_per_octave"], 0) / grid["steps_per_octave"]
    relative = np.union1d(2.0**exponents, settings["simulated"]["relative_steps"])
    floor = exact.stationary_error(dynamics, relative * largest)
    return pd.DataFrame(
        {
            "relative_step": relative,
            "step_size": relative * largest,
            "predicted": floor.total,
            "predicted_bias": floor.bias,
            "predicted_noise": floor.noise,
            "small_step": small.bias + small.slope * relative * largest,
            "limit": small.bias,
        }
    )


def simulated_floors(
    problem: Quadratic, times: list[float], method: str, largest: float, weights: np.ndarray, runs: dict
) -> pd.DataFrame:
    """Time averages of ‖∇F‖², mean over seeds with a 95 % interval; the runs start where the method settles."""
    start = weighted_minimiser(problem.A, problem.b, weights)
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
    problem: Quadratic, dynamics: exact.Dynamics, method: str, largest: float, runs: dict
) -> pd.DataFrame:
    """Growth of ‖∇F‖ per cycle over the second half of noiseless runs without heterogeneity, so that it tends to ρ."""
    times = dynamics.plan.setting.seconds
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
    # The theory's period may be another than a cycle of arrivals.
    predicted = exact.spectral_radius(dynamics, np.sort(relative) * largest) ** (period / dynamics.period)
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
