"""Classification of partitioned data by any model whose class scores can be differentiated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rasgd import randomness
from rasgd.problems.base import Problem
from rasgd.validation import is_real, real_array, shown, whole_number


class LabelledData(NamedTuple):
    """Samples as tensors, checked to fit each other; the test samples are evaluated once at the end of a run.

    Attributes:
        inputs, test_inputs: float32 `[num_samples, features]`; test_inputs is None where there are none.
        labels, test_labels: classes counted from 0, int64 `[num_samples]`, or None.
    """

    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor | None
    test_labels: Tensor | None

    @property
    def num_features(self) -> int:
        return self.inputs.shape[1]

    @property
    def num_classes(self) -> int:
        """One more than the largest label."""
        return 1 + max(int(labels.max()) for labels in (self.labels, self.test_labels) if labels is not None)


class Classification(Problem):
    """Mean cross-entropy of a model's class scores, plus a penalty of its parameters, on data that workers own.

    F is the equal average over workers, whatever the sizes of their shares. A stochastic gradient is the mean over a
    batch of distinct samples, drawn afresh for every k from the worker's share [code: batch 4 without replacement].
    A model says how scores follow from parameters (`forward`), and how a derivative by scores becomes one by parameters
    (`backward`); `rasgd.Network` and `rasgd.Logistic` are models.

    Args:
        data: training and test samples.
        num_classes: number of scores, more than any label.
        parts: indices of the samples every worker holds.
        batch_size: samples per stochastic gradient; None takes the worker's whole share (exact local gradients).
        num_evaluation_samples: loss and ‖∇F‖² are taken on a fixed subset of about this many, equally many per
            worker; None takes all samples.
        evaluation_groups: named groups of classes whose accuracy is also evaluated, for example {"slow": [7, 8, 9]}.
        evaluation_weightings: other weights of the workers, `[n]` by name, scaled to sum 1. Loss, ‖∇‖² and accuracy
            of Σ wᵢFᵢ are also evaluated, for example {"frequency": p} gives loss_frequency, grad_norm_sq_frequency and
            accuracy_frequency.
        seed: of the evaluation subset.

    Raises:
        ValueError: for a worker without data or with samples that do not exist, a batch larger than a share, groups or
            weightings that do not fit classes and workers.
    """

    dtype = torch.float32

    def __init__(
        self,
        data: LabelledData,
        num_classes: int,
        parts: Sequence[np.ndarray],
        batch_size: int | None,
        num_evaluation_samples: int | None,
        evaluation_groups: dict[str, Sequence[int]] | None,
        evaluation_weightings: dict[str, Sequence[float]] | None,
        seed: int,
    ):
        self.inputs, self.labels, self.test_inputs, self.test_labels = data
        self.parts = checked_parts(parts, len(data.inputs))
        self.num_workers = len(self.parts)
        self.sample_counts = [len(part) for part in self.parts]
        self.batch_size = checked_batch_size(batch_size, self.parts)
        self.evaluation_groups = checked_groups(evaluation_groups or {}, num_classes)
        weightings = checked_weightings(evaluation_weightings or {}, self.num_workers)
        if shared := set(weightings) & set(self.evaluation_groups):
            raise ValueError(
                f"evaluation_weightings must be named unlike evaluation_groups, got {shared.pop()!r} twice"
            )
        self.choose_evaluation_samples(num_evaluation_samples, whole_number("seed", seed, at_least=0), weightings)
        self.minus_one = torch.tensor(-1.0)
        self.whole_parts = (
            [(self.inputs[part][None], self.labels[part][None]) for part in self.parts] if batch_size is None else None
        )

    def choose_evaluation_samples(self, count: int | None, seed: int, weightings: dict[str, np.ndarray]) -> None:
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
        self.evaluation_inputs, self.evaluation_labels = self.inputs[indices], self.labels[indices]
        sizes = np.array([len(part) for part in chosen])
        per_sample = [1 / (sizes * self.num_workers), *(weights / sizes for weights in weightings.values())]
        self.evaluation_weights = torch.as_tensor(np.repeat(per_sample, sizes, axis=1), dtype=torch.float32)
        self.evaluation_suffixes = ["", *(f"_{name}" for name in weightings)]

    # Scores stand as `[…, num_classes, num_samples]`: softmax along the last of ten entries took seven times as long.

    @abstractmethod
    def forward(self, x: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        """Class scores and what `backward` needs to know of how they came about.

        Args:
            x: points `[num_replicas, d]`.
            inputs: `[num_replicas, num_samples, features]`, or `[1, num_samples, features]` shared by all.

        Returns:
            Scores `[num_replicas, num_classes, num_samples]`, and whatever `backward` takes.
        """

    @abstractmethod
    def backward(self, x: Tensor, passed: Any, delta: Tensor) -> Tensor:
        """Gradient of the penalty plus Σ delta·scores by the parameters, as a new tensor `[num_replicas, d]`.

        Args:
            passed: the second result of `forward` at `x`.
            delta: derivative of the loss by the scores, `[num_replicas, num_classes, num_samples]`; not written to.
        """

    def penalty(self, x: Tensor) -> Tensor:
        """What the loss adds to cross-entropy, `[num_replicas]`."""
        return x.new_zeros(len(x))

    def to(self, device):
        other = super().to(device)
        if self.whole_parts is not None:
            other.whole_parts = [(x.to(other.device), y.to(other.device)) for x, y in self.whole_parts]
        return other

    def draw(self, draws, worker):
        if self.batch_size is None:
            return None
        part = self.parts[worker]
        return part[distinct_indices(draws.uniform(self.batch_size), len(part))]

    def gradient(self, worker, x, sample):
        if sample is None:
            inputs, labels = self.whole_parts[worker]
        else:
            inputs = self.inputs.index_select(0, sample.flatten()).view(*sample.shape, -1)
            labels = self.labels[sample]
            copies = len(x) // len(sample)
            if copies > 1:  # step sizes share the samples of a seed
                inputs = inputs.expand(copies, -1, -1, -1).flatten(0, 1)  # half the time of `repeat`
                labels = labels.expand(copies, -1, -1).flatten(0, 1)
        scores, passed = self.forward(x, inputs)
        return self.backward(x, passed, self.residual(scores, labels).mul_(1.0 / labels.shape[1]))

    def residual(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Derivative of every sample's cross-entropy by its scores: softmax(scores) − one_hot(label)."""
        residual = torch.softmax(scores, dim=1)
        one = (len(scores), 1, labels.shape[1])
        return residual.scatter_add_(1, labels.unsqueeze(1).expand(one), self.minus_one.expand(one))

    def evaluate(self, x):
        inputs, labels = self.evaluation_inputs[None], self.evaluation_labels[None]
        rows = []
        for point in x.split(1):  # one replica at a time: the activations of all would not fit the cache
            scores, passed = self.forward(point, inputs)
            losses = cross_entropy(scores, labels, reduction="none")[0]
            correct = (scores.argmax(1) == labels).float()[0]
            residual, penalty = self.residual(scores, labels), self.penalty(point)[0]
            row = {}
            for suffix, weights in zip(self.evaluation_suffixes, self.evaluation_weights, strict=True):
                gradient = self.backward(point, passed, residual * weights)
                row[f"loss{suffix}"] = losses @ weights + penalty
                row[f"grad_norm_sq{suffix}"] = gradient.square().sum()
                row[f"accuracy{suffix}"] = correct @ weights
            for name, classes in self.evaluation_groups.items():
                row[f"accuracy_{name}"] = accuracy_on(correct, self.evaluation_labels, classes)
            rows.append(row)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def evaluate_finally(self, x):
        """Cross-entropy (without the penalty) and accuracy on all training and test samples, each weighing the same."""
        sets = {"train": (self.inputs, self.labels)}
        if self.test_inputs is not None:
            sets["test"] = (self.test_inputs, self.test_labels)
        rows = []
        for point in x.split(1):
            row = {}
            for name, (inputs, labels) in sets.items():
                scores, _ = self.forward(point, inputs[None])
                correct = (scores[0].argmax(0) == labels).float()
                row[f"{name}_loss"] = cross_entropy(scores, labels[None])
                row[f"{name}_accuracy"] = correct.mean()
                for group, classes in self.evaluation_groups.items():
                    row[f"{name}_accuracy_{group}"] = accuracy_on(correct, labels, classes)
            rows.append(row)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def accuracy_on(correct: Tensor, labels: Tensor, classes: Sequence[int]) -> Tensor:
    chosen = torch.isin(labels, torch.tensor(list(classes), device=labels.device))
    return correct[chosen].mean()


