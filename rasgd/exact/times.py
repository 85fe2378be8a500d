"""The exact time a linear method needs to an ε-stationary point of a quadratic. [derived]

Definition: the first time t at which E‖∇F‖² (exact, constant between arrivals) averaged over the last tenth of the
elapsed time, [0.9t, t], is ≤ ε. With G(t) = ∫₀ᵗ E‖∇F‖² this is

    D(t) = G(t) − G(0.9t) − 0.1tε ≤ 0,

and D is linear between the times at which t or 0.9t meets an arrival, so a crossing between known ones is exact.

The first eight blocks of ten periods are walked arrival by arrival. Of later ones, [10jT, 10(j+1)T], the ends are
looked at: there the window is jT long, whole periods without a rest. With δ and Y, the deviations of the mean and of
the second moment (about the limit cycle) from what they settle at,

    Yₖ = MᵏY₀Mᵏᵀ,   δₖ = Mᵏδ₀,   Σ_{i<k} (tr HYᵢ + 2ℓᵀδᵢ) = φ₀ − φₖ,
    φ = tr KY + 2uᵀδ,   K = H + MᵀKM,   u = (I − Mᵀ)⁻¹ℓ,

where H and ℓ collect a period's phases, weighted by their seconds. Ends are visited at distances of a third to a half
of the time until D ≤ 0, these distances are halved down to one block, and that block is walked. So an average that dips
below ε and rises again within such a distance is missed; while a transient decays without oscillating only windows that
cut a period can have such dips, and after eighty periods these are a few per cent of the errors' swing in a period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.exact.maps import Dynamics, Maps, checked_step_sizes, step_chunks
from rasgd.exact.stationary import Limit, limit, solve_lyapunov, stable_maps
from rasgd.validation import real_array, shown

WINDOW = 0.1
_BLOCK = 10  # periods, of which nine tenths are whole too
_FIRST_BLOCKS = 8  # walked
_LAST_BLOCK = 2**60
_SETTLED = 1e-14  # of the transient


def time_to_target(dynamics: Dynamics, step_size: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """Seconds to E‖∇F‖² ≤ ε, shape step_size.shape + targets.shape; inf where it is never reached.

    ``step_size``: number or vector [G]; ``targets``: ε, number or vector. An unstable step counts as never reaching; a
    stable one may reach ε for a moment only, and settle above it. Raises ``ValueError`` unless targets are positive.
    """
    epsilons = real_array("targets", targets).astype(float)
    if epsilons.ndim > 1 or epsilons.size == 0 or not np.all(epsilons > 0):
        raise ValueError(f"targets must be a positive number or a vector of them, got {shown(targets)}")
    steps, flat, parts = checked_step_sizes(step_size), np.atleast_1d(epsilons), []
    for chunk in step_chunks(dynamics, steps):
        given, stable = stable_maps(dynamics, chunk)
        parts.append(np.full((len(chunk), len(flat)), np.inf))
        if stable.any():
            parts[-1][stable] = first_times(given, flat)
    return np.concatenate(parts).reshape(np.shape(step_size) + epsilons.shape)


def first_times(given: Maps, epsilons: np.ndarray) -> np.ndarray:
    """The times [G, ε] of stable step sizes."""
    curve = Curve.of(given)
    times, integrals, places = curve.walk()
    result = np.array([[first_crossing(times, row, row, times, epsilon) for epsilon in epsilons] for row in integrals])
    search(curve, places, epsilons, result)
    return result


@dataclass(frozen=True)
class Places:
    """P places on the curves: at the beginning of block ``blocks`` [P] of the step size ``index`` [P].

    ``late`` and ``early``: deviations (Y [P,K,q,q], δ [P,K,q]) of the state there and at nine tenths of that time.
    """

    index: np.ndarray
    blocks: np.ndarray
    late: tuple[np.ndarray, np.ndarray]
    early: tuple[np.ndarray, np.ndarray]

    def __getitem__(self, rows: np.ndarray) -> Places:
        late, early = (tuple(part[rows] for part in state) for state in (self.late, self.early))
        return Places(self.index[rows], self.blocks[rows], late, early)


def moved(matrix: np.ndarray, state: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    moments, mean = state
    return matrix @ moments @ matrix.swapaxes(-1, -2), (matrix @ mean[..., None])[..., 0]


def chosen(condition: np.ndarray, places: Places, others: Places) -> Places:
    """Row by row, from the first where the condition [P] holds, else from the second."""

    def pick(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.where(condition.reshape(-1, *[1] * (one.ndim - 1)), one, other)

    late, early = (
        tuple(pick(*both) for both in zip(*states, strict=True))
        for states in ((places.late, others.late), (places.early, others.early))
    )
    return Places(places.index, pick(places.blocks, others.blocks), late, early)


@dataclass(frozen=True)
class Curve:
    """G(t) of S stable step sizes; a period has K modes of dimension r and F phases.

    ``before`` [S, phases] and ``before_seconds``: E‖∇F‖² in the prefix. ``start``: deviations at its end. ``seconds``
    [F], ``rows`` [S,K,F·r,q]: ∇F by the state. ``gradients`` [S,K,F·r] and ``floors`` [S,F]: ∇F and E‖∇F‖² once all has
    settled. ``adjoint`` and ``adjoint_line``: K and u. ``tens`` and ``nines``: M to the 10·2ᵏ and to the 9·2ᵏ.
    """

    period: float
    matrix: np.ndarray
    before: np.ndarray
    before_seconds: np.ndarray
    start: tuple[np.ndarray, np.ndarray]
    seconds: np.ndarray
    rows: np.ndarray
    gradients: np.ndarray
    floors: np.ndarray
    adjoint: np.ndarray
    adjoint_line: np.ndarray
    tens: list[np.ndarray]
    nines: list[np.ndarray]

    @classmethod
    def of(cls, given: Maps) -> Curve:
        """The curves of stable step sizes."""
        matrix, settled, seconds = given.reduced, limit(given), given.dynamics.plan.seconds
        rows, gradients, floors = by_phase(given, settled)
        weighted = rows * np.repeat(seconds, rows.shape[2] // len(seconds))[:, None]
        deviation = (given.mean - settled.mean)[..., given.chosen]
        moments = given.among_chosen(given.covariance - settled.covariance)
        transposed = matrix.swapaxes(-1, -2)
        line = weighted.swapaxes(-1, -2) @ gradients[..., None]
        return cls(
            period=given.dynamics.period,
            matrix=matrix,
            before=prefix_errors(given),
            before_seconds=np.concatenate([np.zeros(0), *(stretch.seconds for stretch in given.prefix)]),
            start=(moments + deviation[..., None] * deviation[..., None, :], deviation),
            seconds=seconds,
            rows=rows,
            gradients=gradients,
            floors=floors,
            adjoint=solve_lyapunov(transposed, weighted.swapaxes(-1, -2) @ rows),
            adjoint_line=np.linalg.solve(np.eye(matrix.shape[-1]) - transposed, line)[..., 0],
            tens=[np.linalg.matrix_power(matrix, _BLOCK)],
            nines=[np.linalg.matrix_power(matrix, _BLOCK - 1)],
        )

    def integrals(self, state: tuple[np.ndarray, np.ndarray], index: np.ndarray) -> np.ndarray:
        """∫ E‖∇F‖² over each phase of the period that begins with these deviations, [P,F]."""
        rows, (moments, mean) = self.rows[index], state
        errors = ((rows @ moments) * rows).sum(axis=-1) + 2 * self.gradients[index] * (rows @ mean[..., None])[..., 0]
        errors = errors.reshape(*errors.shape[:2], len(self.seconds), errors.shape[2] // len(self.seconds))
        return (self.floors[index] + errors.sum(axis=(1, 3))) * self.seconds

    def over_periods(self, state, index: np.ndarray, count: int) -> np.ndarray:
        """∫ E‖∇F‖² from these deviations to the end of every phase of `count` periods, [P, count·F + 1]."""
        parts = [np.zeros((len(index), 1))]
        for _ in range(count):
            parts.append(self.integrals(state, index))
            state = moved(self.matrix[index], state)
        return np.concatenate(parts, axis=1).cumsum(axis=1)

    def phase_ends(self, count: int) -> np.ndarray:
        """Seconds from the start of a period to the ends of phases of `count` periods; those of periods are exact."""
        ends = np.append(np.cumsum(self.seconds)[:-1], self.period)
        return np.append(0.0, (self.period * np.arange(count)[:, None] + ends).ravel())

    def walk(self) -> tuple[np.ndarray, np.ndarray, Places]:
        """(times of all arrivals in the first blocks, G [S, times], the places at which these blocks end)."""
        passed = round(self.before_seconds.sum() / self.period)
        blocks = max(_FIRST_BLOCKS, -(-passed // (_BLOCK - 1)))
        index, state, parts = np.arange(len(self.matrix)), self.start, [self.before * self.before_seconds]
        for period in range(passed, _BLOCK * blocks):
            if period == (_BLOCK - 1) * blocks:
                early = state
            parts.append(self.integrals(state, index))
            state = moved(self.matrix, state)
        in_prefix = np.cumsum(self.before_seconds) - self.before_seconds
        times = np.append(in_prefix, passed * self.period + self.phase_ends(_BLOCK * blocks - passed))
        integrals = np.concatenate([np.zeros((len(index), 1)), *parts], axis=1).cumsum(axis=1)
        return times, integrals, Places(index, np.full(len(index), blocks), state, early)

    def advanced(self, places: Places, doublings: int) -> Places:
        """The places 2^doublings blocks later."""
        while len(self.tens) <= doublings:
            self.tens.append(self.tens[-1] @ self.tens[-1])
            self.nines.append(self.nines[-1] @ self.nines[-1])
        return Places(
            places.index,
            places.blocks + (1 << doublings),
            moved(self.tens[doublings][places.index], places.late),
            moved(self.nines[doublings][places.index], places.early),
        )

    def settled(self, places: Places) -> np.ndarray:
        """Where [P] nothing is left of the transient."""
        doublings = min(int(places.blocks[0]).bit_length(), len(self.nines)) - 1
        return np.abs(self.nines[doublings][places.index]).max(axis=(1, 2, 3)) < _SETTLED

    def later(self, state: tuple[np.ndarray, np.ndarray], index: np.ndarray) -> np.ndarray:
        """φ: the sum over all later periods of what their integrals differ from the stationary ones, [P]."""
        moments, mean = state
        return (self.adjoint[index] * moments).sum(axis=(1, 2, 3)) + 2 * (self.adjoint_line[index] * mean).sum((1, 2))

    def area(self, places: Places) -> np.ndarray:
        """∫ E‖∇F‖² over the last tenth of the time at these places, [P]."""
        stationary = places.blocks * (self.floors @ self.seconds)[places.index]  # a tenth of ten periods per block
        return self.later(places.early, places.index) - self.later(places.late, places.index) + stationary

    def excess(self, places: Places, epsilons: np.ndarray) -> np.ndarray:
        """D [P,E] at these places for epsilons [P,E], or [E] for all alike."""
        return self.area(places)[:, None] - (places.blocks * self.period)[:, None] * epsilons

    def halved(self, places: Places, doublings: int, epsilons: np.ndarray) -> Places:
        """The last blocks that begin with D > 0 within 2^doublings blocks from here on, for epsilons [P]."""
        for exponent in reversed(range(doublings)):
            middle = self.advanced(places, exponent)
            places = chosen(self.excess(middle, epsilons[:, None])[:, 0] > 0, middle, places)
        return places

    def crossings(self, places: Places, epsilons: np.ndarray) -> np.ndarray:
        """When D ≤ 0 first in the blocks that begin here, for epsilons [P]."""
        late = self.area(places)[:, None] + self.over_periods(places.late, places.index, _BLOCK)
        early = self.over_periods(places.early, places.index, _BLOCK - 1)
        at_late, at_early = self.phase_ends(_BLOCK), self.phase_ends(_BLOCK - 1)
        starts = places.blocks * (_BLOCK * self.period)
        return np.array(
            [
                first_crossing(start + at_late, *rows, (1 - WINDOW) * start + at_early, epsilon)
                for start, *rows, epsilon in zip(starts, late, early, epsilons, strict=True)
            ]
        )


def prefix_errors(given: Maps) -> np.ndarray:
    """E‖∇F‖² in every phase of the prefix, [G, phases]."""
    mean, errors = given.initial, [np.zeros((len(given.steps), 0))]
    covariance = np.zeros((*mean.shape, mean.shape[-1]))
    for stretch in given.prefix:
        gradients, noise = stretch.gradients(mean, covariance, given.dynamics.instance.mean_curvature)
        errors.append((gradients**2).sum(axis=(1, 3)) + noise)
        mean, covariance = stretch.mean_after(mean), stretch.covariance_after(covariance)
    return np.concatenate(errors, axis=1)


def by_phase(given: Maps, settled: Limit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """∇F by the chosen coordinates at the period's start [G,K,F·r,q], ∇F [G,K,F·r] and E‖∇F‖² [G,F] once settled."""
    curvature, (mean, covariance) = given.dynamics.instance.mean_curvature, settled
    since_start, parts = given.basis, []
    for stretch in given.period:
        gradients, noise = stretch.gradients(mean, covariance, curvature)
        rows = curvature[:, None] @ stretch.x_matrix @ since_start[..., None, :, :]
        parts.append(
            (
                rows.reshape(*rows.shape[:2], rows.shape[2] * rows.shape[3], rows.shape[4]),
                gradients.reshape(*gradients.shape[:2], gradients.shape[2] * gradients.shape[3]),
                ((gradients**2).sum(axis=(1, 3)) + noise).T,
            )
        )
        since_start = stretch.matrix @ since_start
        mean, covariance = stretch.mean_after(mean), stretch.covariance_after(covariance)
    rows, gradients, floors = zip(*parts, strict=True)
    return np.concatenate(rows, axis=2), np.concatenate(gradients, axis=2), np.concatenate(floors).T


