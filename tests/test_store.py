"""Finished runs are found again, and only what is missing is computed."""

import numpy as np
import pytest

import rasgd
from rasgd.experiments.store import rows_of, stored_runs

PROBLEM = rasgd.random_quadratic(num_workers=3, dim=4, noise=0.5, heterogeneity=1.0)


class Computer:
    """Simulates, and remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, steps, seeds):
        self.asked.append((list(steps), list(seeds)))
        return rasgd.simulate(PROBLEM, "rescaled", [1.0, 2.0, 3.0], steps, seed=seeds, until=12.0, eval_every=4.0)


def test_finished_runs_are_not_computed_again(tmp_path):
    first, second = Computer(), Computer()
    runs = stored_runs(tmp_path, {"a": 1}, [0.1, 0.2], [0, 1], first)
    again = stored_runs(tmp_path, {"a": 1}, [0.1, 0.2], [0, 1], second)
    assert first.asked == [([0.1, 0.2], [0, 1])] and second.asked == []
    for before, after in zip(rows_of(runs, [0.1, 0.2], [0, 1]), rows_of(again, [0.1, 0.2], [0, 1]), strict=True):
        assert before.equals(after)


def test_more_seeds_or_steps_compute_only_what_is_new(tmp_path):
    computer = Computer()
    stored_runs(tmp_path, {"a": 1}, [0.1, 0.2], [0, 1], computer)
    stored_runs(tmp_path, {"a": 1}, [0.1, 0.2], [0, 1, 2], computer)
    stored_runs(tmp_path, {"a": 1}, [0.1, 0.2, 0.3], [0, 1, 2], computer)
    assert computer.asked == [([0.1, 0.2], [0, 1]), ([0.1, 0.2], [2]), ([0.3], [0, 1, 2])]


def test_other_arguments_share_nothing(tmp_path):
    computer = Computer()
    stored_runs(tmp_path, {"a": 1}, [0.1], [0], computer)
    stored_runs(tmp_path, {"a": 2}, [0.1], [0], computer)
    assert len(computer.asked) == 2


def test_a_damaged_file_is_made_again(tmp_path):
    stored_runs(tmp_path, {"a": 1}, [0.1], [0], Computer())
    (path,) = tmp_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    computer = Computer()
    runs = stored_runs(tmp_path, {"a": 1}, [0.1], [0], computer)
    assert computer.asked == [([0.1], [0])] and len(runs) == 1


def test_rows_come_in_replica_order_whatever_was_computed_first(tmp_path):
    stored_runs(tmp_path, {"a": 1}, [0.2], [1], Computer())
    runs = stored_runs(tmp_path, {"a": 1}, [0.1, 0.2], [0, 1], Computer())
    curves, replicas = rows_of(runs, [0.1, 0.2], [0, 1])
    assert replicas[["step_size", "seed"]].values.tolist() == [[0.1, 0], [0.1, 1], [0.2, 0], [0.2, 1]]
    assert curves.groupby(["step_size", "seed"], sort=False)["time"].apply(list).tolist() == [[0.0, 4.0, 8.0, 12.0]] * 4


def test_an_interrupted_computation_leaves_nothing_behind(tmp_path):
    def interrupted(steps, seeds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_runs(tmp_path, {"a": 1}, [0.1], [0], interrupted)
    assert not list(tmp_path.rglob("*.parquet"))
    assert np.isfinite(stored_runs(tmp_path, {"a": 1}, [0.1], [0], Computer())[0].final_points).all()
