"""Four image data sets, the same bits wherever their files come from."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rasgd.data.sources import (
    EMBEDDED_DATASETS,
    IDX_DATASETS,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    CorruptedData,
    DatasetUnavailable,
    EmbeddedDataset,
    IdxDataset,
    embedded_content,
    first_available,
    parse_idx,
)
from rasgd.files import replacing

__all__ = ["NAMES", "CorruptedData", "Dataset", "DatasetUnavailable", "load", "read", "save"]

NAMES = (*EMBEDDED_DATASETS, *IDX_DATASETS)


@dataclass(frozen=True)
class Dataset:
    """Images and labels of one data set, scaled to [0, 1].

    Attributes:
        name: one of `NAMES`.
        train_inputs: float32 `[num_train, features]`, each image row by row.
        train_labels: int64 `[num_train]`, from 0 to num_classes - 1.
        test_inputs: float32 `[num_test, features]`; num_test is 0 for mnist_5k.
        test_labels: int64 `[num_test]`.
        num_classes: number of classes.
        image_shape: rows and columns of an image.
        provenance: source, SHA-256 of every file's decompressed content, licence, citation, and `pixel_maximum`, the
            integer that was scaled to 1.
    """

    name: str
    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    image_shape: tuple[int, int]
    provenance: dict


def load(name: str, directory: str | Path | None = None, cache_directory: str | Path = "data") -> Dataset:
    """A data set by its name, from the first source that has it.

    Args:
        name: `mnist_5k` (5,000 training digits, no test set), `digits` (1,442 + 355, 8×8; every fifth image of a class
            is a test image), `mnist` or `fashion_mnist` (60,000 + 10,000, 28×28).
        directory: folder that holds the four IDX files, plain or .gz, itself or in a subfolder called `name`; asked
            first. The two data sets that ship inside packages ignore it.
        cache_directory: where downloaded files are kept, in a subfolder called `name`.

    Raises:
        DatasetUnavailable: no source has the data set; lists what was tried and where to put the files.
        CorruptedData: a file in `directory`, or one that ships inside a package, is truncated, malformed or another.
        ValueError: unknown name, or the cache cannot be written.
    """
    if name in EMBEDDED_DATASETS:
        return _load_embedded(name, EMBEDDED_DATASETS[name])
    if name in IDX_DATASETS:
        return _load_idx(name, IDX_DATASETS[name], directory, Path(cache_directory))
    raise ValueError(f"data set name is {name!r}; allowed: {', '.join(NAMES)}")


def save(dataset: Dataset, path: str | Path) -> None:
    """Writes a data set as one .npz; `read` gives the same bits back."""
    arrays = {"train_labels": dataset.train_labels, "test_labels": dataset.test_labels}
    for part in ("train", "test"):
        arrays[f"{part}_pixels"] = _pixels(getattr(dataset, f"{part}_inputs"), dataset.provenance["pixel_maximum"])
    description = {
        "name": dataset.name,
        "num_classes": dataset.num_classes,
        "image_shape": dataset.image_shape,
        "provenance": dataset.provenance,
    }
    with replacing(path) as temporary:
        np.savez(temporary, description=json.dumps(description), **arrays)


def read(path: str | Path) -> Dataset:
    """The data set that `save` wrote to `path`.

    Raises:
        CorruptedData: the file is missing, truncated or was not written by `save`.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            description = json.loads(str(stored["description"]))
            maximum = description["provenance"]["pixel_maximum"]
            return Dataset(
                name=description["name"],
                train_inputs=_scaled(stored["train_pixels"], maximum),
                train_labels=stored["train_labels"],
                test_inputs=_scaled(stored["test_pixels"], maximum),
                test_labels=stored["test_labels"],
                num_classes=description["num_classes"],
                image_shape=tuple(description["image_shape"]),
                provenance=description["provenance"],
            )
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise CorruptedData(f"{path}: not a readable data set file ({type(error).__name__}: {error})") from error


def _load_embedded(name: str, spec: EmbeddedDataset) -> Dataset:
    content = embedded_content(name, spec)
    table = np.loadtxt(content.decode().splitlines(), delimiter=",", dtype=np.uint8)
    inputs, labels = _scaled(table[:, :-1], spec.pixel_maximum), table[:, -1].astype(np.int64)
    test = _every(labels, spec.test_every)
    return Dataset(
        name=name,
        train_inputs=inputs[~test],
        train_labels=labels[~test],
        test_inputs=inputs[test],
        test_labels=labels[test],
        num_classes=10,
        image_shape=spec.image_shape,
        provenance=_provenance(
            spec,
            source=f"Python package {spec.install}",
            sha256={Path(spec.path).name.removesuffix(".gz"): spec.sha256},
            pixel_maximum=spec.pixel_maximum,
        ),
    )


def _every(labels: np.ndarray, step: int | None) -> np.ndarray:
    """Marks each class's every `step`-th sample, in the order of the file: stratified, without a random number."""
    marked = np.zeros(len(labels), dtype=bool)
    if step is not None:
        for label in np.unique(labels):
            marked[np.flatnonzero(labels == label)[step - 1 :: step]] = True
    return marked


def _load_idx(name: str, spec: IdxDataset, directory: str | Path | None, cache_directory: Path) -> Dataset:
    source, contents = first_available(name, spec, directory, cache_directory / name)
    arrays = {file: parse_idx(content, file) for file, content in contents.items()}
    return Dataset(
        name=name,
        train_inputs=_scaled(arrays[TRAIN_IMAGES].reshape(len(arrays[TRAIN_IMAGES]), -1), 255),
        train_labels=arrays[TRAIN_LABELS].astype(np.int64),
        test_inputs=_scaled(arrays[TEST_IMAGES].reshape(len(arrays[TEST_IMAGES]), -1), 255),
        test_labels=arrays[TEST_LABELS].astype(np.int64),
        num_classes=10,
        image_shape=arrays[TRAIN_IMAGES].shape[1:],
        provenance=_provenance(spec, source, dict(spec.sha256), pixel_maximum=255),
    )


def _scaled(pixels: np.ndarray, maximum: int) -> np.ndarray:
    return np.divide(pixels, np.float32(maximum), dtype=np.float32)


def _pixels(inputs: np.ndarray, maximum: int) -> np.ndarray:
    """The integers the inputs were scaled from: a quarter of the size on disk."""
    pixels = np.rint(inputs * np.float32(maximum)).astype(np.uint8)
    if not np.array_equal(_scaled(pixels, maximum), inputs):
        raise ValueError(f"inputs are not multiples of 1/{maximum} in [0, 1], so they cannot be saved as pixels")
    return pixels


def _provenance(spec: IdxDataset | EmbeddedDataset, source: str, sha256: dict[str, str], pixel_maximum: int) -> dict:
    return {
        "source": source,
        "sha256": sha256,
        "licence": spec.licence,
        "citation": spec.citation,
        "pixel_maximum": pixel_maximum,
    }
