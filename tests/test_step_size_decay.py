"""Step sizes that fall linearly in time, on every method, both clocks, in replays and after interruptions."""

import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rasgd
from rasgd.methods import METHODS
from rasgd.simulation.step_size_decay import StepSizeDecay, checked_decay, with_decay

DECAY = {"after": 0.5, "to": 0.02}
TIMES = [1.0, 2.0, 3.0]


def quadratic(noise=0.1):
    return rasgd.random_quadratic(3, 6, noise=noise, heterogeneity=1.0)


@given(after=st.floats(0, 0.99), to=st.floats(0, 1), until=st.floats(1e-3, 1e6), share=st.floats(0, 2))
def test_the_factor_is_one_first_then_falls_linearly_and_stays(after, to, until, share):
    decay = StepSizeDecay(after, to, until)
    assert decay.factor(0.0) == 1.0
    # A few roundings of numbers up to 2, magnified by 1/(1 − after) ≤ 100.
    assert decay.factor(until) == pytest.approx(to, abs=1e-13)
    assert decay.factor(after * until) == pytest.approx(1.0, abs=1e-13)
    middle = (1 + after) / 2 * until
    assert decay.factor(middle) == pytest.approx((1 + to) / 2, abs=1e-12)
    assert to - 1e-15 <= decay.factor(share * until) <= 1.0
    assert decay.factor(10 * until) == decay.factor(2 * until)


