"""Where a method with a constant step settles on a quadratic: limit cycle, stability, rate, noise floor. [derived]

With z ↦ Mz + c and noise covariance Q per cycle (see ``cycle_maps``):

    z∞ = (I − M)⁻¹c,    stable ⇔ ρ(M) < 1,    P∞ = MP∞Mᵀ + Q,
    E‖∇F‖² = ‖∇F(x∞)‖² + tr(Ā Pₓ Ā),

each in every phase of the cycle; averages are over time, which is what an evaluation that does not know the cycle sees.
Every function takes ``step_size`` as a number or a vector [G]; results then have a leading axis G. ``fresh=True``
evaluates every gradient at the x of its arrival: the same method without staleness. Unstable steps give NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.cycle_maps import (
    CycleMaps,
    LinearDynamics,
    checked_step_sizes,
    cycle_maps,
    cycle_means,
    linear_dynamics,
    step_chunks,
)
from rasgd.theory.quadratic import QuadraticInstance
from rasgd.validation import real_array


@dataclass(frozen=True)
class LimitCycle:
    """The periodic orbit the mean iterate approaches.

    ``starts`` and ``seconds`` [phases]: when each phase begins in the cycle and how long it lasts. ``points``
    [..., phases, d]; ``mean_point`` [..., d]: their average over time. ``gradient_norm_sq`` [..., phases]: ‖∇F‖²
    there; ``bias`` [...]: its average over time, what is left of E‖∇F‖² without noise.
    """

    starts: np.ndarray
    seconds: np.ndarray
    points: np.ndarray
    mean_point: np.ndarray
    gradient_norm_sq: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class StationaryError:
    """The floor of E‖∇F‖² at a constant step: ``total = bias + noise``, averages over time [...].

    ``phase_bias`` and ``phase_noise`` [..., phases]: the same in every phase, ``starts``/``seconds`` [phases].
    ``covariance`` [..., d, d]: time-averaged covariance of x.
    """

    bias: np.ndarray
    noise: np.ndarray
    total: np.ndarray
    phase_bias: np.ndarray
    phase_noise: np.ndarray
    covariance: np.ndarray
    starts: np.ndarray
    seconds: np.ndarray


def matrix_spectral_radius(matrices: np.ndarray) -> np.ndarray:
    """Return the largest |eigenvalue| of matrices [..., m, m]; infinite where an entry is not finite."""
    finite = np.isfinite(matrices).all(axis=(-1, -2))
    radii = np.full(finite.shape, np.inf)
    if finite.any():
        radii[finite] = np.abs(np.linalg.eigvals(matrices[finite])).max(axis=-1)
    return radii


def _radii(dynamics: LinearDynamics, steps: np.ndarray) -> np.ndarray:
    """Return ρ(M), the largest over modes, for step sizes [G]."""
    with np.errstate(over="ignore", invalid="ignore"):
        whole, _ = cycle_means(dynamics, steps, phases=False)
    return matrix_spectral_radius(whole[..., :-1]).max(axis=1)


def solve_lyapunov(matrix: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Return P = MPMᵀ + C for stable M [..., m, m] by doubling: after k rounds 2ᵏ terms of Σ MʲCMʲᵀ are summed."""
    power, total = matrix, constant
    for _ in range(64):
        added = power @ total @ power.swapaxes(-1, -2)
        total = total + added
        if np.all(np.abs(added) <= 1e-17 * np.abs(total).max(axis=(-1, -2), keepdims=True)):
            break
        power = power @ power
    return (total + total.swapaxes(-1, -2)) / 2


def limit_states(maps: CycleMaps) -> np.ndarray:
    """Return z∞ [G,K,m] at the ends of the cycle."""
    identity = np.eye(maps.matrix.shape[-1])
    return np.linalg.solve(identity - maps.matrix, maps.shift[..., None])[..., 0]


def _squeezed(value: np.ndarray, step_size: ArrayLike) -> np.ndarray:
    """Drop the step axis when one step size was given as a number."""
    return value[0] if np.ndim(step_size) == 0 else value


