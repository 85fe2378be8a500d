"""Training on a stub: which runs it asks for, what it chooses and what it reports."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from rasgd.compute_times import FixedTimes
from rasgd.experiments import training, tuning
from rasgd.experiments.progress import Progress
from rasgd.methods import METHODS
from rasgd.theory import step_parameters

UNTIL = 40.0
GRID = {"lowest_log2": -4, "steps_per_octave": 1, "count": 3, "max_extensions": 2, "refine": 0}
CASE = {
    "problem": {"kind": "random_quadratic", "dim": 2, "noise": 1.0, "heterogeneity": 1.0},
    "compute_times": [1, 2, 4],  # vanilla ASGD makes 1.75 updates per second
    "methods": {"asgd": {}},
    "until": UNTIL,
    "step_sizes": {"grid": GRID},
    "tuning": {"seeds": [1000, 1001], "schedule_seeds": [7, 8], "eval_every": 10},
    "reporting": {"seeds": [0, 1, 2], "schedule_seeds": [0, 1], "eval_every": 10},
    "backends": {"simulator": {}},
}
RATE = 1.75


class Stub:
    """Runs whose metric is the squared distance of log₂ β from the best one, and who asked for which."""

    def __init__(self, best: float, rate: float = RATE, diverges_from: float = math.inf):
        self.best, self.rate, self.diverges_from, self.asked = best, rate, diverges_from, []

    def __call__(self, role, backend, options, steps, schedule_seed, seeds, report):
        self.asked.append((role, backend, options, steps, schedule_seed, seeds))
        report(1.0)
        curves, replicas = [], []
        for step in steps:
            for seed in seeds:
                own = {"step_size": step, "seed": seed, "schedule_seed": schedule_seed}
                diverged = step >= self.diverges_from
                value = (math.log2(step * self.rate) - self.best) ** 2 + options.get("K", 0)
                times = np.arange(0.0, UNTIL / 2 if diverged else UNTIL + 1, 10.0)
                curves += [own | {"time": time, "loss": value, "grad_norm_sq": value} for time in times]
                replicas.append(own | {"diverged_at": 20.0 if diverged else math.nan, "collapsed": False})
        return training.Rows(pd.DataFrame(curves), pd.DataFrame(replicas))

    def exponents(self) -> list[float]:
        """log₂ β of all tuning runs, once each, in the order in which they were asked for."""
        steps = [step for role, _, _, steps, _, _ in self.asked if role == "tuning" for step in steps]
        return [round(math.log2(step * self.rate), 9) for step in dict.fromkeys(steps)]


def tuned(stub, case=CASE, method="asgd"):
    return training.tune(case, method, stub, Progress())


def test_the_grid_is_tried_and_its_best_point_chosen():
    stub = Stub(best=-3)
    grid, [choice] = tuned(stub)
    assert stub.exponents() == [-4, -3, -2] and choice.log2_beta == -3 and not choice.on_edge
    assert choice.step_size == 2.0**-3 / RATE and math.isnan(choice.target)
    assert grid["chosen"].tolist() == [False, True, False]
    assert grid["score"].tolist() == pytest.approx([1, 0, 1]) and grid["given_step_size"].isna().all()


def test_a_winner_on_the_edge_extends_the_grid_and_is_flagged_if_it_stays_there():
    inside, beyond = Stub(best=-1), Stub(best=5)
    _, [choice] = tuned(inside)
    assert inside.exponents() == [-4, -3, -2, -1, 0] and choice.log2_beta == -1 and not choice.on_edge
    _, [choice] = tuned(beyond)
    assert beyond.exponents() == [-4, -3, -2, -1, 0] and choice.log2_beta == 0 and choice.on_edge


def test_refinement_is_tried_around_the_winner():
    stub = Stub(best=-2.6)
    case = CASE | {"step_sizes": {"grid": GRID | {"refine": 2}}}
    _, [choice] = tuned(stub, case)
    assert stub.exponents() == [-4, -3, -2, -3.5, -2.5] and choice.log2_beta == -2.5


def test_own_parameters_are_tuned_and_reported_with_the_step():
    step_sizes = {"grid": GRID | {"max_extensions": 0}}
    case = CASE | {"methods": {"fedbuff": {"K": [1, 3]}}, "step_sizes": step_sizes}
    stub = Stub(best=-3)
    grid, [choice] = tuned(stub, case, "fedbuff")
    assert choice.options == {"K": 1}
    assert [json.loads(options)["K"] for options in grid["options"]] == [1, 1, 1, 3, 3, 3]
    # the same β is another step for K = 3, which makes a third of the updates: 13 of 40·1.75/3 fit into 40 s
    rates = [70 / 40, 23 / 40]
    assert grid["step_size"].tolist() == pytest.approx([2.0**e / rate for rate in rates for e in (-4, -3, -2)])


def test_a_diverged_run_is_counted_and_never_chosen():
    stub = Stub(best=-2, diverges_from=2.0**-2 / RATE)
    grid, [choice] = tuned(stub)
    assert choice.log2_beta == -3
    assert grid["diverged"].tolist() == [0, 0, 2] and math.isinf(grid["score"].iloc[-1])


def test_every_target_has_a_choice_of_its_own():
    stub = Stub(best=-3)
    grid, choices = tuned(stub, CASE | {"targets": [1.5, 0.5, 1e-9]})
    # from the first evaluation on: equal times, so the end decides; the last target is reached at the best step alone
    assert [choice.target for choice in choices] == [1.5, 0.5, 1e-9]
    assert [choice.log2_beta for choice in choices] == [-3, -3, -3]
    assert len(grid) == 9 and grid["chosen"].sum() == 3


def test_listed_values_are_tried_as_they_are_and_nothing_else():
    case = CASE | {"step_sizes": {"values": [1e-4, 1e-2, 1.0], "averaged_share": 0.1}}
    stub = Stub(best=5)
    grid, [choice] = tuned(stub, case)
    assert {step for *_, steps, _, _ in stub.asked for step in steps} == {1e-4, 1e-2, 1.0}
    assert choice.step_size == 1.0 and choice.on_edge
    assert grid["given_step_size"].tolist() == grid["step_size"].tolist() == [1e-4, 1e-2, 1.0]
    assert grid["log2_beta"].tolist() == pytest.approx(np.log2(np.array([1e-4, 1e-2, 1.0]) * RATE))


def test_values_in_the_paper_s_parameterisation_are_converted_where_steps_follow_the_times():
    step_sizes = {"values": [1e-2, 1e-1], "parameterisation": "paper"}
    case = CASE | {"step_sizes": step_sizes, "methods": {"rescaled": {}, "ringleader": {}}}
    grid, _ = tuned(Stub(best=0), case, "rescaled")
    harmonic = 3 / (1 + 1 / 2 + 1 / 4)
    assert grid["step_size"].tolist() == pytest.approx([1e-2 * harmonic**2 / 12, 1e-1 * harmonic**2 / 12], rel=1e-14)
    assert grid["given_step_size"].tolist() == [1e-2, 1e-1]
    grid, _ = tuned(Stub(best=0), case, "ringleader")
    assert grid["step_size"].tolist() == [1e-2, 1e-1]


@pytest.mark.parametrize("method", METHODS)
def test_the_paper_s_step_is_that_of_eq_2_or_that_of_an_update(method):
    times = FixedTimes([1, 2, 4])
    assert tuning.step_size_of(0.3, "step_size", method, times) == 0.3
    expected = step_parameters(times.mean, paper_step_size=0.3).step_size if method == "rescaled" else 0.3
    assert tuning.step_size_of(0.3, "paper", method, times) == expected


def test_losses_are_averaged_over_the_share_that_settings_name():
    table = pd.DataFrame({"step_size": 0.1, "schedule_seed": 0, "seed": 0, "time": np.arange(0.0, 101.0, 10)})
    table["loss"] = np.arange(11.0)  # times 0 … 100
    assert tuning.score_losses(table, 100.0, 100.0, 0.1) == {0.1: ((9.5, 0.0),)}
    assert tuning.score_losses(table, 100.0, 100.0, 0.3) == {0.1: ((8.5, 0.0),)}


def test_nothing_is_tuned_where_steps_are_given():
    fixed = CASE | {"step_sizes": {"fixed": {"asgd": 0.25}}}
    grid, [choice] = tuned(None, fixed)
    assert grid.empty and choice == (pytest.approx(math.nan, nan_ok=True), {}, 0.25, math.log2(0.25 * RATE), False)
    _, [choice] = tuned(None, CASE | {"step_sizes": {"log2_beta": -2}})
    assert choice.step_size == 0.25 / RATE and choice.log2_beta == pytest.approx(-2)
    converted = CASE | {
        "step_sizes": {"fixed": {"rescaled": 0.1}, "parameterisation": "paper"}, "methods": {"rescaled": {}}
    }  # fmt: skip
    _, [choice] = tuned(None, converted, "rescaled")
    assert choice.step_size == step_parameters([1, 2, 4], paper_step_size=0.1).step_size


def test_schedules_without_chance_are_run_once_with_all_seeds_and_random_ones_share_them_out():
    stub = Stub(best=-3)
    _, choices = tuned(stub)
    assert {(schedule, tuple(seeds)) for *_, schedule, seeds in stub.asked} == {(7, (1000, 1001))}
    noisy = CASE | {"compute_times": {"kind": "noisy", "seconds": [1, 2, 4]}}
    for case, method in ((noisy, "asgd"), (CASE | {"methods": {"shuffled": {}}}, "shuffled")):
        stub = Stub(best=-3)
        training.report(case, method, choices, stub, Progress())
        dealt = [(role, schedule, seeds) for role, _, _, _, schedule, seeds in stub.asked]
        assert dealt == [("reporting", 0, [0, 1]), ("reporting", 1, [2])]


def test_reported_rows_carry_their_choice_and_every_backend_is_run():
    choices = [
        training.Choice(0.1, {"K": 1}, 0.5, -1.0, False),
        training.Choice(0.01, {"K": 1}, 0.5, -1.0, True),
        training.Choice(0.001, {"K": 3}, 0.25, -2.0, False),
    ]
    stub = Stub(best=0)
    case = CASE | {"backends": {"simulator": {}, "processes": {}}}
    curves, replicas = training.report(case, "asgd", choices, stub, Progress())
    asked = [(backend, options, steps) for _, backend, options, steps, _, _ in stub.asked]
    assert asked == [
        ("simulator", {"K": 1}, [0.5]), ("processes", {"K": 1}, [0.5]),
        ("simulator", {"K": 3}, [0.25]), ("processes", {"K": 3}, [0.25]),
    ]  # fmt: skip
    assert len(replicas) == 2 * 3 * 3 and len(curves) == 5 * len(replicas)  # backends × choices × seeds
    chosen = replicas.groupby("target")[["options", "step_size", "log2_beta", "on_edge"]].first()
    assert chosen.loc[0.01].tolist() == ['{"K": 1}', 0.5, -1.0, True]
    assert chosen.loc[0.001].tolist() == ['{"K": 3}', 0.25, -2.0, False]


def test_tables_of_all_cases_stand_below_each_other_and_progress_ends_at_one():
    told = []
    settings = {key: value for key, value in CASE.items() if key != "compute_times"}
    settings["cases"] = {"one": {"compute_times": [1, 2, 4]}, "two": {"compute_times": [1, 2, 4], "until": UNTIL}}
    tables = training.train(settings, "asgd", lambda case: Stub(best=-3), Progress(told.append))
    for table in tables.values():
        assert table["case"].drop_duplicates().tolist() == ["one", "two"] and set(table["method"]) == {"asgd"}
    # 3 of 4 expected candidates are tried, 70 % of a case is tuning; then one report
    assert told == pytest.approx([0.5 * 0.7 * 0.75, 0.5, 0.5 + 0.5 * 0.7 * 0.75, 1.0])


def test_parts_of_parts_are_told_as_parts_of_the_whole():
    told = []
    progress = Progress(told.append)
    with progress.part(0.5, 1.0):
        for _ in progress.over("ab"):
            progress(0.5)
    progress(1.0)
    assert told == [0.625, 0.875, 1.0]
