"""The simulator against results known in closed form, derived here by hand and from no code of the library."""

import math

import numpy as np
import pytest

import rasgd


def scalar(curvatures, slopes, x0=0.0, noise_std=0.0):
    """Fᵢ(x) = ½aᵢx² − bᵢx in one dimension."""
    A = np.array(curvatures, dtype=float)[:, None, None]
    return rasgd.Quadratic(A, np.array(slopes, dtype=float)[:, None], noise_std, [x0])


# The toy of the poster: F₁ = ½(x − 4)², F₂ = (x + 3)², x⁰ = 5, times (1, 2).
TOY = scalar([1.0, 2.0], [4.0, -6.0], x0=5.0)
TOY_TIMES = [1.0, 2.0]
MINIMISER = (4 - 6) / (1 + 2)  # of the equal average
WEIGHTED_MINIMISER = (2 / 3 * 4 - 1 / 3 * 6) / (2 / 3 * 1 + 1 / 3 * 2)  # p = (2/3, 1/3)
HARMONIC_MEAN = 2 / (1 + 1 / 2)


def gradient_of_toy(x):
    """∇F of the equal average."""
    return ((1 * x - 4) + (2 * x + 6)) / 2


# Gradient descent


@pytest.mark.parametrize("method", ["rescaled", "asgd", "minibatch", "ringleader", "fedbuff"])
def test_one_worker_with_exact_gradients_is_gradient_descent(method):
    a, b, x0, step_size, updates = 0.7, 1.4, 5.0, 0.1, 40
    options = {"K": 1} if method == "fedbuff" else {}
    t = rasgd.simulate(scalar([a], [b], x0), method, [0.5], step_size, until=0.5 * updates, eval_every=0.5, **options)
    powers = (1 - step_size * a) ** np.arange(updates + 1)
    expected = b / a + powers * (x0 - b / a)
    # 40 updates of 4 roundings (1.1e-16) each of numbers below 5.
    np.testing.assert_allclose(t.columns["point_0"], expected, rtol=0, atol=40 * 4 * 1.1e-16 * 5)
    np.testing.assert_allclose(t.columns["grad_norm_sq"], (a * expected - b) ** 2, rtol=1e-11)
    np.testing.assert_allclose(t.columns["loss"], a * expected**2 / 2 - b * expected, rtol=0, atol=1e-12)


def test_gradient_descent_in_many_dimensions_contracts_every_eigenvector_by_its_own_factor():
    d, step_size, updates = 30, 0.5, 200
    problem = rasgd.random_quadratic(4, d, noise=0.0, heterogeneity=1.0)
    eigenvalues, vectors = np.linalg.eigh(problem.mean_A.numpy())
    minimiser = np.linalg.solve(problem.mean_A.numpy(), problem.mean_b.numpy())
    t = rasgd.simulate(problem, "minibatch", [1.0, 2.0, 3.0, 4.0], step_size, until=4.0 * updates)
    start = vectors.T @ (problem.initial_point(0).numpy() - minimiser)
    expected = minimiser + vectors @ ((1 - step_size * eigenvalues) ** updates * start)
    # 200 updates of a few d-term products (1.1e-16 · d) of numbers below 10.
    np.testing.assert_allclose(t.final_point, expected, rtol=0, atol=200 * 1.1e-16 * d * 10)


# The limit cycle of the toy


def limit_of_the_toy(steps):
    """x at even times in the long run, when worker i's gradients are multiplied by steps[i].

    At an even time, worker 0 holds h (it arrived just before worker 1) and worker 1 holds x. Then
        one second later, worker 0:   y = x − γ₀(h − 4)
        two seconds later, worker 0:  w = y − γ₀(y − 4),   worker 1:  x⁺ = w − γ₁(2x + 6),   h⁺ = w.
    """
    first, second = steps
    # x⁺ and h⁺ = w are affine in (x, h): y = x − γ₀h + 4γ₀, w = (1 − γ₀)y + 4γ₀, x⁺ = w − 2γ₁x − 6γ₁.
    w_x, w_h, w_1 = (1 - first), -(1 - first) * first, (1 - first) * 4 * first + 4 * first
    M = np.array([[w_x - 2 * second, w_h], [w_x, w_h]])
    c = np.array([w_1 - 6 * second, w_1])
    return np.linalg.solve(np.eye(2) - M, c)[0]


