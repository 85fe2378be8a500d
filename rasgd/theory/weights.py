"""Whose objective a method minimises: arrival frequencies, effective weights, the minimisers they lead to.

Marks: [paper] Rescaled ASGD (arXiv 2605.13434), [lit] related papers, [derived] worked out in this project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.methods import ROWS
from rasgd.validation import real_array


def mean_compute_time(compute_times: ArrayLike) -> float:
    """Return τ_A = (1/n) Σ τᵢ in seconds. [paper]"""
    return float(checked_times(compute_times).mean())


def harmonic_mean_compute_time(compute_times: ArrayLike) -> float:
    """Return τ_H = n / Σ (1/τᵢ) in seconds: n workers together deliver n/τ_H gradients per second. [paper]"""
    times = checked_times(compute_times)
    return float(times.size / np.sum(1.0 / times))


def arrival_frequency(compute_times: ArrayLike) -> np.ndarray:
    """Return pᵢ = (1/τᵢ) / Σⱼ (1/τⱼ), the share of arrivals that come from worker i, as a vector [n]. [paper]"""
    rates = 1.0 / checked_times(compute_times)
    return rates / rates.sum()


def worker_step_sizes(method: str, compute_times: ArrayLike, step_size: ArrayLike) -> np.ndarray:
    """Return γᵢ, what a gradient of worker i is multiplied by, with shape step_size.shape + [n].

    ``asgd``: γᵢ = γ. ``rescaled``: γᵢ = γ τᵢ/τ_H [derived normalisation], so Σ pᵢ γᵢ = γ for both.
    Raises ``ValueError`` for any other method.
    """
    times = checked_times(compute_times)
    if method == "asgd":
        factors = np.ones_like(times)
    elif method == "rescaled":
        factors = times / harmonic_mean_compute_time(times)
    else:
        raise ValueError(f"method must be 'asgd' or 'rescaled' to have one step size per worker, got {method!r}")
    return real_array("step_size", step_size)[..., None] * factors


def effective_weights(method: str, compute_times: ArrayLike) -> np.ndarray:
    """Return each worker's share of all applied steps as t → ∞, a vector [n] that sums to 1.

    pᵢ for ``asgd`` [paper] and ``fedbuff`` [derived]; 1/n for ``rescaled`` [paper], the methods with one entry per
    worker and those that assign jobs uniformly [derived]. Raises ``ValueError`` for methods whose weights depend
    on delays (``delay_adaptive``, ``rennala``, ``ringmaster``): they have no such closed form.
    """
    times = checked_times(compute_times)
    closed_forms = {"F": np.full(times.size, 1.0 / times.size), "F_p": arrival_frequency(times)}
    if method in ROWS and ROWS[method].minimises in closed_forms:
        return closed_forms[ROWS[method].minimises]
    known = ", ".join(name for name, row in ROWS.items() if row.minimises in closed_forms)
    raise ValueError(f"method must be one with closed-form weights ({known}), got {method!r}")


def effective_weights_at(method: str, compute_times: ArrayLike, times: ArrayLike) -> np.ndarray:
    """Return the exact effective weights at finite times under fixed compute times, shape times.shape + [n].

    Rescaled ASGD: wᵢ(t) = τᵢ⌊t/τᵢ⌋ / Σⱼ τⱼ⌊t/τⱼ⌋, exactly 1/n at multiples of the cycle; vanilla ASGD:
    ⌊t/τᵢ⌋ / Σⱼ ⌊t/τⱼ⌋. [derived] Before the first arrival the weights are NaN. Quotients within 1e-12 below an
    integer count as that integer, so that decimal compute times tie as they do on paper.
    """
    seconds = checked_times(compute_times)
    steps = worker_step_sizes(method, seconds, 1.0)
    quotient = real_array("times", times)[..., None] / seconds
    applied = steps * np.floor(quotient * (1.0 + 1e-12))
    total = applied.sum(axis=-1, keepdims=True)
    return np.divide(applied, total, out=np.full_like(applied, np.nan), where=total > 0)


def quadratic_arrays(A: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return (A [n,d,d], b [n,d]) as float64; one A [d,d] shared by all workers becomes [1,d,d].

    ``A``: as ``rasgd.Quadratic`` takes it: [n,d,d], [d,d], or a shared tridiagonal matrix as [3,d] (below, on and above
    the diagonal) unless d = 3. Raises ``ValueError`` when shapes disagree or a matrix is not symmetric and finite.
    """
    linear, matrices = real_array("b", b).astype(float), real_array("A", A).astype(float)
    if linear.ndim != 2 or linear.size == 0:
        raise ValueError(f"b must have shape [n, d] with at least one worker and dimension, got {list(linear.shape)}")
    n, d = linear.shape
    if matrices.shape == (3, d) and d != 3:
        below, diagonal, above = matrices
        matrices = np.diag(diagonal) + np.diag(below[1:], -1) + np.diag(above[:-1], 1)
    if matrices.shape not in ((d, d), (n, d, d)):
        allowed = f"[{n}, {d}, {d}], [{d}, {d}] or tridiagonal [3, {d}]"
        raise ValueError(f"A must have shape {allowed} to fit b, got {list(matrices.shape)}")
    if not (np.isfinite(matrices).all() and np.isfinite(linear).all()):
        raise ValueError("A and b must be finite, got NaN or infinite entries")
    if not np.allclose(matrices, matrices.swapaxes(-1, -2)):
        raise ValueError("A must be symmetric, got a matrix that differs from its transpose")
    return matrices.reshape(-1, d, d), linear


