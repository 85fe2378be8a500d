"""Recorded runs replay bit for bit; traces are files; recorded times drive other methods."""

import numpy as np
import pandas as pd
import pytest

import rasgd

TIMES = [1.0, 1.37, 2.11, 3.53]


def quadratic():
    return rasgd.random_quadratic(4, 20, noise=1.0, heterogeneity=0.5)


def network():
    rng = np.random.default_rng(0)
    parts = np.array_split(np.arange(80), 4)
    return rasgd.Network(rng.normal(size=(80, 12)), rng.integers(0, 3, 80), parts, (12, 8, 3), batch_size=4)


def long_quadratic():
    """Vectors long enough to be made and lent in shared memory rather than copied."""
    rng = np.random.default_rng(1)
    A = np.stack([np.full(3000, -0.25), np.full(3000, 0.5), np.full(3000, -0.25)])
    return rasgd.Quadratic(A, rng.normal(size=(4, 3000)), noise_std=0.1)


def real_run(problem, method, **options):
    arguments = dict(step_size=[0.01, 0.03], seed=[0, 1], until=15.0, eval_every=3.0, record=True)
    return rasgd.simulate(
        problem, method, TIMES, backend="processes", backend_options={"time_scale": 0.01}, **arguments | options
    )


@pytest.mark.parametrize("problem", [quadratic(), network()], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("rescaled", {}),
        ("ringleader", {}),
        ("rennala", {"S": 3}),
        ("ringmaster", {"R": 3, "abort": True}),
        ("ca2fl", {}),
        ("shuffled", {}),
    ],
)
def test_a_real_run_replays_bit_for_bit(problem, method, options):
    real = real_run(problem, method, **options)
    again = rasgd.replay(problem, method, real.trace)
    assert real.statistics["num_updates"] > 3
    assert np.array_equal(again.final_points, real.final_points)
    assert again.metrics.equals(real.metrics)
    assert again.wasted_gradients == real.wasted_gradients
    assert np.array_equal(again.effective_weights, real.effective_weights)


@pytest.mark.parametrize("method", ["rescaled", "ringleader", "rennala", "ca2fl", "concurrent"])
def test_a_real_run_of_long_vectors_replays_bit_for_bit(method):
    real = real_run(long_quadratic(), method)
    assert np.array_equal(rasgd.replay(long_quadratic(), method, real.trace).final_points, real.final_points)


def test_a_trace_survives_its_file(tmp_path):
    real = real_run(quadratic(), "rescaled", step_size=0.01, seed=3)
    rasgd.write_trace(real.trace, tmp_path / "trace.parquet")
    again = rasgd.replay(quadratic(), "rescaled", tmp_path / "trace.parquet")
    assert again.final_point.shape == (20,)
    assert np.array_equal(again.final_point, real.final_point)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.parquet"]


def test_another_step_size_replays_as_a_simulation_of_the_same_schedule():
    arguments = dict(until=15.0, eval_every=3.0, record=True)
    recorded = rasgd.simulate(quadratic(), "ringleader", TIMES, 0.01, **arguments)
    other = rasgd.simulate(quadratic(), "ringleader", TIMES, 0.05, **arguments)
    assert rasgd.replay(quadratic(), "ringleader", recorded.trace, step_size=0.05).metrics.equals(other.metrics)


@pytest.mark.parametrize("law", [rasgd.NoisyTimes, rasgd.ExponentialTimes])
def test_recorded_times_reproduce_the_schedule_and_drive_another_method(law):
    trace = rasgd.simulate(quadratic(), "asgd", law(TIMES), 0.01, until=40.0, record=True).trace
    times = rasgd.RecordedTimes(trace)
    again = rasgd.simulate(quadratic(), "asgd", times, 0.01, until=40.0, record=True).trace
    assert np.array_equal(again.worker, trace.worker)
    assert np.array_equal(again.duration, trace.duration)
    other = rasgd.simulate(quadratic(), "minibatch", times, 0.01, until=40.0, record=True).trace
    common = other.merge(trace, on=["worker", "k"])
    assert len(common) == len(other)
    assert np.array_equal(common.duration_x, common.duration_y)
    with pytest.raises(ValueError, match="until must be at most 40 seconds"):
        rasgd.simulate(quadratic(), "asgd", times, 0.01, until=41.0)


def test_gaps_left_by_aborted_jobs_take_the_next_duration():
    times = rasgd.RecordedTimes({"worker": [0, 0, 0], "k": [1, 2, 5], "duration": [1.0, 2.0, 3.0]}, after="repeat")
    assert [times.duration(0, k, 0.0) for k in range(9)] == [1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 1.0, 2.0, 3.0]


def test_durations_that_run_out_early_stop_with_a_message():
    times = rasgd.RecordedTimes({"worker": [0, 0], "k": [0, 1], "duration": [1.0, 2.0], "time": [1.0, 9.0]})
    assert times.duration(0, 2, 9.0) == np.inf
    with pytest.raises(ValueError, match="no duration for gradient 2 of worker 0"):
        times.duration(0, 2, 3.0)


