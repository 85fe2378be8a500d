"""Arguments are checked where they come in: one line says which one, what is allowed and what was given."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LARGEST = 2**63 - 1  # what a 64-bit column of a file holds


def whole_number(name: str, value, at_least: int = 1) -> int:
    """Returns an argument that must be an integer (3, numpy's 3, 3.0), or says in one line what is wrong with it."""
    if not (is_real(value) and int(value) == value and at_least <= value <= LARGEST):
        limit = " and below 2**63" if is_real(value) and value > LARGEST else ""
        raise ValueError(f"{name} must be a whole number of at least {at_least}{limit}, got {shown(value)}")
    return int(value)


def real_number(name: str, value, above: float | None = None, at_least: float | None = None) -> float:
    """Returns an argument that must be a finite number within its bound, or says in one line what is wrong with it."""
    fits = is_real(value) and (above is None or value > above) and (at_least is None or value >= at_least)
    if not fits:
        bound = (
            f" above {above:g}" if above is not None else f" of at least {at_least:g}" if at_least is not None else ""
        )
        raise ValueError(f"{name} must be a finite number{bound}, got {shown(value)}")
    return float(value)


def one_or_several(name: str, value, check: Callable) -> list:
    """Returns one value or a sequence of them as a list, each as `check(name, value)` returns it."""
    import numpy as np

    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    values = list(value) if is_list or (isinstance(value, np.ndarray) and value.ndim) else [value]
    if not values:
        raise ValueError(f"{name} must not be empty, got {shown(value)}")
    return [check(name, entry) for entry in values]


def real_array(name: str, value, what: str = "an array of numbers") -> np.ndarray:
    """Returns an argument that must be a rectangular array of integers or floats, its dtype unchanged.

    Truth values and strings that look like numbers are refused: they are mistakes more often than data.
    """
    import numpy as np

    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths
        raise ValueError(f"{name} must be {what}, got {shown(value)}") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be {what}, got {shown(value)}")
    return array


def checked_weights(name: str, value, num_workers: int) -> list[float]:
    """Returns weights of the workers, at least 0 and with sum 1, or says in one line what is wrong with them."""
    import numpy as np

    what = f"{num_workers} numbers of at least 0 with sum 1, one per worker"
    weights = real_array(name, value, what).astype(float)
    if weights.shape != (num_workers,):
        raise ValueError(f"{name} must be {what}, got an array of shape {list(weights.shape)}")
    total = float(weights.sum())
    if not (np.isfinite(total) and weights.min() >= 0 and abs(total - 1) <= 1e-9):
        raise ValueError(f"{name} must be {what}, got {shown(value)}")
    return weights.tolist()


def is_real(value) -> bool:
    """A finite number that a float64 can hold; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def shown(value) -> str:
    """The value in one short line, for messages."""
    line = " ".join(repr(value).split())
    return line if len(line) <= 80 else f"{line[:77]}..."
