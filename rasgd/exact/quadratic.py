"""A quadratic instance in the coordinates in which its stochastic dynamics decouples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.weights import quadratic_arrays
from rasgd.validation import real_array, real_number


@dataclass(frozen=True)
class QuadraticInstance:
    """Fᵢ(x) = ½xᵀAᵢx − bᵢᵀx with additive Gaussian-like gradient noise, shifted so that the minimiser is 0.

    Made by ``quadratic_instance`` or ``diagonal_instance``. The d coordinates fall into ``num_modes`` groups of
    ``mode_dim`` that never mix: d groups of 1 when the Aᵢ share eigenvectors, else one group of d.

    ``curvatures`` [n, modes, r, r] and ``offsets`` [n, modes, r]: Aᵢ and bᵢ − Aᵢx* in the basis. ``basis`` [d, d]:
    columns are the new axes. ``minimiser`` [d]: x*. ``initial`` [modes, r]: x⁰ − x* in the basis. ``noise_std``:
    noise per coordinate, σ/√d.
    """

    curvatures: np.ndarray
    offsets: np.ndarray
    basis: np.ndarray
    minimiser: np.ndarray
    initial: np.ndarray
    noise_std: float

    @property
    def num_workers(self) -> int:
        return self.curvatures.shape[0]

    @property
    def num_modes(self) -> int:
        return self.curvatures.shape[1]

    @property
    def mode_dim(self) -> int:
        return self.curvatures.shape[2]

    @property
    def mean_curvature(self) -> np.ndarray:
        """Ā in the basis, [modes, r, r]."""
        return self.curvatures.mean(axis=0)

    def to_points(self, coordinates: np.ndarray) -> np.ndarray:
        """Return points [..., d] from coordinates [..., modes, r] relative to the minimiser."""
        flat = coordinates.reshape(*coordinates.shape[:-2], len(self.minimiser))
        return self.minimiser + flat @ self.basis.T

    def to_covariance(self, blocks: np.ndarray) -> np.ndarray:
        """Return covariances [..., d, d] from blocks [..., modes, r, r]; modes carry independent noise."""
        if self.mode_dim == 1:
            return (self.basis * blocks[..., None, :, 0, 0]) @ self.basis.T
        return self.basis @ blocks[..., 0, :, :] @ self.basis.T


def quadratic_instance(
    A: ArrayLike, b: ArrayLike, noise_std: float = 0.0, initial_point: ArrayLike | None = None
) -> QuadraticInstance:
    """Return the instance of A and b [n,d] as ``rasgd.Quadratic`` takes them, noise per coordinate, x⁰ [d] (default 0).

    Aᵢ that share eigenvectors (found by diagonalising one generic combination) are split into d modes, which makes
    everything d³ cheaper. Raises ``ValueError`` on wrong shapes, asymmetric A or a mean that is not positive definite.
    """
    matrices, linear = quadratic_arrays(A, b)
    basis, curvatures = _shared_eigenvectors(matrices)
    curvatures = np.broadcast_to(curvatures, (len(linear), *curvatures.shape[1:]))
    rotated = linear @ basis
    if curvatures.ndim == 2:
        return _shifted(curvatures[:, :, None, None], rotated[:, :, None], basis, noise_std, initial_point)
    return _shifted(curvatures[:, None], rotated[:, None], basis, noise_std, initial_point)


def diagonal_instance(
    curvatures: ArrayLike, b: ArrayLike, noise_std: float = 0.0, initial_point: ArrayLike | None = None
) -> QuadraticInstance:
    """Return the instance with Aᵢ = diag(curvatures[i]): curvatures [n,d], or [d] shared by all; b [n,d]."""
    linear, diagonals = real_array("b", b).astype(float), real_array("curvatures", curvatures).astype(float)
    if linear.ndim != 2 or diagonals.shape not in (linear.shape, linear.shape[1:]):
        raise ValueError(
            f"curvatures must have shape [n, d] or [d] like b [n, d], got {diagonals.shape}, {linear.shape}"
        )
    diagonals = np.broadcast_to(diagonals, linear.shape)
    basis = np.eye(linear.shape[1])
    return _shifted(diagonals[:, :, None, None], linear[:, :, None], basis, noise_std, initial_point)


def _shared_eigenvectors(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (basis, diagonals [n,d]) when one basis diagonalises all matrices [n,d,d], else (identity, matrices)."""
    num_matrices, dim = matrices.shape[:2]
    if num_matrices == 1:
        values, basis = np.linalg.eigh(matrices[0])
        return basis, values[None]
    # A generic combination of commuting matrices has, almost surely, no eigenvalue that they do not share.
    combination = np.random.default_rng(0).uniform(0.5, 1.5, num_matrices)
    _, basis = np.linalg.eigh(np.tensordot(combination, matrices, axes=1))
    rotated = basis.T @ matrices @ basis
    diagonals = np.diagonal(rotated, axis1=1, axis2=2)
    remainder = rotated - diagonals[:, :, None] * np.eye(dim)
    if np.abs(remainder).max() <= 1e-12 * dim * np.abs(matrices).max():
        return basis, diagonals
    return np.eye(dim), matrices


def _shifted(
    curvatures: np.ndarray, linear: np.ndarray, basis: np.ndarray, noise_std: float, initial_point: ArrayLike | None
) -> QuadraticInstance:
    """Check, find the minimiser and express everything relative to it."""
    mean_curvature = curvatures.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(mean_curvature)
    if eigenvalues.min() <= 1e-14 * eigenvalues.max():
        raise ValueError(f"A must have a positive definite mean, its smallest eigenvalue is {eigenvalues.min():.3g}")
    dim = basis.shape[0]
    start = np.zeros(dim) if initial_point is None else real_array("initial_point", initial_point).astype(float)
    if start.shape != (dim,):
        raise ValueError(f"initial_point must have shape [{dim}], got {start.shape}")
    centre = np.linalg.solve(mean_curvature, linear.mean(axis=0)[..., None])[..., 0]
    return QuadraticInstance(
        curvatures=np.array(curvatures),
        offsets=linear - np.einsum("nkij,kj->nki", curvatures, centre),
        basis=basis,
        minimiser=basis @ centre.reshape(-1),
        initial=(start @ basis).reshape(centre.shape) - centre,
        noise_std=real_number("noise_std", noise_std, at_least=0),
    )
