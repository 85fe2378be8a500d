"""Softmax regression with the nonconvex penalty, other weightings of workers, and what is done to the data before."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rasgd
from rasgd.data import datasets, partition
from rasgd.data import preparation as data_preparation
from rasgd.experiments import build

FEATURES, CLASSES, SIZES = 6, 4, (5, 9, 7)
N, DIM = len(SIZES), (FEATURES + 1) * CLASSES
PENALTY_WEIGHT = 0.3
# Sums of some 100 products of numbers below 10, in single precision.
SINGLE = {"rtol": 0, "atol": 100 * 6e-8 * 10}


def arguments(sizes=SIZES) -> dict:
    rng = np.random.default_rng(1)
    total = sum(sizes)
    return {
        "inputs": rng.normal(size=(total, FEATURES)),
        "labels": rng.integers(0, CLASSES, total),
        "parts": np.split(rng.permutation(total), np.cumsum(sizes)[:-1]),
        "num_classes": CLASSES,
        "penalty_weight": PENALTY_WEIGHT,
    }


def logistic(**options) -> rasgd.Logistic:
    return rasgd.Logistic(**arguments() | options)


def points(count: int, seed: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, DIM))).float()


def local_loss(x: torch.Tensor, indices, penalty_weight: float = PENALTY_WEIGHT) -> torch.Tensor:
    """The docstring's formula in double precision, for one point."""
    given_ = arguments()
    inputs, labels = torch.from_numpy(given_["inputs"])[indices], torch.from_numpy(given_["labels"])[indices]
    matrix = x.view(CLASSES, FEATURES + 1)
    scores = inputs @ matrix[:, :-1].T + matrix[:, -1]
    cross_entropy = (scores.logsumexp(1) - scores.gather(1, labels[:, None])[:, 0]).mean()
    return cross_entropy + penalty_weight * (x**2 / (1 + x**2)).sum()


def weighted(x: torch.Tensor, weights) -> tuple[float, torch.Tensor]:
    """Σ wᵢFᵢ and its gradient at one point, by differentiation."""
    x = x.double().requires_grad_()
    loss = sum(w * local_loss(x, part) for w, part in zip(weights, arguments()["parts"], strict=True))
    return float(loss.detach()), torch.autograd.grad(loss, x)[0]


@pytest.mark.parametrize("num_seeds", [1, 2, 4])
def test_a_batch_gradient_is_that_of_the_formula(num_seeds):
    problem, x = logistic(batch_size=3), points(4)
    for worker, part in enumerate(problem.parts):
        sample = torch.from_numpy(np.stack([np.random.default_rng(s).permutation(part)[:3] for s in range(num_seeds)]))
        gradient = problem.gradient(worker, x, sample)
        for row in range(4):
            point = x[row].double().requires_grad_()
            (expected,) = torch.autograd.grad(local_loss(point, sample[row % num_seeds]), point)
            torch.testing.assert_close(gradient[row].double(), expected, **SINGLE)


@pytest.mark.parametrize("num_replicas", [1, 3])
def test_without_a_batch_size_gradients_are_exact(num_replicas):
    problem, x = logistic(), points(num_replicas)
    assert problem.draw(None, 0) is None
    for worker in range(N):
        gradient = problem.gradient(worker, x, None)
        for row in range(num_replicas):
            _, expected = weighted(x[row], np.eye(N)[worker])
            torch.testing.assert_close(gradient[row].double(), expected, **SINGLE)


def test_replicas_do_not_disturb_each_other():
    problem, x = logistic(), points(3)
    together = problem.gradient(0, x, None)
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], problem.gradient(0, x[row : row + 1], None), **SINGLE)


