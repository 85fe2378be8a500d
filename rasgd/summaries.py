"""Numbers behind figures and tables: bands over seeds, times to a target and their bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

REPLICA = ["schedule_seed", "seed"]
CONFIDENCE = 0.95
NUM_RESAMPLES = 2000


def by_replica(rows: pd.DataFrame, value: str, missing: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Evaluation times `[m]` and a metric at them for every replica, `[m, replicas]`.

    A replica that diverged has no later rows: there it counts as `missing`, the worst value.
    """
    table = rows.pivot(index="time", columns=REPLICA, values=value).sort_index(axis=1)
    return table.index.to_numpy(dtype=float), table.fillna(missing).to_numpy(dtype=float)


def quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower quartile, median and upper quartile over the last axis; infinite where an infinite value is involved."""
    with np.errstate(invalid="ignore"):
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=-1)
    return tuple(np.where(np.isnan(bound), np.inf, bound) for bound in (low, median, high))


def quartile_table(times: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """Columns time, median, lower_quartile and upper_quartile of the replicas' values `[m, replicas]`."""
    import pandas as pd

    low, median, high = quartiles(values)
    return pd.DataFrame({"time": times, "median": median, "lower_quartile": low, "upper_quartile": high})


def band_table(curves: pd.DataFrame, keys: Sequence[str], value: str, missing: float = np.inf) -> pd.DataFrame:
    """The quartiles over replicas of a metric at every evaluation, for each combination of the key columns.

    All combinations have the same times: where one has no rows, because all its replicas diverged, it counts as
    `missing`.
    """
    import pandas as pd

    times = np.sort(curves["time"].unique())
    parts = []
    for names, rows in curves.groupby(list(keys), sort=False):
        table = quartile_table(*by_replica(rows, value, missing)).set_index("time").reindex(times, fill_value=missing)
        table = table.reset_index()
        for position, (key, name) in enumerate(zip(keys, names, strict=True)):
            table.insert(position, key, name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def last_values(curves: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str], share: float) -> pd.DataFrame:
    """The mean of metrics over the last part of the horizon, one row per replica of each combination of `keys`.

    Args:
        curves: metric rows.
        keys: columns that tell runs apart besides the seeds.
        share: of the horizon, which is each case's last evaluation.

    A replica that diverged has no rows at the end: its values are nan.
    """
    columns = [*keys, *REPLICA]
    horizon = curves.groupby("case")["time"].transform("max") if "case" in keys else curves["time"].max()
    at_the_end = (curves["time"] >= horizon).groupby([curves[column] for column in columns]).transform("any")
    late = curves[(curves["time"] >= (1 - share) * horizon) & at_the_end]
    means = late.groupby(columns, sort=False)[list(metrics)].mean()
    return means.reindex(curves.groupby(columns, sort=False).size().index).reset_index()


def trailing_mean(times: np.ndarray, values: np.ndarray, share: float = 0.1) -> np.ndarray:
    """At every time t the mean of the values over [(1 − share)·t, t].

    Args:
        times: increasing, `[m]`.
        values: `[m]` or `[m, …]`, averaged along the first axis.
    """
    nothing = np.zeros_like(values[:1])
    before = np.concatenate([nothing, np.cumsum(values, axis=0)])  # sums of all earlier values
    after = np.concatenate([np.cumsum(values[::-1], axis=0)[::-1], nothing])  # and of this and all later ones
    first = np.searchsorted(times, (1 - share) * times - 1e-12 * np.abs(times))
    last = np.arange(1, len(times) + 1)
    counts = (last - first).reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore"):  # after an infinite value every mean is NaN
        # A difference of sums loses what is small beside them: behind a huge value the later sums are the better ones.
        behind_a_peak = before[last] > 1e6 * after[first]
        return np.where(behind_a_peak, after[first] - after[last], before[last] - before[first]) / counts


def first_time_below(times: np.ndarray, values: np.ndarray, target: float) -> np.ndarray | float:
    """First time at which the values are at most the target, inf where they never are; NaN counts as above.

    Args:
        times: evaluation times in seconds, increasing, `[m]`.
        values: `[m]` or `[m, …]`, followed along the first axis.
    """
    reached = np.asarray(values) <= target
    return np.where(reached.any(axis=0), times[reached.argmax(axis=0)], np.inf)[()]


def time_to_target(times: np.ndarray, values: np.ndarray, target: float) -> np.ndarray | float:
    """First time at which the mean over the last tenth of elapsed time is at most the target; inf if there is none.

    Args:
        times: evaluation times in seconds, increasing, `[m]`.
        values: the metric already averaged over seeds, `[m]` or `[m, columns]`; NaN counts as above the target.
    """
    return first_time_below(times, trailing_mean(times, np.nan_to_num(values, nan=np.inf)), target)


def t_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the last axis and half its Student's t interval at `CONFIDENCE`; two values at least."""
    from scipy.stats import t as students_t

    values = np.asarray(values, dtype=float)
    count = values.shape[-1]
    quantile = students_t.ppf((1 + CONFIDENCE) / 2, count - 1)
    with np.errstate(over="ignore", invalid="ignore"):  # inf − inf after a divergence
        return values.mean(axis=-1), quantile * values.std(axis=-1, ddof=1) / np.sqrt(count)


def resampled_times(times: np.ndarray, values: np.ndarray, target: float, seed: int = 0) -> np.ndarray:
    """Times to the target of the mean over replicas drawn with replacement, `[NUM_RESAMPLES]`.

    The draws depend on nothing but `seed` and the number of replicas, so those of two methods are paired.

    Args:
        times: `[m]`.
        values: `[m, replicas]`; inf from where a replica has diverged.
    """
    num_replicas = values.shape[1]
    drawn = np.random.default_rng(seed).integers(num_replicas, size=(NUM_RESAMPLES, num_replicas))
    counts = (drawn[:, :, None] == np.arange(num_replicas)).sum(axis=1)
    huge = 1e300  # in place of inf, which would be NaN where it was not drawn
    return time_to_target(times, np.minimum(values, huge) @ (counts.T / num_replicas), target)


def weight_error(shares: Sequence[float] | None, wanted: Sequence[float] | None = None) -> float:
    """Half the summed absolute difference of the workers' shares from equal ones, or from those wanted.

    It is 0 where nothing differs and below 1 always; nan where there are no shares.
    """
    if shares is None:
        return np.nan
    wanted = [1 / len(shares)] * len(shares) if wanted is None else wanted
    return float(sum(abs(share - target) for share, target in zip(shares, wanted, strict=True)) / 2)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """The central interval that holds `CONFIDENCE` of the samples; its ends are samples, so they may be infinite."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)