def _stable_only(value: np.ndarray, radii: np.ndarray) -> np.ndarray:
    value[radii >= 1] = np.nan
    return value


def spectral_radius(
    instance: QuadraticInstance, compute_times: ArrayLike, method: str, step_size: ArrayLike, fresh: bool = False
) -> np.ndarray:
    """Return ρ(M): errors shrink by this factor per cycle of lcm(τ) seconds."""
    steps = checked_step_sizes(step_size)
    return _squeezed(_radii(linear_dynamics(instance, compute_times, method, fresh), steps), step_size)


def linear_rate(
    instance: QuadraticInstance, compute_times: ArrayLike, method: str, step_size: ArrayLike, fresh: bool = False
) -> np.ndarray:
    """Return ln ρ(M)/T, the exponent per second with which the mean approaches its limit cycle (negative: stable)."""
    dynamics = linear_dynamics(instance, compute_times, method, fresh)
    radii = _radii(dynamics, checked_step_sizes(step_size))
    with np.errstate(divide="ignore"):
        return _squeezed(np.log(radii) / dynamics.cycle.period, step_size)


def largest_stable_step(
    instance: QuadraticInstance,
    compute_times: ArrayLike,
    method: str,
    fresh: bool = False,
    relative_tolerance: float = 1e-9,
) -> float:
    """Return the step size γ below which ρ(M) < 1 and at which it first reaches 1.

    Upward scan in ratios of 1.05 from a step that is far too small, then repeated subdivision of the bracket: stability
    need not be monotone in γ, the scan finds the first loss (an unstable window narrower than 5 % would be missed).
    Returns 0.0 when no step is stable, as for vanilla ASGD whose weighted objective is not convex.
    """
    dynamics = linear_dynamics(instance, compute_times, method, fresh)
    curvature = np.abs(np.linalg.eigvalsh(dynamics.instance.curvatures)).max()
    low = 1e-3 / (curvature * len(dynamics.step_factors) * dynamics.step_factors.max())
    if _radii(dynamics, np.array([low]))[0] >= 1:
        low *= 1e-3
        if _radii(dynamics, np.array([low]))[0] >= 1:
            return 0.0
    ratios = 1.05 ** np.arange(1, 17)
    while True:
        stable = _radii(dynamics, low * ratios) < 1
        if not stable.all():
            break
        low *= ratios[-1]
    first = int(np.argmin(stable))
    low, high = low * (ratios[first - 1] if first else 1.0), low * ratios[first]
    while high - low > relative_tolerance * high:
        inner = np.linspace(low, high, 18)
        unstable = np.append(_radii(dynamics, inner[1:-1]) >= 1, True)
        first = int(np.argmax(unstable))
        low, high = inner[first], inner[first + 1]
    return float((low + high) / 2)


def limit_cycle(
    instance: QuadraticInstance, compute_times: ArrayLike, method: str, step_size: ArrayLike, fresh: bool = False
) -> LimitCycle:
    """Return the limit cycle of the mean iterate, phase by phase; it is the noiseless run's as well."""
    dynamics = linear_dynamics(instance, compute_times, method, fresh)
    errors, points = [], []
    for steps in step_chunks(dynamics, checked_step_sizes(step_size)):
        with np.errstate(over="ignore", invalid="ignore"):
            whole, x_rows = cycle_means(dynamics, steps, phases=True)
        radii = matrix_spectral_radius(whole[..., :-1]).max(axis=1)
        whole[radii >= 1], x_rows[radii >= 1] = np.eye(*whole.shape[-2:]) / 2, np.nan
        ends = np.linalg.solve(np.eye(whole.shape[-2]) - whole[..., :-1], whole[..., -1:])[..., 0]
        x = np.einsum("gkerm,gkm->gekr", x_rows[..., :-1], ends) + x_rows[..., -1].transpose(0, 2, 1, 3)
        gradients = np.einsum("kij,gekj->geki", instance.mean_curvature, x)
        errors.append((gradients**2).sum(axis=(-1, -2)))
        points.append(instance.to_points(x))
    weights = dynamics.cycle.seconds / dynamics.cycle.period
    all_points, all_errors = np.concatenate(points), np.concatenate(errors)
    return LimitCycle(
        starts=dynamics.cycle.starts,
        seconds=dynamics.cycle.seconds,
        points=_squeezed(all_points, step_size),
        mean_point=_squeezed(np.einsum("e,ged->gd", weights, all_points), step_size),
        gradient_norm_sq=_squeezed(all_errors, step_size),
        bias=_squeezed(all_errors @ weights, step_size),
    )


