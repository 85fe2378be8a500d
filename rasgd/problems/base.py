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

LONGEST_BLOCK = 16  # gradients whose samples are drawn at once
BLOCK_BYTES = 2**22  # of samples that are kept for later, for all workers together: about a core's cache


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
    def draw(self, draws: randomness.Draws, worker: int) -> np.ndarray | None:
        """Randomness of consecutive gradients of a worker, `[count, num_seeds, …]`; None if gradients are exact.

        Args:
            draws: uniform and normal numbers `[count, num_seeds, width]`. One gradient's entries may depend on its own
                numbers alone, since gradients may be drawn one by one or many at a time.
        """

    def prepare(self, worker: int, draws: Tensor) -> Tensor:
        """Turns draws `[count, num_seeds, …]`, already on the device, into what `gradient` takes."""
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
    """The sample of every worker's k-th gradient, for several seeds at once.

    They are drawn in blocks of consecutive k, as long as the blocks of all workers fit the cache, and else one by one;
    the numbers are the same. On a GPU they are drawn on the CPU and uploaded a block at a time, so they do not depend
    on the device.

    Args:
        problem: says what a gradient needs.
        seeds: of the samples.
        num_workers: for how many workers blocks are kept; default all.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int], num_workers: int | None = None):
        self.problem = problem
        self.stream = randomness.Stream(seeds, "sample")
        self.num_workers = problem.num_workers if num_workers is None else num_workers
        self.length = 0  # of blocks, known after the first draw; 0 if gradients are exact
        self.blocks = [(-1, None)] * problem.num_workers  # per worker: block number, one sample per gradient
        self.first = True

    def __call__(self, worker: int, k: int) -> Tensor | None:
        length = self.length
        if length > 1:
            number, position = divmod(k, length)
            block = self.blocks[worker]
            if block[0] != number:
                # A list of views: indexing a list costs a tenth of indexing a tensor.
                block = self.blocks[worker] = (number, list(self.draw(worker, number * length, length).unbind(0)))
            return block[1][position]
        if length or self.first:
            sample = self.draw(worker, k, 1)
            if self.first:
                self.first = False
                self.length = 0 if sample is None else self.longest_block(sample.nbytes)
            return None if sample is None else sample[0]
        return None

    def longest_block(self, num_bytes: int) -> int:
        """Gradients per block, a power of two, if one gradient's sample takes so many bytes."""
        length = LONGEST_BLOCK
        while length > 1 and self.num_workers * length * num_bytes > BLOCK_BYTES:
            length //= 2
        return length

    def draw(self, worker: int, k: int, count: int) -> Tensor | None:
        draws = self.problem.draw(self.stream.at(worker, k, count), worker)
        return None if draws is None else self.problem.prepare(worker, torch.from_numpy(draws).to(self.problem.device))


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
