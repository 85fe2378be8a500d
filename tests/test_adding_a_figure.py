"""What a row of config/products.yaml brings with it, on copies of the project."""

import re
import shutil

import pandas as pd
import pytest
from test_workflow import copy_of_project, snakemake

MODULE = '''"""Where both methods of the toy example end."""

from rasgd.figures import style
from rasgd.figures.product import Product


def caption(settings):
    return f"Ends of {settings['toy']['title']}."


def draw(tables, settings):
    ends = tables["toy"]["limits"]
    figure = style.new_figure(height_inches=1.5)
    figure.add_subplot().plot(ends["limit"], "o")
    return Product(ends[["curve", "limit"]], figure)
'''
ROW = """figure_s99_ends:
  shows: {toy: [limits]}
  tolerance: float64
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_of_project(tmp_path_factory.mktemp("project") / "rasgd")


def planned(project, *targets: str) -> dict[str, int]:
    """How many jobs of each rule a dry run plans."""
    done = snakemake(project, *targets, "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)}


def test_a_module_and_a_row_make_a_figure(project):
    (project / "rasgd/figures/figure_s99_ends.py").write_text(MODULE)
    with (project / "config/products.yaml").open("a") as rows:
        rows.write(ROW)
    assert {"figure_s99_ends", "figure_3_toy", "track"} <= set(planned(project, "toy"))
    done = snakemake(project, "figure_s99")
    assert done.returncode == 0, done.stderr
    made = project / "results/smoke/paper_figures"
    assert list(pd.read_csv(made / "figure_s99_ends.csv")) == ["curve", "limit"]
    assert (made / "figure_s99_ends.md").read_text() == "Figure S99: Ends of The paper's toy example. Scale: smoke.\n"
    assert (made / "figure_s99_ends.png").is_file() and (made / "figure_s99_ends.pdf").is_file()


def test_an_experiment_makes_every_product_that_shows_it_and_its_page(project):
    jobs = planned(project, "bias_network")
    assert jobs["figure_s9_bias_network"] == 1 and jobs["trajectory"] == 4 and jobs["track"] == 1
    assert {"figure_s5_stationary_error", "track"} <= set(planned(project, "stationary_error"))


def test_without_an_experiment_all_else_is_made(project, tmp_path):
    copy = tmp_path / "rasgd"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("results", ".snakemake"))
    (copy / "config/experiments/nonconvex.yaml").unlink()
    (copy / "config/experiments/worst_case.yaml").unlink()
    jobs = planned(copy)
    assert not {"figure_s8_nonconvex", "figure_s12_hard_instances"} & set(jobs)
    assert {"figure_s9_bias_network", "table_1_methods", "claims"} <= set(jobs)


def test_an_experiment_of_ones_own_gets_a_figure(project, tmp_path):
    copy = tmp_path / "rasgd"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("results", ".snakemake"))
    shutil.copy(copy / "config/experiments/nonconvex.yaml", copy / "config/experiments/my_own.yaml")
    jobs = planned(copy, "my_own")
    assert jobs["figure_my_own"] == 1 and jobs["trajectory"] == 2


def test_an_experiment_that_is_called_like_a_rule_is_refused_in_one_line(project, tmp_path):
    copy = tmp_path / "rasgd"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("results", ".snakemake"))
    shutil.copy(copy / "config/experiments/nonconvex.yaml", copy / "config/experiments/trajectory.yaml")
    done = snakemake(copy, "--dry-run")
    assert done.returncode and "error: config/experiments/trajectory.yaml needs another name" in done.stderr
