"""Cycles, delays and limit points in closed form against arrivals; what lies beyond the paper's assumptions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd.experiments.exact.theorem_instances import MAX_ARRIVALS, groups, random_instances
from rasgd.experiments.exact.theorem_terms import Timed, check
from rasgd.problems.quadratic import Quadratic
from rasgd.simulation.simulate import simulate
from rasgd.theory import beyond, cycle_moments, paper, paper_delays, periods
from rasgd.theory.constants import heterogeneity_suprema
from rasgd.theory.instances import adapted_quadratic
from rasgd.theory.weights import harmonic_mean_compute_time, mean_compute_time

SMALL_STEP = 2.0**-12  # α·L of what is said about γ → 0: the next order is of this relative size, times K
LONG = 2**40  # cycles after which an average is the steady state's to 1e-9


def delays(settings: dict) -> pd.DataFrame:
    """One row per profile and worker: its delays in a cycle, and what delay-adaptive steps make of them.

    Columns: compute_time; mean_delay, smallest_delay, largest_delay over a cycle; formula_delay nτᵢ/τ_H − 1 (eq. 21);
    weight from the delays, formula_weight ∝ τᵢ⁻²; and of the profile tau_da, formula_tau_da, tau_h, tau_a.
    """
    rows = []
    for profile, chosen in (settings["profiles"] | settings["examples"]).items():
        times = np.array(chosen["compute_times"], dtype=float)
        every, formula = periods.delays(times), periods.mean_delays(times)
        weights = paper_delays.delay_adaptive_weights(times), paper_delays.delay_adaptive_weights_by_formula(times)
        whole = {
            "tau_da": paper_delays.delay_adaptive_time(times),
            "formula_tau_da": paper_delays.delay_adaptive_time_by_formula(times),
            "tau_h": harmonic_mean_compute_time(times), "tau_a": mean_compute_time(times),
        }  # fmt: skip
        for worker, own in enumerate(every):
            rows.append(
                {
                    "profile": profile, "worker": worker, "compute_time": times[worker], "mean_delay": own.mean(),
                    "formula_delay": formula[worker], "smallest_delay": int(own.min()), "largest_delay": int(own.max()),
                    "weight": weights[0][worker], "formula_weight": weights[1][worker], **whole,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def limit_checks(settings: dict) -> list[dict]:
    """Rows of the table of checks that need no random quadratics' moments."""
    profiles = {
        name: np.array(chosen["compute_times"], dtype=float)
        for name, chosen in settings["profiles"].items()
        if periods.divide_the_slowest(chosen["compute_times"])
    }
    rows = []
    for name, times in profiles.items():
        rows += [schedule_check(name, times), *delay_checks(name, times), *bias_checks(settings, name, times)]
        rows += [*equal_cycle_step_checks(name, times), *averaging_checks(settings, name, times)]
    return [*rows, *section_c_checks(), shared_curvature_check(settings)]


def schedule_check(name: str, times: np.ndarray) -> dict:
    """Arrivals and delays of a simulated run against the cycle, over three cycles; the first starts in common."""
    own = periods.cycle(times)
    problem = Quadratic(np.eye(1), np.zeros((len(times), 1)))
    run = simulate(problem, "rescaled", times, 1e-3, until=3 * own.seconds, eval_every=own.seconds, record=True)
    trace = run.trace.iloc[own.length :]
    expected = np.tile(own.times, 2) + np.repeat([1.0, 2.0], own.length) * own.seconds
    every, places = periods.delays(times), np.zeros(len(times), dtype=int)
    predicted = []
    for worker in np.tile(own.workers, 2):
        predicted.append(every[worker][places[worker] % len(every[worker])])
        places[worker] += 1
    wrong = (
        (trace["worker"].to_numpy() != np.tile(own.workers, 2))
        | (np.abs(trace["time"].to_numpy() - expected) > 1e-9)
        | (trace["delay"].to_numpy() != predicted)
    )
    row = check("cycle_schedule", f"{name}: arrivals, instants and delays that differ", len(wrong), wrong, 0.0, 0.0)
    largest = int(max(delays.max() for delays in every))
    return row | {"violations": int(wrong.sum()), "value": float(wrong.sum()), "largest_delay": largest}


