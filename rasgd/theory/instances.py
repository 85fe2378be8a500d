"""Quadratics made to show one thing each, as exact instances and as problems to simulate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.constants import Constants, quadratic_constants
from rasgd.validation import real_array, real_number, whole_number

if TYPE_CHECKING:
    from rasgd.problems.quadratic import Quadratic


@dataclass(frozen=True)
class DiagonalQuadratic:
    """Fᵢ(x) = ½ Σⱼ λᵢⱼxⱼ² − bᵢᵀx with Σbᵢ = 0, so that F has its minimiser at 0 and ∇Fᵢ(0) = −bᵢ.

    ``curvatures`` [n, d], or [d] where they are the same for all workers; ``b`` [n, d]; ``noise_std``: per coordinate;
    ``initial_point`` [d].
    """

    curvatures: np.ndarray
    b: np.ndarray
    noise_std: float
    initial_point: np.ndarray

    @property
    def matrices(self) -> np.ndarray:
        """Aᵢ [n, d, d], or [d, d] where they are the same."""
        return self.curvatures[..., None] * np.eye(self.curvatures.shape[-1])

    def problem(self) -> Quadratic:
        """Return what is simulated, and what the exact theory takes."""
        from rasgd.problems.quadratic import Quadratic

        return Quadratic(self.matrices, self.b, self.noise_std, self.initial_point)

    def constants(self, growth: float | None = None) -> Constants:
        """Return L, L_max, σ², Δ, ζ² and ρ exactly."""
        return quadratic_constants(self.matrices, self.b, self.noise_std, self.initial_point, growth)


def adapted_quadratic(
    epsilon: float,
    num_workers: int,
    heterogeneity: float = 0.0,
    noise: float = 1.0,
    gap: float = 1.0,
    num_stiff: int = 3,
    softness: float = 3.0,
    seed: int = 0,
) -> DiagonalQuadratic:
    """Return the quadratic on which an accuracy ε costs ΔLσ²/(nε²), as in the worst case. [derived]

    One soft mode of curvature ``softness``·ε/Δ carries the whole gap Δ = ``gap``; ``num_stiff`` modes of curvature
    L = 1 carry the heterogeneity, mean ‖∇Fᵢ(x*)‖² = ζ². On a *fixed* quadratic the time grows like 1/ε only: the
    class that bounds speak of lets curvature shrink with ε.
    """
    epsilon, gap = real_number("epsilon", epsilon, above=0), real_number("gap", gap, above=0)
    soft = real_number("softness", softness, above=0) * epsilon / gap
    curvatures = np.array([soft] + [1.0] * whole_number("num_stiff", num_stiff))
    start = np.zeros_like(curvatures)
    start[0] = np.sqrt(2 * gap / soft)
    b = np.zeros((num_workers, len(curvatures)))
    b[:, 1:] = centred_gradients(num_workers, num_stiff, heterogeneity, seed)
    return DiagonalQuadratic(curvatures, b, noise / np.sqrt(len(curvatures)), start)


def cancelling_quadratic(
    epsilon: float, num_workers: int, max_smoothness: float, sign_seed: int = 0, **adapted
) -> DiagonalQuadratic:
    """Return ``adapted_quadratic`` with curvatures 1 ± (L_max − 1) in its stiff modes that cancel to L = 1 in the mean.

    Half of the workers, drawn with ``sign_seed``, curve upwards by ``max_smoothness`` = L_max ≥ 1, the others
    downwards. ``num_workers`` must be even.
    """
    if whole_number("num_workers", num_workers) % 2:
        raise ValueError(f"num_workers must be even for curvatures to cancel, got {num_workers}")
    base = adapted_quadratic(epsilon, num_workers, **adapted)
    signs = np.random.default_rng(sign_seed).permutation(np.repeat([1.0, -1.0], num_workers // 2))
    spread = np.append(
        0.0, np.full(len(base.curvatures) - 1, real_number("max_smoothness", max_smoothness, at_least=1) - 1)
    )
    return DiagonalQuadratic(base.curvatures + signs[:, None] * spread, base.b, base.noise_std, base.initial_point)


def spectrum_quadratic(
    curvatures: ArrayLike, num_workers: int, heterogeneity: float, noise: float, gap: float, seed: int = 0
) -> DiagonalQuadratic:
    """Return the quadratic with these ``curvatures`` [d] whose modes share the gap Δ = ``gap`` equally.

    All modes carry heterogeneity, mean ‖∇Fᵢ(x*)‖² = ζ², and noise σ² = ``noise``².
    """
    values = real_array("curvatures", curvatures).astype(float)
    start = np.sqrt(2 * real_number("gap", gap, above=0) / (len(values) * values))
    b = centred_gradients(num_workers, len(values), heterogeneity, seed)
    return DiagonalQuadratic(values, b, noise / np.sqrt(len(values)), start)


def centred_gradients(num_workers: int, dim: int, heterogeneity: float, seed: int) -> np.ndarray:
    """Return Gaussian vectors [n, dim] that sum to 0, each coordinate scaled to a mean square of ζ²/dim exactly."""
    if not real_number("heterogeneity", heterogeneity, at_least=0):
        return np.zeros((num_workers, dim))
    vectors = np.random.default_rng(seed).standard_normal((num_workers, dim))
    vectors -= vectors.mean(axis=0)
    return vectors * (heterogeneity / np.sqrt(dim * np.square(vectors).mean(axis=0)))
