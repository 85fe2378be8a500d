"""An interrupted run goes on where it stopped, to the same bits."""

import signal

import numpy as np
import pytest
import torch

import rasgd
from rasgd.methods import METHODS
from rasgd.simulation.checkpoint import packed

ARGUMENTS = dict(step_size=[0.01, 0.05], seed=[0, 1], until=40.0, eval_every=4.0, record=True)
OPTIONS = {"ringmaster": {"R": 3, "abort": True}, "ringleader": {"restart": "current"}, "malenia": {"S": 9}}


def quadratic(kind=rasgd.Quadratic):
    drawn = rasgd.random_quadratic(5, 8, noise=1.0, heterogeneity=0.5)
    return kind(drawn.A, drawn.b, noise_std=drawn.noise_std, initial_point=drawn.x0)


class Interrupted(rasgd.Quadratic):
    """Sends its own process a signal while it computes a gradient; five tell beforehand which problem it is."""

    signal = signal.SIGTERM
    countdown = 25

    def gradient(self, worker, x, sample):
        self.countdown -= 1
        if self.countdown == 0:
            signal.raise_signal(self.signal)
        return super().gradient(worker, x, sample)


def run(problem, method="rescaled", law=rasgd.NoisyTimes, **options):
    return rasgd.simulate(problem, method, law([1, 1, 2, 3, 5]), **ARGUMENTS | options)


