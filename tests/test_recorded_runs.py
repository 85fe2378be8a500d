"""Real runs whose every arrival is recorded, one of them with workers that are killed."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from figure_tables import ROOT

from rasgd.experiments import settings as experiment

_specification = importlib.util.spec_from_file_location("recorded_runs", ROOT / "workflow/scripts/recorded_runs.py")
recorded_runs = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(recorded_runs)


def test_killed_workers_come_back_in_the_recorded_run(tmp_path):
    settings = experiment.read(ROOT / "config/experiments/real_processes.yaml", "smoke")
    settings["recorded"]["faults"]["until"] = 300  # leaves more than a second to come back, on a busy machine too
    names = ("timeline.parquet", "fault_trace.parquet", "fault_curves.parquet", "kills.parquet")
    recorded_runs.record_runs(settings, *(str(tmp_path / name) for name in names))
    kills = pd.read_parquet(tmp_path / "kills.parquet")
    assert kills[["worker", "killed"]].to_numpy().tolist() == settings["recorded"]["faults"]["kills"]
    assert (kills["killed"] < kills["noticed"]).all() and (kills["noticed"] < kills["next_arrival"]).all()
    trace = pd.read_parquet(tmp_path / "fault_trace.parquet")
    for worker in kills["worker"]:
        ks = trace.loc[trace["worker"] == worker, "k"].to_numpy()
        assert len(np.setdiff1d(np.arange(ks.max()), ks)) == 1  # the one it was at is lost
    assert pd.read_parquet(tmp_path / "fault_curves.parquet")["kills"].unique().tolist() == [0, 2]


def test_a_kill_of_a_worker_that_there_is_not_is_refused(tmp_path):
    settings = experiment.read(ROOT / "config/experiments/real_processes.yaml", "smoke")
    settings["recorded"]["faults"]["kills"] = [[8, 10.0]]
    with pytest.raises(ValueError, match=r"must name workers below 8 and seconds below 100, got \[8, 10\]"):
        recorded_runs.record_runs(settings, *(str(tmp_path / name) for name in "abcd"))
