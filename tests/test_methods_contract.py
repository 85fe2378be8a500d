"""What holds for every method, whatever it does: the rules of the seam between a method and the rest."""

import numpy as np
import pytest
import torch

import rasgd
from rasgd.theory import ROWS

TIMES = [1.0, 2.0, 4.0, 5.0]  # cycle 20
N, D, CYCLE = len(TIMES), 6, 20.0

CASES = [
    *((method, {}) for method in rasgd.METHODS),
    ("rescaled", {"weights": [0.1, 0.2, 0.0, 0.7]}),
    ("delay_adaptive", {"rule": "paper"}),
    ("malenia", {"S": 10}),
    ("rennala", {"S": 3}),
    ("ringleader", {"restart": "current"}),
    ("ringleader", {"trigger": "opens"}),
    ("ringmaster", {"R": 2}),
    ("ringmaster", {"R": 3, "abort": True}),
    ("fedbuff", {"K": 3}),
    ("ca2fl", {"K": 3}),
    ("concurrent", {"assignment": [0, 0, 3, 1, 2, 3]}),
    ("shuffled", {"assignment": [3, 1, 2, 0]}),
]
every_case = pytest.mark.parametrize(
    ("method", "options"), CASES, ids=["-".join([m, *(f"{k}={v}" for k, v in o.items())]) for m, o in CASES]
)


def quadratic(noise=0.5, n=N):
    return rasgd.random_quadratic(n, D, noise=noise, heterogeneity=1.0 if n > 1 else 0.0, seed=3)


def constant_gradients(n=N):
    """∇Fᵢ = −eᵢ everywhere, so x sums up the steps of every worker."""
    return rasgd.Quadratic(np.zeros((n, n)), np.eye(n))


def watched(method, after):
    """The method, with `after(self, arrival, x_before, updates_before, jobs)` called at every arrival."""

    class Watched(rasgd.METHODS[method]):
        linear = False  # spares the second instance that measures effective weights

        def receive(self, arrival):
            x, updates = self.x, self.updates
            jobs = super().receive(arrival)
            after(self, arrival, x, updates, jobs)
            return jobs

    return Watched


def assert_identical(one, other):
    for name, values in one.columns.items():
        np.testing.assert_array_equal(values, other.columns[name], err_msg=name)
    np.testing.assert_array_equal(one.final_points, other.final_points)


# x, jobs and gradients


@every_case
def test_an_arrival_makes_at_most_one_update_and_x_is_a_new_tensor_then(method, options):
    seen = []

    def after(self, arrival, x, updates, jobs):
        assert self.updates - updates in (0, 1)
        assert (self.x is not x) == (self.updates > updates)
        assert self.x.shape == x.shape
        if self.updates > updates:
            assert all(self.x.data_ptr() != older.data_ptr() for older, _ in seen)
            seen.append((self.x, self.x.clone()))

    rasgd.simulate(quadratic(), watched(method, after), TIMES, 0.05, until=60.0, **options)
    assert len(seen) > 5
    for x, when_new in seen:  # points that workers hold never change
        assert torch.equal(x, when_new)


@every_case
def test_jobs_name_existing_workers_and_known_points(method, options):
    def after(self, arrival, x, updates, jobs):
        assert isinstance(jobs, list)
        for job in jobs:
            assert isinstance(job, rasgd.Job)
            assert type(job.worker) is int and 0 <= job.worker < N
            assert job.point in ("current", "held")
            assert job.abort in (True, False)
        assert len({job.worker for job in jobs}) == len(jobs)

    rasgd.simulate(quadratic(), watched(method, after), TIMES, 0.05, until=60.0, **options)


@every_case
def test_the_delay_tells_at_which_x_the_gradient_was_taken(method, options):
    problem = quadratic(noise=0.0)
    history = [problem.initial_point(0)[None]]
    delays = []

    def after(self, arrival, x, updates, jobs):
        point = history[updates - arrival.delay]
        torch.testing.assert_close(gradients.pop(), problem.gradient(arrival.worker, point, None), rtol=0, atol=0)
        delays.append(arrival.delay)
        if self.updates > updates:
            history.append(self.x)

    gradients = []

    class Noting(watched(method, after)):
        def receive(self, arrival):
            gradients.append(arrival.gradient.clone())  # the method may write to it
            return super().receive(arrival)

    rasgd.simulate(problem, Noting, TIMES, 0.05, until=60.0, **options)
    assert (max(delays) > 0) == ROWS[method].stale


