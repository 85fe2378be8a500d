"""Every line "Reduces to:" of a method's docstring, as a test."""

import re

import numpy as np
import pytest
import torch

import rasgd

TIMES = [1.0, 2.0, 4.0, 5.0]
N = len(TIMES)


def quadratic(noise):
    return rasgd.random_quadratic(N, 6, noise=noise, heterogeneity=1.0, seed=3)


def losses(method, times, until=60.0, noise=0.5, step_size=0.05, **options):
    return rasgd.simulate(quadratic(noise), method, times, step_size, until=until, **options).columns["loss"]


def same(one, other):
    # Two orders of the same additions, some 100 of them: 100 · 10 · 1.1e-16 of losses no larger than 10.
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def equal_times_and_weights_by_frequency_make_rescaled_vanilla():
    same(losses("asgd", [2.0] * N), losses("rescaled", [2.0] * N))
    rates = 1 / np.array(TIMES)
    same(losses("asgd", TIMES), losses("rescaled", TIMES, weights=rates / rates.sum()))


def short_delays_make_delay_adaptive_vanilla():
    same(losses("delay_adaptive", [2.0] * N), losses("asgd", [2.0] * N))
    alone = rasgd.random_quadratic(1, 6, noise=0.5, heterogeneity=0.0, seed=3)
    by_rule = [
        rasgd.simulate(alone, method, [2.0], 0.05, until=60.0, **options).final_point
        for method, options in (("delay_adaptive", {"rule": "paper"}), ("asgd", {}))
    ]
    np.testing.assert_array_equal(*by_rule)


def equal_times_make_minibatch_malenia_and_rennala_one_and_exact_gradients_make_them_gradient_descent():
    # Exact gradients: with noise the three agree in law, since jobs stopped at once use up samples.
    minibatch = losses("minibatch", [2.0] * N, noise=0.0)
    same(minibatch, losses("malenia", [2.0] * N, noise=0.0, S=N))
    same(minibatch, losses("rennala", [2.0] * N, noise=0.0, S=N))
    problem, step_size = quadratic(0.0), 0.05
    x = problem.initial_point(0).numpy()
    for _ in range(12):
        x = x - step_size * (problem.mean_A.numpy() @ x - problem.mean_b.numpy())
    t = rasgd.simulate(problem, "minibatch", TIMES, step_size, until=60.0)
    np.testing.assert_allclose(t.final_point, x, rtol=0, atol=1e-13)


def first_updates(method, points):
    """The method, which appends x to `points` after its first update."""

    class Noting(rasgd.METHODS[method]):
        linear = False  # spares the second instance that measures effective weights

        def receive(self, arrival):
            updates = self.updates
            jobs = super().receive(arrival)
            if updates == 0 and self.updates == 1:
                points.append(self.x)
            return jobs

    return Noting


def the_first_update_of_ringleader_is_one_of_minibatch():
    for times in (TIMES, [3.0, 1.0, 1.0, 2.0]):
        first = []
        for method in ("ringleader", "minibatch"):
            points = []
            noting = first_updates(method, points)
            rasgd.simulate(quadratic(0.0), noting, times, 0.05, until=20.0)
            first.append(points[0])
        torch.testing.assert_close(*first, rtol=0, atol=1e-14)


def a_large_threshold_makes_ringmaster_vanilla():
    vanilla = losses("asgd", TIMES)
    same(vanilla, losses("ringmaster", TIMES, R=1000))
    same(vanilla, losses("ringmaster", TIMES, R=1000, abort=True))


def a_buffer_of_one_makes_fedbuff_vanilla():
    same(losses("fedbuff", TIMES, K=1), losses("asgd", TIMES))


def the_first_step_of_ca2fl_is_one_of_fedbuff():
    # K = 3: the first step comes at t = 2, the second at t = 4 at the earliest.
    same(losses("ca2fl", TIMES, until=3.5, K=3), losses("fedbuff", TIMES, until=3.5, K=3))


def exact_gradients_make_ia2sgd_incremental_aggregated_gradient():
    # IAG: cyclic order, each step along the mean of everybody's newest gradient, those of delays up to n.
    problem, step_size, points = quadratic(0.0), 0.05, [quadratic(0.0).initial_point(0).numpy()] * N
    A, b, x = problem.A.numpy(), problem.b.numpy(), quadratic(0.0).initial_point(0).numpy()
    held = list(points)
    for _ in range(11):
        for i in range(N):
            points[i] = held[i]
            x = x - step_size * np.mean([A[j] @ points[j] - b[j] for j in range(N)], axis=0)
            held[i] = x
    # The first round of arrivals, at x⁰, fills the table; only its last arrival could step, and makes none.
    t = rasgd.simulate(problem, "ia2sgd", [5.0] * N, step_size, until=60.0)
    np.testing.assert_allclose(t.final_point, x, rtol=0, atol=1e-13)


REDUCTIONS = {
    "rescaled": equal_times_and_weights_by_frequency_make_rescaled_vanilla,
    "asgd": equal_times_and_weights_by_frequency_make_rescaled_vanilla,
    "delay_adaptive": short_delays_make_delay_adaptive_vanilla,
    "minibatch": equal_times_make_minibatch_malenia_and_rennala_one_and_exact_gradients_make_them_gradient_descent,
    "malenia": equal_times_make_minibatch_malenia_and_rennala_one_and_exact_gradients_make_them_gradient_descent,
    "rennala": equal_times_make_minibatch_malenia_and_rennala_one_and_exact_gradients_make_them_gradient_descent,
    "ringleader": the_first_update_of_ringleader_is_one_of_minibatch,
    "ia2sgd": exact_gradients_make_ia2sgd_incremental_aggregated_gradient,
    "ringmaster": a_large_threshold_makes_ringmaster_vanilla,
    "fedbuff": a_buffer_of_one_makes_fedbuff_vanilla,
    "ca2fl": the_first_step_of_ca2fl_is_one_of_fedbuff,
}


def test_every_reduction_a_docstring_claims_is_tested():
    claims = {name for name, method in rasgd.METHODS.items() if re.search(r"^\s*Reduces to:", method.__doc__, re.M)}
    assert claims == set(REDUCTIONS)


@pytest.mark.parametrize("reduction", dict.fromkeys(REDUCTIONS.values()), ids=lambda reduction: reduction.__name__)
def test_a_method_reduces_to_another(reduction):
    reduction()
