"""The exact time a method needs to an ε-stationary point of a quadratic. [derived]

Definition: the first time t at which E‖∇F‖² (exact, piecewise constant between arrivals) averaged over the last
tenth of the elapsed time, [0.9t, t], is ≤ ε. With G(t) = ∫₀ᵗ E‖∇F‖² this is G(t) − G(0.9t) ≤ 0.1 t ε.

G is known in closed form at any time, without visiting the cycles before it: relative to the limit cycle the mean is
Mᴺδ and the covariance P∞ − MᴺP∞Mᴺᵀ, so summing over N cycles needs Mᴺ (repeated squaring) and two adjoint solves,

    K = H + MᵀKM,   u = (I − Mᵀ)⁻¹ℓ,   Σ_{k<N} (δₖᵀHδₖ + 2ℓᵀδₖ) = φ(δ₀) − φ(δ_N),   φ(δ) = δᵀKδ + 2uᵀδ,

where H and ℓ collect the cycle's phases, weighted by their seconds. The part of the cycle that t cuts is added phase
by phase. The first ten cycles are scanned arrival by arrival; later ones at 10, 20, 30, 40, 60, 80, … cycles, and the
first of these intervals that ends below ε is narrowed by regula falsi on the exact curve. A dip below ε shorter than
such an interval would be missed: after the transient the curve decays monotonically from cycle to cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.cycle_maps import LinearDynamics, checked_step_sizes, cycle_maps, linear_dynamics, step_chunks
from rasgd.theory.quadratic import QuadraticInstance
from rasgd.theory.stationary import limit_states, matrix_spectral_radius, phase_covariances, solve_lyapunov
from rasgd.validation import real_array, shown

WINDOW = 0.1
_FIRST_CYCLES = 10
_MAX_DOUBLINGS = 50
_PAIR_BYTES = 100_000_000


def time_to_target(
    instance: QuadraticInstance,
    compute_times: ArrayLike,
    method: str,
    step_size: ArrayLike,
    targets: ArrayLike,
    fresh: bool = False,
    relative_tolerance: float = 1e-4,
) -> np.ndarray:
    """Return the seconds to E‖∇F‖² ≤ ε, shape step_size.shape + targets.shape; inf where it is never reached.

    ``step_size``: number or vector [G]; ``targets``: ε, number or vector. An unstable step counts as never reaching.
    ``fresh=True`` evaluates gradients at the x of their arrival. ``relative_tolerance``: of the returned time.
    """
    dynamics = linear_dynamics(instance, compute_times, method, fresh)
    epsilons = real_array("targets", targets).astype(float)
    if epsilons.ndim > 1 or epsilons.size == 0 or not np.all(epsilons > 0):
        raise ValueError(f"targets must be a positive number or a vector of them, got {shown(targets)}")
    steps = checked_step_sizes(step_size)
    flat = np.atleast_1d(epsilons)
    result = np.full((len(steps), len(flat)), np.inf)
    for indices in step_chunks(dynamics, np.arange(len(steps))):
        chunk = steps[indices]
        with np.errstate(over="ignore", invalid="ignore"):
            maps = cycle_maps(dynamics, chunk)
        radii = matrix_spectral_radius(maps.matrix).max(axis=1)
        stable = np.flatnonzero(radii < 1)
        if stable.size:
            curve = CumulativeError.of(dynamics, chunk[stable])
            result[indices[stable]] = _first_times(curve, flat, relative_tolerance)
    return result.reshape(np.shape(step_size) + epsilons.shape)


@dataclass(frozen=True)
class CumulativeError:
    """G(t) = ∫₀ᵗ E‖∇F‖² for G stable step sizes, in closed form.

    Axes: G steps, K modes, E phases, r mode dimension, m state. ``gradient_rows`` [G,K,E·r,m]: Ā times x's rows.
    ``limit_gradients`` [G,K,E·r] and ``limit_noise`` [G,K,E]: the gradient on the limit cycle and the
    stationary noise part of E‖∇F‖² per phase. ``deviations`` [G,K,m,m+1]: a factor R of P∞ = RRᵀ beside δ₀.
    """

    period: float
    starts: np.ndarray
    seconds: np.ndarray
    powers: list[np.ndarray]
    gradient_rows: np.ndarray
    limit_gradients: np.ndarray
    limit_noise: np.ndarray
    deviations: np.ndarray
    adjoint: np.ndarray
    adjoint_linear: np.ndarray
    cycle_floor: np.ndarray

    @classmethod
    def of(cls, dynamics: LinearDynamics, steps: np.ndarray) -> CumulativeError:
        """Return the curve of ``dynamics`` for stable step sizes [G]."""
        maps = cycle_maps(dynamics, steps)
        cycle, curvature = dynamics.cycle, dynamics.instance.mean_curvature
        num_steps, num_modes, num_phases, r, m = maps.x_matrix.shape
        states, covariance = limit_states(maps), solve_lyapunov(maps.matrix, maps.noise)
        rows = curvature[:, None] * maps.x_matrix if r == 1 else curvature[:, None] @ maps.x_matrix
        gradients = (rows @ states[:, :, None, :, None])[..., 0]
        gradients += np.einsum("kij,gkej->gkei", curvature, maps.x_shift)
        within = np.einsum("kij,gkejl,kli->gke", curvature, maps.x_noise, curvature, optimize=True)
        noise = np.trace(phase_covariances(rows, covariance), axis1=-2, axis2=-1) + within
        weights = np.repeat(cycle.seconds, r)
        rows, gradients = rows.reshape(num_steps, num_modes, num_phases * r, m), gradients.reshape(*noise.shape[:2], -1)
        transposed = maps.matrix.swapaxes(-1, -2)
        gram = (rows * weights[:, None]).swapaxes(-1, -2) @ rows
        linear = (rows.swapaxes(-1, -2) @ (gradients * weights)[..., None])[..., 0]
        values, vectors = np.linalg.eigh(covariance)
        factor = vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :]
        start = dynamics.initial_state - states
        return cls(
            period=cycle.period,
            starts=cycle.starts,
            seconds=cycle.seconds,
            powers=[maps.matrix],
            gradient_rows=rows,
            limit_gradients=gradients,
            limit_noise=noise,
            deviations=np.concatenate([factor, start[..., None]], axis=-1),
            adjoint=solve_lyapunov(transposed, gram),
            adjoint_linear=np.linalg.solve(np.eye(m) - transposed, linear[..., None])[..., 0],
            cycle_floor=(noise @ cycle.seconds + gradients**2 @ weights).sum(axis=1),
        )

    def power(self, exponent: int) -> np.ndarray:
        """Return M to the 2^exponent [G,K,m,m], squaring as far as needed."""
        while len(self.powers) <= exponent:
            self.powers.append(self.powers[-1] @ self.powers[-1])
        return self.powers[exponent]

    def advance(self, deviations: np.ndarray, index: np.ndarray, cycles: np.ndarray) -> np.ndarray:
        """Return Mᴺ deviations for pairs: ``index`` [P] picks the step size, ``cycles`` [P] is N."""
        for exponent in range(int(cycles.max(initial=0)).bit_length()):
            chosen = np.flatnonzero((cycles >> exponent) & 1)
            if chosen.size:
                deviations[chosen] = self.power(exponent)[index[chosen]] @ deviations[chosen]
        return deviations

    def remaining(self, deviations: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return the sum over all later cycles of what E‖∇F‖² differs from its floor, times seconds, [P]."""
        adjoint, mean = self.adjoint[index], deviations[..., -1]
        quadratic = (deviations * (adjoint @ deviations)).sum(axis=-2)
        linear = 2 * (self.adjoint_linear[index] * mean).sum(axis=-1)
        return (quadratic[..., -1] + linear - quadratic[..., :-1].sum(axis=-1)).sum(axis=-1)

    def phase_values(self, deviations: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return E‖∇F‖² in every phase [P,E] of the cycle that starts with these deviations."""
        moved = self.gradient_rows[index] @ deviations
        shape = (*self.limit_noise[index].shape, -1)
        mean = (self.limit_gradients[index] + moved[..., -1]) ** 2
        spread = (moved[..., :-1] ** 2).sum(axis=-1)
        values = (mean - spread).reshape(shape).sum(axis=-1) + self.limit_noise[index]
        return values.sum(axis=1)

    def at(self, index: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return G(t) for pairs (step index, t) [P]."""
        size = max(1, _PAIR_BYTES // (8 * self.gradient_rows[0].size))
        parts = [slice(first, first + size) for first in range(0, len(index), size)]
        return np.concatenate([self._at(index[part], times[part]) for part in parts])

    def _at(self, index: np.ndarray, times: np.ndarray) -> np.ndarray:
        cycles = np.floor(times / self.period + 1e-12).astype(np.int64)
        deviations = self.advance(self.deviations[index], index, cycles)
        total = cycles * self.cycle_floor[index] - self.remaining(deviations, index)
        total += self.remaining(self.deviations, np.arange(len(self.deviations)))[index]
        elapsed = np.clip(times - cycles * self.period, 0.0, None)
        cut = np.flatnonzero(elapsed > 1e-12 * self.period)
        if cut.size:
            counted = np.clip(elapsed[cut, None] - self.starts, 0.0, self.seconds)
            total[cut] += (self.phase_values(deviations[cut], index[cut]) * counted).sum(axis=1)
        return total

    def window_excess(self, index: np.ndarray, times: np.ndarray, epsilons: np.ndarray) -> np.ndarray:
        """Return (average over the last tenth of the time)/ε − 1 for triples [P]."""
        both = self.at(np.concatenate([index, index]), np.concatenate([times, (1 - WINDOW) * times]))
        late, early = np.split(both, 2)
        return (late - early) / (WINDOW * times * epsilons) - 1.0


def _first_times(curve: CumulativeError, epsilons: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the times [G, ε]."""
    result = _within_first_cycles(curve, epsilons)
    low, high, low_value, high_value = _brackets(curve, epsilons)
    index, target = np.nonzero(np.isinf(result) & np.isfinite(high))
    if index.size:
        bracket = (low[index, target], high[index, target], low_value[index, target], high_value[index, target])
        result[index, target] = _narrowed(curve, index, epsilons[target], *bracket, tolerance)
    return result


def _within_first_cycles(curve: CumulativeError, epsilons: np.ndarray) -> np.ndarray:
    """Return exact crossing times [G, ε] within the first cycles, from the curve of every single arrival."""
    every = np.arange(len(curve.deviations))
    deviations, values = curve.deviations.copy(), []
    for _ in range(_FIRST_CYCLES):
        values.append(curve.phase_values(deviations, every))
        deviations = curve.power(0) @ deviations
    errors = np.concatenate(values, axis=1)
    seconds = np.tile(curve.seconds, _FIRST_CYCLES)
    ends = np.cumsum(seconds)
    # A(t) bends where t or 0.9 t meets an arrival, and is linear in G between.
    knots = np.concatenate([ends, ends[ends <= (1 - WINDOW) * ends[-1]] / (1 - WINDOW)])
    knots = np.unique(knots[knots > 0])
    result = np.full((len(errors), len(epsilons)), np.inf)
    for row, error in enumerate(errors):
        integral = np.concatenate([[0.0], np.cumsum(error * seconds)])
        at = np.concatenate([[0.0], ends])
        area = np.interp(knots, at, integral) - np.interp((1 - WINDOW) * knots, at, integral)
        for column, epsilon in enumerate(epsilons):
            result[row, column] = _first_crossing(knots, area - WINDOW * epsilon * knots)
    return result


def _first_crossing(times: np.ndarray, excess: np.ndarray) -> float:
    """Return where a piecewise linear function with values ``excess`` first is ≤ 0; 0 if at once, inf if never."""
    below = np.flatnonzero(excess <= 0)
    if below.size == 0:
        return np.inf
    first = below[0]
    if first == 0:  # constant from time 0 on until the first knot
        return 0.0
    share = excess[first - 1] / (excess[first - 1] - excess[first])
    return float(times[first - 1] + share * (times[first] - times[first - 1]))


def _scanned_cycles(curve: CumulativeError) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (N, Mᴺ, M to the 0.9N) for N = 10, 20, 30, 40, 60, 80, 120, …: one squaring each, 0.9N is whole."""
    ten, nine, thirty, twenty_seven = (_matrix_power(curve, exponent) for exponent in (10, 9, 30, 27))
    yield 10, ten, nine
    for doubling in range(_MAX_DOUBLINGS):
        ten, nine = ten @ ten, nine @ nine
        yield 20 * 2**doubling, ten, nine
        yield 30 * 2**doubling, thirty, twenty_seven
        if np.abs(twenty_seven).max() < 1e-14:
            return
        thirty, twenty_seven = thirty @ thirty, twenty_seven @ twenty_seven


def _brackets(curve: CumulativeError, epsilons: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (low, high, excess at low, at high) [G, ε] around the first scanned time below ε; high inf if none."""
    every = np.arange(len(curve.deviations))
    shape = (len(every), len(epsilons))
    low, high = np.full(shape, np.nan), np.full(shape, np.inf)
    low_value, high_value = np.full(shape, np.nan), np.full(shape, np.nan)
    previous_time, previous = 0.0, np.full(shape, np.nan)
    for cycles, late, early in _scanned_cycles(curve):
        change = curve.remaining(early @ curve.deviations, every) - curve.remaining(late @ curve.deviations, every)
        average = (change / (WINDOW * cycles) + curve.cycle_floor) / curve.period
        time, excess = cycles * curve.period, average[:, None] / epsilons - 1.0
        hit = (excess <= 0) & np.isinf(high)
        low[hit], low_value[hit] = previous_time, previous[hit]
        high[hit], high_value[hit] = time, excess[hit]
        previous_time, previous = time, excess
        if np.all(np.isfinite(high)):
            break
    return low, high, low_value, high_value


def _matrix_power(curve: CumulativeError, exponent: int) -> np.ndarray:
    every = np.arange(len(curve.deviations))
    identity = np.broadcast_to(np.eye(curve.deviations.shape[-2]), curve.power(0).shape).copy()
    return curve.advance(identity, every, np.full(len(every), exponent))


def _narrowed(
    curve: CumulativeError,
    index: np.ndarray,
    epsilons: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    low_value: np.ndarray,
    high_value: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """Return a root of the window's excess in each bracket, by regula falsi with the Illinois weight, in log t."""
    low, high = low.copy(), high.copy()
    active = np.flatnonzero(high - low > tolerance * high)
    side = np.zeros(len(index), dtype=int)
    low_value, high_value = np.log1p(low_value), np.log1p(high_value)
    for _ in range(60):
        if active.size == 0:
            break
        a, b, fa, fb = low[active], high[active], low_value[active], high_value[active]
        share = np.clip(fa / (fa - fb), 0.02, 0.98)
        middle = a * (b / a) ** share
        value = np.log1p(curve.window_excess(index[active], middle, epsilons[active]))
        below = value <= 0
        # The end that stays twice gets half its weight, so that both ends close in.
        low_value[active] = np.where(below, np.where(side[active] < 0, fa / 2, fa), value)
        high_value[active] = np.where(below, value, np.where(side[active] > 0, fb / 2, fb))
        low[active], high[active] = np.where(below, a, middle), np.where(below, middle, b)
        side[active] = np.where(below, -1, 1)
        distance = np.abs(value) * np.log(b / a) / (fa - fb)  # to the root, along the chord, in log t
        done = (high[active] - low[active] <= tolerance * high[active]) | (distance <= tolerance / 2)
        low[active[done]] = high[active[done]] = middle[done]
        active = active[~done]
    return high
