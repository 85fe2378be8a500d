"""`python -m rasgd.tracking ui`: MLflow's pages on this machine, opened on a comparison of the methods."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rasgd.experiments import settings as experiment
from rasgd.tracking.mirror import (
    ARTIFACTS,
    one_process_at_a_time,
    reach_this_machine_directly,
    tracking_uri,
    without_password,
)
from rasgd.tracking.page import VIEW_TAG, view_path

HOST = "127.0.0.1"
FIRST_PORT, NUM_PORTS = 5000, 20
SECONDS_TO_START = 60
SECONDS_TO_STOP = 5
CONFIG = Path("config/config.yaml")
SCALES_SHOWN_FIRST = ("laptop", "paper", "smoke")


class Comparison(NamedTuple):
    """A ready-made view of one case of one experiment."""

    experiment: str  # rasgd/<scale>/<experiment>
    name: str
    address: str
    size: int


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m rasgd.tracking", description="Browse the runs in MLflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    ui = commands.add_parser("ui", help="serve MLflow's pages on this machine only, until Ctrl-C")
    ui.add_argument("--results", help="folder that holds the database (default: the one in config/config.yaml)")
    ui.add_argument("--port", type=int, help=f"default: the first free one from {FIRST_PORT} on")
    given = parser.parse_args(arguments)
    reach_this_machine_directly()
    try:
        config = experiment.read_yaml(CONFIG) if CONFIG.is_file() else {}
        results = given.results or config.get("results") or "results"
        show(tracking_uri(results, config.get("tracking_uri")), results, given.port)
    except ValueError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\nMLflow has stopped.")


def show(uri: str, results: str, port: int | None) -> None:
    """Serves a store, or points to the server that does, and opens the best comparison.

    Raises:
        ValueError: if there is nothing to show or the server does not start.
    """
    if uri.startswith(("http://", "https://")):
        announce(uri.rstrip("/"))
        return
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not database.is_file():
        raise ValueError(f"{database} does not exist yet; make it with `make reproduce` or, in a minute, `make smoke`")
    with one_process_at_a_time(uri):
        pass  # whoever is making the database has finished
    port = free_port(port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # lets the server be stopped with this process
    server = start_server(uri, results, port)
    try:
        wait_for(server, port, path_to_log(results))
        announce(f"http://{HOST}:{port}")
        print("Stop it with Ctrl-C.", flush=True)
        server.wait()
    finally:
        stop(server)


def free_port(wanted: int | None) -> int:
    """The port asked for, or the first free one.

    Raises:
        ValueError: if it is taken, or all are.
    """
    candidates = [wanted] if wanted is not None else range(FIRST_PORT, FIRST_PORT + NUM_PORTS)
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                return port
            except (OSError, OverflowError):
                continue
    what = f"{wanted} is taken or no port" if wanted is not None else f"{candidates[0]} to {candidates[-1]} are taken"
    raise ValueError(f"--port: {what}; give another one")


def start_server(uri: str, results: str, port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", str(Path(results).absolute() / ARTIFACTS)]
    command += ["--uvicorn-opts", "--log-level warning"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    path_to_log(results).parent.mkdir(parents=True, exist_ok=True)
    # By environment, not as an argument: an address may hold a password, and everyone can read a process's arguments.
    environment = os.environ | quiet | {"MLFLOW_BACKEND_STORE_URI": uri}
    with open(path_to_log(results), "w") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)


def stop(server: subprocess.Popen) -> None:
    """Ends the server and its workers, which share a process group of their own."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def path_to_log(results: str) -> Path:
    return Path(results) / "mlflow-server.log"


def wait_for(server: subprocess.Popen, port: int, log: Path) -> None:
    """Returns when the server answers.

    Raises:
        ValueError: if it ends or takes too long.
    """
    print("Starting MLflow …", flush=True)
    for _ in range(SECONDS_TO_START * 5):
        if server.poll() is not None:
            raise ValueError(f"the MLflow server ended with exit status {server.returncode}, see {log}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise ValueError(f"the MLflow server did not answer within {SECONDS_TO_START} s, see {log}")


def announce(address: str) -> None:
    """Prints where the comparisons are, of one scale, and opens the first in a browser, where somebody watches."""
    found = comparisons(address)
    shown = [one for one in found if scale_of(one) == scale_of(found[0])]
    for comparison in shown[::-1]:  # the first last, where it stays on the screen
        name = comparison.experiment.removeprefix("rasgd/")
        print(f"  {name} · {comparison.name}\n    {without_password(comparison.address)}")
    if others := dict.fromkeys(scale_of(one) for one in found if one not in shown):
        print(f"Pages of other scales ({', '.join(others)}) are in MLflow's list of experiments.")
    first = found[0].address if found else address
    print(f"MLflow shows the runs at {without_password(address)}; begin at\n    {without_password(first)}")
    if sys.stdout.isatty():
        webbrowser.open(first)


def comparisons(address: str) -> list[Comparison]:
    """The ready-made views that a server has, the most interesting first.

    Raises:
        ValueError: if the server does not answer.
    """
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search",
        data=json.dumps({"max_results": 1000, "filter": "name LIKE 'rasgd/%'"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            experiments = json.load(answer).get("experiments", [])
    except (OSError, ValueError) as error:
        raise ValueError(f"no MLflow server answers at {without_password(address)} ({error})") from None
    found = []
    for one in experiments:
        tags = {tag["key"]: tag["value"] for tag in one.get("tags", [])}
        size = int(tags.get("num_methods", 0))
        for key, text in tags.items():
            if key.startswith(VIEW_TAG):
                path = view_path(one["experiment_id"], key.removeprefix(VIEW_TAG))
                found.append(Comparison(one["name"], view_name(text), f"{address}/{path}", size))
    return sorted(found, key=interest)


def view_name(text: str) -> str:
    try:
        return json.loads(text)["name"]
    except (ValueError, KeyError, TypeError):
        return "a view of somebody's own"


def scale_of(comparison: Comparison) -> str:
    return comparison.experiment.split("/")[1]


def interest(comparison: Comparison) -> tuple:
    """Sorts laptop scale before the others, and then experiments with many methods before those with few."""
    scale = scale_of(comparison)
    order = SCALES_SHOWN_FIRST.index(scale) if scale in SCALES_SHOWN_FIRST else len(SCALES_SHOWN_FIRST)
    return order, -comparison.size, comparison.experiment


if __name__ == "__main__":
    main()