def stationary_error(
    instance: QuadraticInstance, compute_times: ArrayLike, method: str, step_size: ArrayLike, fresh: bool = False
) -> StationaryError:
    """Return the exact floor of E‖∇F‖² at constant steps, split into what bias and what noise leaves."""
    dynamics = linear_dynamics(instance, compute_times, method, fresh)
    weights = dynamics.cycle.seconds / dynamics.cycle.period
    curvature = instance.mean_curvature
    collected: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for steps in step_chunks(dynamics, checked_step_sizes(step_size)):
        maps = cycle_maps(dynamics, steps)
        radii = matrix_spectral_radius(maps.matrix).max(axis=1)
        maps.matrix[radii >= 1], maps.noise[radii >= 1] = 0.0, 0.0
        states, covariance = limit_states(maps), solve_lyapunov(maps.matrix, maps.noise)
        x = np.einsum("gkerm,gkm->gker", maps.x_matrix, states) + maps.x_shift
        bias = (np.einsum("kij,gkej->gkei", curvature, x) ** 2).sum(axis=(1, 3))
        x_covariance = phase_covariances(maps.x_matrix, covariance) + maps.x_noise
        noise = np.einsum("kij,gkejl,kli->ge", curvature, x_covariance, curvature, optimize=True)
        average = instance.to_covariance(np.einsum("e,gkeij->gkij", weights, x_covariance))
        collected.append(tuple(_stable_only(value, radii) for value in (bias, noise, average)))
    bias, noise, average = (_squeezed(np.concatenate(part), step_size) for part in zip(*collected, strict=True))
    return StationaryError(
        bias=bias @ weights,
        noise=noise @ weights,
        total=(bias + noise) @ weights,
        phase_bias=bias,
        phase_noise=noise,
        covariance=average,
        starts=dynamics.cycle.starts,
        seconds=dynamics.cycle.seconds,
    )


def phase_covariances(x_matrix: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return XPXᵀ [G,K,E,r,r] for x's rows X [G,K,E,r,m] and state covariances P [G,K,m,m]."""
    num_events, r = x_matrix.shape[2:4]
    flat = x_matrix.reshape(*x_matrix.shape[:2], num_events * r, -1) @ covariance
    product = flat.reshape(x_matrix.shape)
    if r == 1:
        return (product * x_matrix).sum(axis=-1, keepdims=True)
    return product @ x_matrix.swapaxes(-1, -2)


def small_step_floor(
    instance: QuadraticInstance, compute_times: ArrayLike, method: str, step_size: ArrayLike
) -> np.ndarray:
    """Return the noise part of the floor of E‖∇F‖² to first order in γ, shape step_size.shape. [derived]

    γ·v·(σ²/d)·tr(ĀA_w⁻¹Ā)/2 with A_w the weighted mean curvature the method descends: v = τ_A/τ_H and A_w = Ā for
    ``rescaled``, v = 1/n and A_w = Ā for ``minibatch``, v = 1 and A_w = Σ pᵢAᵢ for ``asgd``.
    """
    dynamics = linear_dynamics(instance, compute_times, method)
    mean, factors = instance.mean_curvature, dynamics.step_factors
    frequency = np.bincount(dynamics.cycle.workers, minlength=len(factors)) / len(dynamics.cycle.workers)
    descended = np.einsum("n,nkij->kij", frequency * factors, dynamics.instance.curvatures)
    trace = np.trace(mean @ np.linalg.solve(descended, mean), axis1=-2, axis2=-1).sum()
    slope = (frequency @ factors**2) * dynamics.instance.noise_std**2 * trace / 2
    return real_array("step_size", step_size).astype(float) * slope
