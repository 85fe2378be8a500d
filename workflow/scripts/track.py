"""Mirrors the finished results of one experiment in MLflow."""

from pathlib import Path

import pandas as pd

from rasgd import progress, tracking
from rasgd.job import job
from rasgd.tracking.records import Record, reporting_records, summary_record, tuning_records


def track(
    experiment: str,
    scale: str,
    title: str,
    source_hashes: dict[str, dict[str, str]],
    paths_to_curves: list[str],
    paths_to_runs: list[str],
    paths_to_grids: list[str],
    paths_to_products: list[str],
    uri: str,
    results: str,
    path_to_receipt: str,
    report=lambda fraction: None,
) -> dict[str, int]:
    """Imports reported runs, tried step sizes and figures; returns how many runs were added, replaced, and so on.

    Args:
        experiment, scale: name the MLflow experiment.
        title: of the experiment.
        source_hashes: by method and backend, of the code behind the runs.
        paths_to_curves, paths_to_runs, paths_to_grids: what the rule `trajectory` wrote, a file per method each.
        paths_to_products: the experiment's figures and tables with their captions.
        uri: of the MLflow store.
        results: folder of the local store.
        path_to_receipt: JSON to write.
        report: told the fraction done.
    """
    command = f"snakemake {experiment} --config scale={scale}"
    figures = [Path(path) for path in paths_to_products if Path(path).suffix == ".png"]
    captions = [figure.with_suffix(".md") for figure in figures if figure.with_suffix(".md").is_file()]
    shared = {"experiment": experiment, "scale": scale, "command": command, "mlflow.source.name": command}
    records: list[Record] = []
    for paths in zip(paths_to_curves, paths_to_runs, paths_to_grids, strict=True):
        curves, runs, grid = (pd.read_parquet(path) for path in paths)
        records += reporting_records(curves, runs, shared)
        records += tuning_records(grid, shared)
    if figures:
        records.append(summary_record(figures + captions, shared))
    note = "\n\n".join([f"# {title}", *(path.read_text() for path in captions), f"Made by `{command}`."])
    return tracking.import_experiment(
        records, f"rasgd/{scale}/{experiment}", {"mlflow.note.content": note}, uri, results, path_to_receipt, report
    )


if "snakemake" in globals():
    name = f"track {snakemake.wildcards.experiment}"
    with job(snakemake.log[0], name) as stream:
        counts = track(
            experiment=snakemake.wildcards.experiment,
            scale=snakemake.params.scale,
            title=snakemake.params.title,
            source_hashes=snakemake.params.source_hashes,
            paths_to_curves=snakemake.input.curves,
            paths_to_runs=snakemake.input.runs,
            paths_to_grids=snakemake.input.grids,
            paths_to_products=snakemake.input.products,
            uri=snakemake.params.uri,
            results=snakemake.params.results,
            path_to_receipt=snakemake.output.receipt,
            report=progress.lines(name, stream),
        )
        print(f"{name}: runs {', '.join(f'{kind} {count}' for kind, count in counts.items())}", file=stream)
