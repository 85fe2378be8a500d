"""What the paper's figures show, from tables small enough to follow by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from figure_tables import SETTINGS, tables_of

from rasgd.experiments import settings as experiments
from rasgd.figures import figure_1_mnist, figure_s1_trial, table_1_methods, variants

TIMES = [1, 1, 2, 2, 4, 4, 8, 8, 16, 16]


def rows(losses, times=(0.0, 50.0, 100.0), seed=0, **columns) -> pd.DataFrame:
    given = {"case": "fixed", "method": "rescaled", "options": "{}", "seed": seed, "schedule_seed": seed} | columns
    return pd.DataFrame({"time": times[: len(losses)], "loss": losses, **given})


def test_the_papers_step_size_is_that_of_its_eq_2_for_rescaled_and_of_an_update_for_others():
    # Eq. (2): γᵢ = γτᵢτ_H/(nτ_max); ours γᵢ = γ'τᵢ/τ_H. So γ = γ'·nτ_max/τ_H².
    harmonic = 10 / sum(1 / t for t in TIMES)
    assert figure_1_mnist.paper_step_size("rescaled", 0.3, TIMES) == pytest.approx(0.3 * 160 / harmonic**2, rel=1e-12)
    assert figure_1_mnist.paper_step_size("malenia", 0.3, TIMES) == 0.3


def test_curves_are_interpolated_linearly_and_their_range_is_that_of_the_drawn_seeds():
    curves = pd.concat([rows([2.0, 1.0, 1.0]), rows([4.0, 3.0, 0.5], seed=1), rows([9.0, 9.0, 9.0], seed=2)])
    drawn = figure_1_mnist.bands(curves, [0, 1], 100.0)
    assert len(drawn) == figure_1_mnist.NUM_POINTS
    first = drawn.set_index("time")
    quarter = first.index[np.argmin(np.abs(first.index - 25.0))]
    assert first.loc[quarter, "lowest"] == pytest.approx(2 - quarter / 50)
    assert first.loc[quarter, "highest"] == pytest.approx(4 - quarter / 50)
    assert first.loc[quarter, "median"] == pytest.approx(3 - quarter / 50)
    assert first.loc[100.0, ["lowest", "median", "highest"]].tolist() == [0.5, 0.75, 1.0]


def test_a_seed_that_diverged_is_worst_from_then_on():
    curves = pd.concat([rows([2.0, 1.0, 1.0]), rows([2.0], seed=1)])
    last = figure_1_mnist.bands(curves, [0, 1], 100.0).iloc[-1]
    assert last["lowest"] == 1.0 and last["highest"] == np.inf


def test_every_line_of_a_method_in_the_settings_has_a_label_and_a_look_of_its_own():
    for experiment in ("mnist", "mnist_fine", "mnist_others"):
        settings = SETTINGS["laptop"][experiment]
        lines = [
            variants.Variant(method, json.dumps(options))
            for method in settings["methods"]
            for line in experiments.method_lines(settings, method)
            for options in experiments.method_options(line, len(TIMES))
        ]
        assert len({line.label for line in lines}) == len(lines)
        looks = {(line.method, str(line.line()["linestyle"]), line.line()["markerfacecolor"]) for line in lines}
        assert len(looks) == len(lines)


def test_the_trial_lists_every_seed_at_the_step_of_either_axis():
    tables = {name: tables_of(name) for name in ("mnist", "mnist_fine")}
    settings = {name: SETTINGS["smoke"][name] for name in tables}
    table = figure_s1_trial.by_seed(tables, settings)
    assert table["step_sizes"].unique().tolist() == ["published", "fine"]
    assert not table.duplicated(["step_sizes", "case", "method", "options", "schedule_seed", "seed"]).any()
    others = table[table["method"] != "rescaled"]
    assert (others["paper_step_size"] == others["step_size"]).all()


def test_table_1_has_the_papers_rows_first_and_only_times_of_methods_that_minimise_f():
    assert table_1_methods.ordered(["asgd", "rescaled", "minibatch", "ia2sgd"]) == [
        "minibatch", "rescaled", "ia2sgd", "asgd",
    ]  # fmt: skip
    times = pd.DataFrame(
        [
            {"epsilon": eps, "profile": profile, "method": method, "steps": steps, "scaled": scaled}
            for eps, profile, method, steps, scaled in [
                (0.1, "equal", "rescaled", "tuned", 9.0),
                (0.01, "equal", "rescaled", "tuned", 1.0),
                (0.01, "equal", "rescaled", "theory", 0.1),
                (0.01, "spread", "rescaled", "tuned", 2.0),
                (0.01, "equal", "malenia", "tuned", 3.0),
                (0.01, "equal", "malenia", "tuned", 2.5),
                (0.01, "spread", "malenia", "tuned", 4.0),
                (0.01, "equal", "asgd", "tuned", 5.0),
            ]
        ]
    )
    found = table_1_methods.times_over_mean(times)
    assert found.loc["rescaled"].tolist() == [1.0, 2.0] and found.loc["malenia"].tolist() == [2.5, 4.0]
    assert list(found.columns) == ["equal", "spread"] and "asgd" not in found.index
