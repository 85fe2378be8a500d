"""The metrics of a run: taken at evaluation times, marked where a replica has diverged, laid out as columns."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rasgd.instants import after, latest
from rasgd.problems.base import Problem

MAX_EVALUATIONS = 1_000_000


def check_evaluations(until: float, eval_every: float) -> None:
    """Refuses an evaluation grid that no memory holds.

    Raises:
        ValueError: naming the smallest spacing that is allowed.
    """
    if until / eval_every > MAX_EVALUATIONS:
        smallest = until / MAX_EVALUATIONS
        raise ValueError(f"eval_every must be at least until/{MAX_EVALUATIONS}, {smallest:g} s, got {eval_every:g}")


def evaluation_times(until: float, eval_every: float) -> list[float]:
    """0, eval_every, 2·eval_every, … up to the horizon, which is met exactly where the last one is the same instant."""
    times = [j * eval_every for j in range(math.floor(latest(until) / eval_every) + 1)]
    if not after(until, times[-1]):
        times[-1] = until
    return times


class Evaluations:
    """The evaluations of one run over all its replicas.

    Args:
        problem: what is evaluated.
        replicas: step size and seed of every replica.
        later: only keep the points for now, and evaluate them when the columns are asked for.
    """

    def __init__(self, problem: Problem, replicas: list[tuple[float, int]], later: bool = False):
        self.problem, self.replicas, self.later = problem, replicas, later
        self.done = []  # (time, updates, metrics by name, finite by replica)
        self.waiting = []  # (time, updates, x)

    def add(self, time: float, updates: int, x: Tensor) -> None:
        self.waiting.append((time, updates, x.clone() if self.later else x))  # x may lie in memory that is scarce
        if not self.later:
            self.evaluate()

    def evaluate(self) -> None:
        for time, updates, x in self.waiting:
            metrics = {name: values.double().cpu().numpy() for name, values in self.problem.evaluate(x).items()}
            finite = torch.isfinite(x).all(1).cpu().numpy()
            for values in (metrics["loss"], metrics["grad_norm_sq"]):
                finite &= np.isfinite(values)
            if self.done:
                finite &= self.done[-1][3]  # once diverged, diverged
            self.done.append((time, updates, metrics, finite))
        self.waiting = []

    def __len__(self) -> int:
        return len(self.done) + len(self.waiting)

    def state(self) -> dict:
        """What has been evaluated or waits for it, as tensors, numbers, lists and dicts."""
        done = [
            (
                time,
                updates,
                {name: torch.from_numpy(values) for name, values in metrics.items()},
                torch.from_numpy(finite),
            )
            for time, updates, metrics, finite in self.done
        ]
        return {"done": done, "waiting": self.waiting}

    def restore(self, state: dict) -> None:
        self.waiting = state["waiting"]
        self.done = [
            (time, updates, {name: values.numpy() for name, values in metrics.items()}, finite.numpy())
            for time, updates, metrics, finite in state["done"]
        ]

    def columns(self) -> dict[str, np.ndarray]:
        """Metric rows, one per evaluation and replica that is still finite."""
        self.evaluate()
        steps, seeds = (np.array(values) for values in zip(*self.replicas, strict=True))
        chunks = []
        for time, updates, metrics, finite in self.done:
            shared = {"time": time, "updates": updates}
            rows = {name: np.full(finite.sum(), value) for name, value in shared.items()}
            rows |= {name: values[finite] for name, values in metrics.items()}
            chunks.append(rows | {"step_size": steps[finite], "seed": seeds[finite]})
        return {name: np.concatenate([rows[name] for rows in chunks]) for name in chunks[0]}

    def replica_columns(self, final_point: Tensor) -> dict[str, np.ndarray]:
        """One entry per replica: how it ended, and what is evaluated only once."""
        self.evaluate()
        steps, seeds = (np.array(values) for values in zip(*self.replicas, strict=True))
        times = np.array([evaluation[0] for evaluation in self.done])
        finite = np.array([evaluation[3] for evaluation in self.done])
        last_loss = self.done[-1][2]["loss"]
        collapse_loss = self.problem.constants.get("collapse_loss", math.inf)
        columns = {
            "step_size": steps,
            "seed": seeds,
            "diverged_at": np.where(finite.all(0), np.nan, times[np.argmin(finite, axis=0)]),
            "collapsed": (finite[-1] & (last_loss >= collapse_loss)).astype(np.int64),
        }
        once = self.problem.evaluate_finally(final_point)
        return columns | {name: values.double().cpu().numpy() for name, values in once.items()}
