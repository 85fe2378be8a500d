"""The ledger as Markdown, CSV and plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rasgd.claims.ledger import FAILS, HOLDS, VERDICTS, Entry, table
from rasgd.claims.statistics import SIGN_TEST, Evidence, Margin, p_fails, p_holds
from rasgd.figures import saving

if TYPE_CHECKING:
    import pandas as pd

HEADER = ["Claim", "Source", "Statistic", "Predicted", "Measured", "95 % interval", "Margin", "Verdict", "Command"]


def save(entries: Sequence[Entry], settings: dict, scale: str, stem: str | Path) -> None:
    """Writes the ledger as .csv, one row per claim, and as .md with all numbers behind every row."""
    saving.save_csv(table(entries, settings["confidence"]), f"{stem}.csv")
    saving.save_text(f"{stem}.md", markdown(entries, settings, scale))


def markdown(entries: Sequence[Entry], settings: dict, scale: str) -> str:
    confidence = settings["confidence"]
    rows = [row(entry, confidence) for entry in entries]
    header = [name.replace("95 %", f"{100 * confidence:g} %") for name in HEADER]
    parts = [
        f"# Claims ledger\n\n{counts(entry.verdict for entry in entries)} Scale: {scale}.\n\n{explanation(settings)}\n",
        saving.markdown(header, [saving.Group("", rows)]),
        "\n## All numbers\n",
        *(numbers(entry, confidence) for entry in entries),
    ]
    return "\n".join(parts)


def explanation(settings: dict) -> str:
    return f"""Made from figures and tables alone; statistics, margins, targets and seeds stand in `config/claims.yaml`.
A row shows the number that decides it. It holds where all its numbers lie within the margin beyond doubt, fails where
one lies outside beyond doubt: one-sided tests at {(1 - settings["confidence"]) / 2:g} (two where the margin has two
ends), adjusted by Holm over all rows that have sampling error. Exact numbers have no interval. [paper]: the abstract or
the poster of arXiv 2605.13434, in our words; [lit]: related papers; [derived]: worked out here."""


def counts(given: Iterable[str]) -> str:
    verdicts = list(given)
    some = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)
    return f"{len(verdicts)} claims: {some}."


def row(entry: Entry, confidence: float) -> list[str]:
    claim, decisive = entry.claim, entry.decisive
    return [
        f"**{claim['id']}** {claim['claim']}",
        sources(claim),
        claim["statistic"],
        form(decisive.predicted) if decisive and not math.isnan(decisive.predicted) else margin_text(entry.margin),
        f"{form(decisive.measured)} ({decisive.name})" if decisive else "—",
        interval_text(decisive, confidence) if decisive else "—",
        f"{margin_text(entry.margin)}: {claim['why']}",
        verdict_text(entry),
        f"`{entry.command}`",
    ]


def verdict_text(entry: Entry) -> str:
    if entry.verdict in (HOLDS, FAILS):
        return f"**{entry.verdict}**" + (f" (p = {entry.p_value:.2g})" if entry.p_value > 0 else "")
    needed = f"; {entry.needed} seeds would decide" if entry.needed else ""
    return f"**{entry.verdict}**: {entry.reason}{needed}"


def numbers(entry: Entry, confidence: float) -> str:
    """All numbers of one claim, the decisive one first among equals."""
    title = f"### {entry.claim['id']}: {entry.verdict}\n"
    if not entry.evidence:
        return f"{title}\n{entry.reason[:1].upper()}{entry.reason[1:]}.\n"
    rows = [
        [
            one.name,
            form(one.predicted),
            form(one.measured),
            interval_text(one, confidence),
            f"{one.replicas}" if one.replicas else "—",
            f"{p_holds(one, entry.margin):.2g}",
            f"{p_fails(one, entry.margin):.2g}",
        ]
        for one in entry.evidence
    ]
    header = ["Number", "Predicted", "Measured", "Interval", "Replicas", "p (outside)", "p (within)"]
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
    low, high = evidence.interval(confidence)
    if low == high:
        return "—"
    name = " (all instances)" if evidence.test == SIGN_TEST else ""
    return f"[{form(low)}, {form(high)}]{name}"


def margin_text(margin: Margin) -> str:
    if math.isinf(margin.low):
        return f"≤ {form(margin.high)}"
    if math.isinf(margin.high):
        return f"≥ {form(margin.low)}"
    return f"{form(margin.low)} to {form(margin.high)}"


def form(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.4g}"
