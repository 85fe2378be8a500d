"""The exact time to ε on quadratics adapted to ε, some of it simulated too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rasgd import summaries
from rasgd.experiments import settings as experiment
from rasgd.experiments.tuned_time import crossings
from rasgd.simulation.simulate import simulate
from rasgd.theory import best_step, complexity, first_passage, synchronous
from rasgd.theory.instances import DiagonalQuadratic, adapted_quadratic
from rasgd.theory.weights import harmonic_mean_compute_time, mean_compute_time

TABLES = ("times",)
HORIZON = 2.0  # of a simulated run, over the predicted time
MAX_DOUBLINGS = 6  # of a horizon, where no time is predicted


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """One row per profile, ε, method, choice of S and choice of step.

    Columns: steps is tuned or theory; batch is Malenia's S, batch_choice how it was chosen; seconds exact; scaled is
    seconds·nε²/(ΔLσ²τ_A); over_rescaled the ratio to Rescaled ASGD's tuned time and predicted_ratio its limit as ε → 0;
    bound Rescaled ASGD's four terms, without a constant, and lower_bound that of all methods; measured, low, high: time
    of simulated runs with its 95 % interval over so many replicas, nan where there are none. Rows of asgd are for data
    without heterogeneity, also in what they are compared with. Methods without an exact theory here have theory's steps
    alone, simulated, and seconds are what was measured.

    Raises:
        ValueError: naming the key of a profile or ε that there is not.
    """
    if settings["simulated"]["profile"] not in settings["profiles"]:
        known = ", ".join(settings["profiles"])
        raise ValueError(f"simulated.profile must be one of {known}, got {settings['simulated']['profile']!r}")
    for key in ("simulated", "theory_steps"):
        if not set(settings[key]["epsilons"]) <= set(settings["epsilons"]):
            raise ValueError(f"{key}.epsilons must be among epsilons, got {settings[key]['epsilons']}")
    rows = []
    for number, (profile, chosen) in enumerate(settings["profiles"].items()):
        report(number / (len(settings["profiles"]) + 1))
        times = np.array(chosen["compute_times"], dtype=float)
        for epsilon in settings["epsilons"]:
            quadratic = adapted_quadratic(epsilon, len(times), **settings["problem"])
            table = pd.DataFrame(exact_times(quadratic, times, epsilon, settings["malenia_batches"]))
            table = with_theory(table, quadratic, times, epsilon)
            table.loc[len(table)] = without_heterogeneity(settings["problem"], times, epsilon)
            table[["measured", "low", "high", "replicas"]] = np.nan
            if epsilon in settings["theory_steps"]["epsilons"]:
                for method in settings["theory_steps"]["methods"]:
                    table.loc[len(table)] = at_theory_step(method, quadratic, times, epsilon, table, settings)
            rows.append(table.assign(profile=profile, epsilon=epsilon))
    table = pd.concat(rows, ignore_index=True)
    simulate_some(table, settings)
    first = ["profile", "epsilon", "method", "steps", "batch_choice"]
    return {"times": table[first + [name for name in table if name not in first]]}


def exact_times(quadratic: DiagonalQuadratic, times: np.ndarray, epsilon: float, batches: list) -> Iterator[dict]:
    """Rows of all methods at tuned and at theory's steps."""
    instance, constants, n = quadratic.instance(), quadratic.constants(), len(times)
    for method in ("rescaled", "minibatch"):
        for steps in ("tuned", "theory"):
            step = complexity.theory_step_size(method, constants, times, epsilon)
            found = reached(instance, times, method, epsilon, step if steps == "theory" else None)
            yield row(method, steps, found, batch_choice="none", batch=np.nan)
    theory_batch = complexity.malenia_batch(constants.noise_variance, epsilon, n)
    candidates = [(max(1.0, float(experiment.in_workers(batch, n))), "tuned") for batch in batches]
    tuned = []
    for batch, choice in [*candidates, (float(theory_batch), "theory")]:
        twin, seconds = synchronous.malenia_twin(instance, times, batch)
        found = reached(twin, seconds, "minibatch", epsilon, None)
        if choice == "tuned":
            tuned.append((found, batch))
            continue
        yield row("malenia", "tuned", found, batch_choice="theory", batch=batch)
        step = complexity.theory_step_size("malenia", constants, times, epsilon, batch=batch)
        found = reached(twin, seconds, "minibatch", epsilon, step)
        yield row("malenia", "theory", found, batch_choice="theory", batch=batch)
    found, batch = min(tuned)
    yield row("malenia", "tuned", found, batch_choice="tuned", batch=batch)


