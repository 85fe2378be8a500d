import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rasgd
from rasgd import experiment, partition
from rasgd.figures import captions, saving, style, summaries
from rasgd.figures.exact import exact_case
from rasgd.methods import METHODS
from rasgd.trace import write_trace
from rasgd.tuning import time_to_target

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow/scripts"
CONFIGS = sorted((ROOT / "config").glob("*/*.yaml"))
SETTINGS = {scale: {path.stem: experiment.read(path, scale) for path in CONFIGS} for scale in experiment.SCALES}
PROBLEM = {"kind": "random_quadratic", "dim": 4, "noise": 1.0, "heterogeneity": 0.3, "seed": 0}
TIMES = np.arange(0.0, 61.0, 5.0)


def script(name: str) -> dict:
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))


def curves(methods=("rescaled", "asgd"), cases=("one",), targets=(np.nan,), seeds=(0,), until=60.0) -> pd.DataFrame:
    """Metric rows that shrink exponentially, faster for the first method, with all columns figures may ask for."""
    rows = [
        {
            "case": case, "method": method, "backend": "simulator", "target": target, "options": "{}",
            "log2_beta": -4.0, "on_edge": False, "time": time, "updates": 0, "loss": value, "grad_norm_sq": value,
            "accuracy": 1 - value / 4, "accuracy_fast": 1 - value / 4, "accuracy_class_7": 0.0, "point_0": value,
            "step_size": 0.1, "seed": seed, "schedule_seed": 0,
        }
        for case in cases
        for position, method in enumerate(methods)
        for target in targets
        for seed in seeds
        for time in TIMES
        if time <= until
        for value in [2 * (1 + 0.1 * seed) * np.exp(-time / (10 * (1 + position)))]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write(table: pd.DataFrame, folder: Path, name: str = "curves") -> list[str]:
    """One file per method, as training writes them."""
    paths = []
    for method, rows in table.groupby("method", sort=False):
        paths.append(str(folder / f"{method}_{name}.parquet"))
        rows.to_parquet(paths[-1])
    return paths


def grid_rows(scores: list[float], chosen: int = 0, **columns) -> pd.DataFrame:
    rows = [
        {
            "case": "one", "method": "rescaled", "target": 0.1, "options": "{}", "log2_beta": -4.0 + index,
            "step_size": 0.1, "score": score, "final": 1.0, "diverged": 0, "collapsed": 0, "chosen": index == chosen,
        }
        | columns
        for index, score in enumerate(scores)
    ]  # fmt: skip
    return pd.DataFrame(rows)


# Style


def test_every_method_has_a_colour_and_a_marker_of_its_own():
    styles = [style.style(method) for method in METHODS]
    assert len({s.colour for s in styles}) == len({s.marker for s in styles}) == len(METHODS)


def test_a_method_without_a_style_gets_one_that_no_other_has(monkeypatch):
    monkeypatch.setitem(METHODS, "added", METHODS["asgd"])
    assert style.style("added") not in [style.style(method) for method in METHODS if method != "added"]


@pytest.mark.parametrize("method", METHODS)
def test_methods_with_another_objective_are_dashed_and_daggered(method):
    assert (style.line_style(method) == "-") == METHODS[method].right_objective
    assert style.legend_label(method).endswith(style.OTHER_OBJECTIVE) != METHODS[method].right_objective


def test_methods_are_ordered_right_objective_first_whatever_order_they_come_in():
    ordered = style.in_order(reversed(METHODS))
    assert ordered == style.in_order([*METHODS, *METHODS])
    objectives = [METHODS[method].right_objective for method in ordered]
    assert objectives == sorted(objectives, reverse=True) and len(ordered) == len(METHODS)


# Files


def one_figure(stem: Path) -> None:
    with style.settings():
        figure = style.new_figure(1.5)
        axes = figure.add_subplot()
        style.draw_band(axes, "rescaled", [1, 2, 3], [1, 2, np.inf], [2, 3, 4], [3, 4, np.inf])
        style.log_axes(axes)
        axes.set_title("τᵢ ‖∇F‖²")
        saving.save_figure(figure, stem, pd.DataFrame({"x": [1.0]}), "Figure: what.")


def test_the_same_figure_gives_the_same_bytes_without_dates_and_with_embedded_fonts(tmp_path):
    for name in ("first", "second"):
        one_figure(tmp_path / name)
    for ending in ("png", "pdf", "csv", "md"):
        assert (tmp_path / f"first.{ending}").read_bytes() == (tmp_path / f"second.{ending}").read_bytes()
    pdf = (tmp_path / "first.pdf").read_bytes()
    assert b"CreationDate" not in pdf and b"/Type3" not in pdf and b"/FontFile2" in pdf
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf).group(1))
    assert width == pytest.approx(72 * style.TEXT_WIDTH_INCHES)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_readers_own_settings_do_not_change_a_figure(tmp_path):
    from matplotlib import rc_context

    one_figure(tmp_path / "plain")
    with rc_context({"font.size": 20, "axes.facecolor": "yellow"}):
        one_figure(tmp_path / "odd")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "odd.png").read_bytes()


