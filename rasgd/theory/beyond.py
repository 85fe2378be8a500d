"""What goes beyond the paper: a sharper Theorem B.9, first-order biases, fluctuating times. [derived]

Derivations are in docs/theory.md. s is the total step per second, the cycle stepsize over the cycle's seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.constants import Constants
from rasgd.theory.paper import (
    STALENESS,
    Bound,
    Prescription,
    cycle_steps,
    prescribed_limits,
    prescription,
    step_limit,
    theorem_b_9,
)
from rasgd.theory.periods import common_divisors
from rasgd.theory.weights import mean_compute_time
from rasgd.validation import real_array, real_number


def sharper_b_9(
    constants: Constants, compute_times: ArrayLike, weights: ArrayLike, cycle_step: ArrayLike, cycles: ArrayLike
) -> Bound:
    """Return 4Δ/(αM) + 6(A/α)Lσ² + 10α²L_max²(σ²+ζ²), Theorem B.9 with weighted Cauchy–Schwarz. [derived]

    Never above the paper's bound, since α² ≤ AK; equal to it for equal steps. ``cycle_step``: α, at most
    ``sharper_b_9_limit``.
    """
    given = theorem_b_9(constants, compute_times, weights, cycle_step, cycles)
    alpha = cycle_steps(compute_times, weights, cycle_step).total
    variance = constants.noise_variance + constants.heterogeneity
    return given._replace(staleness=STALENESS * (alpha * constants.max_smoothness) ** 2 * variance)


def sharper_b_9_limit(constants: Constants) -> np.ndarray:
    """Return min{1/(6L), 1/(5L_maxρ)}, the largest α of ``sharper_b_9``; never below the paper's. [derived]"""
    return step_limit(constants, 1.0, 1.0)


def sharper_corollary_4_2(constants: Constants, compute_times: ArrayLike, epsilon: float) -> Prescription:
    """Return α̂/τ_H as γ̂, M and the seconds that the sharper bound prescribes for Rescaled ASGD. [derived]

    192ΔLσ²τ_A/(nε²), 8√40ΔL_max√(σ²+ζ²)τ_max/ε^{3/2}, 40ΔL_maxρτ_max/ε and 48ΔLτ_max/ε: beside Corollary 4.2 the second
    term loses a factor τ_A/τ_H, the third τ_max/τ_H.
    """
    times, eps = checked_times(compute_times), real_number("epsilon", epsilon, above=0)
    harmonic, slowest = times.size / np.sum(1.0 / times), float(times.max())
    limits = prescribed_limits(constants, eps, times.size * slowest / mean_compute_time(times), 1.0, 1.0, 1.0)
    found = prescription(limits, constants.initial_gap, eps, 1.0, slowest)
    return found._replace(step_size=found.step_size / float(harmonic))


class BiasCoefficients(NamedTuple):
    """x − x* = (s/n) Σⱼ cⱼrⱼ to first order in s, rⱼ = ∇Fⱼ(x*): cⱼ [n] in seconds.

    ``end``: at the ends of cycles. ``mean``: for the point averaged over the seconds of a cycle.
    """

    end: np.ndarray
    mean: np.ndarray


def first_order_bias(compute_times: ArrayLike, order: Sequence[int] | None = None) -> BiasCoefficients:
    """Return cⱼ = (1/n) Σᵢ eᵢⱼ − τⱼ/2 and (1/n) Σᵢ eᵢⱼ for any commensurate times and any order of ties. [derived]

    eᵢᵢ = τᵢ/2, eᵢⱼ = gcd(τᵢ, τⱼ)/2 where j arrives before i at ties and −gcd(τᵢ, τⱼ)/2 where after. Exact to first
    order when the Aᵢ agree. Nothing in it asks for harmonic times: what matters are common divisors and tie order.
    """
    times = checked_times(compute_times)
    n = times.size
    rank = np.argsort(np.arange(n) if order is None else np.asarray(order))
    signs = np.where(rank[None, :] <= rank[:, None], 1.0, -1.0)  # of j (column) as seen from i (row)
    gathered = (signs * common_divisors(times) / 2.0).mean(axis=0)
    return BiasCoefficients(gathered - times / 2.0, gathered)


def worst_residuals(coefficients: ArrayLike) -> np.ndarray:
    """Return the r [n] with |rⱼ| ≤ 1 and Σ rⱼ = 0 that maximises Σ cⱼrⱼ. [derived]

    ±1 by the sign of cⱼ − median(c), 0 at the median where n is odd: the dual of this linear program puts its
    multiplier there.
    """
    c = real_array("coefficients", coefficients).astype(float)
    ranks = np.argsort(np.argsort(c, kind="stable"), kind="stable")
    return np.sign(2.0 * ranks - (c.size - 1))


class FluctuatingNoise(NamedTuple):
    """What takes σ²'s place in the leading term, by how the steps are chosen."""

    mean_steps: float
    own_steps: float


def fluctuating_noise(
    noise_variance: float, residual_squares: ArrayLike, compute_times: ArrayLike, squared_variation: float
) -> FluctuatingNoise:
    """Return σ² + c_v²ζ_τ² for steps by the mean time and (1 + c_v²)σ² for steps by the own duration. [derived]

    Durations independent with means τᵢ and squared coefficient of variation c_v² = ``squared_variation`` (1 for
    exponential times); ``residual_squares`` [n]: ‖∇Fᵢ(x*)‖²; ζ_τ² = Στᵢ‖rᵢ‖²/Στᵢ. By the mean time heterogeneity
    enters the leading term: no bound of Corollary 4.2's form can hold there.
    """
    times, squares = checked_times(compute_times), real_array("residual_squares", residual_squares)
    variance = real_number("noise_variance", noise_variance, at_least=0)
    spread = real_number("squared_variation", squared_variation, at_least=0)
    weighted = float(times @ squares / times.sum())
    return FluctuatingNoise(variance + spread * weighted, (1.0 + spread) * variance)


def flat_growth_rate(curvatures: ArrayLike, compute_times: ArrayLike) -> float:
    """Return mean(aᵢ²τᵢ)/(2n): where the curvatures aᵢ of one direction cancel, x grows like exp of this·s²t. [derived]

    To second order in s, for Rescaled ASGD in any commensurate times and any order of ties. Staleness feeds the
    direction at every step size; Assumption 2.5 fails there. In a direction of mean curvature λ the same growth stands
    against the decay sλ, so that only s < 2nλ/mean(aᵢ²τᵢ) is stable, aᵢ being the deviations from λ.
    """
    times, a = checked_times(compute_times), real_array("curvatures", curvatures).astype(float)
    return float(np.mean(a**2 * times) / (2.0 * times.size))
