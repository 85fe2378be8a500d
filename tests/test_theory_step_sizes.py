"""The names of one step size, each against the formula that defines it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rasgd
from rasgd import theory

FIGURE_1 = [1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0, 16.0, 16.0]
NAMES = ("step_size", "paper_step_size", "cycle_step_size", "step_per_second")


@pytest.mark.parametrize("times", [FIGURE_1, [1.0, 2.0], [3.0], [1.0, 2.0, 3.0, 4.0, 12.0]])
def test_all_names_give_the_steps_of_the_paper_and_those_of_the_method(times):
    n, slowest, harmonic = len(times), max(times), len(times) / sum(1 / t for t in times)
    gamma = 0.03
    steps = theory.step_parameters(times, paper_step_size=gamma)
    alpha = gamma * harmonic  # Section 4
    by_equation_2 = [gamma * t * harmonic / (n * slowest) for t in times]
    # A handful of roundings of 1.1e-16 each.
    np.testing.assert_allclose([alpha * t / (n * slowest) for t in times], by_equation_2, rtol=1e-14)
    np.testing.assert_allclose(theory.worker_step_sizes("rescaled", times, steps.step_size), by_equation_2, rtol=1e-14)
    assert steps.cycle_step_size == pytest.approx(alpha, rel=1e-14)
    # A cycle holds τ_max/τᵢ arrivals of worker i.
    assert steps.cycle_step_size == pytest.approx(slowest * np.sum(np.divide(by_equation_2, times)), rel=1e-14)
    assert steps.step_size == pytest.approx(alpha / sum(slowest / t for t in times), rel=1e-14)
    assert steps.step_per_second == pytest.approx(alpha / slowest, rel=1e-14)
    # What a run does: on F(x) = −x a cycle moves x by α.
    problem = rasgd.Quadratic(np.zeros((n, 1, 1)), np.ones((n, 1)))
    moved = rasgd.simulate(problem, "rescaled", times, steps.step_size, until=slowest).final_point[0]
    assert moved == pytest.approx(alpha, rel=1e-13)


@given(
    times=st.lists(st.floats(0.01, 100), min_size=1, max_size=8),
    name=st.sampled_from(NAMES),
    value=st.floats(1e-6, 1e3),
)
def test_every_name_leads_to_the_same_parameters_and_back(times, name, value):
    steps = theory.step_parameters(times, **{name: value})
    assert getattr(steps, name) == value
    for other in NAMES:
        again = theory.step_parameters(times, **{other: getattr(steps, other)})
        np.testing.assert_allclose(again, steps, rtol=1e-13)


def test_rescaled_steps_in_figure_1_add_up_to_what_its_grid_spans():
    steps = theory.step_parameters(FIGURE_1, paper_step_size=[1e-4, 1.0])
    assert steps.step_per_second == pytest.approx([0.1613e-4, 0.1613], rel=1e-3)  # τ_H/τ_max = 2.5806/16


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give exactly one of step_size, paper_step_size, cycle_step_size, step_per_second, got none"),
        ({"step_size": 1.0, "cycle_step_size": 2.0}, "give exactly one of .* got step_size, cycle_step_size"),
        ({"gamma": 1.0}, "give exactly one of .* got gamma"),
        ({"step_size": "1"}, "step_size must be an array of numbers, got '1'"),
    ],
)
def test_parameters_that_are_not_one_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        theory.step_parameters([1.0, 2.0], **given)


@given(times=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 4.0, 7.3, 16.0]), min_size=1, max_size=9))
def test_the_mean_gathering_time_is_that_of_inclusion_and_exclusion(times):
    chosen = (subset for size in range(1, len(times) + 1) for subset in itertools.combinations(times, size))
    expected = math.fsum((-1) ** (len(subset) + 1) / sum(1 / t for t in subset) for subset in chosen)
    # Some 500 terms here and 2⁹ alternating ones above, each of which errs by a few 1e-16 of at most 16·9 s.
    assert theory.mean_gathering_time(times) == pytest.approx(expected, rel=1e-11)


def test_a_gathering_in_figure_1_takes_longer_than_its_slowest_worker():
    assert theory.mean_gathering_time(FIGURE_1) == pytest.approx(26.644756797, rel=1e-10)
    assert theory.mean_gathering_time([16.0]) == pytest.approx(16.0, rel=1e-13)