@pytest.mark.parametrize("kind", ["exact", "noisy", "tridiagonal", "noisy, two seeds", "network", "network, exact"])
def test_a_gradient_belongs_to_the_method_alone(kind):
    """A method that overwrites every gradient it is done with changes nothing for anybody else."""

    class Scribbling(rasgd.METHODS["asgd"]):
        def receive(self, arrival):
            jobs = super().receive(arrival)
            arrival.gradient.fill_(float("nan"))
            return jobs

    kept = []

    class Keeping(rasgd.METHODS["asgd"]):
        def receive(self, arrival):
            kept.append((arrival.gradient, arrival.gradient.clone()))
            return super().receive(arrival)

    problem = {"exact": quadratic(0.0), "tridiagonal": tridiagonal_quadratic(), "network": network()}.get(kind)
    problem = network(batch_size=None) if kind == "network, exact" else problem or quadratic()
    settings = {"step_size": [0.05, 0.1], "seed": [0, 1] if "seeds" in kind else 0, "until": 40.0}
    results = [
        rasgd.simulate(problem, method, TIMES, **settings) for method in (rasgd.METHODS["asgd"], Scribbling, Keeping)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].final_points, other.final_points)
    assert all(torch.equal(gradient, then) for gradient, then in kept)  # nobody wrote to a kept gradient


def tridiagonal_quadratic():
    return rasgd.Quadratic(rasgd.problems.tridiagonal(D), np.eye(N, D), noise_std=0.1)


def network(batch_size=4):
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    return rasgd.Network(inputs, labels, np.arange(40).reshape(N, 10), (5, 4, 3), batch_size=batch_size)


@every_case
def test_the_state_consists_of_plain_values_and_the_generator(method, options):
    states = []
    rasgd.simulate(
        quadratic(), watched(method, lambda self, *_: states.append(self)), TIMES, 0.05, until=30.0, **options
    )

    def assert_plain(value, where):
        if type(value) is dict:
            for key, entry in value.items():
                assert type(key) in (str, int), where
                assert_plain(entry, f"{where}[{key!r}]")
        elif type(value) is list:
            for position, entry in enumerate(value):
                assert_plain(entry, f"{where}[{position}]")
        else:
            plain = (torch.Tensor, np.random.Generator, str, bool, int, float, type(None))
            assert type(value) in plain, f"{where} is a {type(value).__name__}"

    for name, value in vars(states[-1]).items():
        assert_plain(value, name)


# Replicas


@every_case
def test_the_same_call_gives_the_same_bits(method, options):
    call = {"step_size": [0.05, 0.1], "seed": [0, 1], "until": 40.0, "schedule_seed": 2, **options}
    times = rasgd.NoisyTimes(TIMES)
    assert_identical(
        rasgd.simulate(quadratic(), method, times, **call), rasgd.simulate(quadratic(), method, times, **call)
    )


@every_case
def test_schedules_depend_on_the_generator_where_the_method_says_so(method, options):
    finals = [
        rasgd.simulate(quadratic(), method, TIMES, 0.02, until=4 * CYCLE, schedule_seed=seed, **options).final_point
        for seed in range(3)
    ]
    changes = any(not np.array_equal(finals[0], other) for other in finals[1:])
    assert changes == (rasgd.METHODS[method].draws_jobs and "assignment" not in options)


@every_case
def test_a_batch_of_replicas_equals_each_replica_alone(method, options):
    steps, seeds, until = [0.05, 0.02], [4, 1, 9], 40.0
    batch = rasgd.simulate(quadratic(), method, TIMES, steps, seeds, until, record=True, **options)
    arrivals = len(batch.arrivals["time"])
    # Kernels may sum a product of d terms in another order: (d + 2) roundings of 1.1e-16 per arrival, carried on by a
    # stable iteration, of numbers no larger than the largest iterate (starting at √d, pulled by noise of size 1).
    tolerance = arrivals * (D + 2) * 1.2e-16 * 10
    for row, (step, seed) in enumerate((step, seed) for step in steps for seed in seeds):
        alone = rasgd.simulate(quadratic(), method, TIMES, step, seed, until, record=True, **options)
        np.testing.assert_allclose(batch.final_point[row], alone.final_point, rtol=0, atol=tolerance)
        # The schedule depends neither on the step size nor on the samples.
        for name, values in alone.arrivals.items():
            np.testing.assert_array_equal(values, batch.arrivals[name])
        assert alone.statistics == batch.statistics


