"""Options of the wall clock, checked."""

from __future__ import annotations

import math

from rasgd.compute_times import ComputeTimes


def check_clock(times: str, time_scale: float, compute_times: ComputeTimes | None) -> None:
    if times not in ("emulated", "measured"):
        raise ValueError(f"times must be 'emulated' or 'measured', got {times!r}")
    if not (isinstance(time_scale, int | float) and math.isfinite(time_scale) and time_scale > 0):
        raise ValueError(f"time_scale must be a positive number of seconds per second, got {time_scale!r}")
    if times == "measured" and time_scale != 1:
        raise ValueError(f"time_scale must be 1 with measured times, got {time_scale!r}")
    if (compute_times is None) != (times == "measured"):
        given = "None" if compute_times is None else "times"
        raise ValueError(f"compute_times must be given for emulated times and None for measured ones, got {given}")
