"""Wall-clock complexity to an ε-stationary point: bounds, leading terms and the step sizes theory prescribes.

Everything is up to a constant factor unless said otherwise; compute times are fixed, in seconds per gradient. Marks:
[paper] Rescaled ASGD (arXiv 2605.13434), [lit] related papers, [derived] worked out in this project.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.constants import Constants
from rasgd.theory.methods import ROWS
from rasgd.theory.paper import corollary_4_2
from rasgd.theory.weights import harmonic_mean_compute_time
from rasgd.validation import real_number


def lower_bound(constants: Constants, compute_times: ArrayLike, epsilon: float) -> float:
    """Return LΔ/ε·τ_max + LΔσ²/(nε²)·τ_A seconds, below which no method stays (up to a constant). [lit]

    Heterogeneous data, fixed compute times (Tyurin & Richtárik 2023).
    """
    times, eps = checked_times(compute_times), real_number("epsilon", epsilon, above=0)
    scale = constants.smoothness * constants.initial_gap
    noise = scale * constants.noise_variance / (times.size * eps**2) * times.mean()
    return float(scale / eps * times.max() + noise)


def leading_term(method: str, constants: Constants, compute_times: ArrayLike, epsilon: float) -> float:
    """Return the term of a method's complexity that dominates as ε → 0, in seconds. [paper, Table 1]

    ΔLσ²/(nε²)·τ_A for ``rescaled``, ``malenia``, ``ringleader`` and ``delay_adaptive`` (the last only down to a
    ζ²-neighbourhood); ΔLσ²/(nε²)·τ_max for ``minibatch`` and ``ia2sgd`` [lit]; ΔL(σ²+ζ²)/(nε²)·τ_max for
    ``concurrent``, for which ``constants.heterogeneity`` must bound ‖∇Fᵢ − ∇F‖², another ζ² than Rescaled's.
    Raises ``ValueError`` for methods of which no such term is known.
    """
    known = [name for name, row in ROWS.items() if row.leading_term is not None]
    if method not in known:
        raise ValueError(f"method must be one of {', '.join(known)}, got {method!r}")
    return ROWS[method].leading_term(constants, checked_times(compute_times), real_number("epsilon", epsilon, above=0))


def rescaled_bound_terms(constants: Constants, compute_times: ArrayLike, epsilon: float) -> dict[str, float]:
    """Return the four terms of Rescaled ASGD's complexity in seconds, by what causes them. [paper, Cor. 4.2]

    ``noise`` ΔLσ²/(nε²)·τ_A, ``staleness`` ΔL_max√(σ²+ζ²)/ε^{3/2}·(τ_max/τ_H)·τ_A, ``heterogeneity``
    ΔL_max ρ/ε·(τ_max/τ_H)·τ_max and ``deterministic`` ΔL/ε·τ_max. Their sum is the bound, up to a constant;
    ``paper.corollary_4_2`` has them with the proof's constants.
    """
    times, eps = checked_times(compute_times), real_number("epsilon", epsilon, above=0)
    slowest, mean = times.max(), times.mean()
    spread = slowest / harmonic_mean_compute_time(times)
    gap, variance = constants.initial_gap, constants.noise_variance
    stale = constants.max_smoothness * sqrt(variance + constants.heterogeneity) / eps**1.5
    return {
        "noise": float(gap * constants.smoothness * variance / (times.size * eps**2) * mean),
        "staleness": float(gap * stale * spread * mean),
        "heterogeneity": float(gap * constants.max_smoothness * constants.growth / eps * spread * slowest),
        "deterministic": float(gap * constants.smoothness / eps * slowest),
    }


def rescaled_bound(constants: Constants, compute_times: ArrayLike, epsilon: float) -> float:
    """Return the sum of Rescaled ASGD's four terms, in seconds up to a constant. [paper]"""
    return sum(rescaled_bound_terms(constants, compute_times, epsilon).values())


