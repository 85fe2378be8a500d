"""The four steps of docs/adding_a_method.md, performed on a copy of the project."""

import re
import shutil

import pandas as pd
import yaml
from test_workflow import ROOT, copy_of_project, replace, snakemake


def test_the_four_documented_steps_put_a_new_method_into_figures(tmp_path):
    project = copy_of_project(tmp_path / "rasgd")
    steps = (ROOT / "docs/adding_a_method.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", steps, re.S)
    (file,) = set(re.findall(r"`(rasgd/methods/heavy_ball\.py)`", steps))
    (row,) = re.findall(r'`("heavy_ball": HeavyBall)`', steps)
    (setting,) = re.findall(r"`(heavy_ball: \{beta: \[0\.5, 0\.9\]\})`", steps)

    (project / file).write_text(source)
    methods = project / "rasgd/methods/__init__.py"
    replace(
        methods,
        "from rasgd.methods.ia2sgd",
        "from rasgd.methods.heavy_ball import HeavyBall\nfrom rasgd.methods.ia2sgd",
    )
    replace(methods, '    "rescaled": Rescaled,\n', f'    "rescaled": Rescaled,\n    {row},\n')
    experiment = project / "config/experiments/quadratic.yaml"
    config = yaml.safe_load(experiment.read_text())
    config["methods"] = {"rescaled": {}} | yaml.safe_load(setting)
    experiment.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    shutil.rmtree(project / "results", ignore_errors=True)

    done = snakemake(project, "figure_s6")

    assert done.returncode == 0, done.stderr
    drawn = project / "results/smoke/paper_figures/figure_s6_quadratic.csv"
    assert set(pd.read_csv(drawn)["method"]) == {"rescaled", "heavy_ball"}
    grid = pd.read_parquet(project / "results/smoke/quadratic/heavy_ball/grid.parquet")
    assert set(grid["options"]) == {'{"beta": 0.5}', '{"beta": 0.9}'}
