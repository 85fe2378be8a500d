"""Quadratics: the problems on which everything is known exactly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.problems.base import Problem
from rasgd.validation import is_real, real_array, real_number, whole_number


class Quadratic(Problem):
    """Fᵢ(x) = ½ xᵀAᵢx − bᵢᵀx with additive Gaussian noise on every gradient coordinate.

    ∇fᵢ(x; ξ) = Aᵢx − bᵢ + noise_std·ξ, ξ ~ N(0, I), so σ² = d·noise_std².

    Args:
        A: symmetric matrices: `[n, d, d]`, one `[d, d]` shared by all, or one shared tridiagonal matrix as `[3, d]`
            (below, on and above the diagonal; the first entry below and the last above are ignored). For d = 3 a
            `[3, 3]` is the matrix itself.
        b: linear terms, `[n, d]`.
        noise_std: standard deviation of the noise per coordinate, ≥ 0.
        initial_point: x⁰, `[d]` (default 0).

    Raises:
        ValueError: for shapes that do not fit, entries that are not finite numbers, a matrix that is not symmetric or
            a negative noise_std.

    The loss is F(x) itself and may be negative. For d ≤ 3 the metrics hold the coordinates of x as point_0 ….
    """

    dtype = torch.float64

    def __init__(self, A, b, noise_std: float = 0.0, initial_point=None):
        # Copies: arrays that the caller changes later do not change the problem.
        A = torch.tensor(real_array("A", A), dtype=torch.float64)
        b = torch.tensor(real_array("b", b), dtype=torch.float64)
        if b.ndim != 2 or 0 in b.shape:
            raise ValueError(f"b must have shape [n, d] with at least one worker and dimension, got {list(b.shape)}")
        n, d = b.shape
        self.tridiagonal = A.shape == (3, d) and d != 3
        if not self.tridiagonal and A.shape not in ((d, d), (n, d, d)):
            raise ValueError(
                f"A must have shape [{n}, {d}, {d}], [{d}, {d}] or tridiagonal [3, {d}] to fit b, got {list(A.shape)}"
            )
        if not (torch.isfinite(A).all() and torch.isfinite(b).all()):
            raise ValueError("A and b must be finite, got NaN or infinite entries")
        symmetric = torch.allclose(A[0, 1:], A[2, :-1]) if self.tridiagonal else torch.allclose(A, A.mT)
        if not symmetric:
            raise ValueError("A must be symmetric, got a matrix that differs from its transpose")
        noise_std = real_number("noise_std", noise_std, at_least=0)
        x0 = np.zeros(d) if initial_point is None else real_array("initial_point", initial_point).astype(np.float64)
        if x0.shape != (d,):
            raise ValueError(f"initial_point must have shape [{d}] to fit b, got {list(x0.shape)}")
        if not np.isfinite(x0).all():
            raise ValueError("initial_point must be finite, got NaN or infinite entries")
        self.A, self.b, self.noise_std = A, b, noise_std
        self.num_workers, self.dim = n, d
        self.x0 = torch.from_numpy(x0)
        self.mean_A = A if A.ndim == 2 else A.mean(0)
        self.mean_b = b.mean(0)
        self.replicas_per_pass = max(1, 2**18 // d)  # 2 MiB of float64 per point
        self.constants = {"noise_variance": d * self.noise_std**2}
        self.split()

    def split(self) -> None:
        """One view per worker, or one shared matrix: indexing a list costs a tenth of indexing a tensor."""
        self.matrices = list(self.A) if self.A.ndim == 3 else [self.A] * self.num_workers
        self.minus_b = list(-self.b)

    def to(self, device):
        other = super().to(device)
        other.split()
        return other

    def initial_point(self, seed: int) -> Tensor:
        return self.x0

    def draw(self, draws, worker):
        return draws.normal(self.dim) if self.noise_std else None

    def prepare(self, worker, draws):
        return torch.add(self.minus_b[worker], draws, alpha=self.noise_std)  # one addition per gradient instead of two

    def gradient(self, worker, x, sample):
        added = self.minus_b[worker] if sample is None else sample  # the prepared sample contains −b
        if self.tridiagonal:
            product = tridiagonal_product(self.A, x)
        elif sample is None or sample.shape[0] == x.shape[0]:
            return torch.addmm(added, x, self.matrices[worker])
        else:
            product = torch.mm(x, self.matrices[worker])
        product.view(-1, added.numel()).add_(added.view(-1))  # step sizes share the samples of a seed
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
    dim = whole_number("dim", dim)
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
        heterogeneity: ζ; 0 if there is one worker.
        seed: of the instance.
        curvature_spread: in [0, 1); 0 gives every worker the same matrix.

    Raises:
        ValueError: for numbers out of these ranges.
    """
    num_workers, dim = whole_number("num_workers", num_workers), whole_number("dim", dim)
    noise = real_number("noise", noise, at_least=0)
    heterogeneity = real_number("heterogeneity", heterogeneity, at_least=0)
    seed = whole_number("seed", seed, at_least=0)
    if heterogeneity and num_workers == 1:
        raise ValueError(f"heterogeneity must be 0 with one worker, got {heterogeneity:g}")
    if not (is_real(curvature_spread) and 0 <= curvature_spread < 1):
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
    if heterogeneity:
        gradients *= heterogeneity / np.sqrt(np.square(gradients).sum(1).mean())
    else:
        gradients[:] = 0.0
    x0 = np.zeros(dim)
    x0[0] = np.sqrt(dim)
    return Quadratic(A, A @ minimiser - gradients, noise_std=noise / np.sqrt(dim), initial_point=x0)