def test_a_csv_table_from_elsewhere_becomes_compute_times(tmp_path):
    (tmp_path / "cluster.csv").write_text("# nodes of last Tuesday\nworker,duration\n0,1.5\n1,2.5\n0,1.25\n")
    trace = rasgd.read_trace(tmp_path / "cluster.csv")
    assert trace.k.tolist() == [0, 0, 1]
    times = rasgd.RecordedTimes(trace, after="repeat")
    assert [times.duration(0, k, 0.0) for k in range(3)] == [1.5, 1.25, 1.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker\n0\n", "duration missing"),
        ("worker,duration\n", "must hold at least one gradient"),
        (
            "worker,duration\n0,1.0\n1,-2.0\n",
            "column duration must hold positive finite seconds, got .*-2.0.* in row 1",
        ),
        ("worker,duration\n0.5,1.0\n", "column worker must hold whole numbers"),
        ("worker,duration\nnode7,1.0\n", "column worker must hold whole numbers"),
    ],
)
def test_wrong_csv_tables_are_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "cluster.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        rasgd.read_trace(tmp_path / "cluster.csv")
    assert "\n" not in str(caught.value)


def test_damaged_and_missing_files_are_refused(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match="damaged or not a trace"):
        rasgd.read_trace(tmp_path / "broken.parquet")
    with pytest.raises(ValueError, match="does not exist"):
        rasgd.read_trace(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"must end in \.parquet or \.csv"):
        rasgd.read_trace(tmp_path / "trace.txt")


def test_a_replay_refuses_what_was_not_recorded():
    trace = rasgd.simulate(quadratic(), "asgd", TIMES, 0.01, until=15.0, record=True).trace
    with pytest.raises(ValueError, match="method must be the recorded one, Vanilla ASGD"):
        rasgd.replay(quadratic(), "minibatch", trace)
    with pytest.raises(ValueError, match="with dim 20, got 21"):
        rasgd.replay(rasgd.random_quadratic(4, 21, 1.0, 0.5), "asgd", trace)
    with pytest.raises(ValueError, match="problem must be the recorded one, whose loss is"):
        rasgd.replay(rasgd.Quadratic(quadratic().A * 2, quadratic().b, initial_point=quadratic().x0), "asgd", trace)
    old = trace.copy()
    old.attrs["rasgd"] = {name: value for name, value in trace.attrs["rasgd"].items() if name != "fingerprint"}
    with pytest.raises(ValueError, match="trace was recorded by another version of rasgd"):
        rasgd.replay(quadratic(), "asgd", old)
    with pytest.raises(ValueError, match="the description of its run"):
        rasgd.replay(quadratic(), "asgd", pd.DataFrame({name: trace[name] for name in trace}))


def test_a_run_with_falling_step_sizes_replays_bit_for_bit():
    arguments = dict(until=15.0, eval_every=3.0, record=True, step_size_decay={"after": 0.5, "to": 0.1})
    recorded = rasgd.simulate(quadratic(), "rescaled", TIMES, 0.05, **arguments)
    assert rasgd.replay(quadratic(), "rescaled", recorded.trace).metrics.equals(recorded.metrics)


EVERY_METHOD = {"ringmaster": {"R": 3, "abort": True}, "ringleader": {"restart": "current"}}


@pytest.mark.parametrize("method", rasgd.METHODS)
def test_a_replay_has_every_statistic_of_its_run_and_of_a_shorter_one(method):
    options = EVERY_METHOD.get(method, {})
    arguments = dict(compute_times=TIMES, step_size=0.01, eval_every=3.0, record=True, **options)
    long = rasgd.simulate(quadratic(), method, until=30.0, **arguments)
    again = rasgd.replay(quadratic(), method, long.trace)
    assert again.statistics == long.statistics
    assert again.metrics.equals(long.metrics)
    assert again.trace.equals(long.trace)
    short = rasgd.simulate(quadratic(), method, until=15.0, **arguments)
    again = rasgd.replay(quadratic(), method, long.trace, until=15.0)
    assert again.statistics == short.statistics
    assert again.metrics.equals(short.metrics)
    assert again.trace.equals(short.trace)
    assert rasgd.replay(quadratic(), method, again.trace).statistics == short.statistics


def test_a_replay_ends_where_the_recording_does():
    trace = rasgd.simulate(quadratic(), "asgd", TIMES, 0.01, until=15.0, record=True).trace
    with pytest.raises(ValueError, match="until must be at most the 15 seconds that were recorded, got 60"):
        rasgd.replay(quadratic(), "asgd", trace, until=60.0)


@pytest.mark.parametrize(
    ("column", "message"),
    [("k", "worker 0 was to work on its gradient 1, the trace has its gradient 7"), ("delay", "the trace says 7")],
)
def test_a_trace_that_does_not_fit_its_method_is_refused(column, message):
    trace = rasgd.simulate(quadratic(), "asgd", TIMES, 0.01, until=15.0, record=True).trace
    trace.loc[trace.index[trace.worker == 0][1], column] = 7
    with pytest.raises(ValueError, match=message):
        rasgd.replay(quadratic(), "asgd", trace)
