"""Means and covariances at the ends of cycles, for many small quadratics at once. [derived]

Fᵢ(x) = ½xᵀAᵢx + rᵢᵀx around the minimiser of Σ wᵢFᵢ, which is the origin; Gaussian noise. The state z = (x, s₁…sₙ, 1)
holds the server's point, the points that workers hold and a constant. One arrival is x ← x − γᵢ(Aᵢsᵢ + rᵢ + noise),
sᵢ ← x; the arrivals of one cycle compose to z ← Mz + Ne with standard normal e. All arrays start with the axis of the
instances, B.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rasgd.theory.periods import Cycle


class CycleMaps(NamedTuple):
    """One cycle as a linear map of (state, noise) [D+1 + Kd columns], D = (n+1)d.

    ``advance`` [B, D+1, D+1] and ``noise`` [B, D+1, Kd]: the state at the cycle's end. ``points`` [B, K+1, d, D+1+Kd]:
    x at the beginning and after every arrival. ``held`` [B, K, d, D+1+Kd]: where the gradient that arrives was taken.
    """

    advance: np.ndarray
    noise: np.ndarray
    points: np.ndarray
    held: np.ndarray

    @property
    def dim(self) -> int:
        return self.points.shape[2]

    @property
    def covariance(self) -> np.ndarray:
        """NNᵀ [B, D+1, D+1], what one cycle's noise adds."""
        return self.noise @ self.noise.swapaxes(1, 2)


def cycle_maps(
    curvatures: np.ndarray,
    residuals: np.ndarray,
    worker_steps: np.ndarray,
    noise_std: np.ndarray,
    arrivals: Cycle,
    inner: bool = True,
) -> CycleMaps:
    """Return the maps of instances with Aᵢ [B, n, d, d], rᵢ [B, n, d], γᵢ [B, n] and noise per coordinate [B].

    All share the order of ``arrivals``, as ``periods.cycle`` gives it. Without ``inner`` the points within the cycle,
    K²d² numbers for each instance, are left out: ``points`` and ``held`` are empty.
    """
    num_instances, n, d = residuals.shape
    size, length = (n + 1) * d + 1, arrivals.length
    columns = size + length * d
    state = np.zeros((num_instances, size, columns))
    state[:, np.arange(size), np.arange(size)] = 1.0
    kept = length if inner else 0
    points, held = (np.empty((num_instances, number, d, columns)) for number in (kept + inner, kept))
    if inner:
        points[:, 0] = state[:, :d]
    for k, worker in enumerate(arrivals.workers):
        own = slice((worker + 1) * d, (worker + 2) * d)
        gradient = curvatures[:, worker] @ state[:, own]
        if inner:
            held[:, k] = state[:, own]
        gradient[:, :, size - 1] += residuals[:, worker]
        at = size + k * d + np.arange(d)
        gradient[:, np.arange(d), at] += noise_std[:, None]
        state[:, :d] -= worker_steps[:, worker, None, None] * gradient
        state[:, own] = state[:, :d]
        if inner:
            points[:, k + 1] = state[:, :d]
    return CycleMaps(state[:, :, :size], state[:, :, size:], points, held)


def common_start(x0: np.ndarray, num_workers: int) -> np.ndarray:
    """Return z at time 0 [B, D+1], where every worker holds x⁰ [B, d]."""
    return np.concatenate([np.tile(x0, (1, num_workers + 1)), np.ones((len(x0), 1))], axis=1)


def expected_squares(maps: CycleMaps, reader: np.ndarray, start: np.ndarray, num_cycles: int) -> np.ndarray:
    """Return E‖Rxᵐ‖² at the beginnings of cycles m = 0 … num_cycles − 1 [B, num_cycles], R = ``reader`` [B, d, d].

    With R the mean curvature Ā this is E‖∇F(xᵐ)‖². Carries RMᵐ forward, which is d/D of the covariance's work.
    """
    carried = np.zeros((len(start), maps.dim, start.shape[1]))
    carried[:, :, : maps.dim] = reader
    squares, spread, covariance = np.empty((len(start), num_cycles)), np.zeros(len(start)), maps.covariance
    for m in range(num_cycles):
        mean = (carried @ start[:, :, None])[:, :, 0]
        squares[:, m] = (mean**2).sum(axis=1) + spread
        spread = spread + ((carried @ covariance) * carried).sum(axis=(1, 2))
        carried = carried @ maps.advance
    return squares


def second_moments(maps: CycleMaps, start: np.ndarray, num_cycles: int) -> np.ndarray:
    """Return E zzᵀ at the beginnings of the first cycles [num_cycles, B, D+1, D+1]."""
    moment, covariance = start[:, :, None] * start[:, None, :], maps.covariance
    every = []
    for _ in range(num_cycles):
        every.append(moment)
        moment = maps.advance @ moment @ maps.advance.swapaxes(1, 2) + covariance
    return np.array(every)


def average_square(maps: CycleMaps, reader: np.ndarray, start: np.ndarray, num_cycles: np.ndarray) -> np.ndarray:
    """Return (1/M) Σ_{m<M} E‖Rxᵐ‖² [B] for M = ``num_cycles`` [B] of any size, by doubling."""
    moment = start[:, :, None] * start[:, None, :]
    return _total(maps, moment, reader, np.asarray(num_cycles, dtype=np.int64)) / num_cycles


