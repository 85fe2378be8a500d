"""What is minimised: n local functions with stochastic gradients."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rasgd import randomness


class Problem(ABC):
    """F(x) = (1/n) Σᵢ Fᵢ(x) with Fᵢ(x) = E fᵢ(x; ξ).

    Points come in batches: `x[r]` is the point of replica r. Replicas stand in `itertools.product(step_size, seed)`
    order, so that step sizes of one seed share their samples and `x.view(num_step_sizes, num_seeds, d)` separates them.

    Attributes:
        num_workers: n.
        dim: d, the number of parameters.
        dtype: of points and gradients.
        device: where they live.
        replicas_per_pass: replicas worth computing in one batched run; more fall out of the cache.
        sample_counts: samples that every worker holds, `[n]`; None where gradients come from no data.
        constants: what is known exactly (smoothness, noise_variance, …), by name.
    """

    num_workers: int
    dim: int
    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")
    replicas_per_pass: int = 64
    sample_counts: Sequence[int] | None = None
    constants: ClassVar[dict[str, float]] = {}

    @abstractmethod
    def initial_point(self, seed: int) -> Tensor:
        """x⁰ for one seed, `[d]`."""

    @abstractmethod
    def draw(self, generator: np.random.Generator, worker: int, count: int) -> np.ndarray | None:
        """Randomness of `count` consecutive gradients of a worker, `[count, …]`; None if gradients are exact."""

    def prepare(self, worker: int, draws: Tensor) -> Tensor:
        """Turns draws `[count, num_seeds, …]`, already on the device, into what `gradient` takes, once per block."""
        return draws

    @abstractmethod
    def gradient(self, worker: int, x: Tensor, sample: Tensor | None) -> Tensor:
        """Stochastic gradient of Fᵢ at the points `x` `[num_replicas, d]`, as a new tensor of that shape.

        Args:
            sample: one gradient's entry of `prepare`, `[num_seeds, …]`; None if gradients are exact.
        """

    def gradient_into(self, worker: int, x: Tensor, sample: Tensor | None, out: Tensor) -> None:
        """Writes `gradient` to `out`, which lies in shared memory; worth overriding where the copy takes time."""
        out.copy_(self.gradient(worker, x, sample))

    @abstractmethod
    def evaluate(self, x: Tensor) -> dict[str, Tensor]:
        """Metrics at the points `x` `[num_replicas, d]`, each `[num_replicas]`; at least loss and grad_norm_sq."""

    def evaluate_finally(self, x: Tensor) -> dict[str, Tensor]:
        """Metrics that are worth computing only once, at the end of a run, such as full data sets."""
        return {}

    def to(self, device: str | torch.device) -> Problem:
        """The same problem with its tensors on another device."""
        device = checked_device(device)
        other = object.__new__(type(self))
        other.__dict__ = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.__dict__.items()}
        other.device = device
        return other


class Samples:
    """The sample of every worker's k-th gradient, for several seeds at once, drawn in blocks of 16.

    On a GPU the numbers are drawn on the CPU and uploaded a block at a time, so they do not depend on the device.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int]):
        self.problem = problem
        self.seeds = list(seeds)
        self.blocks = [(-1, None)] * problem.num_workers  # per worker: block number, prepared draws
        self.exact = False  # known after the first draw

    def __call__(self, worker: int, k: int) -> Tensor | None:
        if self.exact:
            return None
        number = k // randomness.BLOCK
        block = self.blocks[worker]
        if block[0] != number:
            block = self.blocks[worker] = (number, self.draw_block(worker, number))
        return None if block[1] is None else block[1][k % randomness.BLOCK]

    def draw_block(self, worker: int, number: int):
        draws = [
            self.problem.draw(randomness.generator(seed, "sample", worker, number), worker, randomness.BLOCK)
            for seed in self.seeds
        ]
        if draws[0] is None:
            self.exact = True
            return None
        stacked = torch.from_numpy(np.stack(draws, axis=1)).to(self.problem.device)
        # A list of per-gradient views: indexing a list costs a tenth of indexing a tensor.
        return list(self.problem.prepare(worker, stacked).unbind(0))


def checked_device(device: str | torch.device) -> torch.device:
    """The device by name.

    Raises:
        ValueError: for anything but cpu and cuda, and for cuda where there is none.
    """
    name = str(device)
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"device must be cpu or cuda, got {name!r}")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for but no CUDA device is available here; use device: cpu")
    return torch.device(name)
