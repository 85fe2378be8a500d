"""The affine stochastic map that a period of arrivals applies to everything the system remembers. [derived]

The state z holds every tensor that the method and the desk remember. The method runs with columns of a basis in their
place, on Aᵢ·point − bᵢe₀ + e_noise as gradients, so that afterwards every tensor is a row of the map

    z ↦ Mz + c + noise,   noise of covariance Q,

and x is one in every phase on the way. Step sizes and modes of the instance are replicas of that one run. A period is
mapped in stretches of at most 64 arrivals, each from a basis of its own, so the work grows in proportion to it.

A method may remember something twice: IA²SGD keeps a mean beside its table, and their difference never changes, an
eigenvalue 1 that no run excites. Deviations from the limit cycle are therefore followed in the subspace that random
gradients reach, in coordinates that are tensors the method has: once per method, a QR decomposition with pivoting
chooses tensors of which the others are linear combinations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import qr
from torch import Tensor

from rasgd.exact.period import MAX_ARRIVALS, Repetition, checked_setting, repetitions
from rasgd.exact.quadratic import QuadraticInstance, quadratic_instance
from rasgd.exact.running import Running, Setting, put_basis
from rasgd.methods.base import Method
from rasgd.problems.quadratic import Quadratic
from rasgd.validation import real_array, shown

_ARRIVALS_PER_STRETCH = 64
_MAP_BYTES = 200_000_000
EVERY = slice(None)


class Plan(NamedTuple):
    """What a method does on fixed times, certified: `repetition` and what is reached of the state at its start.

    ``chosen`` [q]: numbers of tensors that determine the others, ``basis`` [tensors, q] says how. ``starts`` and
    ``seconds`` [phases]: when each phase of the period begins, from its start on, and how long it lasts.
    """

    setting: Setting
    repetition: Repetition
    chosen: np.ndarray
    basis: np.ndarray
    starts: np.ndarray
    seconds: np.ndarray


class Dynamics(NamedTuple):
    """A method on an instance under fixed times. ``fresh``: every gradient is taken at the x of its arrival."""

    instance: QuadraticInstance
    plan: Plan
    fresh: bool = False

    @property
    def period(self) -> float:
        """Seconds after which the control flow repeats."""
        return self.plan.repetition.ticks * self.plan.setting.unit

    @property
    def prefix(self) -> float:
        """Seconds before the control flow repeats, a multiple of the period."""
        return self.plan.repetition.start * self.plan.setting.unit


@dataclass(frozen=True)
class Stretch:
    """Some arrivals for G step sizes and K modes of dimension r: state of length m before and m' after, F phases.

    ``start`` and ``seconds`` [F]: when each phase that lasts begins, since time 0, and how long it lasts. ``matrix``
    [G,K,m',m], ``shift`` [G,K,m'], ``noise`` [G,K,m',m']: M, c, Q. ``x_matrix`` [G,K,F,r,m], ``x_shift`` [G,K,F,r],
    ``x_noise`` [G,K,F,r,r]: the same for x in every phase.
    """

    start: np.ndarray
    seconds: np.ndarray
    matrix: np.ndarray
    shift: np.ndarray
    noise: np.ndarray
    x_matrix: np.ndarray
    x_shift: np.ndarray
    x_noise: np.ndarray

    def mean_after(self, mean: np.ndarray) -> np.ndarray:
        return (self.matrix @ mean[..., None])[..., 0] + self.shift

    def covariance_after(self, covariance: np.ndarray) -> np.ndarray:
        return self.matrix @ covariance @ self.matrix.swapaxes(-1, -2) + self.noise

    def x_means(self, mean: np.ndarray, phases: slice = EVERY) -> np.ndarray:
        """Means of x in these phases, [G,K,F,r], from the mean of the state before."""
        return (self.x_matrix[:, :, phases] @ mean[:, :, None, :, None])[..., 0] + self.x_shift[:, :, phases]

    def x_covariances(self, covariance: np.ndarray, phases: slice = EVERY) -> np.ndarray:
        """Covariances of x in these phases, [G,K,F,r,r], from that of the state before."""
        return row_covariances(self.x_matrix[:, :, phases], covariance) + self.x_noise[:, :, phases]

    def gradients(
        self, mean: np.ndarray, covariance: np.ndarray, curvature: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """∇F at the mean of x in every phase [G,K,F,r], and what noise adds to E‖∇F‖² [G,F]; Ā is ``curvature``."""
        noise = np.einsum("kij,gkejl,kli->ge", curvature, self.x_covariances(covariance), curvature, optimize=True)
        return np.einsum("kij,gkej->gkei", curvature, self.x_means(mean)), noise


@dataclass(frozen=True)
class Maps:
    """Prefix and period of a method for G step sizes and K modes, and the map of a whole period.

    ``initial`` [G,K,m]: the state at time 0. ``matrix``, ``shift``, ``noise``: M, c, Q of the period. Deviations z from
    the limit cycle are B z[chosen], with ``chosen`` [q] and B = ``basis`` [m, q]. ``mean`` [G,K,m] and ``covariance``
    [G,K,m,m] of the state at the end of the prefix.
    """

    dynamics: Dynamics
    steps: np.ndarray
    prefix: list[Stretch]
    period: list[Stretch]
    initial: np.ndarray
    matrix: np.ndarray
    shift: np.ndarray
    noise: np.ndarray
    chosen: np.ndarray
    basis: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def next_mean(self, mean: np.ndarray) -> np.ndarray:
        """The state's mean a period later."""
        return (self.matrix @ mean[..., None])[..., 0] + self.shift

    def next_covariance(self, covariance: np.ndarray) -> np.ndarray:
        return self.matrix @ covariance @ self.matrix.swapaxes(-1, -2) + self.noise

    @property
    def reduced(self) -> np.ndarray:
        """M of the chosen coordinates, [G,K,q,q], which deviations from the limit cycle follow."""
        return self.matrix[:, :, self.chosen] @ self.basis

    def among_chosen(self, covariance: np.ndarray) -> np.ndarray:
        """The chosen coordinates' part [G,K,q,q] of a covariance."""
        return covariance[:, :, self.chosen[:, None], self.chosen]


