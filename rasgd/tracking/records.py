"""What MLflow is told about one experiment: plain records, one for each of its runs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import methods

FORMAT = 1  # of the records; a change imports everything anew
MAX_POINTS = 120  # of a curve
# Columns that say which run a row belongs to; every other column of numbers is a metric.
IDENTITY = (
    "case", "method", "backend", "target", "options", "log2_beta", "on_edge", "step_size", "seed", "schedule_seed"
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One run as MLflow shows it.

    Attributes:
        key: what the run is, the same whenever it is imported again.
        name: shown in tables and legends.
        params, tags: text by name.
        metrics: final values by name.
        curves: values by name, `[num_points]` each; NaN where there is none.
        steps: MLflow's step of every point: the number of the evaluation, `[num_points]`.
        seconds: simulated time of every point, `[num_points]`.
        files: logged as artifacts.
    """

    key: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    steps: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    seconds: np.ndarray = field(default_factory=lambda: np.zeros(0))
    files: tuple[Path, ...] = ()

    @property
    def content_hash(self) -> str:
        """Differs when anything that MLflow would show differs."""
        texts = [FORMAT, self.key, self.name, self.params, self.tags, self.metrics, list(self.curves)]
        digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
        for values in (self.steps, self.seconds, *self.curves.values()):
            digest.update(np.ascontiguousarray(values).tobytes())
        for path in self.files:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:24]


def label_of(method: str) -> str:
    """The display name of a method given by short name."""
    return methods.find(method).label


def reporting_records(curves: pd.DataFrame, runs: pd.DataFrame, tags: dict[str, str]) -> Iterator[Record]:
    """One record per reported run, from what the rule `trajectory` wrote for one method.

    A step size that was chosen for several targets makes one run, which names them all.

    Args:
        curves, runs: metric rows, and one row per run and target.
        tags: provenance, the same for all.
    """
    identity = ["case", "method", "backend", "options", "step_size", "seed", "schedule_seed"]
    curves_of = {key: rows for key, rows in curves.groupby(identity, sort=False)}
    tightest = runs.groupby("case")["target"].min()
    for key, rows in runs.groupby(identity, sort=False):
        run = rows.iloc[0]
        mine = curves_of.get(key, curves.iloc[:0])
        mine = mine[(mine["target"] == run["target"]) | mine["target"].isna()]
        yield reporting_record(run, mine, rows["target"].tolist(), tightest[run["case"]], tags)


def reporting_record(
    run: pd.Series, rows: pd.DataFrame, targets: list[float], tightest: float, tags: dict[str, str]
) -> Record:
    label = label_of(run["method"])
    has_targets = not math.isnan(tightest)
    params = {
        "method": label,
        "case": run["case"],
        "step_size": repr(float(run["step_size"])),
        "log2_beta": f"{run['log2_beta']:g}",
        "seed": str(run["seed"]),
        "schedule_seed": str(run["schedule_seed"]),
        "backend": run["backend"],
        **option_params(run["options"]),
    }
    if has_targets:
        params["targets"] = listed(targets)
    diverged = not math.isnan(run["diverged_at"])
    run_tags = {
        "role": "reporting",
        "method_name": run["method"],
        "diverged": yes_or_no(diverged),
        "collapsed": yes_or_no(run["collapsed"]),
        "on_edge_of_grid": yes_or_no(run["on_edge"]),
        "tightest_target": yes_or_no(not has_targets or tightest in targets),
    }
    kept = thinned(len(rows))
    rows = rows.iloc[kept]
    seconds = rows["time"].to_numpy(dtype=np.float64)
    values = {name: rows[name].to_numpy(dtype=np.float64) for name in metric_columns(rows) if name != "time"}
    return Record(
        key=joined("reporting", run, ("case", "method", "backend", "options", "step_size", "seed", "schedule_seed")),
        name=f"{label} · {run['case']} · seed {run['seed']}",
        params=params,
        tags=run_tags | tags,
        metrics=final_metrics(run) | ({"diverged_at": float(run["diverged_at"])} if diverged else {}),
        curves={"sim_time": seconds, **values},
        steps=kept,
        seconds=seconds,
    )


