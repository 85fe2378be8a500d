"""Quadratics: the problems on which everything is known exactly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.problems.base import Problem


class Quadratic(Problem):
    """Fᵢ(x) = ½ xᵀAᵢx − bᵢᵀx with additive Gaussian noise on every gradient coordinate.

    ∇fᵢ(x; ξ) = Aᵢx − bᵢ + noise_std·ξ, ξ ~ N(0, I), so σ² = d·noise_std².

    Args:
        A: symmetric matrices: `[n, d, d]`, one `[d, d]` shared by all, or one shared tridiagonal matrix as `[3, d]`
            (below, on and above the diagonal; the first entry below and the last above are ignored).
        b: linear terms, `[n, d]`.
        noise_std: standard deviation of the noise per coordinate, ≥ 0.
        initial_point: x⁰, `[d]` (default 0).

    Raises:
        ValueError: for shapes that do not fit, non-finite entries or a negative noise_std.

    The loss is F(x) itself and may be negative. For d ≤ 3 the metrics hold the coordinates of x as point_0 ….
    """

    dtype = torch.float64

    def __init__(self, A, b, noise_std: float = 0.0, initial_point=None):
        A = torch.as_tensor(np.asarray(A), dtype=torch.float64)
        b = torch.as_tensor(np.asarray(b), dtype=torch.float64)
        if b.ndim != 2:
            raise ValueError(f"b must have shape [n, d], got {list(b.shape)}")
        n, d = b.shape
        # For d = 3 a shared matrix and a tridiagonal one have the same shape: then it is the matrix.
        self.tridiagonal = A.shape == (3, d) and d != 3
        if not self.tridiagonal and A.shape not in ((d, d), (n, d, d)):
            raise ValueError(
                f"A must have shape [{n}, {d}, {d}], [{d}, {d}] or tridiagonal [3, {d}] to fit b, got {list(A.shape)}"
            )
        if not (torch.isfinite(A).all() and torch.isfinite(b).all()):
            raise ValueError("A and b must be finite, got NaN or infinite entries")
        if not self.tridiagonal and not torch.allclose(A, A.mT):
            raise ValueError("A must be symmetric, got a matrix that differs from its transpose")
        if not (np.isfinite(noise_std) and noise_std >= 0):
            raise ValueError(f"noise_std must be a finite number of at least 0, got {noise_std!r}")
        x0 = np.zeros(d) if initial_point is None else np.asarray(initial_point, dtype=np.float64)
        if x0.shape != (d,) or not np.isfinite(x0).all():
            raise ValueError(f"initial_point must be a finite vector of shape [{d}], got shape {list(x0.shape)}")
        self.A, self.b, self.noise_std = A, b, float(noise_std)
        self.num_workers, self.dim = n, d
        self.x0 = torch.from_numpy(x0.copy())
        self.mean_A = A if A.ndim == 2 else A.mean(0)
        self.mean_b = b.mean(0)
        self.replicas_per_pass = max(1, 2**18 // d)  # 2 MiB of float64 per point
        self.constants = {"noise_variance": d * self.noise_std**2}
        self.matrices = list(A) if A.ndim == 3 else [A] * n
        self.minus_b = list(-b)

    def to(self, device):
        other = super().to(device)
        other.matrices = [matrix.to(other.device) for matrix in self.matrices]
        other.minus_b = list(-other.b)
        return other

    def initial_point(self, seed: int) -> Tensor:
        return self.x0

    def draw(self, generator, worker, count):
        return generator.standard_normal((count, self.dim)) if self.noise_std else None

    def prepare(self, worker, draws):
        return draws * self.noise_std - self.b[worker]  # one addition per gradient instead of two

    def gradient(self, worker, x, sample):
        if self.tridiagonal:
            product = tridiagonal_product(self.A, x)
        elif sample is not None and len(sample) == len(x):
            return torch.addmm(sample, x, self.matrices[worker])
        elif sample is None:
            return torch.addmm(self.minus_b[worker], x, self.matrices[worker])
        else:
            product = x @ self.matrices[worker]
        if sample is None:
            return product.add_(self.minus_b[worker])
        product.view(-1, *sample.shape).add_(sample)
        return product

    def evaluate(self, x):
        Ax = tridiagonal_product(self.A, x) if self.tridiagonal else x @ self.mean_A
        metrics = {
            "loss": 0.5 * (x * Ax).sum(1) - x @ self.mean_b,
            "grad_norm_sq": (Ax - self.mean_b).square().sum(1),
        }
        if self.dim <= 3:
            metrics |= {f"point_{j}": x[:, j] for j in range(self.dim)}
        return metrics


def tridiagonal_product(A: Tensor, x: Tensor) -> Tensor:
    """A x for a symmetric tridiagonal matrix stored as `[3, d]` and points `[num_replicas, d]`."""
    product = x * A[1]
    product[:, 1:] += x[:, :-1] * A[0, 1:]
    product[:, :-1] += x[:, 1:] * A[2, :-1]
    return product


def tridiagonal(dim: int, scale: float = 0.25) -> np.ndarray:
    """scale·tridiag(−1, 2, −1) as `[3, dim]`, the matrix of the Ringmaster paper's quadratic [lit]."""
    return scale * np.stack([np.full(dim, -1.0), np.full(dim, 2.0), np.full(dim, -1.0)])


