"""What goes beyond the paper, against exact limits, linear programs and random draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from rasgd import theory
from rasgd.theory import beyond, cycle_moments, paper, periods

TIMES = st.lists(st.integers(1, 6), min_size=2, max_size=4)


def random_instances(seed, times, count=4, dim=2, cycle_step=0.01, noise_std=0.3, order=None):
    rng, n = np.random.default_rng(seed), len(times)
    roots, residuals = rng.normal(size=(count, n, dim, dim)), rng.normal(size=(count, n, dim))
    residuals -= residuals.mean(axis=1, keepdims=True)
    curvatures = roots @ roots.swapaxes(-1, -2) + 0.2 * np.eye(dim)
    steps = paper.cycle_steps(times, np.full(n, 1 / n), np.full(count, cycle_step)).worker_steps
    arrivals = periods.cycle(times, order)
    maps = cycle_moments.cycle_maps(curvatures, residuals, steps, np.full(count, noise_std), arrivals)
    return maps, arrivals, curvatures, residuals, steps, rng.normal(size=(count, dim))


@settings(max_examples=25, deadline=None)
@given(times=TIMES, seed=st.integers(0, 10**6))
def test_maps_do_what_arrivals_do(times, seed):
    maps, arrivals, curvatures, residuals, steps, x0 = random_instances(seed, times)
    state = cycle_moments.common_start(x0, len(times))
    point, held = x0.copy(), [x0] * len(times)
    for _ in range(3):
        noise = np.random.default_rng(seed).normal(size=(len(x0), arrivals.length, 2))
        for k, worker in enumerate(arrivals.workers):
            gradient = (curvatures[:, worker] @ held[worker][:, :, None])[:, :, 0] + residuals[:, worker]
            point = point - steps[:, worker, None] * (gradient + 0.3 * noise[:, k])
            held[worker] = point
        state = (maps.advance @ state[:, :, None] + maps.noise @ noise.reshape(len(x0), -1, 1))[:, :, 0]
        np.testing.assert_allclose(state[:, :2], point, rtol=1e-10, atol=1e-12)


def test_moments_agree_however_they_are_computed():
    maps, _, curvatures, _, _, x0 = random_instances(0, [1, 2, 4, 4])
    start, mean = cycle_moments.common_start(x0, 4), curvatures.mean(axis=1)
    squares = cycle_moments.expected_squares(maps, mean, start, 200)
    moments = cycle_moments.second_moments(maps, start, 200)[:, :, :2, :2]
    np.testing.assert_allclose(np.einsum("bij,mbjk,bik->bm", mean, moments, mean), squares, rtol=1e-11)
    for cycles in (1, 7, 128, 200):
        average = cycle_moments.average_square(maps, mean, start, np.full(4, cycles))
        np.testing.assert_allclose(average, squares[:, :cycles].mean(axis=1), rtol=1e-11)
    squares = cycle_moments.expected_squares(maps, mean, start, 1000)
    averages = squares.cumsum(axis=1) / np.arange(1, 1001)
    target = averages[0, 60] * (1 + 1e-9)
    expected = 1 + np.argmax(averages <= target, axis=1)
    np.testing.assert_array_equal(cycle_moments.first_average_below(maps, mean, start, target), expected)
    assert np.isinf(cycle_moments.first_average_below(maps, mean, start, 1e-12)).all()  # below the noise floor


def test_moments_are_those_of_random_runs():
    maps, _, curvatures, _, _, x0 = random_instances(1, [1, 2], count=1, cycle_step=0.2)
    rng, runs = np.random.default_rng(2), 20_000
    states = np.repeat(cycle_moments.common_start(x0, 2), runs, axis=0)
    for _ in range(6):
        states = states @ maps.advance[0].T + rng.normal(size=(runs, maps.noise.shape[2])) @ maps.noise[0].T
    squares = ((states[:, :2] @ curvatures[0].mean(axis=0)) ** 2).sum(axis=1)
    exact = cycle_moments.expected_squares(maps, curvatures.mean(axis=1), cycle_moments.common_start(x0, 2), 7)[0, 6]
    assert abs(squares.mean() - exact) < 4 * squares.std() / np.sqrt(runs)


@settings(max_examples=40, deadline=None)
@given(times=TIMES, data=st.data(), seed=st.integers(0, 10**6))
def test_bias_by_common_divisors_is_the_limit_to_first_order(times, data, seed):
    n, order = len(times), data.draw(st.permutations(range(len(times))))
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=(1, n, 1))
    residuals -= residuals.mean(axis=1, keepdims=True)
    arrivals, found = periods.cycle(times, order), []
    rates = (2e-4, 1e-4)
    for rate in rates:
        steps = rate * np.array([times], dtype=float) / n
        maps = cycle_moments.cycle_maps(np.ones((1, n, 1, 1)), residuals, steps, np.zeros(1), arrivals)
        limit = cycle_moments.limit_cycle(maps)
        averaged = cycle_moments.phase_average(maps, arrivals, limit)
        found.append(np.array([limit[0, 0], averaged[0, 0]]) * n / rate)
    # extrapolated in s: what is left is of second order, (s τ_max n)² < 1e-5 of the residuals' size
    coefficients = beyond.first_order_bias(times, order)
    predicted = np.array([coefficients.end @ residuals[0, :, 0], coefficients.mean @ residuals[0, :, 0]])
    np.testing.assert_allclose(2 * found[1] - found[0], predicted, atol=3e-4 * max(times) * n)


def test_bias_coefficients_by_hand():
    # §C: −¾γc at cycle ends with s = 2γ, r = (−c, c); ¼γc when worker 2 arrives first
    np.testing.assert_allclose(beyond.first_order_bias([1, 2]).end @ [-1, 1], -0.75)
    np.testing.assert_allclose(beyond.first_order_bias([1, 2], [1, 0]).end @ [-1, 1], 0.25)
    limit = paper.section_c_limit(1e-7, 1.0) / 1e-7
    assert beyond.first_order_bias([1, 2]).end @ [-1, 1] == pytest.approx(limit, rel=1e-6)


@given(coefficients=st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_worst_residuals_solve_the_linear_program(coefficients):
    c = np.array(coefficients)
    worst = beyond.worst_residuals(c)
    assert worst.sum() == 0 and np.abs(worst).max() <= 1
    solved = linprog(-c, A_eq=np.ones((1, c.size)), b_eq=[0.0], bounds=[(-1, 1)] * c.size)
    assert c @ worst == pytest.approx(-solved.fun, abs=1e-7)


def by_inclusion_and_exclusion(means):
    """E max Xᵢ = Σ over non-empty sets S of (−1)^{|S|+1}/Σ_{i∈S} 1/τᵢ, for independent exponential Xᵢ."""
    rates = 1.0 / np.array(means)
    members = np.arange(1, 2 ** len(rates))[:, None] >> np.arange(len(rates)) & 1
    return ((-1.0) ** (members.sum(axis=1) + 1) / (members @ rates)).sum()


def test_gathering_one_gradient_of_every_worker_takes_what_inclusion_and_exclusion_say():
    for means in ([3.0], [1.0, 1.0], [1.0, 2.0], np.repeat([1.0, 2.0, 4.0, 8.0, 16.0], 2)):
        assert theory.mean_gathering_time(means) == pytest.approx(by_inclusion_and_exclusion(means), rel=1e-10)
    assert by_inclusion_and_exclusion(means) == pytest.approx(26.645, abs=5e-4)


def stationary_square(own, rng, rate=0.01, zeta=3.0, runs=2000, seconds=2500.0):
    """E x² in the steady state of Fᵢ = x²/2 + rᵢx with σ = 1 and exponential durations, over independent schedules."""
    times = np.array([1.0, 2.0, 2.0, 4.0])
    residuals = zeta * np.array([1.0, -1.0, 1.0, -1.0])
    n, everyone = len(times), np.arange(runs)
    point, held = np.zeros(runs), np.zeros((runs, n))
    durations = rng.exponential(times, size=(runs, n))
    due = durations.copy()
    while (due.min(axis=1) < seconds).any():
        worker = due.argmin(axis=1)
        spent = durations[everyone, worker]
        gradient = held[everyone, worker] + residuals[worker] + rng.normal(size=runs)
        moved = point - rate / n * (spent if own else times[worker]) * gradient
        point = np.where(due[everyone, worker] < seconds, moved, point)
        held[everyone, worker] = point
        durations[everyone, worker] = rng.exponential(times[worker])
        due[everyone, worker] += durations[everyone, worker]
    noise = beyond.fluctuating_noise(1.0, residuals**2, times, 1.0)
    return (point**2).mean() / (rate * times.mean() / (2 * n)), noise, 2 * np.sqrt(2 / runs)


def test_fluctuating_times_bring_heterogeneity_into_the_leading_term_unless_steps_follow_durations():
    # E x² = s τ_A/(2n) · noise as s → 0; the next order is of size sτ_max = 4 % (mean steps, s = .01) and, for own
    # durations, O(s)ζ² = .15 of 2 at s = .003; two standard errors of a variance over the runs are 6 %
    by_mean, noise, error = stationary_square(False, np.random.default_rng(0))
    assert noise.mean_steps == pytest.approx(10.0) and noise.own_steps == pytest.approx(2.0)
    assert by_mean == pytest.approx(noise.mean_steps, rel=0.04 + error)
    by_own, _, error = stationary_square(True, np.random.default_rng(1), rate=0.003, seconds=4000.0)
    assert by_own == pytest.approx(noise.own_steps, rel=0.1 + error)


@settings(max_examples=25, deadline=None)
@given(times=TIMES, data=st.data(), seed=st.integers(0, 10**6))
def test_flat_directions_grow_at_the_predicted_rate_in_any_times_and_tie_order(times, data, seed):
    n, order = len(times), data.draw(st.permutations(range(len(times))))
    a = np.random.default_rng(seed).normal(size=n)
    a -= a.mean()
    arrivals, found = periods.cycle(times, order), []
    rates = (1e-3, 5e-4)
    for rate in rates:
        steps = rate * np.array([times], dtype=float) / n
        maps = cycle_moments.cycle_maps(a[None, :, None, None], np.zeros((1, n, 1)), steps, np.zeros(1), arrivals)
        found.append(np.log(cycle_moments.spectral_radius(maps)[0]) / arrivals.seconds / rate**2)
    # extrapolated in s: what is left is (s τ a)² of it, below 1e-3 for these sizes
    assert 2 * found[1] - found[0] == pytest.approx(beyond.flat_growth_rate(a, times), rel=1e-3)