def least_squares_quadratic(
    features: list[ArrayLike], targets: list[ArrayLike], ridge: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (A [n,d,d], b [n,d]) of the least-squares objectives of n workers.

    Fᵢ(x) = ‖Xᵢx − yᵢ‖²/(2mᵢ) + ½ ridge ‖x‖², so Aᵢ = XᵢᵀXᵢ/mᵢ + ridge I and bᵢ = Xᵢᵀyᵢ/mᵢ: the quadratic calls of
    this package then hold for least squares. ``features``: per worker [mᵢ, d]; ``targets``: per worker [mᵢ].
    """
    if len(features) != len(targets):
        raise ValueError(f"targets must have one vector per worker ({len(features)}), got {len(targets)}")
    A, b = [], []
    for given_features, given_targets in zip(features, targets, strict=True):
        X, y = real_array("features", given_features), real_array("targets", given_targets)
        if X.ndim != 2 or y.shape != X.shape[:1]:
            raise ValueError(f"targets must match features [m, d] with [m], got {X.shape} and {y.shape}")
        A.append(X.T @ X / len(X) + ridge * np.eye(X.shape[1]))
        b.append(X.T @ y / len(X))
    return np.array(A), np.array(b)


def weighted_minimiser(A: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """Return x_w = (Σ wᵢAᵢ)⁻¹ Σ wᵢbᵢ, the minimiser of Σ wᵢ(½xᵀAᵢx − bᵢᵀx), a vector [d]. [derived]

    ``weights=None`` is the unbiased minimiser x*; ``arrival_frequency(...)`` gives the point x_p that vanilla ASGD
    converges to as its step size vanishes. Raises ``ValueError`` when Σ wᵢAᵢ is not positive definite.
    """
    matrices, linear = quadratic_arrays(A, b)
    w = np.full(len(linear), 1.0 / len(linear)) if weights is None else real_array("weights", weights)
    if w.shape != (len(linear),):
        raise ValueError(f"weights must have shape [{len(linear)}], got {w.shape}")
    curvature = matrices[0] * w.sum() if len(matrices) == 1 else np.tensordot(w, matrices, axes=1)
    smallest = np.linalg.eigvalsh(curvature)[0]
    if smallest <= 0:
        raise ValueError(f"A must have a positive definite weighted mean, its smallest eigenvalue is {smallest:.3g}")
    return np.linalg.solve(curvature, w @ linear)


def weighting_bias(A: ArrayLike, b: ArrayLike, weights: ArrayLike) -> float:
    """Return ‖∇F(x_w)‖², the error that no step size removes from a method with these effective weights. [derived]"""
    matrices, linear = quadratic_arrays(A, b)
    residual = matrices.mean(axis=0) @ weighted_minimiser(A, b, weights) - linear.mean(axis=0)
    return float(residual @ residual)
