"""Classification by a multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.problems.classification import Classification, checked_data
from rasgd.validation import real_array, shown


class Network(Classification):
    """Cross-entropy of a ReLU network, its parameters one flat vector per replica.

    Layer l maps widths[l] to widths[l + 1]; its weights `[in, out]` and bias `[out]` follow each other in the vector.
    x⁰ is drawn from the seed as PyTorch initialises linear layers: weights and biases uniform in ±1/√fan_in. A
    stochastic gradient is the mean over a batch of distinct samples, drawn afresh for every k from the worker's share
    [code: batch 4 without replacement].

    Args:
        inputs: training inputs, float `[num_samples, widths[0]]`.
        labels: their classes, integer `[num_samples]`.
        parts: indices of the samples every worker holds.
        widths: of all layers, input and classes included, for example (784, 32, 10).
        batch_size: samples per stochastic gradient; None takes the worker's whole share (exact local gradients).
        num_evaluation_samples: loss and ‖∇F‖² are taken on a fixed subset of about this many, equally many per
            worker; None takes all samples, each worker's share weighing 1/n.
        evaluation_groups: named groups of classes whose accuracy is also evaluated, for example {"slow": [7, 8, 9]}.
        test_inputs, test_labels: evaluated once at the end of a run; None or empty if there are none.
        seed: of the evaluation subset.
        evaluation_weightings: other weights of the workers, `[n]` by name, under which loss, ‖∇‖² and accuracy are also
            evaluated; scaled to sum 1.

    Raises:
        ValueError: for data that are not finite numbers, widths that do not fit the data, a worker without data or with
            samples that do not exist, a batch larger than a share, or weightings that do not fit the workers.
    """

    def __init__(
        self,
        inputs,
        labels,
        parts: Sequence[np.ndarray],
        widths: Sequence[int],
        batch_size: int | None = 4,
        num_evaluation_samples: int | None = 6000,
        evaluation_groups: dict[str, Sequence[int]] | None = None,
        test_inputs=None,
        test_labels=None,
        seed: int = 0,
        evaluation_weightings: dict[str, Sequence[float]] | None = None,
    ):
        self.widths = checked_widths(widths)
        data = checked_data(inputs, labels, test_inputs, test_labels)
        if data.num_features != self.widths[0]:
            raise ValueError(f"widths must start with the {data.num_features} features of inputs, got {self.widths}")
        if data.num_classes > self.widths[-1]:
            raise ValueError(
                f"widths must end with at least the {data.num_classes} classes of labels and test_labels, "
                f"got {self.widths}"
            )
        self.shapes = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self.sizes = [size for fan_in, fan_out in self.shapes for size in (fan_in * fan_out, fan_out)]
        self.dim = sum(self.sizes)
        # A network that only predicts chance, as one with dead units does, has collapsed.
        self.constants = {"collapse_loss": 0.95 * float(np.log(self.widths[-1]))}
        self.replicas_per_pass = max(1, 2**19 // self.dim)  # 2 MiB of float32 per point
        super().__init__(
            data, self.widths[-1], parts, batch_size, num_evaluation_samples, evaluation_groups,
            evaluation_weightings, seed,
        )  # fmt: skip

    def initial_point(self, seed: int) -> Tensor:
        draws = randomness.generator(seed, "initial point")
        pieces = []
        for fan_in, fan_out in self.shapes:
            bound = 1 / np.sqrt(fan_in)
            pieces.append(draws.uniform(-bound, bound, fan_in * fan_out + fan_out))
        return torch.as_tensor(np.concatenate(pieces), dtype=self.dtype, device=self.device)

    def layers(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weights `[num_replicas, in, out]` and biases `[num_replicas, 1, out]` as views of the flat points."""
        pieces = iter(torch.split_with_sizes(x, self.sizes, 1))  # a quarter of the time of indexing
        return [(next(pieces).view(-1, *shape), next(pieces).unsqueeze(1)) for shape in self.shapes]

    def forward(self, x, inputs):
        layers = self.layers(x)
        activations = [inputs.expand(len(x), -1, -1)]
        for weight, bias in layers[:-1]:
            activations.append(torch.baddbmm(bias, activations[-1], weight).relu_())
        weight, bias = layers[-1]
        return torch.baddbmm(bias, activations[-1], weight).mT, (layers, activations)

    def backward(self, x, passed, delta):
        # Written by hand: one tape per replica would cost more than the products (measured at batch 4).
        layers, activations = passed
        delta = delta.mT
        gradient = torch.empty_like(x)
        gradients = self.layers(gradient)
        for level in range(len(layers) - 1, -1, -1):
            torch.bmm(activations[level].mT, delta, out=gradients[level][0])
            torch.sum(delta, 1, keepdim=True, out=gradients[level][1])
            if level:
                delta = (delta @ layers[level][0].mT).mul_(activations[level] > 0)
        return gradient


def checked_widths(widths) -> list[int]:
    array = real_array("widths", widths, "at least two positive layer widths")
    if array.ndim != 1 or len(array) < 2 or not all(width >= 1 and width == int(width) for width in array.tolist()):
        raise ValueError(f"widths must be at least two positive layer widths, got {shown(widths)}")
    return [int(width) for width in array]
