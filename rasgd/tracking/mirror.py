"""The idempotent import of one experiment's finished results into MLflow."""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rasgd.files import replacing

if TYPE_CHECKING:  # it needs pandas, and a workflow imports this module while it is parsed
    from rasgd.tracking.records import Record

# MLflow wants a moment for every value. A fixed one keeps imports identical; MLflow's relative time misreads 1970.
START_MILLISECONDS = 946_684_800_000  # 2000-01-01 00:00 UTC
ENTITIES_PER_BATCH = 1000  # MLflow refuses more in one call
RUNS_PER_PAGE = 1000  # of a search
ARTIFACTS = "mlflow-artifacts"  # MLflow's scheme for files that its server keeps, and our folder of them in the results
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def tracking_uri(results: str | os.PathLike, configured: str | None = None) -> str:
    """Where runs go: MLFLOW_TRACKING_URI if it is set, else the configured server, else a database in `results`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured or local_database(results)


def local_database(results: str | os.PathLike) -> str:
    return f"sqlite:///{(Path(results) / 'mlflow.db').absolute()}"


def client_of(uri: str):
    """An MLflow client; a missing database is created.

    Raises:
        ValueError: if the store cannot be opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        write_without_waiting_for_the_disk()
    reach_this_machine_directly()
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = mlflow.MlflowClient(uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # MLflow, requests and SQLAlchemy each have their own
        raise ValueError(f"tracking_uri: cannot reach {without_password(uri)} ({first_line(error)})") from None
    return client


def write_without_waiting_for_the_disk() -> None:
    """Lets SQLite leave the moment of writing to the operating system, in this process.

    MLflow commits six times a run, and waiting for the disk each time took most of an import. A killed import does no
    harm; a power cut may, and then the database can be deleted: the files behind it are the truth.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def on_connect(connection, _) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", on_connect)


def reach_this_machine_directly() -> None:
    """Excepts this machine's own addresses from the environment's proxy, in this process and its children."""
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if excepted.strip() == "*":
        return
    hosts = [host for host in excepted.split(",") if host]
    both = ",".join(dict.fromkeys([*hosts, *LOOPBACK]))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = both


@contextmanager
def one_process_at_a_time(uri: str) -> Iterator[None]:
    """Waits while another process makes or fills the same local database; a server keeps its clients apart itself."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///") + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        with suppress(OSError):  # a file system without locks; the operating system frees one when its process ends
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def import_experiment(
    records: Iterable[Record],
    name: str,
    page: Callable[[str, dict[str, str], str], dict[str, str]],
    uri: str,
    results: str | os.PathLike,
    path_to_receipt: str | os.PathLike,
    commit: str | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> dict[str, int]:
    """Makes an MLflow experiment hold exactly these runs, and writes down which run is which.

    A run that is there with the same content is left alone, one with other content is replaced, one that no record
    names any more is deleted. Runs made by others, without the tag `run_key`, stay.

    Args:
        records: what the experiment consists of.
        name: of the MLflow experiment.
        page: tags of the experiment, made from its id, the run ids by run key, and the version of MLflow.
        uri: of the store, see `tracking_uri`.
        results: folder beside whose database the artifacts are kept, for a local store.
        path_to_receipt: JSON to write: store, experiment, and run id by run key.
        commit: of the source, noted with runs that are added; it alone never replaces one.
        report: told the fraction done.

    Returns:
        Numbers of runs: added, replaced, unchanged, deleted.

    Raises:
        ValueError: if the store cannot be reached or refuses.
    """
    wanted = {record.key: record for record in records}
    local = uri.startswith("sqlite:")
    folder = Path(results) / ARTIFACTS if local else None
    with one_process_at_a_time(uri):
        client = client_of(uri)
        try:
            experiment_id = experiment_of(client, name, f"{ARTIFACTS}:/{name}" if local else None)
            run_ids, counts = synchronise(client, experiment_id, wanted, commit, report, folder)
            set_tags(client, experiment_id, page(experiment_id, run_ids, version("mlflow")))
        except Exception as error:
            raise ValueError(f"MLflow at {without_password(uri)} refused: {first_line(error)}") from error
    content = {"store": store_name(uri, results), "experiment": name, "experiment_id": experiment_id}
    with replacing(path_to_receipt) as temporary:
        temporary.write_text(json.dumps(content | {"runs": run_ids}, indent=1) + "\n")
    return counts


def store_name(uri: str, results: str | os.PathLike) -> str:
    """A store's address without a password; the database in the results has none, so that a checkout can be moved."""
    return "the database in the results" if uri == local_database(results) else without_password(uri)


def experiment_of(client, name: str, artifacts: str | None) -> str:
    """The id of the experiment, made or brought back from the bin if need be.

    One whose files are kept at an address of its own, as those of earlier versions are, goes to the bin: that address
    cannot be changed, and holds only as long as the folder is not moved.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return client.create_experiment(name, artifact_location=artifacts)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    if artifacts is not None and experiment.artifact_location != artifacts:
        client.rename_experiment(experiment.experiment_id, f"{name} (files elsewhere, {experiment.experiment_id})")
        client.delete_experiment(experiment.experiment_id)
        return client.create_experiment(name, artifact_location=artifacts)
    return experiment.experiment_id


def set_tags(client, experiment_id: str, tags: dict[str, str]) -> None:
    """Gives an experiment these tags, and takes away the views of cases that are no more."""
    from rasgd.tracking.page import VIEW_TAG

    for key in client.get_experiment(experiment_id).tags:
        if key.startswith(VIEW_TAG) and key not in tags:
            client.delete_experiment_tag(experiment_id, key)
    for key, value in tags.items():
        client.set_experiment_tag(experiment_id, key, value)


def synchronise(
    client, experiment_id: str, wanted: dict[str, Record], commit, report, folder: Path | None
) -> tuple[dict, dict]:
    """Run ids by run key, and how many runs were added, replaced, unchanged, deleted."""
    present = {}
    counts = dict.fromkeys(("added", "replaced", "unchanged", "deleted"), 0)
    for run in list(runs_of(client, experiment_id)):  # all pages first: deleting would move what the next one holds
        record = wanted.get(run.data.tags["run_key"])
        same = record is not None and run.data.tags.get("content_hash") == record.content_hash
        if same and run.info.status == "FINISHED" and record.key not in present:
            present[record.key] = run.info.run_id
        else:
            client.delete_run(run.info.run_id)
            counts["replaced" if record else "deleted"] += 1
    counts["unchanged"] = len(present)
    missing = [record for key, record in wanted.items() if key not in present]
    for number, record in enumerate(missing):
        report(number / len(missing))
        present[record.key] = add_run(client, experiment_id, record, commit, folder)
    counts["added"] = len(missing) - counts["replaced"]
    return {key: present[key] for key in wanted}, counts


def runs_of(client, experiment_id: str) -> Iterator:
    """All runs of an experiment that were imported."""
    token = None
    while True:
        page = client.search_runs([experiment_id], "tags.run_key LIKE '%'", max_results=RUNS_PER_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def add_run(client, experiment_id: str, record: Record, commit: str | None, folder: Path | None) -> str:
    """Writes one run; until it is complete its status is RUNNING, so an interrupted import is seen.

    Files go where the server of a local store looks for them, below `folder`; other stores have a place of their own.
    """
    from mlflow.entities import Param

    tags = {"run_key": record.key, "content_hash": record.content_hash, **record.tags}
    if commit:
        tags["mlflow.source.git.commit"] = commit
    run = client.create_run(experiment_id, moment(record, 0.0), tags, run_name=record.name)
    run_id = run.info.run_id
    metrics = metrics_of(record)
    params = [Param(key, value) for key, value in record.params.items()]
    for first in range(0, max(1, len(metrics)), ENTITIES_PER_BATCH - len(params)):
        client.log_batch(run_id, metrics[first : first + ENTITIES_PER_BATCH - len(params)], params if not first else [])
    for path in record.files:
        if folder is None:
            client.log_artifact(run_id, str(path))
        else:
            below = folder / run.info.artifact_uri.removeprefix(f"{ARTIFACTS}:/")
            below.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, below / path.name)
    last = record.seconds[-1] if len(record.seconds) else 0.0
    client.set_terminated(run_id, "FINISHED", moment(record, last))
    return run_id


def metrics_of(record: Record) -> list:
    """Every finite value of a record as MLflow's metric."""
    from mlflow.entities import Metric

    last_step = int(record.steps[-1]) if len(record.steps) else 0
    end = moment(record, record.seconds[-1] if len(record.seconds) else 0.0)
    metrics = [Metric(name, value, end, last_step) for name, value in record.metrics.items()]
    moments = [moment(record, seconds) for seconds in record.seconds.tolist()]
    for name, values in record.curves.items():
        points = zip(values.tolist(), moments, record.steps.tolist(), strict=True)
        metrics += [Metric(name, value, time, step) for value, time, step in points if math.isfinite(value)]
    return metrics


def moment(record: Record, seconds: float) -> int:
    """MLflow's time of a simulated one; a run of lower rank starts a second later, as newer runs are listed first."""
    return START_MILLISECONDS - 1000 * record.rank + round(1000 * seconds)


def holds(uri: str, path_to_receipt: str | os.PathLike) -> bool:
    """Whether the store still has the runs of a receipt. A local database is looked into, a server is believed."""
    try:
        receipt = json.loads(Path(path_to_receipt).read_text())
        wanted, experiment_id = set(receipt["runs"].values()), receipt["experiment_id"]
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    if not uri.startswith("sqlite:///"):
        return True
    query = f"""SELECT run_uuid FROM runs JOIN experiments USING (experiment_id)
        WHERE experiment_id = ? AND runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'
        AND artifact_uri LIKE '{ARTIFACTS}:%'"""
    try:
        with closing(sqlite3.connect(f"file:{quote(uri.removeprefix('sqlite:///'))}?mode=ro", uri=True)) as database:
            return wanted <= {row[0] for row in database.execute(query, [experiment_id])}
    except sqlite3.Error as error:
        return "locked" in str(error)  # somebody is writing to it


def discard_lost_receipt(uri: str, path_to_receipt: str | os.PathLike) -> None:
    """Removes a receipt whose runs are no longer in the store, so that they are imported again."""
    path = Path(path_to_receipt)
    if path.is_file() and not holds(uri, path):
        path.unlink()


def without_password(uri: str) -> str:
    return re.sub(r"//[^/@]*@", "//", uri)


def first_line(error: Exception) -> str:
    return without_password((str(error).strip() or type(error).__name__).splitlines()[0])[:300]
