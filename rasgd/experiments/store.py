"""Finished runs on disk, looked up before anything is computed again."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rasgd.experiments.build import PROBLEMS, build_compute_times, build_problem
from rasgd.experiments.provenance import case_hash, content_hash
from rasgd.experiments.training import Rows
from rasgd.trajectory import Trajectory, read_trajectory


def stored_runs(
    folder: str | Path,
    arguments: dict,
    step_sizes: Sequence[float],
    seeds: Sequence[int],
    compute: Callable[[list[float], list[int]], Trajectory],
) -> list[Trajectory]:
    """Trajectories that together hold all step sizes × seeds of one schedule; only what is missing is computed.

    A schedule has one folder, `folder/<hash of arguments>/`; each batched run is one Parquet file in it, written when
    it is complete. Damaged files are made again.

    Args:
        folder: the store.
        arguments: all that determines the run beside step sizes and seeds, source hash included, as JSON values.
        compute: makes the runs of some step sizes × seeds.
    """
    home = Path(folder) / content_hash(arguments)
    found = []
    for path in sorted(home.glob("*.parquet")):
        try:
            found.append(read_trajectory(path))
        except ValueError:
            path.unlink()
    have = {replica for trajectory in found for replica in replica_keys(trajectory)}
    missing_seeds: dict[tuple, list[float]] = {}  # seeds that are missing → step sizes for which they are
    for step in step_sizes:
        missing = tuple(seed for seed in seeds if (step, seed) not in have)
        if missing:
            missing_seeds.setdefault(missing, []).append(step)
    for some_seeds, some_steps in missing_seeds.items():
        trajectory = compute(some_steps, list(some_seeds))
        trajectory.save(home / f"{content_hash([some_steps, some_seeds])}.parquet")
        found.append(trajectory)
    wanted = set(itertools.product(step_sizes, seeds))
    return [trajectory for trajectory in found if wanted.intersection(replica_keys(trajectory))]


def replica_keys(trajectory: Trajectory) -> list[tuple[float, int]]:
    return list(zip(trajectory.replicas["step_size"].tolist(), trajectory.replicas["seed"].tolist(), strict=True))


def rows_of(trajectories: list[Trajectory], step_sizes: Sequence[float], seeds: Sequence[int]):
    """Metric rows and replica rows of the wanted replicas, as two DataFrames in replica order, time order within.

    The replica rows carry the statistics of their schedule as JSON.
    """
    import json

    import pandas as pd

    order = {replica: index for index, replica in enumerate(itertools.product(step_sizes, seeds))}
    curves = pd.concat([trajectory.metrics for trajectory in trajectories], ignore_index=True)
    runs = pd.concat(
        [
            pd.DataFrame(trajectory.replicas).assign(statistics=json.dumps(trajectory.statistics))
            for trajectory in trajectories
        ],
        ignore_index=True,
    )
    return tuple(in_replica_order(table, order) for table in (curves, runs))


def in_replica_order(table, order: dict):
    positions = [order.get(replica, -1) for replica in zip(table["step_size"], table["seed"], strict=True)]
    table = table.assign(replica=np.array(positions, dtype=np.int64))
    table = table[table["replica"] >= 0].sort_values("replica", kind="stable")
    return table.drop(columns="replica").drop_duplicates().reset_index(drop=True)


class StoredRuns:
    """The runs of one method on one case: simulated where the store lacks them.

    Args:
        settings: of the case, as `settings.case_settings` gives them.
        method: short name.
        device: cpu or cuda.
        path_to_dataset, path_to_partition: what the rules `dataset` and `partition` made, or None.
        path_to_store: folder of finished runs.
    """

    def __init__(
        self,
        settings: dict,
        method: str,
        device: str,
        path_to_dataset: str | None,
        path_to_partition: str | None,
        path_to_store: str,
    ):
        self.settings, self.method, self.device, self.path_to_store = settings, method, device, path_to_store
        self.times = build_compute_times(settings["compute_times"])
        self.problem = build_problem(settings, self.times.num_workers, path_to_dataset, path_to_partition)
        self.data = data_key(path_to_partition) if PROBLEMS[settings["problem"]["kind"]].on_data else None

    def __call__(self, role, backend, options, steps, schedule_seed, seeds, report) -> Rows:
        """Rows of the runs; see `training.Runs`."""
        from rasgd.simulation.simulate import simulate

        arguments = {
            "until": self.settings["until"],
            "eval_every": self.settings[role]["eval_every"],
            "schedule_seed": schedule_seed,
            "backend": backend,
            "backend_options": self.settings["backends"][backend],
            "step_size_decay": self.settings.get("step_size_decay"),
            "device": self.device,
            "measure_weights": role == "reporting",
        }
        key = arguments | {
            "problem": {"settings": self.settings["problem"], "data": self.data},
            "compute_times": self.settings["compute_times"],
            "method": self.method,
            "options": options,
            "source": case_hash(self.settings, self.method, backend),
            "versions": [version("torch"), version("numpy")],
        }

        def compute(some_steps: list[float], some_seeds: list[int]) -> Trajectory:
            return simulate(
                self.problem, self.method, self.times, some_steps, some_seeds, progress=report, **arguments, **options
            )

        curves, replicas = rows_of(stored_runs(self.path_to_store, key, steps, seeds, compute), steps, seeds)
        return Rows(*(table.assign(schedule_seed=schedule_seed) for table in (curves, replicas)))


def data_key(path_to_partition: str) -> dict:
    """Which samples every worker owns, as a hash, and the data set's name and digests."""
    from rasgd.data import partition

    part = partition.read(path_to_partition)
    digest = hashlib.sha256()
    for indices in part.indices:
        digest.update(np.int64(len(indices)).tobytes() + np.ascontiguousarray(indices, dtype=np.int64).tobytes())
    return {"partition": digest.hexdigest(), "dataset": part.dataset}
