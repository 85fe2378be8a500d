"""What the paper's Figures 2 to 4 are computed from: iterates, their limits, total steps and their slopes."""

from pathlib import Path

import numpy as np
import pytest

import rasgd
from rasgd.experiments import settings as experiments
from rasgd.experiments.exact import cumulative_step, iterates
from rasgd.figures import figure_3_toy

CONFIG = Path(__file__).parents[1] / "config" / "experiments"


def computed(computation, experiment: str, **changes) -> dict:
    settings = experiments.read(CONFIG / f"{experiment}.yaml", "laptop")
    return computation.compute(experiments.lay_over(settings, changes), lambda fraction: None)


@pytest.fixture(scope="module")
def toy() -> dict:
    return computed(iterates, "toy")


def cycle_iterates(tables: dict, curve: str):
    rows = tables["iterates"]
    return rows[(rows["curve"] == curve) & rows["at_cycle_end"]].set_index("time")["x"]


def test_the_drawn_curves_of_the_toy_are_the_posters(toy):
    for method, points in figure_3_toy.POSTER.items():
        times = figure_3_toy.POSTER_SPACING * np.arange(len(points))
        assert np.abs(cycle_iterates(toy, f"{method}_drawn").loc[times] - points).max() < 0.01


def test_the_stated_step_gives_other_curves_and_vanilla_is_not_faster_there(toy):
    assert cycle_iterates(toy, "rescaled_stated").loc[30.0] == pytest.approx(2.91, abs=0.005)
    assert cycle_iterates(toy, "asgd_stated").loc[30.0] == pytest.approx(3.49, abs=0.005)
    limits = toy["limits"].set_index("curve")["limit"]
    curvatures = {"rescaled_stated": 3.0, "asgd_stated": 8 / 3}  # of F, and of F̃ with weights 2/3 and 1/3
    for curve, curvature in curvatures.items():
        x = cycle_iterates(toy, curve)
        shrinks = (x.loc[300] - limits[curve]) / (x.loc[298] - limits[curve])
        # One cycle with α = .01 is a step of gradient descent up to delays, which enter with α²·4·4 at most.
        assert shrinks == pytest.approx(1 - 0.01 * curvature, abs=0.0016)


def test_limits_lie_beside_the_two_minimisers_by_the_order_of_the_step(toy):
    limits = toy["limits"].set_index("curve")["limit"]
    assert limits["rescaled_drawn"] == pytest.approx(-0.68210, abs=5e-6)
    assert limits["asgd_drawn"] == pytest.approx(0.44845, abs=5e-6)


def test_cycle_iterates_fall_monotonously_while_all_iterates_oscillate(toy):
    rows = toy["iterates"]
    for curve in rows["curve"].unique():
        assert (np.diff(cycle_iterates(toy, curve)) < 0).all()
        assert (np.diff(rows.loc[rows["curve"] == curve, "x"]) > 0).any()


def test_updates_at_one_instant_are_rows_of_their_own_and_only_the_last_ends_a_cycle(toy):
    rows = toy["iterates"][toy["iterates"]["curve"] == "rescaled_drawn"]
    assert rows["update"].tolist() == list(range(451))
    at_two = rows[rows["time"] == 2.0]
    assert at_two["at_cycle_end"].tolist() == [False, True]


def test_a_run_of_simulate_passes_through_the_same_points(toy):
    problem = rasgd.Quadratic([[[2.0]], [[4.0]]], [[8.0], [-12.0]], initial_point=[5.0])
    step = toy["limits"].set_index("curve")["step_size"]["rescaled_drawn"]
    t = rasgd.simulate(problem, "rescaled", [1, 2], step, until=300, eval_every=2)
    assert np.array_equal(t.metrics["point_0"], cycle_iterates(toy, "rescaled_drawn"))


