"""Progress of long work: plain lines in a log, and the parts that work consists of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5.0


def lines(title: str, stream=None) -> Callable[[float], None]:
    """A reporter that prints "title: 40 %, about 12 s left" now and then, for logs and several jobs at once."""
    stream = stream or sys.stderr
    start = last = time.monotonic()

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES or not 0 < fraction < 1:
            return
        last = now
        left = (now - start) * (1 - fraction) / fraction
        print(f"{title}: {fraction:.0%}, about {left:.0f} s left", file=stream, flush=True)

    return report


class Progress:
    """Told the fraction done of the part at hand, tells the fraction done of the whole.

    Args:
        tell: told the latter; None tells nobody.
    """

    def __init__(self, tell: Callable[[float], None] | None = None):
        self.tell = tell
        self.start, self.end = 0.0, 1.0  # of the part at hand

    def __call__(self, fraction: float) -> None:
        if self.tell is not None:
            self.tell(self.start + fraction * (self.end - self.start))

    @contextmanager
    def part(self, start: float, end: float) -> Iterator[None]:
        """Within the block the part at hand is from `start` to `end` of the present one."""
        outer = self.start, self.end
        width = self.end - self.start
        self.start, self.end = self.start + start * width, self.start + end * width
        try:
            yield
        finally:
            self.start, self.end = outer

    def over(self, items: Iterable) -> Iterator:
        """The items, each an equal part of the present one."""
        items = list(items)
        for number, item in enumerate(items):
            with self.part(number / len(items), (number + 1) / len(items)):
                yield item
