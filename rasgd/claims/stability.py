"""Judges claims again on disjoint sets of seeds: a verdict that depends on the seeds is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rasgd.claims import products
from rasgd.claims.ledger import Entry, judge, product_names, read_claims
from rasgd.claims.statistics import EXACT

CLAIMS, SCHEMA = "config/claims.yaml", "workflow/schemas/claims.schema.yaml"
SPACING = 10_000  # between sets of seeds: more than any experiment has, and none is a seed of tuning


def check(names: Sequence[str], num_sets: int, scale: str, path_to_products: Path, cores: int) -> int:
    """Remakes the products behind claims on other seeds, judges again and prints every claim's verdicts.

    Step sizes stay as tuned; claims that are not asked for keep their products, so Holm's family is the same.

    Args:
        names: ids of claims; none stands for all that have sampling error.
        num_sets: of seeds, the ledger's own included.
        scale: smoke, laptop or paper.
        path_to_products: folder of the ledger's products.
        cores: for Snakemake.

    Returns:
        1 where a verdict differs between sets, else 0.

    Raises:
        ValueError: for an unknown claim, missing products or a run that fails.
    """
    settings = read_claims(CLAIMS, SCHEMA)
    base = products.read(path_to_products, product_names(settings))
    first = judge(settings, base)
    chosen = chosen_claims(first, names)
    needed = product_names({"claims": [entry.claim for entry in first if entry.claim["id"] in chosen]})
    absent = [name for name in needed if name not in base]
    if absent:
        raise ValueError(f"{path_to_products} lacks {', '.join(absent)}: make the ledger first")
    verdicts = [by_id(first)]
    for number in range(1, num_sets):
        folder = remake(needed, number * SPACING, scale, cores)
        verdicts.append(by_id(judge(settings, base | products.read(folder, needed))))
    flipped = [name for name in chosen if len({one[name] for one in verdicts}) > 1]
    width = max(map(len, chosen))
    for name in chosen:
        print(f"{'FLIPS' if name in flipped else 'stable':<8}{name:<{width}}  {', '.join(v[name] for v in verdicts)}")
    print(f"{len(chosen)} claims on {num_sets} sets of seeds: {len(flipped)} change their verdict")
    return int(bool(flipped))


def chosen_claims(entries: Sequence[Entry], names: Sequence[str]) -> list[str]:
    """The ids asked for, or those of all claims whose numbers have sampling error."""
    known = [entry.claim["id"] for entry in entries]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"claims must be among {', '.join(known)}, got {', '.join(unknown)}")
    sampled = [entry.claim["id"] for entry in entries if any(one.test != EXACT for one in entry.evidence)]
    chosen = [name for name in known if name in names] or sampled
    if not chosen:
        raise ValueError("no claim has sampling error: make the ledger first")
    return chosen


def by_id(entries: Sequence[Entry]) -> dict[str, str]:
    return {entry.claim["id"]: entry.verdict for entry in entries}


def remake(names: Sequence[str], shift: int, scale: str, cores: int) -> Path:
    """Runs the workflow for some products with other reported seeds; returns the folder they are in."""
    folder = Path(f"results/{scale}/seeds_{shift}/paper_figures")
    command = [
        sys.executable, "-m", "snakemake", *(str(folder / f"{name}.csv") for name in names), "--cores", str(cores),
        "--quiet", "--config", f"scale={scale}", f"seed_shift={shift}",
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode:
        raise ValueError(f"the workflow failed on seeds shifted by {shift}")
    return folder
