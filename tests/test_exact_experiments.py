"""What the exact experiments rest on: Malenia rounds, best steps, instances, the chain as a problem."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rasgd import declared, exact, theory
from rasgd.compute_times import FixedTimes
from rasgd.exact.synchronous import malenia_round
from rasgd.experiments import exact as computations
from rasgd.experiments import settings as experiment
from rasgd.experiments.exact import EXACT, floors, ratios, times
from rasgd.experiments.tuned_time import crossings, tuned_time
from rasgd.problems import chain as chains
from rasgd.simulation.simulate import simulate
from rasgd.theory import worst_case

ROOT = Path(__file__).parents[1]
SMOKE = experiment.read_all(ROOT / "config/experiments", ROOT / "workflow/schemas/experiment.schema.yaml", "smoke")


def ignored(fraction):
    """Take the progress of a computation."""


def test_every_computation_declares_its_tables_and_has_an_experiment():
    for computation, module in EXACT.items():
        assert (
            computations.table_names(computation)
            and declared.PACKAGE.joinpath(*module.split(".")).with_suffix(".py").exists()
        )
    assert {own["exact"] for own in SMOKE.values() if experiment.is_exact(own)} == set(EXACT)


def test_a_misspelt_key_of_an_exact_experiment_is_named():
    schema = experiment.read_yaml(ROOT / "workflow/schemas/experiment.schema.yaml")
    settings = SMOKE["time_to_target"] | {"epsilon": [0.1]}
    with pytest.raises(ValueError, match="unknown key epsilon"):
        experiment.check_schema(
            settings, experiment.experiment_schema(experiment.filled(schema), settings), "file.yaml"
        )
    settings = SMOKE["time_to_target"] | {"exact": "timess"}
    with pytest.raises(ValueError, match=r"exact: 'timess' is not one of \['floors', 'ratios'"):
        experiment.check_schema(
            settings, experiment.experiment_schema(experiment.filled(schema), settings), "file.yaml"
        )


def test_a_computation_is_given_what_its_settings_read(monkeypatch):
    given = {}

    class Module:
        TABLES = ("seen",)

        @staticmethod
        def compute(settings, report, read):
            given.update(read)
            return {"seen": pd.DataFrame(read["toy"].tables["runs"])}

    monkeypatch.setattr(computations.importlib, "import_module", lambda name: Module)
    read = {"toy": computations.Read({"until": 3}, {"runs": pd.DataFrame({"seed": [1]})})}
    made = computations.compute({"exact": "times", "reads": {"toy": ["runs"]}}, ignored, read)
    assert list(made) == ["seen"] and given["toy"].settings == {"until": 3}
    Module.TABLES = ("another",)
    with pytest.raises(ValueError, match="times must make the tables another, got seen"):
        computations.compute({"exact": "times", "reads": {"toy": ["runs"]}}, ignored, read)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ({"toy": ["iterates"]}, "reads must name trained experiments .*quadratic.*, got 'toy'"),
        ({"quadratic": ["run"]}, "reads.quadratic must name tables curves, runs, grid, got 'run'"),
    ],
)
def test_what_is_read_and_not_there_is_refused(reads, message):
    with pytest.raises(ValueError, match=message):
        experiment.check_reads({"exact": "times", "reads": reads}, SMOKE, "file.yaml")


@pytest.mark.parametrize("times", [[1, 1, 2, 4], [1, 2, 3, 6], [2, 2, 2, 2], [1, 1, 1, 16]])
@pytest.mark.parametrize("batch", [1, 4, 9, 40])
def test_malenia_round_is_what_the_simulator_does(times, batch):
    seconds, counts = malenia_round(times, batch)
    problem = theory.spectrum_quadratic([1.0], 4, 1.0, 1.0, 1.0).problem()
    run = simulate(problem, "malenia", times, 0.1, until=5 * seconds, eval_every=seconds, S=batch)
    assert run.metrics["updates"].tolist() == [0, 1, 2, 3, 4, 5]
    # Every round computes its Bᵢ gradients and drops what is under way.
    assert run.statistics["applied_gradients"] == 5 * counts.sum()


def test_malenia_rounds_in_closed_form_are_malenia_gradient_by_gradient():
    times, problem = [1, 1, 2, 4], theory.spectrum_quadratic([0.3, 1.0], 4, 1.0, 2.0, 1.0).problem()
    followed, rounds = exact.dynamics(problem, "malenia", times, S=9), exact.malenia_rounds(problem, times, 9)
    assert rounds.period == followed.period
    at, steps = rounds.period * np.arange(6), [0.1, 0.4]
    ours, theirs = (exact.moment_trajectory(dynamics, steps, at) for dynamics in (followed, rounds))
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours.expected_grad_norm_sq, theirs.expected_grad_norm_sq, rtol=1e-12)
    ours, theirs = (exact.stationary_error(dynamics, steps) for dynamics in (followed, rounds))
    np.testing.assert_allclose(ours.total, theirs.total, rtol=1e-12)
    ours, theirs = (exact.time_to_target(dynamics, steps, [0.5, 0.2]) for dynamics in (followed, rounds))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_small_step_floor_is_the_limit_of_the_exact_floor():
    rng = np.random.default_rng(0)
    instance = exact.diagonal_instance(rng.uniform(0.5, 1.5, (3, 2)), np.zeros((3, 2)), 0.7)
    for method in ("asgd", "rescaled", "minibatch"):
        dynamics = exact.dynamics(instance, method, [1, 2, 4])
        law = exact.small_step(dynamics).slope * np.array([1e-4, 2e-4])
        # the next term is relatively of order γ·curvature·arrivals per cycle, 1e-3
        np.testing.assert_allclose(law, exact.stationary_error(dynamics, [1e-4, 2e-4]).noise, rtol=3e-3)


@pytest.mark.parametrize("method", ["rescaled", "minibatch"])
def test_best_time_is_not_beaten_by_a_fine_grid(method):
    instance, times = theory.adapted_quadratic(0.01, 4, heterogeneity=1.0).problem(), [1, 2, 4, 4]
    best = exact.best_time(exact.dynamics(instance, method, times), 0.01)
    steps = best.step_size * np.geomspace(0.2, 3, 200)
    times_there = exact.time_to_target(exact.dynamics(instance, method, times), steps, 0.01)
    # .2 %: the refined grid has a ratio of 2^(1/16), and times bend at arrivals
    assert best.seconds <= times_there.min() * 1.002
    assert exact.time_to_target(exact.dynamics(instance, method, times), best.step_size, 0.01) == pytest.approx(
        best.seconds, rel=1e-3
    )


def test_best_time_needs_noise():
    quiet = theory.spectrum_quadratic([1.0], 2, 1.0, 0.0, 1.0).problem()
    with pytest.raises(ValueError, match="noise_std"):
        exact.best_time(exact.dynamics(quiet, "rescaled", [1, 2]), 0.1)


def test_instances_have_the_constants_they_promise():
    adapted = theory.adapted_quadratic(0.01, 6, heterogeneity=2.0, noise=3.0, gap=5.0).constants()
    assert (adapted.smoothness, adapted.initial_gap) == (1.0, pytest.approx(5.0))
    assert adapted.noise_variance == pytest.approx(9.0)
    spectrum = theory.spectrum_quadratic([0.1, 1.0], 6, 2.0, 3.0, 5.0)
    np.testing.assert_allclose((spectrum.b**2).mean(axis=0), 2.0)  # ζ²/d in every coordinate
    np.testing.assert_allclose(spectrum.b.sum(axis=0), 0.0, atol=1e-12)
    assert spectrum.constants().initial_gap == pytest.approx(5.0)
    cancelling = theory.cancelling_quadratic(0.01, 6, 8.0)
    assert cancelling.constants().smoothness == pytest.approx(1.0)
    assert cancelling.constants().max_smoothness == pytest.approx(8.0)
    with pytest.raises(ValueError, match="num_workers must be even"):
        theory.cancelling_quadratic(0.01, 5, 8.0)


def test_chain_problem_is_the_theory_s_chain():
    chain = worst_case.block_zero_chain([1, 3], 0.05, 30.0, 3)
    problem = chains.ZeroChain(chain)
    rng = np.random.default_rng(0)
    x = rng.choice([-1.2, -0.7, -0.505, 0.0, 0.1, 0.5005, 0.6, 0.9, 1.5], (400, 2, 3)) * chain.scales[:, None]
    x = x.reshape(400, 6)
    points = torch.from_numpy(x)
    metrics = problem.evaluate(points)
    np.testing.assert_allclose(metrics["loss"], chain.value(x), atol=1e-12)
    np.testing.assert_allclose(metrics["grad_norm_sq"], (chain.gradient(x) ** 2).sum(axis=1), rtol=1e-10)
    for worker in range(2):
        for coin in (0.0, 1.0):
            sample = torch.full((1, 1), coin / chain.probabilities[worker], dtype=torch.float64)
            expected = chain.stochastic_gradient(worker, x, coin)
            np.testing.assert_allclose(problem.gradient(worker, points, sample), expected, rtol=1e-10, atol=1e-12)


def test_chain_cannot_be_finished_before_the_oracle_has_shown_it():
    chain, times = worst_case.block_zero_chain([1, 2], 0.01, 3.0, 4), [1, 2]
    run = simulate(chains.ZeroChain(chain), "rescaled", times, 20.0, seed=range(50), until=400, eval_every=1.0)
    reached = run.metrics[run.metrics["grad_norm_sq"] <= 0.01].groupby("seed")["time"].min()
    # Four coins must fall right in some block; on average that takes 4τ/p seconds, and no run gets by with 4 gradients
    assert reached.min() >= 4 and reached.mean() > 0.5 * chain.block_seconds(times).min()


def test_crossings_bracket_the_time_of_the_mean():
    at = np.arange(1.0, 101.0)
    noise = np.random.default_rng(0).normal(size=(100, 40))
    seconds, low, high = crossings(at, (100 / at)[:, None] + 0.3 * noise, 2.0)
    # the mean over [.9t, t] of 100/t is 2 at t = 50·ln(1/.9)/.1 = 52.7
    assert low <= seconds <= high and abs(seconds - 52.7) < 2
    assert crossings(at, np.full((100, 2), 3.0), 2.0) == (np.inf, np.inf, np.inf)


def test_tuned_time_finds_the_exact_best_time():
    quadratic, times = theory.adapted_quadratic(0.1, 4, noise=1.0), FixedTimes([1, 2, 4, 4])
    best = exact.best_time(exact.dynamics(quadratic.problem(), "rescaled", times.mean), 0.1)
    grid = {"lowest_log2": -6, "steps_per_octave": 2, "count": 8, "max_extensions": 2, "refine": 0}
    found = tuned_time(
        quadratic.problem(), "rescaled", times, 0.1, best.seconds, grid, range(1000, 1100), range(200), 2
    )
    assert found.until == 4 * best.seconds  # doubled until it is 2.5 times the time
    # The grid's step is within √2 of the best, where the time is up to a tenth longer.
    assert 0.9 * best.seconds < found.seconds < 1.2 * best.seconds
    assert found.low <= found.seconds <= found.high and not found.on_edge


def test_exact_experiments_agree_with_their_runs_at_smoke_scale():
    settings = copy.deepcopy(SMOKE["stationary_error"])
    settings["simulated"] |= {"seeds": list(range(8)), "until": 600}
    found = floors.compute(settings, ignored)
    some, stability = found["floors"], found["stability"]
    some = some.dropna(subset="measured")
    assert set(some["method"]) == {"rescaled", "asgd", "minibatch"}
    # 8 seeds: 2.5 half-widths of a 95 % interval are five to six standard errors
    width = (some["high"] - some["low"]) / 2
    assert ((some["measured"] - some["predicted"]).abs() < 2.5 * width).all()
    assert (stability["predicted_stable"] == stability["measured_stable"]).all() and stability["measured_stable"].any()


def test_a_method_is_simulated_at_its_theory_step_beside_the_exact_time():
    settings = copy.deepcopy(SMOKE["time_to_target"]) | {"epsilons": [0.1]}
    settings["profiles"] = {"equal": settings["profiles"]["equal"], "spread": settings["profiles"]["spread"]}
    settings["simulated"] |= {"epsilons": [], "evaluations": 400}
    settings["theory_steps"]["seeds"] = list(range(24))
    found = times.compute(settings, ignored)["times"].set_index(["steps", "method", "profile"])
    row = found.loc["theory", "ringleader", "equal"]
    # With equal times τ = 4 s a round is two arrivals of every worker, and n updates shrink the soft mode 3ε, which
    # starts at ‖∇F‖² = 6ε: 2τ·ln √6/(3εγn) seconds, to which noise and the last tenth's average add up to a tenth.
    alone = 8 * np.log(6) / 2 / (0.3 * row["step_size"] * 16)
    assert row["step_size"] == 1 / (8 * 16) and 0.97 * alone < row["seconds"] < 1.1 * alone
    # 24 seeds, and a four-hundredth of twice the time between evaluations
    width = (row["high"] - row["low"]) + row["seconds"] / 100
    assert row["replicas"] == 24 and abs(row["measured"] - row["seconds"]) < width < 0.2 * row["seconds"]
    assert np.isfinite(found.loc["theory", "ringleader", "spread"]["seconds"])


def test_methods_with_another_objective_are_compared_without_heterogeneity():
    settings = copy.deepcopy(SMOKE["time_to_target"]) | {"epsilons": [0.1], "homogeneous_methods": ["asgd", "fedbuff"]}
    settings |= {"methods": ["rescaled", "ia2sgd"], "profiles": {"short": {"compute_times": [1, 2, 4, 4]}}}
    settings["simulated"] = settings["simulated"] | {"epsilons": [], "profile": "short"}
    settings["theory_steps"]["epsilons"] = []
    found = times.compute(settings, ignored)["times"].set_index(["method", "steps"])
    for method in ("asgd", "fedbuff"):
        row = found.loc[method, "tuned"]
        assert row["heterogeneity"] == 0 and np.isnan(row["bound"])
        assert row["predicted_ratio"] == pytest.approx((4 / 2) / (11 / 4))  # τ_H/τ_A
        assert row["floor"] <= 0.1 and row["step_size"] < row["largest_stable_step"]
    assert found.loc["ia2sgd", "tuned"]["heterogeneity"] == 1
    assert found.loc["rescaled", "tuned"]["over_rescaled"] == 1


def test_simulated_targets_that_are_no_targets_are_refused():
    settings = copy.deepcopy(SMOKE["time_to_target"])
    settings["theory_steps"]["epsilons"] = [0.5]
    with pytest.raises(ValueError, match=r"theory_steps\.epsilons must be among epsilons, got \[0\.5\]"):
        times.compute(settings, ignored)


def test_exact_times_collapse_at_the_smallest_target():
    settings = copy.deepcopy(SMOKE["time_to_target"]) | {"epsilons": [1e-4]}
    settings["simulated"]["epsilons"] = settings["theory_steps"]["epsilons"] = []
    found = times.compute(settings, ignored)["times"]
    tuned = found[(found["steps"] == "tuned") & (found["batch_choice"] != "theory")]
    # lower-order terms are of relative order √ε
    np.testing.assert_allclose(tuned["over_rescaled"], tuned["predicted_ratio"], rtol=0.02)
    assert tuned.loc[tuned["method"] == "rescaled", "scaled"].pipe(np.ptp) < 0.01


def test_ratios_are_extrapolated_along_a_line_replica_by_replica():
    steps = np.array([0.04, 0.02, 0.01])
    weights = ratios.extrapolation(steps)
    np.testing.assert_allclose(weights @ (1 + 3 * steps), [1.0])
    assert ratios.extrapolation(steps[:1]).shape == (0, 1)
    # What schedules have in common at both steps cancels in the ratio's error where it moves both alike.
    common = np.exp(0.1 * np.random.default_rng(0).normal(size=12))
    above, below = (1 + 3 * steps)[:, None] * common, np.ones((3, 12)) * common
    values, widths = ratios.ratio_of_means(above, below, weights)
    np.testing.assert_allclose(values, [*(1 + 3 * steps), 1.0])
    np.testing.assert_allclose(widths, 0, atol=1e-12)
    values, widths = ratios.ratio_of_means(above[:, :1], below[:, :1], weights)
    assert values[-1] == pytest.approx(1.0) and not widths.any()
