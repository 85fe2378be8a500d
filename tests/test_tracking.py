import base64
import json
import math
import runpy
import socket
import sqlite3
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasgd import tracking
from rasgd.tracking import __main__ as command_line
from rasgd.tracking import mirror, page
from rasgd.tracking.records import (
    MOST_POINTS,
    RUNS_PER_COMPARISON,
    Record,
    Tables,
    experiment_records,
    points_per_curve,
    read_tables,
    schedule_metrics,
    seeds_to_compare,
    summary_record,
    thinned,
)

SCRIPT = Path(__file__).parents[1] / "workflow" / "scripts" / "track.py"
STATISTICS = {
    "effective_weights": [0.75, 0.25],
    "idle_seconds": [0.0, 1.5],
    "num_updates": 7,
    "delay_mean": 0.5,
    "delay_histogram": [3, 4],
    "server_vectors": 2,
}


def tables(method="rescaled", seeds=(0, 1), targets=(0.1, 0.01), times=8, diverged=(), step=0.5) -> Tables:
    """What the rule `trajectory` writes for one method; the tighter a target, the smaller the step chosen for it."""
    shared = {"case": "noisy", "method": method, "backend": "simulator", "options": '{"S": 4}', "log2_beta": -3.0}
    runs, curves, grid = [], [], []
    for target in targets:
        size = step if math.isnan(target) else step * target
        for seed in seeds:
            run = shared | {"target": target, "step_size": size, "seed": seed, "schedule_seed": 0, "on_edge": False}
            end = 2 if seed in diverged else times
            runs.append(
                run
                | {"collapsed": 0, "diverged_at": 2.0 if seed in diverged else math.nan, "test_accuracy": 0.9}
                | {"statistics": json.dumps(STATISTICS)}
            )
            curves += [
                run | {"time": 2.0 * k, "updates": k, "loss": 1 / (k + 1 + seed), "grad_norm_sq": 2.0 ** (-k - seed)}
                for k in range(end)
            ]
        for index, score in enumerate((5.0, math.inf)):
            point = {"case": "noisy", "method": method, "target": target, "options": '{"S": 4}', "log2_beta": -index}
            numbers = {"step_size": 2.0**-index, "score": score, "final": 0.1, "diverged": 0, "collapsed": 0}
            grid.append(point | numbers | {"chosen": index == 0})
    return Tables(*(pd.DataFrame(rows) for rows in (curves, runs, grid)))


def records_of(*methods_tables: Tables, tags=None) -> list[Record]:
    return experiment_records(methods_tables, [{"simulator": tags or {"source_hash": "abc"}}] * len(methods_tables))


def reporting(records: list[Record]) -> list[Record]:
    return [record for record in records if record.tags["role"] == "reporting"]


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


# The import


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> str:
    """One database for all tests, as making one takes seconds; tests use experiments of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return tracking.tracking_uri(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def client(store):
    return mirror.client_of(store)


@pytest.fixture
def mirrored(store, tmp_path, request):
    """Imports records into the test's experiment and returns (counts, receipt)."""

    def run(records):
        receipt = tmp_path / "receipt.json"
        results = Path(store.removeprefix("sqlite:///")).parent
        counts = tracking.import_experiment(records, request.node.name, lambda *_: {"a": "b"}, store, results, receipt)
        return counts, json.loads(receipt.read_text())

    return run


def active_runs(client, receipt) -> dict[str, str]:
    return {run.info.run_id: run.data.tags.get("run_key") for run in client.search_runs([receipt["experiment_id"]])}


def test_importing_twice_changes_nothing(client, mirrored):
    counts, receipt = mirrored(records_of(tables()))
    assert counts == {"added": 4, "replaced": 0, "unchanged": 0, "deleted": 0}
    again, same_receipt = mirrored(records_of(tables()))
    assert again == {"added": 0, "replaced": 0, "unchanged": 4, "deleted": 0}
    assert same_receipt == receipt
    assert active_runs(client, receipt) == {run_id: key for key, run_id in receipt["runs"].items()}


def test_changed_runs_are_replaced_stale_ones_deleted_and_those_of_others_kept(client, mirrored):
    before = records_of(tables(), tables("asgd"))
    _, receipt = mirrored(before)
    foreign = client.create_run(receipt["experiment_id"], run_name="somebody's own").info.run_id
    changed = replace(before[0], metrics={"delay_mean": 9.0})
    counts, after = mirrored([changed, *before[1:-1]])
    assert counts == {"added": 0, "replaced": 1, "unchanged": len(before) - 2, "deleted": 1}
    assert active_runs(client, after) == {run_id: key for key, run_id in after["runs"].items()} | {foreign: None}
    assert client.get_run(after["runs"][changed.key]).data.metrics["delay_mean"] == 9.0


