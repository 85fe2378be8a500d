"""The block zero-chain with Bernoulli-hidden progress: an instance on which no first-order method is fast. [lit]

The chain of Arjevani et al. (2019, "Lower bounds for non-convex stochastic optimization"), with x₀ := 1,

    F_T(x) = Σ_{j=1}^{T} [Ψ(−x_{j−1})Φ(−x_j) − Ψ(x_{j−1})Φ(x_j)],
    Ψ(x) = exp(1 − 1/(2x−1)²) for x > ½ else 0,    Φ(x) = √e ∫_{−∞}^{x} exp(−s²/2) ds,

reveals its coordinates one after the other, and ‖∇F_T(x)‖ > 1 until the last one is above 1. Following Tyurin &
Richtárik (2023) every worker owns one block: Fᵢ(x) = n(Lλᵢ²/152) F_T(xᵢ/λᵢ), and its oracle shows the next coordinate
of the block only with probability pᵢ (scaled by 1/pᵢ, so it stays unbiased).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, erf, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.constants import Constants
from rasgd.validation import real_number, whole_number

# Smoothness of F_T for every T [lit]: the tests compare Hessian norms with it.
CHAIN_SMOOTHNESS = 152.0
# |∂F_T| of a coordinate with |x_j| < ¼ is at most sup Ψ · sup Φ' = e·√e [derived]; only such a coordinate is hidden.
FRONTIER_GRADIENT = e**1.5

_erf = np.vectorize(erf, otypes=[float])


def _psi(x: np.ndarray) -> np.ndarray:
    safe = np.where(x > 0.5, x, 1.0)
    return np.where(x > 0.5, np.exp(1.0 - 1.0 / (2.0 * safe - 1.0) ** 2), 0.0)


def _psi_derivative(x: np.ndarray) -> np.ndarray:
    safe = np.where(x > 0.5, x, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        # exp wins over the pole: below x = ½ + 1e-3 the product is 0 to double precision
        slope = 4.0 * np.exp(1.0 - 1.0 / (2.0 * safe - 1.0) ** 2) / (2.0 * safe - 1.0) ** 3
    return np.where(x > 0.501, slope, 0.0)


def _phi(x: np.ndarray) -> np.ndarray:
    return sqrt(e * pi / 2.0) * (1.0 + _erf(x / sqrt(2.0)))


def _phi_derivative(x: np.ndarray) -> np.ndarray:
    return sqrt(e) * np.exp(-(x**2) / 2.0)


def _predecessors(x: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones_like(x[..., :1]), x[..., :-1]], axis=-1)


def chain_value(x: ArrayLike) -> np.ndarray:
    """Return F_T(x) for x [..., T]. [lit]"""
    points = np.asarray(x, dtype=float)
    before = _predecessors(points)
    return (_psi(-before) * _phi(-points) - _psi(before) * _phi(points)).sum(axis=-1)


def chain_gradient(x: ArrayLike) -> np.ndarray:
    """Return ∇F_T(x) for x [..., T]. Coordinate j is 0 unless |x_{j−1}| > ½ or |x_j| > ½: the zero-chain property."""
    points = np.asarray(x, dtype=float)
    before = _predecessors(points)
    gradient = -_psi(-before) * _phi_derivative(-points) - _psi(before) * _phi_derivative(points)
    here, after = points[..., :-1], points[..., 1:]
    gradient[..., :-1] -= _psi_derivative(-here) * _phi(-after) + _psi_derivative(here) * _phi(after)
    return gradient


def chain_progress(x: ArrayLike, threshold: float) -> np.ndarray:
    """Return the largest j (counted from 1) with |x_j| > threshold, 0 if there is none, for x [..., T]."""
    above = np.abs(np.asarray(x, dtype=float)) > threshold
    positions = np.arange(1, above.shape[-1] + 1)
    return np.where(above, positions, 0).max(axis=-1)


def chain_gap(chain_length: int) -> float:
    """Return F_T(0) − inf F_T = √(πe/2) + (T−1)e√(2πe), approached as all coordinates grow. [derived; lit: ≤ 12T]"""
    return sqrt(pi * e / 2.0) + (chain_length - 1) * e * sqrt(2.0 * pi * e)


@dataclass(frozen=True)
class BlockZeroChain:
    """n workers, each with its own block of T coordinates of x [n·T].

    ``scales`` [n]: λᵢ; ``probabilities`` [n]: pᵢ, the chance that a gradient shows the block's next coordinate;
    ``smoothness``: L of F; every Fᵢ is nL-smooth. x⁰ = 0. Made to measure by ``block_zero_chain``.
    """

    chain_length: int
    scales: np.ndarray
    probabilities: np.ndarray
    smoothness: float

    @property
    def num_workers(self) -> int:
        return len(self.scales)

    @property
    def dim(self) -> int:
        return self.num_workers * self.chain_length

    @property
    def block_gradients(self) -> np.ndarray:
        """cᵢ = Lλᵢ/152 [n]: ‖∇F‖² exceeds the sum of cᵢ² over blocks whose last coordinate is not yet above λᵢ."""
        return self.smoothness * self.scales / CHAIN_SMOOTHNESS

    @property
    def constants(self) -> Constants:
        """L, nL, a bound on σ², Δ (exact), ζ = 0 and ρ = n: ‖∇Fᵢ‖² is n² times ‖∇F‖² on the block of i. [derived]"""
        variances = (self.num_workers * self.block_gradients * FRONTIER_GRADIENT) ** 2
        return Constants(
            smoothness=self.smoothness,
            max_smoothness=self.num_workers * self.smoothness,
            noise_variance=float((variances * (1 - self.probabilities) / self.probabilities).max()),
            initial_gap=float((self.block_gradients * self.scales).sum() * chain_gap(self.chain_length)),
            heterogeneity=0.0,
            growth=float(self.num_workers),
        )

    def blocks(self, x: ArrayLike) -> np.ndarray:
        """Return x [..., n·T] as [..., n, T] in units of each block's scale."""
        points = np.asarray(x, dtype=float)
        return points.reshape(*points.shape[:-1], self.num_workers, self.chain_length) / self.scales[:, None]

    def value(self, x: ArrayLike) -> np.ndarray:
        """Return F(x) for x [..., n·T]."""
        return (chain_value(self.blocks(x)) * self.block_gradients * self.scales).sum(axis=-1)

    def gradient(self, x: ArrayLike) -> np.ndarray:
        """Return ∇F(x) for x [..., n·T]."""
        gradient = chain_gradient(self.blocks(x)) * self.block_gradients[:, None]
        return gradient.reshape(np.shape(x))

    def local_gradient(self, worker: int, x: ArrayLike) -> np.ndarray:
        """Return ∇Fᵢ(x) for x [..., n·T]: n times ∇F on the worker's own block, 0 elsewhere."""
        return self.stochastic_gradient(worker, x, self.probabilities[worker])

    def stochastic_gradient(self, worker: int, x: ArrayLike, coin: ArrayLike) -> np.ndarray:
        """Return ∇fᵢ(x; ξ) for x [..., n·T] and ``coin`` ξ [...], 1 with probability pᵢ and else 0.

        Coordinates of the block beyond its progress (the last with |x_j| > λᵢ/4) are multiplied by ξ/pᵢ.
        """
        block = self.blocks(x)[..., worker, :]
        inner = chain_gradient(block) * (self.num_workers * self.block_gradients[worker])
        hidden = np.arange(self.chain_length) >= chain_progress(block, 0.25)[..., None]
        factor = np.asarray(coin, dtype=float)[..., None] / self.probabilities[worker]
        result = np.zeros(np.shape(x))
        first = worker * self.chain_length
        result[..., first : first + self.chain_length] = np.where(hidden, inner * factor, inner)
        return result

    def progress(self, x: ArrayLike, threshold: float = 1.0) -> np.ndarray:
        """Return how far every block has got, [..., n]: its last coordinate with |x_j| > threshold·λᵢ."""
        return chain_progress(self.blocks(x), threshold)

    def block_seconds(self, compute_times: ArrayLike) -> np.ndarray:
        """Return Tτᵢ/pᵢ [n], the expected seconds until worker i's oracle has shown its whole block, at best."""
        return self.chain_length * checked_times(compute_times) / self.probabilities


