"""The block zero-chain of `rasgd.theory.worst_case` as a problem that methods run on."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rasgd.problems.base import Problem
from rasgd.theory.worst_case import BlockZeroChain


class ZeroChain(Problem):
    """Fᵢ owns one block of x and shows its next coordinate only when a coin falls right (Tyurin & Richtárik 2023).

    ∇fᵢ(x; ξ) is ∇Fᵢ(x) with the coordinates beyond the block's progress multiplied by ξ/pᵢ, ξ ~ Bernoulli(pᵢ).

    Args:
        chain: the instance, as `theory.block_zero_chain` makes it. x⁰ = 0.
    """

    dtype = torch.float64

    def __init__(self, chain: BlockZeroChain):
        self.num_workers, self.dim = chain.num_workers, chain.dim
        self.chain_length = chain.chain_length
        self.probabilities = chain.probabilities
        self.scales = torch.from_numpy(np.asarray(chain.scales, dtype=np.float64))
        self.gradient_scales = torch.from_numpy(np.asarray(chain.block_gradients, dtype=np.float64))
        self.positions = torch.arange(1, chain.chain_length + 1)
        constants = chain.constants
        self.constants = {"smoothness": constants.smoothness, "noise_variance": constants.noise_variance}

    def initial_point(self, seed: int) -> Tensor:
        return torch.zeros(self.dim, dtype=self.dtype, device=self.device)

    def draw(self, draws, worker):
        return (draws.uniform(1) < self.probabilities[worker]) / self.probabilities[worker]

    def gradient(self, worker, x, sample):
        own = slice(worker * self.chain_length, (worker + 1) * self.chain_length)
        block = x[:, own] / self.scales[worker]
        inner = chain_gradient(block) * (self.num_workers * self.gradient_scales[worker])
        progress = torch.where(block.abs() > 0.25, self.positions, 0).amax(1, keepdim=True)
        shown = inner.view(-1, *sample.shape[:1], self.chain_length) * sample
        result = torch.zeros_like(x)
        result[:, own] = torch.where(self.positions > progress, shown.view_as(inner), inner)
        return result

    def evaluate(self, x):
        blocks = x.view(-1, self.num_workers, self.chain_length) / self.scales[:, None]
        gradients = chain_gradient(blocks) * self.gradient_scales[:, None]
        values = chain_value(blocks) * self.gradient_scales * self.scales
        return {"loss": values.sum(1), "grad_norm_sq": gradients.square().sum((1, 2))}


def chain_value(x: Tensor) -> Tensor:
    """F_T(x) for x `[…, T]`."""
    before = torch.cat([torch.ones_like(x[..., :1]), x[..., :-1]], -1)
    # Of Ψ(−b)Φ(−x) − Ψ(b)Φ(x) one term is 0: Ψ vanishes below ½.
    return (-before.sign() * psi(before.abs()) * phi(before.sign() * x)).sum(-1)


def chain_gradient(x: Tensor) -> Tensor:
    """∇F_T(x) for x `[…, T]`."""
    before = torch.cat([torch.ones_like(x[..., :1]), x[..., :-1]], -1)
    gradient = -psi(before.abs()) * (math.sqrt(math.e) * torch.exp(-x.square() / 2))
    here, after = x[..., :-1], x[..., 1:]
    gradient[..., :-1] -= psi_derivative(here.abs()) * phi(here.sign() * after)
    return gradient


def psi(x: Tensor) -> Tensor:
    # Below .51 exp(1 − 2500) is 0 in double precision: the bound keeps the pole away without a case distinction.
    return torch.exp(1 - inverse_distance(x).square())


def psi_derivative(x: Tensor) -> Tensor:
    inverse = inverse_distance(x)
    return 4 * inverse.pow(3) * torch.exp(1 - inverse.square())


def inverse_distance(x: Tensor) -> Tensor:
    """1/(2x − 1) where x is above .51, its value there below."""
    return (x.clamp(min=0.51) * 2).sub_(1).reciprocal_()


def phi(x: Tensor) -> Tensor:
    return math.sqrt(math.e * math.pi / 2) * (1 + torch.erf(x / math.sqrt(2)))