def delay_checks(name: str, times: np.ndarray) -> list[dict]:
    every, formula = periods.delays(times), periods.mean_delays(times)
    error = [abs(own.mean() - predicted) for own, predicted in zip(every, formula, strict=True)]
    spread = np.array([np.ptp(own) for own in every])
    weights = paper_delays.delay_adaptive_weights(times)
    distance = np.abs(weights - paper_delays.delay_adaptive_weights_by_formula(times)).sum() / 2
    found = paper_delays.delay_adaptive_time_by_formula(times)
    outside = max(harmonic_mean_compute_time(times) - found, found - len(times) * times.min())
    constant = check("delay_constancy", f"{name}: largest minus smallest delay of a worker", len(times), spread, 0.0)
    return [
        check("delays", f"{name}: mean minus n tau_i/tau_H - 1", len(times), error, 0.0, 1e-9),
        constant | {"violations": int((spread > 0).sum())},
        check("delay_adaptive_weights", f"{name}: distance to weights by tau^-2", len(times), distance, 0.0),
        check("tau_da", f"{name}: formula outside [tau_H, n tau_min]", 1, outside, 0.0, 1e-9),
    ]


def bias_checks(settings: dict, name: str, times: np.ndarray) -> list[dict]:
    """Slope of log ‖∇F‖² at cycle ends in log γ: Rescaled ASGD's in F, vanilla ASGD's in F̃."""
    rng, n, rows = np.random.default_rng([settings["seed"], 5]), len(times), []
    group = {"compute_times": times, "dim": 2, "count": settings["draws"], "kind": "unequal"}
    arrivals = periods.cycle(times)
    if arrivals.length > 4 * MAX_ARRIVALS:
        return rows
    for method in ("rescaled", "asgd"):
        instances = random_instances(rng, group, method)
        residuals = rng.normal(size=instances.residuals.shape)
        residuals -= np.einsum("bn,bnd->bd", instances.weights, residuals)[:, None]
        instances = instances._replace(residuals=residuals, noise_std=np.zeros(len(residuals)))
        squares = []
        for alpha in (SMALL_STEP / n, SMALL_STEP / (2 * n)):
            maps = instances.maps(np.full(len(residuals), alpha), inner=False)
            limit = cycle_moments.limit_cycle(maps)[:, :2]
            squares.append(((instances.mean_curvature @ limit[:, :, None]) ** 2).sum(axis=(1, 2)))
        slope = np.log2(squares[0] / squares[1])
        row = check("bias_is_quadratic", f"{name}: {method}", len(slope), np.abs(slope - 2.0), 0.0, 0.05)
        rows.append(row | {"median": float(np.median(slope))})
    return rows


def equal_cycle_step_checks(name: str, times: np.ndarray) -> list[dict]:
    """Rescaled over vanilla ASGD at one α, homogeneous: floors as τ_A : τ_H, and rates alike."""
    arrivals, floors, rates = periods.cycle(times), {}, {}
    for method in ("rescaled", "asgd"):
        steps = paper.cycle_steps(times, paper.target_weights(method, times), np.full(1, SMALL_STEP)).worker_steps
        one, n = np.ones((1, len(times), 1, 1)), len(times)
        maps = cycle_moments.cycle_maps(one, np.zeros((1, n, 1)), steps, np.ones(1), arrivals, inner=False)
        nowhere = cycle_moments.common_start(np.zeros((1, 1)), n)
        floors[method] = cycle_moments.average_square(maps, np.ones((1, 1, 1)), nowhere, np.array([LONG]))[0]
        rates[method] = -np.log(cycle_moments.spectral_radius(maps)[0])
    price = mean_compute_time(times) / harmonic_mean_compute_time(times)
    case = "floor of Rescaled over vanilla"
    floor_ratio, rate_ratio = floors["rescaled"] / floors["asgd"], rates["rescaled"] / rates["asgd"]
    return [
        check("price_at_equal_cycle_step", f"{name}: {case}, over tau_A/tau_H", 1, floor_ratio / price, 1.0, 1.05),
        check("price_at_equal_cycle_step", f"{name}: rate of rescaled over asgd", 1, rate_ratio, 1.0, 1.05),
    ]


