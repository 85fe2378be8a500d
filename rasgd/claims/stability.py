"""Judges claims again on disjoint sets of seeds: a verdict that depends on the seeds is none."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rasgd.claims import ledger, products, writing
from rasgd.claims.statistics import EXACT, Margin
from rasgd.figures import saving

if TYPE_CHECKING:
    import pandas as pd

CLAIMS, SCHEMA = "config/claims.yaml", "workflow/schemas/claims.schema.yaml"
SPACING = 10_000  # between sets of seeds: more than any experiment has
MAX_SETS = 10  # seeds from 100,000 on are for tuning


@dataclass(frozen=True)
class Workflow:
    """Where a ledger comes from: scale, folders of its results and of its products, cores for Snakemake."""

    scale: str
    results: Path
    figures: Path
    cores: int

    def remake(self, names: Sequence[str], shift: int) -> Path:
        """Makes some products with other reported seeds; returns the folder they are in.

        Raises:
            ValueError: if the workflow fails.
        """
        folder = self.results / self.scale / f"seeds_{shift}" / "paper_figures"
        command = [
            sys.executable, "-m", "snakemake", *(str(folder / f"{name}.csv") for name in names),
            "--cores", str(self.cores), "--quiet", "--config", f"scale={self.scale}", f"results={self.results}",
            f"seed_shift={shift}",
        ]  # fmt: skip
        if subprocess.run(command, check=False).returncode:
            raise ValueError(f"the workflow failed on seeds shifted by {shift}")
        return folder


def judge_again(names: Sequence[str], num_sets: int, workflow: Workflow) -> pd.DataFrame:
    """Remakes the products behind claims on other seeds and judges again.

    Step sizes stay as tuned; claims that are not asked for keep their products, so Holm's family is the same.

    Args:
        names: ids of claims; none stands for all that have sampling error.
        num_sets: of seeds, the ledger's own included.
        workflow: that made the ledger.

    Returns:
        One row per claim and set: the ledger's columns, and shift, what was added to the seeds.

    Raises:
        ValueError: for an unknown claim, missing products or a run that fails.
    """
    import pandas as pd

    settings = ledger.read_claims(CLAIMS, SCHEMA)
    base = products.read(workflow.figures, ledger.product_names(settings))
    first = ledger.judge(settings, base)
    chosen = chosen_claims(first, names)
    needed = ledger.product_names({"claims": [entry.claim for entry in first if entry.claim["id"] in chosen]})
    absent = [name for name in needed if name not in base]
    if absent:
        raise ValueError(f"{workflow.figures} lacks {', '.join(absent)}: make the ledger first")
    judged = []
    for number in range(num_sets):
        entries, shift = first, number * SPACING
        if number:
            print(f"set {number + 1} of {num_sets}: seeds from {shift} on", file=sys.stderr)
            entries = ledger.judge(settings, base | products.read(workflow.remake(needed, shift), needed))
        rows = ledger.table(entries, settings["confidence"])
        judged.append(rows[rows["id"].isin(chosen)].assign(shift=shift))
    return pd.concat(judged, ignore_index=True)


def chosen_claims(entries: Sequence[ledger.Entry], names: Sequence[str]) -> list[str]:
    """The ids asked for, or those of all claims whose numbers have sampling error.

    Raises:
        ValueError: for an id that is none, or where no claim has sampling error.
    """
    known = [entry.claim["id"] for entry in entries]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"claims must be among {', '.join(known)}, got {', '.join(unknown)}")
    sampled = [entry.claim["id"] for entry in entries if any(one.test != EXACT for one in entry.evidence)]
    chosen = [name for name in known if name in names] or sampled
    if not chosen:
        raise ValueError("no claim has sampling error: make the ledger first")
    return chosen


def flipped(judged: pd.DataFrame) -> list[str]:
    """Ids of the claims whose verdict is not the same on all sets."""
    counts = judged.groupby("id", sort=False)["verdict"].nunique()
    return list(counts.index[counts > 1])


def plain(judged: pd.DataFrame) -> str:
    """One line per claim for a terminal, and one that counts them."""
    width, unstable = judged["id"].str.len().max(), flipped(judged)
    lines = [
        f"{'FLIPS' if name in unstable else 'stable':<8}{name:<{width}}  {', '.join(rows['verdict'])}"
        for name, rows in judged.groupby("id", sort=False)
    ]
    return "\n".join([*lines, summary(judged)])


def summary(judged: pd.DataFrame) -> str:
    sets, claims = judged["shift"].nunique(), judged["id"].nunique()
    return f"{claims} claims on {sets} disjoint sets of seeds: {len(flipped(judged))} change their verdict."


def save(judged: pd.DataFrame, scale: str, stem: str | Path) -> None:
    """Writes .csv with one row per claim and set, and .md with one row per claim."""
    columns = ["id", "shift", "verdict", "decisive", "measured", "low", "high", "margin_low", "margin_high", "p_value"]
    saving.save_csv(judged[columns], f"{stem}.csv")
    header = ["Claim", "Verdicts", "Measured, smallest and largest over sets", "Margin"]
    rows = [
        [
            f"**{name}**",
            ", ".join(f"{verdict} × {count}" for verdict, count in Counter(own["verdict"]).items()),
            f"{writing.form(own['measured'].min())} to {writing.form(own['measured'].max())}",
            writing.margin_text(Margin(own["margin_low"].iloc[0], own["margin_high"].iloc[0])),
        ]
        for name, own in judged.groupby("id", sort=False)
    ]
    text = f"""# Verdicts on other seeds

{summary(judged)} Scale: {scale}.

Every number with sampling error was measured again on seeds that share none with the others; step sizes stay as tuned
on seeds of their own. A row shows the number that decides it, which may be another one on other seeds.
`python -m rasgd.claims stability` writes this file.

"""
    saving.save_text(f"{stem}.md", text + saving.markdown(header, [saving.Group("", rows)]))
