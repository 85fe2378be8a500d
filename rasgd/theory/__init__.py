"""Exact predictions and bounds to put beside measurements: pure functions of arrays, no simulation inside.

What a method converges to (``weights``), its exact behaviour on quadratics (``quadratic``, ``stationary``,
``transient``, ``time_to_target``), complexity bounds and theory step sizes (``complexity``), the constants in them
(``constants``) and a worst-case instance (``worst_case``). Docstrings are marked [paper], [lit] or [derived] by where
a statement comes from.
"""

from .arrival_cycle import ArrivalCycle, arrival_cycle
from .quadratic import QuadraticInstance, diagonal_instance, quadratic_instance
from .stationary import (
    LimitCycle,
    StationaryError,
    largest_stable_step,
    limit_cycle,
    linear_rate,
    spectral_radius,
    stationary_error,
)
from .time_to_target import time_to_target
from .transient import MomentTrajectory, moment_trajectory
from .weights import (
    arrival_frequency,
    effective_weights,
    effective_weights_at,
    harmonic_mean_compute_time,
    least_squares_quadratic,
    mean_compute_time,
    weighted_minimiser,
    weighting_bias,
    worker_step_sizes,
)

__all__ = [
    "ArrivalCycle",
    "LimitCycle",
    "MomentTrajectory",
    "QuadraticInstance",
    "StationaryError",
    "arrival_cycle",
    "arrival_frequency",
    "diagonal_instance",
    "effective_weights",
    "effective_weights_at",
    "harmonic_mean_compute_time",
    "largest_stable_step",
    "least_squares_quadratic",
    "limit_cycle",
    "linear_rate",
    "mean_compute_time",
    "moment_trajectory",
    "quadratic_instance",
    "spectral_radius",
    "stationary_error",
    "time_to_target",
    "weighted_minimiser",
    "weighting_bias",
    "worker_step_sizes",
]
