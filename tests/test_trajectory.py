"""Trajectories: what they hold, and that files hold the same or say that they do not."""

import os

import numpy as np
import pytest

import rasgd
from rasgd.trajectory import merge


@pytest.fixture(scope="module")
def trajectory():
    """Two step sizes, one of which diverges, two seeds, random times, its trace recorded."""
    problem = rasgd.random_quadratic(3, 3, noise=0.5, heterogeneity=1.0)
    times = rasgd.NoisyTimes([1.0, 2.0, 4.0])
    return rasgd.simulate(problem, "ca2fl", times, [0.1, 1e200], seed=[0, 3], until=30.0, record=True, K=np.int64(2))


def assert_same(one, other):
    for part in ("columns", "replicas", "arrivals"):
        ours, theirs = getattr(one, part), getattr(other, part)
        assert list(ours) == list(theirs)
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
            assert ours[name].dtype == theirs[name].dtype, name
    np.testing.assert_array_equal(one.final_points, other.final_points)
    assert one.final_points.dtype == other.final_points.dtype
    assert one.statistics == other.statistics
    assert one.metadata == other.metadata
    assert one.single == other.single


class DampedNewton2(rasgd.METHODS["asgd"]):
    label = "Somebody's own"


def test_a_run_names_its_method_by_the_short_name_also_where_it_is_ones_own():
    problem = rasgd.Quadratic(np.eye(2), np.ones((2, 2)))
    decay = {"after": 0.5, "to": 0.1}
    for short_name, method in {**rasgd.METHODS, "damped_newton2": DampedNewton2}.items():
        for step_size_decay in (None, decay):
            t = rasgd.simulate(problem, method, [1.0, 1.0], 0.1, until=4.0, step_size_decay=step_size_decay)
            assert (t.metadata["method"], t.metadata["label"]) == (short_name, method.label)


def test_metrics_have_one_row_per_evaluation_and_finite_replica(trajectory):
    rows = trajectory.metrics
    assert {"time", "updates", "loss", "grad_norm_sq", "step_size", "seed"} <= set(rows.columns)
    finite = rows[rows["step_size"] == 0.1]
    assert len(finite) == 2 * 61 and np.isfinite(finite).all(axis=None)
    diverged = rows[rows["step_size"] == 1e200]
    assert 0 < len(diverged) < 2 * 61
    assert diverged["time"].max() < trajectory.replicas["diverged_at"][2]


def test_a_replica_that_has_diverged_stays_so_even_if_its_numbers_become_finite_again():
    # F(x⁰) overflows; one step of size 1 on ½‖x‖² leads to the minimiser.
    problem = rasgd.Quadratic(np.eye(2), np.zeros((1, 2)), initial_point=[1e200, 0.0])
    t = rasgd.simulate(problem, "asgd", [1.0], [1.0], until=5.0, eval_every=1.0)
    assert t.final_points.tolist() == [[0.0, 0.0]]
    assert t.replicas["diverged_at"].tolist() == [0.0] and len(t.metrics) == 0


def test_a_file_holds_all_of_a_trajectory(trajectory, tmp_path):
    trajectory.save(tmp_path / "new" / "folder" / "run.parquet")
    read = rasgd.read_trajectory(str(tmp_path / "new" / "folder" / "run.parquet"))
    assert_same(trajectory, read)
    assert np.isnan(read.final_points[2:]).any() or np.isinf(read.final_points[2:]).any()
    read.columns["loss"][0] = 1.0  # arrays that were read can be written to, as those of a fresh run


@pytest.mark.parametrize("assignment", [(0, 1), range(2), np.array([1, 0]), [np.int64(1), np.int64(0)]])
def test_every_way_to_give_an_option_can_be_saved(assignment, tmp_path):
    problem = rasgd.random_quadratic(2, 3, noise=0.5, heterogeneity=1.0)
    t = rasgd.simulate(problem, "concurrent", [1.0, 2.0], 0.1, until=10.0, assignment=assignment)
    t.save(tmp_path / "run.parquet")
    read = rasgd.read_trajectory(tmp_path / "run.parquet")
    assert read.metadata["method_options"] == {"assignment": list(assignment)}
    assert read.arrivals is None and read.single and read.final_point.shape == (3,)