def test_evaluation_gives_loss_gradient_and_accuracy_under_every_weighting():
    given_weights = np.array([6.0, 3.0, 0.0])
    problem, x = logistic(evaluation_weightings={"frequency": given_weights}), points(2)
    metrics = problem.evaluate(x)
    for suffix, weights in (("", np.full(N, 1 / N)), ("_frequency", given_weights / 9)):
        for row in range(2):
            loss, gradient = weighted(x[row], weights)
            assert float(metrics[f"loss{suffix}"][row]) == pytest.approx(loss, rel=1e-5)
            assert float(metrics[f"grad_norm_sq{suffix}"][row]) == pytest.approx(float(gradient.square().sum()), 1e-4)
    predicted = [(x[0].view(CLASSES, -1) @ row).argmax() for row in problem.inputs]
    right = np.array([int(guess) for guess in predicted]) == problem.labels.numpy()
    by_worker = [right[part].mean() for part in problem.parts]
    assert float(metrics["accuracy"][0]) == pytest.approx(np.mean(by_worker), rel=1e-6)
    assert float(metrics["accuracy_frequency"][0]) == pytest.approx(np.dot(given_weights / 9, by_worker), rel=1e-6)


def test_networks_are_evaluated_under_other_weightings_too():
    given_ = arguments()
    for name in ("num_classes", "penalty_weight"):
        given_.pop(name)
    network = rasgd.Network(
        **given_, widths=(FEATURES, 3, CLASSES), num_evaluation_samples=None,
        evaluation_weightings={"equal": [2, 2, 2], "second": [0, 1, 0]},
    )  # fmt: skip
    second = rasgd.Network(
        given_["inputs"], given_["labels"], given_["parts"][1:2], (FEATURES, 3, CLASSES), num_evaluation_samples=None
    )
    x = network.initial_point(0)[None]
    metrics, alone = network.evaluate(x), second.evaluate(x)
    for name in ("loss", "grad_norm_sq", "accuracy"):
        assert float(metrics[f"{name}_equal"]) == pytest.approx(float(metrics[name]), rel=1e-6)
        assert float(metrics[f"{name}_second"]) == pytest.approx(float(alone[name]), rel=1e-5)
        assert float(metrics[f"{name}_second"]) != pytest.approx(float(metrics[name]), rel=1e-2)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 10))
def test_local_functions_are_as_smooth_as_stated(seed, scale):
    problem = logistic()
    x, step = points(1, seed) * scale, points(1, seed + 1)
    for worker, part in enumerate(problem.parts):
        rows = problem.inputs[part].double()
        smoothness = 2 * PENALTY_WEIGHT + float(torch.linalg.eigvalsh(rows.T @ rows / len(part))[-1]) / 2
        change = problem.gradient(worker, x + step, None) - problem.gradient(worker, x, None)
        assert float(change.norm()) <= smoothness * float(step.norm()) * (1 + 1e-4)


def test_the_penalty_is_bounded_and_the_problem_nonconvex():
    problem = logistic(penalty_weight=1.0)
    assert float(problem.penalty(points(1) * 1e4)) == pytest.approx(DIM, rel=1e-3)
    # Adding the same number to all scores changes no probability: along it only the penalty is felt.
    direction = torch.zeros(1, DIM)
    direction.view(CLASSES, -1)[:, -1] = 1.0
    values = [float(problem.evaluate(size * direction)["loss"]) for size in (1.0, 2.0, 3.0)]
    assert values[1] > (values[0] + values[2]) / 2 + 0.05  # above its chord


def test_the_initial_point_is_normal_and_the_seeds_own():
    assert torch.equal(logistic().initial_point(3), torch.zeros(DIM))
    problem = logistic(initial_std=2.0)
    assert torch.equal(problem.initial_point(3), problem.initial_point(3))
    drawn = torch.stack([problem.initial_point(seed) for seed in range(200)])
    # 5600 draws: the mean is within four of its standard deviations 2/√5600, the spread within four of 2/√11200.
    assert abs(float(drawn.mean())) < 4 * 2 / 5600**0.5
    assert float(drawn.std()) == pytest.approx(2.0, abs=4 * 2 / 11200**0.5)


def test_full_sets_are_evaluated_without_the_penalty():
    given_ = arguments()
    problem = logistic(test_inputs=given_["inputs"][:8], test_labels=given_["labels"][:8])
    x = points(1)
    metrics = problem.evaluate_finally(x)
    for name, indices in (("train", np.arange(sum(SIZES))), ("test", np.arange(8))):
        expected = local_loss(x[0].double(), indices, penalty_weight=0.0)
        assert float(metrics[f"{name}_loss"]) == pytest.approx(float(expected), rel=1e-5)


