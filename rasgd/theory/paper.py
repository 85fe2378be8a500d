"""The paper's theorems with the constants of their proofs: bounds, step limits, prescribed steps and times. [paper]

Rescaled ASGD (arXiv 2605.13434), §4, appendices B and C. γ is the parameter of eq. (2), γᵢ = γτᵢτ_H/(nτ_max), and α
the cycle stepsize, the sum of all steps in one cycle: α = γτ_H for Rescaled ASGD. Vanilla ASGD's step is γ/K, α = γ.
Bounds hold for the average of E‖∇F‖² over the points at the beginnings of the first M cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.constants import Constants
from rasgd.theory.periods import arrival_counts, cycle_seconds, divide_the_slowest
from rasgd.theory.weights import arrival_frequency, harmonic_mean_compute_time, mean_compute_time
from rasgd.validation import real_array, real_number

# Inequality (18): the constants that the statements of the theorems call c₀, c₁ and c₂.
TRANSIENT, NOISE, STALENESS = 4.0, 6.0, 10.0


class Bound(NamedTuple):
    """An upper bound on (1/M) Σ E‖∇F(xᵐ)‖², by what causes its terms; arrays where an argument was one."""

    transient: np.ndarray
    noise: np.ndarray
    staleness: np.ndarray

    @property
    def total(self) -> np.ndarray:
        return self.transient + self.noise + self.staleness


class Prescription(NamedTuple):
    """What a corollary prescribes for an accuracy ε.

    ``step_size``: γ̂. ``cycles``: M. ``seconds``: M cycles. ``terms``: the four candidates for those seconds by name,
    the largest of which decides (before M is rounded up to a whole number).
    """

    step_size: float
    cycles: int
    seconds: float
    terms: dict[str, float]


class CycleSteps(NamedTuple):
    """The steps of one cycle: ``worker_steps`` γᵢ [..., n], their sum ``total`` α, ``squares`` A = Σγ², ``largest``."""

    worker_steps: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    largest: np.ndarray


def cycle_steps(compute_times: ArrayLike, weights: ArrayLike, cycle_step: ArrayLike) -> CycleSteps:
    """Return γᵢ = αwᵢτᵢ/T, which descend Σ wᵢFᵢ, with A = α²Σwᵢ²τᵢ/T. [paper, Lemma B.7]

    ``weights`` [..., n]: wᵢ ≥ 0 with sum 1. ``cycle_step``: α [...]. T is the cycle, τ_max under Assumption 3.1.
    """
    times, shares = checked_times(compute_times), checked_weights(weights, compute_times)
    alpha = real_array("cycle_step", cycle_step).astype(float)
    steps = alpha[..., None] * (shares * times / cycle_seconds(times))
    squares = (steps**2 * arrival_counts(times)).sum(axis=-1)
    return CycleSteps(steps, alpha, squares, steps.max(axis=-1))


def theorem_b_9(
    constants: Constants, compute_times: ArrayLike, weights: ArrayLike, cycle_step: ArrayLike, cycles: ArrayLike
) -> Bound:
    """Return 4Δ/(αM) + 6(A/α)Lσ² + 10(A/α)²K²L_max²(σ²+ζ²) for steps γᵢ ∝ wᵢτᵢ. [paper, Thm B.9 and (18)]

    ``constants``: of Σ wᵢFᵢ. ``cycle_step``: α, at most ``theorem_b_9_limit``. ``cycles``: M ≥ 1. The proof needs whole
    Kᵢ only, so it holds for the cycle of any commensurate times [derived].
    """
    steps = cycle_steps(compute_times, weights, cycle_step)
    return _bound(constants, steps.total, steps.squares / steps.total, arrival_counts(compute_times).sum(), cycles)


def theorem_b_9_limit(constants: Constants, compute_times: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """Return the largest α with α ≤ 1/(6L) and γ_max ≤ 1/(5KL_maxρ). [paper, Thm B.9]"""
    largest = arrival_counts(compute_times).sum() * cycle_steps(compute_times, weights, 1.0).largest
    return step_limit(constants, 1.0, largest)


def theorem_4_1(constants: Constants, compute_times: ArrayLike, step_size: ArrayLike, cycles: ArrayLike) -> Bound:
    """Return 4Δ/(γτ_HM) + 6γτ_ALσ²/K + 10γ²τ_A²L_max²(σ²+ζ²) for Rescaled ASGD. [paper, Thm 4.1]

    ``step_size``: γ of eq. (2), at most ``theorem_4_1_limit``. Raises ``ValueError`` unless every τᵢ divides τ_max.
    """
    times = _dividing_times(compute_times)
    mean, harmonic = mean_compute_time(times), harmonic_mean_compute_time(times)
    gamma = real_array("step_size", step_size).astype(float)
    num_arrivals = times.size * times.max() / harmonic
    return _bound(constants, gamma * harmonic, gamma * mean / num_arrivals, num_arrivals, cycles)


def theorem_4_1_limit(constants: Constants, compute_times: ArrayLike) -> np.ndarray:
    """Return min{1/(6Lτ_H), 1/(5L_maxρτ_max)}, the largest γ that Theorem 4.1 allows. [paper, Thm 4.1]"""
    times = _dividing_times(compute_times)
    return step_limit(constants, harmonic_mean_compute_time(times), times.max())


def theorem_4_3(constants: Constants, compute_times: ArrayLike, step_size: ArrayLike, cycles: ArrayLike) -> Bound:
    """Return 4Δ̃/(γM) + 6γL̃σ²/K + 10γ²L_max²(σ²+ζ̃²) for vanilla ASGD with steps γ/K. [paper, Thm 4.3]

    ``constants``: of the frequency-weighted F̃ = Σ pᵢFᵢ, whose gradient the bound is about. ``step_size``: γ, at most
    ``theorem_4_3_limit``.
    """
    times = _dividing_times(compute_times)
    gamma = real_array("step_size", step_size).astype(float)
    num_arrivals = arrival_counts(times).sum()
    return _bound(constants, gamma, gamma / num_arrivals, num_arrivals, cycles)


def theorem_4_3_limit(constants: Constants) -> np.ndarray:
    """Return min{1/(6L̃), 1/(5L_maxρ̃)}, the largest γ that Theorem 4.3 allows. [paper, Thm 4.3]"""
    return step_limit(constants, 1.0, 1.0)


def step_limit(constants: Constants, smooth: float, stiff: ArrayLike) -> np.ndarray:
    """Return min{1/(6L·smooth), 1/(5L_maxρ·stiff)}, the form that all step conditions of the theorems have. [paper]"""
    steepest = 5.0 * np.asarray(constants.max_smoothness * constants.growth * stiff, dtype=float)
    return np.minimum(1.0 / (6.0 * constants.smoothness * smooth), over(steepest))


def over(values: ArrayLike) -> np.ndarray:
    """Return 1/value, inf where it is 0: a condition that is not there."""
    given = np.asarray(values, dtype=float)
    return np.divide(1.0, given, out=np.full(given.shape, inf), where=given > 0)


def corollary_4_2(constants: Constants, compute_times: ArrayLike, epsilon: float) -> Prescription:
    """Return γ̂, M and the seconds after which Rescaled ASGD's average is at most ε. [paper, Cor. 4.2 and its proof]

    γ̂ = min{εK/(24Lσ²τ_A), √ε/(√40 L_maxτ_A√(σ²+ζ²)), 1/(5L_maxρτ_max), 1/(6Lτ_H)} and M = ⌈8Δ/(εγ̂τ_H)⌉, so the
    four terms are 192ΔLσ²τ_A/(nε²), 8√40ΔL_max√(σ²+ζ²)τ_Aτ_max/(τ_Hε^{3/2}), 40ΔL_maxρτ_max²/(τ_Hε) and 48ΔLτ_max/ε.
    K = nτ_max/τ_H, whole or not: on times that do not divide τ_max the step is defined but nothing is proved.
    """
    times, eps = checked_times(compute_times), real_number("epsilon", epsilon, above=0)
    mean, harmonic, slowest = mean_compute_time(times), harmonic_mean_compute_time(times), float(times.max())
    limits = prescribed_limits(
        constants, eps, times.size * slowest / (harmonic * mean), 1.0 / mean, 1.0 / slowest, 1.0 / harmonic
    )
    return prescription(limits, constants.initial_gap, eps, harmonic, slowest)


def corollary_4_4(constants: Constants, compute_times: ArrayLike, epsilon: float) -> Prescription:
    """Return γ̂, M and the seconds after which vanilla ASGD's average for F̃ is at most ε. [paper, Cor. 4.4]

    γ̂ = min{εK/(24L̃σ²), √ε/(√40 L_max√(σ²+ζ̃²)), 1/(5L_maxρ̃), 1/(6L̃)}, M = ⌈8Δ̃/(εγ̂)⌉: where data are homogeneous
    the leading term is τ_H instead of Rescaled ASGD's τ_A. ``constants``: of F̃ = Σ pᵢFᵢ. The step per arrival is γ̂/K.
    """
    times, eps = checked_times(compute_times), real_number("epsilon", epsilon, above=0)
    slowest = float(times.max())
    limits = prescribed_limits(constants, eps, times.size * slowest / harmonic_mean_compute_time(times), 1.0, 1.0, 1.0)
    return prescription(limits, constants.initial_gap, eps, 1.0, slowest)


def fastest_prescription(
    constants_at: Callable[[float], Constants], prescribe: Callable[[Constants], Prescription], smallest: float
) -> Prescription:
    """Return the prescription at the ρ > ``smallest`` that makes it fastest, to .1 % of ρ/smallest − 1. [derived]

    ``constants_at(ρ)`` gives the constants with ζ² = ζ²(ρ): (ζ, ρ) is a curve, and the corollaries hold all along it.
    ``prescribe``: ``corollary_4_2`` or another, with times and ε filled in.
    """
    # ζ²(ρ) falls and the terms with ρ grow: the slowest of the terms has one minimum in ln(ρ/smallest − 1).
    low, high = np.log(1e-6), np.log(1e6)
    ratio = (sqrt(5.0) - 1.0) / 2.0

    def seconds(position: float) -> float:
        return max(prescribe(constants_at(smallest * (1.0 + np.exp(position)))).terms.values())

    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = seconds(left), seconds(right)
    while high - low > 1e-3:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = seconds(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = seconds(right)
    return prescribe(constants_at(smallest * (1.0 + np.exp((low + high) / 2.0))))


def section_c_first_cycle(x: ArrayLike, step_size: ArrayLike, heterogeneity: ArrayLike) -> np.ndarray:
    """Return x(1 − 4γ + γ²) − γ²c, the end of §C's first cycle from a common start x. [paper, App. C]

    F₁ = x²/2 − cx, F₂ = x²/2 + cx, τ = (1, 2), steps γ and 2γ, c = ``heterogeneity``: ∇F grows with c without limit.
    """
    gamma = np.asarray(step_size, dtype=float)
    return np.asarray(x) * (1.0 - 4.0 * gamma + gamma**2) - gamma**2 * np.asarray(heterogeneity)


def section_c_limit(step_size: ArrayLike, heterogeneity: ArrayLike, first: int = 0) -> np.ndarray:
    """Return where §C's cycle ends stay: −γc(3−2γ)/(4+γ−2γ²), or γc(1−2γ)/(4+γ−2γ²). [derived]

    ``first``: the worker (0 or 1) that arrives first at the tie; 0 is the paper's order. Later cycles differ from the
    first: worker 1 restarts before worker 2's update, so one of its gradients is one update staler.
    """
    gamma, c = np.asarray(step_size, dtype=float), np.asarray(heterogeneity, dtype=float)
    if first not in (0, 1):
        raise ValueError(f"first must be 0 or 1, got {first!r}")
    numerator = 2.0 * gamma - 3.0 if first == 0 else 1.0 - 2.0 * gamma
    return gamma * c * numerator / (4.0 + gamma - 2.0 * gamma**2)


def checked_weights(weights: ArrayLike, compute_times: ArrayLike) -> np.ndarray:
    """Return wᵢ [..., n] as floats, or raise ``ValueError`` where one is negative or they do not sum to 1."""
    times, shares = checked_times(compute_times), real_array("weights", weights).astype(float)
    if shares.shape[-1:] != times.shape or (shares < 0).any() or (abs(shares.sum(axis=-1) - 1.0) > 1e-9).any():
        raise ValueError(f"weights must be {times.size} numbers of at least 0 with sum 1, got {shares.tolist()}")
    return shares


def target_weights(method: str, num_workers_or_times: ArrayLike) -> np.ndarray:
    """Return what the theorems' methods weigh worker i with: 1/n for ``rescaled``, pᵢ for ``asgd``. [paper, §4]"""
    times = checked_times(num_workers_or_times)
    if method not in ("rescaled", "asgd"):
        raise ValueError(f"method must be 'rescaled' or 'asgd', got {method!r}")
    return np.full(times.size, 1.0 / times.size) if method == "rescaled" else arrival_frequency(times)


