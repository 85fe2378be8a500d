"""Arguments checked at the door: every refusal is one line that names the argument, the value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rasgd import methods
from rasgd.methods.base import Method


def check_options(method: type[Method], options: dict) -> None:
    allowed = methods.option_names(method)
    for name in options:
        if name not in allowed:
            raise ValueError(
                f"{name!r} is not an option of {method.label}; allowed: {', '.join(allowed) if allowed else 'none'}"
            )


def checked_numbers(name: str, value, check: Callable, allowed: str) -> list:
    """One number or several, each checked, as a list."""
    values = [value] if np.ndim(value) == 0 else list(value)
    if not values:
        raise ValueError(f"{name} must not be empty, got {value!r}")
    for entry in values:
        if not check(entry):
            raise ValueError(f"{name} must be {allowed}, got {entry!r}")
    kind = int if check is whole_seed else float
    return [kind(entry) for entry in values]


def is_number(value) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def positive_number(value) -> bool:
    return is_number(value) and math.isfinite(value) and value > 0


def whole_seed(value) -> bool:
    return is_number(value) and math.isfinite(value) and value >= 0 and int(value) == value


def plain(value):
    """The option as a JSON value."""
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic) else value
