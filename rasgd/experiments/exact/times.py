"""The exact time to ε on quadratics adapted to ε, some of it simulated too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rasgd import exact, summaries
from rasgd.exact import BestTime, Dynamics
from rasgd.experiments import settings as experiment
from rasgd.experiments.tuned_time import crossings
from rasgd.simulation.simulate import simulate
from rasgd.theory import complexity
from rasgd.theory.instances import DiagonalQuadratic, adapted_quadratic

TABLES = ("times",)
HORIZON = 2.0  # of a simulated run, over the predicted time
EDGE_TOLERANCE = 1e-6  # relative, of the largest stable step
KEYS = ["profile", "epsilon", "method", "steps", "batch_choice"]


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """One row per profile, ε, method, choice of S and choice of step.

    Columns: steps is tuned or theory; batch is Malenia's S, batch_choice how it was chosen; heterogeneity ζ, 0 for
    methods that minimise another objective with heterogeneous data, also in what they are compared with; seconds exact;
    floor is the exact E‖∇F‖² on which the step settles, largest_stable_step the method's; scaled is
    seconds·nε²/(ΔLσ²τ_A); over_rescaled the ratio to Rescaled ASGD's tuned time and predicted_ratio its limit as ε → 0;
    bound Rescaled ASGD's four terms, without a constant, and lower_bound that of all methods; measured, low, high: time
    of simulated runs with its 95 % interval over so many replicas, nan where there are none.

    Raises:
        ValueError: naming the key of a profile or ε that there is not.
    """
    if settings["simulated"]["profile"] not in settings["profiles"]:
        known = ", ".join(settings["profiles"])
        raise ValueError(f"simulated.profile must be one of {known}, got {settings['simulated']['profile']!r}")
    for key in ("simulated", "theory_steps"):
        if not set(settings[key]["epsilons"]) <= set(settings["epsilons"]):
            raise ValueError(f"{key}.epsilons must be among epsilons, got {settings[key]['epsilons']}")
    tables = []
    every = [(profile, epsilon) for profile in settings["profiles"] for epsilon in settings["epsilons"]]
    for number, (profile, epsilon) in enumerate(every):
        report(number / (len(every) + 1))
        times = np.array(settings["profiles"][profile]["compute_times"], dtype=float)
        rows = [*exact_rows(settings, times, epsilon), *homogeneous_rows(settings, times, epsilon)]
        tables.append(pd.DataFrame(rows).assign(profile=profile, epsilon=epsilon))
    table = pd.concat(tables, ignore_index=True)
    table[["measured", "low", "high", "replicas"]] = np.nan
    simulate_some(table, settings)
    return {"times": table[KEYS + [name for name in table if name not in KEYS]]}


def exact_rows(settings: dict, times: np.ndarray, epsilon: float) -> Iterator[dict]:
    """Rows of the methods that minimise F, beside bounds and limits."""
    quadratic = adapted_quadratic(epsilon, len(times), **settings["problem"])
    constants, problem = quadratic.constants(), quadratic.problem()
    unit = complexity.leading_term("rescaled", constants, times, epsilon)
    bounds = {
        # Equal curvatures allow ρ from 1 on; at √2 the exact ζ²(ρ) is finite.
        "bound": complexity.rescaled_bound(constants, times, epsilon) / unit,
        "lower_bound": complexity.lower_bound(constants, times, epsilon) / unit,
    }
    reference = Reference(problem, times, epsilon)
    for method in settings["methods"]:
        dynamics = exact.dynamics(problem, method, times)
        found = {"tuned": exact.best_time(dynamics, epsilon)}
        if method in complexity.STEP_METHODS:
            found["theory"] = at(dynamics, complexity.theory_step_size(method, constants, times, epsilon), epsilon)
        for own in rows(method, dynamics, found, reference, settings):
            yield own | bounds | {"scaled": own["seconds"] / unit}
    for choice, batch, dynamics, found in malenia(settings, quadratic, times, epsilon):
        for own in rows("malenia", dynamics, found, reference, settings):
            yield own | bounds | {"batch_choice": choice, "batch": batch, "scaled": own["seconds"] / unit}


def malenia(
    settings: dict, quadratic: DiagonalQuadratic, times: np.ndarray, epsilon: float
) -> Iterator[tuple[str, float, Dynamics, dict[str, BestTime]]]:
    """(how S was chosen, S, dynamics, times by choice of step) of Malenia SGD at the best batch and at theory's."""
    constants, problem, n = quadratic.constants(), quadratic.problem(), len(times)
    batches = [max(1.0, float(experiment.in_workers(batch, n))) for batch in settings["malenia_batches"]]
    tried = [exact.dynamics(problem, "malenia", times, S=batch) for batch in batches]
    reached = [exact.best_time(dynamics, epsilon) for dynamics in tried]
    best = min(range(len(batches)), key=lambda index: reached[index])
    yield "tuned", batches[best], tried[best], {"tuned": reached[best]}
    batch = float(complexity.malenia_batch(constants.noise_variance, epsilon, n))
    rounds = exact.malenia_rounds(problem, times, batch)
    step = complexity.theory_step_size("malenia", constants, times, epsilon, batch=batch)
    yield "theory", batch, rounds, {"tuned": exact.best_time(rounds, epsilon), "theory": at(rounds, step, epsilon)}


