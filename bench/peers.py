"""Real processes against other foundations: `python -m bench.peers` prints a Markdown table.

Contenders take turns on each kind of work, so what else the machine does slows all; every value is a ratio of
neighbours in time. Ray's rows need `pip install -r bench/requirements-peers.txt` and are left out without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
from collections.abc import Callable

import numpy as np

import rasgd
from bench.peer_loops import STEP_SIZE, Trivial, bare, ray_actors, rpc
from bench.report import Row, machine, table
from rasgd.problems.base import Problem

REPETITIONS = 5
SECONDS = 1.0  # of each measurement
BATCH = 32

# Least ratios of updates per second: against the bare loop, torch.distributed.rpc and Ray, by kind of work.
TARGETS = {
    "d = 1e3": (0.6, 2.5, 10.0),
    "d = 1e5": (0.7, 2.5, 10.0),
    "d = 1e6": (0.7, 1.9, 5.5),
    "MLP 784-32-10, batch 32": (0.7, 2.5, 7.0),
}


def problem_for(work: str, num_workers: int) -> Problem:
    """The trivial gradient in d dimensions, or the MLP on synthetic images."""
    if work.startswith("d = "):
        return Trivial(num_workers, int(float(work.removeprefix("d = "))))
    generator = np.random.default_rng(0)
    images, labels = generator.random((2000, 784), dtype=np.float32), generator.integers(0, 10, 2000)
    parts = np.array_split(np.arange(2000), num_workers)
    return rasgd.Network(images, labels, parts, (784, 32, 10), batch_size=BATCH)


def ours(problem: Problem, seconds: float) -> float:
    """Vanilla ASGD by `rasgd.simulate` with measured times: the same work, with all its books."""
    t = rasgd.simulate(
        problem,
        "asgd",
        None,
        STEP_SIZE,
        until=seconds,
        eval_every=seconds,
        backend="processes",
        backend_options={"times": "measured"},
    )
    return t.statistics["num_updates"] / seconds


PEERS: dict[str, Callable[[Problem, float], float]] = {
    "bare loop": bare,
    "torch.distributed.rpc": rpc,
    "Ray actors": ray_actors,
}


def measure(work: str, num_workers: int, peers: list[str], repetitions: int, seconds: float) -> dict[str, list[float]]:
    """Updates per second of this project and of its peers, one value per turn."""
    problem, rates = problem_for(work, num_workers), {}
    for _ in range(repetitions):
        for name, contender in {"this project": ours, **{name: PEERS[name] for name in peers}}.items():
            rates.setdefault(name, []).append(contender(problem, seconds))
            print(f"{work}, n = {num_workers}, {name}: {rates[name][-1]:.0f} updates/s", file=sys.stderr, flush=True)
    return rates


def available(peer: str) -> bool:
    return peer != "Ray actors" or importlib.util.find_spec("ray") is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[name for name in PEERS if available(name)])
    parser.add_argument("--work", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing here reports to anyone
    rows, rates = [], []
    for work in arguments.work:
        for num_workers in arguments.workers:
            measured = measure(work, num_workers, arguments.peers, arguments.repetitions, arguments.seconds)
            rates.append((work, num_workers, measured))
            for peer, target in zip(PEERS, TARGETS[work], strict=True):
                if peer in measured:
                    ratios = [a / b for a, b in zip(measured["this project"], measured[peer], strict=True)]
                    rows.append(Row(f"{work}, n = {num_workers}: updates/s against {peer}", ratios, "×", target))
    print(machine(), table(rows), rate_table(rates), sep="\n\n")


def rate_table(rates: list[tuple[str, int, dict[str, list[float]]]]) -> str:
    names = list(rates[0][2])
    lines = [f"| updates/s (median) | n | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for work, num_workers, measured in rates:
        values = " | ".join(f"{statistics.median(measured[name]):,.0f}" for name in names)
        lines.append(f"| {work} | {num_workers} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
