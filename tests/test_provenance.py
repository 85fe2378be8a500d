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


def hashes(*methods: str) -> list[str]:
    provenance.imported.cache_clear()
    provenance.closure.cache_clear()
    provenance.code_hash.cache_clear()
    return [provenance.source_hash(method) for method in methods]


@pytest.fixture(autouse=True)
def forget():
    yield
    provenance.imported.cache_clear()
    provenance.closure.cache_clear()
    provenance.code_hash.cache_clear()


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
    "file", ["tracking/__init__.py", "progress.py", "methods/__init__.py", "backends/processes.py"]
)
def test_what_cannot_change_a_simulated_number_does_not_count(package, file):
    before = hashes("rescaled")
    with (package / file).open("a") as opened:
        opened.write("\nEXTRA = 1\n")
    assert hashes("rescaled") == before


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
