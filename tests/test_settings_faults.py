"""Whatever somebody does to a settings file: it is accepted, or one line says what is wrong and where."""

import copy
import random
import shutil
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rasgd.experiments import settings as experiment
from rasgd.experiments.seeds import with_other_seeds

ROOT = Path(__file__).parents[1]
PATH_TO_SCHEMA = ROOT / "workflow/schemas/experiment.schema.yaml"
SHIPPED = {
    path.stem: experiment.read_yaml(path) for path in sorted((ROOT / "config/experiments").glob("*.yaml"))
}  # fmt: skip
SCHEMA = experiment.read_yaml(PATH_TO_SCHEMA)
INSTEAD = [
    None, True, False, "", "x", "n", "4n", "n/0", "1e-3", 0, 1, -1, 3, 0.5, 10**400, float("nan"), float("inf"), [], {},
    [[]], [1, 1], ["n"], [1, "x"], {"x": 1}, {1: 2}, {"first": 0, "count": 2}, {"first": 0, "count": 10**9},
    {"kind": "linear"}, {"kind": []},
]  # fmt: skip


def places(value, path=()):
    """The paths of all entries of nested settings."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from places(entry, (*path, key))


def mutated(content: dict, change: str, path: tuple, instead):
    """A copy of settings in which one entry is dropped, renamed or has another value."""
    content = copy.deepcopy(content)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if change == "retype":
        parent[path[-1]] = instead
    elif change == "drop" or isinstance(parent, list):
        del parent[path[-1]]
    else:
        parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return content


def read_and_checked(content: dict, scale: str, folder: Path) -> dict:
    """What the workflow does with a file, beside the other shipped ones that it may read."""
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return experiment.read_all(folder, PATH_TO_SCHEMA, scale, lambda own: with_other_seeds(own, 10**7))


def told(function, *arguments) -> str:
    """The one line of the ValueError that the call must end with, or "" where it succeeds."""
    try:
        function(*arguments)
    except ValueError as error:
        message = str(error)
        assert type(error) is ValueError and message and "\n" not in message and len(message) < 1500, message
        return message
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("experiments")
    shutil.copy(ROOT / "config/experiments/quadratic.yaml", home)  # which another one reads
    return home


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(SHIPPED)),
    st.sampled_from(experiment.SCALES),
    st.sampled_from(["drop", "rename", "retype", "retype"]),
    st.integers(0, 10**6),
    st.sampled_from(range(len(INSTEAD))),
)
def test_a_changed_file_is_accepted_or_told_of_in_one_line(folder, name, scale, change, where, instead):
    paths = list(places(SHIPPED[name]))
    content = mutated(SHIPPED[name], change, paths[where % len(paths)], INSTEAD[instead])
    message = told(read_and_checked, content, scale, folder)
    assert not message or message.startswith(str(folder / "file.yaml")), message


@pytest.mark.parametrize("name", SHIPPED)
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path, name):
    """Doubles lines of the file itself, wherever that leaves a mapping with one key twice."""
    lines = (ROOT / f"config/experiments/{name}.yaml").read_text().splitlines()
    top = [number for number, line in enumerate(lines) if line and line[0] in string.ascii_letters]
    for number in random.Random(0).sample(top, 3):
        end = next((later for later in top if later > number), len(lines))
        key = lines[number].split(":")[0]
        path = tmp_path / "twice.yaml"
        path.write_text("\n".join(lines[:end] + lines[number:]))
        assert told(experiment.read_yaml, path) == f"{path} line {end + 1}: {key} stands twice"


def test_a_case_copied_without_renaming_it_is_refused(tmp_path):
    path = tmp_path / "copied.yaml"
    path.write_text("cases:\n  one: {label: a}\n  one: {label: b}\n")
    assert told(experiment.read_yaml, path) == f"{path} line 3: one stands twice"


@example(text="a: &a [*a]")
@example(text="? [1, 2]\n: 3")
@example(text="a: !!python/object:os.system x")
@example(text="\x00")
@example(text="a: 1\n--- \nb: 2\n")
@example(text="<<: 3")
@example(text="a: 2026-13-45")
@given(st.text(alphabet=" \n\t:-[]{}&*!|>'\"%@`#,?abn01.~<=\x07\xe9", max_size=40))
def test_any_text_is_a_mapping_or_told_of_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_bytes(text.encode())
    message = told(experiment.read, path, "smoke")
    assert not message or message.startswith(str(path))


def copied(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "config/experiments/quadratic.yaml", tmp_path)
    return tmp_path


def all_told(folder: Path) -> str:
    return told(experiment.read_all, folder, PATH_TO_SCHEMA, "smoke")


def test_hidden_files_are_no_experiments(tmp_path):
    copied(tmp_path).joinpath("._quadratic.yaml").write_bytes(b"\x00\x05\x16\x07\xb0")
    (tmp_path / ".quadratic.yaml.swp").write_bytes(b"\xb0")
    assert list(experiment.read_all(tmp_path, PATH_TO_SCHEMA, "smoke")) == ["quadratic"]


def test_a_file_that_is_no_text_is_named(tmp_path):
    (copied(tmp_path) / "bad.yaml").write_bytes(b"title: \xb0\xb0")
    assert all_told(tmp_path).startswith(f"{tmp_path / 'bad.yaml'}: not UTF-8 text (byte 7)")


@pytest.mark.parametrize("name", ["mine.yml", "mine.YAML", "mine.yaml.txt"])
def test_a_file_with_another_ending_is_not_passed_over_in_silence(tmp_path, name):
    (copied(tmp_path) / name).write_text("title: mine\n")
    assert all_told(tmp_path) == f"{tmp_path / name}: settings of an experiment must be in a file <name>.yaml"


@pytest.mark.parametrize("name", ["my-experiment", "My", "1st", "a b"])
def test_names_of_experiments_are_short_names(tmp_path, name):
    shutil.copy(copied(tmp_path) / "quadratic.yaml", tmp_path / f"{name}.yaml")
    assert "the name of an experiment must be lower-case letters, digits and underscores" in all_told(tmp_path)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("reporting", "seeds"), 3, "reporting.seeds: 3 is not of type 'array'"),
        (("until",), "1e-3", "until: '1e-3' is not of type 'number'; YAML takes it for text, write 0.001"),
        (("compute_times",), "1, 2", "compute_times: '1, 2' is not allowed here; Seconds per gradient of every worker"),
        (("methods", "malenia"), {"S": []}, "methods.malenia.S must hold a value to try, got []"),
        (("until",), 10**400, "until must be a finite number"),
    ],
)
def test_what_is_wrong_is_told_so_that_it_can_be_mended(tmp_path, keys, value, message):
    content = copy.deepcopy(SHIPPED["quadratic"])
    content.pop("scales")
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    assert message in told(read_and_checked, content, "laptop", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"case": "none"}, "recorded.case must be one of toy, quadratic, network, got 'none'"),
        ({"case": "network"}, "recorded.case must be a case without data, got 'network'"),
        ({"method": "malenia"}, "recorded.method must be one of rescaled, asgd"),
    ],
)
def test_what_is_recorded_must_be_there(tmp_path, change, message):
    content = copy.deepcopy(SHIPPED["real_processes"])
    content["recorded"] |= change
    assert message in told(read_and_checked, content, "smoke", tmp_path)


def test_a_case_may_not_report_on_the_seeds_that_all_cases_are_tuned_on(tmp_path):
    content = copy.deepcopy(SHIPPED["quadratic"])
    content["cases"]["noise_dominated"]["reporting"] = {"seeds": [10, 1000], "schedule_seeds": [0, 1]}
    message = told(read_and_checked, content, "laptop", tmp_path)
    assert message == ""  # shifted: disjoint
    assert "cases.noise_dominated: tuning.seeds and reporting.seeds must differ, both have [1000]" in told(
        experiment.read_all, tmp_path, PATH_TO_SCHEMA, "laptop"
    )