def test_runs_on_later_pages_of_a_search_are_replaced_too(client, mirrored, monkeypatch):
    monkeypatch.setattr(mirror, "RUNS_PER_PAGE", 2)
    mirrored(records_of(tables()))
    counts, receipt = mirrored(records_of(tables(), tags={"source_hash": "changed"}))
    assert counts == {"added": 0, "replaced": 4, "unchanged": 0, "deleted": 0}
    assert len(active_runs(client, receipt)) == 4


def test_an_import_that_was_interrupted_is_finished(client, mirrored):
    records = records_of(tables())
    _, receipt = mirrored(records[:1])
    run_id = receipt["runs"][records[0].key]
    client.update_run(run_id, status="RUNNING")  # what a killed import leaves
    counts, receipt = mirrored(records)
    assert counts == {"added": 3, "replaced": 1, "unchanged": 0, "deleted": 0}
    assert run_id not in active_runs(client, receipt)


def test_an_experiment_deleted_in_the_ui_is_brought_back(client, mirrored):
    _, receipt = mirrored(records_of(tables()))
    client.delete_experiment(receipt["experiment_id"])
    mirrored(records_of(tables()))
    assert len(active_runs(client, receipt)) == 4


def test_curves_can_be_read_back_against_simulated_time(client, mirrored):
    record = reporting(records_of(tables(times=5)))[1]
    _, receipt = mirrored([record])
    run_id = receipt["runs"][record.key]
    history = {name: client.get_metric_history(run_id, name) for name in ("sim_time", "grad_norm_sq")}
    assert [(point.step, point.value) for point in history["sim_time"]] == [(k, 2.0 * k) for k in range(5)]
    assert [point.value for point in history["grad_norm_sq"]] == [2.0 ** (-k - 1) for k in range(5)]
    assert np.diff([point.timestamp for point in history["grad_norm_sq"]]).tolist() == [2000] * 4
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_run_may_have_more_values_than_mlflow_takes_at_once(client, mirrored):
    count = 1500
    values = np.arange(count, dtype=float)
    record = Record("long", "long", 0, {"p": "1"}, {}, {}, {"loss": values}, np.arange(count), values)
    _, receipt = mirrored([record])
    with sqlite3.connect(client.tracking_uri.removeprefix("sqlite:///")) as database:
        stored = database.execute("SELECT count(*) FROM metrics WHERE run_uuid = ?", [receipt["runs"]["long"]])
        assert stored.fetchone() == (count,)


def test_figures_are_artifacts_of_the_summary(client, mirrored, tmp_path):
    figure = tmp_path / "figure_1_x.png"
    figure.write_bytes(b"image")
    _, receipt = mirrored([summary_record([figure], {})])
    assert [file.path for file in client.list_artifacts(receipt["runs"]["summary"])] == ["figure_1_x.png"]


def test_a_receipt_is_discarded_when_its_runs_are_gone(client, store, mirrored, tmp_path):
    _, receipt = mirrored(records_of(tables()))
    path = tmp_path / "receipt.json"
    tracking.discard_lost_receipt(store, path)
    assert path.is_file(), "its runs are there"
    tracking.discard_lost_receipt("http://127.0.0.1:1", path)
    assert path.is_file(), "a server is believed"
    client.delete_run(next(iter(receipt["runs"].values())))
    tracking.discard_lost_receipt(store, path)
    assert not path.exists()


@pytest.mark.parametrize("content", ["{}", "no JSON", '{"runs": {"a": "b"}, "experiment_id": "1"}'])
def test_a_receipt_of_a_deleted_database_or_a_damaged_one_does_not_hold(tmp_path, content):
    (tmp_path / "receipt.json").write_text(content)
    assert not mirror.holds(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "receipt.json")
    assert not (tmp_path / "mlflow.db").exists(), "looking must not make one"


