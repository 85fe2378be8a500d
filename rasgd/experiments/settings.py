"""Validated config files: cases (problem × compute times) × methods × step sizes × seeds, or an exact computation.

Reading and checking need neither torch nor data, so a workflow can do both while it is parsed; building a problem
needs both. Every function takes the plain dict that `read` returns.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from rasgd import methods
from rasgd.backends import BACKENDS, check_options
from rasgd.data import datasets, partition
from rasgd.declared import Arguments
from rasgd.experiments.build import COMPUTE_TIMES, PROBLEMS, build_compute_times, check_problem
from rasgd.experiments.exact import EXACT, table_names

SCALES = ("smoke", "laptop", "paper")
MAX_SEEDS = 100_000
MAX_MESSAGE = 240  # characters of what a message quotes
SEED_KEYS = ("seeds", "schedule_seeds", "instance_seeds")
TABLES = ("curves", "runs", "grid")  # of every trained experiment, a file per method
RECORDED_TABLES = ("timeline", "fault_trace", "fault_curves", "kills")  # of one with `recorded`
# Tables whose keys a schema allows by `enum_of`.
NAMES = {
    "methods": methods.METHODS,
    "problems": PROBLEMS,
    "compute_times": COMPUTE_TIMES,
    "backends": [name for name, backend in BACKENDS.items() if not backend.replays],
    "partitions": partition.KINDS,
    "datasets": datasets.NAMES,
    "exact": EXACT,
}
FROM_EXPERIMENT = ("labels", "num_workers", "compute_times")  # arguments of partitions that are no keys of settings


def read_all(folder: str | Path, path_to_schema: str | Path, scale: str, change=lambda settings: settings) -> dict:
    """The settings of every experiment at one scale, by the names of their files, checked.

    Args:
        folder: of the files, one per experiment.
        path_to_schema: what their settings must look like.
        scale: one of `SCALES`.
        change: applied to the settings of every experiment before they are checked.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    schema = filled(read_yaml(path_to_schema))
    settings = {}
    for path in files(folder):
        own = read(path, scale)
        check_schema(own, experiment_schema(schema, own), str(path))
        own = settings[path.stem] = change(own)
        check(own, str(path))
    for experiment, own in settings.items():
        check_reads(own, settings, f"{folder}/{experiment}.yaml")
    return settings


def files(folder: str | Path) -> list[Path]:
    """The settings files of a folder, in the order of their names; hidden files are none.

    Raises:
        ValueError: one line naming a file whose name or ending is not that of an experiment.
    """
    found = sorted(path for path in Path(folder).iterdir() if not path.name.startswith(".") and path.is_file())
    for path in found:
        if path.suffix != ".yaml":
            raise ValueError(f"{path}: settings of an experiment must be in a file <name>.yaml")
        if not re.fullmatch("[a-z][a-z0-9_]*", path.stem):
            raise ValueError(f"{path}: the name of an experiment must be lower-case letters, digits and underscores")
    return found


def is_exact(settings: dict) -> bool:
    """Whether an experiment is computed by theory rather than trained."""
    return "exact" in settings


def tables_of(settings: dict) -> tuple[str, ...]:
    """Names of the tables that an experiment makes."""
    if is_exact(settings):
        return table_names(settings["exact"])
    return TABLES + ("partition",) * ("data" in settings) + RECORDED_TABLES * ("recorded" in settings)


def check_reads(own: dict, settings: dict[str, dict], name: str) -> None:
    """Checks that what an exact experiment reads is a table of another experiment.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    for other, tables in own.get("reads", {}).items():
        trained = [experiment for experiment in settings if not is_exact(settings[experiment])]
        if other not in trained:
            raise ValueError(f"{name}: reads must name trained experiments {', '.join(trained)}, got {other!r}")
        for table in tables:
            if table not in tables_of(settings[other]):
                allowed = ", ".join(tables_of(settings[other]))
                raise ValueError(f"{name}: reads.{other} must name tables {allowed}, got {table!r}")


def read(path: str | Path, scale: str) -> dict:
    """The experiment at one scale: the file's settings with its `scales.<scale>` laid over them.

    Raises:
        ValueError: if the file is missing or no YAML mapping.
    """
    config = read_yaml(path)
    overrides = config.pop("scales", {})
    if not isinstance(overrides, dict) or not set(overrides) <= set(SCALES):
        raise ValueError(f"{path}: scales must be a mapping with keys among {', '.join(SCALES)}")
    own = {} if overrides.get(scale) is None else overrides[scale]
    if not isinstance(own, dict):
        raise ValueError(f"{path}: scales.{scale} must be a mapping of settings, got {own!r}")
    return listed(lay_over(config, own), str(path))


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
    if set(given) != {"first", "count"} or not whole or numbers[0] < 0 or not 1 <= numbers[1] <= MAX_SEEDS:
        raise ValueError(
            f"{where} must be a list, or first (a whole number from 0 on) and count (from 1 to {MAX_SEEDS}), "
            f"got {shown(given)}"
        )
    return list(range(numbers[0], numbers[0] + numbers[1]))


def read_yaml(path: str | Path) -> dict:
    """A YAML mapping.

    Raises:
        ValueError: naming the file and, for a syntax error or a key that stands twice, the line.
    """
    import yaml

    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), loader())
        words(content)  # follows every entry to its end
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except DuplicateKey as error:
        key, line = error.args
        raise ValueError(f"{path} line {line}: {key} stands twice") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).split("\n")[0]
        raise ValueError(f"{path}{where}: not valid YAML ({problem})") from None
    except RecursionError:
        raise ValueError(f"{path}: an entry holds itself") from None
    except (ValueError, TypeError) as error:  # such as a date that there is not
        raise ValueError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping of settings, got {type(content).__name__}")
    return content


class DuplicateKey(Exception):
    """A mapping has a key twice: (key, line)."""


@cache
def loader():
    """The safe loader, in C where there is one since that is ten times as fast, which takes no key twice."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        def construct_mapping(self, node, deep=False):
            seen = set()
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                    raise DuplicateKey(key.value, key.start_mark.line + 1)
                seen.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key))
            return super().construct_mapping(node, deep)

    return Loader


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


