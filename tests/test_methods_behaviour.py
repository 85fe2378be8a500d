"""Every method against its slow, plain twin, written from the definition and sharing no code with it."""

import academic_twin
import numpy as np
import plain_twins
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rasgd
from rasgd.randomness import Stream, generator

pytestmark = pytest.mark.filterwarnings("ignore:.*made no update")

# Dyadic times make arrival times exact, so that ties are ties in both event loops.
SECONDS = st.sampled_from([0.5, 1.0, 1.0, 1.5, 2.0, 3.0, 4.0])

# Rounding: both sides add the same numbers in another order. An arrival errs by at most about 10 roundings (1.1e-16
# each) of numbers no larger than the iterates, errors are carried on by a stable iteration, and there are at most 240
# arrivals: 240 · 10 · 1.1e-16 = 2.6e-13.
TOLERANCE = 1e-12


def options_of(method):
    """Strategy of the options of a method as a function of the number of workers."""

    def drawn(draw, n):
        whole = st.integers
        if method == "malenia":
            return {"S": draw(whole(1, 3 * n))}
        if method == "rennala":
            return {"S": draw(whole(1, 2 * n))}
        if method == "ringleader":
            return {
                "restart": draw(st.sampled_from(["held", "current"])),
                "trigger": draw(st.sampled_from(["joins", "opens"])),
            }
        if method == "rescaled":
            # No weight is more than 6/n, which keeps the largest step stable.
            parts = draw(st.one_of(st.none(), st.lists(whole(0, 5), min_size=n, max_size=n).filter(any)))
            return {"weights": parts and [part / sum(parts) for part in parts]}
        if method == "delay_adaptive":
            return {"rule": draw(st.sampled_from(["paper", "code"]))}
        if method == "ringmaster":
            return {"R": draw(whole(1, n + 1)), "abort": draw(st.booleans())}
        if method in ("fedbuff", "ca2fl"):
            return {"K": draw(whole(1, n + 1))}
        if method in ("concurrent", "shuffled"):
            return {"assignment": draw(st.lists(whole(0, n - 1), min_size=1, max_size=2 * n))}
        return {}

    return drawn


def quadratic(n, d, seed):
    """Matrices with eigenvalues in [0.2, 1], linear terms of size 1."""
    rng = np.random.default_rng(seed)
    A = np.empty((n, d, d))
    for i in range(n):
        basis, _ = np.linalg.qr(rng.normal(size=(d, d)))
        A[i] = basis @ np.diag(rng.uniform(0.2, 1, d)) @ basis.T
    return (A + A.transpose(0, 2, 1)) / 2, rng.normal(size=(n, d)), rng.normal(size=d)


def assert_same_run(method, options, times, d, seed, step_size, until, twin_options=None):
    A, b, x0 = quadratic(len(times), d, seed)
    t = rasgd.simulate(
        rasgd.Quadratic(A, b, initial_point=x0), method, times, step_size, until=until, eval_every=1.0, record=True,
        **options,
    )  # fmt: skip
    cluster = plain_twins.Cluster(A, b, x0, times, step_size, until)
    getattr(plain_twins, method)(cluster, **(options if twin_options is None else twin_options))

    scale = max(1.0, max(np.abs(x).max() for _, x, _ in cluster.path))
    np.testing.assert_allclose(t.final_point, cluster.x, rtol=0, atol=TOLERANCE * scale)
    at_evaluations = [cluster.at(time) for time in t.columns["time"]]
    points = np.stack([t.columns[f"point_{j}"] for j in range(d)], axis=1)
    np.testing.assert_allclose(points, [x for x, _ in at_evaluations], rtol=0, atol=TOLERANCE * scale)
    assert t.columns["updates"].tolist() == [updates for _, updates in at_evaluations]
    arrivals = zip(*(t.arrivals[name].tolist() for name in ("time", "worker", "k", "delay")), strict=True)
    assert list(arrivals) == cluster.log
    assert t.arrivals["duration"].tolist() == [times[worker] for _, worker, _, _ in cluster.log]
    assert t.wasted_gradients == cluster.dropped + cluster.ignored
    assert t.statistics["computed_gradients"] == len(cluster.log) + cluster.dropped
    assert t.statistics["num_updates"] == cluster.updates
    assert t.idle_seconds.tolist() == cluster.idle_seconds()  # sums of dyadic numbers are exact


