"""The constants that complexity bounds contain, measured from an instance instead of assumed.

Exact on quadratics; on other problems estimated from sampled gradients at points of a trajectory, with intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.weights import quadratic_arrays, weighted_minimiser
from rasgd.validation import real_array, real_number


@dataclass(frozen=True)
class Constants:
    """What the bounds of ``complexity`` are made of. [paper, lit]

    ``smoothness`` L of F; ``max_smoothness`` L_max, the largest of the Fᵢ; ``noise_variance`` σ² ≥ E‖∇fᵢ − ∇Fᵢ‖²;
    ``initial_gap`` Δ = F(x⁰) − inf F; ``heterogeneity`` ζ² and ``growth`` ρ with ‖∇Fᵢ(x)‖² ≤ ζ² + ρ²‖∇F(x)‖².
    """

    smoothness: float
    max_smoothness: float
    noise_variance: float
    initial_gap: float
    heterogeneity: float = 0.0
    growth: float = 1.0


def quadratic_constants(
    A: ArrayLike,
    b: ArrayLike,
    noise_std: float,
    initial_point: ArrayLike,
    growth: float | None = None,
    weights: ArrayLike | None = None,
) -> Constants:
    """Return the exact constants of Fᵢ(x) = ½xᵀAᵢx − bᵢᵀx with noise of ``noise_std`` per coordinate. [derived]

    ``growth=None`` takes ρ = √2 times the smallest one with a finite ζ² (see ``heterogeneity_curve``). ``weights`` [n]:
    of the objective Σ wᵢFᵢ whose constants are wanted, by default 1/n.
    """
    matrices, linear = quadratic_arrays(A, b)
    shares = np.full(len(linear), 1.0 / len(linear)) if weights is None else real_array("weights", weights)
    curvature = np.tensordot(shares, np.broadcast_to(matrices, (len(linear), *matrices.shape[1:])), axes=1)
    displacement = real_array("initial_point", initial_point) - weighted_minimiser(A, b, shares)
    rho = np.sqrt(2.0) * smallest_growth(matrices, shares) if growth is None else float(growth)
    return Constants(
        smoothness=float(np.abs(np.linalg.eigvalsh(curvature)).max()),
        max_smoothness=float(np.abs(np.linalg.eigvalsh(matrices)).max()),
        noise_variance=real_number("noise_std", noise_std, at_least=0) ** 2 * linear.shape[1],
        initial_gap=float(displacement @ curvature @ displacement / 2),
        heterogeneity=float(heterogeneity_curve(A, b, rho, shares)),
        growth=rho,
    )


def smallest_growth(A: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return maxᵢ ‖AᵢĀ⁻¹‖₂: below this ρ the heterogeneity ζ²(ρ) of the quadratics is infinite. [derived]

    ``A`` [n,d,d], or [1,d,d] shared by all. 1 when all Aᵢ agree. ``weights`` [n]: Ā = Σ wᵢAᵢ, by default their mean.
    """
    matrices = real_array("A", A).astype(float)
    if matrices.ndim != 3:
        raise ValueError(f"A must have shape [n, d, d], got {list(matrices.shape)}")
    if weights is None or len(matrices) == 1:
        curvature = matrices.mean(axis=0)
    else:
        curvature = np.tensordot(real_array("weights", weights), matrices, axes=1)
    return float(np.linalg.norm(np.linalg.solve(curvature, matrices), ord=2, axis=(-2, -1)).max())


