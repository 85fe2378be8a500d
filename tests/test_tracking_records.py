import base64
import json
import math
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking_tables import STATISTICS, records_of, reporting, tables

from rasgd.tracking import page
from rasgd.tracking.records import (
    MOST_POINTS,
    RUNS_PER_COMPARISON,
    Tables,
    points_per_curve,
    read_tables,
    schedule_metrics,
    seeds_to_compare,
    thinned,
)

# What is recorded


def test_only_the_run_for_the_tightest_target_is_shown():
    shown = reporting(records_of(tables(targets=(0.1, 0.01), step=1.0)))
    assert [record.params["target"] for record in shown] == ["0.01", "0.01"]
    assert {record.params["step_size"] for record in shown} == {"0.01"}


def test_runs_without_targets_are_all_shown():
    shown = reporting(records_of(tables(targets=(math.nan,))))
    assert len(shown) == 2
    assert all("target" not in record.params for record in shown)


def test_a_run_has_its_methods_label_options_and_seeds():
    params = reporting(records_of(tables("malenia")))[1].params
    assert params["method"] == "Malenia SGD"
    assert (params["S"], params["seed"], params["schedule_seed"], params["case"]) == ("4", "1", "0", "noisy")


def test_curves_belong_to_their_run():
    first, second = reporting(records_of(tables(times=4)))
    np.testing.assert_array_equal(first.curves["grad_norm_sq"], [1, 0.5, 0.25, 0.125])
    np.testing.assert_array_equal(second.curves["grad_norm_sq"], [0.5, 0.25, 0.125, 0.0625])
    np.testing.assert_array_equal(second.curves["sim_time"], [0, 2, 4, 6])
    assert set(second.curves) == {"sim_time", "loss", "grad_norm_sq"}


def test_a_diverged_run_says_when_and_ends_with_its_last_finite_value():
    fine, diverged = reporting(records_of(tables(diverged=[1])))
    assert (fine.tags["diverged"], diverged.tags["diverged"]) == ("no", "yes")
    assert diverged.metrics["diverged_at"] == 2.0
    assert len(diverged.curves["loss"]) == 2
    assert "diverged_at" not in fine.metrics


def test_statistics_become_single_numbers():
    metrics = schedule_metrics(STATISTICS)
    assert metrics["idle_seconds"] == 1.5
    assert metrics["effective_weight_error"] == pytest.approx(0.25)  # (|.75 − .5| + |.25 − .5|)/2
    assert metrics["num_updates"] == 7
    assert "delay_histogram" not in metrics
    assert "effective_weight_error" not in schedule_metrics(STATISTICS | {"effective_weights": None})


def test_a_tried_step_size_is_one_run_with_its_finite_scores():
    tried = [record for record in records_of(tables()) if record.tags["role"] == "tuning"]
    assert [record.tags["chosen"] for record in tried] == ["yes", "no"]
    assert tried[0].tags["chosen_for"] == "0.1, 0.01"
    assert tried[0].metrics["score_0.01"] == 5.0
    assert not any(name.startswith("score") for name in tried[1].metrics), "infinity is no value"


def test_every_run_has_a_key_of_its_own():
    records = records_of(tables("rescaled"), tables("asgd"))
    assert len({record.key for record in records}) == len(records) == 8


def test_the_content_hash_notices_every_change(tmp_path):
    figure = tmp_path / "figure.png"
    figure.write_bytes(b"one")
    record = replace(reporting(records_of(tables()))[0], files=(figure,))
    changes = [
        {"name": "another"},
        {"rank": 5},
        {"params": record.params | {"seed": "9"}},
        {"tags": record.tags | {"diverged": "yes"}},
        {"metrics": record.metrics | {"delay_mean": 0.6}},
        {"seconds": record.seconds + 1},
        {"curves": record.curves | {"loss": record.curves["loss"] * (1 + 1e-15)}},
        {"files": ()},
    ]
    hashes = [record.content_hash, *(replace(record, **change).content_hash for change in changes)]
    figure.write_bytes(b"two")
    hashes.append(record.content_hash)
    assert len(set(hashes)) == len(hashes)


@given(st.integers(0, 5000), st.integers(4, 200))
def test_thinning_keeps_both_ends_and_never_more_than_asked_for(count, most):
    kept = thinned(count, most)
    assert len(kept) <= max(most, 0) and np.all(np.diff(kept) > 0)
    if count:
        assert kept[0] == 0 and kept[-1] == count - 1


