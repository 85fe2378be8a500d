"""Malenia SGD's rounds in closed form, for batches too large to follow gradient by gradient. [derived]"""

from __future__ import annotations

from heapq import heapify, heapreplace

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.exact.maps import Dynamics, as_instance, dynamics
from rasgd.exact.quadratic import QuadraticInstance
from rasgd.validation import real_number


def malenia_round(compute_times: ArrayLike, batch: float) -> tuple[float, np.ndarray]:
    """Return (seconds, Bᵢ [n]): how long one of Malenia's rounds lasts and how many gradients of each worker it holds.

    A round starts all workers afresh and ends with the arrival at which (1/n Σ 1/Bᵢ)⁻¹ ≥ max(1, S/n), ``batch`` = S.
    [lit] Under fixed compute times all rounds are alike. [derived] Arrivals at the same instant count in the order of
    workers, those after the last one are dropped; times whose multiples are no exact floats need not tie.
    """
    times = checked_times(compute_times)
    n = times.size
    # 1e-12: floating point must not miss equality, such as B = (1, 1, 3, 3) with S = 6.
    wanted = max(1.0, real_number("batch", batch, above=0) / n) * (1 - 1e-12)
    counts, inverse_sum, missing = np.zeros(n, dtype=np.int64), 0.0, n
    arrivals = [(float(seconds), worker) for worker, seconds in enumerate(times)]
    heapify(arrivals)
    while True:
        now, worker = arrivals[0]
        counts[worker] += 1
        count = int(counts[worker])
        missing -= count == 1
        inverse_sum += 1.0 if count == 1 else 1.0 / count - 1.0 / (count - 1)
        if not missing and n / inverse_sum >= wanted:
            return now, counts
        heapreplace(arrivals, (float(times[worker]) * (count + 1), worker))


def malenia_rounds(problem, compute_times: ArrayLike, batch: float) -> Dynamics:
    """Malenia SGD with S = ``batch`` on a quadratic as the dynamics of a minibatch step per round. [derived]

    All gradients of a round are taken at the same x, so an update moves along the exact mean gradient with noise
    (σ²/n²) Σ 1/Bᵢ: one worker that holds the mean objective, needs a round's seconds and has this noise makes the same
    steps.
    """
    instance = as_instance(problem)
    seconds, counts = malenia_round(compute_times, batch)
    noise_std = instance.noise_std * np.sqrt((1.0 / counts).sum()) / instance.num_workers
    mean = QuadraticInstance(
        curvatures=instance.mean_curvature[None],
        offsets=np.zeros_like(instance.offsets[:1]),
        basis=instance.basis,
        minimiser=instance.minimiser,
        initial=instance.initial,
        noise_std=float(noise_std),
    )
    return dynamics(mean, "minibatch", [seconds])