@pytest.mark.parametrize("method", [method for method in rasgd.METHODS if hasattr(plain_twins, method)])
def test_every_method_equals_its_plain_twin(method):
    @settings(max_examples=80)
    @given(data=st.data())
    def on_random_instances(data):
        times = data.draw(st.lists(SECONDS, min_size=1, max_size=6), label="times")
        options = options_of(method)(data.draw, len(times))
        d = data.draw(st.sampled_from([1, 3]), label="d")
        seed = data.draw(st.integers(0, 10**6), label="instance")
        # At most 2n − 1 updates pass while a gradient is computed; 0.1 keeps such delayed steps stable.
        step_size = data.draw(st.sampled_from([0.02, 0.05, 0.1]), label="step_size")
        until = max(min(times), data.draw(st.integers(1, 20), label="until"))
        assert_same_run(method, options, times, d, seed, step_size, until)

    on_random_instances()


# Rescaled ASGD


def test_rescaled_equals_the_academic_version_with_noise():
    times, noise_std, seed = [1.0, 2.0, 0.5, 3.0], 0.3, 7
    A, b, x0 = quadratic(4, 3, seed=1)
    stream = Stream([seed], "sample")

    def gradient(i, k, x):
        return A[i] @ x - b[i] + noise_std * stream.at(i, k).normal(3)[0, 0]

    history = academic_twin.rescaled_asgd(gradient, x0, times, step_size=0.05, until=40.0)
    t = rasgd.simulate(
        rasgd.Quadratic(A, b, noise_std, x0), "rescaled", times, 0.05, seed=seed, until=40.0, record=True
    )
    assert t.arrivals["time"].tolist() == [time for time, _ in history[1:]]
    np.testing.assert_allclose(t.final_point, history[-1][1], rtol=0, atol=TOLERANCE)


def test_the_academic_version_finds_the_minimiser_of_the_toy():
    gradients = (lambda x: x - 4, lambda x: 2 * (x + 3))
    history = academic_twin.rescaled_asgd(lambda i, k, x: gradients[i](x), [5.0], [1.0, 2.0], 0.00889, 3000.0)
    # A step leaves a limit cycle around −2/3 of the order of the step times the gradients (6).
    assert abs(history[-1][1][0] + 2 / 3) < 0.00889 * 6


def test_rescaled_applies_the_same_total_step_to_every_worker():
    times = [1.0, 2.0, 3.0, 6.0]
    t = rasgd.simulate(constant_gradients(4), "rescaled", times, 0.5, until=12.0)
    # Over two cycles of 6 s worker i arrives 12/τᵢ times with γτᵢ/τ_H: 12·0.5/τ_H each, τ_H = 4/2 = 2.
    np.testing.assert_allclose(t.final_point, 12 * 0.5 / 2, rtol=1e-14)


@settings(max_examples=40)
@given(times=st.lists(SECONDS, min_size=1, max_size=60))
def test_equal_weights_change_no_bit(times):
    n = len(times)
    plain, given_weights = (
        rasgd.METHODS["rescaled"](*one_replica(1), n, times, weights=weights) for weights in (None, [1 / n] * n)
    )
    assert plain.scale == given_weights.scale


