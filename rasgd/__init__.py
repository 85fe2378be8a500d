"""Rescaled asynchronous SGD: methods, virtual and real time, theory and experiments.

    import rasgd

    problem = rasgd.random_quadratic(num_workers=3, dim=10, noise=0.1, heterogeneity=1.0)
    t = rasgd.simulate(problem, method="rescaled", compute_times=[1.0, 2.0, 3.0], step_size=0.05, until=100.0)
    t.metrics  # pandas DataFrame: time, updates, loss, grad_norm_sq, step_size, seed

Names are imported when they are first used, so `import rasgd` itself is instant.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers see; at run time `__getattr__` imports the same names
    from rasgd import compute_times, methods, problems, theory, tracking
    from rasgd.compute_times import (
        ComputeTimes,
        ExponentialTimes,
        FixedTimes,
        NoisyTimes,
        PermutedTimes,
        RecordedTimes,
    )
    from rasgd.data import datasets, partition
    from rasgd.experiments import tuning
    from rasgd.methods import METHODS, Arrival, Job, Method
    from rasgd.problems import Logistic, Network, Problem, Quadratic, random_quadratic
    from rasgd.simulation.cumulative_step import cumulative_step
    from rasgd.simulation.replay import replay
    from rasgd.simulation.simulate import simulate
    from rasgd.trace import read_trace, write_trace
    from rasgd.trajectory import Trajectory, read_trajectory

__version__ = "0.1.0"

_HOMES = {
    "rasgd.simulation.simulate": ("simulate",),
    "rasgd.simulation.cumulative_step": ("cumulative_step",),
    "rasgd.simulation.replay": ("replay",),
    "rasgd.trace": ("read_trace", "write_trace"),
    "rasgd.trajectory": ("Trajectory", "read_trajectory"),
    "rasgd.methods": ("METHODS", "Arrival", "Job", "Method"),
    "rasgd.problems": ("Logistic", "Network", "Problem", "Quadratic", "random_quadratic"),
    "rasgd.compute_times": (
        "ComputeTimes",
        "ExponentialTimes",
        "FixedTimes",
        "NoisyTimes",
        "PermutedTimes",
        "RecordedTimes",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = {
    **{name: f"rasgd.{name}" for name in ("compute_times", "methods", "problems", "theory", "tracking")},
    **{name: f"rasgd.data.{name}" for name in ("datasets", "partition")},
    "tuning": "rasgd.experiments.tuning",
}

__all__ = [
    "METHODS",
    "Arrival",
    "ComputeTimes",
    "ExponentialTimes",
    "FixedTimes",
    "Job",
    "Logistic",
    "Method",
    "Network",
    "NoisyTimes",
    "PermutedTimes",
    "Problem",
    "Quadratic",
    "RecordedTimes",
    "Trajectory",
    "__version__",
    "compute_times",
    "cumulative_step",
    "datasets",
    "methods",
    "partition",
    "problems",
    "random_quadratic",
    "read_trace",
    "read_trajectory",
    "replay",
    "simulate",
    "theory",
    "tracking",
    "tuning",
    "write_trace",
]


if not TYPE_CHECKING:  # a type checker would take every name for one that exists

    def __getattr__(name: str):
        if name in _HOME_OF:
            value = getattr(importlib.import_module(_HOME_OF[name]), name)
        elif name in _MODULES:
            value = importlib.import_module(_MODULES[name])
        else:
            raise AttributeError(f"module 'rasgd' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__():
    return sorted(__all__)
