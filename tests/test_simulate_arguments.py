"""Bad input: one line that names the argument, what was given and what is allowed; and never a run."""

import math
import warnings

import numpy as np
import pytest
import torch

import rasgd
from rasgd.problems import Network, Quadratic, random_quadratic, tridiagonal

PROBLEM = rasgd.Quadratic(np.eye(2), [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
GOOD = {"problem": PROBLEM, "method": "asgd", "compute_times": [1.0, 2.0, 3.0], "step_size": 0.05, "until": 10.0}
NAN, INF, HUGE = math.nan, math.inf, 10**400


def refusal(call, *said):
    """The message of the ValueError that `call` raises, checked to be one line that says all of `said`."""
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    for words in said:
        assert words in message
    return message


def named(cases):
    """Parameters with readable names; cases are (argument, values it refuses)."""
    return [
        pytest.param(name, value, id=f"{name}={str(value)[:30]}".replace("\n", " "))
        for name, values in cases
        for value in values
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    named(
        [
            ("problem", ["quadratic", None, rasgd.Quadratic]),
            ("method", ["Rescaled", "sgd", "", None, ["asgd"], 3, rasgd.Method, Quadratic]),
            ("compute_times", [[1.0, 2.0], [1.0] * 4, [], [1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [1.0, NAN, 1.0]]),
            ("compute_times", [None, 5.0, "123", ["1", "2", "3"], [True] * 3, [[1.0, 2.0, 3.0]], [1.0, [2.0], 3.0]]),
            ("compute_times", [[1.0, INF, 1.0], [1.0, HUGE, 1.0], {0: 1.0}, rasgd.FixedTimes, rasgd.FixedTimes([1.0])]),
            ("step_size", [0, -0.1, NAN, INF, HUGE, "0.1", True, None, [], [0.1, 0.0], [0.1, None], [0.1, [0.2]]]),
            ("step_size", [np.array([[0.1]]), np.array([]), {0.1}, {0.1: 1}, 1j, torch.tensor([0.1])]),
            ("seed", [-1, 1.5, NAN, INF, HUGE, 2**63, "0", True, None, [], [0, -1], [[0]], [0, [1]]]),
            ("schedule_seed", [-1, 1.5, NAN, HUGE, "0", True, None, [0], [0, 1]]),
            ("until", [0, -1.0, NAN, INF, HUGE, "10", True, None, [10.0], [1.0, 2.0], 0.5]),
            ("eval_every", [0, -1.0, NAN, INF, HUGE, "1", True, [1.0], 1e-9]),
            ("backend", ["gpu", "", None, 3]),
            ("device", ["tpu", "gpu", 3, "cpu:x", "cuda:x", "cudax"]),
            ("replicas_per_pass", [0, -1, 2.5, "4", True, NAN, INF, [4]]),
        ]
    ),
)
def test_a_bad_argument_is_named_in_one_line(name, value):
    refusal(lambda: rasgd.simulate(**{**GOOD, name: value}), name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none():
    refusal(lambda: rasgd.simulate(**GOOD, device="cuda"), "cuda", "no CUDA device", "cpu")


@pytest.mark.parametrize(
    ("method", "name", "values"),
    [
        ("malenia", "S", [0, -1, NAN, INF, HUGE, "4", True, [4]]),
        ("rennala", "S", [0, -1, 2.5, NAN, INF, HUGE, "4", True, [4]]),
        ("ringleader", "restart", ["", "hold", None, True, ["held"]]),
        ("delay_adaptive", "rule", ["", "theory", None, True, ["paper"]]),
        ("ringleader", "trigger", ["", "open", None, True, ["joins"]]),
        ("ringmaster", "R", [0, -1, 2.5, NAN, INF, HUGE, "4", True, [4]]),
        ("ringmaster", "abort", [1, "yes", None]),
        ("fedbuff", "K", [0, 2.5, "2", True]),
        ("ca2fl", "K", [0, 2.5, "2", True]),
        ("concurrent", "assignment", [[], [3], [-1], [0.5], [NAN], "012", [True], [None], 3, NAN, {0: 1}, [[0, 1]]]),
        ("shuffled", "assignment", [[], [0, 1, 3], "012"]),
    ],
)
def test_a_bad_option_is_named_in_one_line(method, name, values):
    for value in values:
        refusal(lambda value=value: rasgd.simulate(**{**GOOD, "method": method, name: value}), f"{name} must be")


OWN_OPTIONS = {
    "rescaled": ["weights"], "delay_adaptive": ["rule"], "malenia": ["S"], "rennala": ["S"],
    "ringleader": ["restart", "trigger"], "ringmaster": ["R", "abort"], "fedbuff": ["K"], "ca2fl": ["K"],
    "concurrent": ["assignment"], "shuffled": ["assignment"],
}  # fmt: skip


@pytest.mark.parametrize(("method", "own"), OWN_OPTIONS.items())
def test_an_option_of_another_method_is_refused_and_the_methods_own_are_listed(method, own):
    foreign = "S" if "S" not in own else "K"
    message = refusal(lambda: rasgd.simulate(**{**GOOD, "method": method, foreign: 3}), repr(foreign), "not an option")
    assert message.endswith(f"allowed: {', '.join(own) or 'none'}")


def test_options_of_processes_are_refused_by_the_simulator():
    refusal(lambda: rasgd.simulate(**GOOD, backend_options={"time_scale": 0.1}), "backend_options", "time_scale")


def test_nothing_is_computed_before_the_arguments_are_checked():
    class Untouchable(Quadratic):
        def gradient(self, *_):
            raise AssertionError("a gradient was computed")

    problem = Untouchable(np.eye(2), np.ones((3, 2)))
    refusal(lambda: rasgd.simulate(**{**GOOD, "problem": problem, "step_size": [0.1, -1]}), "step_size", "-1")


def test_numbers_of_numpy_are_as_good_as_pythons():
    plain = rasgd.simulate(**{**GOOD, "step_size": [0.05, 0.1]}, seed=[0, 1])
    given = {"step_size": np.array([0.05, 0.1]), "until": np.float64(10), "compute_times": np.array([1, 2, 3])}
    same = rasgd.simulate(**{**GOOD, **given}, seed=np.arange(2), schedule_seed=np.int64(0), eval_every=np.float32(0.5))
    np.testing.assert_array_equal(plain.final_points, same.final_points)
    assert rasgd.simulate(**{**GOOD, "method": "fedbuff", "K": 3.0}).metadata["method_options"] == {"K": 3.0}


def test_a_method_that_makes_no_update_in_time_warns_and_returns_an_empty_curve():
    with pytest.warns(UserWarning, match="Minibatch SGD made no update within 2 s"):
        t = rasgd.simulate(**{**GOOD, "method": "minibatch", "until": 2.0})
    assert t.statistics["num_updates"] == 0 and t.effective_weights is None
    assert set(t.columns["updates"]) == {0} and len(set(t.columns["loss"])) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rasgd.simulate(**{**GOOD, "method": "minibatch", "until": 3.0})


# Problems

B = np.ones((3, 4))


@pytest.mark.parametrize(
    ("name", "value"),
    named(
        [
            ("A", ["eye", None, [[1.0], [1.0, 2.0]], np.eye(4) * 1j, np.eye(3), np.ones((2, 4, 4)), np.eye(4) > 0]),
            ("A", [np.triu(np.ones((4, 4))), np.eye(4) * NAN, np.full((4, 4), INF), tridiagonal(5)]),
            ("A", [np.array([[0.0, 1, 1, 1], [2, 2, 2, 2], [5, 5, 5, 0]])]),
            ("b", [None, [1.0, 2.0], [["a"]], np.ones((0, 4)), np.ones((3, 0)), np.ones((1, 3, 4)), B * NAN]),
            ("noise_std", [-1, NAN, INF, HUGE, "0", None, True, [1.0, 2.0]]),
            ("initial_point", ["zero", [1.0], [[1.0] * 4], [1.0, 1.0, 1.0, NAN], [[1.0], [1.0, 2.0]]]),
        ]
    ),
)
def test_a_bad_argument_of_a_quadratic_is_named_in_one_line(name, value):
    refusal(lambda: Quadratic(**{"A": np.eye(4), "b": B, name: value}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    named(
        [
            ("num_workers", [0, -1, 2.5, "3", None, True]),
            ("dim", [0, 2.5, "3"]),
            ("noise", [-1, NAN, INF, "1", True]),
            ("heterogeneity", [-1, NAN, INF, "1"]),
            ("seed", [-1, 1.5, "0"]),
            ("curvature_spread", [-0.1, 1, NAN, "0.5", True]),
        ]
    ),
)
def test_a_bad_argument_of_a_random_quadratic_is_named_in_one_line(name, value):
    good = {"num_workers": 3, "dim": 4, "noise": 1.0, "heterogeneity": 1.0}
    refusal(lambda: random_quadratic(**{**good, name: value}), name)


def test_one_worker_cannot_be_heterogeneous():
    refusal(lambda: random_quadratic(1, 4, noise=1.0, heterogeneity=0.5), "heterogeneity", "one worker", "0.5")
    assert random_quadratic(1, 4, noise=1.0, heterogeneity=0.0).num_workers == 1


INPUTS, LABELS, PARTS = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3, np.arange(12).reshape(2, 6)


@pytest.mark.parametrize(
    ("name", "value"),
    named(
        [
            ("inputs", [None, "data", INPUTS[:, 0], INPUTS.reshape(12, 2, 2), INPUTS[:0], INPUTS * NAN, INPUTS[:5]]),
            ("labels", [None, LABELS[:5], LABELS - 1, LABELS + 0.5, LABELS[:, None], LABELS.astype(str)]),
            ("parts", [None, 3, [], [[], [1, 2, 3, 4]], [[0, 1, 2, 12], [3, 4, 5, 6]], [[0, 1, 2, -1], [3, 4, 5, 6]]]),
            ("parts", [[[0, 0, 1, 2], [3, 4, 5, 6]], [[0.5, 1, 2, 3], [3, 4, 5, 6]], [PARTS, PARTS], [LABELS > 0] * 2]),
            ("widths", [None, 4, (4,), (4, 0, 3), (4, 2.5, 3), "43", (5, 3), (4, 2), (4, -1, 3), ((4, 3),)]),
            ("batch_size", [0, -1, 7, 2.5, "2", True, NAN, [2]]),
            ("num_evaluation_samples", [0, -3, 2.5, "all", True, NAN]),
            (
                "evaluation_groups",
                [["rare"], {"rare": []}, {"rare": [3]}, {"rare": [-1]}, {"rare": 1}, {"rare": ["1"]}],
            ),
            ("seed", [-1, 1.5, "0"]),
        ]
    ),
)
def test_a_bad_argument_of_a_network_is_named_in_one_line(name, value):
    good = {"inputs": INPUTS, "labels": LABELS, "parts": PARTS, "widths": (4, 3), "batch_size": 2}
    message = refusal(lambda: Network(**{**good, name: value}))
    # Inputs, labels and widths have to fit each other: the message may name any of the three first.
    fitting = ("inputs", "labels", "widths")
    assert message.startswith(fitting if name in fitting else name)


def test_test_data_have_to_fit_the_network():
    good = {"inputs": INPUTS, "labels": LABELS, "parts": PARTS, "widths": (4, 3), "batch_size": 2}
    refusal(lambda: Network(**good, test_inputs=INPUTS, test_labels=LABELS[:3]), "test_labels", "[12]", "[3]")
    refusal(lambda: Network(**good, test_inputs=INPUTS[:, :2], test_labels=LABELS), "test_inputs", "2")
    refusal(lambda: Network(**good, test_inputs=INPUTS), "test_labels", "None")
    refusal(lambda: Network(**good, test_labels=LABELS), "test_inputs", "None")
    refusal(lambda: Network(**good, test_inputs=INPUTS, test_labels=LABELS + 7), "test_labels", "10 classes")


def test_a_worker_without_data_is_named():
    refusal(lambda: Network(INPUTS, LABELS, [[0, 1, 2, 3], []], (4, 3)), "parts", "worker 1")
