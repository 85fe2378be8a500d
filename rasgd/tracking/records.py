"""What MLflow is told about one experiment: plain records, one for each of its runs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rasgd import methods
from rasgd.summaries import weight_error

FORMAT = 1  # of the records; a change imports everything anew
# An import takes about 0.1 ms for every value of a curve, so an experiment's curves share a budget of values.
VALUES_PER_EXPERIMENT = 45_000
FEWEST_POINTS, MOST_POINTS = 30, 120  # of a curve
RUNS_PER_COMPARISON = 100  # MLflow's page loads no more at once
# Columns that say which run a row belongs to; every other column of numbers is measured.
IDENTITY = (
    "case", "method", "backend", "target", "options", "log2_beta", "on_edge", "step_size", "seed", "schedule_seed"
)  # fmt: skip
NO_CURVES = (*IDENTITY, "time", "updates")


@dataclass(frozen=True)
class Record:
    """One run as MLflow shows it.

    Attributes:
        key: what the run is, the same whenever it is imported again.
        name: shown in tables and legends.
        rank: the lowest is listed first.
        params, tags: text by name.
        metrics: final values by name.
        curves: values by name, `[num_points]` each; NaN where there is none.
        steps: the number of every point's evaluation, `[num_points]`.
        seconds: simulated time of every point, `[num_points]`.
        files: logged as artifacts.
    """

    key: str
    name: str
    rank: int
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
        texts = [FORMAT, self.key, self.name, self.rank, self.params, self.tags, self.metrics, list(self.curves)]
        digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
        for values in (self.steps, self.seconds, *self.curves.values()):
            digest.update(np.ascontiguousarray(values).tobytes())
        for path in self.files:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:24]


class Tables(NamedTuple):
    """What the rule `trajectory` wrote for one method.

    Attributes:
        curves: one row per evaluation, run and target.
        runs: one row per run and target.
        grid: one row per tried point and target.
    """

    curves: pd.DataFrame
    runs: pd.DataFrame
    grid: pd.DataFrame


def read_tables(path_to_curves: str, path_to_runs: str, path_to_grid: str) -> Tables:
    """The tables of one method, with the columns that records need.

    Raises:
        ValueError: naming a file that is damaged or not what it should be.
    """
    tables = []
    for path, needed in ((path_to_curves, {"time"}), (path_to_runs, {"statistics"}), (path_to_grid, {"chosen"})):
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is damaged or no Parquet file ({' '.join(str(error).split())[:120]})") from None
        if not {"case", "method", *needed} <= set(table.columns):
            raise ValueError(f"{path} must have the columns case, method and {', '.join(needed)}")
        tables.append(table)
    return Tables(*tables)


def experiment_records(methods_tables: Sequence[Tables], tags: Sequence[dict[str, dict[str, str]]]) -> list[Record]:
    """All runs of an experiment.

    Of the step sizes that were chosen for several targets, the one for the tightest target is shown; all of them are
    in the Parquet files. So MLflow has one run per case, method, backend, seed and schedule.

    Args:
        methods_tables: one entry per method, in the order in which MLflow should list them; none of an experiment that
            is computed, not trained.
        tags: per method, provenance by backend.
    """
    if not methods_tables:
        return []
    shown = [
        Tables(tightest_target_only(tables.curves), tightest_target_only(tables.runs), tables.grid)
        for tables in methods_tables
    ]
    points = points_per_curve(shown)
    seeds = seeds_to_compare(shown)
    records = []
    for rank, (tables, tags_by_backend) in enumerate(zip(shown, tags, strict=True)):
        records += reporting_records(tables, rank, points, seeds, tags_by_backend)
        tuning_tags = next(iter(tags_by_backend.values()))  # tuning runs on the first backend
        records += tuning_records(tables.grid, len(shown) + rank, tuning_tags)
    return records


def tightest_target_only(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of every case's smallest target; all rows of a case without targets."""
    tightest = table.groupby("case")["target"].transform("min")
    return table[table["target"].isna() | (table["target"] == tightest)]


