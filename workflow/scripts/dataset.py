"""Obtains one data set, checked, and writes it as a single .npz."""

import logging
import sys

from rasgd import datasets


def dataset(name: str, directory: str | None, cache_directory: str, path_to_dataset: str) -> None:
    """Writes the data set that `rasgd.datasets.load(name, directory, cache_directory)` gives."""
    loaded = datasets.load(name, directory=directory, cache_directory=cache_directory)
    datasets.save(loaded, path_to_dataset)
    logging.info("%s: %d + %d images", name, len(loaded.train_labels), len(loaded.test_labels))
    logging.info("source: %s; licence: %s", loaded.provenance["source"], loaded.provenance["licence"])


if "snakemake" in globals():
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[logging.FileHandler(snakemake.log[0], mode="w"), logging.StreamHandler()],  # noqa: F821
    )
    try:
        dataset(
            name=snakemake.params.name,  # noqa: F821
            directory=snakemake.params.directory,  # noqa: F821
            cache_directory=snakemake.params.cache_directory,  # noqa: F821
            path_to_dataset=snakemake.output.dataset,  # noqa: F821
        )
    except ValueError as error:
        with open(snakemake.log[0], "a") as log:  # noqa: F821
            print(error, file=log)
        sys.exit(f"error: {error}")
