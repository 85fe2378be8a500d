"""Softmax regression with a bounded, nonconvex penalty: smooth, nonconvex, and quick to bring to a stationary point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness
from rasgd.problems.classification import Classification, checked_data
from rasgd.validation import real_number, whole_number


class Logistic(Classification):
    """Cross-entropy of softmax regression plus λ Σⱼ xⱼ²/(1 + xⱼ²), its parameters one flat vector per replica.

        Fᵢ(x) = mean over worker i's samples of −log softmax(W(a, 1))[label]  +  λ Σⱼ xⱼ²/(1 + xⱼ²)

    x holds for every class its weights and then its bias, `[classes, features + 1]`. The penalty of a coordinate is at
    most λ, and concave beyond |xⱼ| = 1/√3: F is smooth and nonconvex, the abstract's setting. Every Fᵢ is L-smooth with
    L = 2λ + half the largest eigenvalue of the mean of ããᵀ over its samples, ã = (a, 1) [derived].

    Args:
        inputs: training inputs a, float `[num_samples, features]`.
        labels: their classes, integer `[num_samples]`.
        parts: indices of the samples every worker holds.
        penalty_weight: λ ≥ 0.
        batch_size: samples per stochastic gradient; None takes the worker's whole share (exact local gradients).
        num_classes: number of classes; None takes the largest label + 1.
        initial_std: standard deviation of the normal x⁰ that is drawn from the seed; 0 starts at 0.
        num_evaluation_samples: loss and ‖∇F‖² are taken on a fixed subset of about this many, equally many per
            worker; None takes all samples, each worker's share weighing 1/n.
        evaluation_groups: named groups of classes whose accuracy is also evaluated, for example {"slow": [7, 8, 9]}.
        evaluation_weightings: other weights of the workers, `[n]` by name, under which loss, ‖∇‖² and accuracy are also
            evaluated; scaled to sum 1.
        test_inputs, test_labels: evaluated once at the end of a run; None or empty if there are none.
        seed: of the evaluation subset.

    Raises:
        ValueError: for data that are not finite numbers or do not fit each other, numbers out of range, a worker
            without data or with samples that do not exist, a batch larger than a share, or weightings that do not fit
            the workers.
    """

    def __init__(
        self,
        inputs,
        labels,
        parts: Sequence[np.ndarray],
        penalty_weight: float = 1e-3,
        batch_size: int | None = None,
        num_classes: int | None = None,
        initial_std: float = 0.0,
        num_evaluation_samples: int | None = None,
        evaluation_groups: dict[str, Sequence[int]] | None = None,
        evaluation_weightings: dict[str, Sequence[float]] | None = None,
        test_inputs=None,
        test_labels=None,
        seed: int = 0,
    ):
        self.penalty_weight = real_number("penalty_weight", penalty_weight, at_least=0)
        self.initial_std = real_number("initial_std", initial_std, at_least=0)
        data = checked_data(inputs, labels, test_inputs, test_labels)
        needed = data.num_classes
        self.num_classes = whole_number("num_classes", needed if num_classes is None else num_classes, at_least=needed)
        data = data._replace(inputs=with_ones(data.inputs), test_inputs=with_ones(data.test_inputs))
        self.dim = data.num_features * self.num_classes
        self.replicas_per_pass = max(1, 2**18 // self.dim)  # 1 MiB of float32 per point
        super().__init__(
            data, self.num_classes, parts, batch_size, num_evaluation_samples, evaluation_groups,
            evaluation_weightings, seed,
        )  # fmt: skip

    def initial_point(self, seed: int) -> Tensor:
        draws = randomness.generator(seed, "initial point").standard_normal(self.dim)
        return torch.as_tensor(self.initial_std * draws, dtype=self.dtype, device=self.device)

    def forward(self, x, inputs):
        if len(inputs) > 1:
            return x.view(len(x), self.num_classes, -1) @ inputs.mT, inputs
        # One product for all replicas: batched ones with ten rows each took four times as long.
        return (x.view(len(x) * self.num_classes, -1) @ inputs[0].mT).view(len(x), self.num_classes, -1), inputs

    def backward(self, x, passed, delta):
        gradient = x * (2 * self.penalty_weight) / (1 + x.square()).square_()
        if len(passed) > 1:
            gradient.view(len(x), self.num_classes, -1).baddbmm_(delta, passed)
        else:
            gradient.view(len(x) * self.num_classes, -1).addmm_(delta.reshape(-1, delta.shape[2]), passed[0])
        return gradient

    def penalty(self, x):
        squares = x.square()
        return self.penalty_weight * (squares / (1 + squares)).sum(1)


def with_ones(inputs: Tensor | None) -> Tensor | None:
    """The inputs with one more feature that is always 1: its weight is the bias."""
    return None if inputs is None else torch.nn.functional.pad(inputs, (0, 1), value=1.0)
