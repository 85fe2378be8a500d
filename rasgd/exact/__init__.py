"""One exact theory for every linear method on a quadratic under fixed compute times, by running the method itself.

`dynamics` finds when the control flow repeats and certifies it; the other functions take what it returns. Everything
here is [derived]: it follows from the method's code, also for a class of one's own.
"""

from rasgd.exact.best_step import BestTime, best_time
from rasgd.exact.maps import Dynamics, dynamics
from rasgd.exact.quadratic import QuadraticInstance, diagonal_instance, quadratic_instance
from rasgd.exact.stationary import (
    SmallStep,
    StationaryError,
    largest_stable_step,
    linear_rate,
    small_step,
    spectral_radius,
    stationary_error,
)
from rasgd.exact.synchronous import malenia_rounds
from rasgd.exact.times import time_to_target
from rasgd.exact.transient import MomentTrajectory, cycle_end_errors, moment_trajectory

__all__ = [
    "BestTime",
    "Dynamics",
    "MomentTrajectory",
    "QuadraticInstance",
    "SmallStep",
    "StationaryError",
    "best_time",
    "cycle_end_errors",
    "diagonal_instance",
    "dynamics",
    "largest_stable_step",
    "linear_rate",
    "malenia_rounds",
    "moment_trajectory",
    "quadratic_instance",
    "small_step",
    "spectral_radius",
    "stationary_error",
    "time_to_target",
]