def test_each_method_brings_its_own_gradient_to_zero():
    times = [1.0, 4.0, 8.0]
    problem = logistic(penalty_weight=0.2, evaluation_weightings={"frequency": [1 / t for t in times]})
    ends = {}
    for method in ("rescaled", "asgd"):
        t = rasgd.simulate(problem, method, times, 0.05, until=2000.0, step_size_decay={"after": 0.5, "to": 0.02})
        ends[method] = t.metrics.iloc[-1]
    # Found: 1/750 and 1/160.
    assert ends["rescaled"]["grad_norm_sq"] < 0.02 * ends["asgd"]["grad_norm_sq"]
    assert ends["asgd"]["grad_norm_sq_frequency"] < 0.02 * ends["rescaled"]["grad_norm_sq_frequency"]


def test_real_workers_compute_the_same_gradients():
    problem = logistic(batch_size=3)
    run = rasgd.simulate(
        problem, "rescaled", [1.0, 1.5, 2.2], 0.05, until=6.0, backend="processes", record=True,
        backend_options={"time_scale": 0.01},
    )  # fmt: skip
    assert np.array_equal(rasgd.replay(problem, "rescaled", run.trace).final_point, run.final_point)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"penalty_weight": -1}, "penalty_weight must be a finite number of at least 0"),
        ({"initial_std": float("nan")}, "initial_std must be a finite number of at least 0"),
        ({"num_classes": 3}, "num_classes must be a whole number of at least 4"),
        ({"batch_size": 6}, "batch_size must be a whole number between 1 and the smallest share, 5"),
        ({"labels": [0.5] * 21}, "labels must be classes counted from 0"),
        ({"test_inputs": np.ones((2, 3)), "test_labels": [0, 1]}, "test_inputs must have the 6 features of inputs"),
        ({"evaluation_weightings": [1, 2, 3]}, "evaluation_weightings must be weights by name"),
        ({"evaluation_weightings": {"p": [1, 2]}}, r"evaluation_weightings\['p'\] must be 3 weights of at least 0"),
        ({"evaluation_weightings": {"p": [1, 2, -1]}}, r"evaluation_weightings\['p'\] must be 3 weights"),
        ({"evaluation_weightings": {"p": [0, 0, 0]}}, r"evaluation_weightings\['p'\] must be 3 weights"),
        (
            {"evaluation_weightings": {"p": [1, 1, 1]}, "evaluation_groups": {"p": [0]}},
            "evaluation_weightings must be named unlike evaluation_groups, got 'p'",
        ),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(wrong, message):
    with pytest.raises(ValueError, match=message) as raised:
        logistic(**wrong)
    assert "\n" not in str(raised.value)


# Data preparation


def test_pooling_averages_squares_of_pixels():
    image = np.arange(16, dtype=np.float32).reshape(1, 16)  # 4×4
    assert data_preparation.mean_pooled(image, (4, 4), 2).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert data_preparation.mean_pooled(image, (2, 8), 2).tolist() == [[4.5, 6.5, 8.5, 10.5]]
    assert data_preparation.mean_pooled(image, (4, 4), 1).tolist() == image.tolist()
    assert data_preparation.mean_pooled(image[:0], (4, 4), 2).shape == (0, 4)


def test_squares_that_do_not_tile_an_image_are_refused():
    with pytest.raises(ValueError, match="pool must divide the images' 4 rows and 4 columns, got 3"):
        data_preparation.mean_pooled(np.ones((1, 16)), (4, 4), 3)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**40), num_classes=st.integers(2, 11))
def test_label_noise_replaces_the_share_by_other_classes(share, seed, num_classes):
    labels = np.random.default_rng(0).integers(0, num_classes, 200)
    before = labels.copy()
    noisy = data_preparation.with_label_noise(labels, num_classes, share, seed)
    assert np.array_equal(labels, before)
    assert (noisy != labels).sum() == round(share * 200)
    assert noisy.min() >= 0 and noisy.max() < num_classes and noisy.dtype == labels.dtype
    assert np.array_equal(noisy, data_preparation.with_label_noise(labels, num_classes, share, seed))