def averaging_checks(settings: dict, name: str, times: np.ndarray) -> list[dict]:
    """Mean ‖∇F‖² at limit cycles' ends over its time average, and over that of the point averaged in two ways."""
    rng, n, count = np.random.default_rng([settings["seed"], 6]), len(times), settings["draws"]
    residuals = rng.normal(size=(count, n, 1))
    residuals -= residuals.mean(axis=1, keepdims=True)
    arrivals = periods.cycle(times)
    steps = paper.cycle_steps(times, np.full(n, 1 / n), np.full(1, SMALL_STEP)).worker_steps
    alone = cycle_moments.cycle_maps(np.ones((1, n, 1, 1)), np.zeros((1, n, 1)), steps, np.zeros(1), arrivals)
    inner = np.eye(n + 1) - alone.advance[0, :-1, :-1]
    # the limit is linear in the residuals: one unit residual at a time
    units = np.empty((n, n + 2))
    points, by_seconds, by_arrivals = np.empty((n, arrivals.length + 1)), np.empty(n), np.empty(n)
    for worker in range(n):
        pushed = np.zeros((1, n, 1))
        pushed[0, worker] = 1.0
        maps = cycle_moments.cycle_maps(np.ones((1, n, 1, 1)), pushed, steps, np.zeros(1), arrivals)
        # a single unit residual moves the minimiser to −1/n; differences to it add up to nothing, as Σ rⱼ = 0
        units[worker] = np.append(np.linalg.solve(inner, maps.advance[0, :-1, -1]), 1.0)
        state = units[worker][None]
        by_seconds[worker] = cycle_moments.phase_average(maps, arrivals, state)[0, 0]
        by_arrivals[worker] = cycle_moments.phase_average(maps, arrivals, state, "arrivals")[0, 0]
        points[worker] = maps.points[0, :, 0, : n + 2] @ units[worker]
    r = residuals[:, :, 0]
    lasting = np.diff(np.concatenate([[0.0], arrivals.times, [arrivals.seconds]])) / arrivals.seconds
    end, along = (r @ units[:, 0]) ** 2, ((r @ points) ** 2) @ lasting
    coefficients = beyond.first_order_bias(times)
    rate = SMALL_STEP / arrivals.seconds / n
    error = np.abs(r @ units[:, 0] - rate * r @ coefficients.end) / (rate * np.abs(r) @ np.abs(coefficients.end))
    rows = [check("bias_by_common_divisors", f"{name}: relative error at alpha = 2^-12", count, error, 0.0, 0.05)]
    for case, square in (
        ("time", along),
        ("seconds", (r @ by_seconds) ** 2),
        ("arrivals", (r @ by_arrivals) ** 2),
    ):
        # equal times have no first-order bias in one of the averages: what is left there is rounding
        exists = square.mean() > 1e-20 * end.mean()
        gain = end.mean() / square.mean() if exists else np.inf
        row = check(f"averaging_by_{case}", name, count, gain)
        rows.append(row | {"median": float(np.median(end / square)) if exists else np.inf})
    return rows


