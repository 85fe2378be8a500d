"""The methods, by their short names. To add one: write its file, add its row."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

from rasgd.methods.asgd import Asgd
from rasgd.methods.base import Arrival, Job, Method
from rasgd.methods.ca2fl import Ca2fl
from rasgd.methods.concurrent import Concurrent
from rasgd.methods.delay_adaptive import DelayAdaptive
from rasgd.methods.fedbuff import Fedbuff
from rasgd.methods.ia2sgd import Ia2sgd
from rasgd.methods.malenia import Malenia
from rasgd.methods.minibatch import Minibatch
from rasgd.methods.rennala import Rennala
from rasgd.methods.rescaled import Rescaled
from rasgd.methods.ringleader import Ringleader
from rasgd.methods.ringmaster import Ringmaster
from rasgd.methods.shuffled import Shuffled

METHODS: dict[str, type[Method]] = {
    "rescaled": Rescaled,
    "asgd": Asgd,
    "delay_adaptive": DelayAdaptive,
    "minibatch": Minibatch,
    "malenia": Malenia,
    "rennala": Rennala,
    "ringleader": Ringleader,
    "ia2sgd": Ia2sgd,
    "ringmaster": Ringmaster,
    "fedbuff": Fedbuff,
    "ca2fl": Ca2fl,
    "concurrent": Concurrent,
    "shuffled": Shuffled,
}

SHARED_ARGUMENTS = ("self", "x0", "step_size", "num_workers", "compute_times", "generator")


def short_name(method: type[Method]) -> str:
    """The class's name in lower case with underscores: the key of a method in `METHODS`, and what one's own is called.

    For example delay_adaptive for DelayAdaptive.
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", method.__name__).lower()


def option_names(method: type[Method]) -> list[str]:
    """Names of the options a method takes beside what every method is given."""
    return [name for name in inspect.signature(method).parameters if name not in SHARED_ARGUMENTS]


def check_options(method: type[Method], options: dict) -> None:
    """Refuses options that the method does not have.

    Raises:
        ValueError: naming the option and the method's own.
    """
    allowed = option_names(method)
    for name in options:
        if name not in allowed:
            raise ValueError(f"{name!r} is not an option of {method.label}; allowed: {', '.join(allowed) or 'none'}")


def with_sample_shares(options: dict, sample_counts: Sequence[int] | None) -> dict:
    """The options with weights "samples" replaced by every worker's share of the samples; methods know no problems.

    Raises:
        ValueError: if they are asked for and there are no samples.
    """
    if not isinstance(options.get("weights"), str) or options["weights"] != "samples":
        return options
    if sample_counts is None:
        raise ValueError("weights 'samples' need a problem whose workers hold samples, got one without")
    total = sum(sample_counts)
    return options | {"weights": [count / total for count in sample_counts]}


def find(method: str | type[Method]) -> type[Method]:
    """The class of a method given by short name or as a class of one's own.

    Raises:
        ValueError: for an unknown name or a class that does not say what it does with an arrival.
    """
    if isinstance(method, type) and issubclass(method, Method) and not inspect.isabstract(method):
        if not isinstance(getattr(method, "label", None), str):
            raise ValueError(f"method {method.__name__} must have a label, the name in legends and tables")
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)} or a Method class, got {method!r}")
    return METHODS[method]


__all__ = [
    "METHODS",
    "Arrival",
    "Job",
    "Method",
    "check_options",
    "find",
    "option_names",
    "short_name",
    "with_sample_shares",
]