def block_zero_chain(
    compute_times: ArrayLike, epsilon: float, noise_variance: float, chain_length: int, smoothness: float = 1.0
) -> BlockZeroChain:
    """Return the chain on which ε-stationarity takes LΔσ²/(nε²)·τ_A seconds up to a constant. [derived from lit]

    Scales λᵢ ∝ √τᵢ make all blocks take equally long: with cᵢ² = 2ετᵢ/Στ and the smallest pᵢ that keeps the noise
    within σ² = ``noise_variance``, pᵢ = 1/(1 + σ²/(n²cᵢ²e³)), the seconds Tτᵢ/pᵢ are nearly the same for every i, and
    ‖∇F‖² > ε until blocks with half of Στ are through. Δ grows with ``chain_length`` T.
    Raises ``ValueError`` on non-positive arguments.
    """
    times = checked_times(compute_times)
    for name, value in (("epsilon", epsilon), ("noise_variance", noise_variance), ("smoothness", smoothness)):
        real_number(name, value, above=0)
    gradients = np.sqrt(2.0 * epsilon * times / times.sum())
    frontier = (times.size * gradients * FRONTIER_GRADIENT) ** 2
    return BlockZeroChain(
        chain_length=whole_number("chain_length", chain_length),
        scales=gradients * CHAIN_SMOOTHNESS / smoothness,
        probabilities=1.0 / (1.0 + noise_variance / frontier),
        smoothness=float(smoothness),
    )