def homogeneous_rows(settings: dict, times: np.ndarray, epsilon: float) -> Iterator[dict]:
    """Rows of methods with another objective: with homogeneous data all minimise F."""
    alike = settings["problem"] | {"heterogeneity": 0.0}
    problem = adapted_quadratic(epsilon, len(times), **alike).problem()
    reference = Reference(problem, times, epsilon)
    for method in settings["homogeneous_methods"]:
        dynamics = exact.dynamics(problem, method, times)
        found = {"tuned": exact.best_time(dynamics, epsilon)}
        for own in rows(method, dynamics, found, reference, settings):
            yield own | {"heterogeneity": 0.0}


class Reference:
    """What methods are compared with: Rescaled ASGD at its best step."""

    def __init__(self, problem, times: np.ndarray, epsilon: float):
        dynamics = exact.dynamics(problem, "rescaled", times)
        self.seconds = exact.best_time(dynamics, epsilon).seconds
        self.pace = pace(dynamics)


def at(dynamics: Dynamics, step: float, epsilon: float) -> BestTime:
    """The time to ε at this step."""
    return BestTime(float(exact.time_to_target(dynamics, step, epsilon)), step)


def pace(dynamics: Dynamics) -> float:
    """What the time to ε is in proportion to as ε → 0, on instances that differ in their noise alone."""
    return exact.small_step(dynamics).seconds_per_gradient * dynamics.instance.noise_std**2


def rows(
    method: str, dynamics: Dynamics, found: dict[str, BestTime], reference: Reference, settings: dict
) -> Iterator[dict]:
    """A row per choice of the step."""
    shared = {
        "method": method, "batch_choice": "none", "batch": np.nan, "predicted_ratio": pace(dynamics) / reference.pace,
        "heterogeneity": settings["problem"]["heterogeneity"],
        "largest_stable_step": exact.largest_stable_step(dynamics, EDGE_TOLERANCE),
    }  # fmt: skip
    for steps, (seconds, step_size) in found.items():
        floor = float(exact.stationary_error(dynamics, step_size).total) if np.isfinite(seconds) else np.nan
        reached = {"step_size": step_size, "seconds": seconds, "over_rescaled": seconds / reference.seconds}
        yield shared | reached | {"steps": steps, "floor": floor}


def simulate_some(table: pd.DataFrame, settings: dict) -> None:
    """Fills in measured, low and high: at the exact optimum's step and S, and at the step that theory prescribes."""
    for key, steps in (("simulated", "tuned"), ("theory_steps", "theory")):
        runs = settings[key]
        wanted = table["method"].isin(runs["methods"]) & table["epsilon"].isin(runs["epsilons"])
        wanted &= (table["steps"] == steps) & (table["batch_choice"] != "theory") & np.isfinite(table["seconds"])
        if "profile" in runs:
            wanted &= table["profile"] == runs["profile"]
        for index, given in table[wanted].iterrows():
            times = settings["profiles"][given["profile"]]["compute_times"]
            alike = settings["problem"] | {"heterogeneity": given["heterogeneity"]}
            quadratic = adapted_quadratic(given["epsilon"], len(times), **alike)
            options = {} if np.isnan(given["batch"]) else {"S": given["batch"]}
            table.loc[index, ["measured", "low", "high"]] = simulated_time(
                quadratic, given["method"], times, given["step_size"], given["epsilon"], runs["seeds"],
                HORIZON * given["seconds"], settings, **options,
            )  # fmt: skip
            table.loc[index, "replicas"] = len(runs["seeds"])


def simulated_time(
    quadratic: DiagonalQuadratic, method: str, times: ArrayLike, step: float, epsilon: float, seeds: list[int],
    until: float, settings: dict, **options,
) -> tuple[float, float, float]:  # fmt: skip
    """Seconds until the mean over seeds is at most ε, with the ends of its 95 % interval; inf beyond the horizon."""
    result = simulate(
        quadratic.problem(), method, times, step, seed=seeds, until=until,
        eval_every=until / settings["simulated"]["evaluations"], **options,
    )  # fmt: skip
    at, values = summaries.by_replica(result.metrics.assign(schedule_seed=0), "grad_norm_sq")
    return crossings(at, values, epsilon)
