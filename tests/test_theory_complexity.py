"""Bounds, theory step sizes and the constants in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasgd import exact, theory

TIMES = [1.0, 2.0, 4.0, 8.0]
CONSTANTS = theory.Constants(
    smoothness=2.0, max_smoothness=5.0, noise_variance=3.0, initial_gap=7.0, heterogeneity=1.5, growth=1.2
)


def random_problem(seed, n=3, d=3):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, d, d))
    return roots @ roots.swapaxes(1, 2) + 0.3 * np.eye(d), rng.normal(size=(n, d)), rng


def test_lower_bound_and_leading_terms_by_hand():
    # n = 4, τ_A = 3.75, τ_max = 8, ε = .1: LΔ/ε τ_max = 1120, LΔσ²/(nε²) = 1050
    assert theory.lower_bound(CONSTANTS, TIMES, 0.1) == pytest.approx(1120 + 1050 * 3.75)
    for method in ("rescaled", "malenia", "ringleader", "delay_adaptive"):
        assert theory.leading_term(method, CONSTANTS, TIMES, 0.1) == pytest.approx(1050 * 3.75)
    for method in ("minibatch", "ia2sgd"):
        assert theory.leading_term(method, CONSTANTS, TIMES, 0.1) == pytest.approx(1050 * 8)
    assert theory.leading_term("concurrent", CONSTANTS, TIMES, 0.1) == pytest.approx(1050 * 8 * 1.5)


def test_four_terms_of_rescaled_by_hand():
    terms = theory.rescaled_bound_terms(CONSTANTS, TIMES, 0.1)
    harmonic = 4 / 1.875
    assert terms["noise"] == pytest.approx(theory.leading_term("rescaled", CONSTANTS, TIMES, 0.1))
    assert terms["staleness"] == pytest.approx(7 * 5 * 4.5**0.5 / 0.1**1.5 * 8 / harmonic * 3.75)
    assert terms["heterogeneity"] == pytest.approx(7 * 5 * 1.2 / 0.1 * 8 / harmonic * 8)
    assert terms["deterministic"] == pytest.approx(7 * 2 / 0.1 * 8)
    assert theory.rescaled_bound(CONSTANTS, TIMES, 0.1) == pytest.approx(sum(terms.values()))


def test_noise_term_dominates_rescaled_as_epsilon_vanishes():
    shares = []
    for epsilon in (1e-2, 1e-4, 1e-6, 1e-8):
        terms = theory.rescaled_bound_terms(CONSTANTS, TIMES, epsilon)
        shares.append(terms["noise"] / sum(terms.values()))
    assert shares == sorted(shares) and shares[-1] > 0.99


@settings(max_examples=50)
@given(
    times=st.lists(st.floats(0.5, 20), min_size=1, max_size=6),
    epsilon=st.floats(1e-5, 1.0),
    variance=st.floats(0.01, 10),
    zeta=st.floats(0, 10),
    growth=st.floats(1, 5),
)
def test_rescaled_step_takes_the_four_terms_with_the_constants_of_the_proof(times, epsilon, variance, zeta, growth):
    constants = theory.Constants(2.0, 5.0, variance, 7.0, zeta, growth)
    step = theory.theory_step_size("rescaled", constants, times, epsilon)
    # α = nτ_max/τ_H steps a cycle of τ_max, and 8Δ/(εα) cycles
    seconds = 8 * 7.0 * theory.harmonic_mean_compute_time(times) / (step * len(times) * epsilon)
    terms = theory.rescaled_bound_terms(constants, times, epsilon)
    proof = {"noise": 192, "staleness": 8 * 40**0.5, "heterogeneity": 40, "deterministic": 48}
    assert seconds == pytest.approx(max(proof[name] * term for name, term in terms.items()), rel=1e-12)


def test_theory_step_sizes_by_hand():
    steps = {
        "malenia": min(1 / 2, 0.1 * 30 / 12),
        "rennala": min(1 / 2, 0.1 * 30 / 12),
        "minibatch": 0.1 * 4 / 12,
        "ringleader": min(1 / 64, 0.1 * (4 / 1.875) / 60),
        "ringmaster": min(1 / (2 * 30 * 2), 0.1 / 24),
    }
    for method, expected in steps.items():
        assert theory.theory_step_size(method, CONSTANTS, TIMES, 0.1) == pytest.approx(expected), method
    assert theory.theory_step_size("malenia", CONSTANTS, TIMES, 0.1, batch=8) == pytest.approx(0.8 / 12)
    assert theory.theory_step_size("ringmaster", CONSTANTS, TIMES, 0.1, max_delay=100) == pytest.approx(1 / 400)
    # four candidates: noise, staleness, heterogeneity, deterministic; τ_H = 4/1.875, τ_A = 3.75
    harmonic = 4 / 1.875
    candidates = (
        0.1 * harmonic / (24 * 2 * 3 * 3.75),
        0.1**0.5 * harmonic**2 / (40**0.5 * 4 * 5 * 4.5**0.5 * 8 * 3.75),
        harmonic**2 / (5 * 4 * 5 * 1.2 * 64),
        harmonic / (6 * 4 * 2 * 8),
    )
    assert theory.theory_step_size("rescaled", CONSTANTS, TIMES, 0.1) == pytest.approx(min(candidates))
    quiet = replace(CONSTANTS, noise_variance=0.0)
    assert theory.theory_step_size("malenia", quiet, TIMES, 0.1) == 0.5
    assert theory.ringmaster_threshold(0.0, 0.1) == 1 and theory.malenia_batch(0.0, 0.1, 4) == 4


def test_rescaled_step_leaves_a_48th_of_the_target_as_noise_floor_on_the_smallest_case():
    # One coordinate, L = 1: floor γ τ_A/(2τ_H) σ² with γ = ετ_H/(24Lσ²τ_A) is ε/48 (staleness adds O(γ)); the bound
    # allots ε/4 to noise, so its constant is 12 times too large here.
    instance = exact.diagonal_instance([1.0], np.zeros((3, 1)), noise_std=1.0)
    constants = theory.Constants(1.0, 1.0, 1.0, 1.0)
    step = theory.theory_step_size("rescaled", constants, [1, 2, 4], 1e-5)
    assert exact.stationary_error(exact.dynamics(instance, "rescaled", [1, 2, 4]), step).total == pytest.approx(
        1e-5 / 48, rel=1e-3
    )


def test_quadratic_constants_bound_the_function():
    A, b, rng = random_problem(1)
    start = rng.normal(size=3)
    constants = theory.quadratic_constants(A, b, 0.5, start)
    best = theory.weighted_minimiser(A, b)
    assert constants.noise_variance == pytest.approx(0.75)
    assert constants.smoothness == pytest.approx(np.linalg.norm(A.mean(axis=0), 2))
    assert constants.max_smoothness == pytest.approx(max(np.linalg.norm(a, 2) for a in A))

    def loss(x):
        return 0.5 * x @ A.mean(axis=0) @ x - b.mean(axis=0) @ x

    assert constants.initial_gap == pytest.approx(loss(start) - loss(best))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1.05, 5.0))
def test_heterogeneity_curve_is_the_exact_supremum(seed, factor):
    A, b, rng = random_problem(seed)
    rho = factor * theory.smallest_growth(A)
    zeta = float(theory.heterogeneity_curve(A, b, rho))
    points = theory.weighted_minimiser(A, b) + rng.normal(size=(2000, 3)) * 10 ** rng.uniform(-2, 2, size=(2000, 1))
    gradients = np.einsum("nij,pj->pni", A, points) - b
    assert theory.heterogeneity_at(gradients, rho).max() <= zeta * (1 + 1e-9)
    # the stationary point of the concave quadratic attains it for one worker
    curvature = A.mean(axis=0)
    attained = []
    for worker in range(3):
        pull = A[worker] @ (A[worker] @ theory.weighted_minimiser(A, b) - b[worker])
        best = theory.weighted_minimiser(A, b) + np.linalg.solve(
            rho**2 * curvature @ curvature - A[worker] @ A[worker], pull
        )
        attained.append(theory.heterogeneity_at(np.einsum("nij,j->ni", A, best) - b, rho))
    assert max(attained) == pytest.approx(zeta, rel=1e-7)


def test_heterogeneity_is_infinite_below_the_smallest_growth_and_falls_to_that_at_the_minimiser():
    A, b, _ = random_problem(3)
    smallest = theory.smallest_growth(A)
    curve = theory.heterogeneity_curve(A, b, [0.99 * smallest, 1.1 * smallest, 2 * smallest, 1e4 * smallest])
    assert np.isinf(curve[0]) and curve[1] > curve[2] > curve[3]
    residuals = np.einsum("nij,j->ni", A, theory.weighted_minimiser(A, b)) - b
    assert curve[3] == pytest.approx((residuals**2).sum(axis=1).max(), rel=1e-6)


def test_equal_curvatures_have_the_closed_form_heterogeneity():
    b = np.array([[1.0, 0.0], [-1.0, 0.0]])
    curve = theory.heterogeneity_curve(np.diag([2.0, 3.0]), b, [1.0, 2.0])
    assert np.isinf(curve[0]) and curve[1] == pytest.approx(1 + 1 / 3)
    assert theory.heterogeneity_curve(np.diag([2.0, 3.0]), 0 * b, 1.0) == 0.0


def test_constants_of_a_weighted_objective_are_those_of_the_scaled_functions():
    # F = Σ wᵢFᵢ is the plain mean of Gᵢ = nwᵢFᵢ; only ‖∇Fᵢ‖ is not scaled, so L and Δ carry over
    A, b, rng = random_problem(7)
    weights, start = np.array([0.2, 0.5, 0.3]), rng.normal(size=3)
    weighted = theory.quadratic_constants(A, b, 0.1, start, 50.0, weights)
    scaled = theory.quadratic_constants(3 * weights[:, None, None] * A, 3 * weights[:, None] * b, 0.1, start, 50.0)
    assert weighted.smoothness == pytest.approx(scaled.smoothness)
    assert weighted.initial_gap == pytest.approx(scaled.initial_gap)
    points = theory.weighted_minimiser(A, b, weights) + rng.normal(size=(4000, 3))
    gradients = np.einsum("nij,pj->pni", A, points) - b
    whole = np.einsum("n,pni->pi", weights, gradients)
    reached = (gradients**2).sum(axis=2).max(axis=1) - 2500.0 * (whole**2).sum(axis=1)
    assert reached.max() <= weighted.heterogeneity
    residuals = np.einsum("nij,j->ni", A, theory.weighted_minimiser(A, b, weights)) - b
    # ζ²(ρ) → max‖rᵢ‖² as ρ grows; ρ is 50 here against a smallest one of order 5
    assert weighted.heterogeneity == pytest.approx((residuals**2).sum(axis=1).max(), rel=0.2)


def test_estimates_are_unbiased_and_their_intervals_cover():
    rng, n, m, d = np.random.default_rng(0), 3, 12, 5
    local = rng.normal(size=(n, d))
    whole = (local.mean(axis=0) ** 2).sum()
    truth = {"noise": np.full(n, 4.0 * d), "heterogeneity": (local**2).sum(axis=1) - 1.5**2 * whole}
    covered, values = {key: [] for key in truth}, {key: [] for key in truth}
    for _ in range(600):
        samples = local[:, None] + 2.0 * rng.normal(size=(n, m, d))
        for key, estimate in (
            ("noise", theory.noise_variance_estimate(samples)),
            ("heterogeneity", theory.heterogeneity_estimate(samples, growth=1.5)),
        ):
            values[key].append(estimate.value)
            covered[key].append((estimate.low <= truth[key]) & (truth[key] <= estimate.high))
    for key in truth:
        error = np.std(values[key], axis=0) / np.sqrt(600)
        np.testing.assert_array_less(np.abs(np.mean(values[key], axis=0) - truth[key]), 4 * error)
        # Normal quantiles on 12 samples cover about 91-94 %; binomial error over 600 runs is 1.2 %.
        assert 0.87 < np.mean(covered[key]) < 0.99, key


def test_estimates_along_a_trajectory_have_one_row_per_point():
    rng = np.random.default_rng(1)
    noise, heterogeneity = theory.constants_along(
        np.zeros((4, 2)), lambda x: x + rng.normal(size=(3, 8, 2)), growth=1.0, confidence=0.9
    )
    assert noise.value.shape == heterogeneity.high.shape == (4, 3)
    assert np.all(noise.low < noise.value)


def test_wrong_arguments_are_refused_by_name():
    for call, name in (
        (lambda: theory.lower_bound(CONSTANTS, TIMES, 0.0), "epsilon"),
        (lambda: theory.leading_term("asgd", CONSTANTS, TIMES, 0.1), "method"),
        (lambda: theory.theory_step_size("asgd", CONSTANTS, TIMES, 0.1), "method"),
        (lambda: theory.noise_variance_estimate(np.zeros((2, 3, 1))), "samples"),
        (lambda: theory.constants_along([], lambda x: x), "points"),
    ):
        with pytest.raises(ValueError, match=name):
            call()
