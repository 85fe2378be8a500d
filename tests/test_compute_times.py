"""Compute times: what they are on average, what they depend on, and what they refuse."""

import math
import pickle

import numpy as np
import pytest

import rasgd
from rasgd.compute_times import (
    ExponentialTimes,
    FixedTimes,
    NoisyTimes,
    PermutedTimes,
    RecordedTimes,
    as_compute_times,
    linear,
    permuted,
    square_root,
    two_speed,
)
from rasgd.simulation.fingerprint import times_fingerprint


def test_fixed_times_are_the_seconds_given():
    times = FixedTimes([1, 2.5, np.float32(3)])
    assert times.num_workers == 3 and times.mean.tolist() == [1.0, 2.5, 3.0]
    assert [times.duration(i, k, s) for i, k, s in ((0, 0, 0.0), (1, 5, 2.0), (2, 100, 1e6))] == [1.0, 2.5, 3.0]
    assert times.seeded(7) is times


def test_the_named_laws_are_their_formulas():
    assert linear(4).mean.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(square_root(4).mean, [1, math.sqrt(2), math.sqrt(3), 2], rtol=1e-15)
    assert two_speed(2, 3, fast=0.5, slow=8).mean.tolist() == [0.5, 0.5, 8, 8, 8]
    assert two_speed(0, 2).mean.tolist() == [10, 10]


def test_permuted_times_are_the_same_times_in_an_order_of_the_seed():
    seconds = np.arange(1.0, 21)
    one = permuted(seconds, seed=1)
    assert sorted(one) == seconds.tolist() and one.tolist() != seconds.tolist()
    assert permuted(seconds, seed=1).tolist() == one.tolist()
    assert permuted(seconds, seed=2).tolist() != one.tolist()


def test_every_schedule_deals_permuted_times_anew_and_all_laws_alike():
    seconds = [1.0, 2.0, 4.0, 8.0]
    times = PermutedTimes(seconds)
    assert times.mean.tolist() == seconds
    orders = {tuple(times.seeded(seed).mean) for seed in range(200)}
    assert len(orders) == 24  # one is missed with probability 24·(23/24)²⁰⁰ = .005, and the seeds are fixed
    dealt, noisy = times.seeded(5), PermutedTimes(NoisyTimes(seconds)).seeded(5)
    assert [dealt.duration(worker, 7, 0.0) for worker in range(4)] == dealt.mean.tolist()
    assert noisy.mean.tolist() == NoisyTimes(dealt.mean).mean.tolist()
    plain = NoisyTimes(seconds).seeded(5)
    for worker in range(4):
        assert noisy.duration(worker, 2, 0.0) == plain.duration(seconds.index(dealt.mean[worker]), 2, 0.0)


def test_a_run_on_permuted_times_is_the_run_on_the_times_of_its_schedule():
    problem = rasgd.Quadratic(np.eye(2), np.arange(6.0).reshape(3, 2), noise_std=0.1)
    times = PermutedTimes([1.0, 2.0, 4.0])
    run = rasgd.simulate(problem, "rescaled", times, 0.1, until=20.0, schedule_seed=4)
    same = rasgd.simulate(problem, "rescaled", times.seeded(4).mean, 0.1, until=20.0)
    assert times.seeded(4).mean.tolist() != times.mean.tolist()
    assert np.array_equal(run.final_point, same.final_point)
    assert run.statistics["arrivals"] == same.statistics["arrivals"]


