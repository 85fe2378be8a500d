"""What becomes of a run whose workers fail, hang or stay silent."""

from __future__ import annotations

import sys
import time as wall

POLICIES = ("restart", "drop", "fail")
BACK_OFF_SECONDS = 0.05  # before the second restart in a row; doubled every time, up to the limit
BACK_OFF_LIMIT = 1.0
HANG_SECONDS = 0.8  # a worker is not taken for hung before it is that late …
HANG_FACTOR = 10  # … and not before this many times the longest computation so far
FIRST_REPORT_SECONDS = 2.0  # of silence; the next reports come after twice as long each time


class WorkerFailure(RuntimeError):
    """A worker failed and the run cannot go on without it."""


class Faults:
    """Decides about failed workers, and keeps the list of what happened.

    Args:
        policy: "restart", "drop" or "fail".
        max_restarts: failures in a row, without a gradient between them, that one worker may recover from.
        hang_seconds: a worker that is this much late is ended and counts as failed; None decides from how long
            computations take.

    Raises:
        ValueError: for an unknown policy or a wrong number.
    """

    def __init__(self, num_workers: int, policy: str, max_restarts: int, hang_seconds: float | None):
        if policy not in POLICIES:
            raise ValueError(f"on_fault must be one of {', '.join(POLICIES)}, got {policy!r}")
        if not (isinstance(max_restarts, int) and not isinstance(max_restarts, bool) and max_restarts >= 0):
            raise ValueError(f"max_restarts must be a whole number of at least 0, got {max_restarts!r}")
        if hang_seconds is not None and not (isinstance(hang_seconds, int | float) and hang_seconds > 0):
            raise ValueError(f"hang_seconds must be a positive number of seconds or None, got {hang_seconds!r}")
        self.policy, self.max_restarts, self.hang_seconds = policy, max_restarts, hang_seconds
        self.in_a_row = [0] * num_workers
        self.longest = 0.0  # computation so far, seconds on the wall
        self.list: list[dict] = []

    def patience(self) -> float:
        """Seconds on the wall by which an answer may be late."""
        if self.hang_seconds is not None:
            return self.hang_seconds
        return max(HANG_SECONDS, HANG_FACTOR * self.longest)

    def answered(self, worker: int, seconds: float) -> None:
        """A healthy gradient that took so long to compute."""
        self.in_a_row[worker] = 0
        if seconds > self.longest:
            self.longest = seconds

    def note(self, worker: int, time: float, what: str, log: str) -> float:
        """Enters a failure at `time` seconds of the run; returns the seconds to wait before the worker is restarted.

        Raises:
            WorkerFailure: by policy, or after too many failures in a row.
        """
        self.list.append({"time": time, "worker": worker, "what": what})
        line = f"worker {worker} {what} at {time:.6g} s"
        tail = f"; the end of its log:\n{log}" if log else ""
        if self.policy == "fail":
            raise WorkerFailure(line + tail)
        self.in_a_row[worker] += 1
        count = self.in_a_row[worker]
        if self.policy == "restart" and count > self.max_restarts:
            raise WorkerFailure(f"{line}, failure {count} in a row, more than max_restarts={self.max_restarts}{tail}")
        print(f"{line}: {'restarted' if self.policy == 'restart' else 'dropped'}{tail}", file=sys.stderr, flush=True)
        return 0.0 if count == 1 else min(BACK_OFF_LIMIT, BACK_OFF_SECONDS * 2.0 ** (count - 2))


class Silence:
    """Says whom the server is waiting for, and since when, when nothing has come for long."""

    def __init__(self):
        self.next_report = FIRST_REPORT_SECONDS

    def look(self, late: dict[int, float]) -> None:
        """Reports the workers that are late, if it is time to.

        Args:
            late: when the answer of each late worker was due, on the wall clock.
        """
        if not late:
            self.next_report = FIRST_REPORT_SECONDS
            return
        longest = max(wall.monotonic() - due for due in late.values())
        if longest < self.next_report:
            return
        self.next_report = 2 * longest
        silent = ", ".join(f"{worker}, silent for {wall.monotonic() - due:.0f} s" for worker, due in late.items())
        print(f"waiting for worker {silent}", file=sys.stderr, flush=True)