def assert_same(one, other):
    assert np.array_equal(one.final_points, other.final_points)
    assert one.metrics.equals(other.metrics)
    assert one.trace.equals(other.trace)
    assert one.statistics == other.statistics
    assert one.metadata == other.metadata


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_simulation_equals_the_uninterrupted_one_bit_for_bit(tmp_path, method):
    path, options = tmp_path / "run.checkpoint", OPTIONS.get(method, {})
    with pytest.raises(SystemExit) as stopped:
        run(quadratic(Interrupted), method, checkpoint=path, **options)
    assert stopped.value.code == 128 + signal.SIGTERM
    arrivals = len(torch.load(path, weights_only=True)["run"]["record"]["time"])
    assert arrivals == 20  # the method has handled the arrival during which the signal came
    assert_same(run(quadratic(), method, checkpoint=path, **options), run(quadratic(), method, **options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("law", [rasgd.FixedTimes, rasgd.ExponentialTimes])
def test_a_run_under_any_law_of_compute_times_goes_on_as_it_would_have(tmp_path, law):
    with pytest.raises(SystemExit):
        run(quadratic(Interrupted), law=law, checkpoint=tmp_path / "run.checkpoint")
    assert_same(run(quadratic(), law=law, checkpoint=tmp_path / "run.checkpoint"), run(quadratic(), law=law))


def test_a_run_that_is_interrupted_again_and_again_ends_the_same(tmp_path):
    path = tmp_path / "run.checkpoint"
    for _ in range(3):
        problem = quadratic(Interrupted)
        problem.countdown = 5 + 8
        with pytest.raises(SystemExit):
            run(problem, "shuffled", checkpoint=path)
    assert_same(run(quadratic(), "shuffled", checkpoint=path), run(quadratic(), "shuffled"))


def test_finished_passes_are_kept(tmp_path):
    path, problem = tmp_path / "run.checkpoint", quadratic(Interrupted)
    problem.countdown = 5 + 100  # within the second pass
    with pytest.raises(SystemExit):
        run(problem, checkpoint=path, replicas_per_pass=2)
    assert len(torch.load(path, weights_only=True)["finished"]) == 1
    assert_same(run(quadratic(), checkpoint=path, replicas_per_pass=2), run(quadratic(), replicas_per_pass=2))


class InterruptedAtTheEnd(rasgd.Quadratic):
    """Sends its own process a signal while it evaluates the final points."""

    def evaluate_finally(self, x):
        signal.raise_signal(signal.SIGTERM)
        return super().evaluate_finally(x)


@pytest.mark.parametrize("replicas_per_pass", [2, 4])
def test_a_signal_after_the_last_arrival_ends_the_call_and_loses_nothing(tmp_path, replicas_per_pass):
    path, options = tmp_path / "run.checkpoint", {"replicas_per_pass": replicas_per_pass}
    with pytest.raises(SystemExit) as stopped:
        run(quadratic(InterruptedAtTheEnd), checkpoint=path, **options)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert len(torch.load(path, weights_only=True)["finished"]) == 1
    assert_same(run(quadratic(), checkpoint=path, **options), run(quadratic(), **options))
    assert not path.exists()


def test_an_interrupt_from_the_keyboard_is_passed_on_and_handlers_are_restored(tmp_path):
    problem, before = quadratic(Interrupted), signal.getsignal(signal.SIGINT)
    problem.signal = signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        run(problem, checkpoint=tmp_path / "run.checkpoint")
    assert (tmp_path / "run.checkpoint").exists()
    assert signal.getsignal(signal.SIGINT) == before


def test_checkpoints_are_written_now_and_then(tmp_path, monkeypatch):
    from rasgd.simulation.checkpoint import Checkpoints

    saved, save = [], Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", lambda self, state: (saved.append(state), save(self, state)))
    t = run(quadratic(), until=2000.0, eval_every=1000.0, checkpoint=tmp_path / "run.checkpoint", checkpoint_every=0.01)
    assert len(saved) >= 2  # 2000 s of five workers take well over 0.1 s
    assert_same(t, run(quadratic(), until=2000.0, eval_every=1000.0))


def test_a_checkpoint_of_another_call_is_refused(tmp_path):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(SystemExit):
        run(quadratic(Interrupted), checkpoint=path)
    with pytest.raises(ValueError, match=r"belongs to another call: seeds was \[0, 1\], got \[0, 2\]"):
        run(quadratic(), checkpoint=path, seed=[0, 2])
    with pytest.raises(ValueError, match="belongs to another call: method was"):
        run(quadratic(), "asgd", checkpoint=path)
    with pytest.raises(ValueError, match="belongs to another call: replicas_per_pass was 4, got 2"):
        run(quadratic(), checkpoint=path, replicas_per_pass=2)


def other_problem(change):
    drawn = quadratic()
    parts = {"A": drawn.A, "b": drawn.b, "noise_std": drawn.noise_std, "initial_point": drawn.x0}
    parts |= {name: changed(parts[name]) for name, changed in change.items()}
    return rasgd.Quadratic(parts.pop("A"), parts.pop("b"), **parts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": lambda A: 2 * A}, "whose loss is"),
        ({"b": lambda b: b + 1}, "whose loss is"),
        ({"b": lambda b: torch.as_tensor(b).flip(0)}, "whose worker 0 has a first gradient of norm"),
        ({"noise_std": lambda std: 5 * std}, "whose worker 0 has a first gradient of norm"),
    ],
)
def test_a_checkpoint_and_a_trace_of_another_problem_are_refused(tmp_path, change, message):
    """Also where the loss at x⁰ is zero for all of them."""
    at_zero = {"initial_point": torch.zeros_like}
    path, problem = tmp_path / "run.checkpoint", other_problem(at_zero)
    interrupted = Interrupted(problem.A, problem.b, noise_std=problem.noise_std)
    with pytest.raises(SystemExit):
        run(interrupted, checkpoint=path)
    with pytest.raises(ValueError, match=f"another problem.*{message}") as caught:
        run(other_problem(at_zero | change), checkpoint=path)
    assert "\n" not in str(caught.value)
    trace = run(problem, checkpoint=path).trace
    with pytest.raises(ValueError, match=f"problem must be the recorded one, {message}"):
        rasgd.replay(other_problem(at_zero | change), "rescaled", trace)


def test_a_checkpoint_of_other_compute_times_with_the_same_means_is_refused(tmp_path):
    path, times = tmp_path / "run.checkpoint", rasgd.NoisyTimes([1, 1, 2, 3, 5])
    with pytest.raises(SystemExit):
        run(quadratic(Interrupted), checkpoint=path)
    with pytest.raises(ValueError, match="belongs to another call: first_durations was") as caught:
        rasgd.simulate(quadratic(), "rescaled", times.mean, checkpoint=path, **ARGUMENTS)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300 + len(str(path))


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(SystemExit):
        run(quadratic(Interrupted), checkpoint=path)
    whole = path.read_bytes()
    for broken in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="is damaged") as caught:
            run(quadratic(), checkpoint=path)
        assert "\n" not in str(caught.value)


def test_what_a_killed_writer_left_behind_is_removed(tmp_path):
    (tmp_path / ".run.checkpoint.abc").mkdir()
    (tmp_path / ".run.checkpoint.abc" / "run.checkpoint").write_bytes(b"half")
    run(quadratic(), checkpoint=tmp_path / "run.checkpoint")
    assert list(tmp_path.iterdir()) == []


class Hoarder(rasgd.METHODS["asgd"]):
    label = "Hoarder"

    def receive(self, arrival):
        self.seen = {arrival.worker}  # a set is none of the things that method state may be
        return super().receive(arrival)


def test_state_that_cannot_be_kept_is_named(tmp_path):
    with pytest.raises(ValueError, match="attribute seen must be made of tensors"):
        run(quadratic(Interrupted), Hoarder, checkpoint=tmp_path / "run.checkpoint")


def test_numbers_of_numpy_are_kept_as_plain_ones(tmp_path):
    state = packed("state", {"scale": [np.float64(0.5), (np.int64(3), None)], "table": torch.ones(2)})
    torch.save(state, tmp_path / "state")
    assert torch.load(tmp_path / "state", weights_only=True)["scale"] == [0.5, (3, None)]
    assert type(state["scale"][0]) is float
