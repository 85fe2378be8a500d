"""Exact predictions and bounds to put beside measurements: pure functions of arrays, no simulation inside.

What a method converges to (``weights``), complexity bounds and theory step sizes (``complexity``), the constants in
them (``constants``) and instances that show something (``instances``, ``worst_case``). What methods do on quadratics,
exactly, is in `rasgd.exact`. Docstrings are marked [paper], [lit] or [derived] by where a statement comes from.
"""

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
from rasgd.theory.instances import DiagonalQuadratic, adapted_quadratic, cancelling_quadratic, spectrum_quadratic
from rasgd.theory.methods import ROWS, MethodRow
from rasgd.theory.step_sizes import StepParameters, mean_gathering_time, step_parameters
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
    "BlockZeroChain",
    "Constants",
    "DiagonalQuadratic",
    "Estimate",
    "MethodRow",
    "StepParameters",
    "adapted_quadratic",
    "arrival_frequency",
    "block_zero_chain",
    "cancelling_quadratic",
    "constants_along",
    "effective_weights",
    "effective_weights_at",
    "harmonic_mean_compute_time",
    "heterogeneity_at",
    "heterogeneity_curve",
    "heterogeneity_estimate",
    "leading_term",
    "least_squares_quadratic",
    "lower_bound",
    "malenia_batch",
    "mean_compute_time",
    "mean_gathering_time",
    "noise_variance_estimate",
    "quadratic_constants",
    "rescaled_bound",
    "rescaled_bound_terms",
    "ringleader_batch",
    "ringmaster_threshold",
    "smallest_growth",
    "spectrum_quadratic",
    "step_parameters",
    "theory_step_size",
    "weighted_minimiser",
    "weighting_bias",
    "worker_step_sizes",
]