def reached(instance, times: np.ndarray, method: str, epsilon: float, step: float | None) -> best_step.BestTime:
    """The time to ε at a step, or at the best one."""
    if step is None:
        return best_step.best_time(instance, times, method, epsilon)
    return best_step.BestTime(float(first_passage.time_to_target(instance, times, method, step, epsilon)), step)


def row(method: str, steps: str, found: best_step.BestTime, batch_choice: str, batch: float) -> dict:
    return {
        "method": method, "steps": steps, "batch_choice": batch_choice, "batch": batch, "step_size": found.step_size,
        "seconds": found.seconds,
    }  # fmt: skip


def with_theory(table: pd.DataFrame, quadratic: DiagonalQuadratic, times: np.ndarray, epsilon: float) -> pd.DataFrame:
    """The table with what bounds and limits say about it."""
    # Equal curvatures allow ρ from 1 on; at √2 the exact ζ²(ρ) is finite.
    constants = quadratic.constants()
    unit = complexity.leading_term("rescaled", constants, times, epsilon)
    own = table["seconds"][(table["method"] == "rescaled") & (table["steps"] == "tuned")].item()
    spread = times.max() / mean_compute_time(times)
    return table.assign(
        scaled=table["seconds"] / unit,
        over_rescaled=table["seconds"] / own,
        predicted_ratio=np.where(table["method"] == "minibatch", spread, 1.0),
        bound=complexity.rescaled_bound(constants, times, epsilon) / unit,
        lower_bound=complexity.lower_bound(constants, times, epsilon) / unit,
    )


def without_heterogeneity(problem: dict, times: np.ndarray, epsilon: float) -> pd.Series:
    """Vanilla ASGD's row: with homogeneous data it minimises F, and each of its gradients counts the same."""
    alike = adapted_quadratic(epsilon, len(times), **(problem | {"heterogeneity": 0.0})).instance()
    vanilla, rescaled = (reached(alike, times, method, epsilon, None) for method in ("asgd", "rescaled"))
    ratios = {
        "over_rescaled": vanilla.seconds / rescaled.seconds,
        "predicted_ratio": harmonic_mean_compute_time(times) / mean_compute_time(times),
    }
    return pd.Series(row("asgd", "tuned", vanilla, batch_choice="none", batch=np.nan) | ratios)


def at_theory_step(
    method: str, quadratic: DiagonalQuadratic, times: np.ndarray, epsilon: float, table: pd.DataFrame, settings: dict
) -> pd.Series:
    """The row of a method that is simulated at the step that its theory prescribes, over a horizon that it decides."""
    seeds = settings["theory_steps"]["seeds"]
    step = complexity.theory_step_size(method, quadratic.constants(), times, epsilon)
    reference = table.set_index(["method", "steps", "batch_choice"])["seconds"]
    until = HORIZON * reference["minibatch", "theory", "none"]  # which waits as long in a round
    for _ in range(MAX_DOUBLINGS + 1):
        seconds = simulated_time(quadratic, method, times, step, epsilon, seeds, until, settings)
        if np.isfinite(seconds).all():  # nothing is chosen, so a longer horizon would not change what was found
            break
        until *= 2
    return pd.Series(
        row(method, "theory", best_step.BestTime(seconds[0], step), batch_choice="none", batch=np.nan)
        | {"over_rescaled": seconds[0] / reference["rescaled", "tuned", "none"]}
        | dict(zip(("measured", "low", "high"), seconds, strict=True))
        | {"replicas": len(seeds)}
    )


def simulate_some(table: pd.DataFrame, settings: dict) -> None:
    """Fills in measured, low and high at the exact optimum's step and S."""
    runs = settings["simulated"]
    times = settings["profiles"][runs["profile"]]["compute_times"]
    wanted = table[
        (table["profile"] == runs["profile"])
        & table["epsilon"].isin(runs["epsilons"])
        & table["method"].isin(runs["methods"])
        & (table["steps"] == "tuned")
        & (table["batch_choice"] != "theory")
    ]
    for index, given in wanted.iterrows():
        quadratic = adapted_quadratic(given["epsilon"], len(times), **settings["problem"])
        options = {"S": given["batch"]} if given["method"] == "malenia" else {}
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
