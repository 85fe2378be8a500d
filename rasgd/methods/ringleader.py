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

    Where several workers are the slowest, one of them updates a whole τ_max after the other, and only then begins to
    collect for the next round: with two workers each of 1, 2, 4, 8, 16 s a round takes 1½ τ_max on average. With
    trigger="opens" a gradient that arrives when the table is complete, and so triggers its worker's update, opens the
    next round's table instead of joining the present one; only the gradient that completes a table joins it. So every
    worker's first gradient of the round counts for the next one, and a round lasts as long as collecting takes: τ_max
    with fixed times, with exponential ones exactly as long as one of Malenia SGD's. [inferred: the published curves
    are as fast as this rule and faster than the published one]

    While the table has gaps its mean is not needed; once it is full the mean is kept as one more vector, and with
    trigger="opens" the table is not. So an arrival costs O(d), and the first update of a round O(nd).

    Args:
        restart: "held" as in the paper, or "current", as in the authors' public code, which hands the newest x also to
            workers that only go on [code].
        trigger: "joins" as in the paper, or "opens": what a gradient does to the tables that arrives when the table is
            complete and triggers an update.

    Reduces to: minibatch SGD in its first update when the gradients are exact, whatever the times.

    Source: Maranjyan, Richtárik 2025 (Ringleader ASGD).
    """

    label = "Ringleader ASGD"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, restart="held", trigger="joins"):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        if restart not in ("held", "current"):
            raise ValueError(f"restart must be 'held' or 'current', got {restart!r}")
        if trigger not in ("joins", "opens"):
            raise ValueError(f"trigger must be 'joins' or 'opens', got {trigger!r}")
        self.restart, self.trigger = restart, trigger
        self.new_round(self.empty_table())

    def empty_table(self) -> dict:
        """Sums and counts by worker; a sum is meaningless while its count is 0."""
        return {"sums": [None] * self.num_workers, "counts": [0] * self.num_workers}

    def new_round(self, table: dict) -> None:
        self.table, self.next_table = table, self.empty_table()
        self.mean = None  # of the table's averages, once there are n
        self.updated = [False] * self.num_workers
        self.close_full_table()

    def close_full_table(self) -> None:
        """Takes the mean once every worker has an entry."""
        if 0 in self.table["counts"]:
            return
        self.mean = self.table["sums"][0].new_zeros(self.table["sums"][0].shape)
        for worker in range(self.num_workers):
            self.add_to_mean(worker, 1.0)
        if self.trigger == "opens":  # nothing joins it any more
            self.table = self.empty_table()

    def add(self, table: dict, worker: int, gradient) -> None:
        sums, counts = table["sums"], table["counts"]
        sums[worker] = sums[worker].add_(gradient) if counts[worker] else gradient
        counts[worker] += 1

    def add_to_mean(self, worker: int, sign: float) -> None:
        """mean ← mean ± (1/n) Gᵢ/bᵢ."""
        self.mean.add_(self.table["sums"][worker], alpha=sign / (self.table["counts"][worker] * self.num_workers))

    def receive(self, arrival: Arrival) -> list[Job]:
        i, g = arrival.worker, arrival.gradient
        if self.updated[i]:
            self.add(self.next_table, i, g)
            return [Job(i, self.restart)]
        if self.mean is None:
            self.add(self.table, i, g)
            self.close_full_table()
            if self.mean is None:
                return [Job(i, self.restart)]
        elif self.trigger == "opens":
            self.add(self.next_table, i, g)
        else:
            self.add_to_mean(i, -1.0)
            self.add(self.table, i, g)
            self.add_to_mean(i, 1.0)
        self.update(self.mean)
        self.updated[i] = True
        if all(self.updated):
            self.new_round(self.next_table)
        return [Job(i)]