def experiment_schema(schema: dict, settings: dict) -> dict:
    """The JSON schema of settings of this shape, trained or of their computation.

    Args:
        schema: what stands in experiment.schema.yaml, `filled`.
        settings: of one experiment.
    """
    definitions = schema["$defs"]
    shape = definitions["trained"]
    if is_exact(settings):
        shape = every = definitions["every_exact"]
        own = definitions["exact"].get(str(settings["exact"]))
        if own:
            properties = every["properties"] | own["properties"]
            shape = own | {"properties": properties, "required": every["required"] + own["required"]}
    return shape | {"$defs": definitions}


def filled(schema):
    """A copy of a schema in which `enum_of: <table>` is an enum of the keys of that table of `NAMES`."""
    if isinstance(schema, list):
        return [filled(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: filled(value) for key, value in schema.items() if key != "enum_of"}
    return plain | ({"enum": list(NAMES[schema["enum_of"]])} if "enum_of" in schema else {})


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
    message = error.message.splitlines()[0]
    if len(message) > MAX_MESSAGE or error.validator in ("oneOf", "anyOf"):
        allowed = error.schema.get("description", f"{error.validator} {error.validator_value}")
        message = f"{shown(error.instance)} is not allowed here; {shortened(' '.join(allowed.split()))}"
    if error.validator == "type" and isinstance(error.instance, str) and is_number(error.instance):
        message += f"; YAML takes it for text, write {float(error.instance)!r}"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        unknown = sorted(map(str, set(error.instance) - set(error.schema.get("properties", {}))))
        message = f"unknown key {', '.join(unknown)}; allowed: {', '.join(sorted(error.schema.get('properties', {})))}"
    raise ValueError(f"{name}: {key + ': ' if key else ''}{message}")


def shown(value) -> str:
    """A value as a message shows it: in one line, not too long."""
    try:
        return shortened(" ".join(repr(value).split()))
    except ValueError:  # more digits than Python writes
        return "a number of too many digits"


def shortened(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def check(config: dict, name: str) -> None:
    """Checks what a schema cannot: numbers that must fit each other, methods and their options.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    for key, value in numbers(config):
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            raise ValueError(f"{name}: {key} must be a finite number, got {shown(value)}")
    if is_exact(config):
        if "tuning" in config:
            check_seeds_differ(config, name)
        return
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
        try:
            check_problem(setting["problem"])
        except ValueError as error:
            raise ValueError(f"{where}.problem: {error}") from None
        if setting["until"] < times.mean.min():
            raise ValueError(
                f"{where}: until must be at least the fastest worker's {times.mean.min():g} seconds per gradient, "
                f"got {setting['until']:g}"
            )
        for role in ("tuning", "reporting"):
            seeds, schedules = (setting[role][key] for key in ("seeds", "schedule_seeds"))
            if len(schedules) > len(seeds):
                raise ValueError(
                    f"{where}: {role}.seeds are dealt out to {role}.schedule_seeds, so there must be as many at least, "
                    f"got {len(seeds)} for {len(schedules)}"
                )
        if config["step_sizes"].keys() & {"grid", "values"}:
            check_seeds_differ(setting, where)
        for method in config["methods"]:
            for line in method_lines(config, method):
                for option, values in line.items():
                    if values == []:
                        raise ValueError(f"{name}: methods.{method}.{option} must hold a value to try, got []")
                check_method(method, method_options(line, times.num_workers), times.num_workers, where)
    for backend, options in config["backends"].items():
        try:
            check_options(backend, options)
        except ValueError as error:
            raise ValueError(f"{name}: backends.{backend}: {error}") from None
    if "data" in config:
        check_partition(config["data"]["partition"], f"{name}: data.partition")
    try:
        partition_settings(config)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    fixed = config["step_sizes"].get("fixed")
    if fixed is not None and set(fixed) != set(config["methods"]):
        raise ValueError(
            f"{name}: step_sizes.fixed must name the experiment's methods {', '.join(config['methods'])}, "
            f"got {', '.join(fixed)}"
        )
    if "recorded" in config:
        check_recorded(config, f"{name}: recorded")


def check_recorded(config: dict, where: str) -> None:
    """Checks that the case and the method of a recorded run are the experiment's, and its backend and step given.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    recorded = config["recorded"]
    for key, allowed in (("case", config["cases"]), ("method", config["methods"])):
        if recorded[key] not in allowed:
            raise ValueError(f"{where}.{key} must be one of {', '.join(allowed)}, got {recorded[key]!r}")
    if PROBLEMS[case_settings(config, recorded["case"])["problem"]["kind"]].on_data:
        raise ValueError(f"{where}.case must be a case without data, got {recorded['case']!r}")
    if "processes" not in config["backends"] or "log2_beta" not in config["step_sizes"]:
        raise ValueError(f"{where} needs the backend processes and step_sizes.log2_beta")


def refused(allowed: Arguments, given, where: str, what: str) -> None:
    try:
        allowed.refuse(given, what)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def check_partition(given: dict, where: str) -> None:
    """Refuses arguments that the partition's function does not have, and required ones that are missing.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    parameters = inspect.signature(partition.KINDS[given["kind"]]).parameters.values()
    own = [parameter for parameter in parameters if parameter.name not in FROM_EXPERIMENT]
    required = tuple(parameter.name for parameter in own if parameter.default is parameter.empty)
    allowed = Arguments(tuple(parameter.name for parameter in own), required)
    refused(allowed, [key for key in given if key != "kind"], where, f"kind {given['kind']}")


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
        settings["step_sizes"] = config["step_sizes"] | {"fixed": {method: config["step_sizes"]["fixed"][method]}}
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


def words(value) -> set[str]:
    """All strings of nested settings, keys included."""
    if isinstance(value, dict):
        return set(map(str, value)).union(*map(words, value.values()))
    if isinstance(value, list):
        return set().union(*map(words, value))
    return {value} if isinstance(value, str) else set()


def case_settings(config: dict, case: str) -> dict:
    """The settings of one case: what stands in the case wins over what stands in the experiment."""
    shared = {key: value for key, value in config.items() if key != "cases"}
    return lay_over(shared, config["cases"][case])


def method_lines(config: dict, method: str) -> list[dict]:
    """What is tried for the method's own parameters: one mapping, or several that are tuned and shown apart."""
    given = config["methods"][method] or {}
    return given if isinstance(given, list) else [given]


def method_options(given: dict, num_workers: int) -> list[dict]:
    """All combinations of the values that are tried for a method's own parameters.

    A value may be written in terms of n: "n", "n/4", "4n" (rounded down, at least 1).
    """
    names = list(given)
    values = [
        [in_workers(entry, num_workers) for entry in (value if isinstance(value, list) else [value])]
        for value in given.values()
    ]
    grid = [dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)]
    return [options for index, options in enumerate(grid) if options not in grid[:index]]  # n/4 may equal 1


def in_workers(value, num_workers: int):
    """Turns "4n" or "n/4" into a number of gradients; leaves anything else as it is."""
    found = re.fullmatch(r"(\d*)n(?:/([1-9]\d*))?", value) if isinstance(value, str) else None
    if found is None:
        return value
    return max(1, int(found[1] or 1) * num_workers // int(found[2] or 1))


def partition_settings(config: dict) -> dict | None:
    """What the rules `dataset` and `partition` need, or None if no case uses data: dataset, kind and arguments.

    Raises:
        ValueError: if cases on data have different numbers of workers, or there is no data for them.
    """
    cases = {case: case_settings(config, case) for case in config["cases"]}
    on_data = [case for case, own in cases.items() if PROBLEMS[own["problem"]["kind"]].on_data]
    if not on_data:
        return None
    if "data" not in config:
        raise ValueError(f"data must be given for the problem of case {on_data[0]}")
    times = [build_compute_times(cases[case]["compute_times"]) for case in on_data]
    if len({t.num_workers for t in times}) > 1:
        raise ValueError(f"cases {', '.join(on_data)} share a partition, so they need the same number of workers")
    settings = {"dataset": config["data"]["dataset"], **config["data"]["partition"]}
    supplied = {"compute_times": times[0].mean.tolist(), "num_workers": times[0].num_workers}
    taken = inspect.signature(partition.KINDS[settings["kind"]]).parameters
    return settings | {name: value for name, value in supplied.items() if name in taken}
