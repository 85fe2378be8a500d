"""Settings: reading, laying scales over each other, and one line for everything that is wrong."""

import copy
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import rasgd
from rasgd import declared
from rasgd.backends import BACKENDS
from rasgd.data import partition
from rasgd.experiments import build
from rasgd.experiments import settings as experiment

ROOT = Path(__file__).parents[1]
SCHEMA = experiment.read_yaml(ROOT / "workflow/schemas/experiment.schema.yaml")
FILES = sorted((ROOT / "config/experiments").glob("*.yaml"))

SAME_SEEDS = {"seeds": [1000], "schedule_seeds": [0], "eval_every": 1}
GRID = {"lowest_log2": 0, "steps_per_octave": 1, "count": 3, "max_extensions": 0, "refine": 0}


@pytest.fixture
def quadratic() -> dict:
    return experiment.read(ROOT / "config/experiments/quadratic.yaml", "smoke")


def refused(config: dict) -> str:
    """The message with which settings are refused; fails if they are accepted."""
    with pytest.raises(ValueError) as raised:
        experiment.check_schema(config, experiment.experiment_schema(experiment.filled(SCHEMA), config), "file.yaml")
        experiment.check(config, "file.yaml")
    message = str(raised.value)
    assert message.startswith("file.yaml") and "\n" not in message
    return message


