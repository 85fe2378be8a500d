"""A schedule does not depend on the unit of time: ties, horizons and evaluation times hold for decimal seconds too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rasgd
from rasgd.backends.base import StartedJob
from rasgd.backends.processes import LATE_SECONDS
from rasgd.backends.simulator import Simulator
from rasgd.compute_times import FixedTimes
from rasgd.instants import after, latest
from rasgd.simulation.evaluation import evaluation_times
from rasgd.simulation.simulate import check_times

pytestmark = pytest.mark.filterwarnings("ignore:.*made no update")

UNITS = (0.1, 1e-3, 60.0, 1 / 3, 0.7, 1e6, 2**-40)
WHOLE = ("worker", "k", "delay")


def problem(n):
    return rasgd.Quadratic(np.eye(2), np.arange(2.0 * n).reshape(n, 2), noise_std=0.1)


def run(method, times, until, eval_every, **options):
    n = getattr(times, "num_workers", None) or len(times)
    return rasgd.simulate(problem(n), method, times, 0.05, until=until, eval_every=eval_every, record=True, **options)


def assert_same_schedule(t, expected, unit):
    """The same arrivals, evaluations and books, with every time `unit` times as long."""
    for name in WHOLE:
        assert t.arrivals[name].tolist() == expected.arrivals[name].tolist(), name
    # An arrival after m rounded additions errs by at most m·1.1e-16 of itself, and m < 900 here.
    for name in ("time", "duration"):
        np.testing.assert_allclose(t.arrivals[name], unit * expected.arrivals[name], rtol=1.1e-13)
    # Fifteen digits of a number err by at most 5e-15 of it.
    np.testing.assert_allclose(t.columns["time"], unit * expected.columns["time"], rtol=1e-14)
    assert t.columns["updates"].tolist() == expected.columns["updates"].tolist()
    for name in ("computed_gradients", "wasted_gradients", "started_jobs", "server_vectors"):
        assert t.statistics[name] == expected.statistics[name], name
    assert min(t.statistics["idle_seconds"]) >= 0
    np.testing.assert_allclose(t.idle_seconds, unit * expected.idle_seconds, rtol=1e-12, atol=1e-12 * unit)


def test_an_arrival_at_a_decimal_horizon_counts():
    t = rasgd.simulate(
        rasgd.random_quadratic(1, 3, noise=1.0, heterogeneity=0.0), "asgd", [0.1], 0.05, until=0.3, record=True
    )
    assert len(t.arrivals["time"]) == 3  # the third at 0.1 + 0.1 + 0.1 = 0.30000000000000004
    assert t.columns["updates"][-1] == 3


def test_a_horizon_of_one_decimal_gradient_is_long_enough():
    check_times(FixedTimes([0.1 + 0.2]), 1, until=0.3)
    with pytest.raises(ValueError, match="until must be at least"):
        check_times(FixedTimes([0.3001]), 1, until=0.3)


@pytest.mark.parametrize("method", rasgd.METHODS)
@settings(max_examples=12)
@given(data=st.data())
def test_a_schedule_does_not_depend_on_the_unit_of_time(method, data):
    seconds = np.array(data.draw(st.lists(st.sampled_from([1, 1, 2, 3, 4, 6, 7, 10]), min_size=1, max_size=5)))
    until = data.draw(st.integers(int(seconds.min()), 60))
    eval_every = data.draw(st.sampled_from([1, 2, 3, 7]))
    unit = data.draw(st.sampled_from(UNITS))
    options = {"abort": True, "R": 2} if method == "ringmaster" else {}
    expected = run(method, seconds * 1.0, float(until), float(eval_every), **options)
    # Written as people write them (0.3, not 3 * 0.1), and as programs compute them.
    for spelt in (lambda value: float(f"{value * unit:.15g}"), lambda value: value * unit):
        t = run(method, [spelt(tau) for tau in seconds], spelt(until), spelt(eval_every), **options)
        assert_same_schedule(t, expected, unit)
        again = rasgd.replay(problem(len(seconds)), method, t.trace)
        assert again.arrivals["time"].tolist() == t.arrivals["time"].tolist()
        assert again.final_point.tolist() == t.final_point.tolist()
        assert again.columns["updates"].tolist() == t.columns["updates"].tolist()


@given(n=st.integers(1, 2000), k=st.integers(1, 50), unit=st.sampled_from(UNITS))
def test_evaluation_times_do_not_depend_on_the_unit_of_time(n, k, unit):
    times = evaluation_times(n * unit, k * unit)
    assert len(times) == n // k + 1
    np.testing.assert_allclose(times, unit * np.arange(0, n + 1, k), rtol=1e-15)
    assert times[-1] <= n * unit
    if n % k == 0:
        assert times[-1] == n * unit  # products look for the row of the horizon


def test_times_that_rounding_alone_tells_apart_are_one_instant():
    total = 0.0
    for _ in range(100_000):
        total += 0.1
    assert total != 10_000.0
    assert not after(total, 10_000.0) and not after(10_000.0, total)
    assert after(10_000.0001, 10_000.0)
    assert latest(0.0) == 0.0


def test_the_arrivals_of_an_instant_bear_its_earliest_time_in_order_of_the_workers():
    # 0.1 + 0.1 + 0.1 is more than 0.3, so worker 1 would come first.
    t = run("asgd", [0.1, 0.3], 0.3, 0.3)
    assert t.arrivals["worker"].tolist() == [0, 0, 0, 1]
    assert t.arrivals["time"].tolist() == [0.1, 0.2, 0.3, 0.3]


def test_a_job_begun_at_an_instant_never_belongs_to_it():
    class Shrinking(rasgd.compute_times.ComputeTimes):
        mean = np.array([1.0])

        def duration(self, worker, k, start):
            return 1.0 if k == 0 else 1e-12  # less than what makes two instants one

    t = run("asgd", Shrinking(), 1.0, 1.0)
    time = t.arrivals["time"]
    assert (np.diff(time) > 0).all()
    assert 900 < len(time) < 1100  # 1e-9/1e-12 arrivals until the horizon's instant is over


def test_a_run_interrupted_within_an_instant_goes_on_within_it():
    def simulator():
        made = Simulator(problem(3), FixedTimes([0.1, 0.3, 0.3]), lambda worker, k: None)
        made.problem.gradient = lambda worker, x, sample: x
        return made

    def begin(backend, worker, k, start):
        backend.begin(StartedJob(worker, k, np.zeros(2), start))

    whole = simulator()
    for worker in range(3):
        begin(whole, worker, 0, 0.0)
    for k in (1, 2):
        begin(whole, 0, k, whole.next_finished(1.0).time)
    first = whole.next_finished(1.0)
    assert (first.worker, first.time, whole.now()) == (0, 0.3, 0.3)
    resumed = simulator()
    resumed.resume(whole.now(), [])
    for backend in (whole, resumed):
        begin(backend, 0, 3, 0.3)
    for worker in (2, 1):
        begin(resumed, worker, 0, 0.0)
    for worker in (1, 2):
        found = [backend.next_finished(0.3) for backend in (whole, resumed)]
        assert [(arrival.worker, arrival.k, arrival.time) for arrival in found] == [(worker, 0, 0.3)] * 2
    assert [backend.next_finished(0.3) for backend in (whole, resumed)] == [None, None]


@pytest.mark.parametrize("unit", [0.1, 1 / 3])
def test_recorded_decimal_times_last_as_long_as_their_recording(unit):
    seconds, until = unit * np.array([1.0, 2.0, 3.0]), 12 * unit
    trace = run("asgd", seconds, until, until).trace
    again = run("asgd", rasgd.RecordedTimes(trace), until, until)
    assert again.trace[list(WHOLE)].equals(trace[list(WHOLE)])


def test_real_processes_count_arrivals_at_decimal_horizons_and_evaluations():
    arguments = dict(until=0.6, eval_every=0.3)
    expected = run("asgd", [0.1, 0.3], **arguments)
    for time_scale in (1.0, 4.0):
        t = run("asgd", [0.1, 0.3], backend="processes", backend_options={"time_scale": time_scale}, **arguments)
        lateness = t.statistics["lateness_max_seconds"]
        if lateness < LATE_SECONDS and not any(t.statistics["overruns"]):
            break
    else:
        pytest.skip(f"this machine is too busy for a test of its clock: an arrival was late by {lateness:.2g} s")
    assert t.columns["time"].tolist() == expected.columns["time"].tolist()
    assert t.columns["updates"].tolist() == expected.columns["updates"].tolist()
    assert len(t.arrivals["time"]) == len(expected.arrivals["time"])
    assert (np.diff(t.arrivals["time"]) >= 0).all()
    assert sorted(t.arrivals["duration"].tolist()) == sorted(expected.arrivals["duration"].tolist())
    replayed = rasgd.replay(problem(2), "asgd", t.trace)
    assert replayed.columns["updates"].tolist() == t.columns["updates"].tolist()
