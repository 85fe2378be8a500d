"""Hands a data set's training samples out to the workers and draws who owns what."""

from pathlib import Path

from rasgd.data import datasets, partition
from rasgd.experiments.logged import job


def partition_with_heat_map(
    kind: str, arguments: dict, path_to_dataset: str, path_to_partition: str, path_to_heat_map: str
) -> None:
    """Writes the partition, and its heat-map beside it.

    Args:
        kind: one of `rasgd.partition.KINDS`.
        arguments: those of that function, labels excepted.
        path_to_dataset: data set written by the rule `dataset`.
        path_to_partition: .npz to write.
        path_to_heat_map: the heat-map's .png to write; its .pdf and .csv stand beside it.
    """
    made = partition.build(kind, datasets.read(path_to_dataset), **arguments)
    made.save(path_to_partition)
    partition.heat_map(made, Path(path_to_heat_map).with_suffix(""))


if "snakemake" in globals():
    with job(snakemake.log[0], f"partition {snakemake.wildcards.experiment}"):
        partition_with_heat_map(
            kind=snakemake.params.kind,
            arguments=snakemake.params.arguments,
            path_to_dataset=snakemake.input.dataset,
            path_to_partition=snakemake.output.partition,
            path_to_heat_map=snakemake.output.png,
        )