@pytest.mark.parametrize("scale", experiment.SCALES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_experiment_is_valid_at_every_scale(path, scale):
    config = experiment.read(path, scale)
    experiment.check_schema(config, experiment.experiment_schema(experiment.filled(SCHEMA), config), path.name)
    experiment.check(config, path.name)


def described(schema: dict) -> list[str]:
    """Dotted keys of a schema's properties that have no description, at the top and in `$defs`."""
    missing = []
    for name, entry in schema.get("properties", {}).items():
        if not ({"description", "$ref"} & set(entry)) and "properties" not in entry:
            missing.append(name)
    return missing


@pytest.mark.parametrize("file", ["config", "experiment"])
def test_every_top_level_key_of_the_schemas_is_described(file):
    schema = experiment.read_yaml(ROOT / f"workflow/schemas/{file}.schema.yaml")
    definitions = schema.pop("$defs", {})
    shapes = {"trained": definitions.pop("trained", {}), **definitions.pop("exact", {})}
    assert [described(shape) for shape in (schema, *shapes.values())] == [[]] * (1 + len(shapes))
    assert all("description" in entry for entry in definitions.values())


def test_the_configuration_file_fits_its_schema():
    schema = experiment.read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
    config = experiment.read_yaml(ROOT / "config/config.yaml")
    experiment.check_schema(config, schema, "config.yaml")
    with pytest.raises(ValueError, match=r"config\.yaml: scale: 'huge' is not one of \['smoke', 'laptop', 'paper'\]"):
        experiment.check_schema(config | {"scale": "huge"}, schema, "config.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"untill": 3}, r"unknown key untill; allowed: .*until"),
        ({"until": "long"}, r"until: 'long' is not of type 'number'"),
        ({"until": -1}, r"until: -1 is less than or equal to the minimum of 0"),
        ({"until": float("nan")}, r"until must be a finite number, got nan"),
        ({"until": 0.5}, r"until must be at least the fastest worker's 1 seconds"),
        ({"compute_times": [1, 2, 0]}, r"compute_times"),
        ({"compute_times": [1, float("nan")]}, r"compute_times\[1\] must be a finite number, got nan"),
        ({"compute_times": []}, r"compute_times"),
        ({"compute_times": {"kind": "linear", "num_fast": 3}}, r"compute_times: kind linear does not take num_fast"),
        ({"methods": {"sgd": {}}}, r"methods\.sgd: method must be one of rescaled"),
        ({"methods": {"rescaled": {"K": 3}}}, r"rescaled: 'K' is not an option of Rescaled ASGD; allowed: weights"),
        ({"methods": {"fedbuff": {"K": [0]}}}, r"methods\.fedbuff: K must be .* got 0"),
        ({"methods": {}}, r"methods"),
        ({"step_sizes": {}}, r"step_sizes"),
        ({"step_sizes": {"fixed": {"asgd": 0.1}}}, r"step_sizes\.fixed must name the experiment's methods"),
        ({"step_sizes": {"fixed": {"asgd": 0}}}, r"step_sizes\.fixed\.asgd"),
        ({"step_sizes": {"grid": GRID | {"count": 0}}}, r"step_sizes\.grid\.count"),
        ({"reporting": SAME_SEEDS}, r"tuning\.seeds and reporting\.seeds"),
        ({"backends": {"cloud": {}}}, r"backends: 'cloud' is not one of \['simulator', 'processes'\]"),
        ({"backends": {"simulator": {"time_scale": 2}}}, r"simulator does not take time_scale; allowed: none"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_in_one_line(quadratic, change, message):
    assert re.search(message, refused(quadratic | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "by_label", "seed": 0, "classes_per_worker": 2}, r"kind by_label does not take classes_per_worker"),
        (
            {"kind": "by_label", "seed": 0, "shards_per_worker": 0},
            r"shards_per_worker: 0 is less than the minimum of 1",
        ),
        ({"kind": "dirichlet", "seed": 0}, r"data\.partition: kind dirichlet needs alpha; allowed: alpha, seed"),
        ({"kind": "iid", "seed": 0, "alpha": 1.0}, r"kind iid does not take alpha; allowed: seed"),
        ({"kind": "iid", "seed": 0, "num_workers": 3}, r"kind iid does not take num_workers"),
        ({"kind": "random"}, r"data\.partition\.kind: 'random' is not one of \['iid', 'dirichlet'"),
    ],
)
def test_partitions_have_the_arguments_of_their_functions(change, message):
    config = experiment.read(ROOT / "config/experiments/mnist.yaml", "smoke")
    config["data"]["partition"] = change
    assert re.search(message, refused(config))


def test_settings_of_partitions_know_every_argument_of_their_functions():
    described = SCHEMA["$defs"]["trained"]["properties"]["data"]["properties"]["partition"]["properties"]
    for function in partition.KINDS.values():
        assert set(inspect.signature(function).parameters) - set(experiment.FROM_EXPERIMENT) <= set(described)


def test_partitions_by_label_are_dealt_with_the_shards_that_settings_ask_for():
    config = experiment.read(ROOT / "config/experiments/mnist.yaml", "smoke")
    config["data"]["partition"] = {"kind": "by_label", "seed": 0, "shards_per_worker": 2}
    assert experiment.partition_settings(config) == {
        "dataset": "mnist_5k", "kind": "by_label", "seed": 0, "shards_per_worker": 2, "num_workers": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (
            {"kind": "quadratic", "A": [[1.0]]},
            r"problem: kind quadratic needs b; allowed: A, b, noise_std, initial_point",
        ),
        ({"kind": "quadratic", "A": [[1.0]], "b": [[1.0]], "dim": 3}, r"kind quadratic does not take dim"),
        ({"kind": "random_quadratic", "dim": 3, "noise": 1, "heterogeneity": 1, "num_workers": 4}, r"num_workers"),
        ({"kind": "logistic", "hidden_widths": [3]}, r"kind logistic does not take hidden_widths; allowed: .*pool"),
        ({"kind": "network"}, r"kind network needs hidden_widths"),
        ({"kind": "network", "hidden_widths": [3], "widths": [3]}, r"kind network does not take widths"),
        ({"kind": "cubic"}, r"problem\.kind: 'cubic' is not one of \['quadratic', 'random_quadratic'"),
    ],
)
def test_problems_have_the_keys_of_their_classes(quadratic, problem, message):
    assert re.search(message, refused(quadratic | {"cases": {"one": {"label": "one", "problem": problem}}}))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"kind": "linear"}, r"compute_times: kind linear needs num_workers; allowed: num_workers"),
        ({"kind": "noisy", "seconds": {"kind": "noisy", "seconds": [1, 2]}}, r"seconds is for fixed times"),
        ({"kind": "noisy", "seconds": [1, 2], "permutation_seed": 0}, r"permutation_seed is for fixed times"),
        ({"kind": "linear", "num_workers": 3, "noisy": True}, r"kind linear does not take noisy"),
        ({"kind": "two_speed", "num_fast": 0, "num_slow": 0}, r"compute_times must be a non-empty list"),
        ({"kind": "cubic"}, r"compute_times"),
    ],
)  # fmt: skip
def test_laws_of_compute_times_have_the_keys_of_their_makers(quadratic, times, message):
    assert re.search(message, refused(quadratic | {"compute_times": times}))


