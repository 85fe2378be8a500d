"""Objects from checked settings: compute times and problems, each from a table that a new kind joins with one row."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rasgd import compute_times
from rasgd.declared import Arguments, arguments

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

PREPARATION = ("standardise", "pool", "label_noise")  # keys of every problem on data: what is done to the data first
FROM_WORKERS = ("num_workers",)  # arguments that are no keys, since they follow from the compute times,
FROM_DATA = ("inputs", "labels", "parts", "num_classes", "test_inputs", "test_labels")  # and from the data


def build_compute_times(spec: dict | list) -> compute_times.ComputeTimes:
    """The law of compute times from its settings: a list of seconds, or a mapping with `kind`.

    A mapping holds the arguments of the kind's maker in `COMPUTE_TIMES`. `seconds`, the parameter of a law, is a list
    or settings of fixed times again: {kind: noisy, seconds: {kind: linear, num_workers: 20}}. Fixed times may be dealt
    to the workers in a random order (permutation_seed), any law in one that every schedule draws anew: {kind: permuted,
    times: [1, 2, 4]}.

    Raises:
        ValueError: one line naming the key, what was given and what is allowed.
    """
    if isinstance(spec, list):
        spec = {"kind": "fixed", "seconds": spec}
    kind = spec["kind"]
    if kind not in COMPUTE_TIMES:
        raise ValueError(f"kind must be one of {', '.join(COMPUTE_TIMES)}, got {kind!r}")
    given = {key: value for key, value in spec.items() if key not in ("kind", "permutation_seed")}
    parameters = inspect.signature(COMPUTE_TIMES[kind]).parameters.values()
    required = tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)
    Arguments(tuple(parameter.name for parameter in parameters), required).refuse(given, f"kind {kind}")
    if isinstance(given.get("seconds"), dict):
        given["seconds"] = fixed_seconds("seconds", build_compute_times(given["seconds"]))
    if isinstance(given.get("times"), dict):
        given["times"] = build_compute_times(given["times"])
    law = COMPUTE_TIMES[kind](**given)
    if "permutation_seed" not in spec:
        return law
    return compute_times.FixedTimes(
        compute_times.permuted(fixed_seconds("permutation_seed", law), spec["permutation_seed"])
    )


def fixed_seconds(key: str, law: compute_times.ComputeTimes) -> np.ndarray:
    if not isinstance(law, compute_times.FixedTimes):
        raise ValueError(f"{key} is for fixed times, got {type(law).__name__}")
    return law.mean


def is_random(law: compute_times.ComputeTimes) -> bool:
    """Whether the law draws anything, so that schedule seeds matter."""
    return law.seeded(0) is not law


def problem_keys(kind: str) -> Arguments:
    """The keys that settings of a kind of problem have beside `kind`."""
    row = PROBLEMS[kind]
    of_class, supplied = arguments(row.home), FROM_WORKERS + FROM_DATA * row.on_data
    names, required = (
        tuple(row.in_settings.get(name, name) for name in some if name not in supplied) for some in of_class
    )
    return Arguments(names + PREPARATION * row.on_data, required)


def check_problem(spec: dict) -> None:
    """Refuses an unknown kind of problem, keys that it does not have, and required ones that are missing.

    Raises:
        ValueError: one line naming the key, what was given and what is allowed.
    """
    if spec.get("kind") not in PROBLEMS:
        raise ValueError(f"kind must be one of {', '.join(PROBLEMS)}, got {spec.get('kind')!r}")
    problem_keys(spec["kind"]).refuse([key for key in spec if key != "kind"], f"kind {spec['kind']}")


def build_problem(settings: dict, num_workers: int, path_to_dataset=None, path_to_partition=None):
    """The problem of one case, from `case_settings(config, case)`.

    Raises:
        ValueError: for settings that do not fit each other or the data.
    """
    spec = settings["problem"]
    check_problem(spec)
    row, given = PROBLEMS[spec["kind"]], {key: value for key, value in spec.items() if key != "kind"}
    if row.on_data:
        from rasgd.data import datasets, partition

        data, parts = datasets.read(path_to_dataset), partition.read(path_to_partition).indices
        if len(parts) != num_workers:
            raise ValueError(
                f"{path_to_partition} deals the data to {len(parts)} workers, the experiment has {num_workers}"
            )
        given = with_data(given, data, parts, build_compute_times(settings["compute_times"]).mean)
    elif "num_workers" in arguments(row.home).names:
        given["num_workers"] = num_workers
    return row.make(**{name: value for name, value in given.items() if name in arguments(row.home).names})


def with_data(given: dict, data, parts: list, seconds: np.ndarray) -> dict:
    """The keys of a problem on data with what the data add.

    Args:
        given: settings of the problem beside its kind. standardise, pool and label_noise change the data, in this
            order; hidden_widths are widths without the first and the last, and a weighting "arrival_frequency" stands
            for pᵢ ∝ 1/τᵢ.
        data: the data set.
        parts: samples of every worker.
        seconds: mean compute times τ, `[n]`.
    """
    from rasgd.data import preparation

    inputs, test_inputs, labels = data.train_inputs, data.test_inputs, data.train_labels
    if "standardise" in given:
        inputs, test_inputs = (
            preparation.standardised(images, **given["standardise"]) for images in (inputs, test_inputs)
        )
    if "pool" in given:
        inputs, test_inputs = (
            preparation.mean_pooled(images, data.image_shape, given["pool"]) for images in (inputs, test_inputs)
        )
    if "label_noise" in given:
        labels = preparation.with_label_noise(labels, data.num_classes, **given["label_noise"])
    added = {"inputs": inputs, "labels": labels, "parts": parts, "num_classes": data.num_classes}
    added |= {"test_inputs": test_inputs, "test_labels": data.test_labels}
    if "hidden_widths" in given:
        added["widths"] = (inputs.shape[1], *given["hidden_widths"], data.num_classes)
    if "evaluation_weightings" in given:
        added["evaluation_weightings"] = {
            name: 1 / seconds if weights == "arrival_frequency" else weights
            for name, weights in given["evaluation_weightings"].items()
        }
    return given | added