@every_case
def test_a_diverging_replica_disturbs_no_other(method, options):
    calm = rasgd.simulate(quadratic(), method, TIMES, [0.05, 0.06, 0.02], until=100.0, **options)
    wild = rasgd.simulate(quadratic(), method, TIMES, [0.05, 1e150, 0.02], until=100.0, **options)
    assert np.isnan(calm.replicas["diverged_at"]).all()
    assert np.isfinite(wild.replicas["diverged_at"]).tolist() == [False, True, False]
    assert not np.isfinite(wild.final_points[1]).all()
    np.testing.assert_array_equal(calm.final_points[[0, 2]], wild.final_points[[0, 2]])
    rows, calm_rows = wild.metrics, calm.metrics
    diverged = rows[rows["step_size"] == 1e150]
    assert (diverged["time"] < wild.replicas["diverged_at"][1]).all() and len(diverged) < 60
    for step in (0.05, 0.02):
        kept = rows["step_size"] == step
        np.testing.assert_array_equal(rows["loss"][kept], calm_rows["loss"][calm_rows["step_size"] == step])


# What the run measures: effective weights, idle seconds, waste, memory


@every_case
def test_effective_weights_are_each_workers_share_of_all_steps(method, options):
    t = rasgd.simulate(constant_gradients(), method, TIMES, 0.25, until=2.5 * CYCLE, **options)
    assert t.effective_weights.sum() == pytest.approx(1, abs=1e-12)
    # x holds the summed steps of every worker, 0.25 of them exact in binary; some 100 additions err by 1.1e-16 each.
    np.testing.assert_allclose(t.effective_weights, t.final_point / t.final_point.sum(), rtol=0, atol=1e-13)


@every_case
def test_the_total_step_at_every_evaluation_is_how_far_x_has_moved(method, options):
    decay = {"after": 0.5, "to": 0.1}
    for law, step_size_decay in ((rasgd.FixedTimes, None), (rasgd.ExponentialTimes, decay)):
        t = rasgd.simulate(
            constant_gradients(), method, law(TIMES), 0.25, until=2.5 * CYCLE, step_size_decay=step_size_decay,
            **options,
        )  # fmt: skip
        moved = -N * t.columns["loss"] / 0.25  # F(x) = −(x₁ + … + xₙ)/n
        assert len(t.total_step) == len(moved) == 61
        # Some 100 additions, each of which errs by 1.1e-16 of the sum.
        np.testing.assert_allclose(t.total_step, moved, rtol=1e-12, atol=1e-12)
        assert t.statistics["step_per_second"] == pytest.approx(moved[-1] / (2.5 * CYCLE), rel=1e-12)


def test_every_method_has_a_row_of_theory_that_agrees_with_its_class():
    assert list(ROWS) == list(rasgd.METHODS)
    for name, method in rasgd.METHODS.items():
        assert method.right_objective == (ROWS[name].minimises == "F")
        assert ROWS[name].idles or not method.draws_jobs


