"""Progress of long work: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

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


def bar(title: str) -> Callable[[float], None]:
    """A bar with an estimate if standard error is a terminal, else lines."""
    if not sys.stderr.isatty():
        return lines(title)
    from tqdm import tqdm

    shown = tqdm(total=1.0, desc=title, bar_format="{l_bar}{bar}| {elapsed}, {remaining} left")

    def report(fraction: float) -> None:
        shown.update(fraction - shown.n)
        if fraction >= 1:
            shown.close()

    return report
