"""The paper's bounds, steps and times by hand, against each other and at their edges."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rasgd import theory
from rasgd.theory import beyond, paper, periods

TIMES = [1.0, 2.0, 4.0, 8.0]  # τ_A = 3.75, τ_H = 32/15, K = 15
CONSTANTS = theory.Constants(
    smoothness=2.0, max_smoothness=5.0, noise_variance=3.0, initial_gap=7.0, heterogeneity=1.5, growth=1.2
)
HARMONIC = st.lists(st.sampled_from([1.0, 2.0, 4.0, 8.0, 24.0]), min_size=1, max_size=6)
POSITIVE = st.floats(1e-3, 1e3)


@st.composite
def constants(draw):
    smoothness, gap = draw(POSITIVE), draw(POSITIVE)
    variance, zeta = (draw(st.one_of(st.just(0.0), st.floats(1e-3, 100))) for _ in range(2))
    growth = draw(st.one_of(st.just(0.0), st.floats(1e-3, 9)))
    return theory.Constants(smoothness, smoothness * draw(st.floats(1, 10)), variance, gap, zeta, growth)


def test_theorem_4_1_by_hand():
    bound = paper.theorem_4_1(CONSTANTS, TIMES, 0.01, 100)
    assert bound.transient == pytest.approx(4 * 7 / (0.01 * 32 / 15 * 100))
    assert bound.noise == pytest.approx(6 * 0.01 * 3.75 * 2 * 3 / 15)
    assert bound.staleness == pytest.approx(10 * (0.01 * 3.75 * 5) ** 2 * 4.5)
    assert bound.total == pytest.approx(sum(bound))
    assert paper.theorem_4_1_limit(CONSTANTS, TIMES) == pytest.approx(1 / (5 * 5 * 1.2 * 8))
    homogeneous = theory.Constants(2.0, 2.0, 3.0, 7.0, 0.0, 0.0)
    assert paper.theorem_4_1_limit(homogeneous, TIMES) == pytest.approx(1 / (6 * 2 * 32 / 15))


@given(given_constants=constants(), times=HARMONIC, step=st.floats(1e-5, 1.0), cycles=st.integers(1, 10**6))
def test_theorems_4_1_and_4_3_are_theorem_b_9_with_their_weights(given_constants, times, step, cycles):
    harmonic = theory.harmonic_mean_compute_time(times)
    cases = (
        ("rescaled", paper.theorem_4_1, step * harmonic, paper.theorem_4_1_limit(given_constants, times) * harmonic),
        ("asgd", paper.theorem_4_3, step, paper.theorem_4_3_limit(given_constants)),
    )
    for method, theorem, alpha, limit in cases:
        weights = paper.target_weights(method, times)
        general = paper.theorem_b_9(given_constants, times, weights, alpha, cycles)
        np.testing.assert_allclose(theorem(given_constants, times, step, cycles), general, rtol=1e-12)
        assert paper.theorem_b_9_limit(given_constants, times, weights) == pytest.approx(limit, rel=1e-12)


@given(times=HARMONIC, step=st.floats(1e-4, 1.0))
def test_steps_of_a_cycle_are_those_of_equation_2(times, step):
    seconds, n = np.array(times), len(times)
    harmonic = theory.harmonic_mean_compute_time(times)
    steps = paper.cycle_steps(times, np.full(n, 1 / n), step * harmonic)
    np.testing.assert_allclose(steps.worker_steps, step * seconds * harmonic / (n * seconds.max()), rtol=1e-12)
    per_worker = steps.worker_steps * periods.arrival_counts(times)
    np.testing.assert_allclose(per_worker, steps.total / n, rtol=1e-12)
    num_arrivals = n * seconds.max() / harmonic
    assert periods.arrival_counts(times).sum() == pytest.approx(num_arrivals, rel=1e-12)
    assert steps.squares == pytest.approx(step**2 * harmonic * seconds.mean() / num_arrivals, rel=1e-12)
    # our own normalisation: γᵢ = γ_ours τᵢ/τ_H with γ_ours = α/K
    ours = theory.worker_step_sizes("rescaled", times, steps.total / num_arrivals)
    np.testing.assert_allclose(ours, steps.worker_steps, rtol=1e-12)


@settings(max_examples=200)
@given(given_constants=constants(), times=HARMONIC, data=st.data(), share=st.floats(1e-3, 1.0))
def test_the_sharper_bound_is_never_above_the_papers_and_allows_no_smaller_steps(given_constants, times, data, share):
    raw = np.array(data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(times), max_size=len(times))))
    assume(raw.sum() > 0.1)
    weights = raw / raw.sum()
    assert beyond.sharper_b_9_limit(given_constants) >= paper.theorem_b_9_limit(given_constants, times, weights) * (
        1 - 1e-12
    )
    alpha = share * paper.theorem_b_9_limit(given_constants, times, weights)
    ours = beyond.sharper_b_9(given_constants, times, weights, alpha, 10).total
    assert ours <= paper.theorem_b_9(given_constants, times, weights, alpha, 10).total * (1 + 1e-12)


@settings(max_examples=200)
@given(given_constants=constants(), times=HARMONIC, epsilon=st.floats(1e-6, 1.0))
def test_prescriptions_bring_the_bounds_down_to_epsilon(given_constants, times, epsilon):
    cases = (
        (paper.corollary_4_2, paper.theorem_4_1, paper.theorem_4_1_limit(given_constants, times)),
        (paper.corollary_4_4, paper.theorem_4_3, paper.theorem_4_3_limit(given_constants)),
    )
    for corollary, theorem, limit in cases:
        found = corollary(given_constants, times, epsilon)
        assert 0 < found.step_size <= limit * (1 + 1e-12)
        bound = theorem(given_constants, times, found.step_size, float(found.cycles))
        assert bound.total <= epsilon * (1 + 1e-9)
        assert bound.transient <= epsilon / 2 * (1 + 1e-9)
        assert max(bound.noise, bound.staleness) <= epsilon / 4 * (1 + 1e-9)
        assert found.seconds == found.cycles * max(times) >= max(found.terms.values())
    sharper = beyond.sharper_corollary_4_2(given_constants, times, epsilon)
    alpha = sharper.step_size * theory.harmonic_mean_compute_time(times)
    weights = paper.target_weights("rescaled", times)
    assert beyond.sharper_b_9(given_constants, times, weights, alpha, float(sharper.cycles)).total <= epsilon * (
        1 + 1e-9
    )
    assert sharper.seconds <= paper.corollary_4_2(given_constants, times, epsilon).seconds * (1 + 1e-12)


@given(given_constants=constants(), times=HARMONIC, epsilon=st.floats(1e-6, 1.0))
def test_times_of_corollary_4_2_are_the_four_terms_of_its_statement(given_constants, times, epsilon):
    stated = theory.rescaled_bound_terms(given_constants, times, epsilon)
    proof = {"noise": 192.0, "staleness": 8 * 40**0.5, "heterogeneity": 40.0, "deterministic": 48.0}
    found = paper.corollary_4_2(given_constants, times, epsilon).terms
    assert found == pytest.approx({name: proof[name] * term for name, term in stated.items()}, rel=1e-12)


@given(times=HARMONIC, epsilon=st.floats(1e-6, 1e-3))
def test_rescaling_costs_the_arithmetic_over_the_harmonic_mean_where_noise_leads(times, epsilon):
    alike = theory.Constants(1.0, 1.0, 1e6, 1.0, 0.0, 1.0)
    rescaled, vanilla = (corollary(alike, times, epsilon) for corollary in (paper.corollary_4_2, paper.corollary_4_4))
    price = theory.mean_compute_time(times) / theory.harmonic_mean_compute_time(times)
    assert rescaled.terms["noise"] / vanilla.terms["noise"] == pytest.approx(price, rel=1e-12)


def test_the_fastest_prescription_beats_every_other_growth():
    rng = np.random.default_rng(0)
    roots, b = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2))
    A = roots @ roots.swapaxes(1, 2) + np.eye(2)
    smallest = theory.smallest_growth(A)

    def at(growth):
        return theory.quadratic_constants(A, b, 0.01, [3.0, 1.0], growth)

    def prescribe(given):
        return paper.corollary_4_2(given, [1, 2, 4], 0.01)

    best = max(paper.fastest_prescription(at, prescribe, smallest).terms.values())
    others = [max(prescribe(at(smallest * (1 + excess))).terms.values()) for excess in np.geomspace(1e-4, 1e4, 200)]
    # the search stops at .1 % of ρ/smallest − 1, which moves the largest term by at most as much
    assert best <= min(others) * 1.001
    assert min(others) < 0.7 * others[0] and min(others) < 0.7 * others[-1]  # not monotone: there is something to find


@settings(max_examples=25, deadline=None)
@given(step=st.floats(0.01, 0.3), c=st.floats(-20, 20), x=st.floats(-5, 5), first=st.sampled_from([0, 1]))
def test_section_c_in_closed_form_is_what_the_arrivals_do(step, c, x, first):
    signs = np.array([-1.0, 1.0])
    order = [first, 1 - first]
    arrivals = periods.cycle([1, 2], order)
    point, held = x, np.full(2, x)
    ends = []
    for _ in range(1000):
        for worker in arrivals.workers:
            point = point - step * (1 + worker) * (held[worker] + signs[worker] * c)
            held[worker] = point
        ends.append(point)
    if first == 0:  # the paper's order; the first cycle starts from a common point in either
        assert ends[0] == pytest.approx(paper.section_c_first_cycle(x, step, c), rel=1e-12, abs=1e-12)
    # a cycle contracts by about 1 − 4γ ≤ .96: after 1,000 of them 1e-17 of the start is left
    assert ends[-1] == pytest.approx(paper.section_c_limit(step, c, first), abs=1e-10)


def test_wrong_arguments_are_refused_by_name():
    for call, name in (
        (lambda: paper.theorem_4_1(CONSTANTS, [2, 3], 0.1, 1), "compute_times must divide"),
        (lambda: paper.theorem_4_1(CONSTANTS, TIMES, 0.1, 0), "cycles"),
        (lambda: paper.theorem_b_9(CONSTANTS, TIMES, [0.5, 0.5], 0.1, 1), "weights"),
        (lambda: paper.theorem_b_9(CONSTANTS, TIMES, [-0.5, 0.5, 0.5, 0.5], 0.1, 1), "weights"),
        (lambda: paper.corollary_4_2(CONSTANTS, TIMES, 0.0), "epsilon"),
        (lambda: paper.section_c_limit(0.1, 1.0, first=2), "first"),
        (lambda: paper.target_weights("malenia", TIMES), "method"),
        (lambda: periods.cycle([1, 2], [0, 0]), "order"),
        (lambda: periods.cycle([1.0, 2**0.5]), "commensurate"),
        (lambda: periods.cycle([1.0, 999983.0, 1009.0]), "repeat within"),
    ):
        with pytest.raises(ValueError, match=name):
            call()