EQUAL = np.full(N, 1 / N)
BY_FREQUENCY = (1 / np.array(TIMES)) / (1 / np.array(TIMES)).sum()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("rescaled", EQUAL), ("minibatch", EQUAL), ("malenia", EQUAL), ("ringleader", EQUAL), ("ia2sgd", EQUAL),
        ("asgd", BY_FREQUENCY), ("fedbuff", BY_FREQUENCY),
    ],
)  # fmt: skip
def test_effective_weights_are_exact_after_whole_cycles(method, expected):
    # Two cycles hold 40 + 20 + 10 + 8 arrivals: FedBuff's buffer of 2 is empty at the end.
    t = rasgd.simulate(constant_gradients(), method, TIMES, 0.1, until=2 * CYCLE)
    np.testing.assert_allclose(t.effective_weights, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("method", "tolerance"),
    [
        # The last gradient cached of a worker counts in full or in part: O(delay/arrivals), some 10 of 3900.
        ("ca2fl", 0.005),
        # A share of about 740 independent draws (4 jobs, about 5 s each): 4 · √(¼ · ¾/740).
        ("concurrent", 0.064),
        # Whole permutations are exact; at most n − 1 = 3 jobs of the 740 are underway.
        ("shuffled", 0.005),
    ],
)
def test_effective_weights_approach_equality(method, tolerance):
    t = rasgd.simulate(constant_gradients(), method, TIMES, 0.1, until=100 * CYCLE)
    np.testing.assert_allclose(t.effective_weights, EQUAL, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", ["rennala", "ringmaster", "delay_adaptive"])
def test_methods_for_homogeneous_data_favour_fast_workers_more_than_vanilla_does(method):
    weights = rasgd.simulate(constant_gradients(), method, TIMES, 0.1, until=10 * CYCLE).effective_weights
    assert weights[0] > BY_FREQUENCY[0] + 0.01
    assert weights[-1] < BY_FREQUENCY[-1] - 0.01


def test_effective_weights_of_rescaled_are_equal_with_random_times():
    until, base = 4000.0, np.array(TIMES)
    t = rasgd.simulate(constant_gradients(), "rescaled", rasgd.NoisyTimes(TIMES), 0.1, until=until)
    # N renewals of mean μ and standard deviation s in t seconds: Nμ/t has standard deviation s/√(μt).
    mean, deviation = base + np.sqrt(2 * base / np.pi), np.sqrt(base * (1 - 2 / np.pi))
    spread = deviation / np.sqrt(mean * until)
    assert (np.abs(t.effective_weights * N - 1) < 5 * spread + 1 / until * mean).all()


def test_effective_weights_of_many_workers_are_those_of_groups_of_similar_speed():
    times = np.repeat([1.0, 4.0], 150)
    problem = rasgd.Quadratic(np.zeros((300, 300)), np.eye(300))
    t = rasgd.simulate(problem, "asgd", times, 0.1, until=8.0)
    # 300 workers in 256 groups: the 44 groups of two come first, so no group mixes the speeds and weights are exact.
    np.testing.assert_allclose(t.effective_weights, t.final_point / t.final_point.sum(), rtol=0, atol=1e-13)


def test_effective_weights_of_a_method_that_is_not_linear_are_not_a_number():
    class Normalised(rasgd.METHODS["asgd"]):
        linear = False

        def receive(self, arrival):
            self.update(arrival.gradient / arrival.gradient.norm(dim=1, keepdim=True))
            return [rasgd.Job(arrival.worker)]

    t = rasgd.simulate(quadratic(), Normalised, TIMES, 0.1, until=20.0)
    assert t.effective_weights is None and t.total_step is None and t.statistics["step_per_second"] is None


@every_case
def test_idle_seconds_are_those_of_the_theory(method, options):
    idle = rasgd.simulate(constant_gradients(), method, TIMES, 0.1, until=2 * CYCLE, **options).idle_seconds
    assert (idle.sum() > 0) == ROWS[method].idles and idle.min() >= 0


def test_workers_of_a_minibatch_wait_for_the_slowest_in_every_step():
    idle = rasgd.simulate(constant_gradients(), "minibatch", TIMES, 0.1, until=2 * CYCLE).idle_seconds
    assert idle.tolist() == [8 * (5.0 - seconds) for seconds in TIMES]


@every_case
def test_gradients_are_wasted_by_the_methods_that_drop_work(method, options):
    t = rasgd.simulate(constant_gradients(), method, TIMES, 0.1, until=2 * CYCLE, **options)
    assert (t.wasted_gradients > 0) == ROWS[method].wastes


@every_case
def test_the_server_holds_as_many_vectors_as_the_theory_says(method, options):
    t = rasgd.simulate(quadratic(), method, TIMES, 0.05, until=4 * CYCLE, **options)
    most = ROWS[method].memory(N, options)
    assert 0 < t.server_vectors <= most if ROWS[method].memory_varies else t.server_vectors == most
    assert t.statistics["server_bytes"] == 8 * D * t.server_vectors


@pytest.mark.parametrize("options", [{}, {"trigger": "opens"}])
def test_the_tables_of_ringleader_are_now_and_then_as_full_as_the_theory_says(options):
    # An evaluation counts the vectors, too, and finds most states that 1600 arrivals in random order lead to.
    call = {"until": 400.0, "eval_every": 0.25}
    t = rasgd.simulate(quadratic(), "ringleader", rasgd.ExponentialTimes([1.0] * N), 0.01, **call, **options)
    assert t.server_vectors == ROWS["ringleader"].memory(N, options)


def test_another_name_for_x_is_no_further_vector():
    class Naming(rasgd.METHODS["asgd"]):
        def receive(self, arrival):
            older, jobs = self.x, super().receive(arrival)
            self.kept = [self.x, {"older": older, "again": older}]
            return jobs

    assert rasgd.simulate(quadratic(), Naming, TIMES, 0.05, until=CYCLE).server_vectors == 1  # the older x
