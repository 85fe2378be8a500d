import ast
import importlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import rasgd

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [
    Requirement(text) for text in [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
]
# torch's CUDA builds, which some indexes hand out, fix the versions of these themselves; its CPU builds have none.
CUDA_PACKAGE = re.compile(r"(nvidia|cuda)-|triton$")
_specification = importlib.util.spec_from_file_location("preflight", ROOT / "workflow/scripts/preflight.py")
preflight = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(preflight)


def lines_of(file_name: str) -> list[str]:
    return [line for line in (ROOT / file_name).read_text().splitlines() if line and not line.startswith("#")]


def pins() -> dict[str, Version]:
    """Versions of constraints.txt by canonical package name."""
    found = {}
    for line in lines_of("constraints.txt"):
        name, version = line.split("==")
        found[canonicalize_name(name)] = Version(version)
    return found


def installed_closure() -> dict[str, str]:
    """Names and versions of all that the project, with every extra, pulls into this environment."""
    found, waiting = {}, list(DIRECT)
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), requirement.extras or {""}
        if CUDA_PACKAGE.match(name):
            continue
        for extra in extras - {wanted for known, wanted in seen if known == name}:
            seen.add((name, extra))
            distribution = importlib.metadata.distribution(name)
            found[name] = distribution.version
            needed = (Requirement(text) for text in distribution.requires or [])
            waiting += [need for need in needed if need.marker is None or need.marker.evaluate({"extra": extra})]
    return found


def tracked_files() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_pinned_within_its_range(requirement):
    assert requirement.specifier, f"{requirement.name} has no lower bound"
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_everything_the_dependencies_pull_in_is_pinned_at_the_installed_version():
    pinned = pins()
    unpinned = {
        name: version
        for name, version in installed_closure().items()
        if name not in pinned or pinned[name] != Version(Version(version).public)
    }
    assert not unpinned


def test_torch_is_pinned_to_one_release_without_a_build_label():
    assert "torch==2.13.0" in lines_of("constraints.txt")


def test_no_pin_names_a_local_build():
    assert not [line for line in lines_of("constraints.txt") if "+" in line]


def test_every_way_to_install_reads_the_same_requirements():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-r requirements.txt"]
    assert "--requirement requirements.txt" in (ROOT / "Makefile").read_text()
    constraints, project = lines_of("requirements.txt")
    assert constraints == "-c constraints.txt"
    assert set(re.fullmatch(r"-e \.\[(.*)\]", project).group(1).split(",")) == set(EXTRAS)


def test_the_conda_environment_has_a_python_the_project_allows():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (python,) = [
        entry for entry in environment["dependencies"] if isinstance(entry, str) and entry.startswith("python=")
    ]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.partition("=")[2])


def test_no_tracked_file_names_a_package_index_or_a_folder_of_one_machine():
    index = re.compile(rb"--?(?:extra-)?index-url\b|--?find-links\b|(?:py(?:pi|thonhosted)|download[.]pytorch)[.]org")
    machine = re.compile(rb"(?<![\w.])/(?:root|home|Users|work|opt)/\w")
    this_test = Path(__file__).resolve()
    found = {
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in tracked_files()
        if path.resolve() != this_test and b"\0" not in (content := path.read_bytes())
        for match in (*index.finditer(content), *machine.finditer(content))
    }
    assert not found


