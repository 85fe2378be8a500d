"""Arrival frequencies, effective weights and weighted minimisers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasgd import theory

TIMES = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def test_means_of_a_known_schedule():
    times = [1, 1, 2, 2, 3, 3, 4, 4, 6, 6, 8, 8, 12, 12, 24, 24]
    assert theory.mean_compute_time(times) == 7.5
    assert theory.harmonic_mean_compute_time(times) == pytest.approx(3.2)


@given(times=TIMES, periods=st.floats(0.5, 40.0))
def test_finite_time_weights_are_counted_steps(times, periods):
    until = periods * max(times)
    rescaled, vanilla = np.zeros(len(times)), np.zeros(len(times))
    for worker, seconds in enumerate(times):
        clock = seconds
        while clock <= until:
            rescaled[worker] += seconds
            vanilla[worker] += 1
            clock += seconds
    for method, steps in (("rescaled", rescaled), ("asgd", vanilla)):
        if steps.sum() > 0:
            np.testing.assert_allclose(
                theory.effective_weights_at(method, times, until), steps / steps.sum(), rtol=1e-12, atol=1e-15
            )


@given(times=TIMES)
def test_rescaled_weights_are_exactly_equal_at_multiples_of_the_cycle(times):
    cycle = int(np.lcm.reduce(times))
    weights = theory.effective_weights_at("rescaled", times, [cycle, 3 * cycle])
    np.testing.assert_allclose(weights, np.full((2, len(times)), 1 / len(times)), rtol=1e-14)
    vanilla = theory.effective_weights_at("asgd", times, cycle)
    np.testing.assert_allclose(vanilla, theory.effective_weights("asgd", times), rtol=1e-13)


@given(times=TIMES, step=st.floats(1e-3, 1.0))
def test_mean_step_per_arrival_is_the_step_size_for_both_methods(times, step):
    for method in ("asgd", "rescaled"):
        steps = theory.worker_step_sizes(method, times, step)
        assert theory.arrival_frequency(times) @ steps == pytest.approx(step, rel=1e-13)


@given(times=TIMES)
def test_rescaled_applies_the_same_total_step_to_every_worker_per_second(times):
    rate = theory.worker_step_sizes("rescaled", times, 0.3) / np.array(times)
    np.testing.assert_allclose(rate, 0.3 / theory.harmonic_mean_compute_time(times), rtol=1e-13)


def test_weights_before_the_first_arrival_are_undefined():
    assert np.isnan(theory.effective_weights_at("rescaled", [2, 3], 1.0)).all()
    np.testing.assert_array_equal(theory.effective_weights_at("rescaled", [2, 3], 2.0), [1.0, 0.0])


def test_decimal_times_are_counted_as_on_paper():
    # 0.3/0.1 is 2.9999999999999996 in floating point; three gradients have arrived
    np.testing.assert_allclose(theory.effective_weights_at("asgd", [0.1, 0.3], 0.3), [0.75, 0.25])


def test_weighted_minimiser_of_the_toy_problem():
    A, b = np.array([[[1.0]], [[2.0]]]), np.array([[4.0], [-6.0]])  # ½(x−4)², (x+3)² up to constants
    assert theory.weighted_minimiser(A, b)[0] == pytest.approx(-2 / 3)
    frequency = theory.arrival_frequency([1.0, 2.0])
    assert theory.weighted_minimiser(A, b, frequency)[0] == pytest.approx(0.5)
    # ∇F(x) = (3x + 2)/2 at x = 1/2
    assert theory.weighting_bias(A, b, frequency) == pytest.approx(1.75**2)


def test_least_squares_is_the_quadratic_with_the_same_gradients():
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(m, 3)) for m in (5, 8)]
    targets = [rng.normal(size=m) for m in (5, 8)]
    A, b = theory.least_squares_quadratic(features, targets, ridge=0.1)
    best = theory.weighted_minimiser(A, b)
    gradient = sum(X.T @ (X @ best - y) / len(X) + 0.1 * best for X, y in zip(features, targets, strict=True))
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


@pytest.mark.parametrize("method", ["delay_adaptive", "rennala", "ringmaster", "sgd"])
def test_methods_without_closed_form_weights_are_refused(method):
    with pytest.raises(ValueError, match="method must be one with closed-form weights"):
        theory.effective_weights(method, [1, 2])


def test_wrong_arguments_are_refused_by_name():
    A, b = np.eye(2), np.zeros((3, 2))
    for call, name in (
        (lambda: theory.arrival_frequency([1.0, 0.0]), "compute_times"),
        (lambda: theory.weighted_minimiser(np.eye(3), b), "A must have shape"),
        (lambda: theory.weighted_minimiser(np.array([[1.0, 1.0], [0.0, 1.0]]), b), "A must be symmetric"),
        (lambda: theory.weighted_minimiser(A, b, [1.0]), "weights"),
        (lambda: theory.weighted_minimiser(-A, b), "positive definite"),
        (lambda: theory.worker_step_sizes("malenia", [1.0], 0.1), "method"),
        (lambda: theory.least_squares_quadratic([np.eye(2)], []), "targets"),
    ):
        with pytest.raises(ValueError, match=name):
            call()