@settings(max_examples=40)
@given(data=st.data())
def test_effective_weights_are_the_given_ones_after_whole_cycles(data):
    times = data.draw(st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 6.0]), min_size=1, max_size=6))
    parts = data.draw(st.lists(st.integers(0, 9), min_size=len(times), max_size=len(times)).filter(any))
    weights = np.array(parts) / sum(parts)
    t = rasgd.simulate(constant_gradients(len(times)), "rescaled", times, 0.25, until=24.0, weights=weights)
    # At most 144 additions, each of which errs by 1.1e-16 of the sum.
    np.testing.assert_allclose(t.effective_weights, weights, rtol=0, atol=2e-14)
    # γ is the mean step per arrival, whatever the weights.
    total = 0.25 * sum(24 / seconds for seconds in times)
    assert t.final_point.sum() == pytest.approx(total, rel=2e-14)


def unequal_shares():
    rng = np.random.default_rng(0)
    parts = [range(10), range(10, 12), range(12, 40)]
    return rasgd.Logistic(rng.normal(size=(40, 3)), rng.integers(0, 2, 40), parts, batch_size=2, num_classes=2)


def test_weights_by_samples_are_the_shares_of_the_data_on_every_clock_and_in_replays():
    problem, call = unequal_shares(), {"step_size": 0.1, "until": 8.0, "record": True}
    shares = [10 / 40, 2 / 40, 28 / 40]
    by_name = rasgd.simulate(problem, "rescaled", [1.0, 2.0, 4.0], weights="samples", **call)
    by_number = rasgd.simulate(problem, "rescaled", [1.0, 2.0, 4.0], weights=shares, **call)
    np.testing.assert_array_equal(by_name.final_points, by_number.final_points)
    np.testing.assert_allclose(by_name.effective_weights, shares, rtol=0, atol=1e-15)
    assert by_name.metadata["method_options"] == {"weights": shares}
    for options in ({}, {"weights": "samples"}):
        again = rasgd.replay(problem, "rescaled", by_name.trace, **options)
        np.testing.assert_array_equal(again.final_points, by_name.final_points)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("samples", "weights 'samples' need a problem whose workers hold samples, got one without"),
        ("equal", "weights must be 2 numbers of at least 0 with sum 1, one per worker, got 'equal'"),
        ([0.5, 0.25, 0.25], r"weights must be 2 numbers .* got an array of shape \[3\]"),
        ([1.5, -0.5], r"weights must be 2 numbers .* got \[1.5, -0.5\]"),
        ([0.5, 0.6], r"weights must be 2 numbers .* got \[0.5, 0.6\]"),
        ([float("nan"), 1.0], "weights must be 2 numbers .* got"),
    ],
)
def test_weights_that_are_none_are_refused_in_one_line(weights, message):
    with pytest.raises(ValueError, match=message) as refused:
        rasgd.simulate(constant_gradients(2), "rescaled", [1.0, 2.0], 0.1, until=4.0, weights=weights)
    assert "\n" not in str(refused.value)


# Delay-adaptive ASGD


def test_delays_of_the_papers_example_are_those_of_its_appendix():
    # τ = (1, 100): worker 0's delays are 0 ninety-nine times and 1 once, after worker 1's only gradient, which finds
    # the 99 updates before it and worker 0's at its own instant. Steps of γ/(1 + δ), App. D.2 and F.2.
    t = rasgd.simulate(constant_gradients(2), "delay_adaptive", [1.0, 100.0], 1.0, until=200.0, rule="paper")
    first = 100 + 99 + 1 / 2
    assert t.final_point == pytest.approx([first, 2 / 101], rel=1e-12)


# Malenia SGD


def test_malenia_steps_when_the_harmonic_mean_meets_the_requirement_exactly():
    # n/Σ(1/B) = 4/(1 + 1 + 1/3 + 1/3) = 1.5 = S/n, which plain floating point misses.
    t = rasgd.simulate(constant_gradients(4), "malenia", [3.0, 3.0, 1.0, 1.0], 0.1, until=3.0, S=6)
    assert t.statistics["num_updates"] == 1


# Ringleader ASGD


