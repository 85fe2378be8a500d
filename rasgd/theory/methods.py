"""What is known of every method before any run: one row each, read by tables, claims and tests.

Marks: [paper] Rescaled ASGD (arXiv 2605.13434), [lit] related papers, [derived] worked out in this project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from rasgd.theory.constants import Constants


class PaperTicks(NamedTuple):
    """The three ticks of the paper's Table 1.

    Attributes:
        optimal: the leading term is the lower bound's.
        no_idle: no worker waits.
        no_memory: the server keeps no vectors beside x.
    """

    optimal: bool
    no_idle: bool
    no_memory: bool


class MethodRow(NamedTuple):
    """One method.

    Attributes:
        minimises: whose stationary points it has as γ → 0: "F", the equal average; "F_p", weights ∝ 1/τᵢ; "delays",
            weights that depend on the delays and have no closed form for all times.
        memory: the most d-vectors that the server holds beside x between two arrivals, from n and the method's
            options; running means that are kept beside a table count.
        memory_varies: how many of them are in use depends on the schedule; else every long run has them all.
        idles: workers wait for others.
        wastes: gradients are computed and not used.
        stale: gradients are applied to newer points than they were taken at.
        leading_term: seconds, up to a constant, as ε → 0, from constants, compute times and ε; None where no
            reference states one for heterogeneous data.
        ticks: the paper's Table 1; None where the paper has no row.
        paper_step: which of `step_sizes.StepParameters` is the γ that the paper's grid of step sizes lists.
    """

    minimises: str
    memory: Callable[[int, dict], int]
    memory_varies: bool = False
    idles: bool = False
    wastes: bool = False
    stale: bool = True
    leading_term: Callable[[Constants, np.ndarray, float], float] | None = None
    ticks: PaperTicks | None = None
    paper_step: str = "step_size"


def _term(variance: float, constants: Constants, num_workers: int, epsilon: float, seconds: float) -> float:
    return float(constants.initial_gap * constants.smoothness * variance / (num_workers * epsilon**2) * seconds)


def mean_time_term(constants: Constants, compute_times: np.ndarray, epsilon: float) -> float:
    """Return ΔLσ²/(nε²)·τ_A: the lower bound's leading term. [lit]"""
    return _term(constants.noise_variance, constants, len(compute_times), epsilon, compute_times.mean())


def slowest_time_term(constants: Constants, compute_times: np.ndarray, epsilon: float) -> float:
    """Return ΔLσ²/(nε²)·τ_max. [paper, Table 1]"""
    return _term(constants.noise_variance, constants, len(compute_times), epsilon, compute_times.max())


def concurrent_term(constants: Constants, compute_times: np.ndarray, epsilon: float) -> float:
    """Return ΔL(σ²+ζ²)/(nε²)·τ_max, in which ζ² bounds ‖∇Fᵢ − ∇F‖². [paper, Table 1]"""
    variance = constants.noise_variance + constants.heterogeneity
    return _term(variance, constants, len(compute_times), epsilon, compute_times.max())


def _none(n: int, options: dict) -> int:
    return 0


def _one(n: int, options: dict) -> int:
    return 1


def _entries(n: int, options: dict) -> int:
    return n


def _entries_and_mean(n: int, options: dict) -> int:
    return n + 1


def _queued(n: int, options: dict) -> int:
    return n - 1


def _ringleader_tables(n: int, options: dict) -> int:
    """A full table, its mean and n − 1 entries of the next one; where nothing joins a full table only its mean."""
    return n if options.get("trigger") == "opens" else 2 * n


def _cache_and_buffer(n: int, options: dict) -> int:
    """n cached gradients, their mean and K − 1 in the buffer: the K-th empties it."""
    return n + options.get("K", max(2, n // 4))


ROWS: dict[str, MethodRow] = {
    # "F" with equal weights, the given average with others
    "rescaled": MethodRow(
        "F", _none, leading_term=mean_time_term, ticks=PaperTicks(True, True, True), paper_step="paper_step_size"
    ),
    "asgd": MethodRow("F_p", _none),  # its leading term, ΔLσ²/(nε²)·τ_H, is that of F_p [paper, Cor. 4.4]
    # down to a ζ²-neighbourhood only, and only for equal times [paper, Table 1]
    "delay_adaptive": MethodRow("delays", _none, leading_term=mean_time_term, ticks=PaperTicks(False, True, True)),
    "minibatch": MethodRow(
        "F", _one, idles=True, stale=False, leading_term=slowest_time_term, ticks=PaperTicks(False, False, True)
    ),
    "malenia": MethodRow(
        "F", _entries, wastes=True, stale=False, leading_term=mean_time_term, ticks=PaperTicks(True, True, False)
    ),
    "rennala": MethodRow("delays", _one, wastes=True, stale=False),
    "ringleader": MethodRow(
        "F",
        _ringleader_tables,
        memory_varies=True,
        leading_term=mean_time_term,  # with L' ≥ L in place of L [paper, Table 1]
        ticks=PaperTicks(False, True, False),
    ),
    "ia2sgd": MethodRow("F", _entries_and_mean, leading_term=slowest_time_term),
    "ringmaster": MethodRow("delays", _none, wastes=True),
    "fedbuff": MethodRow("F_p", _one),
    "ca2fl": MethodRow("F", _cache_and_buffer),
    "concurrent": MethodRow(
        "F",
        _queued,
        memory_varies=True,
        idles=True,
        leading_term=concurrent_term,
        ticks=PaperTicks(False, False, False),
    ),
    "shuffled": MethodRow("F", _queued, memory_varies=True, idles=True),
}
