"""The exact theory against the simulator: noiseless runs to rounding, noisy ones within their intervals."""

import numpy as np
import pytest
from scipy.stats import t as students_t

import rasgd
from rasgd import exact
from rasgd.methods.base import Job, Method
from rasgd.theory import cycle_moments, periods
from rasgd.theory.weights import weighted_minimiser

TIMES = [1, 1, 2, 3, 4, 6]
LONG = {  # in which every option of a method takes another path than by default
    "malenia": {"S": 18},
    "rennala": {"S": 4},
    "ringleader": {"restart": "current"},
    "ringmaster": {"R": 3, "abort": True},
    "fedbuff": {"K": 4},
    "ca2fl": {"K": 5},
    "shuffled": {"assignment": [0, 3, 1, 5, 2, 4, 5]},
}
LINEAR = [name for name, method in rasgd.METHODS.items() if method.linear and not method.draws_jobs]
CASES = [(name, {}) for name in LINEAR] + list(LONG.items())


class Momentum(Method):
    """x moves along an average of all earlier gradients that forgets by 1/2 at each arrival."""

    label = "Momentum"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.velocity = x0 * 0

    def receive(self, arrival):
        self.velocity = 0.5 * self.velocity + arrival.gradient
        self.update(self.velocity)
        return [Job(arrival.worker)]


class Averaging(Method):
    """Dual averaging: x is x⁰ less the sum of all gradients, and counts that never repeat are kept beside it."""

    label = "Averaging"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.first, self.sum, self.arrivals = x0, x0 * 0, 0

    def receive(self, arrival):
        self.arrivals += 1
        self.sum = self.sum + arrival.gradient
        self.x = self.first
        self.update(self.sum)
        return [Job(arrival.worker)]


def problem(noise_std=0.0, shared=True, seed=0):
    """Three dimensions, eigenvalues of all Aᵢ in [.5, 2]; one basis for all, or one for each."""
    rng = np.random.default_rng(seed)
    bases = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in TIMES]
    A = np.array(
        [basis @ np.diag(rng.uniform(0.5, 2.0, 3)) @ basis.T for basis in (bases[:1] * 6 if shared else bases)]
    )
    return rasgd.Quadratic(A, rng.normal(size=(6, 3)), noise_std, rng.normal(size=3))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("method", "options"), [*CASES, (Momentum, {}), (Averaging, {})])
def test_the_mean_is_the_noiseless_run(method, options, shared):
    given = problem(shared=shared)
    dynamics = exact.dynamics(given, method, TIMES, **options)
    step = 0.3 * exact.largest_stable_step(dynamics)
    until = 5 * (dynamics.prefix + dynamics.period) + 7
    run = rasgd.simulate(given, method, TIMES, step, until=until, eval_every=0.5, **options).metrics
    predicted = exact.moment_trajectory(dynamics, step, run["time"])
    points = run[["point_0", "point_1", "point_2"]].to_numpy()
    # Sums of about a thousand products of numbers near 1.
    np.testing.assert_allclose(predicted.mean, points, atol=1e-12)
    np.testing.assert_allclose(predicted.expected_grad_norm_sq, run["grad_norm_sq"], rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize(("method", "options"), [*CASES, (Momentum, {}), (Averaging, {})])
def test_noiseless_runs_settle_on_the_limit_cycle(method, options):
    given = problem()
    dynamics = exact.dynamics(given, method, TIMES, **options)
    step = 0.3 * exact.largest_stable_step(dynamics)
    # Transients shrink to e^-40 = 4e-18.
    periods = int(np.ceil(40 / -np.log(exact.spectral_radius(dynamics, step)))) + 2
    start = dynamics.prefix + periods * dynamics.period
    run = rasgd.simulate(given, method, TIMES, step, until=start + dynamics.period, eval_every=0.5, **options).metrics
    last = run[(run["time"] >= start) & (run["time"] < start + dynamics.period)]
    predicted = exact.stationary_error(dynamics, step)
    phase = np.searchsorted(predicted.starts, last["time"] - start + 1e-6) - 1
    np.testing.assert_allclose(predicted.points[phase], last[["point_0", "point_1", "point_2"]], atol=1e-10)
    np.testing.assert_allclose(predicted.phase_bias[phase], last["grad_norm_sq"], rtol=1e-9, atol=1e-20)
    assert predicted.bias == pytest.approx(last["grad_norm_sq"].mean(), rel=1e-9, abs=1e-20)


@pytest.mark.parametrize(("method", "options"), [*CASES, (Momentum, {})])
def test_floors_lie_within_the_intervals_of_noisy_runs(method, options):
    given, seeds = problem(noise_std=0.5), 40
    dynamics = exact.dynamics(given, method, TIMES, **options)
    step = 0.3 * exact.largest_stable_step(dynamics)
    settled = rasgd.Quadratic(given.A, given.b, 0.5, exact.stationary_error(dynamics, step).mean_point)
    until = 150 * max(TIMES)
    run = rasgd.simulate(
        settled, method, TIMES, step, seed=range(seeds), until=until, eval_every=1.0, **options
    ).metrics
    averages = run[run["time"] >= until / 5].groupby("seed")["grad_norm_sq"].mean()
    # Of seventeen methods one misses by chance once in fifty changes of the draws.
    width = students_t.ppf(1 - 1e-3 / 2, seeds - 1) * averages.std() / np.sqrt(seeds)
    assert exact.stationary_error(dynamics, step).total == pytest.approx(averages.mean(), abs=width)
    assert width < 0.15 * averages.mean()


@pytest.mark.parametrize(("method", "options"), [*CASES, (Momentum, {}), (Averaging, {})])
def test_the_largest_stable_step_separates_decaying_from_growing_runs(method, options):
    given = rasgd.Quadratic(problem().A, np.zeros((6, 3)), 0.0, np.ones(3))  # decays towards 0 itself
    dynamics = exact.dynamics(given, method, TIMES, **options)
    edge = exact.largest_stable_step(dynamics)
    for factor, grows in ((0.95, False), (1.05, True)):
        periods = int(np.ceil(12 / abs(np.log(exact.spectral_radius(dynamics, factor * edge))))) + 2
        until = dynamics.prefix + periods * dynamics.period
        last = rasgd.simulate(given, method, TIMES, factor * edge, until=until, eval_every=until, **options).final_point
        assert (np.abs(last).max() > 1e2) if grows else (np.abs(last).max() < 1e-2)


@pytest.mark.parametrize("weights", [None, [0.1, 0.1, 0.2, 0.2, 0.2, 0.2]])
def test_cycle_end_errors_are_those_of_dense_matrices_with_any_weights_and_curvatures(weights):
    given = problem(noise_std=0.4, shared=False)
    A, b, x0 = given.A.numpy(), given.b.numpy(), given.x0.numpy()
    centre = weighted_minimiser(A, b)
    steps = rasgd.METHODS["rescaled"](given.x0[None], given.x0.new_ones(1, 1), 6, TIMES, weights=weights).scale
    maps = cycle_moments.cycle_maps(
        A[None], (A @ centre - b)[None], 0.05 * np.array([steps]), np.array([0.4]), periods.cycle(TIMES)
    )
    start = cycle_moments.common_start((x0 - centre)[None], 6)
    expected = cycle_moments.expected_squares(maps, A.mean(axis=0)[None], start, 30)[0]
    dynamics = exact.dynamics(given, "rescaled", TIMES, weights=weights)
    np.testing.assert_allclose(exact.cycle_end_errors(dynamics, 0.05, 29, 12.0), expected, rtol=1e-12)