def final_metrics(run: pd.Series) -> dict[str, float]:
    """Numbers that a run has one of: those evaluated at its end and the statistics of its schedule."""
    once = {
        name: float(run[name])
        for name in run.index
        if name not in (*IDENTITY, "diverged_at", "collapsed", "statistics") and is_number(run[name])
    }
    return once | schedule_metrics(json.loads(run["statistics"]))


def schedule_metrics(statistics: dict) -> dict[str, float]:
    """Single numbers about a schedule; lists over workers are summed up, those over delays are left out."""
    metrics = {name: float(value) for name, value in statistics.items() if is_number(value)}
    if statistics.get("idle_seconds"):
        metrics["idle_seconds"] = float(sum(statistics["idle_seconds"]))
    weights = statistics.get("effective_weights")
    if weights:
        # Largest deviation of a worker's share from 1/n, in units of 1/n.
        metrics["effective_weight_error"] = max(abs(weight * len(weights) - 1) for weight in weights)
    return metrics


def tuning_records(grid: pd.DataFrame, tags: dict[str, str]) -> Iterator[Record]:
    """One record per point of the grid that was tried, with its scores and what it was chosen for.

    Args:
        grid: one row per point and target, from what the rule `trajectory` wrote for one method.
        tags: provenance, the same for all.
    """
    for _, rows in grid.groupby(["case", "method", "options", "log2_beta"], sort=False):
        point = rows.iloc[0]
        label = label_of(point["method"])
        metrics = {"log2_beta": float(point["log2_beta"]), "step_size": float(point["step_size"])}
        for row in rows.to_dict("records"):
            suffix = "" if math.isnan(row["target"]) else f"_{row['target']:g}"
            metrics |= {f"score{suffix}": row["score"], "final": row["final"]}
        metrics |= {"num_diverged": float(point["diverged"]), "num_collapsed": float(point["collapsed"])}
        chosen = rows[rows["chosen"]]
        yield Record(
            key=joined("tuning", point, ("case", "method", "options", "log2_beta")),
            name=f"tuning {label} · {point['case']} · 2^{point['log2_beta']:g}",
            params={
                "method": label,
                "case": point["case"],
                "step_size": repr(float(point["step_size"])),
                "log2_beta": f"{point['log2_beta']:g}",
                **option_params(point["options"]),
            },
            tags={
                "role": "tuning",
                "method_name": point["method"],
                "diverged": yes_or_no(point["diverged"]),
                "chosen": yes_or_no(len(chosen)),
                **({"chosen_for": listed(chosen["target"])} if chosen["target"].notna().any() else {}),
                **tags,
            },
            metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        )


def summary_record(files: list[Path], tags: dict[str, str]) -> Record:
    """The run that carries an experiment's figures and captions."""
    return Record(
        key="summary", name="figures", params={}, tags={"role": "summary", **tags}, files=tuple(sorted(files))
    )


def thinned(count: int) -> np.ndarray:
    """Which of `count` points are kept: at most MAX_POINTS, half of them evenly spaced and half by equal ratios."""
    if count <= MAX_POINTS:
        return np.arange(count)
    half = MAX_POINTS // 2
    even, ratios = np.linspace(0, count - 1, half), np.geomspace(1, count, half) - 1
    return np.unique(np.round(np.concatenate([even, ratios])).astype(np.int64))


def metric_columns(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name not in IDENTITY and pd.api.types.is_numeric_dtype(table[name])]


def is_number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def option_params(options: str) -> dict[str, str]:
    return {name: str(value) for name, value in json.loads(options).items()}


def joined(role: str, row: pd.Series, columns: tuple[str, ...]) -> str:
    """A key that names a row: the role and what distinguishes it."""
    return "/".join([role, *(repr(float(v)) if isinstance(v, float) else str(v) for v in (row[c] for c in columns))])


def listed(values) -> str:
    return ", ".join(f"{value:g}" for value in values)


def yes_or_no(value) -> str:
    return "yes" if value else "no"