def section_c_checks() -> list[dict]:
    """§C's first cycle and limit points, closed forms against maps, for several steps, c and both tie orders."""
    errors: dict[str, list[float]] = {"first": [], "limit": []}
    for first, step, c in ((f, s, c) for f in (0, 1) for s in (0.01, 0.05, 0.1, 0.2) for c in (1.0, 10.0, 1e3)):
        arrivals = periods.cycle([1, 2], [first, 1 - first])
        maps = cycle_moments.cycle_maps(
            np.ones((1, 2, 1, 1)), np.array([[[-c], [c]]]), np.array([[step, 2 * step]]), np.zeros(1), arrivals
        )
        if first == 0:
            start = cycle_moments.common_start(np.full((1, 1), 0.5), 2)[0]
            predicted = paper.section_c_first_cycle(0.5, step, c)
            errors["first"].append(abs((maps.advance[0] @ start)[0] - predicted) / c)
        predicted = paper.section_c_limit(step, c, first)
        errors["limit"].append(abs(cycle_moments.limit_cycle(maps)[0, 0] - predicted) / c)
    return [
        check("section_c", f"{case} in closed form, error over c", len(values), values, 0.0, 1e-12)
        for case, values in (
            ("first cycle", errors["first"]),
            ("limit of cycle ends, both tie orders", errors["limit"]),
        )
    ]


def shared_curvature_check(settings: dict) -> dict:
    """Assumption (19) with ξ gives (2ξ², √2) for Assumption 2.5: with equal Aᵢ exactly, so the ratio is 1."""
    given, ratios = settings["instances"], []
    for group in groups(
        settings["seed"], given["groups"], given["lemma_per_group"], given["max_workers"], given["max_dim"]
    ):
        if group["kind"] == "unequal":
            continue
        own = random_instances(np.random.default_rng([settings["seed"], 7, group["group"]]), group, "rescaled")
        deviation = (own.residuals**2).sum(axis=2).max(axis=1)
        growth = np.full(len(deviation), 2**0.5)
        found = heterogeneity_suprema(own.mean_curvature, own.curvatures, own.residuals, growth)
        some = deviation > 0
        ratios.append(found[some] / (2 * deviation[some]))
    every = np.concatenate(ratios)
    return check("assumption_2_5", "zeta2(sqrt 2) over 2 xi2, equal curvatures", every.size, every, 1.0, 1.0 + 1e-9)


def beyond_rows(settings: dict, report: Callable[[float], None]) -> pd.DataFrame:
    """What lies beyond the assumptions: one row per topic, case and x.

    Topics: fluctuating_floor (x: ζ/σ; value: the floor over sτ_Aσ²/(2n), ± error of one standard deviation; predicted
    as s → 0; these alone have law, steps: mean or own, rate: s, and replicas), divergence (x: s; value: growth rate
    over s²), rounding (x: ε; value: T on rounded times over T on given ones), bias_square (x: 0; value: E‖∇F‖² over
    (sτ_Aζ)² for random residuals, to first order).
    """
    rows = divergence_rows(settings["divergence"])
    for name, chosen in settings["rounding"]["cases"].items():
        given = np.array(chosen, dtype=float)
        rounded = periods.rounded_up(given)
        for epsilon in settings["rounding"]["epsilons"]:
            quadratic = adapted_quadratic(epsilon, len(given), 0.0, 1.0, num_stiff=1)
            raw, slower = (Timed(quadratic, times).fastest(epsilon)[0] for times in (given, rounded))
            rows.append(
                ("rounding", name, epsilon, slower / raw, mean_compute_time(rounded) / mean_compute_time(given), np.nan)
            )
    for name, chosen in settings["profiles"].items():
        times = np.array(chosen["compute_times"], dtype=float)
        coefficients = beyond.first_order_bias(times)
        for case, c in zip(("end", "mean"), coefficients, strict=True):
            # random centred residuals with mean ‖rⱼ‖² = ζ²: E (Σ cⱼrⱼ/n)² = ζ² Var(c)·n/(n(n−1))
            n = len(times)
            square = c.var() / max(n - 1, 1) / mean_compute_time(times) ** 2
            rows.append(("bias_square", f"{name}: {case}", 0.0, square, np.nan, np.nan))
    fluctuating = fluctuating_rows(settings["fluctuating"], settings["seed"], report)
    plain = pd.DataFrame(rows, columns=["topic", "case", "x", "value", "predicted", "error"])
    return pd.concat([fluctuating, plain], ignore_index=True)


