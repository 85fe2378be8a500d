"""The block zero-chain has the properties its lower bound rests on."""

import numpy as np
import pytest

from rasgd import theory
from rasgd.theory import worst_case


def numerical_gradient(function, x, width=1e-6):
    shifts = width * np.eye(len(x))
    return np.array([(function(x + s) - function(x - s)) / (2 * width) for s in shifts])


def random_chain_points(count, length, seed=0):
    """Points where the chain bends most: coordinates near ±½ … ±1.5, some far out, some near 0."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], size=(count, length)) * rng.choice(
        [0.1, 0.6, 0.8, 1.0, 1.3, 2.5], size=(count, length)
    ) + 0.1 * rng.normal(size=(count, length))


def test_chain_gradient_is_the_derivative_of_its_value():
    for x in random_chain_points(20, 6):
        np.testing.assert_allclose(
            worst_case.chain_gradient(x), numerical_gradient(worst_case.chain_value, x), atol=1e-6
        )


def test_chain_is_152_smooth_and_its_gradient_stays_below_23():
    largest = 0.0
    for x in random_chain_points(300, 5):
        shifts = 1e-5 * np.eye(5)
        hessian = (worst_case.chain_gradient(x + shifts) - worst_case.chain_gradient(x - shifts)) / 2e-5
        largest = max(largest, np.linalg.norm(hessian, 2))
    assert 30 < largest <= worst_case.CHAIN_SMOOTHNESS  # 30: the search does come near the worst points
    assert np.abs(worst_case.chain_gradient(random_chain_points(20000, 5))).max() <= 23


def test_chain_gradient_exceeds_one_until_the_last_coordinate_is_reached():
    points = random_chain_points(20000, 5, seed=1)
    unfinished = points[worst_case.chain_progress(points, 1.0) < 5]
    assert len(unfinished) > 1000
    assert np.linalg.norm(worst_case.chain_gradient(unfinished), axis=1).min() > 1


def test_gradient_reveals_one_coordinate_at_a_time():
    x = np.zeros(6)
    for j in range(6):
        gradient = worst_case.chain_gradient(x)
        assert gradient[j] != 0 and np.all(gradient[j + 1 :] == 0)
        x[j] = 1.0


def test_chain_gap_is_the_infimum_approached_far_out():
    for length in (1, 4):
        far = worst_case.chain_value(np.full(length, 1e4))
        assert worst_case.chain_value(np.zeros(length)) - far == pytest.approx(worst_case.chain_gap(length), rel=1e-6)
        assert worst_case.chain_gap(length) <= 12 * length
        assert worst_case.chain_value(random_chain_points(5000, length)).min() >= far


def test_block_gradient_is_the_mean_of_local_gradients_and_the_derivative():
    problem = theory.block_zero_chain([1, 2, 4], epsilon=0.01, noise_variance=2.0, chain_length=4)
    x = (random_chain_points(3, 4, seed=2) * problem.scales[:, None]).reshape(-1)
    local = np.mean([problem.local_gradient(worker, x) for worker in range(3)], axis=0)
    np.testing.assert_allclose(local, problem.gradient(x), rtol=1e-12)
    width = 1e-6 * problem.scales.min()
    np.testing.assert_allclose(problem.gradient(x), numerical_gradient(problem.value, x, width), rtol=1e-4, atol=1e-7)


def test_stochastic_gradient_is_unbiased_with_the_promised_variance():
    problem = theory.block_zero_chain([1, 3], epsilon=0.05, noise_variance=30.0, chain_length=3)
    worst = 0.0
    for points in random_chain_points(1000, 6, seed=3).reshape(-1, 2, 3):
        x = (points * problem.scales[:, None]).reshape(-1)
        for worker, p in enumerate(problem.probabilities):
            shown, hidden = (problem.stochastic_gradient(worker, x, coin) for coin in (1, 0))
            exact = problem.local_gradient(worker, x)
            np.testing.assert_allclose(p * shown + (1 - p) * hidden, exact, rtol=1e-9, atol=1e-12)
            worst = max(worst, p * ((shown - exact) ** 2).sum() + (1 - p) * ((hidden - exact) ** 2).sum())
    assert problem.constants.noise_variance == pytest.approx(30.0)
    # sup Ψ = e is approached only for a predecessor far out, so the bound is nearly but not quite attained
    assert 10.0 < worst <= 30.0


def test_smoothness_of_the_blocks_is_the_one_asked_for():
    problem = theory.block_zero_chain([1, 5], epsilon=0.02, noise_variance=1.0, chain_length=3, smoothness=4.0)
    largest = 0.0
    for points in random_chain_points(400, 6, seed=4).reshape(-1, 2, 3):
        x = (points * problem.scales[:, None]).reshape(-1)
        shifts = 1e-5 * problem.scales.min() * np.eye(6)
        hessian = (problem.gradient(x + shifts) - problem.gradient(x - shifts)) / (2 * shifts[0, 0])
        largest = max(largest, np.linalg.norm(hessian, 2))
    assert 0.8 < largest <= 4.0  # 4 · 30/152 = .79, as for the chain itself


def test_blocks_take_equally_long_and_keep_the_gradient_above_epsilon():
    times, epsilon = np.array([1.0, 2.0, 3.0, 10.0]), 1e-4
    problem = theory.block_zero_chain(times, epsilon, noise_variance=1.0, chain_length=7)
    seconds = problem.block_seconds(times)
    assert np.ptp(seconds) < 0.05 * seconds.mean()  # exact as ε/σ² → 0
    assert (problem.block_gradients**2).sum() == pytest.approx(2 * epsilon)
    constants = problem.constants
    bound = theory.leading_term("rescaled", constants, times, epsilon)
    # T σ²τ_A/(2nεe³), with Δ = (ℓ/L)·2ε·gap(T): the ratio to LΔσ²τ_A/(nε²) is T/(4e³·152·gap(T))
    ratio = 7 / (4 * np.e**3 * 152 * worst_case.chain_gap(7))
    assert seconds.mean() / bound == pytest.approx(ratio, rel=0.05)
    assert (problem.gradient(np.zeros(problem.dim)) ** 2).sum() > epsilon
    assert problem.progress(np.zeros(problem.dim)).tolist() == [0, 0, 0, 0]


def test_heterogeneity_of_disjoint_blocks_is_growth_n_alone():
    problem = theory.block_zero_chain([1, 3, 9], epsilon=0.05, noise_variance=30.0, chain_length=3)
    points = random_chain_points(200, 9, seed=5) * np.repeat(problem.scales, 3)
    whole = (problem.gradient(points) ** 2).sum(axis=-1)
    local = np.max([(problem.local_gradient(worker, points) ** 2).sum(axis=-1) for worker in range(3)], axis=0)
    constants = problem.constants
    assert (constants.heterogeneity, constants.growth) == (0.0, 3.0)
    assert (local <= 9 * whole * (1 + 1e-12)).all()
    # two blocks far out have next to no gradient, and the third alone attains ρ = n
    far = np.full(9, 50.0) * np.repeat(problem.scales, 3)
    far[:3] = 0.0
    ratio = (problem.local_gradient(0, far) ** 2).sum() / (problem.gradient(far) ** 2).sum()
    assert ratio == pytest.approx(9.0, rel=1e-6)


def test_wrong_arguments_are_refused_by_name():
    for arguments, name in (
        (([1.0], 0.0, 1.0, 3), "epsilon"),
        (([1.0], 0.1, -1.0, 3), "noise_variance"),
        (([1.0], 0.1, 1.0, 0), "chain_length"),
        (([0.0], 0.1, 1.0, 3), "compute_times"),
    ):
        with pytest.raises(ValueError, match=name):
            theory.block_zero_chain(*arguments)
