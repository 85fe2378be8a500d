"""Tunes one method on every case of one experiment and reports its trajectories on fresh seeds."""

from functools import partial

from rasgd.experiments import progress, training
from rasgd.experiments.logged import job
from rasgd.experiments.store import StoredRuns
from rasgd.files import save_parquet

if "snakemake" in globals():
    name = f"{snakemake.wildcards.experiment}/{snakemake.wildcards.method}"
    with job(snakemake.log[0], name) as stream:
        telling = progress.Progress(progress.lines(name, stream))
        runs_of = partial(
            StoredRuns,
            method=snakemake.wildcards.method,
            device=snakemake.params.device,
            path_to_dataset=snakemake.input.get("dataset"),
            path_to_partition=snakemake.input.get("partition"),
            path_to_store=snakemake.params.store,
        )
        tables = training.train(snakemake.params.settings, snakemake.wildcards.method, runs_of, telling)
        for table, rows in tables.items():
            save_parquet(rows, snakemake.output[table])
