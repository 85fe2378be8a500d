"""One line on how a real run is going."""

from __future__ import annotations

import sys
import time as wall

import numpy as np


class StatusLine:
    """Prints updates per second, gradients per second of every worker, and delays since the last line.

    Args:
        run: the run, its record and its method.
        stream: where to; a terminal's line is overwritten.
    """

    def __init__(self, run, stream=None):
        self.run, self.stream = run, stream or sys.stderr
        self.last = (wall.monotonic(), 0, run.method.updates)

    def __call__(self) -> None:
        then, seen, updates = self.last
        now, record, method = wall.monotonic(), self.run.record, self.run.method
        self.last = (now, len(record["worker"]), method.updates)
        elapsed = now - then
        workers, delays = np.array(record["worker"][seen:], dtype=np.int64), record["delay"][seen:]
        rates = np.bincount(workers, minlength=self.run.problem.num_workers) / elapsed
        line = (
            f"{record['time'][-1] if len(record['time']) else 0:.1f}/{self.run.until:g} s, "
            f"{(method.updates - updates) / elapsed:.0f} updates/s, gradients/s {' '.join(f'{r:.3g}' for r in rates)}, "
            f"delay mean {np.mean(delays) if len(delays) else 0:.1f} max {max(delays, default=0)}"
        )
        end = "\r" if self.stream.isatty() else "\n"
        print(line.ljust(100) if end == "\r" else line, end=end, file=self.stream, flush=True)