def test_an_experiment_with_many_runs_has_coarser_curves():
    few, many = tables(seeds=range(2), targets=(0.1,)), tables(seeds=range(500), targets=(0.1,), times=1)
    assert points_per_curve([few]) == MOST_POINTS
    assert points_per_curve([many]) == 45_000 // (500 * 3) == 30  # sim_time, loss and grad_norm_sq


@given(st.integers(1, 5), st.integers(1, 60))
def test_a_comparison_fits_on_one_page_and_has_the_same_seeds_of_every_method(num_methods, num_seeds):
    runs = pd.DataFrame({"case": "noisy", "seed": range(num_seeds)})
    compared = seeds_to_compare([Tables(None, runs, None)] * num_methods)
    assert compared == set(range(len(compared)))
    assert len(compared) * num_methods <= RUNS_PER_COMPARISON
    assert len(compared) == num_seeds or (len(compared) + 1) * num_methods > RUNS_PER_COMPARISON


def test_a_damaged_table_is_named(tmp_path):
    path = tmp_path / "curves.parquet"
    path.write_bytes(b"no Parquet")
    with pytest.raises(ValueError, match=r"curves\.parquet is damaged"):
        read_tables(path, path, path)


# The page


def view_of(tags: dict[str, str], case: str) -> dict:
    packed = json.loads(tags[page.VIEW_TAG + case])["state"]
    return json.loads(zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))))


def page_tags(records, captions=(), version="3.17.2", run_ids=None) -> dict[str, str]:
    return page.experiment_tags(
        "A title", "snakemake x", {"noisy": "σ = 1"}, captions, records, "5", run_ids or {}, version
    )


def test_the_ready_made_view_draws_curves_by_method_against_simulated_time():
    records = records_of(tables("rescaled"), tables("asgd"))
    tags = page_tags(records)
    state = view_of(tags, "noisy")
    assert state["searchFilter"] == "tags.comparison = 'noisy'"
    assert [key["groupByData"] for key in state["groupBy"]["groupByKeys"]] == ["method"]
    assert set(state["groupsExpanded"]) == {"param.method.Rescaled ASGD", "param.method.Vanilla ASGD"}
    lines = [chart for chart in state["compareRunCharts"] if chart["type"] == "LINE"]
    assert [line["metricKey"] for line in lines] == ["grad_norm_sq", "loss"], "what is tuned for comes first"
    assert {(line["xAxisKey"], line["selectedXAxisMetricKey"]) for line in lines} == {("metric", "sim_time")}
    assert json.loads(tags[page.VIEW_TAG + "noisy"])["name"] == "σ = 1"


def test_curves_with_negative_values_are_not_drawn_on_a_logarithmic_axis():
    some = tables()
    some.curves["loss"] -= 0.5
    scales = {
        c["metricKey"]: c.get("scaleType") for c in view_of(page_tags(records_of(some)), "noisy")["compareRunCharts"]
    }
    assert (scales["grad_norm_sq"], scales["loss"]) == ("log", "linear")


def test_no_view_is_written_for_a_version_of_mlflow_it_was_not_seen_in():
    records = records_of(tables())
    for version in ("3.16.0", "4.0.0", "2.22.1"):
        tags = page_tags(records, version=version)
        assert not any(key.startswith(page.VIEW_TAG) for key in tags)
        assert "viewStateShareKey" not in tags["mlflow.note.content"]


def test_the_page_shows_the_figure_its_caption_and_the_command(tmp_path):
    for name, content in (("figure_1_x.png", "image"), ("figure_1_x.md", "The caption."), ("table_2_x.md", "| a |")):
        (tmp_path / name).write_text(content)
    captions = [tmp_path / "figure_1_x.md", tmp_path / "table_2_x.md"]
    note = page_tags(records_of(tables()), captions, run_ids={"summary": "abc"})["mlflow.note.content"]
    assert note.startswith("**A title** · made by `snakemake x`")
    assert "![figure_1_x](get-artifact?path=figure_1_x.png&run_uuid=abc)\n\nThe caption." in note
    assert "| a |" in note and "table_2_x.png" not in note
    assert "](#/experiments/5/runs?" in note


def test_a_page_too_long_for_mlflow_points_to_the_artifacts_instead(tmp_path):
    path = tmp_path / "table_2_x.md"
    path.write_text("| long |\n" * 1000)
    note = page_tags(records_of(tables()), [path])["mlflow.note.content"]
    assert len(note) <= page.LONGEST_TAG
    assert "| long |" not in note and "artifacts of the run" in note
