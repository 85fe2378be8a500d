"""Figures and tables: every one is drawn from small tables, and what else follows from its row."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from figure_tables import (
    PROBLEM,
    PRODUCTS_FILE,
    PRODUCTS_SCHEMA,
    ROOT,
    SETTINGS,
    all_tables,
    curves,
    drawn,
    grid_rows,
    product_rows,
    tables_of,
)

from rasgd.experiments import settings as experiment
from rasgd.figures import (
    captions,
    figure_s7_step_sizes,
    figure_s10_slow_owners,
    product,
    saving,
    style,
    table_s1_time_to_target,
)
from rasgd.methods import METHODS
from rasgd.theory import methods as theory

ROWS = product_rows()
TEXTS = {
    "source", "method", "case", "panel", "experiment", "backend", "metric", "options", "kind", "series", "group",
    "instance", "profile", "steps", "what", "curve", "arrivals", "batch_choice", "step_sizes", "chosen",
    "at", "by", "law", "name", "topic",
}  # fmt: skip


@pytest.fixture(scope="module")
def products() -> dict[str, product.Product]:
    return {name: drawn(name, row) for name, row in ROWS.items()}


@pytest.fixture(scope="module")
def saved(products, tmp_path_factory):
    """A folder with the files of all products."""
    folder = tmp_path_factory.mktemp("products")
    with style.settings():
        for name, made in products.items():
            product.save(made, folder / name, "A caption.")
    return folder


@pytest.mark.parametrize("name", ROWS)
def test_every_product_is_what_its_row_and_its_name_say(products, saved, name):
    made, row = products[name], ROWS[name]
    assert len(made.numbers)
    assert (made.figure is not None) == product.is_figure(name)
    assert (made.by_seed is not None) == row.by_seed
    assert product.is_figure(name) or made.shown is not None
    for file in product.files(name, row.by_seed).values():
        assert (saved / file).stat().st_size > 0


def test_no_file_is_written_that_no_row_announces(saved):
    announced = {file for name, row in ROWS.items() for file in product.files(name, row.by_seed).values()}
    assert {path.name for path in saved.iterdir()} == announced


def test_numbers_are_plain_and_names_short(saved):
    for path in saved.glob("*.csv"):
        table = pd.read_csv(path)
        words = {name for name in table if table[name].dtype.kind not in "iuf"}
        assert words <= TEXTS, path.name
        labels = {style.legend_label(method) for method in METHODS} | {found.label for found in METHODS.values()}
        for name in words:
            values = set(table[name].dropna().astype(str))
            assert not values & labels, f"{path.name} has display labels in {name}"
            assert all(value.isascii() for value in values), f"{path.name}, {name}: {values}"


def test_drawing_twice_gives_the_same_bytes(saved, tmp_path):
    for name, row in ROWS.items():
        again = drawn(name, row)
        with style.settings():
            product.save(again, tmp_path / name, "A caption.")
        for file in product.files(name, row.by_seed).values():
            assert (tmp_path / file).read_bytes() == (saved / file).read_bytes(), file


@pytest.mark.parametrize("scale", experiment.SCALES)
@pytest.mark.parametrize("name", ROWS)
def test_every_caption_names_its_item_and_scale_and_has_a_latex_form(name, scale):
    row = ROWS[name]
    text = product.caption(row.module, row.heading, {one: SETTINGS[scale][one] for one in row.shows}, scale)
    assert text.startswith(f"{row.heading}: ") and text.endswith(f"Scale: {scale}.") and "\n" not in text
    assert saving.text_latex(text).isascii()


EDITS = {
    "an iid partition": ("bias_network", lambda s: s["data"].update(partition={"kind": "iid", "seed": 0})),
    "a partition by label": (
        "nonconvex",
        lambda s: s["data"].update(partition={"kind": "by_label", "shards_per_worker": 2, "seed": 0}),
    ),
    "slow owners without slow classes": (
        "fashion_mnist",
        lambda s: s["data"].update(partition={"kind": "iid", "seed": 0}),
    ),
    "no decay": ("nonconvex", lambda s: s.pop("step_size_decay")),
    "no pool": ("nonconvex", lambda s: s["problem"].pop("pool")),
    "a grid": (
        "nonconvex",
        lambda s: s.update(step_sizes={"grid": SETTINGS["smoke"]["quadratic"]["step_sizes"]["grid"]}),
    ),
    "no targets": ("quadratic", lambda s: [case.pop("targets") for case in s["cases"].values()]),
    "one step size": ("quadratic", lambda s: s.update(step_sizes={"log2_beta": -3})),
    "another model": ("fashion_mnist", lambda s: s.update(problem={"kind": "logistic", "batch_size": 4})),
    "no hidden layer": ("bias_network", lambda s: s["problem"].update(hidden_widths=[])),
}


@pytest.mark.parametrize("edit", EDITS)
def test_captions_describe_what_is_there(edit):
    import copy

    settings = copy.deepcopy(SETTINGS["smoke"])
    name, change = EDITS[edit]
    before = {one: caption_of(row, settings) for one, row in ROWS.items() if name in row.shows}
    change(settings[name])
    after = {one: caption_of(row, settings) for one, row in ROWS.items() if name in row.shows}
    assert any(before[one] != after[one] for one in before), "no caption shows the change"


def caption_of(row: product.Row, settings: dict) -> str:
    return product.caption(row.module, row.heading, {one: settings[one] for one in row.shows}, "smoke")


def test_a_product_of_a_deleted_experiment_is_left_out():
    tables = all_tables()
    del tables["toy"], tables["mnist"]
    left = product.rows(PRODUCTS_FILE, PRODUCTS_SCHEMA, tables)
    gone = {name for name, row in ROWS.items() if {"toy", "mnist"} & set(row.shows)}
    assert gone and not gone & set(left) and {"figure_s9_bias_network", "table_1_methods"} <= set(left)


def test_a_table_that_an_experiment_does_not_have_is_named_in_one_line(tmp_path):
    path = tmp_path / "products.yaml"
    path.write_text("figure_3_toy: {shows: {toy: [iteratess]}, tolerance: float64}\n")
    with pytest.raises(ValueError, match=r"figure_3_toy\.shows\.toy must be among iterates, limits, got iteratess"):
        product.rows(path, PRODUCTS_SCHEMA, all_tables())


def test_every_product_has_a_module_and_every_module_of_a_product_a_row():
    modules = {path.stem for path in (ROOT / "rasgd/figures").glob("*.py") if product.ITEM.fullmatch(path.stem)}
    assert modules == set(experiment.read_yaml(PRODUCTS_FILE))


def test_an_experiment_that_nothing_shows_gets_a_figure():
    rows = product.rows(PRODUCTS_FILE, PRODUCTS_SCHEMA, all_tables() | {"my_own": all_tables()["quadratic"]})
    row = rows["figure_my_own"]
    assert row.item == "figure_my_own" and row.shows == {"my_own": ["curves"]}
    for like in ("quadratic", "mnist", "real_processes"):
        settings = {"my_own": SETTINGS["smoke"][like]}
        with style.settings():
            made = product.module(row.module).draw({"my_own": tables_of(like)}, settings)
        assert set(made.numbers["method"]) == set(SETTINGS["smoke"][like]["methods"])
        assert SETTINGS["smoke"][like]["title"] in caption_of(row, {"my_own": SETTINGS["smoke"][like]})


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense", "TkAgg"])
def test_figures_are_drawn_whatever_backend_the_surroundings_name(backend, tmp_path):
    code = """if True:
        import sys
        from pathlib import Path
        from figure_tables import SETTINGS, tables_of
        from rasgd.figures import product
        tables = {"nonconvex": tables_of("nonconvex")}
        product.make("figure_s8_nonconvex", tables, SETTINGS["smoke"], Path(sys.argv[1]), "A caption.")
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "figure")],
        env=os.environ | {"MPLBACKEND": backend, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figure.png").is_file()


def test_rows_are_read_without_importing_anything_heavy():
    # They are needed whenever the workflow is parsed, also by every job of a cluster.
    code = "import sys, rasgd.figures.product; print({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "set()\n", answer.stderr


def test_tables_are_read_in_the_order_of_methods(tmp_path):
    paths = [str(tmp_path / f"{method}.parquet") for method in ("shuffled", "rescaled", "malenia")]
    for path, (_, rows) in zip(
        paths, curves(["shuffled", "rescaled", "malenia"]).groupby("method", sort=False), strict=True
    ):
        rows.to_parquet(path)
    assert list(product.read_table(paths)["method"].unique()) == ["rescaled", "malenia", "shuffled"]


# Single products


def test_a_target_out_of_reach_is_shown_as_beyond_the_horizon_and_not_dropped(products, saved):
    numbers = products["table_s1_time_to_target"].numbers
    slow = numbers[numbers["time"] == np.inf]
    assert len(slow) and (slow["horizon"] == 60).all()
    assert "| > 60 |" in (saved / "table_s1_time_to_target.md").read_text()
    cases = SETTINGS["smoke"]["quadratic"]["cases"].values()
    assert len(numbers) == len(METHODS) * sum(len(case["targets"]) for case in cases)


def test_the_safe_horizon_is_two_and_a_half_times_the_reported_time(products):
    numbers = products["table_s1_time_to_target"].numbers
    assert (numbers["horizon_is_safe"] == (numbers["time"] * 2.5 <= numbers["horizon"])).all()
    assert set(numbers["horizon_is_safe"]) == {False, True}


def test_exact_times_stand_beside_the_methods_whose_moments_are_known(products):
    numbers = products["table_s1_time_to_target"].numbers
    known = numbers["time_exact"].notna()
    assert set(numbers.loc[known, "method"]) == {"rescaled", "minibatch"} and set(numbers.loc[known, "time_exact"]) == {
        30.0
    }


def test_the_predicted_ratio_is_given_for_minibatch_where_noise_dominates():
    predicted = table_s1_time_to_target.predicted_ratio
    assert predicted(PROBLEM, [1, 2, 3]) == pytest.approx(1.5)
    assert np.isnan(predicted(PROBLEM | {"noise": 0.1}, [1, 2, 3]))


def test_the_number_of_cells_of_step_sizes_does_not_depend_on_what_was_tried():
    cells = figure_s7_step_sizes.cell_table
    grid = {"lowest_log2": -4, "steps_per_octave": 1, "count": 2, "max_extensions": 1}
    few, more = cells(grid_rows([3.0, 2.0]), grid), cells(grid_rows([3.0, 2.0, 1.0]), grid)
    assert len(few) == len(more) == 4
    assert few["score"].tolist()[1:3] == [3.0, 2.0] and np.isnan(few["score"].iloc[3])
    refined = cells(pd.concat([grid_rows([3.0, 2.0]), grid_rows([1.0], log2_beta=-3.75, chosen=False)]), grid)
    assert len(refined) == 4 and refined["ratio"].min() == 2.0  # the refined point sets the best score


def test_the_timeline_has_one_row_per_expected_job_whatever_arrived(products):
    numbers = products["figure_s11_real_processes"].numbers
    jobs = numbers[numbers["panel"] == "jobs"]
    recorded = SETTINGS["smoke"]["real_processes"]["recorded"]
    times = captions.mean_times(SETTINGS["smoke"]["real_processes"])[recorded["case"]]
    shown = recorded["timeline"]["shown"]
    assert jobs.groupby("worker")["k"].size().tolist() == [int(shown / seconds) for seconds in times]
    arrived = jobs.dropna(subset="end")
    assert len(arrived) == 8 and (arrived["end"] - arrived["start"]).tolist() == [1.0] * 4 + [1.5] * 4


def test_real_arrivals_are_compared_worker_by_worker(products):
    numbers = products["table_s3_real_processes"].numbers
    assert set(numbers["smallest_ratio_of_arrivals"]) == {0.9} and set(numbers["largest_ratio_of_arrivals"]) == {1.0}
    assert numbers["on_time"].to_numpy() == pytest.approx(1 - 4 / 78)
    assert set(numbers["weight_error_virtual"]) == {0.25} and numbers["weight_error_real"].isna().all()


def test_workers_of_the_partition_stand_from_fast_to_slow():
    setting = {"cases": {"one": {"label": "", "compute_times": [3.0, 1.0, 2.0]}}}
    owned = pd.DataFrame({"worker": [0, 1, 2], "class": [0, 1, 1], "samples": [5, 6, 7]})
    assert figure_s10_slow_owners.counts_by_speed(owned, setting).tolist() == [[0, 6], [0, 7], [5, 0]]


def test_table_1_states_what_theory_knows(products):
    numbers = products["table_1_methods"].numbers.set_index("method")
    own = products["table_1_methods"].shown.set_index("Method")
    for method in numbers.index:
        row = theory.ROWS[method]
        assert numbers.loc[method, "idle_theory"] == row.idles and numbers.loc[method, "wasted_theory"] == row.wastes
        term = own.loc[style.legend_label(method), "Leading term"]
        assert (term == saving.NO_VALUE) == (row.leading_term is None)
