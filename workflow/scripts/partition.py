"""Hands a data set's training samples out to the workers and draws who owns what."""

from pathlib import Path

import numpy as np
import pandas as pd

from rasgd.data import datasets, partition
from rasgd.experiments.logged import job
from rasgd.files import save_parquet


def partition_with_heat_map(
    kind: str, arguments: dict, path_to_dataset: str, path_to_partition: str, path_to_heat_map: str, path_to_table: str
) -> None:
    """Writes the partition, its heat-map and how many samples of each class every worker owns.

    Args:
        kind: one of `rasgd.partition.KINDS`.
        arguments: those of that function, labels excepted.
        path_to_dataset: data set written by the rule `dataset`.
        path_to_partition: .npz to write.
        path_to_heat_map: the heat-map's .png to write; its .pdf and .csv stand beside it.
        path_to_table: Parquet to write, with columns worker, class and samples.
    """
    made = partition.build(kind, datasets.read(path_to_dataset), **arguments)
    made.save(path_to_partition)
    partition.heat_map(made, Path(path_to_heat_map).with_suffix(""))
    rows = [(worker, label, count) for (worker, label), count in np.ndenumerate(made.counts)]
    save_parquet(pd.DataFrame(rows, columns=["worker", "class", "samples"]), path_to_table)


if "snakemake" in globals():
    with job(snakemake.log[0], f"partition {snakemake.wildcards.experiment}"):
        partition_with_heat_map(
            kind=snakemake.params.kind,
            arguments=snakemake.params.arguments,
            path_to_dataset=snakemake.input.dataset,
            path_to_partition=snakemake.output.partition,
            path_to_heat_map=snakemake.output.png,
            path_to_table=snakemake.output.table,
        )
