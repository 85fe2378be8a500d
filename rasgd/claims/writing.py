"""The ledger as Markdown, CSV and plain text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rasgd.claims.ledger import FAILS, HOLDS, INCONCLUSIVE, VERDICTS, Entry, table
from rasgd.claims.statistics import EXACT, SIGN_TEST, Evidence, Margin, p_fails, p_holds
from rasgd.figures import saving

if TYPE_CHECKING:
    import pandas as pd

HEADER = ["Verdict", "Claim", "Measured", "Margin", "Command"]
REASONS = ["Row", "Statistic", "Why this margin"]
SMALLEST_P = 1e-6  # below it a p-value says more of the tail of a t distribution than of the data
ORDER = (FAILS, INCONCLUSIVE)  # what stands on top, outside the groups


def save(entries: Sequence[Entry], settings: dict, scale: str, stem: str | Path) -> None:
    """Writes the ledger as .csv, one row per claim, and as .md with all numbers behind every row."""
    saving.save_csv(table(entries, settings["confidence"]), f"{stem}.csv")
    saving.save_text(f"{stem}.md", markdown(entries, settings, scale))


def markdown(entries: Sequence[Entry], settings: dict, scale: str) -> str:
    confidence = settings["confidence"]
    parts = [
        f"# Claims ledger\n\n{counts(entry.verdict for entry in entries)} Scale: {scale}.\n\n{explanation(settings)}\n",
        saving.markdown(HEADER, groups(entries, lambda entry: row(entry, confidence))),
        "\n## What is measured, and why these margins\n",
        saving.markdown(REASONS, by_place(entries, reasons)),
        "\n## All numbers\n",
        *(numbers(entry, confidence) for entry in entries),
    ]
    return "\n".join(parts)


def explanation(settings: dict) -> str:
    return f"""Judged from the CSV files of figures and tables alone; statistics, margins, targets and seeds stand in
`config/claims.yaml`, how a row is judged in `docs/claims.md`. Shown is the number that decides a row, with its
{100 * settings["confidence"]:g} % interval where it has sampling error. [paper]: arXiv 2605.13434, in our words; [lit]:
related papers; [derived]: worked out here. A command makes the product behind a row where that is not there, and
compares its numbers with the committed ones."""


def counts(given: Iterable[str]) -> str:
    verdicts = list(given)
    some = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)
    return f"{len(verdicts)} claims: {some}."


def groups(entries: Sequence[Entry], cells: Callable[[Entry], list[str]]) -> list[saving.Group]:
    """What fails and what is undecided on top, then the others by their place in the paper."""
    first = [(verdict, [entry for entry in entries if entry.verdict == verdict]) for verdict in ORDER]
    others = [entry for entry in entries if entry.verdict not in ORDER]
    on_top = [saving.Group(verdict.capitalize(), list(map(cells, own))) for verdict, own in first if own]
    return on_top + by_place(others, cells)


def by_place(entries: Sequence[Entry], cells: Callable[[Entry], list[str]]) -> list[saving.Group]:
    places = dict.fromkeys(entry.claim["where"].split("(")[0] for entry in entries)
    return [
        saving.Group(
            place[:1].upper() + place[1:],
            [cells(entry) for entry in entries if entry.claim["where"].split("(")[0] == place],
        )
        for place in places
    ]


def row(entry: Entry, confidence: float) -> list[str]:
    claim, decisive = entry.claim, entry.decisive
    where = "" if claim["where"] == "ours" else f" {claim['where']}"
    measured = "—"
    if decisive:
        between = interval_text(decisive, confidence)
        measured = f"{form(decisive.measured)}{between} ({decisive.name})"
    return [
        verdict_text(entry),
        f"**{claim['id']}** {claim['claim']} {sources(claim)}{where}",
        measured,
        margin_text(entry.margin),
        f"`{entry.command}`",
    ]


def reasons(entry: Entry) -> list[str]:
    margin = f"{margin_text(entry.margin)}: {entry.claim['why']}"
    return [f"**{entry.claim['id']}**", entry.claim["statistic"], margin]


def verdict_text(entry: Entry) -> str:
    if entry.verdict in (HOLDS, FAILS):
        return f"**{entry.verdict}**" + (f" (p {p_text(entry.p_value)})" if entry.p_value > 0 else "")
    needed = f"; {entry.needed} seeds would decide" if entry.needed else ""
    return f"**{entry.verdict}**: {entry.reason}{needed}"


def p_text(p_value: float) -> str:
    return f"< {SMALLEST_P:.0e}".replace("e-0", "e-") if p_value < SMALLEST_P else f"= {p_value:.2g}"


def numbers(entry: Entry, confidence: float) -> str:
    """All numbers of one claim, in the order of its check."""
    title = f"### {entry.claim['id']}: {entry.verdict}\n"
    if not entry.evidence:
        return f"{title}\n{entry.reason[:1].upper()}{entry.reason[1:]}.\n"
    rows = [
        [
            one.name,
            f"{form(one.measured)}{interval_text(one, confidence)}",
            f"{one.replicas}" if one.replicas else "—",
            *(p_text(p).removeprefix("= ") for p in (p_holds(one, entry.margin), p_fails(one, entry.margin))
              if one.test != EXACT),
            *["—"] * (2 * (one.test == EXACT)),
        ]
        for one in entry.evidence
    ]  # fmt: skip
    header = ["Number", "Measured", "Replicas", "p (outside)", "p (within)"]
    return f"{title}\n{saving.markdown(header, [saving.Group('', rows)])}"


def plain(ledger: pd.DataFrame) -> str:
    """The rows of the ledger's CSV for a terminal, one line per claim and one that counts them."""
    rows = ledger.to_dict("records")
    width = max(len(row["id"]) for row in rows)
    lines = [f"{row['verdict']:<12}  {row['id']:<{width}}  {plain_numbers(row)}" for row in rows]
    return "\n".join([*lines, counts(ledger["verdict"])])


def plain_numbers(row: dict) -> str:
    if math.isnan(row["measured"]):
        return row["reason"]
    interval = f" [{form(row['low'])}, {form(row['high'])}]" if row["low"] < row["high"] else ""
    margin = margin_text(Margin(row["margin_low"], row["margin_high"]))
    reason = f"; {row['reason']}" if isinstance(row["reason"], str) and row["reason"] else ""
    return f"{form(row['measured'])}{interval} for {margin} ({row['decisive']}){reason}"


def sources(claim: dict) -> str:
    return " ".join(f"[{source}]" for source in claim["source"].split(", "))


def interval_text(evidence: Evidence, confidence: float) -> str:
    """The interval behind a number, or where all instances lie; nothing where it is exact."""
    low, high = evidence.interval(confidence)
    if evidence.test == SIGN_TEST:
        return f", [{form(low)}, {form(high)}] on all of {evidence.replicas}"
    return "" if low == high else f" [{form(low)}, {form(high)}]"


def margin_text(margin: Margin) -> str:
    if math.isinf(margin.low):
        return f"≤ {form(margin.high)}"
    if math.isinf(margin.high):
        return f"≥ {form(margin.low)}"
    return f"{form(margin.low)} to {form(margin.high)}"


def form(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.4g}"
