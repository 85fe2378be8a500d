"""What came out of a run: metric rows, statistics of its schedule, optionally the trace of its arrivals."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rasgd.files import replacing

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2  # of the saved files


@dataclass
class Trajectory:
    """The result of one run over all its replicas.

    Attributes:
        columns: metric rows by column, at least time, updates, loss, grad_norm_sq, step_size, seed; one row per
            evaluation and replica. A replica's rows end before the evaluation at which it is non-finite.
        replicas: one entry per replica and column: step_size, seed, diverged_at (seconds, NaN if it did not diverge),
            collapsed (0 or 1), and metrics that are evaluated once at the end.
        statistics: of the schedule, which all replicas share; see `rasgd.simulate`.
        final_points: x at the horizon, `[num_replicas, d]`.
        metadata: method, options, problem and horizon, as plain JSON values.
        arrivals: columns time, worker, k, delay, duration of every arrival, if the run was recorded.
        single: step size and seed were single numbers, so `final_point` is one vector.
    """

    columns: dict[str, np.ndarray]
    replicas: dict[str, np.ndarray]
    statistics: dict[str, Any]
    final_points: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)
    arrivals: dict[str, np.ndarray] | None = None
    single: bool = False

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per evaluation and replica."""
        import pandas as pd

        return pd.DataFrame(self.columns)

    @property
    def final_point(self) -> np.ndarray:
        """x at the horizon: `[d]`, or `[num_replicas, d]` when step_size or seed is a sequence."""
        return self.final_points[0] if self.single else self.final_points

    @property
    def effective_weights(self) -> np.ndarray | None:
        """Share of every worker in the sum of all steps, `[n]`; None for a method that is not linear in gradients."""
        weights = self.statistics["effective_weights"]
        return None if weights is None else np.asarray(weights)

    @property
    def total_step(self) -> np.ndarray | None:
        """Sum of all steps up to every evaluation, in units of γ, `[num_evaluations]`; None as for the weights."""
        steps = self.statistics["total_step"]
        return None if steps is None else np.asarray(steps)

    @property
    def idle_seconds(self) -> np.ndarray:
        """Seconds every worker had nothing to do, `[n]`."""
        return np.asarray(self.statistics["idle_seconds"])

    @property
    def wasted_gradients(self) -> int:
        """Arrivals the method ignored plus jobs aborted after more than 0 seconds."""
        return self.statistics["wasted_gradients"]

    @property
    def server_vectors(self) -> int:
        """Largest number of d-vectors the server held beside x, queued points included."""
        return self.statistics["server_vectors"]

    @property
    def trace(self) -> pd.DataFrame:
        """Every arrival in order: time, worker, k, delay, duration. Its `attrs` describe the run, for `rasgd.replay`.

        Raises:
            ValueError: if the run was not recorded.
        """
        import pandas as pd

        if self.arrivals is None:
            raise ValueError("this run has no trace; run it with record=True")
        trace = pd.DataFrame(self.arrivals)
        trace.attrs["rasgd"] = self.metadata
        return trace

    def save(self, path: str | os.PathLike) -> None:
        """Writes the metric rows as Parquet, everything else in the schema's metadata.

        Raises:
            ValueError: if the file cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        description = {
            "format": FORMAT,
            "replicas": {name: values.tolist() for name, values in self.replicas.items()},
            "statistics": self.statistics,
            "metadata": self.metadata,
            "arrivals": None
            if self.arrivals is None
            else {name: values.tolist() for name, values in self.arrivals.items()},
            "single": self.single,
            "final_points": {"dtype": str(self.final_points.dtype), "shape": self.final_points.shape},
        }
        description = json.dumps(description).encode()
        points = self.final_points.tobytes()
        parts = {b"rasgd": description, b"final_points": points, b"digest": digest(self.columns, description, points)}
        with replacing(path) as temporary:
            pq.write_table(pa.table(self.columns).replace_schema_metadata(parts), temporary, compression="zstd")


def plain(value):
    """A method's option as a JSON value, as metadata hold it."""
    if isinstance(value, np.ndarray | np.generic | range):
        return np.asarray(value).tolist()
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def digest(columns: dict[str, np.ndarray], description: bytes, points: bytes) -> bytes:
    """Check sum of all that a file holds: Parquet itself does not notice most damaged bytes."""
    total = hashlib.sha256(description + points)
    for name, values in columns.items():
        total.update(f"{name} {values.dtype} {len(values)} ".encode())
        total.update(np.ascontiguousarray(values))
    return total.hexdigest().encode()


def read_trajectory(path: str | os.PathLike) -> Trajectory:
    """Reads what `Trajectory.save` wrote.

    Raises:
        ValueError: if the file is missing, damaged, not a saved trajectory or of another version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = {name: table.column(name).to_numpy().copy() for name in table.column_names}
        parts = table.schema.metadata or {}
        description = json.loads(parts[b"rasgd"])
        if (
            description["format"] == FORMAT
            and digest(columns, parts[b"rasgd"], parts[b"final_points"]) != parts[b"digest"]
        ):
            raise ValueError("check sum differs")
    except FileNotFoundError:
        raise ValueError(f"trajectory file {path} does not exist") from None
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{path} is damaged or not a trajectory file ({reason})") from None
    if description["format"] != FORMAT:
        raise ValueError(f"{path} was written by another version of rasgd, make it again")
    arrivals, points = description["arrivals"], description["final_points"]
    return Trajectory(
        columns=columns,
        replicas={name: np.asarray(values) for name, values in description["replicas"].items()},
        statistics=description["statistics"],
        final_points=np.frombuffer(parts[b"final_points"], points["dtype"]).reshape(points["shape"]).copy(),
        metadata=description["metadata"],
        arrivals=None if arrivals is None else {name: np.asarray(values) for name, values in arrivals.items()},
        single=description["single"],
    )


def merge(trajectories: list[Trajectory]) -> Trajectory:
    """One trajectory of runs that share a schedule and differ in their replicas; statistics are the first one's."""
    first = trajectories[0]
    if len(trajectories) == 1:
        return first
    return Trajectory(
        columns={name: np.concatenate([t.columns[name] for t in trajectories]) for name in first.columns},
        replicas={name: np.concatenate([t.replicas[name] for t in trajectories]) for name in first.replicas},
        statistics=first.statistics,
        final_points=np.concatenate([t.final_points for t in trajectories]),
        metadata=first.metadata,
        arrivals=first.arrivals,
        single=False,
    )