def test_the_environment_wins_over_the_configured_server_and_that_over_the_database(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking.tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    assert tracking.tracking_uri(tmp_path, "http://configured:5000") == "http://configured:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
    assert tracking.tracking_uri(tmp_path, "http://configured:5000") == "http://environment:5000"


def test_a_password_is_not_written_down():
    assert tracking.without_password("https://me:secret@host/path") == "https://host/path"


def test_a_store_that_cannot_be_opened_is_one_line_without_the_password():
    with pytest.raises(ValueError, match="tracking_uri") as caught:
        mirror.client_of("postgresql+nothing://me:secret@host/db")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_the_script_imports_what_training_wrote(store, client, tmp_path):
    paths = []
    for method in ("rescaled", "asgd"):
        for name, table in tables(method)._asdict().items():
            paths.append(tmp_path / f"{method}_{name}.parquet")
            table.to_parquet(paths[-1])
    (tmp_path / "figure_1_x.png").write_bytes(b"image")
    (tmp_path / "figure_1_x.md").write_text("The caption.")
    counts = runpy.run_path(str(SCRIPT))["track"](
        experiment="script",
        scale="smoke",
        title="A title",
        cases={"noisy": "σ = 1"},
        source_hashes={"rescaled": {"simulator": "aaa"}, "asgd": {"simulator": "bbb"}},
        paths_to_curves=paths[0::3],
        paths_to_runs=paths[1::3],
        paths_to_grids=paths[2::3],
        paths_to_products=[tmp_path / "figure_1_x.png", tmp_path / "figure_1_x.md", paths[0]],
        uri=store,
        results=str(tmp_path),
        path_to_receipt=tmp_path / "receipt.json",
    )
    assert counts["added"] == 9  # per method two seeds and two tried step sizes, and the figure
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    experiment = client.get_experiment_by_name("rasgd/smoke/script")
    assert experiment.experiment_id == receipt["experiment_id"]
    assert receipt["runs"]["summary"] in experiment.tags["mlflow.note.content"]
    hashes = {run.data.tags.get("source_hash") for run in client.search_runs([receipt["experiment_id"]])}
    assert hashes == {"aaa", "bbb", None}


def test_importing_the_module_is_cheap_enough_for_every_parse_of_the_workflow():
    heavy = ("mlflow", "pandas", "torch", "sqlalchemy")
    code = f"import sys, rasgd.tracking; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# The command line


def test_without_a_database_the_command_says_how_to_make_one(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: .*mlflow\.db does not exist yet"):
        command_line.main(["ui", "--results", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_refused_by_name_and_otherwise_passed_over(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port: {port} is taken"):
            command_line.free_port(port)
        monkeypatch.setattr(command_line, "FIRST_PORT", port)
        assert command_line.free_port(None) > port


def test_the_server_binds_to_this_machine_and_its_arguments_hold_no_password(monkeypatch, tmp_path):
    started = {}
    monkeypatch.setattr(command_line.subprocess, "Popen", lambda command, **rest: started.update(rest, command=command))
    command_line.start_server("postgresql://me:secret@host/db", str(tmp_path), 5000)
    command = started["command"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--workers") + 1] == "1"
    assert not any("secret" in argument for argument in command)
    assert started["env"]["MLFLOW_DISABLE_TELEMETRY"] == "true"


class FakeServer(BaseHTTPRequestHandler):
    def do_POST(self):
        tags = [{"key": page.VIEW_TAG + "noisy", "value": json.dumps({"name": "σ = 1"})}]
        experiments = [
            {
                "experiment_id": str(index),
                "name": f"rasgd/{name}",
                "tags": [*tags, {"key": "num_methods", "value": count}],
            }
            for index, (name, count) in enumerate([("smoke/b", "13"), ("laptop/a", "2"), ("laptop/b", "13")])
        ]
        body = json.dumps({"experiments": experiments}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_comparison_with_most_methods_at_laptop_scale_comes_first(capsys):
    server = HTTPServer(("127.0.0.1", 0), FakeServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        found = command_line.comparisons(address)
        command_line.announce(address)
    finally:
        server.shutdown()
        server.server_close()
    assert [one.experiment for one in found] == ["rasgd/laptop/b", "rasgd/laptop/a", "rasgd/smoke/b"]
    assert found[0].address.startswith(f"{address}/#/experiments/2/runs?compareRunsMode=CHART&viewStateShareKey=")
    assert "laptop/b · σ = 1" in capsys.readouterr().out


def test_a_server_that_does_not_answer_is_one_line():
    with pytest.raises(ValueError, match=r"no MLflow server answers at http://127\.0\.0\.1:1 "):
        command_line.comparisons("http://me:secret@127.0.0.1:1")
