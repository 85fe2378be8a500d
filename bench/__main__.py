"""Runs measurements and writes them to bench/RESULTS.md: `python -m bench [--laptop] [SECTION ...]`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from bench.report import machine
from rasgd.files import replacing

FOLDER = Path(__file__).resolve().parent
# By module: title and introduction. Every module prints Markdown when it is run.
SECTIONS = {
    "virtual_time": (
        "Virtual time",
        "Ratios of processor seconds, one thread, each taken from neighbouring runs. The plain loop is nothing but "
        "numpy and a heap, written for this case alone (`bench/virtual_time.py`). The network's rows compare with the "
        "same batched gradients computed in the same order without any server: no updates, no schedule, no "
        "evaluations.",
    ),
    "exact_theory": ("Exact theory", "Processor seconds."),
    "workflow": ("The workflow", "Seconds on the wall from an empty results folder, data sets already in the cache."),
    "peers": ("Real processes beside other frameworks", ""),
}


def main() -> None:
    available = [name for name in SECTIONS if importlib.util.find_spec(f"bench.{name}")]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(available)} (default: all)")
    parser.add_argument("--laptop", action="store_true", help="also time the workflow at laptop scale")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(available):
        parser.error(f"SECTION must be one of {', '.join(available)}, got {', '.join(sorted(unknown))}")
    sections = kept_sections(FOLDER / "RESULTS.md")
    for name in arguments.sections or available:
        title, introduction = SECTIONS[name]
        options = ["--laptop"] if name == "workflow" and arguments.laptop else []
        print(f"bench: {title} ...", file=sys.stderr, flush=True)
        sections[title] = "\n\n".join(filter(None, [introduction, f"On {machine()}.", markdown_of(name, options)]))
    parts = ["# Measured speed\n\nWritten by `make bench`; ratios are taken within one run of a section."]
    parts += [f"## {title}\n\n{sections[title]}" for title, _ in SECTIONS.values() if title in sections]
    with replacing(FOLDER / "RESULTS.md") as temporary:
        Path(temporary).write_text("\n\n".join(parts) + "\n")
    print(f"wrote {FOLDER / 'RESULTS.md'}")


def kept_sections(path: Path) -> dict[str, str]:
    """The sections of an earlier file by title: those that are not measured again stay."""
    if not path.exists():
        return {}
    _, *sections = path.read_text().split("\n## ")
    return {title: text.strip() for title, _, text in (section.partition("\n") for section in sections)}


def markdown_of(section: str, options: list[str]) -> str:
    """What one module prints, run by itself: numpy and torch take their number of threads from the environment."""
    command = [sys.executable, "-m", f"bench.{section}", *options]
    environment = (
        os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if section == "virtual_time" else None
    )
    done = subprocess.run(command, cwd=FOLDER.parent, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"bench: python -m bench.{section} failed, RESULTS.md is as it was")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
