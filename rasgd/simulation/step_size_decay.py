"""Step sizes that are constant at first and then fall linearly in time."""

from __future__ import annotations

from typing import NamedTuple

from rasgd.methods.base import Method
from rasgd.validation import is_real, shown

KEYS = ("after", "to")


class StepSizeDecay(NamedTuple):
    """What γ is multiplied by at a time: 1 up to `after·until`, then falling linearly to `to` at `until`.

    Attributes:
        after: share of the horizon with the full step, in [0, 1).
        to: factor at the horizon, in [0, 1].
        until: horizon in seconds.
    """

    after: float
    to: float
    until: float

    def factor(self, time: float) -> float:
        fallen = (time / self.until - self.after) / (1 - self.after)
        return 1.0 - (1.0 - self.to) * min(1.0, max(0.0, fallen))


def checked_decay(value: dict | None, until: float) -> StepSizeDecay | None:
    """The decay that a dict with the keys after and to describes; None for none.

    Raises:
        ValueError: for other keys, and numbers out of range.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != set(KEYS):
        raise ValueError(f"step_size_decay must be None or a dict with the keys {', '.join(KEYS)}, got {shown(value)}")
    after, to = (value[key] for key in KEYS)
    if not (is_real(after) and 0 <= after < 1):
        raise ValueError(f"step_size_decay['after'] must be a share of the horizon in [0, 1), got {shown(after)}")
    if not (is_real(to) and 0 <= to <= 1):
        raise ValueError(f"step_size_decay['to'] must be a factor in [0, 1], got {shown(to)}")
    return StepSizeDecay(float(after), float(to), until)


def with_decay(method: type[Method], decay: StepSizeDecay | None) -> type[Method]:
    """The method with its step size set anew at every arrival, by the arrival's time; itself without a decay.

    A class of its own, so that a run, its replay and the instance that measures weights need not know of it, and a run
    without decay pays nothing.
    """
    if decay is None:
        return method

    class Decaying(method):
        # A slot, not an attribute: it follows from the arguments, so it is neither memory nor state to be kept.
        __slots__ = ("full_step_size",)

        def __init__(self, x0, step_size, num_workers, *arguments, **options):
            super().__init__(x0, step_size, num_workers, *arguments, **options)
            self.full_step_size = step_size

        def receive(self, arrival):
            self.step_size = self.full_step_size * decay.factor(arrival.time)
            return super().receive(arrival)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(Decaying, name, getattr(method, name))
    return Decaying