@pytest.mark.parametrize("base", [1.0, 7.0, 100.0])
def test_noisy_times_have_the_stated_law(base):
    times, m = NoisyTimes([3.0, base]), 4000
    drawn = np.array([times.duration(1, k, 0.0) for k in range(m)])
    assert drawn.min() > base
    # i + |N(0, i)|: mean i + √(2i/π), variance i(1 − 2/π); fourth central moment of |N(0, 1)|: 3 − 4/π·(…) < 1.
    assert times.mean[1] == pytest.approx(base + math.sqrt(2 * base / math.pi), rel=1e-15)
    deviation = math.sqrt(base * (1 - 2 / math.pi))
    assert drawn.mean() == pytest.approx(times.mean[1], abs=4 * deviation / math.sqrt(m))
    assert drawn.std() == pytest.approx(deviation, rel=4 * 0.87 / math.sqrt(m))
    # The whole distribution: Kolmogorov–Smirnov against 2Φ(y) − 1, 99.9 % quantile 1.95/√m.
    order = np.sort((drawn - base) / math.sqrt(base))
    cumulative = np.array([math.erf(y / math.sqrt(2)) for y in order])
    assert np.abs(cumulative - np.arange(1, m + 1) / m).max() < 1.95 / math.sqrt(m)


@pytest.mark.parametrize("mean", [0.5, 1.0, 16.0])
def test_exponential_times_have_the_stated_law(mean):
    times, m = ExponentialTimes([3.0, mean]).seeded(1), 4000
    assert times.mean.tolist() == [3.0, mean]
    drawn = np.array([times.duration(1, k, 0.0) for k in range(m)])
    # The standard deviation is the mean; the sample's squared one errs by √((9 − 1)/m), its fourth moment being 9.
    assert drawn.mean() == pytest.approx(mean, rel=4 / math.sqrt(m))
    assert drawn.var() == pytest.approx(mean**2, rel=4 * math.sqrt(8 / m))
    # The whole distribution: Kolmogorov–Smirnov against 1 − exp(−y), 99.9 % quantile 1.95/√m.
    cumulative = 1 - np.exp(-np.sort(drawn) / mean)
    assert np.abs(cumulative - np.arange(1, m + 1) / m).max() < 1.95 / math.sqrt(m)


DRAWN = pytest.mark.parametrize("law", [NoisyTimes, ExponentialTimes])


@DRAWN
def test_a_drawn_time_depends_on_seed_worker_and_k_alone(law):
    times = law([2.0, 2.0]).seeded(4)
    table = {(i, k): times.duration(i, k, start=k * 3.0) for k in range(50) for i in range(2)}
    assert len(set(table.values())) == 100
    fresh = law([2.0, 2.0]).seeded(4)
    assert all(table[i, k] == fresh.duration(i, k, start=0.0) for i, k in reversed(table))
    longer = law([2.0, 2.0, 9.0]).seeded(4)
    assert all(table[i, k] == longer.duration(i, k, start=0.0) for i, k in table)
    other = times.seeded(5)
    assert all(table[i, k] != other.duration(i, k, start=0.0) for i, k in table)
    assert all(table[i, k] == times.duration(i, k, start=0.0) for i, k in table)  # seeding left it alone


@DRAWN
def test_the_runs_schedule_seed_alone_decides_what_times_it_draws(law):
    problem = rasgd.random_quadratic(2, 3, noise=0.0, heterogeneity=1.0)

    def trace(times, schedule_seed):
        return rasgd.simulate(problem, "asgd", times, 0.1, until=20.0, schedule_seed=schedule_seed, record=True).trace

    times = law([1.0, 2.0])
    drawn = trace(times, 3)
    assert all(times.seeded(3).duration(row.worker, row.k, 0.0) == row.duration for row in drawn.itertuples())
    assert drawn.equals(trace(times.seeded(8), 3)) and not drawn.equals(trace(times, 4))
    with pytest.raises(TypeError, match="schedule_seed"):  # it would have no say
        law([1.0, 2.0], schedule_seed=8)
    with pytest.raises(ValueError, match="schedule_seed must be a whole number of at least 0, got -1"):
        times.seeded(-1)


