"""How long the workflow takes from nothing, and when nothing is to be done: `python -m bench.workflow [--laptop]`.

Everything goes to a temporary results folder; data sets are taken from the cache, so fill it first by running the
workflow once. Prints a Markdown table of seconds on the wall.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from bench.report import Row, table

ROOT = Path(__file__).resolve().parent.parent
CORES = 2
NUM_RERUNS = 3
LIMITS = {"smoke": 75, "laptop": 9 * 60}  # seconds
RERUN_LIMIT = 6


def snakemake(scale: str, folder: Path) -> tuple[float, str]:
    """Runs the whole workflow into a folder and returns the seconds it took and what it said.

    Raises:
        RuntimeError: with the end of its output, if it fails.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", str(CORES), "--config"]
    settings = [f"scale={scale}", f"results={folder / 'results'}", f"figures={folder / 'figures'}"]
    start = perf_counter()
    done = subprocess.run(command + settings, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"the workflow failed at scale {scale}:\n{done.stdout[-4000:]}")
    return seconds, done.stdout


def measure(scale: str) -> list[Row]:
    """One run from nothing, then reruns that must find nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        whole, _ = snakemake(scale, Path(folder))
        reruns = []
        for _ in range(NUM_RERUNS):
            seconds, said = snakemake(scale, Path(folder))
            if "Nothing to be done" not in said:
                raise RuntimeError(f"a rerun at scale {scale} did work:\n{said[-4000:]}")
            reruns.append(seconds)
    return [
        Row(f"the whole workflow at scale {scale}, {CORES} cores", [whole], " s", at_most=LIMITS[scale]),
        Row(f"the same again, nothing to do, scale {scale}", reruns, " s", at_most=RERUN_LIMIT),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.workflow", description=__doc__.splitlines()[0])
    parser.add_argument("--laptop", action="store_true", help="also the laptop scale, which takes minutes")
    scales = ["smoke", "laptop"] if parser.parse_args().laptop else ["smoke"]
    print(table([row for scale in scales for row in measure(scale)]))


if __name__ == "__main__":
    main()
