"""The exact linear theory against plain event loops written out here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from rasgd import exact, theory

METHODS = ("asgd", "rescaled", "minibatch")
TIMES = st.lists(st.integers(1, 6), min_size=2, max_size=6)


def random_problem(seed, num_workers, dim=2, shared=False):
    """Return (A, b, x0) with eigenvalues of every Aᵢ in [.5, 2]; ``shared``: common eigenvectors."""
    rng = np.random.default_rng(seed)
    bases = [np.linalg.qr(rng.normal(size=(dim, dim)))[0] for _ in range(num_workers)]
    A = []
    for basis in bases:
        basis = bases[0] if shared else basis
        A.append(basis @ np.diag(rng.uniform(0.5, 2.0, dim)) @ basis.T)
    A = np.array(A)
    return (A + A.swapaxes(1, 2)) / 2, rng.normal(size=(num_workers, dim)), rng.normal(size=dim)


def event_loop(A, b, x0, times, method, step, until, noise_std=0.0, replicas=1, seed=0):
    """Yield (time, x [replicas, d]) at time 0 and after every arrival: the slow, plain twin. Times are integers."""
    rng = np.random.default_rng(seed)
    n, d = b.shape
    x = np.tile(x0, (replicas, 1))
    held = [x] * n
    yield 0, x
    if method == "minibatch":
        for t in range(max(times), until + 1, max(times)):
            gradients = [x @ A[i] - b[i] + noise_std * rng.normal(size=(replicas, d)) for i in range(n)]
            x = x - step * np.mean(gradients, axis=0)
            yield t, x
        return
    harmonic = n / sum(1 / t for t in times)
    for t in range(1, until + 1):
        for i in range(n):
            if t % times[i] == 0:
                scale = times[i] / harmonic if method == "rescaled" else 1.0
                gradient = held[i] @ A[i] - b[i] + noise_std * rng.normal(size=(replicas, d))
                x = x - step * scale * gradient
                held[i] = x
                yield t, x


def dense_cycle(A, b, times, method, step, noise_std):
    """Return (period, [(time, E, e, Q)] of every arrival) with explicit matrices on z = (x, s₁ … sₙ)."""
    n, d = b.shape
    period = int(np.lcm.reduce(times))
    harmonic = n / sum(1 / t for t in times)
    arrivals = []
    for t in range(1, period + 1):
        for i in range(n):
            if t % times[i] == 0:
                g = step * (times[i] / harmonic if method == "rescaled" else 1.0)
                V = np.zeros(((n + 1) * d, d))
                V[:d] = V[(i + 1) * d : (i + 2) * d] = np.eye(d)
                E = np.eye((n + 1) * d)
                E[(i + 1) * d : (i + 2) * d] = 0
                E[(i + 1) * d : (i + 2) * d, :d] = np.eye(d)
                E[:, (i + 1) * d : (i + 2) * d] -= V @ (g * A[i])
                arrivals.append((t, E, V @ (g * b[i]), (g * noise_std) ** 2 * V @ V.T))
    return period, arrivals


def exact_error_curve(A, b, x0, times, method, step, noise_std, num_cycles):
    """Return (times, E‖∇F‖²) at 0 and after every arrival, by dense matrices one arrival at a time."""
    period, arrivals = dense_cycle(A, b, times, method, step, noise_std)
    d = len(x0)
    mean, covariance = np.tile(x0, len(b) + 1), 0.0
    curvature, linear = A.mean(axis=0), b.mean(axis=0)
    when, errors = [0.0], [np.sum((curvature @ x0 - linear) ** 2)]
    for cycle in range(num_cycles):
        for t, E, e, Q in arrivals:
            mean, covariance = E @ mean + e, (E @ covariance @ E.T if np.ndim(covariance) else 0.0) + Q
            gradient = curvature @ mean[:d] - linear
            when.append(cycle * period + t)
            errors.append(gradient @ gradient + np.trace(curvature @ covariance[:d, :d] @ curvature))
    return np.array(when, dtype=float), np.array(errors)


def time_average(when, values, start, end):
    """Return the average over [start, end] of a piecewise constant curve."""
    edges = np.append(when, end)
    seconds = np.clip(edges[1:], start, end) - np.clip(edges[:-1], start, end)
    return np.tensordot(seconds, np.asarray(values), axes=1) / (end - start)


@settings(max_examples=40, deadline=None)
@given(times=TIMES, seed=st.integers(0, 10**6), method=st.sampled_from(METHODS), shared=st.booleans())
def test_limit_cycle_is_where_the_event_loop_settles(times, seed, method, shared):
    A, b, x0 = random_problem(seed, len(times), shared=shared)
    instance = exact.quadratic_instance(A, b, initial_point=x0)
    assert instance.num_modes == (2 if shared else 1)
    step = 0.4 * exact.largest_stable_step(exact.dynamics(instance, method, times))
    period = max(times) if method == "minibatch" else int(np.lcm.reduce(times))
    # 35 e-foldings take the transient to 1e-15; one more cycle is measured.
    cycles = int(np.ceil(35 / -np.log(exact.spectral_radius(exact.dynamics(instance, method, times), step)))) + 2
    run = list(event_loop(A, b, x0, times, method, step, until=(cycles + 1) * period))
    last = {t - cycles * period: x[0] for t, x in run if cycles * period <= t < (cycles + 1) * period}
    predicted = exact.stationary_error(exact.dynamics(instance, method, times), step)
    scale = np.abs(list(last.values())).max()
    for start, end, point in zip(predicted.starts, predicted.starts + predicted.seconds, predicted.points, strict=True):
        for t in (t for t in last if start <= t < end):
            np.testing.assert_allclose(point, last[t], atol=1e-10 * scale)
    when, everything = np.array([t for t, _ in run], dtype=float), np.array([x[0] for _, x in run])
    mean = time_average(when, everything, cycles * period, (cycles + 1) * period)
    np.testing.assert_allclose(predicted.mean_point, mean, atol=1e-10 * scale)
    gradients = everything @ A.mean(axis=0) - b.mean(axis=0)
    bias = time_average(when, (gradients**2).sum(axis=1), cycles * period, (cycles + 1) * period)
    assert predicted.bias == pytest.approx(bias, rel=1e-9, abs=1e-20)


@settings(max_examples=20, deadline=None)
@given(times=TIMES, seed=st.integers(0, 10**6), method=st.sampled_from(METHODS))
def test_largest_stable_step_separates_converging_from_diverging_runs(times, seed, method):
    A, b, x0 = random_problem(seed, len(times))
    instance = exact.quadratic_instance(A, b, initial_point=x0)
    edge = exact.largest_stable_step(exact.dynamics(instance, method, times))
    period = max(times) if method == "minibatch" else int(np.lcm.reduce(times))
    for factor, grows in ((0.98, False), (1.02, True)):
        # b = 0 measures decay towards 0 itself; run long enough for the slowest factor to reach e^±12.
        radius = exact.spectral_radius(exact.dynamics(instance, method, times), factor * edge)
        cycles = min(int(np.ceil(12 / abs(np.log(radius)))) + 5, 20000)
        *_, (_, x) = event_loop(A, 0 * b, x0, times, method, factor * edge, until=cycles * period)
        assert (np.abs(x).max() > 1e2) if grows else (np.abs(x).max() < 1e-2)


@settings(max_examples=40, deadline=None)
@given(times=TIMES, seed=st.integers(0, 10**6), method=st.sampled_from(("asgd", "rescaled")), shared=st.booleans())
def test_stationary_error_matches_dense_lyapunov_equation(times, seed, method, shared):
    A, b, x0 = random_problem(seed, len(times), shared=shared)
    instance = exact.quadratic_instance(A, b, noise_std=0.7, initial_point=x0)
    step = 0.5 * exact.largest_stable_step(exact.dynamics(instance, method, times))
    floor = exact.stationary_error(exact.dynamics(instance, method, times), step)
    period, arrivals = dense_cycle(A, b, times, method, step, 0.7)
    size = arrivals[0][1].shape[0]
    M, c, Q = np.eye(size), np.zeros(size), np.zeros((size, size))
    for _, E, e, noise in arrivals:
        M, c, Q = E @ M, E @ c + e, E @ Q @ E.T + noise
    z, P = np.linalg.solve(np.eye(size) - M, c), solve_discrete_lyapunov(M, Q)
    d, curvature = 2, A.mean(axis=0)
    bias, noise_part, spread = {}, {}, {}  # by time, after the last arrival at it
    for t, E, e, noise in [(0, np.eye(size), 0 * c, 0 * Q), *arrivals]:
        z, P = E @ z + e, E @ P @ E.T + noise
        bias[t] = np.sum((curvature @ z[:d] - b.mean(axis=0)) ** 2)
        noise_part[t] = np.trace(curvature @ P[:d, :d] @ curvature)
        spread[t] = P[:d, :d]
    when = np.array(list(bias), dtype=float)
    np.testing.assert_array_equal(floor.starts, when[:-1])
    # Both solve with I − M, whose inverse is of size 1/γ; the bias is a square that may be small beside its terms.
    np.testing.assert_allclose(floor.phase_noise, list(noise_part.values())[:-1], rtol=1e-12)
    np.testing.assert_allclose(floor.phase_bias, list(bias.values())[:-1], rtol=1e-8, atol=1e-18)
    averages = (time_average(when, list(part.values()), 0, period) for part in (noise_part, spread))
    assert floor.noise == pytest.approx(next(averages), rel=1e-12)
    assert floor.total == pytest.approx(floor.noise + floor.bias, rel=1e-12)
    np.testing.assert_allclose(floor.covariance, next(averages), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_stationary_error_lies_within_monte_carlo_error(method):
    times, (A, b, x0) = [1, 2, 4, 4], random_problem(5, 4)
    instance = exact.quadratic_instance(A, b, noise_std=0.5, initial_point=x0)
    step = 0.3 * exact.largest_stable_step(exact.dynamics(instance, method, times))
    period, burn = 4, 400
    run = list(event_loop(A, b, x0, times, method, step, burn + 25 * period, noise_std=0.5, replicas=600))
    when = np.array([t for t, _ in run], dtype=float)
    errors = [((x @ A.mean(axis=0) - b.mean(axis=0)) ** 2).sum(axis=1) for _, x in run]
    averages = time_average(when, errors, burn, burn + 25 * period)
    # Replicas are independent: 4 standard errors of their mean; burn-in is > 30 e-foldings at this step.
    error = averages.std(ddof=1) / np.sqrt(len(averages))
    assert (
        abs(averages.mean() - exact.stationary_error(exact.dynamics(instance, method, times), step).total) < 4 * error
    )
    assert error < 0.02 * averages.mean()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_moment_trajectory_matches_monte_carlo(method, shared):
    times, (A, b, x0), replicas = [1, 3, 2], random_problem(3, 3, shared=shared), 6000
    instance = exact.quadratic_instance(A, b, noise_std=0.4, initial_point=x0)
    at = np.array([0.0, 1.0, 2.5, 3.0, 6.0, 9.0, 13.5])
    predicted = exact.moment_trajectory(exact.dynamics(instance, method, times), 0.15, at)
    run = list(event_loop(A, b, x0, times, method, 0.15, 14, noise_std=0.4, replicas=replicas))
    for index, t in enumerate(at):
        x = [point for when, point in run if when <= t][-1]
        variance = np.diag(predicted.covariance[index])
        np.testing.assert_array_less(
            np.abs(x.mean(axis=0) - predicted.mean[index]), 4.5 * np.sqrt(variance / replicas) + 1e-12
        )
        # Gaussian sample covariances have variance (c_ii c_jj + c_ij²)/replicas.
        expected = predicted.covariance[index]
        error = np.sqrt((np.outer(variance, variance) + expected**2) / replicas)
        np.testing.assert_array_less(np.abs(np.cov(x.T) - expected), 4.5 * error + 1e-12)
        gradients = x @ A.mean(axis=0) - b.mean(axis=0)
        squares = (gradients**2).sum(axis=1)
        assert abs(squares.mean() - predicted.expected_grad_norm_sq[index]) < (
            4.5 * squares.std() / np.sqrt(replicas) + 1e-12
        )


@settings(max_examples=40, deadline=None)
@given(times=TIMES, seed=st.integers(0, 10**6), method=st.sampled_from(METHODS), step=st.floats(0.01, 0.2))
def test_mean_trajectory_is_the_noiseless_run(times, seed, method, step):
    A, b, x0 = random_problem(seed, len(times))
    instance = exact.quadratic_instance(A, b, initial_point=x0, noise_std=1.0)
    run = list(event_loop(A, b, x0, times, method, step, 40))
    at = np.arange(0.0, 41.0, 2.5)
    points = np.array([[x[0] for when, x in run if when <= t][-1] for t in at])
    predicted = exact.moment_trajectory(exact.dynamics(instance, method, times), [step, step / 2], at)
    np.testing.assert_allclose(predicted.mean[:, 0], points, rtol=1e-9, atol=1e-9 * np.abs(points).max())
    quiet = exact.quadratic_instance(A, b, initial_point=x0)
    loss = 0.5 * np.einsum("ti,ij,tj->t", points, A.mean(axis=0), points) - points @ b.mean(axis=0)
    best = theory.weighted_minimiser(A, b)
    excess = loss - (0.5 * best @ A.mean(axis=0) @ best - best @ b.mean(axis=0))
    measured = exact.moment_trajectory(exact.dynamics(quiet, method, times), step, at).expected_excess_loss
    np.testing.assert_allclose(measured, excess, rtol=1e-8, atol=1e-9 * (1 + np.abs(loss).max()))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), value=st.integers(1, 5), n=st.integers(1, 6), step=st.floats(0.01, 0.1))
def test_equal_times_make_asgd_and_rescaled_identical(seed, value, n, step):
    A, b, x0 = random_problem(seed, n)
    instance = exact.quadratic_instance(A, b, noise_std=0.3, initial_point=x0)
    vanilla, rescaled = (
        exact.stationary_error(exact.dynamics(instance, m, [value] * n), step) for m in ("asgd", "rescaled")
    )
    np.testing.assert_allclose(vanilla.phase_noise, rescaled.phase_noise, rtol=1e-12)
    np.testing.assert_allclose(vanilla.phase_bias, rescaled.phase_bias, rtol=1e-9, atol=1e-20)


def test_small_step_floors_have_the_closed_forms():
    times, (A, b, x0) = [1, 2, 3, 6], random_problem(8, 4)
    instance = exact.quadratic_instance(A, b, noise_std=0.6, initial_point=x0)
    mean, harmonic = theory.mean_compute_time(times), theory.harmonic_mean_compute_time(times)
    trace = np.trace(A.mean(axis=0))
    forms = {"rescaled": mean / (2 * harmonic), "minibatch": 1 / (2 * 4)}
    for method, factor in forms.items():
        # The next term is relatively O(γ n L_max τ_max/τ_H) < 1e-2 at γ = 1e-5.
        for step in (1e-5, 1e-6):
            floor = exact.stationary_error(exact.dynamics(instance, method, times), step)
            assert floor.noise == pytest.approx(step * factor * 0.36 * trace, rel=1e3 * step)


def test_rescaled_bias_vanishes_quadratically_and_vanilla_bias_does_not():
    times, (A, b, x0) = [1, 1, 4], random_problem(2, 3)
    instance = exact.quadratic_instance(A, b, initial_point=x0)
    rescaled = exact.stationary_error(exact.dynamics(instance, "rescaled", times), [1e-3, 1e-4]).bias
    assert rescaled[0] / rescaled[1] == pytest.approx(100, rel=0.05)
    vanilla = exact.stationary_error(exact.dynamics(instance, "asgd", times), 1e-5).bias
    assert vanilla == pytest.approx(theory.weighting_bias(A, b, theory.arrival_frequency(times)), rel=1e-3)


def test_gradients_at_the_current_point_give_the_plain_product_of_steps():
    A, b, x0 = random_problem(4, 2, dim=1)
    instance = exact.quadratic_instance(A, b, initial_point=x0)
    radius = exact.spectral_radius(exact.dynamics(instance, "asgd", [1, 2], fresh=True), 0.1)
    assert radius == pytest.approx((1 - 0.1 * A[0, 0, 0]) ** 2 * (1 - 0.1 * A[1, 0, 0]), rel=1e-12)


@pytest.mark.parametrize("method", ["asgd", "rescaled"])
@pytest.mark.parametrize("shared", [True, False])
def test_time_to_target_is_the_first_crossing_of_the_windowed_exact_curve(method, shared):
    times, (A, b, x0) = [1, 2, 3], random_problem(7, 3, shared=shared)
    A, x0, noise = 0.2 * A, 3 * x0, 5.0
    instance = exact.quadratic_instance(A, b, noise_std=noise, initial_point=x0)
    steps = np.array([5e-3, 0.02, 0.06])
    floors = exact.stationary_error(exact.dynamics(instance, method, times), steps).total
    start = exact.moment_trajectory(exact.dynamics(instance, method, times), 0.1, [0.0]).expected_grad_norm_sq[0]
    targets = floors.max() + (start - floors.max()) * np.array([0.9, 0.5, 0.1, 0.01, 0.001])
    predicted = exact.time_to_target(exact.dynamics(instance, method, times), steps, targets)
    for row, step in enumerate(steps):
        when, errors = exact_error_curve(A, b, x0, times, method, step, noise, num_cycles=int(15 / step))
        integral = np.concatenate([[0.0], np.cumsum(errors[:-1] * np.diff(when))])
        knots = np.unique(np.concatenate([when, when / 0.9]))
        knots = knots[(knots > 0) & (knots <= when[-1])]
        area = np.interp(knots, when, integral) - np.interp(0.9 * knots, when, integral)
        for column, target in enumerate(targets):
            excess = area - 0.1 * knots * target  # linear between knots
            below = int(np.argmax(excess <= 0))
            assert excess[below] <= 0 < below
            first = np.interp(0.0, -excess[below - 1 : below + 1], knots[below - 1 : below + 1])
            assert predicted[row, column] == pytest.approx(first, rel=1e-4)  # where regula falsi stops


def test_time_to_target_is_infinite_below_the_floor_and_for_unstable_steps():
    times, (A, b, x0) = [1, 2], random_problem(1, 2)
    instance = exact.quadratic_instance(A, b, noise_std=0.5, initial_point=10 * x0)
    edge = exact.largest_stable_step(exact.dynamics(instance, "rescaled", times))
    floor = exact.stationary_error(exact.dynamics(instance, "rescaled", times), edge / 10).total
    result = exact.time_to_target(
        exact.dynamics(instance, "rescaled", times), [edge / 10, 1.1 * edge], [0.9 * floor, 1.5 * floor]
    )
    assert np.isinf(result[0, 0]) and np.isfinite(result[0, 1]) and np.isinf(result[1]).all()
    assert exact.time_to_target(exact.dynamics(instance, "rescaled", times), edge / 10, 1e9) == 0.0


def test_wrong_arguments_are_refused_by_name():
    A, b, x0 = random_problem(0, 2)
    instance = exact.quadratic_instance(A, b, initial_point=x0)
    for call, name in (
        (lambda: exact.spectral_radius(exact.dynamics(instance, "asgd", [1, 2, 3]), 0.1), "compute_times"),
        (lambda: exact.dynamics(instance, "sgd", [1, 2]), "method"),
        (lambda: exact.spectral_radius(exact.dynamics(instance, "asgd", [1, 2]), -0.1), "step_size"),
        (lambda: exact.moment_trajectory(exact.dynamics(instance, "asgd", [1, 2]), 0.1, [-1.0]), "times"),
        (lambda: exact.time_to_target(exact.dynamics(instance, "asgd", [1, 2]), 0.1, 0.0), "targets"),
        (lambda: exact.quadratic_instance(-A, b), "A must have a positive definite mean"),
        (lambda: exact.quadratic_instance(A, b, noise_std=-1), "noise_std"),
        (lambda: exact.quadratic_instance(A, b, initial_point=[1.0]), "initial_point"),
        (lambda: exact.diagonal_instance(np.ones((3, 2)), b), "curvatures"),
    ):
        with pytest.raises(ValueError, match=name):
            call()


def test_unstable_steps_have_no_limit_cycle_and_no_floor():
    times, (A, b, x0) = [1, 3], random_problem(6, 2)
    instance = exact.quadratic_instance(A, b, noise_std=0.1, initial_point=x0)
    edge = exact.largest_stable_step(exact.dynamics(instance, "rescaled", times))
    steps = [0.5 * edge, 1.1 * edge, 1e6 * edge]
    floor = exact.stationary_error(exact.dynamics(instance, "rescaled", times), steps)
    for values in (floor.points, floor.mean_point, floor.bias, floor.total, floor.phase_noise, floor.covariance):
        assert np.isfinite(values[0]).all() and np.isnan(values[1:]).all()
    rates = exact.linear_rate(exact.dynamics(instance, "rescaled", times), steps)
    assert rates[0] < 0 < rates[1]


def test_no_step_is_stable_when_the_weighted_objective_has_no_minimum():
    # F₁ is concave and its worker fast: vanilla ASGD descends (4·F₁ + F₂)/5, which is not bounded below.
    instance = exact.diagonal_instance([[-0.5], [1.5]], [[0.0], [1.0]])
    assert exact.largest_stable_step(exact.dynamics(instance, "asgd", [1, 4])) == 0.0
    assert exact.largest_stable_step(exact.dynamics(instance, "rescaled", [1, 4])) > 0.0