@DRAWN
def test_drawn_times_travel_to_worker_processes(law):
    times = law([1.0, 2.0]).seeded(3)
    times.duration(0, 0, 0.0)
    travelled = pickle.loads(pickle.dumps(times))
    assert [travelled.duration(1, k, 0.0) for k in range(40)] == [times.duration(1, k, 0.0) for k in range(40)]
    problem = rasgd.random_quadratic(2, 3, noise=0.1, heterogeneity=1.0)
    real = rasgd.simulate(
        problem, "rescaled", law([1.0, 2.0]), 0.05, until=10.0, schedule_seed=3, backend="processes", record=True,
        backend_options={"time_scale": 0.01},
    )  # fmt: skip
    # A real worker takes the seconds that it was told to, and what its computer adds; clocks may differ by a little.
    assert all(row.duration > 0.99 * times.duration(row.worker, row.k, 0.0) for row in real.trace.itertuples())
    assert np.array_equal(rasgd.replay(problem, "rescaled", real.trace).final_points, real.final_points)


def test_two_laws_of_the_same_mean_are_told_apart():
    laws = [FixedTimes([2.0]), NoisyTimes([1.0]), ExponentialTimes([2.0]), ExponentialTimes([2.0]).seeded(1)]
    prints = [times_fingerprint(law, 10.0) for law in laws]
    assert all(one != other for i, one in enumerate(prints) for other in prints[:i])


TRACE = {"worker": [1, 0, 0, 1], "k": [0, 0, 2, 1], "duration": [3.0, 1.0, 2.0, 5.0], "time": [3.0, 1.0, 4.0, 8.0]}


def test_recorded_times_are_looked_up_by_worker_and_k():
    times = RecordedTimes(TRACE)
    assert times.num_workers == 2 and times.mean.tolist() == [1.5, 4.0]
    assert times.duration(0, 0, 0.0) == 1.0 and times.duration(0, 2, 2.0) == 2.0
    assert times.duration(1, 0, 0.0) == 3.0 and times.duration(1, 1, 3.0) == 5.0
    assert times.duration(0, 1, 1.0) == 2.0  # a gradient that left no duration takes the worker's next one


def test_recorded_times_that_run_out_say_so_or_start_again():
    with pytest.raises(ValueError, match=r"no duration for gradient 3 of worker 0.*after='repeat'"):
        RecordedTimes(TRACE).duration(0, 3, 2.0)
    repeated = RecordedTimes(TRACE, after="repeat")
    assert repeated.duration(0, 3, 2.0) in (1.0, 2.0) and repeated.duration(1, 2, 9.0) == 3.0


def test_a_run_beyond_the_recording_is_refused():
    problem = rasgd.random_quadratic(2, 3, noise=0.0, heterogeneity=1.0)
    trace = rasgd.simulate(problem, "asgd", [1.0, 2.0], 0.1, until=20.0, record=True).trace
    with pytest.raises(ValueError, match="until must be at most 20 seconds"):
        rasgd.simulate(problem, "asgd", RecordedTimes(trace), 0.1, until=21.0)
    t = rasgd.simulate(problem, "asgd", RecordedTimes(trace, after="repeat"), 0.1, until=40.0)
    assert t.statistics["arrivals"] == [40, 20]


def test_a_trace_of_a_run_is_a_table_of_recorded_times():
    problem = rasgd.random_quadratic(2, 3, noise=0.0, heterogeneity=1.0)
    t = rasgd.simulate(problem, "asgd", NoisyTimes([1.0, 2.0]), 0.1, until=20.0, record=True)
    times = RecordedTimes(t.trace)
    for row in t.trace.itertuples():
        assert times.duration(row.worker, row.k, 0.0) == row.duration


def test_seconds_per_worker_become_fixed_times_and_compute_times_stay_what_they_are():
    assert isinstance(as_compute_times([1, 2]), FixedTimes)
    noisy = NoisyTimes([1.0])
    assert as_compute_times(noisy) is noisy