def test_every_kind_of_compute_times_is_a_law_and_random_ones_say_so():
    given = {
        "linear": {"num_workers": 3},
        "square_root": {"num_workers": 3},
        "two_speed": {"num_fast": 1, "num_slow": 2},
        "permuted": {"times": [1.0, 2.0, 4.0]},
    }
    for kind in build.COMPUTE_TIMES:
        law = build.build_compute_times({"kind": kind, **given.get(kind, {"seconds": [1.0, 2.0, 4.0]})})
        assert isinstance(law, rasgd.ComputeTimes) and law.num_workers == 3
        durations = {law.seeded(seed).duration(2, 0, 0.0) for seed in range(9)}
        assert build.is_random(law) == (len(durations) > 1)


def test_every_kind_of_problem_is_built_from_its_home():
    for row in build.PROBLEMS.values():
        assert callable(getattr(importlib.import_module(f"rasgd.{row.module}"), row.home.rpartition(".")[2]))
    spec = {"kind": "random_quadratic", "dim": 3, "noise": 1.0, "heterogeneity": 1.0}
    assert build.build_problem({"problem": spec}, 5).num_workers == 5


def test_settings_are_read_without_torch_or_pandas():
    code = (
        "import sys, rasgd.experiments.settings; print({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "set()\n"


def test_declared_arguments_are_those_of_the_imported_class():
    homes = [row.home for row in (*build.PROBLEMS.values(), *BACKENDS.values())]
    for home in homes:
        module, _, name = home.rpartition(".")
        signature = inspect.signature(getattr(importlib.import_module(f"rasgd.{module}"), name))
        found = declared.arguments(home)
        assert found.names == tuple(signature.parameters)
        assert set(found.required) == {n for n, p in signature.parameters.items() if p.default is p.empty}
    with pytest.raises(ValueError, match=r"rasgd\.problems\.quadratic must define Cubic"):
        declared.arguments("problems.quadratic.Cubic")
    with pytest.raises(ValueError, match=r"rasgd\.problems\.quadratic must assign a literal to TABLES"):
        declared.constant("problems.quadratic", "TABLES")


def test_a_network_without_data_is_refused(quadratic):
    config = copy.deepcopy(quadratic)
    for case in config["cases"].values():
        case["problem"] = {"kind": "network", "hidden_widths": [4]}
        case.pop("targets")
    assert "data must be given" in refused(config)


def test_a_case_without_a_problem_is_refused(quadratic):
    quadratic["cases"] = {"empty": {"label": "empty"}}
    assert "problem is missing" in refused(quadratic)


def test_a_scale_overrides_lists_and_removes_keys_with_null(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump({"a": {"x": [1, 2], "y": 1}, "scales": {"smoke": {"a": {"x": [3], "y": None}}}}))
    assert experiment.read(path, "smoke") == {"a": {"x": [3]}}
    assert experiment.read(path, "laptop") == {"a": {"x": [1, 2], "y": 1}}


def test_broken_yaml_names_the_file_and_the_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(ValueError, match=r"broken\.yaml line 3: not valid YAML") as raised:
        experiment.read_yaml(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "expected"), [("n", 16), ("4n", 64), ("n/4", 4), ("n/32", 1), (3, 3), ("held", "held"), (True, True)]
)
def test_own_parameters_may_be_given_in_terms_of_n(value, expected):
    assert experiment.in_workers(value, 16) == expected


def test_own_parameters_that_coincide_are_tried_once():
    assert experiment.method_options({"R": [1, "n/4", "n"], "abort": [True, False]}, 4) == [
        {"R": 1, "abort": True},
        {"R": 1, "abort": False},
        {"R": 4, "abort": True},
        {"R": 4, "abort": False},
    ]


