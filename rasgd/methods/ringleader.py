"""Ringleader ASGD: asynchronous steps along a table of averages, in rounds of n."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method


class Ringleader(Method):
    """Collects at least one gradient of each worker, then makes exactly n updates, one per worker.

    *Collect*: gradients of worker i are averaged into table entry i and i goes on at the point it holds, until every
    entry has one. *Then exactly n updates*, the last finisher first:

        x ← x − γ (1/n) Σⱼ Gⱼ/bⱼ,   hand x to that worker only                                           [lit]

    A worker not yet updated in this round: its gradient joins its entry, one update, it is handed x. A worker already
    updated: its gradient opens the next round's table and it goes on at the point it holds. After n updates the second
    table becomes the first. Delays stay at most 2n − 2.

    The mean of the table is kept as one more vector, so that an arrival costs O(d) and not O(nd).

    Args:
        restart: "held" as in the paper, or "current", as in the authors' public code, which hands the newest x also to
            workers that only go on [code].

    Reduces to: minibatch SGD in its first update when the gradients are exact, whatever the times.

    Source: Maranjyan, Richtárik 2025 (Ringleader ASGD).
    """

    label = "Ringleader ASGD"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, restart="held"):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        if restart not in ("held", "current"):
            raise ValueError(f"restart must be 'held' or 'current', got {restart!r}")
        self.restart = restart
        self.new_round({"averages": [None] * num_workers, "counts": [0] * num_workers, "mean": None})

    def new_round(self, table: dict) -> None:
        self.table = table
        self.next_table = {"averages": [None] * self.num_workers, "counts": [0] * self.num_workers, "mean": None}
        self.updated = [False] * self.num_workers
        self.missing = self.table["counts"].count(0)

    def add(self, table: dict, worker: int, gradient) -> None:
        """Averages the gradient into the worker's entry and keeps the mean over workers."""
        averages, counts = table["averages"], table["counts"]
        counts[worker] += 1
        if counts[worker] == 1:
            averages[worker] = change = gradient
        else:  # an average moves by the difference to it over the count
            change = gradient.sub_(averages[worker])
            averages[worker].add_(change, alpha=1 / counts[worker])
        share = 1 / (counts[worker] * self.num_workers)
        if table["mean"] is None:
            table["mean"] = change * share
        else:
            table["mean"].add_(change, alpha=share)

    def receive(self, arrival: Arrival) -> list[Job]:
        i = arrival.worker
        if self.updated[i]:
            self.add(self.next_table, i, arrival.gradient)
            return [Job(i, self.restart)]
        self.missing -= self.table["counts"][i] == 0
        self.add(self.table, i, arrival.gradient)
        if self.missing:
            return [Job(i, self.restart)]
        self.update(self.table["mean"])
        self.updated[i] = True
        if all(self.updated):
            self.new_round(self.next_table)
        return [Job(i)]
