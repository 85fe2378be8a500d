"""When two times are the same instant.

Times are sums of seconds in float64, so 0.1 + 0.1 + 0.1 is not 0.3. A sum of m positive numbers errs by at most m·2⁻⁵³
of itself [derived], that is by less than `SAME` for the first nine million gradients of a worker.
"""

from __future__ import annotations

SAME = 1e-9  # relative difference up to which two times are one instant


def latest(time: float) -> float:
    """The largest time that is the same instant as `time`."""
    return time * (1 + SAME)


def after(time: float, other: float) -> bool:
    """Whether `time` is a later instant than `other`."""
    return time > latest(other)
