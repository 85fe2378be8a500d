"""Rescaled ASGD in plain numpy: the academic version, which the library must equal."""

import heapq

import numpy as np


def rescaled_asgd(gradient, x0, compute_times, step_size, until):
    """Asynchronous SGD whose steps are proportional to compute times, in virtual time.

    gradient(i, k, x) is worker i's k-th stochastic gradient at x; worker i needs compute_times[i] seconds for each.
    Returns the history [(seconds, x)], one entry at the start and one after every update.
    """
    n = len(compute_times)
    harmonic_mean = n / sum(1 / seconds for seconds in compute_times)
    x = np.array(x0, dtype=float)
    history = [(0.0, x)]
    held = [x] * n  # the point every worker computes its gradient at
    k = [0] * n  # gradients every worker has delivered
    arrivals = [(seconds, i) for i, seconds in enumerate(compute_times)]
    heapq.heapify(arrivals)
    while arrivals[0][0] <= until:
        now, i = arrivals[0]
        x = x - step_size * compute_times[i] / harmonic_mean * gradient(i, k[i], held[i])
        history.append((now, x))
        held[i], k[i] = x, k[i] + 1
        heapq.heapreplace(arrivals, (now + compute_times[i], i))
    return history


if __name__ == "__main__":
    # F is the average of (x - 4)^2 / 2 and (x + 3)^2, its minimiser is -2/3; the second worker is twice as slow.
    gradients = (lambda x: x - 4, lambda x: 2 * (x + 3))
    history = rescaled_asgd(lambda i, k, x: gradients[i](x), [5.0], [1.0, 2.0], step_size=0.00889, until=300.0)
    print(f"x = {history[-1][1][0]:.3f} after {history[-1][0]:g} s and {len(history) - 1} updates")