def random_quadratic(
    num_workers: int,
    dim: int,
    noise: float,
    heterogeneity: float,
    seed: int = 0,
    curvature_spread: float = 0.5,
) -> Quadratic:
    """A heterogeneous instance whose noise and heterogeneity are set exactly.

    The mean matrix is ¼·tridiag(−1, 2, −1). The Aᵢ share its eigenvectors; each eigenvalue is multiplied by its own
    1 + curvature_spread·u, u uniform in [−1, 1] and centred over workers. The bᵢ are Gaussian, shifted and scaled so
    that (1/n) Σ ‖∇Fᵢ(x*)‖² = ζ² and F has the minimiser x* of the Ringmaster paper's b = (−¼, 0, …, 0).

    Args:
        num_workers: n.
        dim: d.
        noise: σ, so that E‖∇fᵢ − ∇Fᵢ‖² = σ².
        heterogeneity: ζ.
        seed: of the instance.
        curvature_spread: in [0, 1); 0 gives every worker the same matrix.

    Raises:
        ValueError: for a curvature_spread outside [0, 1).
    """
    if not 0 <= curvature_spread < 1:
        raise ValueError(f"curvature_spread must lie in [0, 1), got {curvature_spread!r}")
    draws = randomness.generator(seed, "quadratic")
    mean_A = 0.25 * (2 * np.eye(dim) - np.eye(dim, k=1) - np.eye(dim, k=-1))
    eigenvalues, vectors = np.linalg.eigh(mean_A)
    u = draws.uniform(-1, 1, (num_workers, dim))
    factors = 1 + curvature_spread * (u - u.mean(0)) / 2  # centring can double |u|, so halve: factors stay positive
    A = np.einsum("dk,nk,ek->nde", vectors, factors * eigenvalues, vectors)
    A = (A + A.transpose(0, 2, 1)) / 2
    mean_b = np.zeros(dim)
    mean_b[0] = -0.25
    minimiser = np.linalg.solve(mean_A, mean_b)
    gradients = draws.standard_normal((num_workers, dim))
    gradients -= gradients.mean(0)
    size = np.sqrt(np.square(gradients).sum(1).mean())
    gradients *= heterogeneity / size if size > 0 else 0.0
    x0 = np.zeros(dim)
    x0[0] = np.sqrt(dim)
    return Quadratic(A, A @ minimiser - gradients, noise_std=noise / np.sqrt(dim), initial_point=x0)
