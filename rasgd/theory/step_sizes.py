"""One step size of Rescaled ASGD under its four names, and how fast methods that gather gradients can step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.validation import real_array


class StepParameters(NamedTuple):
    """The same steps γᵢ ∝ τᵢ, by what one calls the step size; numbers, or arrays of one shape.

    Attributes:
        step_size: mean step per arrival, γᵢ = step_size·τᵢ/τ_H: what `rasgd.simulate` takes. [derived]
        paper_step_size: γ of γᵢ = γ·τᵢτ_H/(nτ_max), of which theorems and Figure 1's grid speak. [paper, eq. (2)]
        cycle_step_size: α, total step of one cycle of τ_max seconds; γᵢ = ατᵢ/(nτ_max). [paper, Section 4]
        step_per_second: total step per second, α/τ_max. [derived]
    """

    step_size: float | np.ndarray
    paper_step_size: float | np.ndarray
    cycle_step_size: float | np.ndarray
    step_per_second: float | np.ndarray


def step_parameters(compute_times: ArrayLike, **given: ArrayLike) -> StepParameters:
    """Return the four parameters from any one of them: α = Kγ_ours = γ_paper·τ_H, K = nτ_max/τ_H arrivals per cycle.

    For example `step_parameters(times, cycle_step_size=0.01).step_size`. Methods whose mean step per arrival is γ, as
    vanilla ASGD's, share step_size, cycle_step_size and step_per_second. Raises ``ValueError`` unless exactly one
    parameter is given.
    """
    times = checked_times(compute_times)
    harmonic, slowest = times.size / np.sum(1.0 / times), times.max()
    per_cycle = {  # of α, in one unit of the parameter
        "step_size": times.size * slowest / harmonic,
        "paper_step_size": harmonic,
        "cycle_step_size": 1.0,
        "step_per_second": slowest,
    }
    if len(given) != 1 or not given.keys() <= per_cycle.keys():
        raise ValueError(f"give exactly one of {', '.join(per_cycle)}, got {', '.join(given) or 'none'}")
    ((name, value),) = given.items()
    value = real_array(name, value)
    converted = {other: value * (per_cycle[name] / factor) for other, factor in per_cycle.items()}
    converted[name] = value * 1.0
    return StepParameters(**{other: entry[()] for other, entry in converted.items()})


def mean_gathering_time(compute_times: ArrayLike) -> float:
    """Return the mean seconds until every worker has answered once, durations being exponential with these means.

    E max = ∫ 1 − Πᵢ(1 − e^{−t/τᵢ}) dt. [derived] So Malenia SGD (S = n) makes a step every so many seconds, as does a
    round of Ringleader ASGD with trigger="opens": 26.645 s for two workers each of 1, 2, 4, 8, 16 s, at which cycle
    steps come .600 times as fast as with fixed times. Up to roundings: equal steps in ln t converge exponentially.
    """
    times = checked_times(compute_times)
    log_spacing = 0.1  # the integrand is analytic where |Im ln t| < π/2: an error of e^{−π²/0.1}
    t = np.exp(np.arange(np.log(times.min() * 1e-17), np.log(times.max() * 60), log_spacing))
    not_yet = -np.expm1(np.log(-np.expm1(-t / times[:, None])).sum(axis=0))
    return float(log_spacing * (t @ not_yet))