def test_delay_adaptive_steps_end_at_the_fast_workers_minimiser_under_either_rule():
    limits = computed(iterates, "delay_adaptive")["limits"].set_index("curve")
    assert limits["arrivals"].unique().tolist() == ["100 1"]
    # Between the ends of cycles worker 1 brings x to its own minimiser; the slow worker's one gradient of about 4 then
    # moves it by γ/(1+δ)·4 = .1·4/101 under the paper's rule and by .1·2·4/100 under the code's.
    assert limits.loc["delay_adaptive_paper", "limit"] == pytest.approx(1 - 0.4 / 101, abs=2e-5)
    assert limits.loc["delay_adaptive_code", "limit"] == pytest.approx(1 - 0.8 / 100, abs=1e-4)
    assert limits.loc["rescaled", "lowest"] < 0 < limits.loc["rescaled", "highest"] < 0.2


def test_a_curve_that_has_not_settled_is_refused_by_name():
    with pytest.raises(ValueError, match=r"curves\.rescaled_drawn: x at cycle ends still moves .* settle_cycles"):
        computed(iterates, "toy", settle_cycles=200)


def test_problems_of_more_dimensions_are_refused():
    problem = {"A": [[[1.0, 0.0], [0.0, 1.0]]] * 2, "b": [[0.0, 0.0]] * 2, "initial_point": [1.0, 1.0]}
    with pytest.raises(ValueError, match="problem must have one dimension for its iterates to be drawn, got 2"):
        computed(iterates, "toy", problem=problem)


def test_the_distance_from_the_line_counts_the_instants_before_updates_too():
    # One update of size 1 at time 1: at most 1 below the line just before, then 2 below at the horizon.
    assert cumulative_step.largest_distance(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 3.0) == 2.0
    assert cumulative_step.largest_distance(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]), 2.0) == 1.0


@pytest.fixture(scope="module")
def total_step() -> dict:
    slopes = {"from": 6, "until": 186, "schedule_seeds": [1, 2, 3, 4]}
    return computed(cumulative_step, "cumulative_step", slopes=slopes)


def test_with_fixed_times_one_cycle_makes_a_total_step_of_alpha(total_step):
    steps = total_step["steps"]
    rescaled = steps[(steps["case"] == "fixed") & (steps["method"] == "rescaled")]
    ends = rescaled[~rescaled["time"].duplicated(keep="last")].set_index("time")["total_step"]
    np.testing.assert_allclose(ends.loc[np.arange(15.0)], np.arange(15.0), rtol=1e-12)
    slopes = total_step["slopes"][total_step["slopes"]["case"] == "fixed"].set_index(["method", "options"])["slope"]
    assert slopes["rescaled"].iloc[0] == pytest.approx(1, rel=1e-12)
    assert slopes["malenia"].iloc[0] == pytest.approx(1, rel=1e-12)
    # Two slowest workers: a round of Ringleader ASGD as published lasts 1½ τ_max, else one gathering, τ_max.
    assert slopes["ringleader", '{"restart": "held"}'] == pytest.approx(2 / 3, rel=0.01)
    assert slopes["ringleader", '{"trigger": "opens"}'] == pytest.approx(1, rel=0.01)


def test_with_exponential_times_slopes_are_those_of_theory(total_step):
    slopes = total_step["slopes"][total_step["slopes"]["case"] == "fluctuating"].set_index("method")
    for method in ("rescaled", "malenia"):
        row = slopes.loc[method]
        assert row["slope"] == pytest.approx(row["expected"], abs=4 * row["error"])
    assert slopes.loc["malenia", "expected"] == pytest.approx(16 / 26.645, rel=1e-4)
    # Some 430 gatherings of 26.6 s, whose standard deviation is at most that of the two slowest in sum, √2·16 s.
    opens = slopes.reset_index().set_index("options").loc['{"trigger": "opens"}']
    assert opens["slope"] == pytest.approx(opens["expected"], rel=4 * 2**0.5 * 16 / 26.6 / 430**0.5)
    assert opens["expected"] == slopes.loc["malenia", "expected"]
