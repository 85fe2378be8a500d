"""Measurements as rows of a Markdown table: target, median, spread, verdict."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import process_time

HEAD = "| what | target | median | min to max | met |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """One measured quantity with its target.

    Attributes:
        what: a sentence part that says what was measured.
        values: one per repetition.
        unit: put behind every number, such as "×", " s" or " %".
        at_least, at_most: the target, whichever there is.
    """

    what: str
    values: Sequence[float]
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        low = self.at_least is None or self.median >= self.at_least
        return low and (self.at_most is None or self.median <= self.at_most)

    def markdown(self) -> str:
        target = f"≥ {self.at_least:g}{self.unit}" if self.at_least is not None else f"≤ {self.at_most:g}{self.unit}"
        spread = f"{self.number(min(self.values))} to {self.number(max(self.values))}" if len(self.values) > 1 else ""
        return f"| {self.what} | {target} | {self.number(self.median)} | {spread} | {'yes' if self.met else '**no**'} |"

    def number(self, value: float) -> str:
        return f"{value:.3g}{self.unit}"


def table(rows: Sequence[Row]) -> str:
    return "\n".join([HEAD, *(row.markdown() for row in rows)])


def processor_seconds(action: Callable[[], object]) -> float:
    """Seconds of processor time that this process spends on the action: what else runs on the machine counts less."""
    start = process_time()
    action()
    return process_time() - start


def machine() -> str:
    """Cores, processor, memory and versions, in one line."""
    import os

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "snakemake"))
    return (
        f"{len(os.sched_getaffinity(0))} cores of {processor()}, {memory:.0f} GiB of memory, {platform.system()}; "
        f"Python {platform.python_version()}, {versions}"
    )


def processor() -> str:
    described = Path("/proc/cpuinfo")
    for line in described.read_text().splitlines() if described.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
