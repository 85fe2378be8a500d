"""Delay-adaptive ASGD in fixed compute times: which objective it targets and how fast. [paper, §D.2]

Steps γ/(1+δ), δ being the gradient's delay. The paper puts the mean delay nτᵢ/τ_H − 1 of eq. (21) in place of every
delay; delays vary, and 1/(1+δ) is convex, so fast workers weigh more than its formula says [derived].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.periods import cycle_seconds, delays


def delay_adaptive_weights_by_formula(compute_times: ArrayLike) -> np.ndarray:
    """Return weights ∝ τᵢ⁻² [n], from one constant delay per worker. [paper, §D.2]"""
    shares = checked_times(compute_times) ** -2.0
    return shares / shares.sum()


def delay_adaptive_weights(compute_times: ArrayLike, order: Sequence[int] | None = None) -> np.ndarray:
    """Return weights ∝ Γᵢ = Σ 1/(1+δ) over worker i's arrivals in a cycle [n]. [paper, eq. 20; delays derived]

    ``order``: of workers that arrive at the same instant, by default their index.
    """
    shares = np.array([np.sum(1.0 / (1.0 + own)) for own in delays(compute_times, order)])
    return shares / shares.sum()


def leading_time(compute_times: ArrayLike, steps: Sequence[ArrayLike]) -> float:
    """Return nTA/α² in seconds, which takes τ_A's place in the leading term ΔLσ²/(nε²)·τ_A. [derived]

    ``steps``: of each worker's arrivals in one cycle, up to a common factor. Theorem B.9's noise term 6(A/α)Lσ² ≤ ε/4
    and 4Δ/(αM) ≤ ε/2 take MT ∝ TA/α² seconds: τ_A for steps ∝ τᵢ, τ_H for equal ones.
    """
    every = np.concatenate([np.ravel(own) for own in steps])
    times = checked_times(compute_times)
    return float(times.size * cycle_seconds(times) * np.sum(every**2) / np.sum(every) ** 2)


def delay_adaptive_time_by_formula(compute_times: ArrayLike) -> float:
    """Return τ_DA = nΣτᵢ⁻³/(Στᵢ⁻²)², between τ_H and nτ_min. [paper, §D.2]

    1.96 for τ = (1, 10) and 2.01 for τ = (1, 2 × 9 workers), where τ_A = 1.9.
    """
    times = checked_times(compute_times)
    return float(times.size * np.sum(times**-3.0) / np.sum(times**-2.0) ** 2)


def delay_adaptive_time(compute_times: ArrayLike, order: Sequence[int] | None = None) -> float:
    """Return the same from the delays that arrivals have: 2.01 and 5.89 seconds in the paper's examples. [derived]"""
    return leading_time(compute_times, [1.0 / (1.0 + own) for own in delays(compute_times, order)])
