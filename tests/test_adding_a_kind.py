"""A law of compute times and a problem of one's own: its file, and one row of rasgd/experiments/kinds.py."""

import json
import subprocess
import sys

import pytest
from test_workflow import copy_of_project, environment, replace

LAW = """
from rasgd.compute_times import ComputeTimes, checked_times


class Alternating(ComputeTimes):
    def __init__(self, seconds, slower):
        self.seconds, self.slower = checked_times(seconds), slower
        self.mean = self.seconds * (1 + slower) / 2

    def duration(self, worker, k, start):
        return float(self.seconds[worker]) * (self.slower if k % 2 else 1)
"""
PROBLEM = """
import torch

from rasgd.problems.base import Problem


class Quartic(Problem):
    def __init__(self, num_workers, centre):
        self.num_workers, self.dim, self.centre = num_workers, 1, centre
        self.dtype, self.device = torch.float64, torch.device("cpu")

    def initial_point(self, seed):
        return torch.ones(1, dtype=torch.float64)

    def draw(self, draws, worker):
        return None  # exact gradients

    def gradient(self, worker, points, samples):
        return (points - self.centre) ** 3

    def evaluate(self, points):
        return {"loss": ((points - self.centre) ** 4 / 4)[:, 0], "grad_norm_sq": ((points - self.centre) ** 6)[:, 0]}
"""
SETTINGS = """
title: Mine
cases: {one: {label: one}}
problem: {kind: quartic, centre: 0.5}
compute_times: {kind: alternating, seconds: [1, 2], slower: 3}
methods: {asgd: {}}
until: 20
step_sizes: {log2_beta: -4}
tuning: {seeds: [9], schedule_seeds: [0], eval_every: 10}
reporting: {seeds: [0], schedule_seeds: [0], eval_every: 10}
backends: {simulator: {}}
"""


@pytest.fixture
def project(tmp_path):
    copy = copy_of_project(tmp_path / "rasgd")
    for path in (copy / "config/experiments").iterdir():
        path.unlink()
    (copy / "rasgd/alternating.py").write_text(LAW)
    (copy / "rasgd/problems/quartic.py").write_text(PROBLEM)
    kinds = copy / "rasgd/experiments/kinds.py"
    replace(kinds, "from rasgd import compute_times\n", "from rasgd import alternating, compute_times\n")
    replace(kinds, '    "noisy": ', '    "alternating": alternating.Alternating,\n    "noisy": ')
    replace(kinds, "PROBLEMS = {\n", 'PROBLEMS = {\n    "quartic": ProblemKind("problems.quartic.Quartic"),\n')
    return copy


def trained(project, settings):
    """What training prints of its runs, or the one line that refuses the settings."""
    (project / "config/experiments/mine.yaml").write_text(settings)
    code = """
import sys
from functools import partial
from rasgd.experiments import settings, store, training
try:
    own = settings.read_all("config/experiments", "workflow/schemas/experiment.schema.yaml", "laptop")["mine"]
except ValueError as error:
    sys.exit(str(error))
files = dict(path_to_dataset=None, path_to_partition=None, path_to_store="runs")
tables = training.train(own, "asgd", partial(store.StoredRuns, method="asgd", device="cpu", **files))
print(tables["curves"]["loss"].tolist())
"""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment(project), capture_output=True, text=True, timeout=100
    )


def test_a_row_each_is_all_that_settings_need(project):
    done = trained(project, SETTINGS)
    assert done.returncode == 0, done.stderr
    losses = json.loads(done.stdout)
    assert losses[0] == 0.5**4 / 4 and losses == sorted(losses, reverse=True) and len(losses) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("centre: 0.5", "middle: 0.5", "kind quartic does not take middle; allowed: centre"),
        (", slower: 3", "", "kind alternating needs slower; allowed: seconds, slower"),
        ("kind: quartic", "kind: quintic", "'quintic' is not one of ['quartic', "),
    ],
)
def test_their_keys_are_checked_as_those_of_any_other(project, old, new, message):
    done = trained(project, SETTINGS.replace(old, new))
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
