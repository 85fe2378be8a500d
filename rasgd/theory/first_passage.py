"""The exact time a method needs to an ε-stationary point of a quadratic. [derived]

Definition: the first time t at which E‖∇F‖² (exact, piecewise constant between arrivals) averaged over the last
tenth of the elapsed time, [0.9t, t], is ≤ ε. With G(t) = ∫₀ᵗ E‖∇F‖² this is W(t) = G(t) − G(0.9t) ≤ 0.1 t ε.

W is linear between knots, the times at which t or 0.9t meets an arrival, so a crossing inside known knots is exact.
They are laid out in blocks of ten cycles [10jT, 10(j+1)T]: there 0.9t runs through cycles 9j … 9j + 8, and the knots
have the same places in every block. At the ends of blocks W needs no phases. Relative to the limit cycle the mean is
Mᴺδ and the covariance P∞ − MᴺP∞Mᴺᵀ, so summing over cycles needs Mᴺ (repeated squaring) and two adjoint solves,

    K = H + MᵀKM,   u = (I − Mᵀ)⁻¹ℓ,   Σ_{k<N} (δₖᵀHδₖ + 2ℓᵀδₖ) = φ(δ₀) − φ(δ_N),   φ(δ) = δᵀKδ + 2uᵀδ,

where H and ℓ collect the cycle's phases, weighted by their seconds. Inside a block W sags below the straight line
between the block's ends: a window that cuts a cycle may leave out phases with large errors. So the average can dip
below ε long before averages over whole cycles do.

Search: the first B blocks are visited knot by knot, B ∈ {1, 2, 4, 8, 16}, the largest with at most 20,000 phases in
10B cycles (1 if none is). Later ones are visited at j = 2, 3, 4, 6, 8, 12, … from B on, until M to the 9j is below
1e-14 (at most a hundred). The blocks between two visited ones may hold a crossing if the smaller average over whole
cycles at the two, less the larger of the two blocks' sags over 0.1t at the first, is ≤ ε. Then the block in the middle
is visited and both halves are judged in the same way, down to single blocks.

So nothing is missed within the first 10B cycles, nor later where between two visited blocks averages over whole cycles
change monotonically, and sags do. They do not while a transient oscillates; a dip between two visited blocks can then
be missed, and a later time, or inf, is returned. Without a transient a sag is at most ∫₀ᵀ E‖∇F‖² = fT with the floor f,
so a dip in block j reaches below the floor by f/j at most; what is missed is no deeper, but for what the oscillation
adds. Nothing is missed after the transient: sags are equal there, so the first dip is the deepest, and is visited.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from rasgd.theory.cycle_maps import LinearDynamics, checked_step_sizes, cycle_maps, linear_dynamics, step_chunks
from rasgd.theory.quadratic import QuadraticInstance
from rasgd.theory.stationary import limit_states, matrix_spectral_radius, phase_covariances, solve_lyapunov
from rasgd.validation import real_array, shown

WINDOW = 0.1
_BLOCK = 10  # cycles, of which nine tenths are whole too
_FIRST_PHASES = 20_000
_LARGEST_FIRST_BLOCKS = 16
_MAX_INTERVALS = 100  # two for every doubling of the time
_PAIR_BYTES = 100_000_000


def time_to_target(
    instance: QuadraticInstance,
    compute_times: ArrayLike,
    method: str,
    step_size: ArrayLike,
    targets: ArrayLike,
    fresh: bool = False,
) -> np.ndarray:
    """Return the seconds to E‖∇F‖² ≤ ε, shape step_size.shape + targets.shape; inf where it is never reached.

    ``step_size``: number or vector [G]; ``targets``: ε, number or vector. An unstable step counts as never reaching; a
    stable one may reach ε for a moment only, and settle above it. ``fresh=True`` evaluates gradients at the x of their
    arrival. Raises ``ValueError`` unless targets are positive.
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
            result[indices[stable]] = _first_times(WindowedError.of(dynamics, chunk[stable]), flat)
    return result.reshape(np.shape(step_size) + epsilons.shape)