def test_numbers_that_differ_in_their_last_bits_are_written_alike(tmp_path):
    table = pd.DataFrame({"name": ["a", "b", "c"], "value": [0.1 + 0.2, -0.0, np.nan], "flag": [True, False, True]})
    saving.save_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "name,value,flag\na,0.3,1\nb,0,0\nc,nan,1\n"


def test_tables_have_as_many_cells_in_every_row_as_in_the_header():
    rows = [["|N(0, τ)|", ("½", r"$\frac12$"), "50 %"]]
    text = saving.markdown(["a", "b", "c"], [saving.Group("group", rows), saving.Group("", rows)])
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()] == [4] * 5
    tex = saving.latex(["a", "b", "c"], [saving.Group("group", rows)], "caption with 50 % & τ_A")
    assert tex.isascii() and r"\toprule" in tex and r"50 \% \& $\tau_{\mathrm{A}}$" in tex
    assert [line.count(" & ") for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line] == [
        2,
        2,
    ]


def test_a_character_without_a_latex_form_is_refused_by_name():
    with pytest.raises(ValueError, match="no LaTeX form is known of ж"):
        saving.text_latex("жx")


# Captions


@pytest.mark.parametrize("scale", experiment.SCALES)
@pytest.mark.parametrize("product", captions.CAPTIONS)
def test_every_caption_names_its_item_and_scale_and_has_a_latex_form(product, scale):
    text = captions.caption(product, SETTINGS[scale], scale)
    kind, number, _ = product.split("_", 2)
    assert text.startswith(f"{kind.capitalize()} {number}: ") and text.endswith(f"Scale: {scale}.")
    assert saving.text_latex(text).isascii()


@pytest.mark.parametrize("method", METHODS)
def test_every_label_has_a_latex_form(method):
    assert saving.text_latex(style.legend_label(method)).isascii()


# Numbers


def test_a_diverged_replica_counts_as_the_worst_from_then_on():
    rows = curves(["rescaled"], seeds=(0, 1, 2))
    rows = rows[(rows["seed"] == 0) | (rows["time"] < 20)]
    times, values = summaries.by_replica(rows, "loss")
    assert values.shape == (len(TIMES), 3)
    assert np.isfinite(values[times < 20]).all()
    assert np.isinf(values[times >= 20, 1:]).all() and np.isfinite(values[:, 0]).all()
    _, median, high = summaries.quartiles(values)
    assert np.isinf(median[times >= 20]).all() and np.isinf(high[times >= 20]).all()