def dynamics(
    problem, method: str | type[Method], compute_times, fresh: bool = False, max_arrivals: int = MAX_ARRIVALS, **options
) -> Dynamics:
    """The dynamics of a linear method, by short name or as a class, on a quadratic under fixed compute times.

    Args:
        problem: a `rasgd.Quadratic` or a `QuadraticInstance`.
        method: with its `options`.
        compute_times: seconds per gradient, `[n]`, or `FixedTimes`.
        fresh: take every gradient at the x of its arrival: the same method without staleness.
        max_arrivals: within which the control flow must repeat.

    Raises:
        ValueError: where no exact theory applies: a method that is not linear or draws its jobs, random or
            incommensurate times, a control flow that does not repeat.
    """
    problem = as_instance(problem)
    setting = checked_setting(method, compute_times, options)
    if setting.num_workers != problem.num_workers:
        raise ValueError(
            f"compute_times must have one entry per worker ({problem.num_workers}), got {setting.num_workers}"
        )
    return Dynamics(problem, certified_plan(setting, max_arrivals), fresh)


def as_instance(problem) -> QuadraticInstance:
    """A `rasgd.Quadratic` as the exact theory takes it."""
    if isinstance(problem, Quadratic):
        return quadratic_instance(problem.A, problem.b, problem.noise_std, problem.x0)
    if not isinstance(problem, QuadraticInstance):
        raise ValueError(f"problem must be a Quadratic for exact theory, got {type(problem).__name__}")
    return problem


