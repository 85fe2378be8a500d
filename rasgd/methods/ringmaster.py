"""Ringmaster ASGD: vanilla steps, but gradients that are too old are dropped."""

from __future__ import annotations

from rasgd.methods.base import Arrival, Job, Method
from rasgd.validation import whole_number


class Ringmaster(Method):
    """Applies a gradient only if fewer than R updates have happened since its point was handed out.

        δ < R:  x ← x − γ g,  else drop g;   restart i                                                   [lit]

    With abort=True a job whose delay reaches R is stopped at once and restarted at x. Optimal for homogeneous data;
    with heterogeneous data it favours fast workers even more than vanilla ASGD.

    Args:
        R: delay threshold in updates (default n).
        abort: stop hopeless jobs instead of waiting for them.

    Reduces to: vanilla ASGD when R exceeds every delay.

    Source: Maranjyan, Tyurin, Richtárik 2025 (Ringmaster ASGD), algorithms 4 and 5.
    """

    label = "Ringmaster ASGD"
    right_objective = False

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None, R=None, abort=False):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.R = num_workers if R is None else whole_number("R", R)
        if not isinstance(abort, bool):
            raise ValueError(f"abort must be true or false, got {abort!r}")
        self.abort = abort
        # worker → update at which its job was handed out, oldest first: a worker handed a new point moves to the end
        self.handed_out = dict.fromkeys(range(num_workers), 0)

    def receive(self, arrival: Arrival) -> list[Job]:
        if arrival.delay < self.R:
            self.update(arrival.gradient)
        else:
            self.ignored += 1
        return self.stop_hopeless(arrival.worker) if self.abort else [Job(arrival.worker)]

    def leave(self, worker: int) -> list[Job]:
        self.handed_out.pop(worker, None)
        return []

    def stop_hopeless(self, arrived: int) -> list[Job]:
        del self.handed_out[arrived]
        hopeless = []
        for worker, handed_out in self.handed_out.items():
            if self.updates - handed_out < self.R:
                break
            hopeless.append(worker)
        for worker in hopeless:
            del self.handed_out[worker]
        restarted = [arrived, *hopeless]
        self.handed_out.update(dict.fromkeys(restarted, self.updates))
        return [Job(arrived), *(Job(worker, abort=True) for worker in hopeless)]
