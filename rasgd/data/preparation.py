"""What is done to a data set before workers learn from it: other units, coarser images, wrong labels."""

from __future__ import annotations

import numpy as np

from rasgd import randomness
from rasgd.validation import is_real, real_number, shown, whole_number


def standardised(inputs: np.ndarray, mean: float, std: float) -> np.ndarray:
    """(inputs − mean)/std, float32, of the same shape.

    The usual numbers for MNIST, .1307 and .3081, are mean and standard deviation of its 60,000 training images' pixels.

    Args:
        inputs: pixels in [0, 1].
        mean: any finite number.
        std: above 0.

    Raises:
        ValueError: for numbers out of range.
    """
    mean, std = real_number("mean", mean), real_number("std", std, above=0)
    return ((inputs - np.float32(mean)) / np.float32(std)).astype(np.float32)


def mean_pooled(inputs: np.ndarray, image_shape: tuple[int, int], pool: int) -> np.ndarray:
    """Images whose pixels are means over squares of the given ones.

    Args:
        inputs: `[num_images, rows·columns]`, each image row by row.
        image_shape: rows and columns.
        pool: side of the squares in pixels; divides both.

    Returns:
        float32 `[num_images, rows·columns/pool²]`.

    Raises:
        ValueError: if the squares do not tile an image.
    """
    pool = whole_number("pool", pool)
    rows, columns = image_shape
    if rows % pool or columns % pool:
        raise ValueError(f"pool must divide the images' {rows} rows and {columns} columns, got {pool}")
    tall, wide = rows // pool, columns // pool
    squares = np.reshape(inputs, (len(inputs), tall, pool, wide, pool))
    return squares.mean(axis=(2, 4), dtype=np.float64).reshape(len(inputs), tall * wide).astype(np.float32)


def with_label_noise(labels: np.ndarray, num_classes: int, share: float, seed: int) -> np.ndarray:
    """Labels of which a share, rounded to whole samples and drawn once, is replaced by uniformly drawn other classes.

    Args:
        labels: integers from 0 to num_classes − 1, `[num_samples]`.
        num_classes: at least 2.
        share: of labels that become wrong, in [0, 1].
        seed: non-negative integer.

    Raises:
        ValueError: for numbers out of range.
    """
    num_classes = whole_number("num_classes", num_classes, at_least=2)
    if not (is_real(share) and 0 <= share <= 1):
        raise ValueError(f"share of wrong labels must lie in [0, 1], got {shown(share)}")
    draws = randomness.generator(whole_number("seed", seed, at_least=0), "label noise")
    wrong = draws.permutation(len(labels))[: round(share * len(labels))]
    noisy = np.array(labels)
    noisy[wrong] = (noisy[wrong] + draws.integers(1, num_classes, len(wrong))) % num_classes
    return noisy