def make(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env={**environment, **variables}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def built(tmp_path):
    """A copy of what `make setup` looks at, with a stamp newer than it, as after a finished set-up."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
        os.utime(tmp_path / name, (1000, 1000))
    (tmp_path / ".venv").mkdir()
    stamp = tmp_path / ".venv/.complete"
    stamp.write_text(f"{tmp_path.resolve()}\n")
    os.utime(stamp, (2000, 2000))
    return tmp_path


def would_build(folder: Path) -> bool:
    return "-m venv" in make("--dry-run", "setup", folder=folder).stdout


def test_a_finished_environment_is_not_built_again(built):
    assert not would_build(built)


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.txt", "constraints.txt"])
def test_an_environment_older_than_its_requirements_is_built_again(built, name):
    os.utime(built / name, (3000, 3000))
    assert would_build(built)


def test_an_environment_whose_building_was_interrupted_is_built_again(built):
    (built / ".venv/.complete").unlink()
    assert would_build(built)


def test_an_environment_that_was_moved_is_built_again(built):
    moved = built.rename(built.with_name(f"{built.name}_moved"))
    assert would_build(moved)


def test_too_old_a_python_is_refused_in_one_line_before_anything_is_built(built):
    (built / ".venv/.complete").unlink()
    old = built / "old_python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    answer = make("setup", f"PYTHON={old}", folder=built)
    assert answer.returncode != 0
    message, _make_error = answer.stderr.strip().splitlines()
    assert "3.11 or newer" in message
    assert "Python 3.9.2" in message
    assert not (built / ".venv/pyvenv.cfg").exists()


def test_a_folder_with_a_space_is_refused_in_one_line_before_anything_is_built(built):
    spaced = built.rename(built.with_name("my project"))
    (spaced / ".venv/.complete").unlink()
    for target in ("setup", "smoke", "reproduce"):
        answer = make(target, folder=spaced)
        assert answer.returncode != 0
        message, _make_error = answer.stderr.strip().splitlines()
        assert "space" in message and "my project" in message
        assert answer.stdout == ""
    assert not (spaced / ".venv/pyvenv.cfg").exists()


def test_make_alone_lists_every_target_that_people_call():
    listed = make().stdout
    for target in ("setup", "reproduce", "test", "smoke", "compare", "ui", "report", "docs", "lint", "bench", "clean"):
        assert f"make {target} " in listed


def test_clean_removes_nothing_unless_told_to(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("results/laptop/a", "results/committed_figures/b", "data/c", "paper_figures/d", ".venv/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for answer, left in (("", 5), ("n\n", 5), ("y\n", 4)):
        subprocess.run(["make", "clean"], cwd=tmp_path, input=answer, text=True, capture_output=True, timeout=60)
        names = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {"Makefile"}
        assert len(names) == left
    assert names == {"b", "c", "d", "e"}


def test_preflight_tells_the_downloads_of_the_environment_only_while_there_is_none():
    without, with_environment = (preflight.announcement("laptop", exists, cores=2) for exists in (False, True))
    assert preflight.ENVIRONMENT_DOWNLOAD in without
    assert preflight.ENVIRONMENT_DOWNLOAD not in with_environment
    for text in (without, with_environment):
        for word in ("scale laptop", "minutes", "disk", "memory", "Fashion-MNIST"):
            assert word in text


def test_preflight_warns_of_the_resource_that_is_short_and_of_no_other():
    cost = preflight.Cost("1 minute", disk_bytes=1e9, memory_bytes=2e9, data="nothing")
    assert preflight.shortages(cost, True, free_disk=1e9, free_memory=2e9) == []
    assert preflight.shortages(cost, True, free_disk=1e9, free_memory=None) == []
    (disk,) = preflight.shortages(cost, True, free_disk=0.5e9, free_memory=2e9)
    assert "disk has 0.5 GB free, the run takes 1.0 GB" in disk
    (memory,) = preflight.shortages(cost, True, free_disk=1e9, free_memory=1.9e9)
    assert "1.9 GB of memory" in memory
    (environment,) = preflight.shortages(cost, False, free_disk=1e9, free_memory=2e9)
    assert "disk" in environment


def test_available_memory_is_read_in_bytes(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:       4 kB\nMemAvailable:       3 kB\n")
    assert preflight.available_memory(tmp_path / "meminfo") == 3 * 1024
    assert preflight.available_memory(tmp_path / "none") is None or preflight.available_memory(tmp_path / "none") > 0


def test_the_names_users_import_are_the_same_for_python_and_for_type_checkers():
    lazily_imported = {*rasgd._HOME_OF, *rasgd._MODULES, "__version__"}
    assert set(rasgd.__all__) == lazily_imported
    tree = ast.parse(Path(rasgd.__file__).read_text())
    (seen_by_checkers,) = [
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    declared = {alias.asname or alias.name for node in seen_by_checkers.body for alias in node.names}
    assert declared | {"__version__"} == lazily_imported
    for node in seen_by_checkers.body:
        for alias in node.names:
            home = importlib.import_module(node.module)
            declared_object = getattr(home, alias.name, None) or importlib.import_module(f"{node.module}.{alias.name}")
            assert getattr(rasgd, alias.name) is declared_object


def test_a_type_checker_accepts_the_public_calls_and_sees_mistakes():
    pytest.importorskip("mypy")
    answer = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (ROOT / "rasgd/py.typed").is_file() and "py.typed" in (ROOT / "pyproject.toml").read_text()
