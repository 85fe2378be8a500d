"""Published and planned settings that the exact theory must reproduce, and the sizes it must cope with."""

import numpy as np
import pytest

import rasgd
from rasgd import exact, theory
from rasgd.exact import maps

QUADRATIC_TIMES = [1, 1, 2, 2, 3, 3, 4, 4, 6, 6, 8, 8, 12, 12, 24, 24]


def adapted_instance(epsilon, num_workers=16):
    """Return the quadratic whose soft mode λ = 3ε carries a gap of 1 beside three stiff modes with L = 1 and σ = 1."""
    start = np.array([np.sqrt(2 / (3 * epsilon)), 0.0, 0.0, 0.0])
    return exact.diagonal_instance([3 * epsilon, 1.0, 1.0, 1.0], np.zeros((num_workers, 4)), 0.5, start)


def best_time(epsilon, times, method):
    mean, harmonic = theory.mean_compute_time(times), theory.harmonic_mean_compute_time(times)
    unit = epsilon * harmonic / mean if method == "rescaled" else epsilon * len(times)
    steps = unit * np.geomspace(0.05, 5, 60)
    return exact.time_to_target(exact.dynamics(adapted_instance(epsilon), method, times), steps, epsilon).min()


@pytest.mark.parametrize(
    ("method", "step", "published"),
    [
        ("rescaled", 0.02 * (4 / 3) / 3, [5, 2.4, 0.98, 0.22, -0.19, -0.42, -0.54, -0.60, -0.64, -0.66]),
        ("asgd", 0.02, [5, 1.74, 0.82, 0.56, 0.48, 0.46, 0.455]),
    ],
)
def test_exact_mean_passes_through_the_published_toy_figure(method, step, published):
    instance = exact.quadratic_instance(np.array([[[1.0]], [[2.0]]]), [[4.0], [-6.0]], initial_point=[5.0])
    at = 30.0 * np.arange(len(published))
    mean = exact.moment_trajectory(exact.dynamics(instance, method, [1, 2]), step, at).mean[:, 0]
    # read off a printed figure to about .01
    np.testing.assert_allclose(mean, published, atol=0.01)


def test_noise_dominated_times_collapse_on_the_mean_time_and_minibatch_waits_for_the_slowest():
    epsilon = 1e-4
    scaled = []
    for times in ([4] * 16, QUADRATIC_TIMES, [2] * 15 + [48]):
        rescaled, minibatch = (best_time(epsilon, times, method) for method in ("rescaled", "minibatch"))
        scaled.append(rescaled * 16 * epsilon**2 / np.mean(times))
        # lower-order terms are O(√ε) relative: 2 % at ε = 1e-4
        assert minibatch / rescaled == pytest.approx(max(times) / np.mean(times), rel=0.02)
    assert np.ptp(scaled) < 0.02 * np.mean(scaled)


def test_a_dip_below_a_target_that_lies_under_the_floor_is_found():
    # The stiff mode's mean dies out before the twenty soft modes have gathered their noise, half of the floor.
    curvatures = np.array([1.0] + [0.05] * 20)
    step, times = 0.01, [1, 2]
    start = np.zeros(21)
    start[0] = 1.0
    instance = exact.diagonal_instance(curvatures, np.zeros((2, 21)), 1.0, start)
    floor = exact.stationary_error(exact.dynamics(instance, "asgd", times), step).total
    target = 0.85 * floor
    found = exact.time_to_target(exact.dynamics(instance, "asgd", times), step, target)
    at = np.arange(0.0, 1000.0)
    errors = exact.moment_trajectory(exact.dynamics(instance, "asgd", times), step, at).expected_grad_norm_sq
    # sampled after the arrivals of every whole second, so constant in between
    window = np.array([errors[int(0.9 * t) : int(t)].mean() for t in range(1, 1000)])
    assert window[-1] > target > window.min()
    first = 1 + int(np.argmax(window <= target))
    assert found == pytest.approx(first, rel=0.02)  # the crude window is off by up to a second at each end


