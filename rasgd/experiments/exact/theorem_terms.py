"""The corollaries' four terms and prescribed steps against exact times on quadratics made to show one term each.

The time to ε is that of the theorems: cycles until the average of E‖∇F‖² over the beginnings of all cycles so far is at
most ε. Instances have Δ = L = 1; a soft mode of curvature softness·ε carries the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from rasgd.experiments.exact.theorem_instances import groups, random_instances
from rasgd.theory import beyond, complexity, cycle_moments, paper, periods
from rasgd.theory.instances import DiagonalQuadratic, adapted_quadratic
from rasgd.theory.weights import harmonic_mean_compute_time, mean_compute_time

OCTAVES = range(1, -60, -1)  # α = 2^k that a search goes down until it is past the best
PAST = 4.0  # times the best time: then smaller steps are not tried
REFINEMENTS = 24  # golden sections of two octaves: .1 % of the step, 1e-6 of the time at its minimum


class Timed:
    """A diagonal quadratic in fixed compute times, its modes as instances of one dimension."""

    def __init__(self, quadratic: DiagonalQuadratic, compute_times: np.ndarray, weights: np.ndarray | None = None):
        n = len(compute_times)
        curvatures = np.broadcast_to(quadratic.curvatures, (n, quadratic.curvatures.shape[-1]))
        self.quadratic, self.times = quadratic, np.asarray(compute_times, dtype=float)
        self.weights = np.full(n, 1.0 / n) if weights is None else weights
        self.curvatures = curvatures.T[:, :, None, None]
        self.residuals = -quadratic.b.T[:, :, None]
        self.noise = np.full(len(self.curvatures), quadratic.noise_std)
        self.arrivals = periods.cycle(self.times)
        self.start = cycle_moments.common_start(quadratic.initial_point[:, None], n)

    def cycles_to(self, epsilon: float, alpha: float) -> float:
        """The smallest M whose average is at most ε, inf where there is none."""
        steps = paper.cycle_steps(self.times, self.weights, np.full(len(self.start), alpha)).worker_steps
        maps = cycle_moments.cycle_maps(self.curvatures, self.residuals, steps, self.noise, self.arrivals, inner=False)
        reader = np.einsum("n,bnij->bij", self.weights, self.curvatures)
        return float(cycle_moments.first_average_below(maps, reader, self.start, epsilon, together=True)[0])

    def seconds_to(self, epsilon: float, alpha: float) -> float:
        return self.cycles_to(epsilon, alpha) * self.arrivals.seconds

    def fastest(self, epsilon: float) -> tuple[float, float]:
        """The seconds at the best α, and that α."""
        found: dict[float, float] = {}
        for octave in OCTAVES:
            found[float(octave)] = self.seconds_to(epsilon, 2.0**octave)
            if found[float(octave)] > PAST * min(found.values()):
                break
        best = min(found, key=found.get)
        low, high, ratio = best - 1.0, best + 1.0, (5**0.5 - 1) / 2
        for _ in range(REFINEMENTS):
            left, right = high - ratio * (high - low), low + ratio * (high - low)
            for position in (left, right):
                if position not in found:
                    found[position] = self.seconds_to(epsilon, 2.0**position)
            low, high = (low, right) if found[left] <= found[right] else (left, high)
        best = min(found, key=found.get)
        return found[best], 2.0**best


def malenia_timed(quadratic: DiagonalQuadratic, compute_times: np.ndarray) -> Timed:
    """Malenia SGD with S = n as minibatch steps of one worker that takes τ_max: it averages Bᵢ = τ_max/τᵢ gradients."""
    slowest, n = float(np.max(compute_times)), len(compute_times)
    quiet = DiagonalQuadratic(
        np.broadcast_to(quadratic.curvatures, (n, quadratic.curvatures.shape[-1])).mean(axis=0),
        quadratic.b[:1] * 0.0,
        quadratic.noise_std * (mean_compute_time(compute_times) / (n * slowest)) ** 0.5,
        quadratic.initial_point,
    )
    return Timed(quiet, np.array([slowest]))


def prices(settings: dict, report: Callable[[float], None]) -> pd.DataFrame:
    """What the constants of the proofs cost: one row per profile, ε, method and choice of the step.

    Columns: steps is tuned, theory (Corollary 4.2; Malenia's with S = n), sharper (the sharper Theorem B.9), each at
    the ρ that makes it fastest; step_size α over a cycle; seconds exact; promised: the corollary's Mτ_max; over_tuned.
    """
    rows, given = [], settings["prices"]
    for number, profile in enumerate(given["profiles"]):
        report(number / len(given["profiles"]))
        times = np.array(settings["profiles"][profile]["compute_times"], dtype=float)
        harmonic = harmonic_mean_compute_time(times)
        for epsilon in given["epsilons"]:
            quadratic = adapted_quadratic(epsilon, len(times), **given["problem"])
            timed, malenia = Timed(quadratic, times), malenia_timed(quadratic, times)
            seconds, alpha = timed.fastest(epsilon)
            found = [("rescaled", "tuned", alpha, seconds, np.nan)]
            for steps, corollary in (("theory", paper.corollary_4_2), ("sharper", beyond.sharper_corollary_4_2)):
                prescribed = paper.fastest_prescription(
                    quadratic.constants, partial(corollary, compute_times=times, epsilon=epsilon), 1.0
                )
                alpha = prescribed.step_size * harmonic
                found.append(("rescaled", steps, alpha, timed.seconds_to(epsilon, alpha), prescribed.seconds))
            seconds, alpha = malenia.fastest(epsilon)
            found.append(("malenia", "tuned", alpha, seconds, np.nan))
            batch = len(times) * times.max() / mean_compute_time(times)
            alpha = complexity.theory_step_size("malenia", quadratic.constants(), times, epsilon, batch=batch)
            found.append(("malenia", "theory", alpha, malenia.seconds_to(epsilon, alpha), np.nan))
            tuned = {method: own for method, steps, _, own, _ in found if steps == "tuned"}
            rows += [
                {
                    "profile": profile, "epsilon": epsilon, "method": method, "steps": steps, "step_size": alpha,
                    "seconds": seconds, "promised": promised, "over_tuned": seconds / tuned[method],
                }
                for method, steps, alpha, seconds, promised in found
            ]  # fmt: skip
    return pd.DataFrame(rows)


def prescriptions_hold(settings: dict) -> list[dict]:
    """Corollaries 4.2 and 4.4 on random quadratics: the exact average over M cycles against ε, and exact M over M."""
    given, rows = settings["instances"], []
    cases = (
        ("corollary_4_2", "rescaled", paper.corollary_4_2, True),
        ("corollary_4_4", "asgd", paper.corollary_4_4, False),
        ("sharper_corollary_4_2", "rescaled", beyond.sharper_corollary_4_2, True),
    )
    for name, target, corollary, scaled in cases:
        averages, shares = [], []
        for group in groups(
            settings["seed"], given["groups"], given["lemma_per_group"], given["max_workers"], given["max_dim"]
        ):
            rng = np.random.default_rng([settings["seed"], 4, group["group"]])
            instances = random_instances(rng, group, target)
            reader, count = instances.mean_curvature, group["count"]
            begin = ((reader @ instances.start[:, :, None]) ** 2).sum(axis=(1, 2))
            epsilon = begin * 10.0 ** rng.uniform(-4, 0, count)
            constants = instances.constants(instances.smallest_growth() * 2**0.5)
            found = [
                corollary(one_of(constants, index), instances.compute_times, epsilon[index]) for index in range(count)
            ]
            factor = harmonic_mean_compute_time(instances.compute_times) if scaled else 1.0
            alpha = np.array([own.step_size for own in found]) * factor
            cycles = np.array([own.cycles for own in found], dtype=float)
            fits = cycles < 2**40
            maps, state = instances.maps(alpha), instances.state()
            after = np.where(fits, cycles, 1).astype(np.int64)
            average = cycle_moments.average_square(maps, reader, state, after)
            needed = cycle_moments.first_average_below(maps, reader, state, epsilon)
            averages.append((average / epsilon)[fits])
            shares.append((needed / cycles)[fits])
        average, share = np.concatenate(averages), np.concatenate(shares)
        rows.append(check(name, "average over M cycles / epsilon", average.size, average, allowed=1.0 + 1e-9))
        rows.append(check(name, "exact cycles / M", share.size, share, allowed=1.0 + 1e-9))
    return rows


def one_of(constants, index: int):
    """The constants of one instance, as numbers."""
    return type(constants)(*(float(np.broadcast_to(value, constants.growth.shape)[index]) for value in (
        constants.smoothness, constants.max_smoothness, constants.noise_variance, constants.initial_gap,
        constants.heterogeneity, constants.growth,
    )))  # fmt: skip


def check(name: str, case: str, count: int, values, expected=np.nan, allowed=np.nan) -> dict:
    """A row of the table of checks: the largest value, and how many exceed what is allowed."""
    every = np.ravel(values)
    violations = 0 if np.isnan(allowed) else int((~(every <= allowed)).sum())
    return {
        "check": name, "case": case, "count": int(count), "violations": violations, "value": float(every.max()),
        "expected": expected, "allowed": allowed,
    }  # fmt: skip


def terms(settings: dict, report: Callable[[float], None]) -> pd.DataFrame:
    """Each term of Corollary 4.2 where it leads: one row per term, profile and x.

    Columns: x is ε, or n for workers; seconds exact at the best step; scaled: over the term as the exact times have it;
    over_paper: over the term as the paper has it, without a constant (another factor in the times).
    """
    given, rows = settings["terms"], []
    for number, (profile, chosen) in enumerate(settings["profiles"].items()):
        report(number / (len(settings["profiles"]) + 1))
        times = np.array(chosen["compute_times"], dtype=float)
        mean, harmonic, slowest = mean_compute_time(times), harmonic_mean_compute_time(times), times.max()
        divides = periods.divide_the_slowest(times)
        for epsilon in given["epsilons"]:
            unit = mean / (len(times) * epsilon**2)
            if unit < FEWEST_CYCLES * periods.cycle_seconds(times):
                continue
            noisy = adapted_quadratic(epsilon, len(times), 0.0, 1.0, num_stiff=1)
            seconds, _ = Timed(noisy, times).fastest(epsilon)
            rows.append(("noise", profile, epsilon, seconds, seconds / unit, seconds / unit))
            if not divides:
                continue
            seconds, _ = Timed(stale_quadratic(epsilon, times), times).fastest(epsilon)
            unit = mean / epsilon**1.5
            rows.append(("staleness", profile, epsilon, seconds, seconds / unit, seconds / (unit * slowest / harmonic)))
            opposing, growth = opposing_quadratic(epsilon, len(times))
            seconds, _ = Timed(opposing, times).fastest(epsilon)
            unit = growth / epsilon
            rows.append(
                (
                    "heterogeneity", profile, epsilon, seconds, seconds / (unit * mean / len(times)),
                    seconds / (unit * slowest**2 / harmonic),
                )
            )  # fmt: skip
            seconds, _ = Timed(quiet_quadratic(epsilon, len(times)), times).fastest(epsilon)
            rows.append(("deterministic", profile, epsilon, seconds, *[seconds * epsilon / slowest] * 2))
    epsilon = given["epsilons"][-1]
    for n in given["num_workers"]:
        noisy = adapted_quadratic(epsilon, n, 0.0, 1.0, num_stiff=1)
        seconds, _ = Timed(noisy, np.ones(n)).fastest(epsilon)
        rows.append(("workers", "equal times", n, seconds, *[seconds * n * epsilon**2] * 2))
    return pd.DataFrame(rows, columns=["term", "profile", "x", "seconds", "scaled", "over_paper"])


FEWEST_CYCLES = 100  # in a time that is counted in cycles
SOFTNESS = 3.0  # curvature of the mode that carries the gap, over ε/Δ: near the slowest case


def stale_quadratic(epsilon: float, times: np.ndarray) -> DiagonalQuadratic:
    """No noise, and in a stiff mode the residuals |rⱼ| ≤ ζ = 1 that push cycle ends furthest away."""
    worst = beyond.worst_residuals(beyond.first_order_bias(times).end)
    b = np.stack([np.zeros(len(times)), worst], axis=1)
    soft = SOFTNESS * epsilon
    return DiagonalQuadratic(np.array([soft, 1.0]), b, 0.0, np.array([(2.0 / soft) ** 0.5, 0.0]))


def opposing_quadratic(epsilon: float, num_workers: int) -> tuple[DiagonalQuadratic, float]:
    """Neither noise nor residuals; the workers' curvatures in the soft mode are ±(L_max − λ) around λ, and ρ ≈ 1/λ."""
    soft = SOFTNESS * epsilon
    signs = np.resize([1.0, -1.0], num_workers)
    signs -= signs.mean()
    curvatures = (soft + signs * (1.0 - soft))[:, None]
    growth = float(np.abs(curvatures).max() / soft)
    b = np.zeros((num_workers, 1))
    return DiagonalQuadratic(curvatures, b, 0.0, np.array([(2.0 / soft) ** 0.5])), growth


def quiet_quadratic(epsilon: float, num_workers: int) -> DiagonalQuadratic:
    """Neither noise nor heterogeneity; a stiff mode with a thousandth of the gap keeps steps below 2/L."""
    soft = SOFTNESS * epsilon
    b = np.zeros((num_workers, 2))
    return DiagonalQuadratic(np.array([soft, 1.0]), b, 0.0, np.array([(2.0 / soft) ** 0.5, 0.002**0.5]))
