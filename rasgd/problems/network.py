"""Classification by a multilayer perceptron on partitioned data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.problems.base import Problem


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
        test_inputs, test_labels: evaluated once at the end of a run.
        seed: of the evaluation subset.

    Raises:
        ValueError: for widths that do not fit the data, a worker without data, or a batch larger than a share.
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
        self.inputs = torch.as_tensor(np.asarray(inputs), dtype=torch.float32)
        self.labels = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
        self.parts = [np.asarray(part, dtype=np.int64) for part in parts]
        self.widths = [int(width) for width in widths]
        self.batch_size = batch_size
        self.evaluation_groups = dict(evaluation_groups or {})
        self.check()
        self.num_workers = len(self.parts)
        self.shapes = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self.dim = sum(fan_in * fan_out + fan_out for fan_in, fan_out in self.shapes)
        # A network that only predicts chance, as one with dead units does, has collapsed.
        self.constants = {"collapse_loss": 0.95 * float(np.log(self.widths[-1]))}
        self.replicas_per_pass = max(1, 2**18 // self.dim)  # 1 MiB of float32 per point
        if test_inputs is not None and len(test_inputs):
            self.test_inputs = torch.as_tensor(np.asarray(test_inputs), dtype=torch.float32)
            self.test_labels = torch.as_tensor(np.asarray(test_labels), dtype=torch.int64)
        else:
            self.test_inputs = self.test_labels = None
        self.choose_evaluation_samples(num_evaluation_samples, seed)
        self.whole_parts = (
            [(self.inputs[part], self.labels[part]) for part in self.parts] if batch_size is None else None
        )

    def check(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise ValueError(f"labels must be one per input, got {len(self.labels)} for {len(self.inputs)} inputs")
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths must be at least two positive layer widths, got {self.widths}")
        if self.widths[0] != self.inputs.shape[1]:
            raise ValueError(f"widths must start with the input size {self.inputs.shape[1]}, got {self.widths}")
        if self.widths[-1] <= int(self.labels.max()):
            raise ValueError(f"widths must end with at least {int(self.labels.max()) + 1} classes, got {self.widths}")
        smallest = min(range(len(self.parts)), key=lambda worker: len(self.parts[worker]))
        if len(self.parts[smallest]) == 0:
            raise ValueError(f"parts must give every worker data, worker {smallest} has none")
        if self.batch_size is not None and not 1 <= self.batch_size <= len(self.parts[smallest]):
            raise ValueError(
                f"batch_size must lie between 1 and the smallest share, {len(self.parts[smallest])} samples of worker "
                f"{smallest}, got {self.batch_size}"
            )

    def choose_evaluation_samples(self, count: int | None, seed: int) -> None:
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
            copies = len(x) // len(sample)
            inputs = self.inputs[sample].repeat(copies, 1, 1)
            labels = self.labels[sample].repeat(copies, 1)
        return self.backward(x, inputs, labels, 1.0 / labels.shape[1])[1]

    def backward(self, x: Tensor, inputs: Tensor, labels: Tensor, weights) -> tuple[Tensor, Tensor, Tensor]:
        """Weighted loss `[num_replicas]`, its gradient `[num_replicas, d]` and the class scores.

        Written by hand: one tape per replica would cost more than the products (measured at batch 4).
        """
        layers = self.layers(x)
        activations = [inputs]
        for weight, bias in layers[:-1]:
            activations.append(torch.baddbmm(bias, activations[-1], weight).relu_())
        scores = torch.baddbmm(layers[-1][1], activations[-1], layers[-1][0])
        log_probabilities = torch.log_softmax(scores, dim=2)
        picked = labels.unsqueeze(2)
        loss = -(log_probabilities.gather(2, picked).squeeze(2) * weights).sum(1)
        delta = log_probabilities.exp_()
        delta.scatter_add_(2, picked, torch.full_like(picked, -1, dtype=delta.dtype))
        delta *= weights.unsqueeze(-1) if isinstance(weights, Tensor) else weights
        gradient = torch.empty_like(x)
        gradients = self.layers(gradient)
        for level in range(len(layers) - 1, -1, -1):
            gradients[level][0].copy_(activations[level].mT @ delta)
            gradients[level][1].copy_(delta.sum(1, keepdim=True))
            if level:
                delta = (delta @ layers[level][0].mT).mul_(activations[level] > 0)
        return loss, gradient, scores

    def evaluate(self, x):
        rows = []
        for point in x.split(1):  # one replica at a time: the activations of all would not fit the cache
            loss, gradient, scores = self.backward(
                point, self.evaluation_inputs[None], self.evaluation_labels[None], self.evaluation_weights
            )
            correct = (scores[0].argmax(1) == self.evaluation_labels).float()
            row = {
                "loss": loss[0],
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
