"""The kinds of problems and of compute times that settings can name. To add one: write its file, add its row."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

from rasgd import compute_times

# Kind → what makes the law from the kind's keys. Keys of all kinds beside their own: permutation_seed.
COMPUTE_TIMES: dict[str, Callable[..., compute_times.ComputeTimes]] = {
    "fixed": compute_times.FixedTimes,
    "linear": compute_times.linear,
    "square_root": compute_times.square_root,
    "two_speed": compute_times.two_speed,
    "noisy": compute_times.NoisyTimes,
    "exponential": compute_times.ExponentialTimes,
    "permuted": compute_times.PermutedTimes,
}


class ProblemKind(NamedTuple):
    """A kind of problem and how settings make one.

    Attributes:
        home: its class or a function that makes it, below rasgd; imported when it is built.
        on_data: its workers own samples of a data set.
        in_settings: arguments that settings give in another form: argument → key.
    """

    home: str
    on_data: bool = False
    in_settings: dict[str, str] = {}  # noqa: RUF012

    @property
    def module(self) -> str:
        return self.home.rpartition(".")[0]

    def make(self, **given):
        return getattr(importlib.import_module(f"rasgd.{self.module}"), self.home.rpartition(".")[2])(**given)


PROBLEMS = {
    "quadratic": ProblemKind("problems.quadratic.Quadratic"),
    "random_quadratic": ProblemKind("problems.quadratic.random_quadratic"),
    "network": ProblemKind("problems.network.Network", on_data=True, in_settings={"widths": "hidden_widths"}),
    "logistic": ProblemKind("problems.logistic.Logistic", on_data=True),
}
