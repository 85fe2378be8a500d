"""The affine stochastic map that one cycle of arrivals applies to everything the system remembers. [derived]

The state z = (x, s₁ … sₙ) stacks the server's point and the points the workers hold. On an arrival of worker i

    x' = x − γᵢ(Aᵢsᵢ − bᵢ) + γᵢ·noise,   sᵢ' = x',   the rest unchanged,

so one cycle is z ↦ Mz + c with noise covariance Q. An arrival touches two blocks of the state only, which is what
makes composing a cycle cheap. All maps are batched over step sizes and over the modes of the instance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.quadratic import QuadraticInstance, minibatch_instance
from rasgd.theory.schedule import ArrivalCycle, arrival_cycle
from rasgd.theory.weights import worker_step_sizes
from rasgd.validation import real_array, shown

METHODS = ("asgd", "rescaled", "minibatch")
_STASH_BYTES = 200_000_000


@dataclass(frozen=True)
class LinearDynamics:
    """What is needed to compose the maps of a method on an instance: schedule, steps per worker, what is read.

    ``instance``: the instance the arrivals see (for minibatch SGD the one-worker one). ``step_factors`` [n]: γᵢ/γ.
    ``num_blocks``: 1 + the number of points held; 1 when gradients are taken at the current x.
    """

    instance: QuadraticInstance
    cycle: ArrivalCycle
    step_factors: np.ndarray
    num_blocks: int

    @property
    def state_dim(self) -> int:
        """Length m of the state of one mode."""
        return self.num_blocks * self.instance.mode_dim

    @property
    def initial_state(self) -> np.ndarray:
        """z⁰ relative to the minimiser, [modes, m]: all blocks stand at x⁰."""
        return np.tile(self.instance.initial, (1, self.num_blocks))


@dataclass(frozen=True)
class CycleMaps:
    """One cycle for G step sizes and K modes: state of length m, mode dimension r, E arrivals, E + 1 phases.

    ``matrix`` [G,K,m,m], ``shift`` [G,K,m], ``noise`` [G,K,m,m]: M, c, Q of the whole cycle. ``x_matrix``
    [G,K,E+1,r,m], ``x_shift`` [G,K,E+1,r], ``x_noise`` [G,K,E+1,r,r]: the same for x in every phase.
    """

    matrix: np.ndarray
    shift: np.ndarray
    noise: np.ndarray
    x_matrix: np.ndarray
    x_shift: np.ndarray
    x_noise: np.ndarray


def linear_dynamics(
    instance: QuadraticInstance,
    compute_times: ArrayLike,
    method: str,
    fresh: bool = False,
    max_arrivals: int = 100_000,
) -> LinearDynamics:
    """Return the dynamics of ``method`` ("asgd", "rescaled" or "minibatch") under fixed compute times [n] in seconds.

    ``fresh=True`` is the twin without staleness: every gradient is taken at the x of its arrival.
    """
    times = checked_times(compute_times)
    if times.size != instance.num_workers:
        raise ValueError(f"compute_times must have one entry per worker ({instance.num_workers}), got {times.size}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "minibatch":
        return LinearDynamics(minibatch_instance(instance), arrival_cycle([times.max()]), np.ones(1), 1)
    cycle = arrival_cycle(times, max_arrivals)
    factors = worker_step_sizes(method, times, 1.0)
    return LinearDynamics(instance, cycle, factors, 1 if fresh else 1 + times.size)


def _apply(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return matrix @ rows over modes; one-dimensional modes are a plain product, which is much faster."""
    return matrix * rows if matrix.shape[-1] == 1 else matrix @ rows