def first_crossing(
    late_times: np.ndarray, late: np.ndarray, early: np.ndarray, early_times: np.ndarray, epsilon: float
) -> float:
    """The first t at which G(t) − G(0.9t) ≤ 0.1tε, inf if there is none.

    ``late`` is G at ``late_times``, ``early`` is G at ``early_times``; both are linear in between. The first time is
    none: D is positive there, or t is 0.
    """
    bends = early_times / (1 - WINDOW)
    times = np.union1d(late_times, bends[(bends > late_times[0]) & (bends < late_times[-1])])
    excess = np.interp(times, late_times, late) - np.interp((1 - WINDOW) * times, early_times, early)
    excess -= WINDOW * times * epsilon
    below = np.flatnonzero(excess[1:] <= 0)
    if not below.size:
        return np.inf
    before, after = excess[below[0]], excess[below[0] + 1]
    share = np.clip(before / (before - after), 0.0, 1.0) if before > 0 else 0.0
    return float(times[below[0]] + share * (times[below[0] + 1] - times[below[0]]))


def search(curve: Curve, places: Places, epsilons: np.ndarray, result: np.ndarray) -> None:
    """Enters the crossings after the first blocks into ``result`` [G, ε]."""
    while True:
        places = places[np.isinf(result[places.index]).any(axis=1)]
        if not places.index.size or places.blocks[0] > _LAST_BLOCK:
            return
        doublings = max(0, int(places.blocks[0]).bit_length() - 2)
        following = curve.advanced(places, doublings)
        below = np.isinf(result[places.index]) & (curve.excess(following, epsilons) <= 0)
        rows, columns = np.nonzero(below)
        if rows.size:
            last = curve.halved(places[rows], doublings, epsilons[columns])
            result[places.index[rows], columns] = curve.crossings(last, epsilons[columns])
        places = following[~curve.settled(following)]