@lru_cache(maxsize=256)
def certified_plan(setting: Setting, max_arrivals: int) -> Plan:
    """The shortest repetition whose next two periods have equal maps, at generic curvatures, offsets and steps."""
    random = np.random.default_rng(0)
    n = setting.num_workers
    instance = QuadraticInstance(
        curvatures=random.uniform(0.5, 1.5, (n, 1, 1, 1)),
        offsets=random.standard_normal((n, 1, 1)),
        basis=np.eye(1), minimiser=np.zeros(1), initial=np.ones((1, 1)), noise_std=1.0,
    )  # fmt: skip
    steps = np.array([0.3, 0.7]) / n
    for candidate in repetitions(setting, max_arrivals):
        # Where all points still are x⁰ the state looks different from what it is later: one more period is allowed.
        for start in (candidate.start, candidate.start + candidate.ticks):
            repetition = Repetition(start, candidate.ticks)
            recorder = Recorder(Dynamics(instance, Plan(setting, repetition, *[np.zeros(0)] * 4)), steps)
            recorder.until(start)
            first = recorder.until(start + candidate.ticks)
            if equal(first, recorder.until(start + 2 * candidate.ticks)):
                starts = np.concatenate([stretch.start for stretch in first]) - start * setting.unit
                seconds = np.concatenate([stretch.seconds for stretch in first])
                chosen, basis = reachable(setting, repetition, first[0].matrix.shape[-1])
                return Plan(setting, repetition, chosen, basis, starts, seconds)
    raise AssertionError("repetitions end with an error")


def equal(first: Sequence[Stretch], second: Sequence[Stretch]) -> bool:
    """Whether two periods have the same maps, x's in every phase included."""
    # Both are products of at most MAX_ARRIVALS maps with entries near 1, rounded to 1e-16 each.
    return len(first) == len(second) and all(
        getattr(one, name).shape == getattr(other, name).shape
        and np.allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-10)
        for one, other in zip(first, second, strict=True)
        for name in ("seconds", "matrix", "shift", "noise", "x_matrix", "x_shift", "x_noise")
    )


def reachable(setting: Setting, repetition: Repetition, num_tensors: int) -> tuple[np.ndarray, np.ndarray]:
    """Which tensors determine how all change over a period under random gradients, [q], and how, [tensors, q].

    Four step sizes stand side by side, so that a relation that holds for one of them alone does not count.
    """
    random, dim = torch.Generator().manual_seed(1), num_tensors + 4
    steps = torch.tensor([[0.3], [0.5], [0.8], [1.3]], dtype=torch.float64)

    def draw(*_) -> Tensor:
        return torch.randn(4, dim, generator=random, dtype=torch.float64)

    running, states = Running(setting, draw(), steps, draw), []
    for period in range(4):
        while running.receive(repetition.start + period * repetition.ticks) is not None:
            pass
        states.append(torch.stack(running.tensors()).numpy().reshape(num_tensors, -1).copy())
    changes = np.concatenate(np.diff(states, axis=0), axis=1)
    sizes = np.maximum(np.abs(changes).max(axis=1, keepdims=True), 1e-300)
    _, triangle, order = qr((changes / sizes).T, mode="economic", pivoting=True)
    # The columns are independent Gaussians but for exact relations, which rounding leaves at 1e-13 or so.
    rank = int((np.abs(np.diagonal(triangle)) > 1e-9 * np.abs(triangle[0, 0])).sum())
    chosen = np.sort(order[:rank])
    basis = np.linalg.lstsq(changes[chosen].T, changes.T, rcond=None)[0].T
    basis[np.abs(basis) < 1e-11 * sizes / sizes[chosen].T] = 0.0
    basis[chosen] = np.eye(rank)
    return chosen, basis


