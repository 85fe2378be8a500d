"""By what a problem and a law of compute times are known again: a few numbers that cost little."""

from __future__ import annotations

import math

import torch

from rasgd import randomness
from rasgd.compute_times import ComputeTimes
from rasgd.problems.base import Problem, Samples

SAME = 1e-4  # relative: another processor may change the last digits
DISTANCE = 0.1  # per coordinate, from x⁰ to the point of the comparison: zero is a special point of many problems


def problem_fingerprint(problem: Problem, seed: int) -> dict:
    """Loss, gradient and every worker's first stochastic gradient at a random point, as JSON values.

    Args:
        problem: costs one evaluation and n gradients of one replica.
        seed: of x⁰, the point and the samples.
    """
    with torch.no_grad():
        start = problem.initial_point(seed)
        step = torch.from_numpy(randomness.generator(seed, "fingerprint").standard_normal(problem.dim))
        x = (start + DISTANCE * step.to(start))[None]
        metrics, samples = problem.evaluate(x), Samples(problem, [seed])
        gradients = [problem.gradient(worker, x, samples(worker, 0)) for worker in range(problem.num_workers)]
        return {
            "seed": seed,
            "loss": float(metrics["loss"]),
            "grad_norm_sq": float(metrics["grad_norm_sq"]),
            "initial_norm": float(start.double().norm()),
            "gradient_norms": [float(gradient.double().norm()) for gradient in gradients],
        }


def difference(known: dict, problem: Problem) -> str | None:
    """What tells the problem from the one whose fingerprint is known, as a clause of a message; None for the same."""
    given = problem_fingerprint(problem, known["seed"])
    for name, what in (("loss", "loss"), ("grad_norm_sq", "squared gradient norm"), ("initial_norm", "norm of x⁰")):
        if not same(known[name], given[name]):
            return f"whose {what} is {known[name]:.8g} where it is compared, got {given[name]:.8g}"
    norms = zip(known["gradient_norms"], given["gradient_norms"], strict=True)
    for worker, (one, other) in enumerate(norms):
        if not same(one, other):
            return f"whose worker {worker} has a first gradient of norm {one:.8g} where it is compared, got {other:.8g}"
    return None


def same(one: float, other: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return str(one) == str(other)
    return abs(one - other) <= SAME * max(abs(one), abs(other))


def times_fingerprint(times: ComputeTimes, until: float) -> list[list[float]]:
    """Seconds of every worker's first gradient, if it is started at the beginning, the middle or the end of a run."""
    starts = (0.0, until / 2, until)
    return [[float(times.duration(worker, 0, start)) for start in starts] for worker in range(times.num_workers)]
