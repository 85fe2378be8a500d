"""What data add to the settings of a problem whose workers own samples."""

from __future__ import annotations

import numpy as np

from rasgd.data import preparation


def with_data(given: dict, data, parts: list, seconds: np.ndarray) -> dict:
    """The keys of a problem on data with what the data add.

    Args:
        given: settings of the problem beside its kind. standardise, pool and label_noise change the data, in this
            order; hidden_widths are widths without the first and the last, and a weighting "arrival_frequency" stands
            for pᵢ ∝ 1/τᵢ.
        data: the data set.
        parts: samples of every worker.
        seconds: mean compute times τ, `[n]`.
    """
    inputs, test_inputs, labels = data.train_inputs, data.test_inputs, data.train_labels
    if "standardise" in given:
        inputs, test_inputs = (
            preparation.standardised(images, **given["standardise"]) for images in (inputs, test_inputs)
        )
    if "pool" in given:
        inputs, test_inputs = (
            preparation.mean_pooled(images, data.image_shape, given["pool"]) for images in (inputs, test_inputs)
        )
    if "label_noise" in given:
        labels = preparation.with_label_noise(labels, data.num_classes, **given["label_noise"])
    added = {"inputs": inputs, "labels": labels, "parts": parts, "num_classes": data.num_classes}
    added |= {"test_inputs": test_inputs, "test_labels": data.test_labels}
    if "hidden_widths" in given:
        added["widths"] = (inputs.shape[1], *given["hidden_widths"], data.num_classes)
    if "evaluation_weightings" in given:
        added["evaluation_weightings"] = {
            name: 1 / seconds if weights == "arrival_frequency" else weights
            for name, weights in given["evaluation_weightings"].items()
        }
    return given | added