def steps_of(method, step_size):
    scale = np.array(TOY_TIMES) / HARMONIC_MEAN if method == "rescaled" else np.ones(2)
    return step_size * scale


def settled(method, step_size):
    """x of the toy after so long that what is left of the start is below rounding."""
    until = 2 * math.ceil(25 / step_size)
    return rasgd.simulate(TOY, method, TOY_TIMES, step_size, until=float(until), eval_every=float(until)).final_point[0]


@pytest.mark.parametrize("method", ["asgd", "rescaled"])
@pytest.mark.parametrize("step_size", [0.02, 0.1, 0.3])
def test_the_toy_settles_in_the_limit_cycle_computed_by_hand(method, step_size):
    # (I − M)⁻¹ is of size 1/γ, so a rounding of 1.1e-16 per arrival adds up to some 5·1.1e-16/γ ≤ 3e-14.
    assert settled(method, step_size) == pytest.approx(limit_of_the_toy(steps_of(method, step_size)), abs=1e-13)


def test_small_steps_lead_rescaled_to_the_minimiser_and_vanilla_to_the_weighted_one_at_first_order():
    for method, target in (("rescaled", MINIMISER), ("asgd", WEIGHTED_MINIMISER)):
        distances = np.array([settled(method, step_size) - target for step_size in (0.04, 0.02, 0.01)])
        ratios = distances[:-1] / distances[1:]
        # distance = cγ + O(γ²): halving γ halves it, up to a relative O(γ).
        assert np.abs(ratios - 2).max() < 4 * 0.04, (method, distances)


def test_the_gradient_that_rescaled_leaves_is_of_second_order_and_vanillas_does_not_vanish():
    left = np.array([gradient_of_toy(settled("rescaled", step_size)) ** 2 for step_size in (0.04, 0.02, 0.01)])
    assert np.abs(left[:-1] / left[1:] - 4).max() < 8 * 0.04  # a square: twice the relative error
    bias = gradient_of_toy(WEIGHTED_MINIMISER) ** 2
    assert bias > 1
    assert gradient_of_toy(settled("asgd", 0.01)) ** 2 == pytest.approx(bias, rel=0.1)


def test_in_many_dimensions_the_limits_are_the_minimisers_of_the_two_averages():
    times = np.array([1.0, 2.0, 4.0, 4.0])
    rng = np.random.default_rng(0)
    A = np.stack([np.diag(rng.uniform(0.5, 1.5, 3)) for _ in times])
    b = rng.normal(size=(4, 3))
    p = (1 / times) / (1 / times).sum()
    targets = {
        "rescaled": np.linalg.solve(A.sum(0), b.sum(0)),
        "asgd": np.linalg.solve(np.einsum("i,ijk->jk", p, A), p @ b),
    }
    assert np.abs(targets["rescaled"] - targets["asgd"]).max() > 0.1
    for method, target in targets.items():
        errors = [
            np.linalg.norm(
                rasgd.simulate(
                    rasgd.Quadratic(A, b), method, times, step, until=4 * math.ceil(30 / step), eval_every=1e3
                ).final_point
                - target
            )
            for step in (0.02, 0.01)
        ]
        assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
        assert errors[1] < 0.05


# The curves of the poster

POSTER = {  # read off every 30 seconds from t = 0
    "rescaled": (0.02 * HARMONIC_MEAN / 3, [5, 2.4, 0.98, 0.22, -0.19, -0.42, -0.54, -0.60, -0.64, -0.66]),
    "asgd": (0.02, [5, 1.74, 0.82, 0.56, 0.48, 0.46, 0.455]),
}