def test_single_precision_and_a_method_without_weights_survive_a_file(tmp_path):
    class Plain(rasgd.METHODS["asgd"]):
        linear = False

    rng = np.random.default_rng(0)
    problem = rasgd.Network(rng.normal(size=(20, 4)), rng.integers(0, 2, 20), np.arange(20).reshape(2, 10), (4, 2))
    t = rasgd.simulate(problem, Plain, [1.0, 2.0], 0.1, until=10.0)
    t.save(tmp_path / "run.parquet")
    read = rasgd.read_trajectory(tmp_path / "run.parquet")
    assert read.effective_weights is None
    assert read.final_point.dtype == np.float32
    np.testing.assert_array_equal(read.final_point, t.final_point)


def test_the_same_run_saved_twice_gives_the_same_bytes(trajectory, tmp_path):
    for name in ("one", "two"):
        trajectory.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_damaged_byte_never_goes_unnoticed(trajectory, tmp_path):
    path = tmp_path / "run.parquet"
    trajectory.save(path)
    whole = path.read_bytes()
    rng, unnoticed = np.random.default_rng(0), 0
    for position in rng.choice(len(whole), 250, replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read = rasgd.read_trajectory(path)
        except ValueError as refusal:
            assert str(path) in str(refusal) and "\n" not in str(refusal)
        else:  # bytes that mean nothing, such as column statistics
            assert_same(trajectory, read)
            unnoticed += 1
    assert unnoticed < 125


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused_in_one_line(trajectory, tmp_path, part):
    path = tmp_path / "run.parquet"
    trajectory.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match=r"run.parquet is damaged or not a trajectory file") as refusal:
        rasgd.read_trajectory(path)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_missing_or_something_else_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(ValueError, match=r"nowhere.parquet does not exist"):
        rasgd.read_trajectory(tmp_path / "nowhere.parquet")
    (tmp_path / "text").write_text("time,loss\n0,1\n")
    pq.write_table(pa.table({"time": [0.0]}), tmp_path / "table")
    for metadata in ({b"rasgd": b"[]"}, {b"rasgd": b"{}"}, {b"rasgd": b"no JSON"}):
        name = f"table {metadata[b'rasgd'].decode()}"
        pq.write_table(pa.table({"time": [0.0]}).replace_schema_metadata(metadata), tmp_path / name)
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match="is damaged or not a trajectory file"):
            rasgd.read_trajectory(path)
    with pytest.raises(ValueError):
        rasgd.read_trajectory(tmp_path)


def test_a_file_of_another_version_says_so(trajectory, tmp_path, monkeypatch):
    monkeypatch.setattr("rasgd.trajectory.FORMAT", 10**6)
    trajectory.save(tmp_path / "run.parquet")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="written by another version of rasgd"):
        rasgd.read_trajectory(tmp_path / "run.parquet")


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(trajectory, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    path = tmp_path / "run.parquet"
    trajectory.save(path)
    whole = path.read_bytes()

    def half_written(table, where, **_):
        with open(where, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", half_written)
    with pytest.raises(ValueError, match=r"cannot write .*run.parquet: No space left on device"):
        trajectory.save(path)
    assert path.read_bytes() == whole
    assert os.listdir(tmp_path) == ["run.parquet"]


def test_a_place_that_cannot_be_written_is_named(trajectory, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write .*file/run.parquet"):
        trajectory.save(tmp_path / "file" / "run.parquet")


def test_a_run_that_was_not_recorded_has_no_trace(trajectory):
    assert list(trajectory.trace.columns) == ["time", "worker", "k", "delay", "duration"]
    problem = rasgd.random_quadratic(2, 3, noise=0.5, heterogeneity=1.0)
    with pytest.raises(ValueError, match="record=True"):
        _ = rasgd.simulate(problem, "asgd", [1.0, 2.0], 0.1, until=5.0).trace


def test_merging_puts_replicas_one_after_the_other():
    problem = rasgd.random_quadratic(2, 3, noise=0.5, heterogeneity=1.0)
    parts = [rasgd.simulate(problem, "asgd", [1.0, 2.0], 0.1, seed=seed, until=5.0) for seed in (4, 2)]
    both = merge(parts)
    assert both.replicas["seed"].tolist() == [4, 2]
    np.testing.assert_array_equal(both.final_point, [t.final_point for t in parts])
    assert len(both.metrics) == sum(len(t.metrics) for t in parts)
    assert both.statistics == parts[0].statistics
    assert merge(parts[:1]) is parts[0]
