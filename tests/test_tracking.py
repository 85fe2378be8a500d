import json
import os
import runpy
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from tracking_tables import records_of, reporting, tables

from rasgd import tracking
from rasgd.tracking import __main__ as command_line
from rasgd.tracking import mirror, page
from rasgd.tracking.records import Record, summary_record

SCRIPT = Path(__file__).parents[1] / "workflow" / "scripts" / "track.py"

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


def test_figures_are_artifacts_of_the_summary_and_no_address_holds_a_folder_of_this_machine(client, store, mirrored):
    results = Path(store.removeprefix("sqlite:///")).parent
    figure = results / "figure_1_x.png"
    figure.write_bytes(b"image")
    _, receipt = mirrored([summary_record([figure], {})])
    run = client.get_run(receipt["runs"]["summary"])
    experiment = client.get_experiment(receipt["experiment_id"])
    assert experiment.artifact_location == f"mlflow-artifacts:/{experiment.name}"
    kept = results / "mlflow-artifacts" / run.info.artifact_uri.removeprefix("mlflow-artifacts:/") / figure.name
    assert kept.read_bytes() == b"image"
    assert str(results) not in json.dumps(receipt)


def test_an_experiment_whose_files_are_bound_to_a_folder_is_made_anew_and_the_old_one_kept_in_the_bin(
    client, store, mirrored, request, tmp_path
):
    old = client.create_experiment(request.node.name, artifact_location=(tmp_path / "before_it_was_moved").as_uri())
    run_id = client.create_run(old).info.run_id
    receipt = {"experiment_id": old, "runs": {"reporting": run_id}}
    (tmp_path / "old.json").write_text(json.dumps(receipt))
    assert not mirror.holds(store, tmp_path / "old.json"), "so that its runs are imported again"
    _, receipt = mirrored(records_of(tables()))
    assert receipt["experiment_id"] != old
    assert client.get_experiment(old).lifecycle_stage == "deleted"
    _, again = mirrored(records_of(tables()))
    assert again == receipt
    assert not (tmp_path / "before_it_was_moved").exists()


IMPORT_ONE = """
import sys
from rasgd import tracking
from rasgd.tracking.records import summary_record

results, name = sys.argv[1:]
uri = tracking.tracking_uri(results)
tracking.import_experiment([summary_record([], {})], name, lambda *_: {}, uri, results, f"{results}/{name}.json")
"""


def test_two_processes_may_make_the_same_database_at_once(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", IMPORT_ONE, str(tmp_path), name],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("first", "second")
    ]
    said = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for name in ("first", "second"):
        assert mirror.holds(tracking.tracking_uri(tmp_path), tmp_path / f"{name}.json")


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
    assert mirror.without_password("https://me:secret@host/path") == "https://host/path"


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
    shown = capsys.readouterr().out
    assert "laptop/b · σ = 1" in shown and "smoke/b" not in shown and "smoke" in shown
    assert shown.strip().endswith(found[0].address), "the one to begin with is what stays on the screen"


def test_a_server_that_does_not_answer_is_one_line():
    with pytest.raises(ValueError, match=r"no MLflow server answers at http://127\.0\.0\.1:1 "):
        command_line.comparisons("http://me:secret@127.0.0.1:1")


def test_a_moved_checkout_shows_its_figures_and_no_proxy_is_asked_for_pages_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "figure_1_x.png").write_bytes(b"image")
    (before := tmp_path / "before").mkdir()
    records = [summary_record([tmp_path / "figure_1_x.png"], {})]
    uri = tracking.tracking_uri(before)
    tracking.import_experiment(records, "rasgd/laptop/x", lambda *_: {}, uri, before, before / "receipt.json")
    moved = before.rename(tmp_path / "moved")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    server = subprocess.Popen(
        [sys.executable, "-m", "rasgd.tracking", "ui", "--results", str(moved), "--port", str(port)],
        env=environment | {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(server.stdout.readline, "")
        assert next((line for line in lines if line.startswith("MLflow shows")), None), "the server never answered"
        run_id = json.loads((moved / "receipt.json").read_text())["runs"]["summary"]
        address = f"http://127.0.0.1:{port}/get-artifact?path=figure_1_x.png&run_uuid={run_id}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert direct.open(address, timeout=30).read() == b"image"
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert not before.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "127.0.0.1,localhost,::1"), ("a.org,localhost", "a.org,localhost,127.0.0.1,::1"), ("*", "*")],
)
def test_exceptions_from_a_proxy_are_added_to_those_there_are(monkeypatch, before, after):
    monkeypatch.setenv("no_proxy", before)
    monkeypatch.setenv("NO_PROXY", before)
    mirror.reach_this_machine_directly()
    assert os.environ["no_proxy"] == after
