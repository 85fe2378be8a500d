"""The checks of the theorems find no violation, and would find one."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rasgd.experiments import settings as experiment
from rasgd.experiments.exact import theorem_checks, theorem_instances, theorem_limits, theorem_terms, theorems
from rasgd.theory import cycle_moments, paper, periods

ROOT = Path(__file__).parents[1]
SETTINGS = experiment.read(ROOT / "config/experiments/theorems.yaml", "smoke")


def ignored(fraction):
    """Take the progress of a computation."""


@cache
def tables():
    return theorems.compute(SETTINGS, ignored)


def test_no_bound_is_violated_and_some_come_within_a_factor_of_five():
    everything = tables()["looseness"].query("by == 'all'")
    assert len(everything) == len(theorem_checks.THEOREMS) and not everything["violations"].any()
    # on modes without noise the left side tends to a quarter of the transient term
    assert (everything["largest"] > 0.2).all()


def test_a_bound_with_a_smaller_constant_would_be_found_out(monkeypatch):
    monkeypatch.setattr(paper, "TRANSIENT", 0.8)  # a fifth of the proof's; a quarter is reached
    monkeypatch.setattr(theorem_checks, "THEOREMS", {"theorem_b_9": ("any", "paper")})
    found = theorem_checks.looseness(SETTINGS, ignored)
    assert found.query("by == 'all'")["violations"].item() > 0


def test_where_noise_leads_the_bound_is_twelve_times_too_large():
    # one mode of curvature L = 1: E‖∇F‖² → ½(A/α)σ² beside 6(A/α)σ², up to α and to what is left of the start
    times, alpha = np.array([1.0, 2.0, 2.0]), np.array([1e-4])
    instances = theorem_instances.Instances(
        periods.cycle(times), times, np.ones((1, 3, 1, 1)), np.zeros((1, 3, 1)), np.full((1, 3), 1 / 3), np.ones(1),
        np.full((1, 1), 1e-3),
    )  # fmt: skip
    cycles = 2**34
    left = cycle_moments.average_square(
        instances.maps(alpha), instances.mean_curvature, instances.state(), np.array([cycles])
    )
    right, leading = theorem_checks.tightest("paper", instances, alpha, [cycles], instances.constants_along())
    assert leading.item() == 1 and left.item() / right.item() == pytest.approx(1 / 12, rel=0.01)


def test_every_check_holds_but_those_that_are_reported_to_fail():
    checks = tables()["checks"]
    judged = checks[checks["allowed"].notna()]
    assert not judged["violations"].any()
    assert {"lemmas", "corollary_4_2", "cycle_schedule", "section_c", "bias_is_quadratic"} <= set(judged["check"])
    constant = checks[checks["case"] == "published: largest minus smallest delay of a worker"]
    assert constant["violations"].item() == 8  # of ten workers: all but the two slowest


def test_steps_far_beyond_the_limits_break_the_bounds():
    outside = tables()["outside"]
    assert not outside.query("over_limit == 1")["violations"].any()
    assert (outside.query("over_limit == 64").groupby("theorem")["violations"].sum() > 0).all()


def test_lemmas_find_a_wrong_schedule(monkeypatch):
    """Lemma B.7 is an identity of the steps: with weights that are not theirs it fails."""
    group = next(iter(theorem_instances.groups(0, 1, 3, 4, 2)))
    instances = theorem_instances.random_instances(np.random.default_rng(0), group, "any")
    constants = instances.constants_along((1.2,))[0]
    alpha = np.full(3, 1e-2)
    right = theorem_checks.lemma_ratios(instances, constants, alpha, 3)["b_7_identity"]
    others = paper.cycle_steps(group["compute_times"], paper.target_weights("asgd", group["compute_times"]), alpha)
    monkeypatch.setattr(paper, "cycle_steps", lambda *_: others)
    wrong = theorem_checks.lemma_ratios(instances, constants, alpha, 3)["b_7_identity"]
    assert right.max() < 1e-12 < wrong.max()


def test_the_best_step_is_the_best_of_a_fine_grid():
    quadratic, times = theorem_terms.quiet_quadratic(0.01, 3), np.array([1.0, 2.0, 4.0])
    timed = theorem_terms.Timed(quadratic, times)
    seconds, alpha = timed.fastest(0.01)
    # times are whole cycles, so the search may stop one cycle beside the best
    grid = [timed.seconds_to(0.01, step) for step in np.geomspace(alpha / 4, alpha * 4, 80)]
    assert seconds <= min(grid) + 4.0


def test_steady_squares_of_fixed_times_are_the_small_step_floor():
    times, rng = np.array([1.0, 2.0]), np.random.default_rng(0)
    squares = theorem_limits.steady_squares(times, np.zeros(2), 0.02, 0.0, False, 400, 6.0, rng)
    error = squares.std() / 20.0
    # sτ_A/(2n)σ² up to sτ_max = 4 %
    assert squares.mean() / (0.02 * 1.5 / 4) == pytest.approx(1.0, abs=0.04 + 4 * error / (0.02 * 1.5 / 4))
