"""Arguments checked at the door: every refusal is one line that names the argument, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rasgd import methods
from rasgd.methods.base import Method
from rasgd.validation import LARGEST, is_real, shown

MAX_EVALUATIONS = 1_000_000


def check_options(method: type[Method], options: dict) -> None:
    allowed = methods.option_names(method)
    for name in options:
        if name not in allowed:
            raise ValueError(
                f"{name!r} is not an option of {method.label}; allowed: {', '.join(allowed) if allowed else 'none'}"
            )


def checked_numbers(name: str, value, check: Callable, allowed: str) -> list:
    """One number or several, each checked, as a list."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    values = list(value) if is_list or (isinstance(value, np.ndarray) and value.ndim) else [value]
    if not values:
        raise ValueError(f"{name} must not be empty, got {shown(value)}")
    return [checked_number(name, entry, check, allowed) for entry in values]


def checked_number(name: str, value, check: Callable, allowed: str) -> int | float:
    """The number as a plain one, whole if the check is for whole ones."""
    if not check(value):
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")
    return int(value) if check is whole_seed else float(value)


def positive_number(value) -> bool:
    return is_real(value) and value > 0


def whole_seed(value) -> bool:
    return is_real(value) and 0 <= value <= LARGEST and int(value) == value


def checked_evaluations(until: float, eval_every: float) -> None:
    """Refuses an evaluation grid that no memory holds."""
    if until / eval_every > MAX_EVALUATIONS:
        smallest = until / MAX_EVALUATIONS
        raise ValueError(f"eval_every must be at least until/{MAX_EVALUATIONS}, {smallest:g} s, got {eval_every:g}")


def plain(value):
    """The option as a JSON value."""
    if isinstance(value, np.ndarray | np.generic | range):
        return np.asarray(value).tolist()
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value
