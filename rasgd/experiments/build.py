"""Objects from checked settings: compute times and problems."""

from __future__ import annotations

import inspect

import numpy as np

from rasgd import compute_times
from rasgd.declared import Arguments, arguments
from rasgd.experiments.kinds import COMPUTE_TIMES, PROBLEMS

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
        from rasgd.experiments.on_data import with_data

        data, parts = datasets.read(path_to_dataset), partition.read(path_to_partition).indices
        if len(parts) != num_workers:
            raise ValueError(
                f"{path_to_partition} deals the data to {len(parts)} workers, the experiment has {num_workers}"
            )
        given = with_data(given, data, parts, build_compute_times(settings["compute_times"]).mean)
    elif "num_workers" in arguments(row.home).names:
        given["num_workers"] = num_workers
    return row.make(**{name: value for name, value in given.items() if name in arguments(row.home).names})
