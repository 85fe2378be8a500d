"""Obtains one data set, checked, and writes it as a single .npz."""

import logging

from rasgd.data import datasets
from rasgd.experiments.logged import job


def dataset(name: str, directory: str | None, cache_directory: str, path_to_dataset: str) -> None:
    """Writes the data set that `rasgd.datasets.load(name, directory, cache_directory)` gives."""
    loaded = datasets.load(name, directory=directory, cache_directory=cache_directory)
    datasets.save(loaded, path_to_dataset)
    log = logging.getLogger("rasgd")
    log.info("%s: %d + %d images", name, len(loaded.train_labels), len(loaded.test_labels))
    log.info("source: %s; licence: %s", loaded.provenance["source"], loaded.provenance["licence"])


if "snakemake" in globals():
    with job(snakemake.log[0], f"dataset {snakemake.params.name}"):
        dataset(
            name=snakemake.params.name,
            directory=snakemake.params.directory,
            cache_directory=snakemake.params.cache_directory,
            path_to_dataset=snakemake.output.dataset,
        )
