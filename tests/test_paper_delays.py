"""Cycles, delays and what delay-adaptive steps weigh, against the paper's counts and examples."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasgd import theory
from rasgd.theory import paper_delays, periods

ANY_TIMES = st.lists(st.integers(1, 12), min_size=1, max_size=5)
PAPER_TIMES = [1, 1, 2, 2, 4, 4, 8, 8, 16, 16]


def test_harmonic_is_stronger_than_what_the_proofs_need():
    assert periods.are_harmonic(PAPER_TIMES) and periods.divide_the_slowest(PAPER_TIMES)
    assert not periods.are_harmonic([2, 3, 6]) and periods.divide_the_slowest([2, 3, 6])
    assert not periods.divide_the_slowest([2, 3])
    assert periods.are_harmonic([0.1, 0.2, 0.4])  # decimal times are meant as written


@given(times=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6), unit=st.floats(0.1, 10))
def test_rounded_times_are_harmonic_and_at_most_doubled(times, unit):
    rounded = periods.rounded_up(times, unit)
    ratio = rounded / np.array(times)
    assert (ratio >= 1 - 1e-12).all() and (ratio < 2 + 1e-12).all()
    assert periods.are_harmonic(rounded)
    np.testing.assert_array_equal(periods.rounded_up(rounded, unit), rounded)


def test_rounding_costs_1_over_ln_2_on_average():
    times = 2.0 ** np.linspace(0.0, 1.0, 20001)[1:]
    # the trapezoid's error is of order 1/20000
    assert (periods.rounded_up(times) / times).mean() == pytest.approx(periods.MEAN_ROUNDING, abs=1e-4)
    assert pytest.approx(1 / log(2)) == periods.MEAN_ROUNDING


@given(times=ANY_TIMES, data=st.data())
def test_a_cycle_has_every_workers_arrivals_in_order_and_delays_shorter_than_it(times, data):
    order = data.draw(st.permutations(range(len(times))))
    own = periods.cycle(times, order)
    np.testing.assert_array_equal(np.bincount(own.workers, minlength=len(times)), own.seconds / np.array(times))
    assert own.length == pytest.approx(own.seconds * np.sum(1 / np.array(times)))
    assert (np.diff(own.times) >= 0).all() and own.times[-1] == own.seconds
    assert own.workers[own.length - len(times) :].tolist() == list(order)  # all tie at the end
    for worker, given_delays in enumerate(periods.delays(times, order)):
        assert given_delays.max() <= own.length - 1
        assert given_delays.mean() == pytest.approx(periods.mean_delays(times)[worker], abs=1e-12)


def test_single_delays_are_not_the_constant_of_equation_21():
    assert sorted(periods.delays([1, 2])[0]) == [0, 1]
    fast = periods.delays(PAPER_TIMES)[0]
    assert sorted(set(fast.tolist())) == [1, 3, 5, 7, 9]
    fast, slow = periods.delays([1, 100])  # §F.2: 99 without staleness, one of 1; the slow worker's is 100
    assert np.bincount(fast).tolist() == [99, 1] and slow.tolist() == [100]


def test_weights_of_delay_adaptive_steps_in_the_papers_examples():
    one_fast = [1] + [2] * 9
    assert paper_delays.delay_adaptive_weights_by_formula(one_fast)[0] == pytest.approx(4 / 13)
    # by hand: worker 1's two delays are 0 and 9, the others' 10: (1 + 1/10) : 9 · 1/11
    assert paper_delays.delay_adaptive_weights(one_fast)[0] == pytest.approx(1.1 / (1.1 + 9 / 11))
    np.testing.assert_allclose(paper_delays.delay_adaptive_weights([1, 2]), np.array([1.5, 1 / 3]) / (1.5 + 1 / 3))
    np.testing.assert_allclose(paper_delays.delay_adaptive_weights([3, 3, 3]), 1 / 3)


@given(times=ANY_TIMES)
def test_tau_da_by_the_formula_keeps_the_papers_bounds(times):
    found = paper_delays.delay_adaptive_time_by_formula(times)
    slack = 1e-12 * max(times)
    assert theory.harmonic_mean_compute_time(times) - slack <= found <= len(times) * min(times) + slack


def test_tau_da_in_the_papers_two_examples():
    formula, actual = paper_delays.delay_adaptive_time_by_formula, paper_delays.delay_adaptive_time
    assert formula([1, 10]) == pytest.approx(1.96, abs=0.005) and actual([1, 10]) == pytest.approx(2.01, abs=0.005)
    one_fast = [1] + [2] * 9
    assert formula(one_fast) == pytest.approx(2.01, abs=0.005) and theory.mean_compute_time(one_fast) == 1.9
    assert actual(one_fast) == pytest.approx(5.89, abs=0.005)


@given(times=ANY_TIMES)
def test_leading_time_is_the_mean_of_the_right_kind(times):
    counts = periods.arrival_counts(times).astype(int)
    proportional = [np.full(count, time) for count, time in zip(counts, times, strict=True)]
    equal = [np.ones(count) for count in counts]
    assert paper_delays.leading_time(times, proportional) == pytest.approx(theory.mean_compute_time(times))
    assert paper_delays.leading_time(times, equal) == pytest.approx(theory.harmonic_mean_compute_time(times))
