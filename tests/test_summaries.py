"""The numbers behind figures and tables."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import TIMES, curves
from hypothesis import given
from hypothesis import strategies as st

from rasgd import summaries
from rasgd.summaries import time_to_target


def test_a_diverged_replica_counts_as_the_worst_from_then_on():
    rows = curves(["rescaled"], seeds=(0, 1, 2))
    rows = rows[(rows["seed"] == 0) | (rows["time"] < 20)]
    times, values = summaries.by_replica(rows, "loss")
    assert values.shape == (len(TIMES), 3)
    assert np.isfinite(values[times < 20]).all()
    assert np.isinf(values[times >= 20, 1:]).all() and np.isfinite(values[:, 0]).all()
    _, median, high = summaries.quartiles(values)
    assert np.isinf(median[times >= 20]).all() and np.isinf(high[times >= 20]).all()


def test_bands_have_the_same_times_for_every_method():
    table = pd.concat([curves(["rescaled"]), curves(["asgd"], until=20)])
    bands = summaries.band_table(table, ["case", "method"], "loss")
    assert bands.groupby("method")["time"].apply(list).map(len).tolist() == [len(TIMES)] * 2
    assert np.isinf(bands.loc[(bands["method"] == "asgd") & (bands["time"] > 20), "median"]).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_times_to_a_target_are_found_column_by_column(values, target):
    times = np.arange(len(values)) * 3.0
    columns = np.stack([values, values[::-1], np.zeros(len(values))], axis=1)
    alone = [time_to_target(times, column, target) for column in columns.T]
    assert time_to_target(times, columns, target).tolist() == alone and alone[-1] == 0.0


def test_the_first_time_below_skips_what_is_no_number():
    times = np.array([0.0, 1.0, 2.0, 3.0])
    assert summaries.first_time_below(times, np.array([5.0, np.nan, 2.0, 1.0]), 2.0) == 2.0
    assert summaries.first_time_below(times, np.full(4, np.nan), 2.0) == np.inf


def test_an_interval_of_the_mean_is_student_s():
    from scipy.stats import ttest_1samp

    values = np.random.default_rng(0).normal(size=(2, 7))
    mean, width = summaries.t_interval(values)
    for row, centre, half in zip(values, mean, width, strict=True):
        low, high = ttest_1samp(row, 0).confidence_interval(0.95)
        np.testing.assert_allclose((centre - half, centre + half), (low, high), rtol=1e-12)


def test_resampling_pairs_the_seeds_of_two_methods():
    times = np.arange(0.0, 401.0)
    decay = np.exp(-times[:, None] / np.array([10.0, 14, 20, 30]))
    slower = np.exp(-times[:, None] / (2 * np.array([10.0, 14, 20, 30])))
    first, second = (summaries.resampled_times(times, values, 0.05) for values in (decay, slower))
    # Twice as slow, seed by seed: unpaired draws would scatter the ratio over 1 to 4. Times are whole seconds and the
    # first is at least 30, so rounding both moves the ratio by at most 3/30, the window of a tenth by no more.
    assert np.abs(second / first - 2).max() < 0.2
    assert first.std() > 1


def test_a_resample_with_a_diverged_replica_never_reaches_the_target():
    times = np.arange(0.0, 101.0)
    values = np.exp(-times[:, None] / np.array([5.0, 5.0]))
    values[50:, 1] = np.inf
    samples = summaries.resampled_times(times, values, 1e-6)
    share = np.isinf(samples).mean()
    assert abs(share - 0.75) < 0.05  # 3 of 4 draws hold it; five standard errors of a share over 2000 are 0.048
    assert np.isfinite(samples).any()


def test_an_interval_holds_95_percent_of_the_samples_and_may_end_at_infinity():
    samples = np.arange(1000.0)
    low, high = summaries.interval(samples)
    assert np.mean((samples >= low) & (samples <= high)) == pytest.approx(0.95, abs=0.002)
    samples[-100:] = np.inf
    assert summaries.interval(samples)[1] == np.inf


def test_weight_error_is_half_the_distance_from_equal_shares_or_from_those_wanted():
    assert summaries.weight_error([0.25] * 4) == 0
    assert summaries.weight_error([1.0, 0.0]) == 0.5
    assert summaries.weight_error([1.0, 0.0], [0.75, 0.25]) == 0.25
    assert np.isnan(summaries.weight_error(None)) and np.isnan(summaries.weight_error(None, [0.5, 0.5]))
