"""The seam between a method and the rest: an arrival in, jobs out.

A complete method, usable as it stands:

    class Vanilla(Method):
        label = "Vanilla ASGD"

        def receive(self, arrival):
            self.update(arrival.gradient)
            return [Job(arrival.worker)]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from torch import Tensor


class Arrival(NamedTuple):
    """A gradient that has reached the server. It belongs to the method from here on: nobody writes to it again."""

    worker: int
    gradient: Tensor  # [num_replicas, d], taken at the point the worker was handed
    delay: int  # server updates since that point was handed out
    time: float  # seconds since the start (virtual or measured)
    duration: float  # seconds this gradient took


class Job(NamedTuple):
    """What a worker is asked to do next. A worker that gets no job stays idle."""

    worker: int
    point: Literal["current", "held"] = "current"  # hand it the newest x, or let it go on where it is
    abort: bool = False  # drop what the worker is doing now and what it has queued (else queue behind it)


class Method(ABC):
    """What the server does when a gradient arrives.

    A method knows no clocks, files, processes or global random state: it is a deterministic function of its arrivals.
    Its attributes are tensors, numbers, strings, None, lists and dicts of these, and the generator, so that a run can
    be checkpointed and replayed.

    Args:
        x0: initial point of every replica, `[num_replicas, d]`.
        step_size: γ of every replica, `[num_replicas, 1]`; the mean step per applied gradient.
        num_workers: n.
        compute_times: mean seconds per gradient of every worker, `[n]`, for methods that use them.
        generator: source of the method's own random choices (which worker next), for methods that make any.
    """

    label: ClassVar[str]  # the display name: the single string in legends, tables and tracking
    linear: ClassVar[bool] = True  # the steps are linear in the gradients, with coefficients that the schedule decides
    batched: ClassVar[bool] = True  # the jobs do not depend on gradients, so all replicas share one schedule
    draws_jobs: ClassVar[bool] = False  # the jobs depend on the generator, so every schedule seed gives other ones
    right_objective: ClassVar[bool] = True  # its fixed point minimises the equal average of the local functions
    needs_compute_times: ClassVar[bool] = False
    placed_addcmul: Callable | None = None  # addcmul(x, γ, direction, value) where a new x lies in memory of the run's

    def __init__(
        self,
        x0: Tensor,
        step_size: Tensor,
        num_workers: int,
        compute_times: Sequence[float] | None = None,
        generator: np.random.Generator | None = None,
    ):
        self.x = x0
        self.step_size = step_size
        self.num_workers = num_workers
        self.compute_times = None if compute_times is None else [float(seconds) for seconds in compute_times]
        self.generator = generator
        self.updates = 0  # server updates so far
        self.ignored = 0  # arrivals dropped without use

    def start(self) -> list[Job]:
        """Jobs at time 0: by default one for every worker."""
        return [Job(worker) for worker in range(self.num_workers)]

    @abstractmethod
    def receive(self, arrival: Arrival) -> list[Job]:
        """Takes one gradient, makes at most one update, says who works on what next.

        `Job.point == "current"` is x after this call returns.
        """

    # Optional: leave(worker) -> list[Job]. The worker has failed and will not come back; says who works on what next,
    # after at most one update. A method without it does not allow workers to be dropped.

    def answer(self, time: float) -> Tensor:
        """The points that a run evaluates at `time` seconds, and returns at its horizon, `[num_replicas, d]`."""
        return self.x

    def update(self, direction: Tensor, scale: float = 1.0) -> None:
        """x ← x − γ·scale·direction, as a new tensor: points that workers hold are references to older ones."""
        if self.placed_addcmul is None:
            self.x = self.x.addcmul(self.step_size, direction, value=-scale)
        else:
            self.x = self.placed_addcmul(self.x, self.step_size, direction, -scale)
        self.updates += 1

    def restart_all(self) -> list[Job]:
        """Every worker starts afresh at the newest x; unfinished work is dropped."""
        return [Job(worker, abort=True) for worker in range(self.num_workers)]
