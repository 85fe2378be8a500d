"""What exact theory says of a trained experiment's runs at the steps that were chosen."""

import numpy as np
import pytest
from figure_tables import PROBLEM, curves

import rasgd
from rasgd.experiments import build
from rasgd.experiments.exact import chosen_steps

SETTING = {"compute_times": [1.0, 2.0, 4.0], "cases": {"one": {"problem": PROBLEM | {"noise": 0.0}}}}


class Read:
    def __init__(self, settings, **tables):
        self.settings, self.tables = settings, tables


def computed(setting: dict, table) -> dict:
    return chosen_steps.compute({}, lambda fraction: None, {"trained": Read(setting, curves=table)})


def test_exact_curves_and_times_agree_with_a_run_without_noise():
    problem = build.build_problem({"problem": PROBLEM | {"noise": 0.0}}, 3)
    run = rasgd.simulate(problem, "rescaled", [1, 2, 4], 0.05, until=60, eval_every=0.25).metrics
    target = float(run["grad_norm_sq"].iloc[0] / 10)
    table = run.assign(case="one", method="rescaled", target=target, options="{}", step_size=0.05)
    made = computed(SETTING, table)
    # The same sums in another order: relative rounding errors of 1e-16 grow by the number of updates, below 1e4.
    np.testing.assert_allclose(made["curves"]["grad_norm_sq"], run["grad_norm_sq"], rtol=1e-9)
    from rasgd.summaries import time_to_target

    simulated = time_to_target(run["time"].to_numpy(), run["grad_norm_sq"].to_numpy(), target)
    # The run is looked at every 0.25 s, and its mean over the last tenth holds one value more or less.
    assert made["times"]["seconds"].item() == pytest.approx(simulated, abs=0.5)


def test_all_linear_methods_that_do_not_draw_their_jobs_have_rows():
    table = curves(["rescaled", "ringleader", "shuffled"], targets=(0.5, np.nan))
    made = computed(SETTING, table)
    assert set(made["curves"]["method"]) == set(made["times"]["method"]) == {"rescaled", "ringleader"}
    assert set(made["times"]["target"]) == {0.5}
    random = SETTING | {"compute_times": {"kind": "noisy", "seconds": [1.0, 2.0, 4.0]}}
    assert all(not len(rows) for rows in computed(random, table).values())
    assert list(computed(random, table)["times"]) == ["case", "method", "target", "options", "step_size", "seconds"]


def test_options_reach_the_method():
    table = curves(["fedbuff"], targets=(0.5,))
    few, many = (computed(SETTING, table.assign(options=f'{{"K": {K}}}'))["curves"]["grad_norm_sq"] for K in (2, 4))
    assert not np.allclose(few, many)