def test_a_list_of_options_is_a_line_of_its_own_each():
    lines = [{"restart": "held"}, {"trigger": "opens"}]
    config = {"methods": {"rescaled": None, "malenia": {"S": [4, 8]}, "ringleader": lines}}
    assert experiment.method_lines(config, "rescaled") == [{}]
    assert experiment.method_lines(config, "malenia") == [{"S": [4, 8]}]
    assert experiment.method_lines(config, "ringleader") == lines


def test_training_depends_on_nothing_of_the_other_methods(quadratic):
    before = experiment.training_settings(quadratic, "rescaled")
    quadratic["methods"]["malenia"] = {"S": [7]}
    quadratic["title"] = "Another title"
    quadratic["cases"]["noise_dominated"]["label"] = "another label"
    assert experiment.training_settings(quadratic, "rescaled") == before
    assert experiment.training_settings(quadratic, "malenia") != before


def test_noisy_and_permuted_times_come_from_settings():
    settings = {"kind": "noisy", "seconds": {"kind": "linear", "num_workers": 5, "permutation_seed": 3}}
    times = build.build_compute_times(settings)
    assert sorted(np.round(times.base, 9)) == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(times.mean, times.base + np.sqrt(2 * times.base / np.pi))


def test_an_unwritable_results_folder_is_refused(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ValueError, match=r"results: cannot write to .*file/results \(Not a directory\)"):
        experiment.check_environment({"results": str(blocked / "results"), "figures": str(tmp_path), "device": "cpu"})


def test_cuda_that_is_not_there_is_refused(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device 'cuda' was asked for but no CUDA device is available"):
        experiment.check_environment({"results": str(tmp_path), "figures": str(tmp_path), "device": "cuda"})


def test_consecutive_seeds_can_be_given_by_first_and_count(tmp_path):
    (tmp_path / "one.yaml").write_text(
        "reporting: {seeds: {first: 3, count: 4}, schedule_seeds: [7]}\n"
        "scales: {smoke: {reporting: {seeds: {count: 2}, schedule_seeds: {first: 1, count: 1}}}}\n"
    )
    laptop, smoke = (experiment.read(tmp_path / "one.yaml", scale)["reporting"] for scale in ("laptop", "smoke"))
    assert laptop == {"seeds": [3, 4, 5, 6], "schedule_seeds": [7]}
    assert smoke == {"seeds": [3, 4], "schedule_seeds": [1]}


WRONG_RANGES = [
    "{count: 4}",
    "{first: 0}",
    "{first: -1, count: 2}",
    "{first: 0, count: 0}",
    "{first: 0.5, count: 2}",
    "{first: 0, count: true}",
    "{first: 0, count: 2, by: 2}",
]


@pytest.mark.parametrize("given", WRONG_RANGES)
def test_a_wrong_range_of_seeds_is_told_in_one_line(tmp_path, given):
    path = tmp_path / "one.yaml"
    path.write_text(f"reporting: {{seeds: {given}}}")
    with pytest.raises(ValueError, match=r"one\.yaml: seeds must be a list, or first .* and count .*, got") as told:
        experiment.read(path, "laptop")
    assert "\n" not in str(told.value)


def test_seeds_are_dealt_out_to_random_schedules_and_never_shared():
    role = {"seeds": list(range(10, 17)), "schedule_seeds": [5, 3, 4]}
    dealt = experiment.dealt_seeds(role, random_schedule=True)
    assert [schedule for schedule, _ in dealt] == [5, 3, 4]
    assert [seed for _, seeds in dealt for seed in seeds] == role["seeds"]
    assert max(len(seeds) for _, seeds in dealt) - min(len(seeds) for _, seeds in dealt) <= 1
    assert experiment.dealt_seeds(role, random_schedule=False) == [(5, role["seeds"])]


def test_a_schedule_without_a_seed_is_refused(quadratic):
    quadratic["reporting"]["schedule_seeds"] = list(range(len(quadratic["reporting"]["seeds"]) + 1))
    assert "reporting.seeds are dealt out to reporting.schedule_seeds" in refused(quadratic)