def points_per_curve(shown: Iterable[Tables]) -> int:
    """How many points of a curve are kept, so that the whole experiment keeps to its budget."""
    num_values = sum(len(tables.runs) * (1 + len(curve_columns(tables.curves))) for tables in shown)  # 1: sim_time
    return min(MOST_POINTS, max(FEWEST_POINTS, VALUES_PER_EXPERIMENT // max(1, num_values)))


def seeds_to_compare(shown: Iterable[Tables]) -> set[int]:
    """The first seeds whose runs of one case fit on MLflow's page together."""
    runs = pd.concat([tables.runs[["case", "seed"]] for tables in shown])
    per_seed = int(runs.groupby(["case", "seed"]).size().max())
    return set(sorted(runs["seed"].unique().tolist())[: max(1, RUNS_PER_COMPARISON // per_seed)])


def reporting_records(
    tables: Tables, rank: int, points: int, seeds_compared: set[int], tags: dict[str, dict[str, str]]
) -> Iterator[Record]:
    """One record per reported run of one method."""
    identity = ["case", "method", "backend", "options", "step_size", "seed", "schedule_seed"]
    curves = dict(list(tables.curves.groupby(identity, sort=False)))
    for key, rows in tables.runs.groupby(identity, sort=False):
        run = rows.iloc[0]
        mine = curves.get(key, tables.curves.iloc[:0])
        kept = thinned(len(mine), points)
        mine = mine.iloc[kept]
        seconds = mine["time"].to_numpy(dtype=np.float64)
        diverged = not math.isnan(run["diverged_at"])
        yield Record(
            key="/".join(["reporting", *(key_part(part) for part in key)]),
            name=f"{label_of(run['method'])} · {run['case']} · seed {run['seed']}",
            rank=rank,
            params=shared_params(run)
            | ({} if math.isnan(run["target"]) else {"target": f"{run['target']:g}"})
            | {"backend": run["backend"], "seed": str(run["seed"]), "schedule_seed": str(run["schedule_seed"])},
            tags={
                "role": "reporting",
                "diverged": yes_or_no(diverged),
                "collapsed": yes_or_no(run["collapsed"]),
                "on_edge_of_grid": yes_or_no(run["on_edge"]),
                **({"comparison": run["case"]} if run["seed"] in seeds_compared else {}),
                **tags[run["backend"]],
            },
            metrics=final_metrics(run) | ({"diverged_at": float(run["diverged_at"])} if diverged else {}),
            curves={"sim_time": seconds}
            | {name: mine[name].to_numpy(dtype=np.float64) for name in curve_columns(tables.curves)},
            steps=kept,
            seconds=seconds,
        )


def tuning_records(grid: pd.DataFrame, rank: int, tags: dict[str, str]) -> Iterator[Record]:
    """One record per point of the grid that was tried, with its scores and what it was chosen for."""
    for key, rows in grid.groupby(["case", "method", "options", "log2_beta"], sort=False):
        point = rows.iloc[0]
        metrics = {"log2_beta": point["log2_beta"], "num_diverged": point["diverged"], "final": point["final"]}
        metrics["num_collapsed"] = point["collapsed"]
        for target, score in zip(rows["target"], rows["score"], strict=True):
            metrics["score" if math.isnan(target) else f"score_{target:g}"] = score
        targets = rows.loc[rows["chosen"], "target"].dropna()
        yield Record(
            key="/".join(["tuning", *(key_part(part) for part in key)]),
            name=f"tuning · {label_of(point['method'])} · {point['case']} · β = 2^{point['log2_beta']:g}",
            rank=rank,
            params=shared_params(point),
            tags={
                "role": "tuning",
                "diverged": yes_or_no(point["diverged"]),
                "chosen": yes_or_no(rows["chosen"].any()),
                **({"chosen_for": ", ".join(f"{target:g}" for target in targets)} if len(targets) else {}),
                **tags,
            },
            metrics={name: float(value) for name, value in metrics.items() if math.isfinite(value)},
        )


def summary_record(files: Iterable[Path], tags: dict[str, str]) -> Record:
    """The run that carries an experiment's figures, tables and captions."""
    return Record("summary", "figures and tables", -1, {}, {"role": "summary", **tags}, files=tuple(sorted(files)))


def shared_params(row: pd.Series) -> dict[str, str]:
    """Parameters of a reported run and of a tried step size alike."""
    options = {name: str(value) for name, value in json.loads(row["options"]).items()}
    steps = {"step_size": f"{row['step_size']:.6g}", "log2_beta": f"{row['log2_beta']:g}"}
    return {"method": label_of(row["method"]), "case": row["case"], **steps, **options}


def final_metrics(run: pd.Series) -> dict[str, float]:
    """Numbers that a run has one of: those evaluated at its end, and the statistics of its schedule."""
    apart = (*IDENTITY, "diverged_at", "collapsed", "statistics")
    once = {name: float(value) for name, value in run.items() if name not in apart and is_number(value)}
    return once | schedule_metrics(json.loads(run["statistics"]))


def schedule_metrics(statistics: dict) -> dict[str, float]:
    """The single numbers among the statistics, idle seconds summed over workers, and how unequal the weights are."""
    metrics = {name: float(value) for name, value in statistics.items() if is_number(value)}
    metrics["idle_seconds"] = float(sum(statistics["idle_seconds"]))
    weights = statistics.get("effective_weights")
    if weights:
        metrics["effective_weight_error"] = weight_error(weights)
    return metrics


def thinned(count: int, most: int) -> np.ndarray:
    """Which of `count` points are kept: first and last, half of the rest evenly spaced, half at equal ratios."""
    if count <= most:
        return np.arange(count)
    even, ratios = np.linspace(0, count - 1, most // 2), np.geomspace(1, count, most // 2) - 1
    return np.unique(np.round(np.concatenate([even, ratios])).astype(np.int64))


def curve_columns(curves: pd.DataFrame) -> list[str]:
    """Columns that are drawn over time."""
    return [name for name in curves.columns if name not in NO_CURVES and pd.api.types.is_numeric_dtype(curves[name])]


def label_of(method: str) -> str:
    """The display name of a method given by short name."""
    return methods.find(method).label


def key_part(value) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)


def is_number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def yes_or_no(value) -> str:
    return "yes" if value else "no"
