"""Malenia SGD in closed form: its rounds are minibatch SGD with another duration and another noise."""

from __future__ import annotations

from heapq import heapify, heapreplace

import numpy as np
from numpy.typing import ArrayLike

from rasgd.compute_times import checked_times
from rasgd.theory.quadratic import QuadraticInstance, minibatch_instance
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


def malenia_twin(
    instance: QuadraticInstance, compute_times: ArrayLike, batch: float
) -> tuple[QuadraticInstance, np.ndarray]:
    """Return (instance, compute times [1]) on which minibatch SGD has exactly Malenia's moments. [derived]

    All gradients of a round are taken at the same x, so an update moves along the exact mean gradient with noise
    (σ²/n²) Σ 1/Bᵢ. Every function of this package that takes an instance, times and ``"minibatch"`` thereby predicts
    Malenia SGD with S = ``batch``.
    """
    seconds, counts = malenia_round(compute_times, batch)
    mean = minibatch_instance(instance)
    noise_std = instance.noise_std * np.sqrt((1.0 / counts).sum()) / instance.num_workers
    twin = QuadraticInstance(mean.curvatures, mean.offsets, mean.basis, mean.minimiser, mean.initial, float(noise_std))
    return twin, np.array([seconds])
