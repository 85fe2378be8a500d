"""The mean of x over a window of time as a run's answer, on every method, both clocks, in replays and checkpoints."""

import math
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rasgd
from rasgd import theory
from rasgd.simulation.averaging import checked_average, with_average

TIMES = [1.0, 2.0, 4.0]


def quadratic(noise=0.1):
    return rasgd.random_quadratic(3, 6, noise=noise, heterogeneity=1.0)


def mean_of_path(path, start, stop):
    """Mean over [start, stop] of a step function given as (time, value from then on), in increasing order of time."""
    ends = [time for time, _ in path[1:]] + [np.inf]
    lengths = [max(0.0, min(end, stop) - max(time, start)) for (time, _), end in zip(path, ends, strict=True)]
    return sum(length * x for length, (_, x) in zip(lengths, path, strict=True)) / (stop - start)


@settings(max_examples=60)
@given(
    window=st.sampled_from([0.3, 0.5, 1.0, 1.7, 4.0, 9.0]),
    eval_every=st.sampled_from([0.25, 0.5, 1.3, 3.0]),
    law=st.sampled_from([rasgd.FixedTimes, rasgd.ExponentialTimes]),
    method=st.sampled_from(["rescaled", "malenia", "ringleader"]),
)
def test_the_answer_is_the_time_average_over_the_last_complete_window(window, eval_every, law, method):
    path = [(0.0, quadratic().initial_point(0).numpy())]

    class Noting(rasgd.METHODS[method]):
        linear = False  # spares the second instance, which would note its points, too

        def receive(self, arrival):
            jobs = super().receive(arrival)
            path.append((arrival.time, self.x[0].numpy()))
            return jobs

    problem = quadratic()
    seen = []
    problem.evaluate = lambda x, evaluate=problem.evaluate: seen.append(x[0].numpy().copy()) or evaluate(x)
    call = {"until": 12.0, "eval_every": eval_every}
    t = rasgd.simulate(problem, Noting, law(TIMES), 0.05, average=window, **call)
    path.append((np.inf, path[-1][1]))
    for time, point in zip([*t.columns["time"], 12.0], [*seen, t.final_point], strict=True):
        full = int(time / window * (1 + 1e-12))
        # Some 50 roundings of numbers of size 1 per window.
        if full:
            np.testing.assert_allclose(point, mean_of_path(path, (full - 1) * window, full * window), atol=1e-13)
        elif time:
            np.testing.assert_allclose(point, mean_of_path(path, 0.0, time), atol=1e-13)
        else:
            np.testing.assert_array_equal(point, path[0][1])


@pytest.mark.parametrize("method", rasgd.METHODS)
def test_every_method_takes_an_average_for_at_most_two_more_vectors_and_its_steps_stay_the_same(method):
    plain, averaged = (
        rasgd.simulate(quadratic(), method, TIMES, [0.02, 0.05], seed=[0, 1], until=40.0, record=True, average=average)
        for average in (None, "cycle")
    )
    assert averaged.trace.equals(plain.trace)
    assert averaged.server_vectors <= plain.server_vectors + 2
    if method in ("rescaled", "asgd"):
        assert averaged.server_vectors == 2
    for name in ("effective_weights", "total_step", "num_updates", "wasted_gradients"):
        assert averaged.statistics[name] == plain.statistics[name]
    assert not np.allclose(averaged.final_points, plain.final_points, rtol=1e-6)
    assert (averaged.metadata["average"], plain.metadata["average"]) == ("cycle", None)
    assert averaged.metadata["label"] == plain.metadata["label"]


@pytest.mark.parametrize("times", [[1, 2, 4], [2, 3, 4, 6], [4, 2, 1, 1, 3]])
def test_averaging_over_cycles_removes_the_larger_part_of_the_bias_as_derived(times):
    n, cycle, per_second = len(times), math.lcm(*times), 4e-3
    b = np.random.default_rng(0).normal(size=(n, 2))
    slopes = b.mean(0) - b  # ∇Fⱼ(x*) for Fⱼ = ½‖x‖² − bⱼᵀx
    step_size = theory.step_parameters(times, step_per_second=per_second).step_size
    until = float(cycle * round(20 / per_second / cycle))  # e⁻²⁰ of the start is left
    call = {"step_size": float(step_size), "until": until, "eval_every": until, "measure_weights": False}
    at_ends, mean = (
        rasgd.simulate(rasgd.Quadratic(np.eye(2), b), "rescaled", times, average=average, **call).final_point
        - b.mean(0)
        for average in (None, cycle)
    )
    order = np.sign(np.subtract.outer(range(n), range(n))) / 2
    e = np.gcd.outer(times, times) * order + np.diag(times) / 2
    # The next order is smaller by the step of a cycle or so, 0.048 at most, against a bias of size τ/2 per s/n.
    error = per_second / n * max(times) * cycle * per_second
    np.testing.assert_allclose(mean, per_second / n * e.mean(0) @ slopes, rtol=0, atol=error)
    np.testing.assert_allclose(at_ends, per_second / n * (e.mean(0) - np.array(times) / 2) @ slopes, rtol=0, atol=error)
    assert np.linalg.norm(mean) < 0.4 * np.linalg.norm(at_ends)


@pytest.mark.parametrize("backend", ["simulator", "processes"])
def test_a_recorded_run_replays_to_the_same_averages(backend):
    options = {"backend_options": {"time_scale": 0.01}} if backend == "processes" else {}
    run = rasgd.simulate(
        quadratic(), "rescaled", TIMES, [0.05, 0.1], until=13.0, backend=backend, record=True, average=3.0, **options
    )
    again = rasgd.replay(quadratic(), "rescaled", run.trace)
    assert np.array_equal(again.final_points, run.final_points)
    assert again.metrics.equals(run.metrics)


def test_an_interrupted_run_goes_on_to_the_same_averages(tmp_path):
    class Interrupted(rasgd.Quadratic):
        countdown = 25

        def gradient(self, worker, x, sample):
            self.countdown -= 1
            if self.countdown == 0:
                signal.raise_signal(signal.SIGTERM)
            return super().gradient(worker, x, sample)

    drawn, path = quadratic(), tmp_path / "run.checkpoint"
    problem = Interrupted(drawn.A, drawn.b, noise_std=drawn.noise_std, initial_point=drawn.x0)

    def run(problem, average=3.0, **options):
        return rasgd.simulate(problem, "ringleader", TIMES, 0.05, until=20.0, average=average, **options)

    with pytest.raises(SystemExit):
        run(problem, checkpoint=path)
    with pytest.raises(ValueError, match=r"belongs to another call: average was 3\.0, got None"):
        run(drawn, average=None, checkpoint=path)
    whole, resumed = run(drawn), run(drawn, checkpoint=path)
    assert np.array_equal(resumed.final_point, whole.final_point) and resumed.metrics.equals(whole.metrics)


def test_without_an_average_the_method_is_the_same_class():
    assert with_average(rasgd.METHODS["malenia"], None) is rasgd.METHODS["malenia"]


@pytest.mark.parametrize("value", [0, -1.0, "window", True, float("nan"), [4.0]])
def test_a_wrong_average_is_refused_in_one_line(value):
    message = "average must be None, 'cycle' or a positive number of seconds, got"
    with pytest.raises(ValueError, match=message) as refused:
        checked_average(value)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match=message):
        rasgd.simulate(quadratic(), "asgd", TIMES, 0.1, average=value)