def _bound(
    constants: Constants, alpha: np.ndarray, mean_square: np.ndarray, num_arrivals: float, cycles: ArrayLike
) -> Bound:
    """The three terms of (18), ``mean_square`` being A/α."""
    num_cycles = real_array("cycles", cycles).astype(float)
    if (num_cycles < 1).any():
        raise ValueError(f"cycles must be at least 1, got {num_cycles.min():g}")
    variance = constants.noise_variance + constants.heterogeneity
    return Bound(
        TRANSIENT * constants.initial_gap / (alpha * num_cycles),
        NOISE * mean_square * constants.smoothness * constants.noise_variance,
        STALENESS * (mean_square * num_arrivals * constants.max_smoothness) ** 2 * variance,
    )


def prescribed_limits(
    constants: Constants, epsilon: float, noise: float, staleness: float, heterogeneity: float, deterministic: float
) -> dict[str, float]:
    """The four limits of γ̂, with what of the times stands in each."""
    spread = constants.max_smoothness * sqrt(constants.noise_variance + constants.heterogeneity)
    return {
        "noise": epsilon * noise * over(4.0 * NOISE * constants.smoothness * constants.noise_variance),
        "staleness": sqrt(epsilon / (4.0 * STALENESS)) * staleness * over(spread),
        "heterogeneity": heterogeneity * over(5.0 * constants.max_smoothness * constants.growth),
        "deterministic": deterministic / (6.0 * constants.smoothness),
    }


def prescription(limits: dict[str, float], gap: float, epsilon: float, scale: float, slowest: float) -> Prescription:
    """γ̂ and its time, ``scale`` being α/γ."""
    step = min(limits.values())
    cycles = {name: 2.0 * TRANSIENT * gap / (epsilon * limit * scale) for name, limit in limits.items()}
    needed = max(1, ceil(max(cycles.values())))
    terms = {name: float(number) * slowest for name, number in cycles.items()}
    return Prescription(float(step), needed, needed * slowest, terms)


def _dividing_times(compute_times: ArrayLike) -> np.ndarray:
    times = checked_times(compute_times)
    if not divide_the_slowest(times):
        raise ValueError(f"compute_times must divide the largest of them, got {times.tolist()}; see rounded_up")
    return times
