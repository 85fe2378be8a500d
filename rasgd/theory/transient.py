"""The exact mean and covariance of an iterate over time on a quadratic. [derived]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.cycle_maps import (
    CycleMaps,
    LinearDynamics,
    checked_step_sizes,
    cycle_maps,
    linear_dynamics,
    step_chunks,
)
from rasgd.theory.quadratic import QuadraticInstance
from rasgd.theory.schedule import locate
from rasgd.theory.stationary import phase_covariances
from rasgd.validation import real_array, shown


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


def moment_trajectory(
    instance: QuadraticInstance,
    compute_times: ArrayLike,
    method: str,
    step_size: ArrayLike,
    times: ArrayLike,
    fresh: bool = False,
) -> MomentTrajectory:
    """Return the exact mean and covariance of x at ``times`` [N] seconds for "asgd", "rescaled" or "minibatch".

    Works for unstable steps too (their moments grow and may overflow to infinity). Raises ``ValueError`` for negative
    times or compute times without a short cycle.
    """
    dynamics = linear_dynamics(instance, compute_times, method, fresh)
    seconds = real_array("times", times).astype(float)
    if seconds.ndim != 1 or not np.all(np.isfinite(seconds)) or np.any(seconds < 0):
        raise ValueError(f"times must be a vector of finite seconds ≥ 0, got {shown(times)}")
    parts = [
        _moments(dynamics, cycle_maps(dynamics, steps), seconds)
        for steps in step_chunks(dynamics, checked_step_sizes(step_size))
    ]
    x, x_covariance = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    if np.ndim(step_size) == 0:
        x, x_covariance = x[:, 0], x_covariance[:, 0]
    curvature = instance.mean_curvature
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


def _moments(dynamics: LinearDynamics, maps: CycleMaps, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean [N,G,K,r] and covariance [N,G,K,r,r] of x, relative to the minimiser, by iterating whole cycles."""
    cycles, phases = locate(dynamics.cycle, times)
    num_steps, num_modes, _, r, m = maps.x_matrix.shape
    state = np.broadcast_to(dynamics.initial_state, (num_steps, num_modes, m))
    covariance = np.zeros((num_steps, num_modes, m, m))
    mean = np.empty((len(times), num_steps, num_modes, r))
    spread = np.empty((len(times), num_steps, num_modes, r, r))
    passed = 0
    for index in np.argsort(times, kind="stable"):
        while passed < cycles[index]:
            state = (maps.matrix @ state[..., None])[..., 0] + maps.shift
            covariance = maps.matrix @ covariance @ maps.matrix.swapaxes(-1, -2) + maps.noise
            passed += 1
        phase = phases[index]
        x_matrix = maps.x_matrix[:, :, phase]
        mean[index] = (x_matrix @ state[..., None])[..., 0] + maps.x_shift[:, :, phase]
        spread[index] = phase_covariances(x_matrix[:, :, None], covariance)[:, :, 0] + maps.x_noise[:, :, phase]
    return mean, spread
