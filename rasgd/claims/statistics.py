"""Intervals, tests against a margin, and Holm's correction, for numbers with and without sampling error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EXACT, T_TEST, SIGN_TEST = "exact", "t", "sign"
TESTS = (EXACT, T_TEST, SIGN_TEST)


@dataclass(frozen=True)
class Margin:
    """The values that a claim allows, from `low` to `high`; infinite where it does not bound them."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Evidence:
    """One number that a claim speaks of, and how far it can be trusted.

    Attributes:
        name: which of the claim's numbers, such as a method and a target.
        measured: the number.
        test: exact (no sampling error), t (`error` and `degrees`) or sign (`extremes` over independent instances).
        replicas: independent seeds or instances behind the number; 0 where it is exact.
        error: standard error, of the logarithm where `logarithmic`.
        degrees: of freedom of `error`.
        extremes: smallest and largest value over the instances, of which `measured` is the median.
        logarithmic: the number is a ratio whose logarithm is tested.
        at_least: the true number is no smaller, and may be much larger: it never speaks for an upper bound.
    """

    name: str
    measured: float
    test: str = EXACT
    replicas: int = 0
    error: float = 0.0
    degrees: float = math.inf
    extremes: tuple[float, float] = (math.nan, math.nan)
    logarithmic: bool = False
    at_least: bool = False

    def interval(self, confidence: float) -> tuple[float, float]:
        """The confidence interval of a t test, the extremes of a sign test, or the exact number twice.

        The extremes of m instances cover their population's median with probability 1 − 2^(1−m).
        """
        if self.test == SIGN_TEST:
            return self.extremes
        if self.test == EXACT or self.error == 0:
            return self.measured, self.measured
        width = quantile((1 + confidence) / 2, self.degrees) * self.error
        if self.logarithmic:
            return self.measured * math.exp(-width), self.measured * math.exp(width)
        return self.measured - width, self.measured + width

    def p_below(self, bound: float) -> float:
        """The p-value of "the true number is at least `bound`": small where it is below."""
        return self._p(bound, side=1) if not self.at_least or math.isinf(bound) else 1.0

    def p_above(self, bound: float) -> float:
        """The p-value of "the true number is at most `bound`": small where it is above."""
        return self._p(bound, side=-1)

    def _p(self, bound: float, side: int) -> float:
        if math.isinf(bound):
            return float(bound * side < 0)
        if math.isnan(self.measured):
            return 1.0
        if self.test == SIGN_TEST:
            worst = self.extremes[1] if side > 0 else self.extremes[0]
            return 2.0**-self.replicas if side * worst <= side * bound else 1.0
        if self.test == EXACT:
            return float(side * self.measured > side * bound)
        if not (0 < self.error < math.inf and math.isfinite(self.measured)):
            # Replicas that never got there or all gave one number, such as a point of an evaluation grid, say nothing
            # about the error.
            return 1.0
        from scipy.stats import t as students_t

        distance = _log(bound) - _log(self.measured) if self.logarithmic else bound - self.measured
        return float(students_t.sf(side * distance / self.error, self.degrees))


def exact(name: str, measured: float) -> Evidence:
    """A number without sampling error."""
    return Evidence(name, float(measured))


def mean_of(name: str, samples: Sequence[float], clusters: Sequence | None = None) -> Evidence:
    """The mean of independent samples with its t statistics.

    Args:
        name: of the evidence.
        samples: one per replica, `[m]`.
        clusters: replicas with the same entry are no independent ones (one schedule with several sample seeds): their
            means are, as soon as there is more than one cluster, `[m]`.
    """
    samples = np.asarray(samples, dtype=float)
    means = samples
    if clusters is not None and len(set(clusters)) > 1:
        keys = np.asarray(clusters)
        means = np.array([samples[keys == key].mean() for key in np.unique(keys)])
    count = len(means)
    error = float(means.std(ddof=1) / math.sqrt(count)) if count > 1 else math.inf
    return Evidence(name, float(means.mean()), T_TEST, len(samples), error, max(1, count - 1))


