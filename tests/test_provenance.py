"""What a source hash covers, and what it leaves alone."""

import shutil
from pathlib import Path

import pytest

from rasgd.experiments import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package whose files a test may change."""
    copy = tmp_path / "rasgd"
    shutil.copytree(provenance.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    return copy


def clear() -> None:
    for cached in (provenance.imported, provenance.closure, provenance.code_hash, provenance.run_hash):
        cached.cache_clear()


def hashes(*methods: str, backend: str = "simulator", problem: str | None = "network") -> list[str]:
    clear()
    return [provenance.run_hash(method, backend, problem) for method in methods]


@pytest.fixture(autouse=True)
def forget():
    yield
    clear()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_touching_one_method_changes_the_hash_of_that_method_alone(package):
    before = hashes("rescaled", "asgd")
    replace(package / "methods/rescaled.py", "self.update(arrival.gradient,", "self.update(2 * arrival.gradient,")
    after = hashes("rescaled", "asgd")
    assert after[0] != before[0] and after[1] == before[1]


def test_a_shared_base_counts_for_the_methods_that_import_it(package):
    before = hashes("concurrent", "shuffled", "asgd")
    with (package / "methods/concurrent.py").open("a") as file:
        file.write("\nEXTRA = 1\n")
    after = hashes("concurrent", "shuffled", "asgd")
    assert after[0] != before[0] and after[1] != before[1] and after[2] == before[2]


@pytest.mark.parametrize("file", ["simulation/run.py", "backends/simulator.py", "randomness.py", "problems/network.py"])
def test_the_run_and_what_it_imports_count_for_every_method(package, file):
    before = hashes("rescaled")
    with (package / file).open("a") as opened:
        opened.write("\nEXTRA = 1\n")
    assert hashes("rescaled") != before


@pytest.mark.parametrize(
    "file",
    [
        "tracking/__init__.py",
        "methods/__init__.py",
        "backends/processes.py",
        "problems/logistic.py",
        "experiments/tuning.py",
        "experiments/training.py",
        "experiments/settings.py",
        *(f"{module.replace('.', '/')}.py" for module in provenance.SILENT),
    ],
)
def test_what_cannot_change_a_simulated_number_does_not_count(package, file):
    before = hashes("rescaled")
    assert (package / file).is_file()
    with (package / file).open("a") as opened:
        opened.write("\nEXTRA = 1\n")
    assert hashes("rescaled") == before


def test_exactly_what_a_run_on_data_consists_of_counts():
    modules = [*provenance.RUN, *provenance.ON_DATA, "methods.rescaled", "backends.simulator", "problems.network"]
    files = set().union(*(provenance.closure(module) for module in modules))
    assert files == {
        "backends/base.py",
        "backends/faults.py",  # imported by the run for the real workers' sake
        "backends/simulator.py",
        "compute_times.py",
        "data/preparation.py",
        "experiments/build.py",
        "experiments/on_data.py",
        "instants.py",
        "methods/base.py",
        "methods/rescaled.py",
        "problems/base.py",
        "problems/classification.py",
        "problems/network.py",
        "randomness.py",
        "simulation/averaging.py",
        "simulation/evaluation.py",
        "simulation/run.py",
        "simulation/simulate.py",
        "simulation/statistics.py",
        "simulation/step_size_decay.py",
        "trajectory.py",
        "validation.py",
    }


def test_a_problem_counts_only_where_it_is_the_problem(package):
    before = [hashes("rescaled", problem=kind)[0] for kind in ("network", "quadratic", "logistic")]
    with (package / "problems/quadratic.py").open("a") as opened:
        opened.write("\nEXTRA = 1\n")
    after = [hashes("rescaled", problem=kind)[0] for kind in ("network", "quadratic", "logistic")]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_a_law_counts_where_settings_name_it_nested_or_not():
    assert provenance.kinds_of_times([1, 2]) == ("fixed",)
    nested = {"kind": "permuted", "times": {"kind": "noisy", "seconds": {"kind": "linear", "num_workers": 3}}}
    assert provenance.kinds_of_times(nested) == ("linear", "noisy", "permuted")
    assert provenance.kinds_of_times({"kind": "noisy", "seconds": [1, 2]}) == ("fixed", "noisy")


def test_the_law_of_another_file_counts_for_what_uses_it_alone(package, monkeypatch):
    (package / "bursts.py").write_text("class Bursts:\n    pass\n")
    monkeypatch.setitem(provenance.COMPUTE_TIMES, "bursts", type("Bursts", (), {"__module__": "rasgd.bursts"}))

    def both():
        clear()
        return [provenance.run_hash("rescaled", "simulator", "quadratic", times) for times in (("fixed",), ("bursts",))]

    before = both()
    (package / "bursts.py").write_text("class Bursts:\n    rate = 2\n")
    after = both()
    assert before[0] == after[0] and before[1] != after[1]


def test_the_wording_of_an_error_does_not_count_but_when_it_is_raised_does(package):
    before = hashes("rescaled")
    replace(package / "methods/rescaled.py", "compute_times is needed by method", "compute_times is wanted by method")
    assert hashes("rescaled") == before
    replace(package / "methods/rescaled.py", "if compute_times is None", "if compute_times is False")
    assert hashes("rescaled") != before


def test_comments_docstrings_and_layout_do_not_count(package):
    before = hashes("rescaled")
    replace(package / "methods/rescaled.py", '"""Rescaled ASGD:', '"""Another first line. Rescaled ASGD:')
    replace(
        package / "methods/rescaled.py",
        "        return [Job(arrival.worker)]",
        "        # why\n        return [Job(arrival.worker)]",
    )
    assert hashes("rescaled") == before


def test_content_hash_does_not_depend_on_the_order_of_keys():
    assert provenance.content_hash({"a": 1, "b": [2]}) == provenance.content_hash({"b": [2], "a": 1})
    assert provenance.content_hash({"a": 1}) != provenance.content_hash({"a": 2})