@pytest.mark.parametrize("law", [FixedTimes, NoisyTimes, ExponentialTimes])
@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ([1.0, 0.0], "0.0 for worker 1"), ([-1.0], "-1.0 for worker 0"), ([1.0, math.nan], "nan for worker 1"),
        ([math.inf], "inf"), ([], "non-empty"), ([[1.0, 2.0]], r"\(1, 2\)"), (["1", "2"], "'1'"), (None, "None"),
        ([True, True], "True"), ([1.0, [2.0]], "one per worker"), ({0: 1.0}, "one per worker"), ([1 + 0j], "1"),
        ([10**400], "one per worker"), ("12", "'12'"),
    ],
)  # fmt: skip
def test_seconds_that_are_not_positive_numbers_are_refused(law, seconds, said):
    with pytest.raises(ValueError, match=f"^compute_times must be .*{said}") as refusal:
        law(seconds)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [
        {"worker": [0, 0, 0, -1]}, {"worker": [0, 0, 0, 0.5]}, {"worker": [0, 0, 0, 2]}, {"k": [0, 0, 2]},
        {"k": [0, 0, -2, 1]}, {"k": [0, 0, 0, 1]}, {"duration": [1.0, 2.0, 0.0, 3.0]}, {"duration": ["a"] * 4},
        {"duration": [1.0, 2.0, math.nan, 3.0]}, {"worker": [], "k": [], "duration": []}, {"worker": None},
    ],
)  # fmt: skip
def test_a_trace_that_is_no_table_of_durations_is_refused(change):
    with pytest.raises(ValueError, match=r"^trace must ") as refusal:
        RecordedTimes({**TRACE, **change})
    assert "\n" not in str(refusal.value)


def test_a_missing_column_and_an_unknown_way_to_go_on_are_named():
    with pytest.raises(ValueError, match="columns worker, k, duration"):
        RecordedTimes({"worker": [0], "k": [0]})
    with pytest.raises(ValueError, match=r"trace must be a table.*None"):
        RecordedTimes(None)
    with pytest.raises(ValueError, match="after must be 'stop' or 'repeat', got 'begin'"):
        RecordedTimes(TRACE, after="begin")


@pytest.mark.parametrize(
    "make", [lambda: linear(0), lambda: linear(2.5), lambda: square_root("4"), lambda: two_speed(-1, 2)]
)
def test_a_number_of_workers_that_is_none_is_refused(make):
    with pytest.raises(ValueError, match=r"^num_.* must be a whole number"):
        make()


class Law(rasgd.ComputeTimes):
    """Fixed times of two workers that give whatever a test asks for."""

    def __init__(self, given=1.0, mean=(1.0, 2.0)):
        self.mean, self.given = np.array(mean), given

    def duration(self, worker, k, start):
        return self.given


@pytest.mark.parametrize("given", [0, -1.0, math.nan, None, "1"])
def test_a_law_that_gives_no_positive_seconds_is_told_so_in_one_line(given):
    problem = rasgd.random_quadratic(num_workers=2, dim=2, noise=0.0, heterogeneity=1.0)
    with pytest.raises(ValueError, match=r"Law\.duration must be a positive number of seconds, got .* of worker 0"):
        rasgd.simulate(problem, "asgd", Law(given), 0.1, until=5.0)


def test_means_of_a_law_are_checked_like_given_times():
    problem = rasgd.random_quadratic(num_workers=2, dim=2, noise=0.0, heterogeneity=1.0)
    with pytest.raises(ValueError, match="compute_times must be positive finite seconds, got nan for worker 1"):
        rasgd.simulate(problem, "asgd", Law(mean=[1.0, math.nan]), 0.1, until=5.0)
    broken = Law()
    broken.mean = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"Law\.mean must be an array"):
        rasgd.simulate(problem, "asgd", broken, 0.1, until=5.0)


def test_a_run_in_which_nothing_arrives_says_that_no_update_was_made():
    problem = rasgd.random_quadratic(num_workers=1, dim=2, noise=0.0, heterogeneity=0.0)
    with pytest.warns(UserWarning, match="made no update"):
        t = rasgd.simulate(problem, "asgd", Law(50.0, [1.0]), 0.1, until=5.0)
    assert t.statistics["num_updates"] == 0 and t.statistics["effective_weights"] is None
