"""Mirrors the finished results of one experiment in MLflow."""

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rasgd import tracking
from rasgd.experiments import progress
from rasgd.experiments.logged import job
from rasgd.tracking.page import experiment_tags
from rasgd.tracking.records import experiment_records, read_tables, summary_record


def track(
    experiment: str,
    scale: str,
    title: str,
    cases: dict[str, str],
    source_hashes: dict[str, dict[str, str]],
    paths_to_curves: Sequence[str],
    paths_to_runs: Sequence[str],
    paths_to_grids: Sequence[str],
    paths_to_products: Sequence[str],
    uri: str,
    results: str,
    path_to_receipt: str,
    report: Callable[[float], None] = lambda fraction: None,
) -> dict[str, int]:
    """Imports reported runs, tried step sizes and figures; returns how many runs were added, replaced, and so on.

    Args:
        experiment, scale: name the MLflow experiment.
        title: of the experiment.
        cases: label by case.
        source_hashes: by method and backend, of the code behind the runs; methods in the order to list them.
        paths_to_curves, paths_to_runs, paths_to_grids: what the rule `trajectory` wrote, one file per method each.
        paths_to_products: the experiment's figures and tables with their captions, among other files.
        uri: of the MLflow store.
        results: folder of a local store.
        path_to_receipt: JSON to write.
        report: told the fraction done.
    """
    command = f"snakemake {experiment} --config scale={scale}"
    shared = {"experiment": experiment, "scale": scale, "mlflow.source.name": command}
    tables = [read_tables(*paths) for paths in zip(paths_to_curves, paths_to_runs, paths_to_grids, strict=True)]
    tags = [
        {backend: shared | {"source_hash": source_hash} for backend, source_hash in by_backend.items()}
        for by_backend in source_hashes.values()
    ]
    records = experiment_records(tables, tags)
    products = [Path(path) for path in paths_to_products]
    shown = [path for path in products if path.suffix in (".png", ".md")]
    if shown:
        records.append(summary_record(shown, shared))
    captions = [path for path in products if path.suffix == ".md"]
    page = partial(experiment_tags, title, command, cases, captions, records)
    name = f"rasgd/{scale}/{experiment}"
    return tracking.import_experiment(records, name, page, uri, results, path_to_receipt, source_commit(), report)


def source_commit() -> str | None:
    """The commit that is checked out, or None outside a Git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


if "snakemake" in globals():
    name = f"track {snakemake.wildcards.experiment}"
    with job(snakemake.log[0], name) as stream:
        counts = track(
            experiment=snakemake.wildcards.experiment,
            scale=snakemake.params.scale,
            title=snakemake.params.title,
            cases=snakemake.params.cases,
            source_hashes=snakemake.params.source_hashes,
            paths_to_curves=snakemake.input.curves,
            paths_to_runs=snakemake.input.runs,
            paths_to_grids=snakemake.input.grids,
            paths_to_products=snakemake.input.products,
            uri=tracking.tracking_uri(snakemake.params.results, snakemake.params.tracking_uri),
            results=snakemake.params.results,
            path_to_receipt=snakemake.output.receipt,
            report=progress.lines(name, stream),
        )
        print(f"{name}: runs {', '.join(f'{kind} {count}' for kind, count in counts.items())}", file=stream)