def doubled_averages(maps: CycleMaps, reader: np.ndarray, start: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the same [B] after M = 1, 2, 4 … 2^(count−1) cycles."""
    powers, averages = _Doubling(maps, start[:, :, None] * start[:, None, :], reader), []
    for _ in range(count):
        block = powers.current()
        averages.append(block.total / block.length)
        powers.double()
    return averages


def first_average_below(
    maps: CycleMaps,
    reader: np.ndarray,
    start: np.ndarray,
    target: float | np.ndarray,
    together: bool = False,
    limit: int = 2**50,
) -> np.ndarray:
    """Return the smallest M with (1/M) Σ_{m<M} E‖Rxᵐ‖² ≤ target [B], inf beyond ``limit`` and where it diverges.

    ``together``: the instances are the independent modes of one problem, whose squares add up; one number is returned.
    By doubling and bisection, so exact where the average crosses the target once, as it does while E‖∇F‖² falls.
    """

    def gathered(totals: np.ndarray) -> np.ndarray:
        return np.full_like(totals, totals.sum()) if together else totals

    first = start[:, :, None] * start[:, None, :]
    powers = _Doubling(maps, first, reader)
    blocks = [powers.current()]
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is never below the target
        while (gathered(blocks[-1].total) > target * blocks[-1].length).any() and blocks[-1].length < limit:
            powers.double()
            blocks.append(powers.current())
        reached = np.any([gathered(block.total) <= target * block.length for block in blocks], axis=0)
        total, length, moment = np.zeros(len(start)), np.zeros(len(start)), first
        for block in reversed(blocks):  # the largest M with an average above the target, bit by bit
            ahead = total + gathered(block.total_from(moment))
            above = ahead > target * (length + block.length)
            total, length = np.where(above, ahead, total), np.where(above, length + block.length, length)
            moment = np.where(above[:, None, None], block.move(moment), moment)
    found = np.where(reached, length + 1, np.inf)
    return found[:1] if together else found


class _Block(NamedTuple):
    """``length`` cycles: z ← Az + noise of covariance C; from moment X the squares of Rx add up to tr(W X) + offset."""

    length: int
    advance: np.ndarray
    covariance: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    total: np.ndarray

    def move(self, moment: np.ndarray) -> np.ndarray:
        return self.advance @ moment @ self.advance.swapaxes(1, 2) + self.covariance

    def total_from(self, moment: np.ndarray) -> np.ndarray:
        return (self.weight * moment).sum(axis=(1, 2)) + self.offset


class _Doubling:
    """Blocks of 1, 2, 4, … cycles."""

    def __init__(self, maps: CycleMaps, start: np.ndarray, reader: np.ndarray):
        weight, d = np.zeros_like(maps.advance), maps.dim
        weight[:, :d, :d] = reader.swapaxes(1, 2) @ reader
        self.start = start
        self.block = _Block(1, maps.advance, maps.covariance, weight, np.zeros(len(start)), np.zeros(len(start)))

    def current(self) -> _Block:
        return self.block._replace(total=(self.block.weight * self.start).sum(axis=(1, 2)) + self.block.offset)

    def double(self) -> None:
        own = self.block
        turned = own.advance.swapaxes(1, 2)
        self.block = _Block(
            2 * own.length,
            own.advance @ own.advance,
            own.advance @ own.covariance @ turned + own.covariance,
            own.weight + turned @ own.weight @ own.advance,
            2 * own.offset + (own.weight * own.covariance).sum(axis=(1, 2)),
            own.total,
        )


def _total(maps: CycleMaps, moment: np.ndarray, reader: np.ndarray, num_cycles: np.ndarray) -> np.ndarray:
    powers, total = _Doubling(maps, moment, reader), np.zeros(len(moment))
    remaining = num_cycles.copy()
    while remaining.any():
        odd = remaining % 2 == 1
        block = powers.block
        total = np.where(odd, total + block.total_from(moment), total)
        moment = np.where(odd[:, None, None], block.move(moment), moment)
        remaining //= 2
        if remaining.any():
            powers.double()
    return total


def limit_cycle(maps: CycleMaps) -> np.ndarray:
    """Return z∞ [B, D+1], where noiseless cycles of contracting maps end."""
    size = maps.advance.shape[1] - 1
    inner = np.eye(size) - maps.advance[:, :size, :size]
    return np.concatenate(
        [np.linalg.solve(inner, maps.advance[:, :size, size:])[:, :, 0], np.ones((len(maps.advance), 1))], axis=1
    )


def spectral_radius(maps: CycleMaps) -> np.ndarray:
    """Return ρ(M) [B] without the constant's eigenvalue 1."""
    size = maps.advance.shape[1] - 1
    return np.abs(np.linalg.eigvals(maps.advance[:, :size, :size])).max(axis=1)


def phase_average(maps: CycleMaps, arrivals: Cycle, state: np.ndarray, by: str = "seconds") -> np.ndarray:
    """Return x averaged over one cycle that begins in ``state`` [B, D+1], noiseless: [B, d].

    ``by``: "seconds" weighs every phase by how long it lasts, "arrivals" the K points after arrivals equally.
    """
    if by == "seconds":
        weights = np.diff(np.concatenate([[0.0], arrivals.times, [arrivals.seconds]]))
    elif by == "arrivals":
        weights = np.concatenate([[0.0], np.ones(arrivals.length)])
    else:
        raise ValueError(f"by must be 'seconds' or 'arrivals', got {by!r}")
    rows = maps.points[:, :, :, : state.shape[1]] @ state[:, None, :, None]
    return np.tensordot(rows[..., 0], weights / weights.sum(), axes=([1], [0]))
