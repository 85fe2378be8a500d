"""The first time at which the windowed exact curve meets a target, against a search over the knots of that curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasgd import exact, theory
from rasgd.exact import times as exact_times

# The average over whole cycles is above ε for long when a window that cuts a cycle first finds it below.
RELATIVE_TARGETS = np.array([0.9, 0.97, 0.99, 0.999, 1.001, 1.01, 1.1, 2.0, 10.0, 100.0])
HORIZON = 1500


def windowed_curve(instance, times, method, step, horizon=HORIZON):
    """Return all knots t up to ``horizon`` with ∫ E‖∇F‖² over [.9t, t]; compute times are integers."""
    seconds = np.arange(float(horizon))
    errors = exact.moment_trajectory(exact.dynamics(instance, method, times), step, seconds).expected_grad_norm_sq
    integral = np.append(0.0, np.cumsum(errors))  # constant from one second to the next
    arrivals = np.arange(1.0, horizon + 1)
    knots = np.unique(np.append(arrivals, arrivals[arrivals <= 0.9 * horizon] / 0.9))
    at = np.append(0.0, arrivals)
    return knots, np.interp(knots, at, integral) - np.interp(0.9 * knots, at, integral)


def assert_first(found, knots, area, targets, walked):
    """Each time is a crossing, and none of the walked knots is below the target before it."""
    # Of the relative excess. Both sides are exact but for rounding: 1e-16 of the integral since time 0, which is at
    # most 1e8 times W here; ten times that is allowed.
    slack = 1e-7
    for time, target in zip(found, targets, strict=True):
        excess = area / (0.1 * knots * target) - 1
        assert np.all(excess[knots < min(time * (1 - 1e-9), walked)] > -slack)
        if time == 0:
            assert excess[0] <= slack
        elif time <= knots[-1]:
            # W is linear between knots, and continuous: at its first crossing it equals 0.1tε.
            assert np.interp(time, knots, area) == pytest.approx(0.1 * time * target, rel=slack)


def test_windows_that_cut_a_cycle_meet_a_target_before_whole_cycles_do():
    times = [1, 1, 2, 2, 4, 4, 8, 8]
    instance = theory.spectrum_quadratic(np.geomspace(0.05, 1, 3), 8, 3.0, 0.3, 10.0, seed=0).problem()
    step = 0.6 * exact.largest_stable_step(exact.dynamics(instance, "rescaled", times))
    targets = (
        np.array([0.97, 1.02, 1.1]) * exact.stationary_error(exact.dynamics(instance, "rescaled", times), step).total
    )
    knots, area = windowed_curve(instance, times, "rescaled", step, 400)
    found = exact.time_to_target(exact.dynamics(instance, "rescaled", times), step, targets)
    assert_first(found, knots, area, targets, 400)
    assert np.isfinite(found[0])  # below the floor, for a moment
    whole = np.arange(80, 400, 80.0)  # where neither end of the window cuts a cycle
    assert np.all(np.interp(whole, knots, area) > 0.1 * whole * targets[0])


@st.composite
def instances(draw):
    """Draw (instance, compute times): soft modes make transients long, a stiff one makes cycles differ inside."""
    n, modes = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    curvatures = np.append(1.0, np.exp(rng.uniform(np.log(0.01), 0, modes - 1)))
    spread, noise, distance = (draw(st.sampled_from(values)) for values in ([0, 0.3, 3], [0.03, 0.3, 1], [0.1, 1, 10]))
    b, start = spread * rng.normal(size=(n, modes)), distance * rng.normal(size=modes)
    times = draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=n, max_size=n))
    return exact.diagonal_instance(curvatures, b, noise, start), times


@pytest.mark.parametrize("first_blocks", [1, exact_times._FIRST_BLOCKS])  # 1: all but ten periods are searched
@settings(max_examples=25, deadline=None)
@given(
    drawn=instances(),
    method=st.sampled_from(["rescaled", "asgd", "minibatch"]),
    share=st.sampled_from([0.2, 0.6, 0.95]),
)
def test_time_to_target_is_the_first_of_all_crossings(first_blocks, drawn, method, share):
    instance, times = drawn
    step = share * exact.largest_stable_step(exact.dynamics(instance, method, times))
    targets = RELATIVE_TARGETS * exact.stationary_error(exact.dynamics(instance, method, times), step).total
    knots, area = windowed_curve(instance, times, method, step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_times, "_FIRST_BLOCKS", first_blocks)
        found = exact.time_to_target(exact.dynamics(instance, method, times), step, targets)
    assert_first(found, knots, area, targets, 10 * first_blocks * exact.dynamics(instance, method, times).period)


def test_shapes_cannot_be_told_from_one_target_or_step_at_a_time():
    instance = theory.spectrum_quadratic([0.05, 1.0], 3, 1.0, 0.3, 10.0).problem()
    steps, targets = np.array([0.01, 0.05, 0.1, 9.0]), np.array([1.0, 0.1, 0.03])
    together = exact.time_to_target(exact.dynamics(instance, "rescaled", [1, 2, 3]), steps, targets)
    apart = [
        [exact.time_to_target(exact.dynamics(instance, "rescaled", [1, 2, 3]), s, t) for t in targets] for s in steps
    ]
    np.testing.assert_allclose(together, apart, rtol=1e-9)
    assert np.isinf(together[-1]).all() and np.isfinite(together).sum() >= 5


def test_the_best_step_stays_below_its_target():
    times = [2] * 15 + [48]
    instance = theory.adapted_quadratic(0.1, 16, heterogeneity=1.0).problem()
    best = exact.best_time(exact.dynamics(instance, "rescaled", times), 0.1)
    assert exact.stationary_error(exact.dynamics(instance, "rescaled", times), best.step_size).total <= 0.1
    steps = best.step_size * np.geomspace(0.25, 4, 200)
    seconds = exact.time_to_target(exact.dynamics(instance, "rescaled", times), steps, 0.1)
    stays = exact.stationary_error(exact.dynamics(instance, "rescaled", times), steps).total <= 0.1
    # Larger steps dip below the target for a moment, much earlier, and settle above it.
    assert seconds[~stays].min() < 0.9 * best.seconds
    # As good as any step that stays below, up to the distance 2^(1/16) between the steps that are tried.
    assert best.seconds <= seconds[stays].min() * 2 ** (1 / 16)
