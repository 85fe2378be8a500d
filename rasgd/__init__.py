"""Rescaled asynchronous SGD: methods, virtual and real time, theory and experiments.

    import rasgd

    problem = rasgd.random_quadratic(num_workers=3, dim=10, noise=0.1, heterogeneity=1.0)
    t = rasgd.simulate(problem, method="rescaled", compute_times=[1.0, 2.0, 3.0], step_size=0.05, until=100.0)
    t.metrics  # pandas DataFrame: time, updates, loss, grad_norm_sq, step_size, seed

Names are imported when they are first used, so `import rasgd` itself is instant.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "rasgd.simulation.simulate": ("simulate",),
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

__all__ = [*_HOME_OF, *_MODULES, "__version__"]


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