def ringmaster_threshold(noise_variance: float, epsilon: float) -> int:
    """Return R = max{1, ⌈σ²/ε⌉}, the delay from which Ringmaster ASGD drops gradients. [lit]"""
    return max(1, ceil(noise_variance / real_number("epsilon", epsilon, above=0)))


def malenia_batch(noise_variance: float, epsilon: float, num_workers: int) -> int:
    """Return S = max(⌈σ²/ε⌉, n), the batch Malenia SGD waits for. [lit]"""
    return max(ceil(noise_variance / real_number("epsilon", epsilon, above=0)), num_workers)


def ringleader_batch(compute_times: ArrayLike) -> float:
    """Return B = (1/n Σ 1/bᵢ)⁻¹ with bᵢ = max(1, ⌊τ_max/τᵢ⌋), the gradients per worker a round holds. [derived]

    With these B ≈ τ_max/τ_A, which turns Ringleader's step size into its leading term ΔLσ²τ_A/(nε²).
    """
    times = checked_times(compute_times)
    return float(1.0 / np.mean(1.0 / np.maximum(1.0, np.floor(times.max() / times * (1 + 1e-12)))))


STEP_METHODS = ("malenia", "rennala", "minibatch", "ringleader", "ringmaster", "rescaled")  # with a theory step size


def theory_step_size(
    method: str,
    constants: Constants,
    compute_times: ArrayLike,
    epsilon: float,
    batch: float | None = None,
    max_delay: int | None = None,
) -> float:
    """Return the constant step size theory prescribes for an accuracy ε.

    - ``malenia``, ``rennala``: min{1/L, εS/(2Lσ²)}, ``batch`` = S (default max(⌈σ²/ε⌉, n), Rennala's max(⌈σ²/ε⌉, 1))
      [derived from the standard SGD bound, the variance of an update being ≤ σ²/S];
    - ``minibatch``: the same with S = n [derived];
    - ``ringleader``: min{1/(8nL), εB/(10Lσ²)}, ``batch`` = B (default ``ringleader_batch``) [lit];
    - ``ringmaster``: min{1/(2RL), ε/(4Lσ²)}, ``max_delay`` = R (default ``ringmaster_threshold``) [lit];
    - ``rescaled``: γ̂τ_H/K with γ̂ of Corollary 4.2, K = nτ_max/τ_H, which is min{ετ_H/(24Lσ²τ_A),
      √ε·τ_H²/(√40·nL_max√(σ²+ζ²)τ_maxτ_A), τ_H²/(5nL_maxρτ_max²), τ_H/(6nLτ_max)}, as a mean step per arrival
      (γᵢ = γτᵢ/τ_H) [paper, Cor. 4.2 with the constants of its proof].

    Vanilla ASGD's needs the constants of another objective: ``paper.corollary_4_4``. Raises ``ValueError`` for other
    methods.
    """
    times, eps = checked_times(compute_times), real_number("epsilon", epsilon, above=0)
    n, smoothness, variance = times.size, constants.smoothness, constants.noise_variance
    noise_step = eps / (smoothness * variance) if variance > 0 else np.inf
    if method in ("malenia", "rennala", "minibatch"):
        defaults = {"malenia": malenia_batch(variance, eps, n), "rennala": malenia_batch(variance, eps, 1)}
        size = n if method == "minibatch" else defaults[method] if batch is None else batch
        step = min(1 / smoothness, noise_step * size / 2)
    elif method == "ringleader":
        size = ringleader_batch(times) if batch is None else batch
        step = min(1 / (8 * n * smoothness), noise_step * size / 10)
    elif method == "ringmaster":
        threshold = ringmaster_threshold(variance, eps) if max_delay is None else max_delay
        step = min(1 / (2 * threshold * smoothness), noise_step / 4)
    elif method == "rescaled":
        step = corollary_4_2(constants, times, eps).step_size * harmonic_mean_compute_time(times) ** 2
        step /= n * times.max()
    else:
        known = ", ".join(STEP_METHODS)
        raise ValueError(f"method must be one with a theory step size ({known}), got {method!r}")
    return float(step)
