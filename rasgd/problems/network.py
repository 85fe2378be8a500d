"""Classification by a multilayer perceptron on partitioned data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.problems.base import Problem
from rasgd.validation import is_real, real_array, shown, whole_number


class Network(Problem):
    """Cross-entropy of a ReLU network, its parameters one flat vector per replica.

    Layer l maps widths[l] to widths[l + 1]; its weights `[in, out]` and bias `[out]` follow each other in the vector.
    x⁰ is He-uniform, drawn from the seed. A stochastic gradient is the mean over a batch of distinct samples, drawn
    afresh for every k from the worker's share [code: batch 4 without replacement].

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

    Raises:
        ValueError: for data that are not finite numbers, widths that do not fit the data, a worker without data or with
            samples that do not exist, or a batch larger than a share.
    """

    dtype = torch.float32

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
    ):
        self.widths = checked_widths(widths)
        self.inputs, self.labels = checked_data("inputs", inputs, "labels", labels, self.widths)
        self.parts = checked_parts(parts, len(self.inputs))
        self.batch_size = self.checked_batch_size(batch_size)
        self.evaluation_groups = checked_groups(evaluation_groups or {}, self.widths[-1])
        self.test_inputs = self.test_labels = None
        has_none = all(data is None or np.shape(data)[:1] == (0,) for data in (test_inputs, test_labels))
        if not has_none:
            self.test_inputs, self.test_labels = checked_data(
                "test_inputs", test_inputs, "test_labels", test_labels, self.widths
            )
        self.num_workers = len(self.parts)
        self.shapes = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self.dim = sum(fan_in * fan_out + fan_out for fan_in, fan_out in self.shapes)
        # A network that only predicts chance, as one with dead units does, has collapsed.
        self.constants = {"collapse_loss": 0.95 * float(np.log(self.widths[-1]))}
        self.replicas_per_pass = max(1, 2**18 // self.dim)  # 1 MiB of float32 per point
        self.choose_evaluation_samples(num_evaluation_samples, whole_number("seed", seed, at_least=0))
        self.whole_parts = (
            [(self.inputs[part], self.labels[part]) for part in self.parts] if batch_size is None else None
        )

    def checked_batch_size(self, batch_size: int | None) -> int | None:
        if batch_size is None:
            return None
        smallest = min(range(len(self.parts)), key=lambda worker: len(self.parts[worker]))
        largest = len(self.parts[smallest])
        if not (is_real(batch_size) and int(batch_size) == batch_size and 1 <= batch_size <= largest):
            raise ValueError(
                f"batch_size must be a whole number between 1 and the smallest share, {largest} samples of worker "
                f"{smallest}, got {batch_size!r}"
            )
        return int(batch_size)

    def choose_evaluation_samples(self, count: int | None, seed: int) -> None:
        if count is not None:
            count = whole_number("num_evaluation_samples", count)
        if count is None or count >= sum(map(len, self.parts)):
            chosen = self.parts
        else:
            per_worker = max(1, count // self.num_workers)
            chosen = [
                randomness.generator(seed, "evaluation", worker).permutation(part)[:per_worker]
                for worker, part in enumerate(self.parts)
            ]
        indices = np.concatenate(chosen)
        # The objective is the equal average over workers, whatever the sizes of their shares.
        weights = np.concatenate([np.full(len(part), 1 / (len(part) * self.num_workers)) for part in chosen])
        self.evaluation_inputs, self.evaluation_labels = self.inputs[indices], self.labels[indices]
        self.evaluation_weights = torch.as_tensor(weights, dtype=torch.float32)
        self.minus_one = torch.tensor(-1.0)

    def to(self, device):
        other = super().to(device)
        if self.whole_parts is not None:
            other.whole_parts = [(x.to(other.device), y.to(other.device)) for x, y in self.whole_parts]
        return other

    def initial_point(self, seed: int) -> Tensor:
        draws = randomness.generator(seed, "initial point")
        pieces = []
        for fan_in, fan_out in self.shapes:
            bound = np.sqrt(6 / fan_in)
            pieces += [draws.uniform(-bound, bound, fan_in * fan_out), np.zeros(fan_out)]
        return torch.as_tensor(np.concatenate(pieces), dtype=self.dtype, device=self.device)

    def draw(self, generator, worker, count):
        if self.batch_size is None:
            return None
        part = self.parts[worker]
        return part[distinct_indices(generator, len(part), self.batch_size, count)]

    def layers(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weights `[num_replicas, in, out]` and biases `[num_replicas, 1, out]` as views of the flat points."""
        layers, offset = [], 0
        for fan_in, fan_out in self.shapes:
            middle, end = offset + fan_in * fan_out, offset + fan_in * fan_out + fan_out
            layers.append((x[:, offset:middle].view(-1, fan_in, fan_out), x[:, middle:end].unsqueeze(1)))
            offset = end
        return layers

    def gradient(self, worker, x, sample):
        if sample is None:
            inputs, labels = self.whole_parts[worker]
            inputs, labels = inputs.expand(len(x), -1, -1), labels.expand(len(x), -1)
        else:
            inputs, labels = self.inputs[sample], self.labels[sample]
            copies = len(x) // len(sample)
            if copies > 1:  # step sizes share the samples of a seed
                inputs, labels = inputs.repeat(copies, 1, 1), labels.repeat(copies, 1)
        return self.backward(x, inputs, labels, 1.0 / labels.shape[1])[0]

    def backward(self, x: Tensor, inputs: Tensor, labels: Tensor, weights) -> tuple[Tensor, Tensor]:
        """Gradient `[num_replicas, d]` of the weighted loss, and the class scores `[num_replicas, samples, classes]`.

        Written by hand: one tape per replica would cost more than the products (measured at batch 4).
        """
        layers = self.layers(x)
        activations = [inputs]
        for weight, bias in layers[:-1]:
            activations.append(torch.baddbmm(bias, activations[-1], weight).relu_())
        scores = torch.baddbmm(layers[-1][1], activations[-1], layers[-1][0])
        # The loss of one sample has the derivative softmax(scores) − one_hot(label).
        delta = torch.softmax(scores, dim=2)
        delta.scatter_add_(2, labels.unsqueeze(2), self.minus_one.expand(*labels.shape, 1))
        delta *= weights
        gradient = torch.empty_like(x)
        gradients = self.layers(gradient)
        for level in range(len(layers) - 1, -1, -1):
            gradients[level][0].copy_(activations[level].mT @ delta)
            torch.sum(delta, 1, keepdim=True, out=gradients[level][1])
            if level:
                delta = (delta @ layers[level][0].mT).mul_(activations[level] > 0)
        return gradient, scores

    def evaluate(self, x):
        rows = []
        for point in x.split(1):  # one replica at a time: the activations of all would not fit the cache
            gradient, (scores,) = self.backward(
                point, self.evaluation_inputs[None], self.evaluation_labels[None], self.evaluation_weights[:, None]
            )
            losses = torch.nn.functional.cross_entropy(scores, self.evaluation_labels, reduction="none")
            correct = (scores.argmax(1) == self.evaluation_labels).float()
            row = {
                "loss": losses @ self.evaluation_weights,
                "grad_norm_sq": gradient.square().sum(),
                "accuracy": correct @ self.evaluation_weights,
            }
            for name, classes in self.evaluation_groups.items():
                row[f"accuracy_{name}"] = self.accuracy_on(correct, self.evaluation_labels, classes)
            rows.append(row)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    @staticmethod
    def accuracy_on(correct: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
        chosen = torch.isin(labels, torch.tensor(list(classes), device=labels.device))
        return correct[chosen].mean()

    def evaluate_finally(self, x):
        sets = {"train": (self.inputs, self.labels)}
        if self.test_inputs is not None:
            sets["test"] = (self.test_inputs, self.test_labels)
        rows = []
        for point in x.split(1):
            row = {}
            for name, (inputs, labels) in sets.items():
                scores = self.scores(point, inputs)
                correct = (scores.argmax(1) == labels).float()
                row[f"{name}_loss"] = torch.nn.functional.cross_entropy(scores, labels)
                row[f"{name}_accuracy"] = correct.mean()
                for group, classes in self.evaluation_groups.items():
                    row[f"{name}_accuracy_{group}"] = self.accuracy_on(correct, labels, classes)
            rows.append(row)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def scores(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Class scores `[num_samples, num_classes]` of one replica's network, `point` `[1, d]`."""
        layers = self.layers(point)
        for weight, bias in layers[:-1]:
            inputs = torch.addmm(bias[0], inputs, weight[0]).relu_()
        return torch.addmm(layers[-1][1][0], inputs, layers[-1][0][0])


def distinct_indices(generator: np.random.Generator, population: int, size: int, count: int) -> np.ndarray:
    """`count` uniformly random sets of `size` distinct indices below `population` (Floyd), `[count, size]`."""
    lowest = population - size
    candidates = generator.integers(0, np.arange(lowest, population) + 1, size=(count, size))
    for j in range(1, size):
        taken = (candidates[:, :j] == candidates[:, j, None]).any(axis=1)
        candidates[taken, j] = lowest + j
    return candidates


def checked_widths(widths) -> list[int]:
    array = real_array("widths", widths, "at least two positive layer widths")
    if array.ndim != 1 or len(array) < 2 or not all(width >= 1 and width == int(width) for width in array.tolist()):
        raise ValueError(f"widths must be at least two positive layer widths, got {shown(widths)}")
    return [int(width) for width in array]


def checked_data(name: str, inputs, labels_name: str, labels, widths: list[int]) -> tuple[Tensor, Tensor]:
    """Inputs `[num_samples, widths[0]]` and their classes `[num_samples]` as tensors, if they are such."""
    inputs, labels = real_array(name, inputs), real_array(labels_name, labels)
    if inputs.ndim != 2 or not len(inputs):
        raise ValueError(f"{name} must have shape [num_samples, {widths[0]}] with samples, got {list(inputs.shape)}")
    if inputs.shape[1] != widths[0]:
        raise ValueError(f"widths must start with the input size of {name}, {inputs.shape[1]}, got {widths}")
    if not np.isfinite(inputs).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    if labels.shape != inputs.shape[:1]:
        raise ValueError(f"{labels_name} must be one per sample, [{len(inputs)}], got {list(labels.shape)}")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"{labels_name} must be classes counted from 0, as integers, got {shown(labels)}")
    if labels.max() >= widths[-1]:
        raise ValueError(f"widths must end with at least {labels.max() + 1} classes to fit {labels_name}, got {widths}")
    return torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(labels.astype(np.int64))


def checked_parts(parts, num_samples: int) -> list[np.ndarray]:
    """Every worker's sample indices as an array, if they exist and are distinct."""
    if not isinstance(parts, Sequence | np.ndarray) or isinstance(parts, str) or not len(parts):
        raise ValueError(f"parts must be a list with the sample indices of every worker, got {shown(parts)}")
    arrays = []
    for worker, part in enumerate(parts):
        indices = real_array(f"parts[{worker}]", part, "a list of sample indices")
        if not indices.size:
            raise ValueError(f"parts must give every worker data, worker {worker} has none")
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise ValueError(f"parts[{worker}] must be a list of sample indices, got {shown(part)}")
        if indices.min() < 0 or indices.max() >= num_samples:
            raise ValueError(
                f"parts[{worker}] must hold indices from 0 to {num_samples - 1}, got {indices.min()} to {indices.max()}"
            )
        if len(np.unique(indices)) < len(indices):
            raise ValueError(f"parts[{worker}] must hold every sample once, got some more often")
        arrays.append(indices.astype(np.int64))
    return arrays


def checked_groups(groups, num_classes: int) -> dict[str, list[int]]:
    """Named groups of classes, if they are such."""
    if not isinstance(groups, dict):
        raise ValueError(f"evaluation_groups must be classes by name of the group, got {shown(groups)}")
    for name, classes in groups.items():
        allowed = f"a non-empty list of classes 0 to {num_classes - 1}"
        array = real_array(f"evaluation_groups[{name!r}]", classes, allowed)
        if (
            array.ndim != 1
            or not array.size
            or array.dtype.kind not in "iu"
            or not 0 <= array.min() <= array.max() < num_classes
        ):
            raise ValueError(f"evaluation_groups[{name!r}] must be {allowed}, got {shown(classes)}")
    return {name: [int(label) for label in classes] for name, classes in groups.items()}