@dataclass(frozen=True)
class Places:
    """P places on the curves: at the beginning of block ``blocks`` [P] of the step size ``index`` [P].

    ``late`` [P,K,m,q+1]: Mᴺ at N = 10·blocks times the deviations, which are q columns R with P∞ = RRᵀ beside δ₀;
    ``early``: the same at 0.9N.
    """

    index: np.ndarray
    blocks: np.ndarray
    late: np.ndarray
    early: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Places:
        return Places(self.index[rows], self.blocks[rows], self.late[rows], self.early[rows])

    def followed_by(self, other: Places) -> Places:
        return Places(*(np.concatenate(both) for both in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class WindowedError:
    """W(t) = ∫ E‖∇F‖² over [0.9t, t] for G stable step sizes, at ends of blocks and at all knots within one.

    Axes: G steps, K modes, E phases that last, r mode dimension, m state. ``gradient_rows`` [G,K,E·r,m]: Ā times x's
    rows. ``limit_gradients`` [G,K,E·r] and ``limit_noise`` [G,K,E]: the gradient on the limit cycle and the stationary
    noise part of E‖∇F‖² per phase. ``tens`` and ``nines``: M to the 10·2ᵏ and to the 9·2ᵏ, as far as needed.
    """

    period: float
    seconds: np.ndarray
    matrix: np.ndarray
    gradient_rows: np.ndarray
    limit_gradients: np.ndarray
    limit_noise: np.ndarray
    deviations: np.ndarray
    adjoint: np.ndarray
    adjoint_linear: np.ndarray
    cycle_floor: np.ndarray
    tens: list[np.ndarray]
    nines: list[np.ndarray]

    @classmethod
    def of(cls, dynamics: LinearDynamics, steps: np.ndarray) -> WindowedError:
        """Return the curves of ``dynamics`` for stable step sizes [G]."""
        maps = cycle_maps(dynamics, steps)
        lasting = dynamics.cycle.seconds > 0
        seconds, curvature = dynamics.cycle.seconds[lasting], dynamics.instance.mean_curvature
        x_matrix, x_shift, x_noise = (part[:, :, lasting] for part in (maps.x_matrix, maps.x_shift, maps.x_noise))
        num_steps, num_modes, num_phases, r, m = x_matrix.shape
        states, covariance = limit_states(maps), solve_lyapunov(maps.matrix, maps.noise)
        rows = curvature[:, None] * x_matrix if r == 1 else curvature[:, None] @ x_matrix
        gradients = (rows @ states[:, :, None, :, None])[..., 0]
        gradients += np.einsum("kij,gkej->gkei", curvature, x_shift)
        within = np.einsum("kij,gkejl,kli->gke", curvature, x_noise, curvature, optimize=True)
        noise = np.trace(phase_covariances(rows, covariance), axis1=-2, axis2=-1) + within
        weights = np.repeat(seconds, r)
        rows, gradients = rows.reshape(num_steps, num_modes, num_phases * r, m), gradients.reshape(*noise.shape[:2], -1)
        transposed = maps.matrix.swapaxes(-1, -2)
        gram = (rows * weights[:, None]).swapaxes(-1, -2) @ rows
        linear = (rows.swapaxes(-1, -2) @ (gradients * weights)[..., None])[..., 0]
        start = dynamics.initial_state - states
        return cls(
            period=dynamics.cycle.period,
            seconds=seconds,
            matrix=maps.matrix,
            gradient_rows=rows,
            limit_gradients=gradients,
            limit_noise=noise,
            deviations=np.concatenate([_factor(covariance), start[..., None]], axis=-1),
            adjoint=solve_lyapunov(transposed, gram),
            adjoint_linear=np.linalg.solve(np.eye(m) - transposed, linear[..., None])[..., 0],
            cycle_floor=(noise @ seconds + gradients**2 @ weights).sum(axis=1),
            tens=[np.linalg.matrix_power(maps.matrix, _BLOCK)],
            nines=[np.linalg.matrix_power(maps.matrix, _BLOCK - 1)],
        )

    @property
    def first_blocks(self) -> int:
        """B: how many blocks are visited knot by knot at first."""
        affordable = min(_FIRST_PHASES // (_BLOCK * len(self.seconds)), _LARGEST_FIRST_BLOCKS)
        return 1 << (max(affordable, 1).bit_length() - 1)

    @cached_property
    def knots(self) -> np.ndarray:
        """Seconds [U] into a block at which t or 0.9t meets an arrival, with both ends of the block."""
        late, early = self._boundaries(_BLOCK), self._boundaries(_BLOCK - 1) / (1 - WINDOW)
        return np.unique(np.concatenate([late, early[early < late[-1]]]))

    def beginning(self, block: int) -> Places:
        """Return the places [G] at block 0 or 1; the latter with the fewest columns that give the covariance."""
        index = np.arange(len(self.deviations))
        late = early = self.deviations
        if block == 1:
            late, early = _compressed(self.tens[0] @ late), _compressed(self.nines[0] @ early)
        return Places(index, np.full(len(index), block), late, early)

    def advanced(self, places: Places, doublings: int) -> Places:
        """Return the places 2^doublings blocks later."""
        while len(self.tens) <= doublings:
            self.tens.append(self.tens[-1] @ self.tens[-1])
            self.nines.append(self.nines[-1] @ self.nines[-1])
        return replace(
            places,
            blocks=places.blocks + (1 << doublings),
            late=self.tens[doublings][places.index] @ places.late,
            early=self.nines[doublings][places.index] @ places.early,
        )

    def settled(self, places: Places) -> np.ndarray:
        """Return where [P] nothing is left of the transient."""
        doublings = min(int(places.blocks.min()).bit_length(), len(self.nines)) - 1
        return np.abs(self.nines[doublings][places.index]).max(axis=(1, 2, 3)) < 1e-14

    def at(self, places: Places) -> np.ndarray:
        """Return W at the places [P]."""
        later = self._later(places.early, places.index) - self._later(places.late, places.index)
        return later + places.blocks * self.cycle_floor[places.index]  # a tenth of so many blocks of ten cycles

    def within(self, places: Places) -> np.ndarray:
        """Return W at the knots of the block that begins at each place, less W at the place, [P,U]."""
        knots = self.knots
        parts = []
        values_per_row = self.matrix.shape[-1] + _BLOCK * places.late.shape[-1]
        size = max(1, _PAIR_BYTES // (8 * self.limit_gradients[0].size * values_per_row))
        for first in range(0, len(places.index), size):
            part = places[slice(first, first + size)]
            late = self._integrals(part.late, part.index, _BLOCK)
            early = self._integrals(part.early, part.index, _BLOCK - 1)
            at_late, at_early = self._boundaries(_BLOCK), self._boundaries(_BLOCK - 1)
            parts += [
                np.interp(knots, at_late, entered) - np.interp((1 - WINDOW) * knots, at_early, left)
                for entered, left in zip(late, early, strict=True)
            ]
        return np.array(parts)

    def _boundaries(self, cycles: int) -> np.ndarray:
        """Return the seconds at which phases of ``cycles`` cycles begin and end; those of cycles are exact."""
        ends = np.append(np.cumsum(self.seconds)[:-1], self.period)
        return np.append(0.0, (self.period * np.arange(cycles)[:, None] + ends).ravel())

    def _integrals(self, deviations: np.ndarray, index: np.ndarray, cycles: int) -> np.ndarray:
        """Return ∫ E‖∇F‖² from the first to every boundary of ``cycles`` cycles that begin with these deviations."""
        rows, limit, matrix = self.gradient_rows[index], self.limit_gradients[index], self.matrix[index]
        states = [deviations]
        for _ in range(cycles - 1):
            states.append(matrix @ states[-1])
        columns = np.stack(states, axis=3)  # [P,K,m,cycles,q+1]
        moved = (rows @ columns.reshape(*columns.shape[:3], -1)).reshape(*limit.shape, *columns.shape[3:])
        moved[..., -1] += limit[..., None]
        squares = np.square(moved, out=moved).sum(axis=1)
        errors = squares[..., -1] - squares[..., :-1].sum(axis=-1)
        phases = errors.reshape(len(index), len(self.seconds), -1, cycles).sum(axis=2)
        phases += self.limit_noise[index].sum(axis=1)[..., None]
        pieces = (phases * self.seconds[:, None]).swapaxes(1, 2).reshape(len(index), -1)
        return np.concatenate([np.zeros((len(index), 1)), pieces.cumsum(axis=1)], axis=1)

    def _later(self, deviations: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return the sum over all later cycles of what E‖∇F‖² differs from its floor, times seconds, [P]."""
        adjoint, mean = self.adjoint[index], deviations[..., -1]
        quadratic = (deviations * (adjoint @ deviations)).sum(axis=-2)
        linear = 2 * (self.adjoint_linear[index] * mean).sum(axis=-1)
        return (quadratic[..., -1] + linear - quadratic[..., :-1].sum(axis=-1)).sum(axis=-1)


def _factor(covariance: np.ndarray) -> np.ndarray:
    """Return R [..., m, q] with RRᵀ = covariance, in as few columns as rounding allows."""
    values, vectors = np.linalg.eigh(covariance)
    kept = int((values > 1e-16 * values[..., -1:]).sum(axis=-1).max())
    first = values.shape[-1] - kept
    return vectors[..., first:] * np.sqrt(np.clip(values[..., first:], 0.0, None))[..., None, :]


def _compressed(deviations: np.ndarray) -> np.ndarray:
    factor = deviations[..., :-1]
    return np.concatenate([_factor(factor @ factor.swapaxes(-1, -2)), deviations[..., -1:]], axis=-1)


def _first_times(curve: WindowedError, epsilons: np.ndarray) -> np.ndarray:
    """Return the times [G, ε]."""
    result = np.full((len(curve.matrix), len(epsilons)), np.inf)
    places = curve.beginning(0)
    for block in range(curve.first_blocks):
        _keep_crossings(curve, places, curve.within(places), epsilons, result)
        following = curve.beginning(1) if block == 0 else curve.advanced(places, 0)
        places = following[np.isinf(result[following.index]).any(axis=1)]
        if not places.index.size:
            return result
    _scan(curve, places, epsilons, result)
    return result


def _keep_crossings(
    curve: WindowedError, places: Places, within: np.ndarray, epsilons: np.ndarray, result: np.ndarray
) -> None:
    """Enter the crossings of these blocks into ``result`` [G, ε] where they are earlier than what it holds."""
    for column, epsilon in enumerate(epsilons):
        found = _crossings(curve, places, within, np.full(len(places.index), epsilon))
        result[places.index, column] = np.minimum(result[places.index, column], found)


def _crossings(curve: WindowedError, places: Places, within: np.ndarray, epsilons: np.ndarray) -> np.ndarray:
    """Return where W − 0.1tε, linear between knots, first is ≤ 0 in each block [P]; inf where it is not."""
    times = places.blocks[:, None] * (_BLOCK * curve.period) + curve.knots
    excess = curve.at(places)[:, None] + within - WINDOW * epsilons[:, None] * times
    at_start = places.blocks == 0  # where both terms vanish: the average is constant until the first knot
    excess[at_start, 0] = excess[at_start, 1]
    every, first = np.arange(len(times)), np.argmax(excess <= 0, axis=1)
    before = np.maximum(first - 1, 0)
    drop = excess[every, before] - excess[every, first]
    share = np.divide(excess[every, before], drop, out=np.zeros(len(times)), where=first > 0)
    crossing = times[every, before] + share * (times[every, first] - times[every, before])
    return np.where(excess[every, first] <= 0, crossing, np.inf)


@dataclass(frozen=True)
class _Visited:
    """P places with what visiting their blocks shows: W there, and how far it sags below the line to the end."""

    places: Places
    areas: np.ndarray
    sags: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> _Visited:
        return _Visited(self.places[rows], self.areas[rows], self.sags[rows])

    def followed_by(self, other: _Visited) -> _Visited:
        return _Visited(
            self.places.followed_by(other.places),
            np.concatenate([self.areas, other.areas]),
            np.concatenate([self.sags, other.sags]),
        )


def _visited(curve: WindowedError, places: Places, within: np.ndarray) -> _Visited:
    sags = (within[:, -1:] * (curve.knots / curve.knots[-1]) - within).max(axis=1)
    return _Visited(places, curve.at(places), sags)


@dataclass(frozen=True)
class _Intervals:
    """P pairs of visited blocks, with the number of the ε [P] whose crossing may lie between them."""

    left: _Visited
    right: _Visited
    columns: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> _Intervals:
        return _Intervals(self.left[rows], self.right[rows], self.columns[rows])

    def followed_by(self, other: _Intervals) -> _Intervals:
        columns = np.concatenate([self.columns, other.columns])
        return _Intervals(self.left.followed_by(other.left), self.right.followed_by(other.right), columns)


def _scan(curve: WindowedError, places: Places, epsilons: np.ndarray, result: np.ndarray) -> None:
    """Enter crossings after the first blocks into ``result`` [G, ε]."""
    within = curve.within(places)
    _keep_crossings(curve, places, within, epsilons, result)
    last = _visited(curve, places, within)
    waiting: dict[int, _Intervals] = {}  # by the binary logarithm of their blocks
    for _ in range(_MAX_INTERVALS):
        going_on = np.isinf(result[last.places.index]).any(axis=1) & ~curve.settled(last.places)
        if not going_on.any():
            break
        last = last[going_on]
        doublings = max(0, int(last.places.blocks[0]).bit_length() - 2)
        places = curve.advanced(last.places, doublings)
        within = curve.within(places)
        rows, columns = np.nonzero(np.isinf(result[places.index]))
        _keep_crossings(curve, places, within, epsilons, result)
        following = _visited(curve, places, within)
        found = _that_may_cross(curve, _Intervals(last[rows], following[rows], columns), epsilons, result)
        waiting[doublings] = waiting[doublings].followed_by(found) if doublings in waiting else found
        last = following
    _split(curve, waiting, epsilons, result)


def _split(curve: WindowedError, waiting: dict[int, _Intervals], epsilons: np.ndarray, result: np.ndarray) -> None:
    """Enter crossings inside intervals of 2^doublings blocks into ``result`` [G, ε], halving the longest first."""
    for doublings in range(max(waiting, default=0), 0, -1):
        given = waiting.pop(doublings, None)
        if given is None:
            continue
        given = _that_may_cross(curve, given, epsilons, result)
        if given.columns.size == 0:
            continue
        places = curve.advanced(given.left.places, doublings - 1)
        within = curve.within(places)
        found = _crossings(curve, places, within, epsilons[given.columns])
        np.minimum.at(result, (places.index, given.columns), found)
        middle = _visited(curve, places, within)
        halves = replace(given, right=middle).followed_by(replace(given, left=middle))
        waiting[doublings - 1] = halves.followed_by(waiting[doublings - 1]) if doublings - 1 in waiting else halves


def _that_may_cross(curve: WindowedError, given: _Intervals, epsilons: np.ndarray, result: np.ndarray) -> _Intervals:
    """Return the intervals in which the average may be ≤ ε, before the time at which ``result`` has it so far."""
    blocks = given.left.places.blocks
    lowest = np.minimum(given.left.areas, given.right.areas * blocks / given.right.places.blocks)
    excess = lowest - WINDOW * _BLOCK * curve.period * blocks * epsilons[given.columns]
    known = result[given.left.places.index, given.columns]
    sags = np.maximum(given.left.sags, given.right.sags)
    return given[(excess <= sags) & (_BLOCK * curve.period * blocks < known)]