def _apply_right(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return rows * matrix if matrix.shape[-1] == 1 else rows @ matrix


def cycle_means(dynamics: LinearDynamics, step_sizes: np.ndarray, phases: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ([M | c] [G,K,m,m+1], x's rows of it in every phase [G,K,E+1,r,m+1] or None)."""
    instance, cycle, blocks = dynamics.instance, dynamics.cycle, dynamics.num_blocks
    num_modes, r, m = instance.num_modes, instance.mode_dim, dynamics.state_dim
    rows = np.zeros((blocks, len(step_sizes), num_modes, r, m + 1))
    rows[..., :m] = np.eye(m).reshape(blocks, 1, 1, r, m)
    stash = np.empty((len(cycle.workers) + 1, *rows.shape[1:])) if phases else None
    if phases:
        stash[0] = rows[0]
    steps = (step_sizes[:, None] * dynamics.step_factors).T[:, :, None, None, None]
    for event, worker in enumerate(cycle.workers, start=1):
        read = worker + 1 if blocks > 1 else 0
        gradient = _apply(instance.curvatures[worker], rows[read])
        gradient[..., m] -= instance.offsets[worker]
        gradient *= steps[worker]
        rows[0] -= gradient
        if read:
            rows[read] = rows[0]
        if phases:
            stash[event] = rows[0]
    whole = rows.transpose(1, 2, 0, 3, 4).reshape(len(step_sizes), num_modes, m, m + 1)
    return whole, None if stash is None else np.ascontiguousarray(stash.transpose(1, 2, 0, 3, 4))


def cycle_noise(dynamics: LinearDynamics, step_sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (Q [G,K,m,m], covariance of x in every phase [G,K,E+1,r,r]) of the noise added within one cycle."""
    instance, cycle, blocks = dynamics.instance, dynamics.cycle, dynamics.num_blocks
    num_steps, num_modes, r, m = len(step_sizes), instance.num_modes, instance.mode_dim, dynamics.state_dim
    covariance = np.zeros((blocks, blocks, num_steps, num_modes, r, r))
    stash = np.zeros((len(cycle.workers) + 1, num_steps, num_modes, r, r))
    steps = (step_sizes[:, None] * dynamics.step_factors).T[:, :, None, None, None]
    added = (steps * instance.noise_std) ** 2 * np.eye(r)
    for event, worker in enumerate(cycle.workers, start=1):
        read = worker + 1 if blocks > 1 else 0
        curvature = instance.curvatures[worker]
        row = covariance[0] - steps[worker] * _apply(curvature, covariance[read])
        own = row[0] - steps[worker] * _apply_right(row[read], curvature) + added[worker]
        row[0] = row[read] = own
        column = row.swapaxes(-1, -2)
        for block in {0, read}:
            covariance[block] = row
            covariance[:, block] = column
        stash[event] = own
    whole = covariance.transpose(2, 3, 0, 4, 1, 5).reshape(num_steps, num_modes, m, m)
    return whole, np.ascontiguousarray(stash.transpose(1, 2, 0, 3, 4))


def cycle_maps(dynamics: LinearDynamics, step_sizes: np.ndarray) -> CycleMaps:
    """Return the maps of one cycle for a vector of step sizes."""
    # A step far beyond the stable range overflows; its maps are then infinite, which is what callers test for.
    with np.errstate(over="ignore", invalid="ignore"):
        whole, x_rows = cycle_means(dynamics, step_sizes, phases=True)
        noise, x_noise = cycle_noise(dynamics, step_sizes)
    return CycleMaps(whole[..., :-1], whole[..., -1], noise, x_rows[..., :-1], x_rows[..., -1], x_noise)


def step_chunks(dynamics: LinearDynamics, step_sizes: np.ndarray) -> list[np.ndarray]:
    """Return the step sizes in chunks whose per-phase maps fit a fixed memory budget."""
    instance = dynamics.instance
    per_phase = instance.num_modes * instance.mode_dim * (dynamics.state_dim + 1 + instance.mode_dim)
    bytes_per_step = 8 * 3 * (len(dynamics.cycle.workers) + 1) * per_phase
    return np.array_split(step_sizes, min(len(step_sizes), 1 + bytes_per_step * len(step_sizes) // _STASH_BYTES))


def checked_step_sizes(step_size: ArrayLike) -> np.ndarray:
    """Return step sizes as a vector [G]; refuse anything but positive finite numbers, alone or in a vector."""
    steps = real_array("step_size", step_size).astype(float)
    if steps.ndim > 1 or steps.size == 0 or not np.all(np.isfinite(steps)) or np.any(steps <= 0):
        raise ValueError(f"step_size must be a positive finite number or a vector of them, got {shown(step_size)}")
    return np.atleast_1d(steps)
