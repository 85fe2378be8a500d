"""One validated config file: cases (problem × compute times) × methods × step sizes × seeds.

Reading and checking need neither torch nor data, so a workflow can do both while it is parsed; building a problem
needs both. Every function takes the plain dict that `read` returns.
"""

from __future__ import annotations

import copy
import itertools
import math
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from rasgd import compute_times, methods

SCALES = ("smoke", "laptop", "paper")
SEED_KEYS = ("seeds", "schedule_seeds", "instance_seeds")
KINDS_ON_DATA = ("network", "logistic")  # kinds of problems whose workers own samples of a data set


def read(path: str | Path, scale: str) -> dict:
    """The experiment at one scale: the file's settings with its `scales.<scale>` laid over them.

    Raises:
        ValueError: if the file is missing or no YAML mapping.
    """
    config = read_yaml(path)
    overrides = config.pop("scales", {})
    if not isinstance(overrides, dict) or not set(overrides) <= set(SCALES):
        raise ValueError(f"{path}: scales must be a mapping with keys among {', '.join(SCALES)}")
    return listed(lay_over(config, overrides.get(scale) or {}), str(path))


def listed(settings, name: str):
    """A copy of nested settings in which `{first: a, count: m}` under a key of seeds is the list a, …, a + m − 1.

    Raises:
        ValueError: one line naming where, what was given and what is allowed.
    """
    if isinstance(settings, list):
        return [listed(entry, name) for entry in settings]
    if not isinstance(settings, dict):
        return settings
    return {
        key: seed_range(value, f"{name}: {key}")
        if key in SEED_KEYS and isinstance(value, dict)
        else listed(value, name)
        for key, value in settings.items()
    }


def seed_range(given: dict, where: str) -> list[int]:
    numbers = [given.get("first"), given.get("count")]
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if set(given) != {"first", "count"} or not whole or numbers[0] < 0 or numbers[1] < 1:
        raise ValueError(
            f"{where} must be a list, or first (a whole number from 0 on) and count (from 1 on), got {given}"
        )
    return list(range(numbers[0], numbers[0] + numbers[1]))