@pytest.mark.parametrize("method", ["asgd", "rescaled", "minibatch"])
def test_simulated_runs_follow_the_exact_moments(method):
    problem = rasgd.random_quadratic(num_workers=5, dim=4, noise=0.2, heterogeneity=1.0)
    instance = exact.quadratic_instance(problem.A, problem.b, problem.noise_std, problem.x0)
    times, steps, seeds = [1, 2, 2, 3, 6], [0.05, 0.1], list(range(400))
    run = rasgd.simulate(
        problem, method=method, compute_times=times, step_size=steps, seed=seeds, until=60.0, eval_every=5.0
    )
    rows = run.metrics.groupby(["time", "step_size"]).grad_norm_sq
    measured, error = rows.mean().unstack(), rows.std().unstack() / len(seeds) ** 0.5
    predicted = exact.moment_trajectory(
        exact.dynamics(instance, method, times), steps, measured.index
    ).expected_grad_norm_sq
    # 26 correlated comparisons, 4 standard errors each; at time 0 both are exact
    np.testing.assert_array_less(np.abs(measured - predicted), 4 * error + 1e-12)
    assert float((error / measured).to_numpy().max()) < 0.2
    quiet = rasgd.Quadratic(problem.A, problem.b, initial_point=problem.x0)
    step = 0.4 * exact.largest_stable_step(exact.dynamics(instance, method, times))
    run = rasgd.simulate(quiet, method=method, compute_times=times, step_size=step, until=6000.0, eval_every=1000.0)
    assert (
        exact.linear_rate(exact.dynamics(instance, method, times), step) * 6000 < -35
    )  # e-foldings, so 1e-15 of x⁰ is left
    cycle = exact.stationary_error(exact.dynamics(instance, method, times), step)
    np.testing.assert_allclose(run.final_point, cycle.points[0], rtol=1e-10)


def test_tridiagonal_matrices_are_those_of_the_simulated_problem():
    band = 0.25 * np.array([[9.0, -1, -1, -1], [2, 2, 2, 2], [-1, -1, -1, 9.0]])
    b, x = np.arange(8.0).reshape(2, 4), np.array([1.0, -2.0, 0.5, 3.0])
    metrics = rasgd.simulate(
        rasgd.Quadratic(band, b, initial_point=x), method="asgd", compute_times=[1, 2], step_size=0.1, until=1.0
    ).metrics
    instance = exact.quadratic_instance(band, b, initial_point=x)
    moments = exact.moment_trajectory(exact.dynamics(instance, "asgd", [1, 2]), 0.1, metrics.time)
    np.testing.assert_allclose(moments.expected_grad_norm_sq, metrics.grad_norm_sq, rtol=1e-12)
    constants = theory.quadratic_constants(band, b, 0.0, x)
    assert constants.smoothness == pytest.approx(0.5 - 0.5 * np.cos(4 * np.pi / 5))
    assert constants.max_smoothness == pytest.approx(constants.smoothness)


def test_working_sizes_are_computed():
    # How long that takes is measured by bench/exact_theory.py.
    rng = np.random.default_rng(0)
    instance = exact.diagonal_instance([0.003, 0.3, 0.6, 1.0], 0.1 * rng.normal(size=(16, 4)), 0.5, [25.0, 0, 0, 0])
    steps = np.geomspace(1e-4, 1e-2, 40)
    times = exact.time_to_target(exact.dynamics(instance, "rescaled", QUADRATIC_TIMES), steps, [1e-1, 1e-2, 1e-3, 1e-4])
    assert times.shape == (40, 4)
    instance = exact.diagonal_instance([0.1, 1.0], 0.1 * rng.normal(size=(10, 2)), 0.5)
    assert np.isfinite(
        exact.stationary_error(exact.dynamics(instance, "rescaled", range(1, 11)), [1e-3, 1e-2]).total
    ).all()


def test_splitting_step_sizes_to_save_memory_changes_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    instance = exact.diagonal_instance([0.2, 1.0], rng.normal(size=(3, 2)), 0.3, [4.0, 4.0])
    steps, times = np.geomspace(1e-3, 1e-1, 7), [1, 2, 3]

    def results():
        moments = exact.moment_trajectory(exact.dynamics(instance, "rescaled", times), steps, [0.0, 7.0, 20.0])
        return (
            exact.stationary_error(exact.dynamics(instance, "rescaled", times), steps).points,
            exact.stationary_error(exact.dynamics(instance, "rescaled", times), steps).phase_noise,
            moments.covariance,
            exact.time_to_target(exact.dynamics(instance, "rescaled", times), steps, [1.0, 0.01]),
        )

    whole = results()
    monkeypatch.setattr(maps, "_MAP_BYTES", 1)
    for expected, split in zip(whole, results(), strict=True):
        np.testing.assert_allclose(split, expected, rtol=1e-12)
