"""Tables as the rule `trajectory` writes them, small enough to follow by hand."""

import json
import math

import pandas as pd

from rasgd.tracking.records import Record, Tables, experiment_records

STATISTICS = {
    "effective_weights": [0.75, 0.25],
    "idle_seconds": [0.0, 1.5],
    "num_updates": 7,
    "delay_mean": 0.5,
    "delay_histogram": [3, 4],
    "server_vectors": 2,
}


def tables(method="rescaled", seeds=(0, 1), targets=(0.1, 0.01), times=8, diverged=(), step=0.5) -> Tables:
    """What the rule `trajectory` writes for one method; the tighter a target, the smaller the step chosen for it."""
    shared = {"case": "noisy", "method": method, "backend": "simulator", "options": '{"S": 4}', "log2_beta": -3.0}
    runs, curves, grid = [], [], []
    for target in targets:
        size = step if math.isnan(target) else step * target
        for seed in seeds:
            run = shared | {"target": target, "step_size": size, "seed": seed, "schedule_seed": 0, "on_edge": False}
            end = 2 if seed in diverged else times
            runs.append(
                run
                | {"collapsed": 0, "diverged_at": 2.0 if seed in diverged else math.nan, "test_accuracy": 0.9}
                | {"statistics": json.dumps(STATISTICS)}
            )
            curves += [
                run | {"time": 2.0 * k, "updates": k, "loss": 1 / (k + 1 + seed), "grad_norm_sq": 2.0 ** (-k - seed)}
                for k in range(end)
            ]
        for index, score in enumerate((5.0, math.inf)):
            point = {"case": "noisy", "method": method, "target": target, "options": '{"S": 4}', "log2_beta": -index}
            numbers = {"step_size": 2.0**-index, "score": score, "final": 0.1, "diverged": 0, "collapsed": 0}
            grid.append(point | numbers | {"chosen": index == 0})
    return Tables(*(pd.DataFrame(rows) for rows in (curves, runs, grid)))


def records_of(*methods_tables: Tables, tags=None) -> list[Record]:
    return experiment_records(methods_tables, [{"simulator": tags or {"source_hash": "abc"}}] * len(methods_tables))


def reporting(records: list[Record]) -> list[Record]:
    return [record for record in records if record.tags["role"] == "reporting"]
