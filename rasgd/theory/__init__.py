"""Exact predictions and bounds to put beside measurements: pure functions of arrays, no simulation inside.

What a method converges to (``weights``), its exact behaviour on quadratics (``quadratic``, ``stationary``,
``transient``, ``first_passage``, ``best_step``; ``synchronous`` for Malenia SGD), complexity bounds and theory step
sizes (``complexity``), the constants in them (``constants``) and instances that show something (``instances``,
``worst_case``). Docstrings are marked [paper], [lit] or [derived] by where
a statement comes from.
"""

from rasgd.theory.best_step import BestTime, best_time
from rasgd.theory.complexity import (
    leading_term,
    lower_bound,
    malenia_batch,
    rescaled_bound,
    rescaled_bound_terms,
    ringleader_batch,
    ringmaster_threshold,
    theory_step_size,
)
from rasgd.theory.constants import (
    Constants,
    Estimate,
    constants_along,
    heterogeneity_at,
    heterogeneity_curve,
    heterogeneity_estimate,
    noise_variance_estimate,
    quadratic_constants,
    smallest_growth,
)
from rasgd.theory.first_passage import time_to_target
from rasgd.theory.instances import DiagonalQuadratic, adapted_quadratic, cancelling_quadratic, spectrum_quadratic
from rasgd.theory.methods import ROWS, MethodRow
from rasgd.theory.quadratic import QuadraticInstance, diagonal_instance, quadratic_instance
from rasgd.theory.schedule import ArrivalCycle, arrival_cycle
from rasgd.theory.stationary import (
    LimitCycle,
    StationaryError,
    largest_stable_step,
    limit_cycle,
    linear_rate,
    small_step_floor,
    spectral_radius,
    stationary_error,
)
from rasgd.theory.step_sizes import StepParameters, mean_gathering_time, step_parameters
from rasgd.theory.synchronous import malenia_round, malenia_twin
from rasgd.theory.transient import MomentTrajectory, moment_trajectory
from rasgd.theory.weights import (
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
from rasgd.theory.worst_case import BlockZeroChain, block_zero_chain

__all__ = [
    "ROWS",
    "ArrivalCycle",
    "BestTime",
    "BlockZeroChain",
    "Constants",
    "DiagonalQuadratic",
    "Estimate",
    "LimitCycle",
    "MethodRow",
    "MomentTrajectory",
    "QuadraticInstance",
    "StationaryError",
    "StepParameters",
    "adapted_quadratic",
    "arrival_cycle",
    "arrival_frequency",
    "best_time",
    "block_zero_chain",
    "cancelling_quadratic",
    "constants_along",
    "diagonal_instance",
    "effective_weights",
    "effective_weights_at",
    "harmonic_mean_compute_time",
    "heterogeneity_at",
    "heterogeneity_curve",
    "heterogeneity_estimate",
    "largest_stable_step",
    "leading_term",
    "least_squares_quadratic",
    "limit_cycle",
    "linear_rate",
    "lower_bound",
    "malenia_batch",
    "malenia_round",
    "malenia_twin",
    "mean_compute_time",
    "mean_gathering_time",
    "moment_trajectory",
    "noise_variance_estimate",
    "quadratic_constants",
    "quadratic_instance",
    "rescaled_bound",
    "rescaled_bound_terms",
    "ringleader_batch",
    "ringmaster_threshold",
    "small_step_floor",
    "smallest_growth",
    "spectral_radius",
    "spectrum_quadratic",
    "stationary_error",
    "step_parameters",
    "theory_step_size",
    "time_to_target",
    "weighted_minimiser",
    "weighting_bias",
    "worker_step_sizes",
]