def paired_difference(name: str, above: Sequence[float], below: Sequence[float], clusters=None) -> Evidence:
    """The mean difference of numbers that belong to the same replicas, `[m]` each; exactly 0 where all are equal."""
    if len(above) and np.array_equal(above, below):
        return exact(name, 0.0)
    return mean_of(name, np.asarray(above, dtype=float) - np.asarray(below, dtype=float), clusters=clusters)


def paired_ratio(name: str, above: Sequence[float], below: Sequence[float], clusters=None) -> Evidence:
    """The geometric mean of ratios of positive numbers that belong to the same replicas, `[m]` each.

    Where all pairs are equal to the last digit the two are the same, which is no matter of chance.
    """
    if len(above) and np.array_equal(above, below):
        return exact(name, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = mean_of(name, np.log(above) - np.log(below), clusters)
    return _exponential(logs)


def _exponential(logs: Evidence) -> Evidence:
    measured = math.exp(min(logs.measured, 700.0)) if not math.isnan(logs.measured) else math.nan
    return Evidence(logs.name, measured, T_TEST, logs.replicas, logs.error, logs.degrees, logarithmic=True)


def from_interval(
    name: str, measured: float, low: float, high: float, replicas: int, logarithmic: bool = False,
    confidence: float = 0.95,
) -> Evidence:  # fmt: skip
    """A number of which a product states the confidence interval; its standard error is what that interval implies."""
    ends = (_log(low), _log(high)) if logarithmic else (low, high)
    degrees = max(1, replicas - 1)
    error = (ends[1] - ends[0]) / 2 / quantile((1 + confidence) / 2, degrees)
    return Evidence(name, measured, T_TEST, replicas, float(error), degrees, logarithmic=logarithmic)


def from_extremes(name: str, median: float, low: float, high: float, count: int) -> Evidence:
    """A median over independent instances with their smallest and largest value."""
    return Evidence(name, median, SIGN_TEST, count, extremes=(low, high))


def p_holds(evidence: Evidence, margin: Margin) -> float:
    """The p-value of "the true number is outside the margin": two one-sided tests where the margin has two ends."""
    return max(evidence.p_above(margin.low), evidence.p_below(margin.high))


def p_fails(evidence: Evidence, margin: Margin) -> float:
    """The p-value of "the true number is within the margin"."""
    ends = [math.isfinite(margin.low), math.isfinite(margin.high)]
    sides = [p for p, given in zip((evidence.p_below(margin.low), evidence.p_above(margin.high)), ends, strict=True)
             if given]  # fmt: skip
    smallest = min(sides) if evidence.measured not in margin else 1.0
    return min(1.0, sum(ends) * smallest)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: rejecting those ≤ α keeps the family-wise error below α."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def replicas_needed(evidence: Evidence, margin: Margin, level: float, power: float) -> int | None:
    """How many replicas would decide, at the observed spread, where the number lies; None where no number would.

    Args:
        level: of a one-sided test.
        power: probability of deciding.
    """
    if evidence.test != T_TEST or not (0 < evidence.error < math.inf) or not math.isfinite(evidence.measured):
        return None
    place = _log if evidence.logarithmic else float
    ends = [place(end) for end in (margin.low, margin.high) if math.isfinite(end)]
    distance = min(abs(end - place(evidence.measured)) for end in ends)
    if distance == 0:
        return None
    factor = quantile(1 - level, evidence.degrees) + quantile(power, math.inf)
    return max(evidence.replicas + 1, math.ceil(evidence.replicas * (factor * evidence.error / distance) ** 2))


def quantile(probability: float, degrees: float) -> float:
    """Of Student's t distribution."""
    from scipy.stats import norm
    from scipy.stats import t as students_t

    return float(norm.ppf(probability) if math.isinf(degrees) else students_t.ppf(probability, degrees))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
