"""Random quadratics on which the paper's theorems are checked, many of one shape at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rasgd.theory import cycle_moments, paper, periods
from rasgd.theory.constants import Constants, heterogeneity_suprema
from rasgd.theory.cycle_moments import CycleMaps

# ρ over the smallest one with a finite ζ²: where the tightest of the bounds is looked for.
GROWTHS = (1.0001, 1.01, 1.05, 1.2, 1.5, 2.0, 4.0, 10.0)
MAX_ARRIVALS = 64  # of a cycle: that many steps of matrices are composed


class Instances(NamedTuple):
    """B quadratics of n workers in d dimensions that share compute times, each with its own weights wᵢ.

    ``curvatures`` [B, n, d, d]: Aᵢ. ``residuals`` [B, n, d]: ∇Fᵢ at the minimiser of Σ wᵢFᵢ, which is the origin.
    ``weights`` [B, n]. ``noise_std`` [B]: per coordinate. ``start`` [B, d]: x⁰.
    """

    arrivals: periods.Cycle
    compute_times: np.ndarray
    curvatures: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    noise_std: np.ndarray
    start: np.ndarray

    @property
    def mean_curvature(self) -> np.ndarray:
        return np.einsum("bn,bnij->bij", self.weights, self.curvatures)

    def state(self) -> np.ndarray:
        return cycle_moments.common_start(self.start, len(self.compute_times))

    def maps(self, cycle_step: np.ndarray, inner: bool = True) -> CycleMaps:
        """The maps of one cycle at α [B]."""
        steps = paper.cycle_steps(self.compute_times, self.weights, cycle_step).worker_steps
        return cycle_moments.cycle_maps(self.curvatures, self.residuals, steps, self.noise_std, self.arrivals, inner)

    def smallest_growth(self) -> np.ndarray:
        ratios = np.linalg.solve(self.mean_curvature[:, None], self.curvatures)
        return np.linalg.norm(ratios, ord=2, axis=(-2, -1)).max(axis=1)

    def constants(self, growth: np.ndarray) -> Constants:
        """Those of Σ wᵢFᵢ as arrays [B], with ζ² = ζ²(ρ) at ρ [B]."""
        mean = self.mean_curvature
        return Constants(
            smoothness=np.linalg.eigvalsh(mean)[:, -1],
            max_smoothness=np.linalg.eigvalsh(self.curvatures)[..., -1].max(axis=1),
            noise_variance=self.noise_std**2 * self.start.shape[1],
            initial_gap=np.einsum("bi,bij,bj->b", self.start, mean, self.start) / 2,
            heterogeneity=heterogeneity_suprema(mean, self.curvatures, self.residuals, growth),
            growth=growth,
        )

    def constants_along(self, growths: tuple[float, ...] = GROWTHS) -> list[Constants]:
        """The constants at several ρ, given over the smallest."""
        smallest = self.smallest_growth()
        first = self.constants(smallest * growths[0])
        rest = [
            replace(
                first,
                growth=smallest * factor,
                heterogeneity=heterogeneity_suprema(
                    self.mean_curvature, self.curvatures, self.residuals, smallest * factor
                ),
            )
            for factor in growths[1:]
        ]
        return [first, *rest]


def groups(seed: int, num_groups: int, per_group: int, max_workers: int, max_dim: int) -> Iterator[dict]:
    """What instances of a group share: compute times, harmonic in two of three, dividing the slowest in the third."""
    rng = np.random.default_rng([seed, 0])
    for number in range(num_groups):
        n = int(rng.integers(2, max_workers + 1))
        times = random_times(rng, n, harmonic=number % 3 < 2)
        dim = int(rng.integers(1, max_dim + 1))
        yield {
            "group": number, "compute_times": times, "dim": dim, "count": per_group,
            "kind": "equal" if number % 2 else "unequal",
        }  # fmt: skip


def random_times(rng: np.random.Generator, num_workers: int, harmonic: bool) -> np.ndarray:
    """Times of which each divides the largest, with at most 64 arrivals a cycle; harmonic or, if it comes so, not."""
    while True:
        if harmonic:
            chain = np.cumprod(rng.integers(1, 5, size=4))
            times = rng.permutation(np.append(rng.choice(chain, num_workers - 1), chain[-1]))
        else:
            slowest = int(rng.choice([6, 12, 24]))
            divisors = [k for k in range(1, slowest + 1) if slowest % k == 0]
            times = rng.permutation(np.append(rng.choice(divisors, num_workers - 1), slowest))
        if periods.arrival_counts(times).sum() <= MAX_ARRIVALS:
            return times.astype(float)


def random_instances(rng: np.random.Generator, group: dict, target: str) -> Instances:
    """Instances of a group whose objective weighs workers by ``target``: rescaled, asgd or any (Dirichlet)."""
    times, d, count, n = group["compute_times"], group["dim"], group["count"], len(group["compute_times"])
    shape = (count, 1 if group["kind"] == "equal" else n)
    basis = np.linalg.qr(rng.normal(size=(*shape, d, d)))[0]
    values = 10.0 ** rng.uniform(-2.0, 0.0, size=(*shape, d))
    values[..., 0] = 1.0
    scale = 10.0 ** rng.uniform(-1.0, 0.0, size=(*shape, 1))
    curvatures = np.broadcast_to((basis * (values * scale)[..., None, :]) @ basis.swapaxes(-1, -2), (count, n, d, d))
    weights = (
        rng.dirichlet(np.ones(n), size=count)
        if target == "any"
        else np.tile(paper.target_weights(target, times), (count, 1))
    )
    # sizes of heterogeneity and noise over decades, each absent in one of five
    zeta = 10.0 ** rng.uniform(-2.0, 2.0, count) * (rng.random(count) > 0.2)
    noise = 10.0 ** rng.uniform(-2.0, 2.0, count) * (rng.random(count) > 0.2)
    residuals = rng.normal(size=(count, n, d)) * zeta[:, None, None]
    residuals -= np.einsum("bn,bnd->bd", weights, residuals)[:, None]
    start = rng.normal(size=(count, d)) * 10.0 ** rng.uniform(-1.0, 1.0, (count, 1))
    return Instances(periods.cycle(times), times, curvatures, residuals, weights, noise / np.sqrt(d), start)
