"""Virtual time against the least that could do the same: `python -m bench.virtual_time` prints a Markdown table.

The contenders take turns, so whatever else the machine does slows both; every value is a ratio of neighbours in time.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import torch

import rasgd
from bench.report import Row, processor_seconds, table
from rasgd.data import datasets, partition
from rasgd.problems.base import Samples

REPETITIONS = 5

# The quadratic experiment's setting: d = 50, n = 16, noise on every gradient.
QUADRATIC_TIMES = [1.0, 1, 2, 2, 3, 3, 4, 4, 6, 6, 8, 8, 12, 12, 24, 24]
STEP_SIZES = np.geomspace(0.002, 0.02, 15).tolist()
SEEDS = [0, 1, 2, 3]
HORIZON = 2000.0
NUM_EVALUATIONS = 60

# A tuning pass of the MNIST experiment: MLP 784-32-10, batch 4, 20 workers, 6 step sizes × 2 seeds.
NETWORK_TIMES = list(range(1, 21))
NETWORK_STEP_SIZES = [0.002, 0.004, 0.008, 0.016, 0.032, 0.064]
NETWORK_SEEDS = [0, 1]
NETWORK_GRADIENTS = 2000  # about so many arrivals per run, whatever the method
NUM_IMAGES = 500  # evaluations are no server logic: on few images they take next to no time


def quadratic(noise: float = 1.0) -> rasgd.Quadratic:
    return rasgd.random_quadratic(len(QUADRATIC_TIMES), 50, noise=noise, heterogeneity=0.3)


def plain_loop(problem: rasgd.Quadratic, step_size: float, seed: int, until: float, draws: int = 256) -> np.ndarray:
    """Rescaled ASGD on a quadratic with nothing but numpy and a heap: what one would write for this case alone.

    Args:
        draws: gradients whose noise is drawn at once, from one generator.

    Returns:
        The last point, `[d]`.
    """
    A, b, mean_A, mean_b = (tensor.numpy() for tensor in (problem.A, problem.b, problem.mean_A, problem.mean_b))
    n, d = b.shape
    harmonic_mean = n / sum(1 / seconds for seconds in QUADRATIC_TIMES)
    steps = [step_size * seconds / harmonic_mean for seconds in QUADRATIC_TIMES]
    generator, used, noise = np.random.default_rng(seed), draws, None
    x = problem.x0.numpy()
    held = [x] * n
    events = sorted((QUADRATIC_TIMES[i], i) for i in range(n))
    evaluations, metrics = [j * until / NUM_EVALUATIONS for j in range(NUM_EVALUATIONS + 1)], []
    while True:
        time, i = heappop(events)
        while evaluations and evaluations[0] < time:
            evaluations.pop(0)
            gradient = mean_A @ x - mean_b
            metrics.append((0.5 * x @ mean_A @ x - mean_b @ x, gradient @ gradient))
        if time > until:
            return x
        if used == draws:
            noise, used = problem.noise_std * generator.standard_normal((draws, d)), 0
        x = x - steps[i] * (A[i] @ held[i] - b[i] + noise[used])
        used += 1
        held[i] = x
        heappush(events, (time + QUADRATIC_TIMES[i], i))


def simulated(problem: rasgd.Quadratic, step_size, seed, until: float) -> np.ndarray:
    return rasgd.simulate(problem, "rescaled", QUADRATIC_TIMES, step_size, seed=seed, until=until).final_point


def check_same_work() -> None:
    """Without noise both contenders must end at the same point."""
    problem = quadratic(noise=0.0)
    ends = [contender(problem, STEP_SIZES[0], 0, 100.0) for contender in (plain_loop, simulated)]
    np.testing.assert_allclose(*ends, rtol=1e-9)


def one_replica() -> Row:
    problem = quadratic()

    def loop():
        plain_loop(problem, STEP_SIZES[0], 0, HORIZON)

    def library():
        simulated(problem, STEP_SIZES[0], 0, HORIZON)

    what = "noisy quadratic, d = 50, n = 16, one replica: speed of a plain numpy event loop"
    return Row(what, ratios(loop, library), "×", at_least=0.25)


def many_replicas() -> Row:
    problem = quadratic()

    def loop():
        for step_size in STEP_SIZES:
            for seed in SEEDS:
                plain_loop(problem, step_size, seed, HORIZON)

    def library():
        simulated(problem, STEP_SIZES, SEEDS, HORIZON)

    what = "the same, 15 step sizes × 4 seeds in one run: speed of that loop run 60 times"
    return Row(what, ratios(loop, library), "×", at_least=7)


def ratios(slow_or_plain, library) -> list[float]:
    """How many times as fast as the plain contender the library is, once per repetition; the first try is dropped."""
    return [processor_seconds(slow_or_plain) / processor_seconds(library) for _ in range(REPETITIONS + 1)][1:]


def network() -> rasgd.Network:
    data = datasets.load("mnist_5k")
    some = np.linspace(0, len(data.train_labels) - 1, NUM_IMAGES).astype(int)
    inputs, labels = data.train_inputs[some], data.train_labels[some]
    parts = partition.dirichlet(labels, len(NETWORK_TIMES), 0.1, 0).indices
    return rasgd.Network(inputs, labels, parts, (784, 32, 10), batch_size=4, num_evaluation_samples=100)


class BareGradients:
    """The gradients of a run in the order of their arrival, from points of each worker's own, and nothing else."""

    def __init__(self, problem: rasgd.Network, trajectory: rasgd.Trajectory):
        self.problem = problem
        self.order = list(zip(trajectory.trace["worker"].tolist(), trajectory.trace["k"].tolist(), strict=True))
        points = torch.from_numpy(trajectory.final_points)
        self.points = [points.clone() for _ in range(problem.num_workers)]

    def __call__(self) -> None:
        samples = Samples(self.problem, NETWORK_SEEDS)
        for worker, k in self.order:
            self.problem.gradient(worker, self.points[worker], samples(worker, k))


def network_sweep(problem: rasgd.Network, method: str) -> Row:
    def library(until, record=False):
        return rasgd.simulate(
            problem,
            method,
            NETWORK_TIMES,
            NETWORK_STEP_SIZES,
            seed=NETWORK_SEEDS,
            until=until,
            eval_every=until,
            record=record,
        )

    short = 10.0 * max(NETWORK_TIMES)
    until = short * NETWORK_GRADIENTS / sum(library(short).statistics["arrivals"])
    trajectory = library(until, record=True)
    bare = BareGradients(problem, trajectory)
    shares = [100 * share for share in ratios(bare, lambda: library(until))]
    return Row(
        f"MLP 784-32-10, batch 4, n = 20, 12 replicas: {trajectory.metadata['label']}", shares, " %", at_least=70
    )


def main() -> None:
    torch.set_num_threads(1)
    check_same_work()
    rows = [one_replica(), many_replicas()]
    problem = network()
    rows += [network_sweep(problem, method) for method in rasgd.METHODS]
    print(table(rows))


if __name__ == "__main__":
    main()