def distinct_indices(uniform: np.ndarray, population: int) -> np.ndarray:
    """Uniformly random sets of distinct indices below `population` (Floyd), from numbers in (0, 1) `[…, size]`."""
    size = uniform.shape[-1]
    lowest = population - size
    # Below m = lowest + 1, …: numbers are at most 1 - 2**-53, and m times that is never rounded up to m.
    candidates = (uniform * np.arange(lowest + 1, population + 1)).astype(np.int64)
    rows = candidates.reshape(-1, size)
    # Sets of plain integers: comparing arrays took 1.5 times as long at batch 4, 2.5 times at batch 32.
    for row, indices in enumerate(rows.tolist()):
        taken = set()
        for column, index in enumerate(indices):
            if index in taken:
                rows[row, column] = index = lowest + column
            taken.add(index)
    return candidates


def checked_samples(inputs_name: str, inputs, labels_name: str, labels) -> tuple[Tensor, Tensor]:
    """Inputs `[num_samples, features]` and their classes `[num_samples]` as tensors, if they are such."""
    inputs, labels = real_array(inputs_name, inputs), real_array(labels_name, labels)
    if inputs.ndim != 2 or not len(inputs):
        raise ValueError(
            f"{inputs_name} must have shape [num_samples, features] with samples, got {list(inputs.shape)}"
        )
    if not np.isfinite(inputs).all():
        raise ValueError(f"{inputs_name} must be finite, got NaN or infinite entries")
    if labels.shape != inputs.shape[:1]:
        raise ValueError(f"{labels_name} must be one per sample, [{len(inputs)}], got {list(labels.shape)}")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"{labels_name} must be classes counted from 0, as integers, got {shown(labels)}")
    return torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(labels.astype(np.int64))