def test_bands_have_the_same_times_for_every_method():
    table = pd.concat([curves(["rescaled"]), curves(["asgd"], until=20)])
    bands = summaries.band_table(table, ["case", "method"], "loss")
    assert bands.groupby("method")["time"].apply(list).map(len).tolist() == [len(TIMES)] * 2
    assert np.isinf(bands.loc[(bands["method"] == "asgd") & (bands["time"] > 20), "median"]).all()


def test_tables_are_read_in_the_order_of_methods(tmp_path):
    paths = write(curves(["shuffled", "rescaled", "malenia"]), tmp_path)
    assert list(summaries.read_tables(paths)["method"].unique()) == ["rescaled", "malenia", "shuffled"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_the_time_to_a_target_is_that_of_tuning(values, target):
    times = np.arange(len(values)) * 3.0
    values = np.array(values)
    ours = summaries.first_times(times, values[:, None], target)[0]
    assert ours == time_to_target(times, values, target)


def test_resampling_pairs_the_seeds_of_two_methods():
    times = np.arange(0.0, 401.0)
    decay = np.exp(-times[:, None] / np.array([10.0, 14, 20, 30]))
    slower = np.exp(-times[:, None] / (2 * np.array([10.0, 14, 20, 30])))
    first, second = (summaries.resampled_times(times, values, 0.05) for values in (decay, slower))
    # Twice as slow, seed by seed: unpaired draws would scatter the ratio over 1 to 4. Times are whole seconds and the
    # first is at least 30, so rounding both moves the ratio by at most 3/30, the window of a tenth by no more.
    assert np.abs(second / first - 2).max() < 0.2
    assert first.std() > 1


def test_a_resample_with_a_diverged_replica_never_reaches_the_target():
    times = np.arange(0.0, 101.0)
    values = np.exp(-times[:, None] / np.array([5.0, 5.0]))
    values[50:, 1] = np.inf
    samples = summaries.resampled_times(times, values, 1e-6)
    share = np.isinf(samples).mean()
    assert abs(share - 0.75) < 0.05  # 3 of 4 draws hold it; five standard errors of a share over 2000 are 0.048
    assert np.isfinite(samples).any()


def test_an_interval_holds_95_percent_of_the_samples_and_may_end_at_infinity():
    samples = np.arange(1000.0)
    low, high = summaries.interval(samples)
    assert np.mean((samples >= low) & (samples <= high)) == pytest.approx(0.95, abs=0.002)
    samples[-100:] = np.inf
    assert summaries.interval(samples)[1] == np.inf


def test_exact_values_agree_with_a_run_without_noise_and_are_nan_where_unknown():
    case = exact_case(PROBLEM | {"noise": 0.0}, [1.0, 2.0, 4.0])
    problem = experiment.build_problem({"problem": PROBLEM | {"noise": 0.0}}, 3)
    run = rasgd.simulate(problem, "rescaled", [1, 2, 4], 0.05, until=40, eval_every=2).metrics
    # The same sums in another order: relative rounding errors of 1e-16 grow by the number of updates, below 1e4.
    np.testing.assert_allclose(case.curve("rescaled", 0.05, run["time"].to_numpy()), run["grad_norm_sq"], rtol=1e-9)
    assert np.isnan(case.curve("malenia", 0.05, np.array([1.0, 2.0]))).all()
    assert np.isnan(case.time("ringleader", 0.05, 0.1))


# Scripts, on the least data they may meet: two methods, one seed


RECORDED = {"case": "one", "method": "rescaled", "timeline": {"shown": 6}}


def recorded_files(folder: Path) -> list[str]:
    """A trace of two workers, metric rows with and without kills, and one kill, as `recorded_runs` writes them."""
    trace = rasgd.simulate(
        experiment.build_problem({"problem": PROBLEM}, 2), "rescaled", [1.0, 2.0], 0.05, until=9, record=True
    ).trace
    write_trace(trace[trace["time"] < 6], folder / "timeline.parquet")  # the last job of each is missing
    rows = curves(["rescaled"], seeds=(0, 1))
    pd.concat([rows.assign(kills=kills) for kills in (0, 1)]).to_csv(folder / "fault_curves.csv", index=False)
    kill = {"worker": 0, "killed": 20.0, "noticed": 20.5, "next_arrival": 23.0}
    pd.DataFrame([kill]).to_csv(folder / "kills.csv", index=False)
    return [str(folder / name) for name in ("timeline.parquet", "fault_curves.csv", "kills.csv")]


def both_backends(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs on both backends; on real processes worker 1 loses a tenth of its 20 gradients, and 4 are late."""
    common = {"effective_weights": [0.25, 0.75], "delay_mean": 1.5, "delay_max": 3, "server_bytes": 160}
    numbers = {
        "simulator": {"arrivals": [60, 20]} | common,
        "processes": {"arrivals": [60, 18], "overruns": [4, 0]} | common | {"effective_weights": None},
    }
    runs = runs.drop_duplicates("method")
    return pd.concat([runs.assign(backend=name, statistics=json.dumps(own)) for name, own in numbers.items()])


def draw_all(folder: Path, stem: Path) -> None:
    """Every figure and table into `stem`'s folder."""
    data = curves(targets=(0.5, 0.1))
    paths, plain = write(data, folder), write(curves(), folder, "plain")
    statistics = {
        "effective_weights": [0.5, 0.5], "idle_seconds": [0.0, 30.0], "wasted_gradients": 1, "computed_gradients": 10,
        "server_vectors": 0,
    }  # fmt: skip
    runs = data.drop_duplicates(["method", "target"]).assign(statistics=json.dumps(statistics))
    grids = pd.concat([grid_rows([3.0, np.inf, 2.0], 2), grid_rows([np.inf] * 3, method="asgd")])
    labels, problems, seconds = {"one": "first: case"}, {"one": PROBLEM}, {"one": [1.0, 2.0]}
    quadratics = {"one": {"label": labels["one"], "problem": PROBLEM, "compute_times": [1.0, 2.0]}}
    quadratics["one"] |= {"targets": [0.5, 0.1], "until": 60.0}
    owned = partition.by_speed(np.repeat(np.arange(4), 10), [1.0, 9.0], slow_classes=[3], seed=0)
    owned.save(folder / "partition.npz")
    grid = {"lowest_log2": -4, "steps_per_octave": 1, "count": 3, "max_extensions": 1}
    common = {"caption": "A caption."}
    script("figure_1_toy")["draw_toy"](plain, path_stem=stem / "figure_1", **common)
    script("figure_3_quadratic")["draw_quadratic"](paths, quadratics, path_stem=stem / "figure_3", **common)
    script("figure_5_mnist")["draw_mnist"](plain, labels, path_stem=stem / "figure_5", **common)
    script("figure_6_slow_owners")["draw_slow_owners"](
        plain, folder / "partition.npz", [1.0, 9.0], path_stem=stem / "figure_6", **common
    )
    script("figure_7_step_sizes")["draw_step_sizes"](
        {"any": write(grids, folder, "grid")}, {"any": labels}, {"any": grid}, path_stem=stem / "figure_7", **common
    )
    script("figure_8_real_processes")["draw_real_processes"](
        plain, *recorded_files(folder), labels, problems, RECORDED, seconds, path_stem=stem / "figure_8", **common
    )
    script("table_1_methods")["tabulate_methods"](
        write(runs, folder, "runs"), "one", 0.1, [1.0, 2.0], 60.0, path_stem=stem / "table_1", **common
    )
    script("table_5_real_processes")["tabulate_real_processes"](
        write(both_backends(runs), folder, "both"), labels, {"one": 60.0}, path_stem=stem / "table_5", **common
    )
    script("table_2_time_to_target")["tabulate_times"](paths, quadratics, path_stem=stem / "table_2", **common)


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
    problem = experiment.build_problem(experiment.case_settings(setting, "poster"), 2)
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
    names = ("timeline.parquet", "fault_trace.parquet", "fault_curves.csv", "kills.csv")
    script("recorded_runs")["record_runs"](settings, *(str(tmp_path / name) for name in names))
    kills = pd.read_csv(tmp_path / "kills.csv")
    assert kills[["worker", "killed"]].to_numpy().tolist() == settings["recorded"]["faults"]["kills"]
    assert (kills["killed"] < kills["noticed"]).all() and (kills["noticed"] < kills["next_arrival"]).all()
    trace = pd.read_parquet(tmp_path / "fault_trace.parquet")
    for worker in kills["worker"]:
        ks = trace.loc[trace["worker"] == worker, "k"].to_numpy()
        assert len(np.setdiff1d(np.arange(ks.max()), ks)) == 1  # the one it was at is lost
    assert pd.read_csv(tmp_path / "fault_curves.csv")["kills"].unique().tolist() == [0, 2]


def test_a_kill_of_a_worker_that_there_is_not_is_refused(tmp_path):
    settings = experiment.read(ROOT / "config/experiments/real_processes.yaml", "smoke")
    settings["recorded"]["faults"]["kills"] = [[8, 10.0]]
    with pytest.raises(ValueError, match=r"must name workers below 8 and seconds below 100, got \[8, 10\]"):
        script("recorded_runs")["record_runs"](settings, *(str(tmp_path / name) for name in "abcd"))


def test_weight_error_is_half_the_distance_from_equal_shares():
    error = script("table_1_methods")["weight_error"]
    assert error([0.25] * 4) == 0
    assert error([1.0, 0.0]) == 0.5


@pytest.mark.parametrize("method", METHODS)
def test_stated_memory_idleness_and_waste_are_what_a_run_measures(method):
    theory = script("table_1_methods")["THEORY"][method]
    problem = experiment.build_problem({"problem": PROBLEM}, 4)
    options = {"R": 2} if method == "ringmaster" else {}  # with R = n and these times no gradient is late enough
    run = rasgd.simulate(problem, method, [1, 1.5, 3.25, 7], 1e-3, until=200, **options)
    mean_of_table = method == "ia2sgd"  # kept beside its entries, to spare O(nd) additions per arrival
    assert theory.count(4, options) - 1 <= run.server_vectors <= theory.count(4, options) + mean_of_table
    assert theory.wasted == (run.wasted_gradients > 0)
    assert theory.idle == (run.idle_seconds.sum() > 0)


# The workflow


def test_every_product_has_a_caption_a_rule_and_a_script():
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    listed = re.findall(r'^    "((?:figure|table)_\d+_\w+)": \[', rules, re.M)
    assert sorted(listed) == sorted(captions.CAPTIONS)
    assert set(listed) <= set(re.findall(r"^rule (\w+):", rules, re.M))
    assert set(listed) <= {path.stem for path in SCRIPTS.iterdir()}


def test_a_named_target_trains_although_its_committed_files_are_there(tmp_path):
    for name in ("Snakefile", "config", "workflow", "rasgd", "profiles", "environment.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    committed = tmp_path / "paper_figures"
    committed.mkdir()
    for ending in ("png", "pdf", "csv", "md"):
        (committed / f"figure_1_toy.{ending}").touch()
    command = [sys.executable, "-m", "snakemake", "figure_1", "--dry-run", "--cores", "1", "--quiet", "rules"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=60)
    assert answer.returncode == 0, answer.stderr
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", answer.stdout + answer.stderr, re.M))
    assert jobs["trajectory"] == "2" and jobs["figure_1_toy"] == "1", answer.stdout + answer.stderr


def test_captions_are_written_without_importing_anything_heavy():
    # They are needed whenever the workflow is parsed, also by every job of a cluster.
    code = "import sys, rasgd.figures.captions; print({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "set()\n"
