"""The exact mean and covariance of an iterate over time on a quadratic, the prefix included. [derived]"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.exact.maps import Dynamics, Maps, Stretch, checked_step_sizes, maps, step_chunks
from rasgd.validation import real_array, shown, whole_number

_SLACK = 1e-9  # of a period: sums of decimal times within it below an arrival tie


@dataclass(frozen=True)
class MomentTrajectory:
    """Exact moments at the requested times, after every arrival with time ≤ t.

    ``times`` [N] seconds; ``mean`` [N, ..., d]; ``covariance`` [N, ..., d, d]; ``expected_grad_norm_sq`` and
    ``expected_excess_loss`` [N, ...]: E‖∇F(x)‖² and E F(x) − F(x*). The dots are the axis of step sizes, if any.
    """

    times: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    expected_grad_norm_sq: np.ndarray
    expected_excess_loss: np.ndarray


def moment_trajectory(dynamics: Dynamics, step_size: ArrayLike, times: ArrayLike) -> MomentTrajectory:
    """The exact mean and covariance of x at ``times`` [N] seconds.

    Works for unstable steps too (their moments grow and may overflow to infinity). Raises ``ValueError`` for negative
    times.
    """
    seconds = real_array("times", times).astype(float)
    if seconds.ndim != 1 or not np.all(np.isfinite(seconds)) or np.any(seconds < 0):
        raise ValueError(f"times must be a vector of finite seconds ≥ 0, got {shown(times)}")
    chunks = step_chunks(dynamics, checked_step_sizes(step_size))
    parts = [x_moments(maps(dynamics, chunk), seconds) for chunk in chunks]
    x, x_covariance = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    if np.ndim(step_size) == 0:
        x, x_covariance = x[:, 0], x_covariance[:, 0]
    instance, curvature = dynamics.instance, dynamics.instance.mean_curvature
    gradients = np.einsum("kij,...kj->...ki", curvature, x)
    scattered = np.einsum("kij,...kjl,kli->...", curvature, x_covariance, curvature)
    spread = np.einsum("kij,...kji->...", curvature, x_covariance)
    return MomentTrajectory(
        times=seconds,
        mean=instance.to_points(x),
        covariance=instance.to_covariance(x_covariance),
        expected_grad_norm_sq=(gradients**2).sum(axis=(-1, -2)) + scattered,
        expected_excess_loss=((gradients * x).sum(axis=(-1, -2)) + spread) / 2,
    )


def cycle_end_errors(dynamics: Dynamics, step_size: ArrayLike, num_cycles: int, seconds: float) -> np.ndarray:
    """E‖∇F(xᵐ)‖² at the ends of cycles of ``seconds``, m = 0 … ``num_cycles``, [num_cycles + 1, ...]."""
    times = np.arange(whole_number("num_cycles", num_cycles, at_least=0) + 1) * seconds
    return moment_trajectory(dynamics, step_size, times).expected_grad_norm_sq


def stretches(given: Maps) -> Iterator[tuple[Stretch, float]]:
    """All stretches from time 0 on, each with the seconds by which it stands later than when it was recorded."""
    yield from ((stretch, 0.0) for stretch in given.prefix)
    passed = 0
    while True:
        yield from ((stretch, passed * given.dynamics.period) for stretch in given.period)
        passed += 1


def x_moments(given: Maps, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [N,G,K,r] and covariance [N,G,K,r,r] of x, relative to the minimiser."""
    mean, order, r = given.initial, np.argsort(times, kind="stable"), given.dynamics.instance.mode_dim
    covariance = np.zeros((*mean.shape, mean.shape[-1]))
    means, covariances = (np.empty((len(times), *mean.shape[:2], *shape)) for shape in ((r,), (r, r)))
    slack, done = _SLACK * given.dynamics.period, 0
    with np.errstate(over="ignore", invalid="ignore"):
        for stretch, later in stretches(given):
            ends = later + stretch.start + stretch.seconds
            while done < len(times) and len(ends) and times[order[done]] < ends[-1] - slack:
                at = order[done]
                first = int(np.searchsorted(ends - slack, times[at], side="right"))
                phase = slice(first, first + 1)
                means[at] = stretch.x_means(mean, phase)[:, :, 0]
                covariances[at] = stretch.x_covariances(covariance, phase)[:, :, 0]
                done += 1
            if done == len(times):
                return means, covariances
            mean, covariance = stretch.mean_after(mean), stretch.covariance_after(covariance)
    raise AssertionError("there always is one more period")