LAWS = {"fixed": 0.0, "gamma": 0.25, "exponential": 1.0}  # squared coefficient of variation


def fluctuating_rows(settings: dict, seed: int, report: Callable[[float], None]) -> pd.DataFrame:
    times, rows = np.array(settings["compute_times"], dtype=float), []
    cases = [
        (law, own, ratio, rate)
        for law in LAWS
        for own in ((False, True) if LAWS[law] else (False,))
        for ratio in settings["heterogeneity_over_noise"]
        for rate in settings["rates"]
    ]
    for number, (law, own, ratio, rate) in enumerate(cases):
        report(number / len(cases))
        residuals = ratio * np.resize([1.0, -1.0], len(times))
        rng = np.random.default_rng([seed, 8, number])
        squares = steady_squares(times, residuals, rate, LAWS[law], own, settings["runs"], settings["relaxations"], rng)
        unit = rate * times.mean() / (2 * len(times))
        predicted = beyond.fluctuating_noise(1.0, residuals**2, times, LAWS[law])
        rows.append(
            {
                "topic": "fluctuating_floor", "law": law, "steps": "own" if own else "mean", "rate": rate, "x": ratio,
                "value": squares.mean() / unit, "predicted": predicted.own_steps if own else predicted.mean_steps,
                "error": squares.std() / unit / len(squares) ** 0.5, "replicas": len(squares),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def steady_squares(
    times: np.ndarray, residuals: np.ndarray, rate: float, variation: float, own: bool, runs: int, relaxations: float,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Time average of x² in each of many runs [runs] on Fᵢ = x²/2 + rᵢx with σ = 1, each with its own schedule.

    ``variation``: squared coefficient of variation of the durations (gamma law). ``own``: steps by each gradient's own
    duration instead of the mean time. Averages over so many ``relaxations`` of 1/s seconds after a third as many.
    """
    n, everyone = len(times), np.arange(runs)

    def drawn(worker: np.ndarray) -> np.ndarray:
        if variation == 0:
            return times[worker].copy()
        return rng.gamma(1.0 / variation, variation, size=worker.shape) * times[worker]

    point, held, now, squares = np.zeros(runs), np.zeros((runs, n)), np.zeros(runs), np.zeros(runs)
    durations = drawn(np.tile(np.arange(n), (runs, 1)))
    due = durations.copy()
    begin, until = relaxations / (3 * rate), relaxations * 4 / (3 * rate)
    while (now < until).any():
        worker = due.argmin(axis=1)
        at, spent = due[everyone, worker], durations[everyone, worker]
        squares += point**2 * np.maximum(np.minimum(at, until) - np.maximum(now, begin), 0.0)
        gradient = held[everyone, worker] + residuals[worker] + rng.normal(size=runs)
        point = point - rate / n * (spent if own else times[worker]) * gradient
        held[everyone, worker] = point
        fresh = drawn(worker)
        durations[everyone, worker] = fresh
        due[everyone, worker] = at + fresh
        now = at
    return squares / (until - begin)


def divergence_rows(settings: dict) -> list[tuple]:
    """F₁ = (x²+y²)/2 + cxy, F₂ = (x²−y²)/2 − cxy: growth per second over s², at every step size."""
    rows = []
    for name, chosen in settings["cases"].items():
        times, c = np.array(chosen["compute_times"], dtype=float), chosen["coupling"]
        curvatures = np.array([[[[1.0, c], [c, 1.0]], [[1.0, -c], [-c, -1.0]]]])
        arrivals = periods.cycle(times)
        predicted = beyond.flat_growth_rate(np.array([1.0, -1.0]) * (1 + c**2) ** 0.5, times)
        for rate in settings["rates"]:
            steps = np.array([rate * times / 2])
            maps = cycle_moments.cycle_maps(curvatures, np.zeros((1, 2, 2)), steps, np.zeros(1), arrivals)
            growth = np.log(cycle_moments.spectral_radius(maps)[0]) / arrivals.seconds / rate**2
            rows.append(("divergence", name, rate, growth, predicted, np.nan))
    return rows
