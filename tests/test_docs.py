"""What the documentation shows runs, and what it links to is there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from test_workflow import ROOT, copy_of_project, replace, snakemake

PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md"))])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.S | re.M)


def blocks(page: Path, language: str) -> list[str]:
    return [code for found, code in BLOCK.findall(page.read_text()) if found == language]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_examples_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for example in blocks(page, "python"):
        exec(compile(example, str(page), "exec"), names)


def test_forty_lines_are_the_tested_twin():
    twin = (ROOT / "tests/academic_twin.py").read_text()
    (shown,) = blocks(ROOT / "docs/forty_lines.md", "python")
    assert shown.strip() == twin.split('"""\n', 1)[1].strip()
    assert len(shown.splitlines()) <= 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_and_make_target_that_a_page_names_exists(page):
    text = prose(page)
    for link in re.findall(r"\]\((?![a-z]+:|#)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:rasgd|config|workflow|tests|bench|docs)/[\w/]*(?:\w\.\w+|/))`", text):
        example = re.search(r"/(heavy_ball|robust|small|figure_s99_small)\.", path)  # what a how-to makes
        assert example or (ROOT / path).exists(), path
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?<![a-z])make ([a-z]+)`", text)) <= targets


def test_every_row_of_the_ledger_is_named_on_the_page_about_the_paper_and_no_other():
    rows = {row["id"] for row in yaml.safe_load((ROOT / "config/claims.yaml").read_text())["claims"]}
    named = re.findall(r"`(\w+)`", prose(ROOT / "docs/paper.md"))  # single words in code: rows
    assert set(named) == rows


def test_every_experiment_and_product_stands_on_the_page_about_experiments():
    text = (ROOT / "docs/experiments.md").read_text()
    experiments = {path.stem for path in (ROOT / "config/experiments").glob("*.yaml")}
    named = set(re.findall(r"`(\w+)`", text))
    products = set(yaml.safe_load((ROOT / "config/products.yaml").read_text()))
    assert experiments <= named
    assert products <= named


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert built.returncode == 0, built.stderr
    home = (tmp_path / "site/index.html").read_text()
    assert "<h1" in home and "figure" in home
    linked = re.findall(r'(?:href|src)="(?!https?:|#|mailto:)([^"#?]+)', home)
    assert any(link.startswith("repository/") for link in linked), "files outside docs/ are linked"
    for link in linked:
        assert (tmp_path / "site" / link).exists(), link


def test_the_site_reports_a_link_to_a_file_that_does_not_exist(tmp_path):
    pytest.importorskip("mkdocs")
    for name in ("docs", "mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs/running.md").open("a") as page:
        page.write("\n[gone](../rasgd/gone.py)\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert built.returncode != 0
    assert "rasgd/gone.py" in built.stderr


def test_the_documented_experiment_is_found_trained_and_lies_where_the_page_says(tmp_path):
    project = copy_of_project(tmp_path / "rasgd")
    page = ROOT / "docs/adding_an_experiment.md"
    (settings,) = blocks(page, "yaml")
    (project / "config/experiments/small.yaml").write_text(settings)
    done = snakemake(project, "small")
    assert done.returncode == 0, done.stderr
    for method in yaml.safe_load(settings)["methods"]:
        tables = {table: f"results/smoke/small/{method}/{table}.parquet" for table in ("curves", "runs", "grid")}
        assert all((project / path).is_file() for path in tables.values())
        assert set(pd.read_parquet(project / tables["runs"])["seed"]) == {0, 1, 2, 3}
    assert (project / "results/smoke/tracking/small.json").is_file()


def test_the_documented_figure_is_made_from_its_module_and_its_row(tmp_path):
    project = copy_of_project(tmp_path / "rasgd")
    page = ROOT / "docs/adding_a_figure.md"
    (experiment,) = blocks(ROOT / "docs/adding_an_experiment.md", "yaml")
    (row,) = blocks(page, "yaml")
    (project / "config/experiments/small.yaml").write_text(experiment)
    (file,) = set(re.findall(r"`(rasgd/figures/figure_s99_small\.py)`", page.read_text()))
    (project / file).write_text(blocks(page, "python")[0])
    with (project / "config/products.yaml").open("a") as products:
        products.write(row)
    done = snakemake(project, "figure_s99")
    assert done.returncode == 0, done.stderr
    drawn = project / "results/smoke/paper_figures"
    assert {path.suffix for path in drawn.glob("figure_s99_small.*")} == {".png", ".pdf", ".csv", ".md"}
    assert set(pd.read_csv(drawn / "figure_s99_small.csv")["method"]) == {"rescaled", "asgd", "malenia"}


def test_the_documented_law_and_problem_join_experiments_with_a_file_and_a_row(tmp_path):
    project = copy_of_project(tmp_path / "rasgd")
    law, problem = (ROOT / f"docs/{name}.md" for name in ("adding_compute_times", "adding_a_problem"))
    source = blocks(law, "python")[0].split("\n\n\n", 1)[1]  # without its imports, which the module has
    with (project / "rasgd/compute_times.py").open("a") as module:
        module.write(f"\n\n{source}")
    (project / "rasgd/problems/robust.py").write_text(blocks(problem, "python")[0])
    tables = project / "rasgd/experiments/kinds.py"
    for page, table in (
        (law, "COMPUTE_TIMES: dict[str, Callable[..., compute_times.ComputeTimes]]"),
        (problem, "PROBLEMS"),
    ):
        (row,) = re.findall(r'`("\w+": [^`]+)`', page.read_text())
        replace(tables, f"\n{table} = {{\n", f"\n{table} = {{\n    {row},\n")
    settings = yaml.safe_load(blocks(ROOT / "docs/adding_an_experiment.md", "yaml")[0])
    settings["methods"] = {"rescaled": {}}
    settings["problem"] = {"kind": "robust", "centres": [[0, 1], [2, 3], [4, 5], [6, 7]], "noise_std": 0.1}
    settings["cases"]["fixed"]["compute_times"] = {"kind": "uniform", "seconds": [1, 1, 2, 4], "spread": 0.2}
    (project / "config/experiments/small.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    done = snakemake(project, "results/smoke/small/rescaled/runs.parquet")
    assert done.returncode == 0, done.stderr
    settings["cases"]["fixed"]["compute_times"]["spreads"] = 0.2
    (project / "config/experiments/small.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    refused = snakemake(project, "small", "--dry-run")
    assert "spread" in refused.stderr.strip().splitlines()[-1], "its keys are those of its constructor"