def read_yaml(path: str | Path) -> dict:
    """A YAML mapping.

    Raises:
        ValueError: naming the file and, for a syntax error, the line.
    """
    import yaml

    try:
        # The safe loader in C, where there is one: ten times as fast.
        content = yaml.load(Path(path).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping of settings, got {type(content).__name__}")
    return content


def lay_over(base: dict, overrides: dict) -> dict:
    """A copy of `base` in which `overrides` win; mappings are merged, null removes a key, all else is replaced."""
    result = copy.deepcopy(base)
    for key, value in overrides.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = lay_over(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def check_schema(config: dict, schema: dict, name: str) -> None:
    """Compares settings with a JSON schema.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    import jsonschema

    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    error = jsonschema.exceptions.best_match(errors)
    if error is None:
        return
    key = ".".join(str(part) for part in error.absolute_path)
    message = error.message
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        unknown = sorted(map(str, set(error.instance) - set(error.schema.get("properties", {}))))
        message = f"unknown key {', '.join(unknown)}; allowed: {', '.join(sorted(error.schema.get('properties', {})))}"
    raise ValueError(f"{name}: {key + ': ' if key else ''}{message.splitlines()[0]}")


def check(config: dict, name: str) -> None:
    """Checks what a schema cannot: numbers that must fit each other, methods and their options.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    for key, value in numbers(config):
        if not math.isfinite(value):
            raise ValueError(f"{name}: {key} must be a finite number, got {value}")
    for case in config["cases"]:
        where = f"{name}: cases.{case}"
        setting = case_settings(config, case)
        for key in ("problem", "compute_times"):
            if key not in setting:
                raise ValueError(f"{where}: {key} is missing, it must stand in the case or in the experiment")
        try:
            times = build_compute_times(setting["compute_times"])
        except ValueError as error:
            raise ValueError(f"{where}.compute_times: {error}") from None
        if setting["until"] < times.mean.min():
            raise ValueError(
                f"{where}: until must be at least the fastest worker's {times.mean.min():g} seconds per gradient, "
                f"got {setting['until']:g}"
            )
        wanted = setting["problem"].get("num_workers", times.num_workers)
        if wanted != times.num_workers:
            raise ValueError(
                f"{where}: problem.num_workers is {wanted}, but compute_times has {times.num_workers} workers"
            )
        for role in ("tuning", "reporting"):
            seeds, schedules = (setting[role][key] for key in ("seeds", "schedule_seeds"))
            if len(schedules) > len(seeds):
                raise ValueError(
                    f"{where}: {role}.seeds are dealt out to {role}.schedule_seeds, so there must be as many at least, "
                    f"got {len(seeds)} for {len(schedules)}"
                )
        for method in config["methods"]:
            check_method(method, method_options(config, method, times.num_workers), times.num_workers, where)
    try:
        partition_settings(config)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if "grid" in config["step_sizes"]:
        check_seeds_differ(config, name)
    fixed = config["step_sizes"].get("fixed")
    if fixed is not None and set(fixed) != set(config["methods"]):
        raise ValueError(
            f"{name}: step_sizes.fixed must name the experiment's methods {', '.join(config['methods'])}, "
            f"got {', '.join(fixed)}"
        )


def check_seeds_differ(config: dict, name: str) -> None:
    """Nothing may be reported on seeds on which it was tuned.

    Raises:
        ValueError: one line naming the file and the seeds that stand in both lists.
    """
    shared = set(config["tuning"]["seeds"]) & set(config["reporting"]["seeds"])
    if shared:
        raise ValueError(f"{name}: tuning.seeds and reporting.seeds must differ, both have {sorted(shared)}")


def dealt_seeds(role: dict, random_schedule: bool) -> list[tuple[int, list[int]]]:
    """Which seeds run on which schedule: (schedule seed, seeds), the seeds dealt out in equal consecutive shares.

    No two schedules share a seed, so that replicas of different schedules are independent. Where nothing about the
    schedule is random, all seeds run on the first.

    Args:
        role: settings seeds and schedule_seeds, of tuning or reporting.
        random_schedule: compute times are random, or the method draws who works next.
    """
    schedules, seeds = role["schedule_seeds"], role["seeds"]
    if not random_schedule:
        return [(schedules[0], seeds)]
    shares = np.array_split(np.arange(len(seeds)), len(schedules))
    return [(schedule, [seeds[i] for i in share]) for schedule, share in zip(schedules, shares, strict=True)]


def check_environment(config: dict) -> None:
    """Checks that the results folder can be written and that the device is there.

    Raises:
        ValueError: one line naming the key, what was given and why it cannot be.
    """
    for key in ("results", "figures"):
        folder = Path(config[key])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ValueError(f"{key}: cannot write to {folder} ({error.strerror})") from None
    if config["device"] == "cuda":
        from rasgd.problems.base import checked_device

        checked_device("cuda")


def training_settings(config: dict, method: str) -> dict:
    """What the training of one method depends on: other methods, titles and labels are left out."""
    settings = {key: value for key, value in config.items() if key != "title"}
    settings["methods"] = {method: config["methods"][method]}
    settings["cases"] = {
        case: {key: value for key, value in own.items() if key != "label"} for case, own in config["cases"].items()
    }
    if "fixed" in config["step_sizes"]:
        settings["step_sizes"] = {"fixed": {method: config["step_sizes"]["fixed"][method]}}
    return settings


def check_method(method: str, grid: list[dict], num_workers: int, where: str) -> None:
    try:
        found = methods.find(method)
        for options in grid:
            methods.check_options(found, options)
            options = methods.with_sample_shares(options, [1] * num_workers)
            found(None, None, num_workers, np.ones(num_workers), np.random.default_rng(0), **options)
    except ValueError as error:
        raise ValueError(f"{where}: methods.{method}: {error}") from None


def numbers(value, key: str = ""):
    """All numbers of nested settings with their dotted keys."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from numbers(entry, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from numbers(entry, f"{key}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def case_settings(config: dict, case: str) -> dict:
    """The settings of one case: what stands in the case wins over what stands in the experiment."""
    shared = {key: value for key, value in config.items() if key != "cases"}
    return lay_over(shared, config["cases"][case])


def method_options(config: dict, method: str, num_workers: int) -> list[dict]:
    """All combinations of the values that the experiment tries for the method's own parameters.

    A value may be written in terms of n: "n", "n/4", "4n" (rounded down, at least 1).
    """
    given = config["methods"][method] or {}
    names = list(given)
    values = [
        [in_workers(entry, num_workers) for entry in (value if isinstance(value, list) else [value])]
        for value in given.values()
    ]
    grid = [dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)]
    return [options for index, options in enumerate(grid) if options not in grid[:index]]  # n/4 may equal 1


def in_workers(value, num_workers: int):
    """Turns "4n" or "n/4" into a number of gradients; leaves anything else as it is."""
    if not (isinstance(value, str) and "n" in value and set(value) <= set("0123456789n/")):
        return value
    before, _, after = value.partition("n")
    return max(1, math.floor(Fraction(before or 1) * num_workers * Fraction(f"1{after}")))


def build_compute_times(spec: dict | list) -> compute_times.ComputeTimes:
    """Compute times from their settings: a list of seconds, or a mapping with `kind`.

    Kinds: linear, square_root (num_workers), two_speed (num_fast, num_slow, fast, slow), list (seconds). Each may be
    dealt in a random order (permutation_seed) and made noisy (noisy: true adds |N(0, τᵢ)| to every gradient).
    """
    if isinstance(spec, list):
        spec = {"kind": "list", "seconds": spec}
    arguments = {key: value for key, value in spec.items() if key not in ("kind", "permutation_seed", "noisy")}
    makers = {
        "list": compute_times.FixedTimes,
        "linear": compute_times.linear,
        "square_root": compute_times.square_root,
        "two_speed": compute_times.two_speed,
    }
    if spec["kind"] not in makers:
        raise ValueError(f"kind must be one of {', '.join(makers)}, got {spec['kind']!r}")
    try:
        seconds = makers[spec["kind"]](**arguments).mean
    except TypeError:
        raise ValueError(f"kind {spec['kind']} does not take {', '.join(arguments) or 'no arguments'}") from None
    if "permutation_seed" in spec:
        seconds = compute_times.permuted(seconds, spec["permutation_seed"])
    return compute_times.NoisyTimes(seconds) if spec.get("noisy") else compute_times.FixedTimes(seconds)


def partition_settings(config: dict) -> dict | None:
    """What the rules `dataset` and `partition` need, or None if no case uses data: dataset, kind and arguments.

    Raises:
        ValueError: if cases on data have different numbers of workers, or there is no data for them.
    """
    on_data = [case for case in config["cases"] if case_settings(config, case)["problem"]["kind"] in KINDS_ON_DATA]
    if not on_data:
        return None
    if "data" not in config:
        raise ValueError(f"data must be given for the problem of case {on_data[0]}")
    times = [build_compute_times(case_settings(config, case)["compute_times"]) for case in on_data]
    if len({t.num_workers for t in times}) > 1:
        raise ValueError(f"cases {', '.join(on_data)} share a partition, so they need the same number of workers")
    settings = {"dataset": config["data"]["dataset"], **config["data"]["partition"]}
    if settings["kind"] == "by_speed":
        settings["compute_times"] = times[0].mean.tolist()
    else:
        settings["num_workers"] = times[0].num_workers
    return settings


def build_problem(settings: dict, num_workers: int, path_to_dataset=None, path_to_partition=None):
    """The problem of one case, from `case_settings(config, case)`.

    Raises:
        ValueError: for settings that do not fit each other or the data.
    """
    from rasgd import problems

    spec = dict(settings["problem"])
    kind = spec.pop("kind")
    if kind == "quadratic":
        return problems.Quadratic(**spec)
    if kind == "random_quadratic":
        return problems.random_quadratic(
            num_workers=num_workers, **{k: v for k, v in spec.items() if k != "num_workers"}
        )
    if kind in KINDS_ON_DATA:
        from rasgd.data import datasets, partition

        data, parts = datasets.read(path_to_dataset), partition.read(path_to_partition).indices
        if len(parts) != num_workers:
            raise ValueError(
                f"{path_to_partition} deals the data to {len(parts)} workers, the experiment has {num_workers}"
            )
        return build_classification(kind, spec, data, parts, build_compute_times(settings["compute_times"]).mean)
    allowed = ", ".join(("quadratic", "random_quadratic", *KINDS_ON_DATA))
    raise ValueError(f"problem.kind must be one of {allowed}, got {kind!r}")


def build_classification(kind: str, spec: dict, data, parts: list, seconds: np.ndarray):
    """A problem on partitioned data.

    Args:
        kind: network or logistic.
        spec: settings of the problem beside its kind. pool and label_noise change the data; a weighting
            "arrival_frequency" stands for pᵢ ∝ 1/τᵢ, all other keys are arguments of the problem.
        data: the data set.
        parts: samples of every worker.
        seconds: mean compute times τ, `[n]`.
    """
    from rasgd import problems
    from rasgd.data import preparation as data_preparation

    arguments = {key: value for key, value in spec.items() if key not in ("pool", "label_noise", "hidden_widths")}
    inputs, test_inputs, labels = data.train_inputs, data.test_inputs, data.train_labels
    if "pool" in spec:
        inputs, test_inputs = (
            data_preparation.mean_pooled(images, data.image_shape, spec["pool"]) for images in (inputs, test_inputs)
        )
    if "label_noise" in spec:
        labels = data_preparation.with_label_noise(labels, data.num_classes, **spec["label_noise"])
    if "evaluation_weightings" in spec:
        arguments["evaluation_weightings"] = {
            name: 1 / seconds if weights == "arrival_frequency" else weights
            for name, weights in spec["evaluation_weightings"].items()
        }
    arguments |= {"test_inputs": test_inputs, "test_labels": data.test_labels}
    if kind == "network":
        widths = (inputs.shape[1], *spec["hidden_widths"], data.num_classes)
        return problems.Network(inputs, labels, parts, widths, **arguments)
    return problems.Logistic(inputs, labels, parts, num_classes=data.num_classes, **arguments)