@settings(max_examples=40)
@given(times=st.lists(SECONDS, min_size=1, max_size=6), trigger=st.sampled_from(["joins", "opens"]))
def test_ringleader_delays_stay_below_two_rounds(times, trigger):
    for law in (rasgd.FixedTimes, rasgd.ExponentialTimes):
        t = rasgd.simulate(constant_gradients(len(times)), "ringleader", law(times), 0.1, until=60.0, trigger=trigger)
        assert t.statistics["delay_max"] <= 2 * len(times) - 2


# Ringmaster ASGD


def test_ringmaster_aborts_a_job_that_would_have_arrived_at_this_very_instant():
    # R = 1: the arrival of worker 0 at t = 1 makes worker 1's job, due at the same instant, hopeless.
    assert_same_run("ringmaster", {"R": 1, "abort": True}, [1.0, 1.0], 1, 0, 0.1, 6.0)
    t = rasgd.simulate(constant_gradients(2), "ringmaster", [1.0, 1.0], 0.1, until=6.0, R=1, abort=True, record=True)
    assert t.arrivals["worker"].tolist() == [0] * 6
    assert t.wasted_gradients == 6


# CA²FL


def test_ca2fl_corrects_twice_a_worker_that_is_twice_in_the_buffer():
    # Worker 0 alone fills both buffers: v₁ = 0 + g, v₂ = g/n + (g − g).
    t = rasgd.simulate(constant_gradients(2), "ca2fl", [1.0, 100.0], 1.0, until=4.0, K=2)
    np.testing.assert_allclose(t.final_point, [1.5, 0.0], rtol=1e-15)


# Concurrent and Shuffled ASGD


@pytest.mark.parametrize("method", ["concurrent", "shuffled"])
def test_the_drawn_assignment_is_the_one_of_the_schedule_seed(method):
    times, drawn = [1.0, 2.0, 4.0], []
    instance = rasgd.METHODS[method](*one_replica(3), 3, generator=generator(5, "assignment"))
    for _ in range(200):
        (job,) = instance.receive(rasgd.Arrival(0, instance.x, 0, 0.0, 1.0))
        drawn.append(job.worker)
    A, b, x0 = quadratic(3, 3, seed=0)
    problem = rasgd.Quadratic(A, b, initial_point=x0)
    by_seed = rasgd.simulate(problem, method, times, 0.05, until=100.0, schedule_seed=5)
    explicit = rasgd.simulate(problem, method, times, 0.05, until=100.0, assignment=drawn)
    assert by_seed.statistics["num_updates"] < 200  # the explicit list was long enough
    np.testing.assert_array_equal(by_seed.final_point, explicit.final_point)


def test_concurrent_draws_workers_uniformly():
    n, draws = 5, 5000
    method = rasgd.METHODS["concurrent"](*one_replica(2), n, generator=generator(0, "assignment"))
    counts = np.zeros(n)
    for _ in range(draws):
        counts[method.receive(rasgd.Arrival(0, method.x, 0, 0.0, 1.0))[0].worker] += 1
    chi_square = np.square(counts - draws / n).sum() / (draws / n)
    assert chi_square < 18.5  # the 99.9 % quantile with 4 degrees of freedom


def test_shuffled_gives_n_consecutive_jobs_to_n_different_workers_in_fresh_orders():
    n = 5
    method = rasgd.METHODS["shuffled"](*one_replica(2), n, generator=generator(0, "assignment"))
    rounds = [
        tuple(method.receive(rasgd.Arrival(0, method.x, 0, 0.0, 1.0))[0].worker for _ in range(n)) for _ in range(20)
    ]
    assert all(sorted(order) == list(range(n)) for order in rounds)
    assert len(set(rounds)) > 10  # of 120 orders, 20 draws coincide rarely


def constant_gradients(n):
    """∇Fᵢ = −eᵢ everywhere, so x sums up the steps of every worker."""
    return rasgd.Quadratic(np.zeros((n, n)), np.eye(n))


def one_replica(d):
    import torch

    return torch.zeros(1, d, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
