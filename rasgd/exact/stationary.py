"""Where a linear method with a constant step settles on a quadratic: limit cycle, stability, rate, floor. [derived]

With z ↦ Mz + c and noise covariance Q per period (`rasgd.exact.maps`), for deviations in the reachable subspace,

    z∞ = z + (I − M)⁻¹(Mz + c − z),    stable ⇔ ρ(M) < 1,    P∞ = MP∞Mᵀ + Q,
    E‖∇F‖² = ‖∇F(x∞)‖² + tr(Ā Pₓ Ā),

each in every phase of the period; averages are over time, which is what an evaluation that does not know the period
sees. Every function takes ``step_size`` as a number or a vector [G]; results then have a leading axis G. Unstable steps
give NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rasgd.exact.maps import Dynamics, Maps, checked_step_sizes, maps, spectral_radii, step_chunks
from rasgd.exact.quadratic import QuadraticInstance

_PERIODS_TO_SETTLE = 1000  # of a method without curvature; a few, but for momentum


@dataclass(frozen=True)
class StationaryError:
    """The floor of E‖∇F‖² at a constant step: ``total = bias + noise``, averages over time [...].

    ``bias`` is what is left without noise. ``starts`` and ``seconds`` [phases]: when each phase of the period begins
    and how long it lasts; ``phase_bias``, ``phase_noise`` [..., phases]. ``points`` [..., phases, d]: the limit cycle,
    which is the noiseless run's as well; ``mean_point`` [..., d] and ``covariance`` [..., d, d] average x over time.
    """

    bias: np.ndarray
    noise: np.ndarray
    total: np.ndarray
    starts: np.ndarray
    seconds: np.ndarray
    phase_bias: np.ndarray
    phase_noise: np.ndarray
    points: np.ndarray
    mean_point: np.ndarray
    covariance: np.ndarray


class Limit(NamedTuple):
    """Mean [G,K,m] of the state at the ends of the period on the limit cycle, its covariance [G,K,m,m]."""

    mean: np.ndarray
    covariance: np.ndarray


def solve_lyapunov(matrix: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """P = MPMᵀ + C for stable M [..., m, m] by doubling: after k rounds 2ᵏ terms of Σ MʲCMʲᵀ are summed."""
    power, total = matrix, constant
    for _ in range(64):
        added = power @ total @ power.swapaxes(-1, -2)
        total = total + added
        # Coordinates differ in size, x from sums of gradients for example; each is taken by its own measure.
        if np.all(np.diagonal(added, 0, -2, -1) <= 1e-17 * np.diagonal(total, 0, -2, -1)):
            break
        power = power @ power
    return (total + total.swapaxes(-1, -2)) / 2


def limit(given: Maps) -> Limit:
    """The limit of stable steps; of others it has no meaning."""
    basis, reduced = given.basis, given.reduced
    drift = given.next_mean(given.mean) - given.mean
    moved = np.linalg.solve(np.eye(basis.shape[1]) - reduced, drift[..., given.chosen, None])[..., 0]
    covariance = solve_lyapunov(reduced, given.among_chosen(given.noise))
    return Limit(given.mean + moved @ basis.T, basis @ covariance @ basis.T)


def squeezed(value: np.ndarray, step_size: ArrayLike) -> np.ndarray:
    """The value without its leading axis when one step size was given as a number."""
    return value[0] if np.ndim(step_size) == 0 else value


def stable_maps(dynamics: Dynamics, steps: np.ndarray) -> tuple[Maps | None, np.ndarray]:
    """The maps of the stable ones among these step sizes, None if there is none, and which these are."""
    stable = spectral_radii(dynamics, steps) < 1
    return (maps(dynamics, steps[stable]) if stable.any() else None), stable


def spectral_radius(dynamics: Dynamics, step_size: ArrayLike) -> np.ndarray:
    """ρ(M): errors shrink by this factor per period."""
    return squeezed(spectral_radii(dynamics, checked_step_sizes(step_size)), step_size)


def linear_rate(dynamics: Dynamics, step_size: ArrayLike) -> np.ndarray:
    """ln ρ(M)/T, the exponent per second with which the mean approaches its limit cycle (negative: stable)."""
    with np.errstate(divide="ignore"):
        return np.log(spectral_radius(dynamics, step_size)) / dynamics.period


def largest_stable_step(dynamics: Dynamics, relative_tolerance: float = 1e-9) -> float:
    """The step size γ below which ρ(M) < 1 and at which it first reaches 1.

    Upward scan in ratios of 1.05 from a step that is far too small, then repeated subdivision of the bracket: stability
    need not be monotone in γ, the scan finds the first loss (an unstable window narrower than 5 % would be missed).
    0.0 when no step is stable, as for vanilla ASGD whose weighted objective is not convex.
    """
    curvature = np.abs(np.linalg.eigvalsh(dynamics.instance.curvatures)).max()
    n = dynamics.instance.num_workers
    seconds = np.array(dynamics.plan.setting.seconds)
    low = 1e-3 / (curvature * n * (seconds / seconds.min()).max())
    if spectral_radii(dynamics, np.array([low]))[0] >= 1:
        low *= 1e-3
        if spectral_radii(dynamics, np.array([low]))[0] >= 1:
            return 0.0
    ratios = 1.05 ** np.arange(1, 33)
    while True:
        stable = spectral_radii(dynamics, low * ratios) < 1
        if not stable.all():
            break
        low *= ratios[-1]
    first = int(np.argmin(stable))
    low, high = low * (ratios[first - 1] if first else 1.0), low * ratios[first]
    while high - low > relative_tolerance * high:
        inner = np.linspace(low, high, 18)
        unstable = np.append(spectral_radii(dynamics, inner[1:-1]) >= 1, True)
        first = int(np.argmax(unstable))
        low, high = inner[first], inner[first + 1]
    return float((low + high) / 2)


def stationary_error(dynamics: Dynamics, step_size: ArrayLike) -> StationaryError:
    """The exact floor of E‖∇F‖² at constant steps, split into what bias and what noise leaves."""
    steps, parts = checked_step_sizes(step_size), []
    for chunk in step_chunks(dynamics, steps):
        given, stable = stable_maps(dynamics, chunk)
        parts.append(with_nan(dynamics, along_period(given) if stable.any() else None, stable))
    bias, noise, points, covariance = (squeezed(np.concatenate(part), step_size) for part in zip(*parts, strict=True))
    starts, seconds = dynamics.plan.starts, dynamics.plan.seconds
    weights = seconds / dynamics.period
    return StationaryError(
        bias=bias @ weights,
        noise=noise @ weights,
        total=(bias + noise) @ weights,
        starts=starts,
        seconds=seconds,
        phase_bias=bias,
        phase_noise=noise,
        points=points,
        mean_point=np.einsum("e,...ed->...d", weights, points),
        covariance=covariance,
    )


def along_period(given: Maps) -> tuple[np.ndarray, ...]:
    """‖∇F‖² on the limit cycle [G,phases], what noise adds, points [G,phases,d], average covariance [G,d,d]."""
    instance, curvature = given.dynamics.instance, given.dynamics.instance.mean_curvature
    mean, covariance = limit(given)
    bias, noise, points, average = [], [], [], 0.0
    for stretch in given.period:
        gradients, scattered = stretch.gradients(mean, covariance, curvature)
        bias.append((gradients**2).sum(axis=(1, 3)))
        noise.append(scattered)
        points.append(instance.to_points(stretch.x_means(mean).swapaxes(1, 2)))
        shares = stretch.seconds / given.dynamics.period
        average = average + np.einsum("e,gkeij->gkij", shares, stretch.x_covariances(covariance))
        mean, covariance = stretch.mean_after(mean), stretch.covariance_after(covariance)
    by_phase = (np.concatenate(part, axis=1) for part in (bias, noise, points))
    return (*by_phase, instance.to_covariance(average))


def with_nan(dynamics: Dynamics, values: tuple[np.ndarray, ...] | None, stable: np.ndarray) -> tuple[np.ndarray, ...]:
    """The values of stable steps at their places [G], NaN at the others."""
    if values is None:
        dim, count = len(dynamics.instance.minimiser), len(dynamics.plan.starts)
        shapes = ((count,), (count,), (count, dim), (dim, dim))
        return tuple(np.full((len(stable), *shape), np.nan) for shape in shapes)
    filled = []
    for value in values:
        filled.append(np.full((len(stable), *value.shape[1:]), np.nan))
        filled[-1][stable] = value
    return tuple(filled)


class SmallStep(NamedTuple):
    """What a method tends to as γ → 0.

    Attributes:
        bias: limit of E‖∇F‖² on the limit cycle, without noise.
        slope: what noise adds is slope·γ to first order.
        weights: share of every worker in the steps, `[n]`.
        seconds_per_gradient: how long a method that applies every gradient alike may take for one, to be as fast where
            noise dominates: τ_A/n for Rescaled ASGD, τ_H/n for vanilla ASGD, τ_max/n for minibatch SGD.
    """

    bias: float
    slope: float
    weights: np.ndarray
    seconds_per_gradient: float


def small_step(dynamics: Dynamics) -> SmallStep:
    """The first order in γ of a method, from the weights of workers and of single gradients. [derived]

    In a period of T seconds x moves by −γ Σ wᵢ∇Fᵢ, so it settles at the minimiser of Σ wᵢFᵢ; each gradient's noise
    moves it, sooner or later, by its total weight W: slope = ΣW²·(σ²/d)·tr(Ā A_w⁻¹ Ā)/2 with A_w = Σ wᵢAᵢ. A target ε
    asks for γ ∝ ε/slope and then for a time ∝ T/(γ Σ wᵢ), so methods compare by TΣW²/(Σ wᵢ)².
    """
    instance = dynamics.instance
    weights, noise = growth(dynamics)
    mean = instance.mean_curvature
    descended = np.einsum("n,nkij->kij", weights, instance.curvatures)
    point = np.linalg.solve(descended, np.einsum("n,nki->ki", weights, instance.offsets)[..., None])
    bias = float(((mean @ point) ** 2).sum())
    # Equal weights leave gradients of about 1e-15 of the workers' own.
    bias = 0.0 if bias <= 1e-24 * float((instance.offsets**2).sum()) else bias
    trace = np.trace(mean @ np.linalg.solve(descended, mean), axis1=-2, axis2=-1).sum()
    total = weights.sum()
    return SmallStep(
        bias=bias,
        slope=float(noise * instance.noise_std**2 * trace / 2),
        weights=weights / total,
        seconds_per_gradient=float(dynamics.period * noise / total**2),
    )


def growth(dynamics: Dynamics) -> tuple[np.ndarray, float]:
    """How far each worker's constant gradient moves −x in a period [n], and how unit noise lets x's variance grow.

    From a problem without curvature that has one mode per worker, whose gradients are 1 in it and 0 in all others.
    """
    n = dynamics.instance.num_workers
    flat = QuadraticInstance(
        np.zeros((n, n, 1, 1)), np.eye(n)[..., None], np.eye(n), np.zeros(n), np.zeros((n, 1)), 1.0
    )  # fmt: skip
    given = maps(dynamics._replace(instance=flat), np.array([1.0]))
    mean, covariance, at = given.mean, given.covariance, given.period[0]
    moments = [(at.x_means(mean)[0, :, 0, 0], at.x_covariances(covariance)[0, 0, 0, 0, 0])]
    grown = None
    for _ in range(_PERIODS_TO_SETTLE):
        mean, covariance = given.next_mean(mean), given.next_covariance(covariance)
        moments.append((at.x_means(mean)[0, :, 0, 0], at.x_covariances(covariance)[0, 0, 0, 0, 0]))
        previous, grown = grown, np.append(*(new - old for new, old in zip(moments[-1], moments[-2], strict=True)))
        if previous is not None and np.allclose(previous, grown, rtol=1e-12, atol=0):
            break
    return grown[:-1], float(grown[-1])
