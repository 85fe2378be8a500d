"""The scripts behind figures and tables, on the least data they may meet: two methods, one seed."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import PROBLEM, ROOT, SETTINGS, draw_all, grid_rows, script

import rasgd
from rasgd.experiments import build
from rasgd.experiments import settings as experiment
from rasgd.methods import METHODS


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    draw_all(folder, folder / "out")
    return folder / "out"


def test_everything_is_drawn_from_two_methods_and_one_seed(products):
    figures, tables = ("png", "pdf", "csv", "md"), ("md", "tex", "csv")
    wanted = {f"figure_{n}.{ending}" for n in (1, 3, 5, 6, 7, 8) for ending in figures}
    wanted |= {f"table_{n}.{ending}" for n in (1, 2, 5) for ending in tables}
    wanted |= {f"figure_{n}_by_seed.csv" for n in (3, 5, 6)}
    assert {path.name for path in products.iterdir()} == wanted


def test_csv_files_hold_nothing_but_plain_cells(products):
    texts = {"source", "method", "case", "panel", "experiment", "backend", "metric", "options"}
    for path in products.glob("*.csv"):
        table = pd.read_csv(path)
        assert len(table), path.name
        assert {name for name in table if table[name].dtype.kind not in "iuf"} <= texts, path.name


def test_a_target_out_of_reach_is_shown_as_beyond_the_horizon_and_not_dropped(products):
    text = (products / "table_2.md").read_text()
    numbers = pd.read_csv(products / "table_2.csv")
    slow = numbers[(numbers["method"] == "asgd") & (numbers["target"] == 0.1)].iloc[0]
    assert slow["time"] == np.inf and slow["horizon"] == 60
    assert "| > 60 |" in text
    assert len(numbers) == 4


def test_the_safe_horizon_is_two_and_a_half_times_the_reported_time(products):
    numbers = pd.read_csv(products / "table_2.csv")
    assert (numbers["horizon_is_safe"] == (numbers["time"] * 2.5 <= numbers["horizon"])).all()
    assert set(numbers["horizon_is_safe"]) == {0, 1}


def test_the_predicted_ratio_is_given_for_minibatch_where_noise_dominates():
    predicted = script("table_2_time_to_target")["predicted_ratio"]
    assert predicted(PROBLEM, [1, 2, 3]) == pytest.approx(1.5)
    assert np.isnan(predicted(PROBLEM | {"noise": 0.1}, [1, 2, 3]))


def test_the_number_of_cells_of_step_sizes_does_not_depend_on_what_was_tried():
    cells = script("figure_7_step_sizes")["cell_table"]
    grid = {"lowest_log2": -4, "steps_per_octave": 1, "count": 2, "max_extensions": 1}
    few, more = cells(grid_rows([3.0, 2.0]), grid), cells(grid_rows([3.0, 2.0, 1.0]), grid)
    assert len(few) == len(more) == 4
    assert few["score"].tolist()[1:3] == [3.0, 2.0] and np.isnan(few["score"].iloc[3])
    refined = cells(pd.concat([grid_rows([3.0, 2.0]), grid_rows([1.0], log2_beta=-3.75, chosen=False)]), grid)
    assert len(refined) == 4 and refined["ratio"].min() == 2.0  # the refined point sets the best score


def test_the_poster_is_met_within_three_hundredths(tmp_path):
    module = script("figure_1_toy")
    setting = SETTINGS["laptop"]["toy"]
    problem = build.build_problem(experiment.case_settings(setting, "poster"), 2)
    for method, points in module["POSTER"].items():
        step = setting["step_sizes"]["fixed"][method]
        run = rasgd.simulate(problem, method, [1, 2], step, until=300, eval_every=module["POSTER_SPACING"]).metrics
        np.testing.assert_allclose(run["point_0"][: len(points)], points, atol=0.03)


def test_the_timeline_has_one_row_per_expected_job_whatever_arrived(products):
    numbers = pd.read_csv(products / "figure_8.csv")
    jobs = numbers[numbers["panel"] == "jobs"]
    assert jobs.groupby("worker")["k"].apply(list).tolist() == [[0, 1, 2, 3, 4, 5], [0, 1, 2]]  # within 6 s
    assert jobs["end"].isna().sum() == 2
    arrived = jobs.dropna(subset="end")
    assert (arrived["end"] - arrived["start"]).tolist() == [1.0] * 5 + [2.0] * 2


def test_real_arrivals_are_compared_worker_by_worker(products):
    numbers = pd.read_csv(products / "table_5.csv")
    assert len(numbers) == 2
    assert set(numbers["smallest_ratio_of_arrivals"]) == {0.9} and set(numbers["largest_ratio_of_arrivals"]) == {1.0}
    assert numbers["arrivals_per_second_real"].to_numpy() == pytest.approx(78 / 60, rel=1e-5)  # six digits are written
    assert numbers["on_time"].to_numpy() == pytest.approx(1 - 4 / 78, rel=1e-5)
    assert set(numbers["weight_error_virtual"]) == {0.25} and numbers["weight_error_real"].isna().all()


def test_killed_workers_come_back_in_the_recorded_run(tmp_path):
    settings = experiment.read(ROOT / "config/experiments/real_processes.yaml", "smoke")
    settings["recorded"]["faults"]["until"] = 300  # leaves more than a second to come back, on a busy machine too
    names = ("timeline.parquet", "fault_trace.parquet", "fault_curves.parquet", "kills.parquet")
    script("recorded_runs")["record_runs"](settings, *(str(tmp_path / name) for name in names))
    kills = pd.read_parquet(tmp_path / "kills.parquet")
    assert kills[["worker", "killed"]].to_numpy().tolist() == settings["recorded"]["faults"]["kills"]
    assert (kills["killed"] < kills["noticed"]).all() and (kills["noticed"] < kills["next_arrival"]).all()
    trace = pd.read_parquet(tmp_path / "fault_trace.parquet")
    for worker in kills["worker"]:
        ks = trace.loc[trace["worker"] == worker, "k"].to_numpy()
        assert len(np.setdiff1d(np.arange(ks.max()), ks)) == 1  # the one it was at is lost
    assert pd.read_parquet(tmp_path / "fault_curves.parquet")["kills"].unique().tolist() == [0, 2]


def test_a_kill_of_a_worker_that_there_is_not_is_refused(tmp_path):
    settings = experiment.read(ROOT / "config/experiments/real_processes.yaml", "smoke")
    settings["recorded"]["faults"]["kills"] = [[8, 10.0]]
    with pytest.raises(ValueError, match=r"must name workers below 8 and seconds below 100, got \[8, 10\]"):
        script("recorded_runs")["record_runs"](settings, *(str(tmp_path / name) for name in "abcd"))


@pytest.mark.parametrize("method", METHODS)
def test_stated_memory_idleness_and_waste_are_what_a_run_measures(method):
    theory = script("table_1_methods")["THEORY"].get(method)
    if theory is None:
        pytest.skip("nothing is stated")
    problem = build.build_problem({"problem": PROBLEM}, 4)
    options = {"R": 2} if method == "ringmaster" else {}  # with R = n and these times no gradient is late enough
    run = rasgd.simulate(problem, method, [1, 1.5, 3.25, 7], 1e-3, until=200, **options)
    mean_of_table = method == "ia2sgd"  # kept beside its entries, to spare O(nd) additions per arrival
    assert theory.count(4, options) - 1 <= run.server_vectors <= theory.count(4, options) + mean_of_table
    assert theory.wasted == (run.wasted_gradients > 0)
    assert theory.idle == (run.idle_seconds.sum() > 0)
