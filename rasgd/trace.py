"""Traces of runs as files: written as Parquet, read from Parquet or, when they come from elsewhere, from CSV."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rasgd.files import replacing
from rasgd.simulation.statistics import RECORD_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

KEY = "rasgd"  # of the description, in a table's metadata and in a DataFrame's attrs
INTEGERS = ("worker", "k", "delay")


def write_trace(trace: pd.DataFrame, path: str | os.PathLike) -> None:
    """Writes a trace as Parquet; the description of its run, `trace.attrs`, goes along.

    Args:
        trace: as in `Trajectory.trace`.
        path: ends in .parquet.

    Raises:
        ValueError: for another ending, or a path that cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if Path(path).suffix != ".parquet":
        raise ValueError(f"path of a trace to write must end in .parquet, got {path}")
    table = pa.table({name: trace[name].to_numpy() for name in trace.columns})
    table = table.replace_schema_metadata({KEY: json.dumps(trace.attrs.get(KEY, {}))})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_trace(path: str | os.PathLike) -> pd.DataFrame:
    """Reads a trace: Parquet as written by `write_trace`, or a CSV table from elsewhere.

    A CSV table has one row per gradient, in the order of arrival, with columns worker (0 … n − 1) and duration
    (seconds), and optionally k, time and delay. Without k, each worker's gradients are numbered in the order of rows.

    Returns:
        A DataFrame for `rasgd.RecordedTimes` and, if it has all the columns of `Trajectory.trace`, for `rasgd.replay`.

    Raises:
        ValueError: if the file is missing, damaged, of another kind, or lacks a column.
    """
    import pandas as pd

    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise ValueError(f"path of a trace must end in .parquet or .csv, got {path}")
    if not path.exists():
        raise ValueError(f"trace file {path} does not exist")
    try:
        trace = read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, comment="#")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a trace ({str(error).splitlines()[0]})") from None
    missing = [name for name in ("worker", "duration") if name not in trace]
    if missing:
        raise ValueError(f"{path} must have columns worker and duration, {', '.join(missing)} missing")
    if "k" not in trace:
        trace["k"] = trace.groupby("worker").cumcount()
    check_rows(trace, path)
    for name in INTEGERS:
        if name in trace:
            trace[name] = trace[name].astype(np.int64)
    columns = [name for name in RECORD_COLUMNS if name in trace]
    return trace[columns + [name for name in trace if name not in columns]]


def read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    trace = table.replace_schema_metadata(None).to_pandas()
    description = (table.schema.metadata or {}).get(KEY.encode())
    if description:
        trace.attrs[KEY] = json.loads(description)
    return trace


def check_rows(trace: pd.DataFrame, path: Path) -> None:
    """Whole numbers of at least 0 where there must be, positive finite durations, nothing left out."""
    if trace.empty:
        raise ValueError(f"{path} must hold at least one gradient, it is empty")
    for name in (*INTEGERS, "duration"):
        if name not in trace:
            continue
        try:
            values = trace[name].to_numpy(dtype=np.float64)
        except (TypeError, ValueError):
            values = np.full(len(trace), np.nan)
        bad = ~np.isfinite(values)
        bad |= values <= 0 if name == "duration" else (values < 0) | (values != np.floor(values))
        if bad.any():
            allowed = "positive finite seconds" if name == "duration" else "whole numbers of at least 0"
            row = int(np.argmax(bad))
            raise ValueError(f"{path}: column {name} must hold {allowed}, got {trace[name].iloc[row]!r} in row {row}")
