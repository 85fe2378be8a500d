"""The DAG on copies of the project: what reruns after which change, and what a killed run leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

import rasgd

ROOT = Path(__file__).parents[1]

# Two experiments that share a method, with nothing to download; their figures come with them.
TINY = {
    "toy": {"until": 20},
    "quadratic": {
        "cases": {"noise_dominated": {"targets": [0.05]}, "heterogeneity_dominated": None},
        "methods": dict.fromkeys(set(rasgd.METHODS) - {"rescaled", "asgd", "minibatch"}),  # null removes a method
    },
}
TARGETS = ["figure_3", "figure_s6"]
PARTITION = "results/smoke/fashion_mnist/partition.parquet"  # of digits that need no download


def copy_of_project(copy: Path) -> Path:
    """What the workflow needs, in a folder of its own."""
    for name in ("config", "profiles", "rasgd", "workflow"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A copy of the project whose two experiments are done."""
    copy = copy_of_project(tmp_path_factory.mktemp("project") / "rasgd")
    for name, smaller in TINY.items():
        path = copy / f"config/experiments/{name}.yaml"
        config = yaml.safe_load(path.read_text())
        smoke = config.setdefault("scales", {}).setdefault("smoke", {})
        for key, value in smaller.items():
            smoke[key] = {**smoke.get(key, {}), **value} if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    done = snakemake(copy, *TARGETS, PARTITION)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the finished project, with its results, that a test may change."""
    copy = tmp_path / "rasgd"
    shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def environment(project: Path) -> dict:
    return os.environ | {
        "PYTHONPATH": str(project),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--config", "scale=smoke"]


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), cwd=project, env=environment(project), capture_output=True, text=True, timeout=110
    )


def planned(project: Path) -> set[str]:
    """Training jobs and figures that a dry run plans."""
    result = snakemake(project, *TARGETS, "--dry-run", "--quiet", "rules", "--summary")
    assert result.returncode == 0, result.stderr
    files = set()
    for line in result.stdout.splitlines()[1:]:
        columns = line.split("\t")
        if columns[-1] != "no update":
            files.add(columns[0].removeprefix("results/smoke/"))
    return {name.removesuffix("/curves.parquet") for name in files if name.endswith(("curves.parquet", ".png"))}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_finished_project_that_was_moved_has_nothing_to_do(project):
    result = snakemake(project, *TARGETS, PARTITION)
    assert "Nothing to be done" in result.stdout + result.stderr
    assert planned(project) == set()


def test_changing_one_experiment_reruns_that_experiment_alone(project):
    replace(project / "config/experiments/toy.yaml", "until: 20", "until: 24")
    assert planned(project) == {"paper_figures/figure_3_toy.png"}


def test_touching_one_method_reruns_what_depends_on_it_alone(project):
    with (project / "rasgd/methods/minibatch.py").open("a") as file:
        file.write("\nEXTRA = 1\n")
    plan = planned(project)
    assert "quadratic/minibatch" in plan and "paper_figures/figure_s6_quadratic.png" in plan
    assert not any(name.startswith("toy/") or name.endswith(("/rescaled", "/asgd", "toy.png")) for name in plan)


def test_a_comment_reruns_nothing(project):
    changed = [f"workflow/scripts/{name}.py" for name in ("trajectory", "exact", "product", "partition")]
    for path in ("rasgd/methods/rescaled.py", "rasgd/files.py", *changed):
        with (project / path).open("a") as file:
            file.write("\n# A remark.\n")
    assert planned(project) == set()


def test_another_status_line_or_error_message_reruns_nothing(project):
    replace(project / "rasgd/simulation/status.py", "updates/s", "updates per second")
    replace(project / "rasgd/methods/rescaled.py", "compute_times is needed by", "compute_times is wanted by")
    assert planned(project) == set()


def test_another_script_reruns_its_jobs_alone(project):
    with (project / "workflow/scripts/trajectory.py").open("a") as file:
        file.write("\nEXTRA = 1\n")
    plan = planned(project)
    assert {"quadratic/rescaled", "quadratic/asgd", "quadratic/minibatch"} <= plan
    assert "paper_figures/figure_3_toy.png" not in plan  # of an exact experiment


def test_another_title_trains_nothing(project):
    replace(project / "config/experiments/quadratic.yaml", "title: ", "title: Tiny ")
    assert not any("/" in name and not name.startswith("paper_figures") for name in planned(project))


def test_more_seeds_compute_only_what_is_new(project):
    store = project / "results/smoke/runs"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.parquet")}
    path = project / "config/experiments/quadratic.yaml"
    config = yaml.safe_load(path.read_text())
    config["scales"]["smoke"]["reporting"]["seeds"] = [0, 1, 2]
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    result = snakemake(project, "results/smoke/quadratic/rescaled/curves.parquet")
    assert result.returncode == 0, result.stderr
    after = {path: path.stat().st_mtime_ns for path in store.rglob("*.parquet")}
    assert {path: time for path, time in after.items() if path in before} == before
    new = [rasgd.read_trajectory(path) for path in after if path not in before]
    assert new and {seed for trajectory in new for seed in trajectory.replicas["seed"].tolist()} == {2}


def stored_runs(project: Path) -> set[Path]:
    return set((project / "results/smoke/runs").rglob("*.parquet"))


def a_job_is_running(project: Path, stored: int) -> bool:
    """Whether a training job has opened its log but not yet written its tables, and so many runs are stored."""
    logs = project.glob("results/smoke/logs/trajectory/*/*.log")
    folders = (project / f"results/smoke/{log.parent.name}/{log.stem}" for log in logs)
    running = any(not (folder / "curves.parquet").exists() for folder in folders)
    return running and len(stored_runs(project)) >= stored


def wait_until(condition, seconds: float = 100.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_a_run_killed_at_any_moment_finishes_with_the_same_files(project, finished):
    shutil.rmtree(project / "results")
    shutil.rmtree(project / ".snakemake")
    wanted = [f"results/smoke/quadratic/{method}/curves.parquet" for method in ("rescaled", "asgd")]
    for new_runs in (0, 1):  # killed before anything was stored, and after something was
        before = stored_runs(project)
        shutil.rmtree(project / "results/smoke/logs", ignore_errors=True)
        process = subprocess.Popen(
            command(*wanted),
            cwd=project,
            env=environment(project),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(partial(a_job_is_running, project, len(before) + new_runs))
        assert process.poll() is None, "it ended before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not all((project / name).exists() for name in wanted), "there was nothing left to interrupt"
        assert before <= stored_runs(project)
        unlocked = snakemake(project, "--unlock")
        assert unlocked.returncode == 0, unlocked.stderr
    result = snakemake(project, *wanted)
    assert result.returncode == 0, result.stderr
    for name in wanted:
        for table in ("curves", "runs", "grid"):
            file = name.replace("curves", table)
            assert (project / file).read_bytes() == (finished / file).read_bytes(), file


def test_a_run_says_at_its_end_what_it_made_and_where(project):
    products = project / "results/smoke/paper_figures"
    names = sorted(path.stem for path in products.glob("*.csv") if not path.stem.endswith("_by_seed"))
    for path in products.glob("*.csv"):
        path.unlink()
    result = snakemake(project, *TARGETS)
    assert result.returncode == 0, result.stderr
    (made,) = [line for line in result.stderr.splitlines() if line.startswith("Made in ")]
    assert made == f"Made in results/smoke/paper_figures/: {', '.join(names)}."
    assert re.search(r"^Finished in \d+ s\.$", result.stderr, re.M)
    assert "input:" not in result.stderr and "reason:" not in result.stderr.lower()


def test_judging_the_claims_in_a_fresh_clone_trains_nothing(tmp_path):
    for name in ("Snakefile", "config", "workflow", "rasgd", "profiles", "environment.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "paper_figures", tmp_path / "paper_figures")
    recipe = subprocess.run(["make", "--dry-run", "verify"], cwd=ROOT, capture_output=True, text=True).stdout
    (line,) = [line for line in recipe.splitlines() if " snakemake " in line]
    arguments = line.split(" snakemake ")[1].split()
    answer = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", answer.stdout + answer.stderr, re.M))
    assert set(jobs) <= {"claims", "verify", "total"} and "verify" in jobs


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("config/experiments/toy.yaml", "until: 300", "untill: 300", "toy.yaml: unknown key untill"),
        (
            "config/experiments/toy.yaml",
            "compute_times: [1, 2]",
            "compute_times: [1, -2]",
            "compute_times",
        ),
        ("config/config.yaml", "device: cpu", "device: tpu", "device: 'tpu' is not one of ['cpu', 'cuda']"),
    ],
)
def test_wrong_settings_end_with_one_line_and_make_nothing(project, file, old, new, message):
    shutil.rmtree(project / "results")
    shutil.copy(ROOT / file, project / file)
    replace(project / file, old, new)
    result = snakemake(project, *TARGETS)
    assert result.returncode != 0
    *before, last = result.stderr.strip().splitlines()
    assert last.startswith("error: ") and message in last
    assert not any("error" in line.lower() or "Traceback" in line for line in before)
    assert not [path for path in project.glob("results/**/*") if path.is_file()]


def test_a_named_target_computes_although_its_committed_files_are_there(tmp_path):
    for name in ("Snakefile", "config", "workflow", "rasgd", "profiles", "environment.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    committed = tmp_path / "paper_figures"
    committed.mkdir()
    for ending in ("png", "pdf", "csv", "md"):
        (committed / f"figure_3_toy.{ending}").touch()
    command = [sys.executable, "-m", "snakemake", "figure_3", "--dry-run", "--cores", "1", "--quiet", "rules"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=60)
    assert answer.returncode == 0, answer.stderr
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", answer.stdout + answer.stderr, re.M))
    assert jobs["exact_toy"] == "1" and jobs["figure_3_toy"] == "1", answer.stdout + answer.stderr
