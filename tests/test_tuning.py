"""Times to targets, scores, grids and selection."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasgd import summaries
from rasgd.compute_times import FixedTimes
from rasgd.experiments import tuning
from rasgd.experiments.tuning import Candidate


@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=40),
    st.lists(st.floats(0, 100), min_size=40, max_size=40),
)
def test_the_trailing_mean_averages_the_last_tenth_of_elapsed_time(gaps, values):
    times = np.cumsum([0.0, *gaps])
    values = np.array(values[: len(times)] + [0.0] * (len(times) - len(values)))
    means = summaries.trailing_mean(times, values)
    for index, time in enumerate(times):
        inside = values[(times >= 0.9 * time - 1e-12 * time) & (np.arange(len(times)) <= index)]
        # cumulated sums of ≤ 41 values ≤ 100 differ by a few units in the last place of 4100
        assert means[index] == pytest.approx(inside.mean(), rel=1e-12, abs=1e-10)


def test_one_lucky_dip_does_not_reach_a_target():
    times = np.arange(101.0)
    values = np.ones(101)
    values[60] = 0.0
    assert summaries.time_to_target(times, values, 0.5) == math.inf
    values[60:] = 0.0
    # at 63 the window [56.7, 63] holds 57 … 63: three ones, four zeros
    assert summaries.time_to_target(times, values, 0.5) == 63.0


def test_a_target_that_is_never_reached_is_censored_and_nan_counts_as_above():
    times = np.arange(5.0)
    assert summaries.time_to_target(times, np.ones(5), 0.5) == math.inf
    assert summaries.time_to_target(times, np.array([1, 1, np.nan, np.nan, np.nan]), 0.5) == math.inf


def test_updates_per_second_are_counted_on_the_schedule():
    times = FixedTimes([1.0, 2.0, 4.0])
    assert tuning.updates_per_second("asgd", times, 40.0, 0, {}) == pytest.approx(1 + 1 / 2 + 1 / 4)
    assert tuning.updates_per_second("minibatch", times, 40.0, 0, {}) == pytest.approx(1 / 4)
    assert tuning.updates_per_second("fedbuff", times, 40.0, 0, {"K": 7}) == pytest.approx(10 / 40)


def test_a_method_without_updates_counts_as_making_one():
    assert tuning.updates_per_second("minibatch", FixedTimes([1.0, 100.0]), 10.0, 0, {}) == pytest.approx(1 / 10)


def parabola(best_exponent: float, tried: list):
    def evaluate(options: dict, exponents: list[float]) -> list[Candidate]:
        tried.extend(exponents)
        return [
            Candidate(options, e, 2.0**e, (((e - best_exponent - options.get("shift", 0)) ** 2, 0.0),))
            for e in exponents
        ]

    return evaluate


GRID = {"lowest_log2": -4, "steps_per_octave": 2, "count": 5, "max_extensions": 3, "refine": 0}


def test_a_winner_inside_the_grid_is_taken_without_extension():
    tried = []
    candidates, [(winner, edge)] = tuning.search(GRID, [{}], parabola(-3.1, tried), 1)
    assert tried == [-4, -3.5, -3, -2.5, -2] and len(candidates) == 5
    assert winner.exponent == -3 and not edge


def test_a_winner_on_the_edge_extends_the_grid_until_it_is_inside():
    tried = []
    _, [(winner, edge)] = tuning.search(GRID, [{}], parabola(-1, tried), 1)
    assert winner.exponent == -1 and not edge and max(tried) == 0


def test_extension_is_bounded_and_an_edge_winner_is_flagged():
    tried = []
    _, [(winner, edge)] = tuning.search(GRID, [{}], parabola(10, tried), 1)
    assert winner.exponent == max(tried) == -2 + 3 and edge


def test_refinement_halves_the_spacing_around_the_winner():
    tried = []
    _, [(winner, edge)] = tuning.search(GRID | {"refine": 4}, [{}], parabola(-2.8, tried), 1)
    assert winner.exponent == -2.75 and not edge
    assert sorted(set(tried) - {-4, -3.5, -3, -2.5, -2}) == [-3.25, -2.75]


def test_own_parameters_are_chosen_together_with_the_step():
    candidates, [(winner, _)] = tuning.search(GRID, [{"shift": 0.2}, {"shift": 0}], parabola(-3, []), 1)
    assert winner.options == {"shift": 0} and winner.exponent == -3 and len(candidates) == 10


def test_equal_scores_go_to_the_secondary_and_then_to_the_smaller_step():
    tie = [Candidate({}, e, 2.0**e, ((math.inf, s),)) for e, s in ((0, 3.0), (1, 2.0), (2, 2.0))]
    assert tuning.best(tie, 0).exponent == 1


def curves(losses: dict[tuple[float, int], list[float]]) -> pd.DataFrame:
    rows = [
        {"step_size": step, "schedule_seed": 0, "seed": seed, "time": 10.0 * k, "loss": value, "grad_norm_sq": value}
        for (step, seed), values in losses.items()
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_losses_are_scored_by_the_median_over_seeds_of_the_last_quarter():
    table = curves({(0.1, s): [9, 9, 9, 2 + s, 4 + s] for s in range(3)})  # times 0 … 40: the last quarter is 30 and 40
    assert tuning.score_losses(table, 40.0, 40.0) == {0.1: ((4.0, 0.0),)}


def test_a_diverged_replica_makes_a_step_infinitely_bad():
    table = curves({(0.1, 0): [9.0] * 5, (0.1, 1): [9.0] * 2, (0.2, 0): [8.0] * 5, (0.2, 1): [8.0] * 5})
    losses = tuning.score_losses(table, 40.0, 40.0)
    assert losses[0.1][0][0] == math.inf and losses[0.2][0][0] == 8.0
    times = tuning.score_times(table, [100.0], 40.0)
    assert times[0.1][0] == (math.inf, math.inf) and times[0.2][0] == (0.0, 8.0)


def test_a_replica_that_diverges_at_the_very_end_counts_as_diverged():
    late = curves({(0.1, s): [9.0, 0.1, 0.1, 0.1] for s in range(3)})  # no row at 40 s
    assert tuning.score_losses(late, 40.0, 40.0) == {0.1: ((math.inf, 0.0),)}
    assert tuning.score_times(late, [1.0], 40.0) == {0.1: ((math.inf, math.inf),)}


def test_the_trailing_mean_forgets_a_huge_beginning():
    times = np.arange(1.0, 101.0)
    values = np.where(times < 3, 1e20, 2.0)
    assert summaries.trailing_mean(times, values)[-1] == 2.0
    assert (
        summaries.time_to_target(times, values, 1.0) == math.inf and summaries.time_to_target(times, values, 2.0) == 3.0
    )
    rising = values[::-1]
    assert summaries.trailing_mean(times, rising)[49] == 2.0


def test_seeds_of_different_schedules_are_scored_together():
    table = curves({(0.1, s): [9.0, 5.0, 1.0, 1.0, 1.0] for s in range(4)})
    table["schedule_seed"] = table["seed"]  # every schedule has a seed of its own
    assert tuning.score_times(table, [2.0], 40.0) == {0.1: ((20.0, 1.0),)}
    assert tuning.score_losses(table, 40.0, 40.0) == {0.1: ((1.0, 0.0),)}