def test_every_step_is_multiplied_by_the_factor_at_its_arrival():
    problem, until, step = quadratic(noise=0.0), 20.0, 0.1
    t = rasgd.simulate(problem, "asgd", TIMES, step, until=until, step_size_decay={"after": 0.25, "to": 0.1})
    A, b = problem.A.numpy(), problem.b.numpy()
    x = problem.x0.numpy()
    held = [x, x, x]
    for now in range(1, 21):
        for worker in range(3):
            if now % TIMES[worker] == 0:
                factor = 1.0 if now <= 5 else 1 - 0.9 * (now - 5) / 15
                x = x - step * factor * (A[worker] @ held[worker] - b[worker])
                held[worker] = x
    np.testing.assert_allclose(t.final_point, x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_a_decay_and_a_factor_of_one_changes_no_bit(method):
    runs = {
        name: rasgd.simulate(quadratic(), method, TIMES, [0.02, 0.05], seed=[0, 1], until=30.0, step_size_decay=decay)
        for name, decay in {"none": None, "one": {"after": 0.5, "to": 1}, "decay": DECAY}.items()
    }
    assert np.array_equal(runs["none"].final_points, runs["one"].final_points)
    assert not np.allclose(runs["none"].final_points, runs["decay"].final_points, rtol=1e-6)
    # Time decides, not the method: schedule, memory and waste stay what they were.
    for name in ("num_updates", "server_vectors", "wasted_gradients", "arrivals", "delay_histogram"):
        assert runs["decay"].statistics[name] == runs["none"].statistics[name]


def test_a_decay_to_zero_ends_without_a_step():
    problem = rasgd.Quadratic(np.eye(1), np.ones((1, 1)))
    decayed = rasgd.simulate(problem, "asgd", [1.0], 0.5, until=4.0, step_size_decay={"after": 0, "to": 0})
    # Steps ½·(¾, ½, ¼, 0) towards 1, of which each leaves 1 − step.
    assert decayed.final_point[0] == pytest.approx(1 - (1 - 0.375) * (1 - 0.25) * (1 - 0.125), rel=1e-15)


def test_effective_weights_count_the_steps_that_were_taken():
    problem = rasgd.Quadratic(np.eye(2), np.ones((2, 2)))
    decay = {"after": 0, "to": 0}
    weights = rasgd.simulate(problem, "asgd", [1.0, 4.0], 0.1, until=4.0, step_size_decay=decay).effective_weights
    # Worker 0 steps by 1 − t/4 at 1, 2, 3, 4 s; worker 1 at 4 s only, where nothing is left.
    np.testing.assert_allclose(weights, [1.0, 0.0], atol=1e-15)


def test_the_method_keeps_its_name_options_and_state():
    decaying = with_decay(METHODS["malenia"], StepSizeDecay(0.5, 0.1, 10.0))
    assert decaying.label == METHODS["malenia"].label
    t = rasgd.simulate(quadratic(), "malenia", TIMES, 0.1, until=30.0, S=6, step_size_decay=DECAY)
    assert (t.metadata["method"], t.metadata["method_options"]) == ("malenia", {"S": 6})
    assert with_decay(METHODS["malenia"], None) is METHODS["malenia"]


def test_metadata_tell_the_decay():
    assert rasgd.simulate(quadratic(), "asgd", TIMES, 0.1, step_size_decay=DECAY).metadata["step_size_decay"] == DECAY
    assert rasgd.simulate(quadratic(), "asgd", TIMES, 0.1).metadata["step_size_decay"] is None


@pytest.mark.parametrize("backend", ["simulator", "processes"])
def test_a_recorded_run_replays_to_the_same_bits(backend):
    options = {"backend_options": {"time_scale": 0.01}} if backend == "processes" else {}
    run = rasgd.simulate(
        quadratic(), "rescaled", TIMES, [0.05, 0.1], until=12.0, backend=backend, record=True, step_size_decay=DECAY,
        **options,
    )  # fmt: skip
    again = rasgd.replay(quadratic(), "rescaled", run.trace)
    assert np.array_equal(again.final_points, run.final_points)
    assert again.statistics["effective_weights"] == run.statistics["effective_weights"]
    shorter = rasgd.replay(quadratic(), "rescaled", run.trace, until=9.0)  # the decay is that of the recorded horizon
    assert shorter.metrics.equals(run.metrics[run.metrics["time"] <= 9.0][: len(shorter.metrics)])


def test_an_interrupted_run_goes_on_with_the_steps_it_would_have_taken(tmp_path):
    class Interrupted(rasgd.Quadratic):
        countdown = 25

        def gradient(self, worker, x, sample):
            self.countdown -= 1
            if self.countdown == 0:
                signal.raise_signal(signal.SIGTERM)
            return super().gradient(worker, x, sample)

    drawn, path = quadratic(), tmp_path / "run.checkpoint"
    problem = Interrupted(drawn.A, drawn.b, noise_std=drawn.noise_std, initial_point=drawn.x0)

    def run(problem, **options):
        return rasgd.simulate(problem, "ringleader", TIMES, 0.05, until=20.0, step_size_decay=DECAY, **options)

    with pytest.raises(SystemExit):
        run(problem, checkpoint=path)
    assert path.exists()
    assert np.array_equal(run(drawn, checkpoint=path).final_point, run(drawn).final_point)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, "step_size_decay must be None or a dict with the keys after, to, got 0.5"),
        ({"after": 0.5}, "step_size_decay must be None or a dict with the keys after, to"),
        ({"after": 0.5, "to": 0.1, "by": 2}, "step_size_decay must be None or a dict with the keys after, to"),
        ({"after": 1, "to": 0.1}, r"step_size_decay\['after'\] must be a share of the horizon in \[0, 1\), got 1"),
        ({"after": -0.1, "to": 0.1}, r"step_size_decay\['after'\] must be"),
        ({"after": 0.5, "to": 1.1}, r"step_size_decay\['to'\] must be a factor in \[0, 1\], got 1.1"),
        ({"after": 0.5, "to": True}, r"step_size_decay\['to'\] must be"),
        ({"after": float("nan"), "to": 0.1}, r"step_size_decay\['after'\] must be"),
    ],
)
def test_wrong_decays_are_refused_in_one_line(value, message):
    with pytest.raises(ValueError, match=message) as raised:
        checked_decay(value, 10.0)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=message):
        rasgd.simulate(quadratic(), "asgd", TIMES, 0.1, step_size_decay=value)
