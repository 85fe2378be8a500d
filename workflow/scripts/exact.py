"""Computes one exact experiment and writes its tables."""

import pandas as pd

from rasgd.experiments import exact, progress
from rasgd.experiments.logged import job
from rasgd.files import save_parquet


def compute_tables(
    settings: dict,
    reads: list[tuple[str, str, list[str]]],
    settings_read: dict[str, dict],
    paths: dict[str, str],
    report,
) -> None:
    """Writes the tables that `rasgd.experiments.exact.compute` gives.

    Args:
        settings: of the experiment, as `experiments.settings.read_all` gives them.
        reads: experiment, table and its Parquet files, for every table of another experiment that is read.
        settings_read: of those experiments.
        paths: Parquet file to write, by table.
        report: told the fraction done.
    """
    read = {other: exact.Read(own, {}) for other, own in settings_read.items()}
    for other, table, files in reads:
        read[other].tables[table] = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    for table, rows in exact.compute(settings, report, read).items():
        save_parquet(rows, paths[table])


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.params.experiment) as stream:
        compute_tables(
            settings=snakemake.params.settings,
            reads=snakemake.params.reads,
            settings_read=snakemake.params.settings_read,
            paths=dict(snakemake.output.items()),
            report=progress.lines(snakemake.params.experiment, stream),
        )