@pytest.mark.parametrize("method", POSTER)
def test_the_toy_meets_the_posters_curve(method):
    step_size, poster = POSTER[method]
    t = rasgd.simulate(TOY, method, TOY_TIMES, step_size, until=300.0, eval_every=30.0)
    np.testing.assert_allclose(t.columns["point_0"][: len(poster)], poster, rtol=0, atol=0.03)


# Noise


def test_one_worker_with_noise_is_an_autoregression():
    """x' − x* = q(x − x*) + γ·noise with q = 1 − γa: the variance after k updates is γ²s²(1 − q^2k)/(1 − q²)."""
    a, s, step_size, d, seeds, until = 0.5, 2.0, 0.2, 400, 10, 60.0
    problem = rasgd.Quadratic(a * np.eye(d), np.zeros((1, d)), noise_std=s)
    t = rasgd.simulate(problem, "asgd", [1.0], step_size, seed=range(seeds), until=until, eval_every=1.0)
    q = 1 - step_size * a
    k = np.arange(1, int(until) + 1)
    variance = step_size**2 * s**2 * (1 - q ** (2 * k)) / (1 - q**2)
    measured = t.columns["grad_norm_sq"].reshape(-1, seeds)[1:].mean(1) / d / a**2
    # The mean of m = d·seeds squares of normal variables: relative standard deviation √(2/m); 60 values, 4.5 of it.
    assert np.abs(measured / variance - 1).max() < 4.5 * math.sqrt(2 / (d * seeds))
    # And the floor that is left in the long run, averaged over time: correlated over 1/(1 − q²) ≈ 5 updates.
    floor = step_size**2 * s**2 / (1 - q**2)
    assert measured[30:].mean() == pytest.approx(floor, rel=4 * math.sqrt(2 / (d * seeds) / (30 / 5)))


def test_minibatch_averages_the_noise_of_its_workers():
    """n independent gradients per step: the autoregression with the variance of the noise divided by n."""
    n, a, s, step_size, d, seeds = 4, 0.5, 2.0, 0.2, 400, 10
    problem = rasgd.Quadratic(a * np.eye(d), np.zeros((n, d)), noise_std=s)
    times = [1.0, 1.0, 2.0, 2.0]
    t = rasgd.simulate(problem, "minibatch", times, step_size, seed=range(seeds), until=100.0)
    q = 1 - step_size * a
    expected = step_size**2 * (s**2 / n) * (1 - q**100) / (1 - q**2)
    measured = np.square(t.final_point).mean()
    assert measured == pytest.approx(expected, rel=4 * math.sqrt(2 / (d * seeds)))


def test_the_small_step_floor_is_the_theorys():
    """Floor of E‖∇F‖² as γ → 0: Rescaled γτ_A/(2τ_H)(σ²/d)tr Ā, minibatch γ/(2n)(σ²/d)tr Ā."""
    times, a, s, d, seeds, step_size = [1.0, 2.0, 4.0, 4.0], 1.0, 1.0, 300, 12, 0.01
    problem = rasgd.Quadratic(a * np.eye(d), np.zeros((4, d)), noise_std=s)
    mean_time, harmonic_mean = np.mean(times), 4 / np.sum(1 / np.array(times))
    for method, factor, until in (
        ("rescaled", mean_time / (2 * harmonic_mean), 400.0),
        ("minibatch", 1 / 8, 2400.0),
    ):
        t = rasgd.simulate(problem, method, times, step_size, seed=range(seeds), until=until)
        expected = step_size * factor * s**2 * a * d
        # d·seeds squares, and a relative O(γ·delay) that the limit leaves out: γ(1 + 7)/2 at most.
        tolerance = 4 * math.sqrt(2 / (d * seeds)) + 4 * step_size
        assert np.square(a * t.final_point).sum(1).mean() == pytest.approx(expected, rel=tolerance)