def heterogeneity_curve(A: ArrayLike, b: ArrayLike, growth: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """Return ζ²(ρ) = maxᵢ sup_x (‖∇Fᵢ(x)‖² − ρ²‖∇F(x)‖²) exactly, for ρ = ``growth`` of any shape. [derived]

    With rᵢ = ∇Fᵢ(x*) and D = ρ²Ā² − Aᵢ² the supremum is ‖rᵢ‖² + rᵢᵀAᵢD⁺Aᵢrᵢ, infinite unless D ⪰ 0 and Aᵢrᵢ lies in
    its range. Decreasing in ρ, with limit maxᵢ ‖rᵢ‖²: the bounds trade ζ against ρ along this curve. Where all Aᵢ agree
    it is maxᵢ ‖rᵢ‖²ρ²/(ρ²−1). ``weights`` [n]: F = Σ wᵢFᵢ, by default 1/n.
    """
    matrices, linear = quadratic_arrays(A, b)
    shares = np.full(len(linear), 1.0 / len(linear)) if weights is None else real_array("weights", weights)
    minimiser = weighted_minimiser(A, b, shares)
    every = np.broadcast_to(matrices, (len(linear), *matrices.shape[1:]))
    curvature, residuals = np.tensordot(shares, every, axes=1), every @ minimiser - linear
    rho = real_array("growth", growth).astype(float)
    return heterogeneity_suprema(curvature, every, residuals, rho)


def heterogeneity_suprema(
    curvature: np.ndarray, matrices: np.ndarray, residuals: np.ndarray, growth: np.ndarray
) -> np.ndarray:
    """Return ζ²(ρ) of many objectives at once: Ā [..., d, d], Aᵢ [..., n, d, d], rᵢ [..., n, d], ρ of shape [...]."""
    rho = np.asarray(growth, dtype=float)
    square = rho[..., None, None] ** 2 * (curvature @ curvature)
    values, vectors = np.linalg.eigh(square[..., None, :, :] - matrices @ matrices)
    pulls = (matrices @ residuals[..., None])[..., 0]
    components = (pulls[..., None, :] @ vectors)[..., 0, :]
    slack = 1e-12 * np.abs(square).max(axis=(-2, -1))[..., None, None]
    pull_slack = 1e-10 * np.maximum(np.abs(pulls).max(axis=(-2, -1)), 1e-300)[..., None, None]
    outside = (values < -slack) | ((values <= slack) & (np.abs(components) > pull_slack))
    gains = np.divide(components**2, values, out=np.zeros(np.shape(values + components)), where=values > slack)
    suprema = ((residuals**2).sum(axis=-1) + gains.sum(axis=-1)).max(axis=-1)
    return np.where(outside.any(axis=(-2, -1)), np.inf, suprema)


def heterogeneity_at(local_gradients: ArrayLike, growth: float) -> np.ndarray:
    """Return maxᵢ ‖∇Fᵢ‖² − ρ²‖∇F‖² from exact local gradients [..., n, d]: a lower bound on ζ²(ρ)."""
    gradients = real_array("local_gradients", local_gradients)
    whole = (gradients.mean(axis=-2) ** 2).sum(axis=-1)
    return (gradients**2).sum(axis=-1).max(axis=-1) - growth**2 * whole


class Estimate(NamedTuple):
    """Unbiased estimates with the ends of their confidence intervals (jackknife, normal quantile)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def noise_variance_estimate(samples: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return E‖∇fᵢ − ∇Fᵢ‖² per worker [n] from stochastic gradients [n, m, d] at one point, m ≥ 4 independent each."""
    grams = _worker_grams(_checked_samples(samples))
    values = _diagonal_means(grams) - _off_diagonal_means(grams)
    replicates = _diagonal_means(grams, leave_one_out=True) - _off_diagonal_means(grams, leave_one_out=True)
    return _jackknife(values, replicates, confidence)


def heterogeneity_estimate(samples: ArrayLike, growth: float, confidence: float = 0.95) -> Estimate:
    """Return ‖∇Fᵢ‖² − ρ²‖∇F‖² per worker [n] from stochastic gradients [n, m, d] at one point, m ≥ 4 each.

    Products of different samples only, so noise does not inflate it. The maximum over workers of the values is biased
    upwards; the interval of the worker that attains it is the one to quote.
    """
    gradients = _checked_samples(samples)
    grams, mean = _worker_grams(gradients), gradients.mean(axis=0)
    whole = (mean @ mean.T)[None]
    values = _off_diagonal_means(grams) - growth**2 * _off_diagonal_means(whole)
    replicates = _off_diagonal_means(grams, True) - growth**2 * _off_diagonal_means(whole, True)
    return _jackknife(values, replicates, confidence)


def constants_along(
    points: Iterable[np.ndarray],
    sample_gradients: Callable[[np.ndarray], ArrayLike],
    growth: float = 1.0,
    confidence: float = 0.95,
) -> tuple[Estimate, Estimate]:
    """Return (σ² per point and worker, ‖∇Fᵢ‖² − ρ²‖∇F‖² per point and worker), arrays [points, n] with intervals.

    ``sample_gradients(x)``: independent stochastic gradients [n, m, d] at the point x. What a bound needs is the
    maximum over points and workers; a trajectory only gives a lower bound on it.
    """
    noise, heterogeneity = [], []
    for point in points:
        samples = sample_gradients(point)
        noise.append(noise_variance_estimate(samples, confidence))
        heterogeneity.append(heterogeneity_estimate(samples, growth, confidence))
    if not noise:
        raise ValueError("points must hold at least one point, got none")
    first, second = (Estimate(*map(np.array, zip(*part, strict=True))) for part in (noise, heterogeneity))
    return first, second


def _checked_samples(samples: ArrayLike) -> np.ndarray:
    gradients = real_array("samples", samples).astype(float)
    if gradients.ndim != 3 or gradients.shape[1] < 4:
        raise ValueError(f"samples must have shape [n, m, d] with m ≥ 4, got {gradients.shape}")
    return gradients


def _worker_grams(samples: np.ndarray) -> np.ndarray:
    """Return the inner products of each worker's samples [n, m, m]: all that the estimates depend on."""
    return samples @ samples.swapaxes(1, 2)


def _diagonal_means(grams: np.ndarray, leave_one_out: bool = False) -> np.ndarray:
    """Return mean squared norms [n], or [n, m] with each sample left out in turn."""
    diagonal = np.diagonal(grams, axis1=1, axis2=2)
    if not leave_one_out:
        return diagonal.mean(axis=1)
    return (diagonal.sum(axis=1, keepdims=True) - diagonal) / (diagonal.shape[1] - 1)


def _off_diagonal_means(grams: np.ndarray, leave_one_out: bool = False) -> np.ndarray:
    """Return mean inner products of different samples [n], or [n, m] with each sample left out in turn."""
    m = grams.shape[-1]
    rows = grams.sum(axis=2) - np.diagonal(grams, axis1=1, axis2=2)
    total = rows.sum(axis=1)
    if not leave_one_out:
        return total / (m * (m - 1))
    return (total[:, None] - 2 * rows) / ((m - 1) * (m - 2))


def _jackknife(values: np.ndarray, replicates: np.ndarray, confidence: float) -> Estimate:
    m = replicates.shape[1]
    error = np.sqrt((m - 1) / m * ((replicates - replicates.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    width = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Estimate(values, values - width, values + width)