def checked_data(inputs, labels, test_inputs, test_labels) -> LabelledData:
    """Training and test samples, if they are such and fit each other; no test samples if both are None or empty."""
    train, test = checked_samples("inputs", inputs, "labels", labels), (None, None)
    if not all(data is None or np.shape(data)[:1] == (0,) for data in (test_inputs, test_labels)):
        test = checked_samples("test_inputs", test_inputs, "test_labels", test_labels)
        features, given = train[0].shape[1], test[0].shape[1]
        if given != features:
            raise ValueError(f"test_inputs must have the {features} features of inputs, got {given}")
    return LabelledData(*train, *test)


def checked_batch_size(batch_size: int | None, parts: list[np.ndarray]) -> int | None:
    if batch_size is None:
        return None
    smallest = min(range(len(parts)), key=lambda worker: len(parts[worker]))
    largest = len(parts[smallest])
    if not (is_real(batch_size) and int(batch_size) == batch_size and 1 <= batch_size <= largest):
        raise ValueError(
            f"batch_size must be a whole number between 1 and the smallest share, {largest} samples of worker "
            f"{smallest}, got {batch_size!r}"
        )
    return int(batch_size)


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


def checked_weightings(weightings, num_workers: int) -> dict[str, np.ndarray]:
    """Named weights of the workers, scaled to sum 1, if they are such."""
    if not isinstance(weightings, dict):
        raise ValueError(f"evaluation_weightings must be weights by name, got {shown(weightings)}")
    checked = {}
    for name, weights in weightings.items():
        allowed = f"{num_workers} weights of at least 0 that are not all 0, one per worker"
        array = real_array(f"evaluation_weightings[{name!r}]", weights, allowed).astype(np.float64)
        if array.shape != (num_workers,) or not (np.isfinite(array).all() and array.min() >= 0 and array.sum() > 0):
            raise ValueError(f"evaluation_weightings[{name!r}] must be {allowed}, got {shown(weights)}")
        checked[name] = array / array.sum()
    return checked
