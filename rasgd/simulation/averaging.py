"""Evaluating the average of the server's points over a window of time instead of the newest one."""

from __future__ import annotations

from rasgd.instants import latest
from rasgd.methods.base import Method
from rasgd.validation import is_real, shown


def checked_average(value: float | str | None) -> float | str | None:
    """Seconds of a window, "cycle" for the slowest worker's mean seconds τ_max, or None for no average.

    Raises:
        ValueError: for anything else.
    """
    if value is None or (isinstance(value, str) and value == "cycle"):
        return value
    if not (is_real(value) and value > 0):
        raise ValueError(f"average must be None, 'cycle' or a positive number of seconds, got {shown(value)}")
    return float(value)


def with_average(method: type[Method], average: float | str | None) -> type[Method]:
    """The method whose answer is the mean over time of x in the last complete window of W seconds; itself without one.

        x̄ = (1/W) ∫ x(t) dt over [mW, (m+1)W],   m the last with (m+1)W ≤ now                          [derived]

    Before the first window ends it is the mean since 0. What workers are handed, and so every step, stays as it is. Two
    more vectors: the integral over the window under way and the last mean; O(d) per arrival. A change of x on a
    worker's departure counts from the arrival before it.

    Without noise and with equal Aᵢ, Rescaled ASGD's points at cycle ends tend to x* + (s/n) Σⱼ (ēⱼ − τⱼ/2) ∇Fⱼ(x*),
    up to O(s²), for a total step of s per second; their mean over whole cycles lacks the τⱼ/2. Here ēⱼ is the mean over
    i of eᵢⱼ: eᵢᵢ = τᵢ/2, and ± half the greatest common divisor of τᵢ and τⱼ, + if j comes before i at ties. [derived]

    A class of its own, as with a decay.
    """
    if average is None:
        return method

    class Averaging(method):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            if average == "cycle" and self.compute_times is None:
                raise ValueError("average must be a number of seconds where compute_times are not known, got 'cycle'")
            self.window_seconds = max(self.compute_times) if average == "cycle" else average
            self.full_windows = 0
            self.integral = None  # of x from the start of the window to `integrated_until`; None stands for 0
            self.integrated_until = 0.0
            self.window_mean = None

        def integrate(self, time: float) -> None:
            """Adds what x has been up to a time in the window under way."""
            seconds = time - self.integrated_until
            if seconds > 0:  # not among arrivals of the same instant
                self.integral = self.x * seconds if self.integral is None else self.integral.add_(self.x, alpha=seconds)
                self.integrated_until = time

        def close_windows(self, time: float) -> None:
            """Takes the mean of the last window that has ended by a time."""
            ended = int(latest(time) / self.window_seconds)
            if ended == self.full_windows:
                return
            self.integrate((self.full_windows + 1) * self.window_seconds)
            self.window_mean = self.integral / self.window_seconds
            if ended > self.full_windows + 1:  # without an arrival in the last window x was the same throughout
                self.window_mean = self.x
            self.full_windows, self.integral = ended, None
            self.integrated_until = ended * self.window_seconds

        def receive(self, arrival):
            self.close_windows(arrival.time)
            self.integrate(arrival.time)
            return super().receive(arrival)

        def answer(self, time):
            self.close_windows(time)
            if self.window_mean is not None:
                return self.window_mean
            if time <= 0:
                return self.x
            before = self.x * (time - self.integrated_until)
            return (before if self.integral is None else before + self.integral) / time

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(Averaging, name, getattr(method, name))
    return Averaging
