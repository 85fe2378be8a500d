"""Problems: gradients, evaluation and randomness against definitions written out."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rasgd
from rasgd.problems import Network, Quadratic, random_quadratic, tridiagonal
from rasgd.problems.base import Samples
from rasgd.randomness import Stream, generator

RNG = np.random.default_rng(0)
N, D = 3, 5


def symmetric(*shape):
    matrix = RNG.normal(size=(*shape, D, D))
    return matrix + matrix.swapaxes(-1, -2)


# Quadratic


@pytest.mark.parametrize("form", ["one matrix each", "one matrix for all", "tridiagonal"])
@pytest.mark.parametrize("num_seeds", [0, 1, 2])
def test_a_quadratic_gradient_is_its_definition(form, num_seeds):
    band = np.stack([RNG.normal(size=D) for _ in range(3)])
    band[2, :-1] = band[0, 1:]
    given, dense = {
        "one matrix each": (A := symmetric(N), A),
        "one matrix for all": (A := symmetric(), np.stack([A] * N)),
        "tridiagonal": (band, np.stack([np.diag(band[1]) + np.diag(band[0, 1:], -1) + np.diag(band[2, :-1], 1)] * N)),
    }[form]
    b, noise_std = RNG.normal(size=(N, D)), 0.3
    problem = Quadratic(given, b, noise_std)
    x = RNG.normal(size=(4, D))  # two step sizes × two seeds, or four × one
    for worker in range(N):
        noise = np.zeros((4, D))
        sample = None
        if num_seeds:
            draws = RNG.normal(size=(1, num_seeds, D))
            sample = problem.prepare(worker, torch.from_numpy(draws))[0]
            noise = noise_std * np.tile(draws[0], (4 // num_seeds, 1))
        gradient = problem.gradient(worker, torch.from_numpy(x), sample)
        expected = x @ dense[worker] - b[worker] + noise
        # D products and two sums of numbers below 20.
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=(D + 2) * 1.1e-16 * 20)
    metrics = problem.evaluate(torch.from_numpy(x))
    mean_A, mean_b = dense.mean(0), b.mean(0)
    np.testing.assert_allclose(metrics["loss"], [v @ mean_A @ v / 2 - mean_b @ v for v in x], rtol=0, atol=1e-13)
    np.testing.assert_allclose(metrics["grad_norm_sq"], [np.square(mean_A @ v - mean_b).sum() for v in x], rtol=1e-13)
    assert problem.constants["noise_variance"] == pytest.approx(D * noise_std**2)


def test_a_problem_keeps_what_it_was_given_when_the_caller_changes_the_arrays():
    A, b, x0 = symmetric(N), RNG.normal(size=(N, D)), np.ones(D)
    problem = Quadratic(A, b, initial_point=x0)
    x = torch.ones(1, D, dtype=torch.float64)
    before = problem.gradient(0, x, None)
    A[:], b[:], x0[:] = 0, 0, 0
    assert torch.equal(problem.gradient(0, x, None), before)
    assert torch.equal(problem.initial_point(0), torch.ones(D, dtype=torch.float64))


def test_coordinates_are_metrics_up_to_three_dimensions():
    for d, names in ((1, {"point_0"}), (3, {"point_0", "point_1", "point_2"}), (4, set())):
        metrics = Quadratic(np.eye(d), np.ones((2, d))).evaluate(torch.zeros(1, d, dtype=torch.float64))
        assert {name for name in metrics if name.startswith("point")} == names


def test_the_ringmaster_matrix_is_the_published_one():
    dense = 0.25 * (2 * np.eye(6) - np.eye(6, k=1) - np.eye(6, k=-1))
    problem = Quadratic(tridiagonal(6), np.zeros((1, 6)))
    np.testing.assert_array_equal(problem.gradient(0, torch.eye(6, dtype=torch.float64), None), dense)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_quadratic_has_the_constants_asked_for(seed):
    n, d, noise, heterogeneity = 6, 8, 0.7, 1.3
    problem = random_quadratic(n, d, noise, heterogeneity, seed=seed, curvature_spread=0.9)
    A, b = problem.A.numpy(), problem.b.numpy()
    mean_A = 0.25 * (2 * np.eye(d) - np.eye(d, k=1) - np.eye(d, k=-1))
    mean_b = np.eye(d)[0] * -0.25
    np.testing.assert_allclose(A.mean(0), mean_A, atol=1e-15)
    np.testing.assert_allclose(b.mean(0), mean_b, atol=1e-14)
    minimiser = np.linalg.solve(mean_A, mean_b)
    assert np.square(A @ minimiser - b).sum(1).mean() == pytest.approx(heterogeneity**2, rel=1e-12)
    assert problem.constants["noise_variance"] == pytest.approx(noise**2, rel=1e-14)
    assert np.linalg.eigvalsh(A).min() > 0
    for i, j in itertools.combinations(range(n), 2):  # one set of eigenvectors: they commute
        np.testing.assert_allclose(A[i] @ A[j], A[j] @ A[i], atol=1e-14)
    assert not np.allclose(A[0], A[1])
    assert not np.allclose(random_quadratic(n, d, noise, heterogeneity, seed=seed + 1).b, b)


def test_a_random_quadratic_without_heterogeneity_has_one_minimiser():
    problem = random_quadratic(4, 5, noise=0.0, heterogeneity=0.0)
    minimiser = np.linalg.solve(problem.mean_A.numpy(), problem.mean_b.numpy())
    np.testing.assert_allclose(problem.A.numpy() @ minimiser, problem.b, atol=1e-14)


# Network


def network(widths=(6, 4, 3), sizes=(5, 9, 7), double=False, **options):
    rng = np.random.default_rng(1)
    total = sum(sizes)
    parts = np.split(rng.permutation(total), np.cumsum(sizes)[:-1])
    inputs, labels = rng.normal(size=(total, widths[0])), rng.integers(0, widths[-1], total)
    problem = Network(inputs, labels, parts, widths, **{"batch_size": 4, **options})
    return in_double(problem) if double else problem


def in_double(problem):
    """The same problem computing in float64, for tight tolerances."""

    def doubled(value):
        if isinstance(value, list | tuple):
            return type(value)(doubled(entry) for entry in value)
        return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    other = copy.copy(problem)
    vars(other).update({name: doubled(value) for name, value in vars(problem).items()})
    other.dtype = torch.float64
    return other


def scores(x, inputs, widths):
    """Class scores, written out once more; x is one flat point."""
    offset = 0
    for level, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        weight = x[offset : offset + fan_in * fan_out].view(fan_in, fan_out)
        bias = x[offset + fan_in * fan_out : offset + fan_in * fan_out + fan_out]
        offset += fan_in * fan_out + fan_out
        inputs = inputs @ weight + bias
        if level < len(widths) - 2:
            inputs = inputs.clamp(min=0)
    assert offset == len(x)
    return inputs


def autograd(x, widths, inputs, labels, weights=None):
    """Loss and gradient by differentiation; weights of the samples default to their mean."""
    x = x.detach().requires_grad_()
    losses = torch.nn.functional.cross_entropy(scores(x, inputs, widths), labels, reduction="none")
    loss = losses.mean() if weights is None else losses @ weights
    return loss.detach(), torch.autograd.grad(loss, x)[0]


@pytest.mark.parametrize("widths", [(6, 3), (6, 4, 3), (6, 5, 4, 3), (6, 1, 2)])
@pytest.mark.parametrize("num_seeds", [1, 2])
def test_a_network_gradient_is_that_of_autograd(widths, num_seeds):
    problem = network(widths, double=True)
    assert problem.dim == sum(a * b + b for a, b in itertools.pairwise(widths))
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(4, problem.dim)))
    for worker in range(N):
        sample = torch.tensor(np.stack([np.random.default_rng(s).permutation(5)[:4] for s in range(num_seeds)]))
        sample = torch.from_numpy(problem.parts[worker])[sample]
        gradient = problem.gradient(worker, x, sample)
        for row in range(4):
            chosen = sample[row % num_seeds]  # replicas stand in (step size, seed) order
            _, expected = autograd(x[row], widths, problem.inputs[chosen], problem.labels[chosen])
            torch.testing.assert_close(gradient[row], expected, rtol=1e-12, atol=1e-14)


def test_a_network_gradient_in_single_precision_differs_by_rounding_only():
    problem, exact = network(), network(double=True)
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(2, problem.dim)))
    sample = torch.from_numpy(problem.parts[0][:4])[None]
    gradient = problem.gradient(0, x.float(), sample)
    assert gradient.dtype == torch.float32
    # Some 30 roundings of 6e-8, of numbers below 10.
    torch.testing.assert_close(gradient.double(), exact.gradient(0, x, sample), rtol=0, atol=30 * 6e-8 * 10)


def test_without_a_batch_size_gradients_are_those_of_the_whole_share():
    problem = network(batch_size=None, double=True)
    assert problem.draw(None, 0) is None
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(2, problem.dim)))
    for worker, part in enumerate(problem.parts):
        gradient = problem.gradient(worker, x, None)
        for row in range(2):
            _, expected = autograd(x[row], (6, 4, 3), problem.inputs[part], problem.labels[part])
            torch.testing.assert_close(gradient[row], expected, rtol=1e-12, atol=1e-14)


def test_evaluation_weighs_every_worker_equally_whatever_its_share():
    problem, exact = network(num_evaluation_samples=None), network(double=True)
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(2, problem.dim)))
    metrics = problem.evaluate(x.float())
    for row in range(2):
        local = [autograd(x[row], (6, 4, 3), exact.inputs[p], exact.labels[p]) for p in exact.parts]
        right = [
            (scores(x[row], exact.inputs[p], (6, 4, 3)).argmax(1) == exact.labels[p]).double().mean()
            for p in exact.parts
        ]
        close = {"rel": 1e-5}  # some 50 roundings of single precision, 6e-8 each
        assert float(metrics["loss"][row]) == pytest.approx(float(sum(loss for loss, _ in local) / N), **close)
        mean_gradient = sum(gradient for _, gradient in local) / N
        assert float(metrics["grad_norm_sq"][row]) == pytest.approx(float(mean_gradient.square().sum()), **close)
        assert float(metrics["accuracy"][row]) == pytest.approx(float(sum(right) / N), **close)


def test_a_subset_for_evaluation_takes_equally_many_samples_of_every_worker():
    problem = network(sizes=(50, 90, 70), num_evaluation_samples=60)
    of = {tuple(row.tolist()): worker for worker, part in enumerate(problem.parts) for row in problem.inputs[part]}
    workers = [of[tuple(row.tolist())] for row in problem.evaluation_inputs]
    assert np.bincount(workers).tolist() == [20, 20, 20]
    assert len({tuple(row.tolist()) for row in problem.evaluation_inputs}) == 60
    other = network(sizes=(50, 90, 70), num_evaluation_samples=60, seed=1)
    assert not torch.equal(problem.evaluation_inputs, other.evaluation_inputs)


def test_accuracy_of_a_group_counts_its_classes_alone():
    problem = network(num_evaluation_samples=None, evaluation_groups={"rare": [0, 2]})
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(1, problem.dim))).float()
    every = np.concatenate(problem.parts)
    predicted = scores(x[0], problem.inputs[every], (6, 4, 3)).argmax(1)
    of_group = problem.labels[every] != 1
    expected = (predicted == problem.labels[every])[of_group].double().mean()
    assert float(problem.evaluate(x)["accuracy_rare"]) == pytest.approx(float(expected), rel=1e-6)


def test_full_sets_are_evaluated_once_at_the_end():
    rng = np.random.default_rng(5)
    test_inputs, test_labels = rng.normal(size=(8, 6)), rng.integers(0, 3, 8)
    problem = network(test_inputs=test_inputs, test_labels=test_labels)
    t = rasgd.simulate(problem, "asgd", [1.0, 2.0, 2.0], [0.1, 0.2], until=10.0)
    for row, point in enumerate(t.final_points):
        given = scores(torch.from_numpy(point), torch.tensor(test_inputs, dtype=torch.float32), (6, 4, 3))
        labels = torch.from_numpy(test_labels)
        accuracy = (given.argmax(1) == labels).double().mean()
        assert t.replicas["test_accuracy"][row] == pytest.approx(float(accuracy), rel=1e-6)
        loss = torch.nn.functional.cross_entropy(given, labels)
        assert t.replicas["test_loss"][row] == pytest.approx(float(loss), rel=1e-5)
    assert {"train_loss", "train_accuracy"} <= set(t.replicas)
    without = rasgd.simulate(network(test_inputs=np.zeros((0, 6)), test_labels=[]), "asgd", [1.0] * 3, 0.1, until=2.0)
    assert "test_loss" not in without.replicas


def test_the_initial_point_is_drawn_as_pytorch_initialises_linear_layers():
    problem = network((600, 30, 3))
    x = problem.initial_point(3)
    assert torch.equal(x, problem.initial_point(3)) and not torch.equal(x, problem.initial_point(4))
    for (drawn_weight, drawn_bias), shape in zip(problem.layers(x[None]), [(600, 30), (30, 3)], strict=True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layer = torch.nn.Linear(*shape).requires_grad_(False)
        for drawn, theirs in ((drawn_weight, layer.weight), (drawn_bias, layer.bias)):
            count, bound = drawn.numel(), 1 / np.sqrt(shape[0])
            assert drawn.abs().max() <= bound and theirs.abs().max() <= bound * (1 + 1e-6)
            # Variance of a uniform variable: bound²/3; of its estimate from m draws: relative √(4/5/m). The two
            # estimates differ by √2 of it.
            error = 4 * np.sqrt(2 * 0.8 / count) * bound**2 / 3
            assert float(drawn.square().mean()) == pytest.approx(float(theirs.square().mean()), abs=error)


def test_a_network_with_normalised_inputs_starts_near_the_loss_of_chance():
    inputs = np.random.default_rng(0).standard_normal((200, 784))
    problem = Network(inputs, np.arange(200) % 10, np.arange(200).reshape(10, 20), (784, 128, 10))
    loss = float(problem.evaluate(problem.initial_point(0)[None])["loss"])
    assert loss == pytest.approx(np.log(10), abs=0.1)  # plus about half the scores' variance of .06


def test_a_replica_that_only_predicts_chance_is_marked_as_collapsed():
    class Flat(Network):
        def initial_point(self, seed):
            return torch.zeros(self.dim) if seed == 0 else super().initial_point(seed)

    labels = np.arange(30) % 3
    inputs = np.eye(3)[labels]  # easy: the class is in the input
    problem = Flat(inputs, labels, np.arange(30).reshape(3, 10), (3, 8, 3))
    t = rasgd.simulate(problem, "asgd", [1.0] * 3, 0.3, seed=[0, 1], until=60.0)
    # With all weights 0 no gradient passes the hidden layer: that replica keeps predicting chance, ln 3.
    assert t.replicas["collapsed"].tolist() == [1, 0]


# Randomness


@pytest.mark.parametrize(("population", "size"), [(5, 2), (4, 3), (6, 6), (4, 1)])
def test_batches_are_distinct_and_uniformly_distributed(population, size):
    count = 6000
    rows = np.zeros((2 * population, 1))
    problem = Network(rows, rows[:, 0].astype(int), np.arange(2 * population).reshape(2, -1), (1, 2), batch_size=size)
    batches = problem.draw(Stream([7], "sample").at(0, 0, count), 0)[:, 0]
    assert batches.shape == (count, size) and batches.min() >= 0 and batches.max() < population
    assert all(len(set(batch)) == size for batch in batches.tolist())
    every = [frozenset(subset) for subset in itertools.combinations(range(population), size)]
    observed = dict.fromkeys(every, 0)
    for batch in batches.tolist():
        observed[frozenset(batch)] += 1
    expected = count / len(every)
    chi_square = sum((number - expected) ** 2 for number in observed.values()) / expected
    # 99.9 % quantiles of chi-square with 9, 3, 0 and 3 degrees of freedom.
    assert chi_square <= {10: 27.9, 4: 16.3, 1: 0.0}[len(every)]


def test_batches_come_from_the_workers_own_share():
    problem = network()
    for worker, part in enumerate(problem.parts):
        draws = problem.draw(Stream([3, 4], "sample").at(worker, 0, 100), worker)
        assert set(draws.ravel().tolist()) == set(part.tolist())


def samples_seen(method, seeds, step_sizes=(0.1,), times=(1.0, 2.0), schedule_seed=0):
    """Noise of every (seed, worker, k) that a run used: with A = 0 and b = 0 the gradient is the noise."""
    seen, count = {}, [0, 0]

    class Looking(rasgd.METHODS[method]):
        linear = False

        def receive(self, arrival):
            rows = arrival.gradient.view(len(step_sizes), len(seeds), -1)
            assert all(torch.equal(rows[0], row) for row in rows)  # step sizes share the draws of a seed
            for seed, noise in zip(seeds, rows[0], strict=True):
                seen[seed, arrival.worker, count[arrival.worker]] = tuple(noise.tolist())
            count[arrival.worker] += 1
            return super().receive(arrival)

    problem = Quadratic(np.zeros((3, 3)), np.zeros((2, 3)), noise_std=1.0)
    rasgd.simulate(
        problem, Looking, rasgd.NoisyTimes(times), list(step_sizes), list(seeds), 60.0, schedule_seed=schedule_seed
    )
    return seen


def test_a_sample_depends_on_seed_worker_and_k_alone():
    reference = samples_seen("asgd", [3])
    assert len(set(reference.values())) == len(reference) > 40  # all different, beyond two blocks of 16
    for other in (
        samples_seen("minibatch", [3]),  # another order of events
        samples_seen("asgd", [3], schedule_seed=9),  # other times
        samples_seen("asgd", [3], times=(5.0, 1.0)),
        samples_seen("asgd", [8, 3, 0]),  # other seeds beside it
        samples_seen("asgd", [3], step_sizes=(0.1, 0.2, 0.4)),
    ):
        common = reference.keys() & other.keys()
        assert len(common) > 15
        assert all(reference[key] == other[key] for key in common)
    assert not set(samples_seen("asgd", [4]).values()) & set(reference.values())


def test_a_sample_that_is_asked_for_out_of_order_is_the_same():
    problem = Quadratic(np.eye(2), np.zeros((2, 2)), noise_std=1.0)
    forward, backward = Samples(problem, [0, 1]), Samples(problem, [0, 1])
    keys = [(worker, k) for worker in range(2) for k in range(40)]
    one = {key: forward(*key) for key in keys}
    assert all(torch.equal(one[key], backward(*key)) for key in reversed(keys))


def test_streams_of_different_keys_are_unrelated():
    keys = list(itertools.product([0, 1, 2, 2**63 - 1], ["sample", "duration"], range(6), range(20)))
    first = np.array([generator(*key).standard_normal(16) for key in keys])
    assert len(np.unique(first)) == first.size
    # Standard normal draws: their mean within 4/√m, their squares (variance 2) within 4·√(2/m), and the correlation of
    # neighbouring keys within 4/√m.
    m = first.size
    assert abs(first.mean()) < 4 / np.sqrt(m)
    assert abs(np.square(first).mean() - 1) < 4 * np.sqrt(2 / m)
    assert abs((first[:-1] * first[1:]).mean()) < 4 / np.sqrt(m)
    np.testing.assert_array_equal(generator(3, "sample", 1, 2).random(5), generator(3, "sample", 1, 2).random(5))


@pytest.mark.parametrize("law", ["uniform", "normal"])
@settings(max_examples=60)
@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    k=st.integers(0, 2**50),
    count=st.integers(1, 9),
    worker=st.integers(0, 10**6),
    seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
)
def test_a_gradient_is_given_the_same_numbers_singly_and_together(law, widths, k, count, worker, seeds):
    def numbers(seeds, k, count):
        draws = Stream(seeds, "sample").at(worker, k, count)
        return [getattr(draws, law)(width) for width in widths]  # requests of their own

    together = numbers(seeds, k, count)
    for position, seed in itertools.product(range(count), range(len(seeds))):
        for one, many in zip(numbers(seeds[seed : seed + 1], k + position, 1), together, strict=True):
            np.testing.assert_array_equal(one[0, 0], many[position, seed])
    every = np.concatenate([part.ravel() for part in together])
    assert len(np.unique(every)) == every.size or len(set(seeds)) < len(seeds)
    assert np.isfinite(every).all()


def test_numbers_follow_their_laws():
    draws = Stream([0, 1], "sample").at(3, 0, 4000)
    uniform, normal = draws.uniform(7), draws.normal(7)
    assert uniform.shape == normal.shape == (4000, 2, 7)
    m = uniform.size
    # Kolmogorov-Smirnov: the largest distance of distribution functions exceeds 1.95/√m in one of 1000 samples.
    for probabilities in (uniform, torch.special.ndtr(torch.from_numpy(normal)).numpy()):
        distance = np.abs(np.sort(probabilities.ravel()) - (np.arange(m) + 0.5) / m).max()
        assert distance < 1.95 / np.sqrt(m)
        for axis in range(3):  # neighbouring gradients, seeds and entries: correlation within 4/√m of 0
            centred = np.moveaxis(probabilities - 0.5, axis, 0)
            pairs = centred[:-1] * centred[1:]
            assert abs(pairs.mean() * 12) < 4 / np.sqrt(pairs.size)


def test_the_ends_of_the_generator_are_finite_normals():
    class Extreme:
        def random(self, out):
            out[:] = np.resize([0.0, 1 - 2.0**-53, 0.5, 2.0**-53], out.shape)

    stream = Stream([0], "sample")
    stream.generator = Extreme()
    normal = stream.at(0, 0).normal(4)[0, 0]
    assert np.isfinite(normal).all()
    assert normal[0] == -normal[1] < -8  # a standard normal is below -8.2 with probability 2**-53
    assert stream.at(0, 0).uniform(4).min() > 0


@pytest.mark.parametrize("workers", [1, 40, 3000, 10**6])
def test_samples_are_the_same_however_many_are_drawn_at_once(workers):
    problem = Quadratic(np.eye(3) * 0, np.zeros((2, 3)), noise_std=1.0)
    reference, samples = Samples(problem, [0, 1]), Samples(problem, [0, 1], num_workers=workers)
    for worker, k in itertools.product(range(2), [0, 1, 2, 17, 16, 3, 31]):
        assert torch.equal(samples(worker, k), reference(worker, k))
    assert samples.length == {1: 16, 40: 16, 3000: 16, 10**6: 1}[workers]


# Devices


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["quadratic", "tridiagonal", "network"])
def test_a_gpu_gives_the_same_run_up_to_rounding(kind):
    problem = {
        "quadratic": random_quadratic(3, 5, noise=1.0, heterogeneity=1.0),
        "tridiagonal": Quadratic(tridiagonal(8), np.ones((3, 8)), noise_std=0.1),
        "network": network(),
    }[kind]
    call = {"compute_times": [1.0, 2.0, 4.0], "step_size": [0.05, 0.1], "seed": [0, 1], "until": 20.0}
    on_cpu = rasgd.simulate(problem, "rescaled", **call)
    on_gpu = rasgd.simulate(problem, "rescaled", **call, device="cuda")
    # 35 arrivals, some 30 roundings each of numbers below 10; products of single precision may use TF32 nowhere.
    tolerance = 35 * 30 * 10 * (1.1e-16 if problem.dtype == torch.float64 else 6e-8)
    np.testing.assert_allclose(on_cpu.final_points, on_gpu.final_points, rtol=0, atol=tolerance)
    assert on_gpu.metadata["device"] == "cuda"


def test_moving_a_problem_to_the_device_it_is_on_changes_nothing():
    for problem in (random_quadratic(2, 3, noise=1.0, heterogeneity=1.0), network(batch_size=None)):
        n = problem.num_workers
        call = {"method": "asgd", "compute_times": [1.0] * n, "step_size": 0.1, "until": 5.0}
        moved = rasgd.simulate(problem.to("cpu"), **call)
        np.testing.assert_array_equal(rasgd.simulate(problem, **call).final_point, moved.final_point)