def test_label_noise_hits_every_other_class_alike_and_depends_on_its_seed():
    labels = np.zeros(9000, dtype=np.int64)
    noisy = data_preparation.with_label_noise(labels, 10, 1.0, 0)
    counts = np.bincount(noisy, minlength=10)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 1000).max() < 5 * 30  # binomial with a standard deviation of 30
    assert not np.array_equal(noisy, data_preparation.with_label_noise(labels, 10, 1.0, 1))


def test_standardised_inputs_have_the_given_mean_and_deviation_taken_out():
    inputs = np.array([[0.0, 0.5], [1.0, 0.25]], dtype=np.float32)
    changed = data_preparation.standardised(inputs, 0.25, 0.5)
    assert changed.tolist() == [[-0.5, 0.5], [1.5, 0.0]] and changed.dtype == np.float32
    with pytest.raises(ValueError, match="std must be a finite number above 0, got 0"):
        data_preparation.standardised(inputs, 0.25, 0)
    with pytest.raises(ValueError, match="mean must be a finite number, got nan"):
        data_preparation.standardised(inputs, float("nan"), 1)


@pytest.mark.parametrize("share", [-0.1, 1.5, True, "half"])
def test_a_share_of_wrong_labels_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match=r"share of wrong labels must lie in \[0, 1\]"):
        data_preparation.with_label_noise(np.zeros(3, dtype=int), 2, share, 0)


# Settings


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Paths of a small data set and its partition among four workers."""
    folder = tmp_path_factory.mktemp("digits")
    data = datasets.load("digits")
    datasets.save(data, folder / "digits.npz")
    partition.build("dirichlet", data, num_workers=4, alpha=0.5, seed=0).save(folder / "parts.npz")
    return data, folder / "digits.npz", folder / "parts.npz"


SPEC = {"kind": "logistic", "pool": 2, "label_noise": {"share": 0.25, "seed": 3}, "batch_size": None}


def test_a_problem_is_built_from_settings_with_coarser_images_and_wrong_labels(digits):
    data, *paths = digits
    problem = build.build_problem({"problem": SPEC, "compute_times": [1, 2, 3, 4]}, 4, *paths)
    assert problem.dim == (16 + 1) * 10 and problem.num_workers == 4
    pooled = data_preparation.mean_pooled(data.train_inputs, (8, 8), 2)
    np.testing.assert_array_equal(problem.inputs[:, :-1], pooled)
    assert (problem.inputs[:, -1] == 1).all()
    wrong = (problem.labels.numpy() != data.train_labels).mean()
    assert wrong == pytest.approx(0.25, abs=1 / len(pooled))
    np.testing.assert_array_equal(problem.test_labels, data.test_labels)  # test labels stay right


@pytest.mark.parametrize("kind", ["logistic", "network"])
def test_arrival_frequency_stands_for_inverse_compute_times(digits, kind):
    _, *paths = digits
    spec = copy.deepcopy(SPEC) | {"kind": kind} | ({"hidden_widths": [3]} if kind == "network" else {})
    spec["evaluation_weightings"] = {"frequency": "arrival_frequency", "slow": [0, 0, 0, 1]}
    by_name = build.build_problem({"problem": spec, "compute_times": [1, 2, 4, 4]}, 4, *paths)
    spec["evaluation_weightings"] = {"frequency": [0.5, 0.25, 0.125, 0.125], "slow": [0, 0, 0, 1]}
    by_hand = build.build_problem({"problem": spec, "compute_times": [1, 2, 4, 4]}, 4, *paths)
    assert torch.equal(by_name.evaluation_weights, by_hand.evaluation_weights)
    assert {"loss_frequency", "grad_norm_sq_frequency", "loss_slow"} <= set(
        by_name.evaluate(torch.ones(1, by_name.dim))
    )
