"""How far methods have stepped by when: `cumulative_step` against slopes known by other means."""

import numpy as np
import pytest

import rasgd
from rasgd import theory

FIGURE_1 = [1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0, 16.0, 16.0]
ARRIVALS_PER_CYCLE = 62  # K = 2·(16 + 8 + 4 + 2 + 1)


def slope(method, times, cycles, unit, slowest=16.0, **options):
    """Total step per τ_max, where one update of size 1 counts 1/unit of a cycle's step α."""
    return rasgd.cumulative_step(method, times, cycles * slowest, **options)["total_step"].iloc[-1] / unit / cycles


def test_rescaled_makes_a_cycle_step_in_every_cycle_and_as_much_per_second_within():
    steps = rasgd.cumulative_step("rescaled", FIGURE_1, 14 * 16.0)
    assert list(steps.columns) == ["time", "total_step", "worker"] and len(steps) == 14 * ARRIVALS_PER_CYCLE
    at_ends = steps.groupby("time")["total_step"].last().loc[np.arange(1, 15) * 16.0]
    # Some 900 additions, each of which errs by 1.1e-16 of the sum.
    np.testing.assert_allclose(at_ends / ARRIVALS_PER_CYCLE, np.arange(1, 15), rtol=1e-13)
    gamma = np.array(FIGURE_1) / (10 / 3.875)
    np.testing.assert_allclose(steps["total_step"].diff()[1:], gamma[steps["worker"][1:]], rtol=1e-10)


def test_gathering_methods_make_a_cycle_step_in_every_cycle_of_fixed_times_but_for_ringleaders_published_rule():
    assert slope("malenia", FIGURE_1, 14, 1) == 1.0
    cycles = 200
    for restart in ("held", "current"):
        # Rounds of n updates take 1 and 2 cycles by turns, 1½ on average; the start and the end make up for one.
        assert slope("ringleader", FIGURE_1, cycles, 10, restart=restart) == pytest.approx(2 / 3, abs=1 / cycles)
        opens = slope("ringleader", FIGURE_1, cycles, 10, restart=restart, trigger="opens")
        assert opens == pytest.approx(1.0, abs=1 / cycles)
    # With a single slowest worker both rules are as fast.
    single = slope("ringleader", [1.0, 2.0, 4.0, 8.0, 16.0], cycles, 5)
    assert single == pytest.approx(1.0, abs=1 / cycles)


def test_exponential_times_slow_down_gathering_as_its_mean_time_says_and_rescaled_not_at_all():
    times, cycles = rasgd.ExponentialTimes(FIGURE_1), 800
    # Worker i's share α/n of a cycle's step comes in by renewals: variance τᵢ/τ_max cycles⁻¹ each, over n shares.
    deviation = np.sqrt(np.sum(np.array(FIGURE_1) / 16) / cycles) / 10
    assert slope("rescaled", times, cycles, ARRIVALS_PER_CYCLE) == pytest.approx(1.0, abs=4 * deviation)
    gathering = theory.mean_gathering_time(FIGURE_1)
    # Some 480 gatherings, whose standard deviation is at most that of the sum of the two slowest, √2·16 s.
    relative = np.sqrt(2) * 16 / gathering / np.sqrt(cycles * 16 / gathering)
    assert slope("malenia", times, cycles, 1) == pytest.approx(16 / gathering, rel=4 * relative)
    assert slope("ringleader", times, cycles, 10, trigger="opens") == pytest.approx(16 / gathering, rel=4 * relative)
    published = slope("ringleader", times, cycles, 10)
    assert published == pytest.approx(0.386, rel=4 * relative) and published < 0.8 * 16 / gathering


def test_the_schedule_seed_chooses_the_durations():
    times = rasgd.ExponentialTimes([1.0, 2.0])
    one, again, other = (rasgd.cumulative_step("malenia", times, 40.0, schedule_seed=seed) for seed in (1, 1, 2))
    assert one.equals(again) and not one.equals(other)


def test_a_method_that_is_not_linear_has_no_total_step():
    class Normalised(rasgd.METHODS["asgd"]):
        linear = False

    with pytest.raises(ValueError, match="method must be linear in the gradients to have a total step, Vanilla ASGD"):
        rasgd.cumulative_step(Normalised, [1.0, 2.0], 10.0)