class Recorder:
    """The basis run: makes the stretches of one method, one after the other, for step sizes [G]."""

    def __init__(self, dynamics: Dynamics, steps: np.ndarray):
        instance, self.dynamics = dynamics.instance, dynamics
        self.size = instance.mode_dim
        self.shape = (len(steps), instance.num_modes, self.size)
        self.curvatures = [torch.from_numpy(np.ascontiguousarray(given)) for given in instance.curvatures]
        self.offsets = [
            torch.from_numpy(np.tile(given.reshape(-1), len(steps))[:, None].copy()) for given in instance.offsets
        ]
        if self.size == 1:
            self.factors = [given.reshape(-1, 1).repeat(len(steps), 1) for given in self.curvatures]
        rows = int(np.prod(self.shape))
        self.coordinate = torch.arange(rows) % self.size
        self.rows = torch.arange(rows)
        # One column more than coordinates: no tensor of x's shape may be mistaken for one of the step sizes' shape.
        x0 = torch.zeros(rows, self.size + 1, dtype=torch.float64)
        x0[self.rows, self.coordinate] = 1.0
        self.running = Running(
            dynamics.plan.setting,
            x0,
            torch.from_numpy(np.repeat(steps, self.shape[1] * self.size)[:, None].copy()),
            self.gradient,
        )
        self.tick = 0
        self.initial = self.state()[..., : self.size].copy()  # what a method remembers of x⁰ at time 0, [G,K,m,r]

    def state(self) -> np.ndarray:
        """The rows of everything that is remembered, [G,K,m,columns]."""
        tensors = torch.stack(self.running.tensors())
        rows = tensors.numpy().reshape(len(tensors), *self.shape, tensors.shape[-1]).transpose(1, 2, 0, 3, 4)
        return rows.reshape(*self.shape[:2], len(tensors) * self.size, tensors.shape[-1])

    def gradient(self, worker: int, point: Tensor) -> Tensor:
        """Rows of Aᵢ·point − bᵢe₀ + e_noise, with a noise column per coordinate of this arrival."""
        rows = self.product(worker, point)
        rows[:, self.offset] -= self.offsets[worker][:, 0]
        rows[self.rows, self.next_noise + self.coordinate] += 1.0
        self.next_noise += self.size
        return rows

    def product(self, worker: int, point: Tensor) -> Tensor:
        """Rows of Aᵢ·point."""
        if self.dynamics.fresh:
            point = self.running.method.x
        if self.size == 1:
            return point * self.factors[worker]
        return torch.matmul(self.curvatures[worker], point.view(*self.shape, -1)).view(point.shape)

    def matrix_of_period(self) -> np.ndarray:
        """M [G,K,m,m] of a period alone, which needs no noise, no phases and nothing of the prefix but its jobs."""
        start, ticks = self.dynamics.plan.repetition
        clock, running = self.running.clock, self.running
        clock.gradient = lambda worker, point: torch.zeros_like(point)
        while running.receive(start) is not None:
            pass
        clock.gradient = self.product
        num_tensors = put_basis(running, self.size, 1)
        while running.receive(start + ticks) is not None:
            pass
        return self.state()[..., : num_tensors * self.size]

    def until(self, tick: int) -> list[Stretch]:
        """The stretches from where the run stands to `tick`."""
        stretches, self.finished = [], self.tick == tick
        while not self.finished:
            stretch = self.stretch(tick)
            if len(stretch.start) or self.next_noise > self.offset + 1:  # else nothing happens in it
                stretches.append(stretch)
        return stretches

    def stretch(self, end: int) -> Stretch:
        """At most `_ARRIVALS_PER_STRETCH` arrivals, up to tick `end`; whether that finishes it is noted."""
        count = max(1, _ARRIVALS_PER_STRETCH // self.size)
        num_tensors = put_basis(self.running, self.size, 1 + count * self.size)
        self.offset = num_tensors * self.size
        self.next_noise = self.offset + 1
        ticks, points = [], []
        for _ in range(count):
            before = self.running.method.x
            seen = self.running.receive(end)
            at = end if seen is None else seen.tick
            if at > self.tick:
                ticks.append(self.tick)
                points.append(before)
                self.tick = at
            self.finished = seen is None
            if self.finished:
                break
        return self.made(ticks, points)

    def made(self, ticks: list[int], points: list[Tensor]) -> Stretch:
        """The stretch whose phases began at these ticks with these rows of x."""
        first, last, unit = self.offset, self.next_noise, self.dynamics.plan.setting.unit
        variance = self.dynamics.instance.noise_std**2
        state = self.state()
        x = np.stack([point.numpy() for point in points]) if points else np.zeros((0, *self.running.method.x.shape))
        x = x.reshape(-1, *self.shape, x.shape[-1]).transpose(1, 2, 0, 3, 4)
        # A step far beyond the stable range overflows; its maps are then infinite, which is what callers test for.
        with np.errstate(over="ignore", invalid="ignore"):
            noise, x_noise = state[..., first + 1 : last], x[..., first + 1 : last]
            return Stretch(
                start=np.array(ticks) * unit,
                seconds=np.diff([*ticks, self.tick]) * unit,
                matrix=state[..., :first].copy(),
                shift=state[..., first].copy(),
                noise=variance * (noise @ noise.swapaxes(-1, -2)),
                x_matrix=x[..., :first].copy(),
                x_shift=x[..., first].copy(),
                x_noise=variance * (x_noise @ x_noise.swapaxes(-1, -2)),
            )


def maps(dynamics: Dynamics, steps: np.ndarray) -> Maps:
    """The maps of prefix and period for step sizes [G]."""
    recorder = Recorder(dynamics, steps)
    start, ticks = dynamics.plan.repetition
    prefix, period = recorder.until(start), recorder.until(start + ticks)
    instance = dynamics.instance
    initial = mean = (recorder.initial @ instance.initial[..., None])[..., 0]
    covariance = np.zeros((*mean.shape, mean.shape[-1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for stretch in prefix:
            mean, covariance = stretch.mean_after(mean), stretch.covariance_after(covariance)
        matrix, shift, noise = period[0].matrix, period[0].shift, period[0].noise
        for stretch in period[1:]:
            matrix, shift, noise = stretch.matrix @ matrix, stretch.mean_after(shift), stretch.covariance_after(noise)
    chosen, basis = coordinates(dynamics)
    return Maps(dynamics, steps, prefix, period, initial, matrix, shift, noise, chosen, basis, mean, covariance)


def coordinates(dynamics: Dynamics) -> tuple[np.ndarray, np.ndarray]:
    """The chosen coordinates [q] of the state of a mode, and how all follow from them, [m, q]."""
    plan, size = dynamics.plan, dynamics.instance.mode_dim
    return (plan.chosen[:, None] * size + np.arange(size)).ravel(), np.kron(plan.basis, np.eye(size))


def spectral_radii(dynamics: Dynamics, steps: np.ndarray) -> np.ndarray:
    """ρ(M) of step sizes [G], the largest over modes; infinite where an entry is not finite."""
    chosen, basis = coordinates(dynamics)
    with np.errstate(over="ignore", invalid="ignore"):
        matrices = Recorder(dynamics, steps).matrix_of_period()[:, :, chosen] @ basis
    finite = np.isfinite(matrices).all(axis=(-1, -2))
    radii = np.full(finite.shape, np.inf)
    if finite.any():
        radii[finite] = np.abs(np.linalg.eigvals(matrices[finite])).max(axis=-1)
    return radii.max(axis=1)


def step_chunks(dynamics: Dynamics, steps: np.ndarray) -> list[np.ndarray]:
    """The step sizes in chunks whose maps fit a fixed memory budget."""
    instance = dynamics.instance
    state = len(dynamics.plan.basis) * instance.mode_dim
    num_phases = len(dynamics.plan.starts) * (1 + dynamics.plan.repetition.start // dynamics.plan.repetition.ticks)
    per_step = 8 * 3 * num_phases * instance.num_modes * instance.mode_dim * (state + 1 + instance.mode_dim)
    return np.array_split(steps, min(len(steps), 1 + per_step * len(steps) // _MAP_BYTES))


def row_covariances(rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """XPXᵀ [G,K,F,r,r] for rows X [G,K,F,r,m] and state covariances P [G,K,m,m]."""
    num_phases, r, m = rows.shape[2:]
    product = (rows.reshape(*rows.shape[:2], num_phases * r, m) @ covariance).reshape(rows.shape)
    if r == 1:
        return (product * rows).sum(axis=-1, keepdims=True)
    return product @ rows.swapaxes(-1, -2)


def checked_step_sizes(step_size) -> np.ndarray:
    """Step sizes as a vector [G]; refuses anything but positive finite numbers, alone or in a vector."""
    steps = real_array("step_size", step_size).astype(float)
    if steps.ndim > 1 or steps.size == 0 or not np.all(np.isfinite(steps)) or np.any(steps <= 0):
        raise ValueError(f"step_size must be a positive finite number or a vector of them, got {shown(step_size)}")
    return np.atleast_1d(steps)
