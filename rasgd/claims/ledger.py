"""Judges claims by products, and writes what came out as a ledger."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rasgd.claims.checks import CHECKS
from rasgd.claims.products import MissingNumbersError, Products
from rasgd.claims.statistics import EXACT, Evidence, Margin, holm, p_fails, p_holds, replicas_needed
from rasgd.experiments import settings as experiment

if TYPE_CHECKING:
    import pandas as pd

HOLDS, FAILS, INCONCLUSIVE = "holds", "fails", "inconclusive"
VERDICTS = (HOLDS, FAILS, INCONCLUSIVE)
COMMON = ("id", "where", "claim", "source", "product", "check", "statistic", "test", "margin", "why")  # to all rows


@dataclass(frozen=True)
class Entry:
    """One row of the ledger.

    Attributes:
        claim: its settings.
        evidence: all of its numbers; empty where a product lacks them.
        decisive: the one that the verdict rests on.
        verdict: holds, fails or inconclusive.
        p_value: adjusted, of the verdict; nan where it is inconclusive.
        reason: why it is inconclusive.
        needed: seeds or instances that would decide it; None where no number is known to.
    """

    claim: dict
    evidence: list[Evidence] = field(default_factory=list)
    decisive: Evidence | None = None
    verdict: str = INCONCLUSIVE
    p_value: float = math.nan
    reason: str = ""
    needed: int | None = None

    @property
    def margin(self) -> Margin:
        return Margin(**{end: float(value) for end, value in self.claim["margin"].items()})

    @property
    def command(self) -> str:
        """Makes the one product that the claim is judged by where that is not there, and compares it."""
        return f"snakemake {'_'.join(self.claim['product'].split('_')[:2])} && make compare"


def read_claims(path: str | Path, path_to_schema: str | Path) -> dict:
    """The settings of the ledger, checked.

    Raises:
        ValueError: one line naming file, key, what was given and what is allowed.
    """
    settings = experiment.read_yaml(path)
    experiment.check_schema(settings, experiment.read_yaml(path_to_schema), str(path))
    seen: set[str] = set()
    for claim in settings["claims"]:
        if claim["id"] in seen:
            raise ValueError(f"{path}: claims: two rows have the id {claim['id']}")
        seen.add(claim["id"])
        if claim["check"] not in CHECKS:
            raise ValueError(f"{path}: claims.{claim['id']}: check must be one of {', '.join(CHECKS)}, "
                             f"got {claim['check']!r}")  # fmt: skip
        try:
            inspect.signature(CHECKS[claim["check"]]).bind(None, **arguments(claim))
        except TypeError as error:
            raise ValueError(f"{path}: claims.{claim['id']}: {claim['check']}: {error}") from None
    return settings


def arguments(claim: dict) -> dict:
    """What a row has beside the keys of all rows: the arguments of its check."""
    return {key: given for key, given in claim.items() if key not in COMMON}


def product_names(settings: dict) -> list[str]:
    """Every product that some claim is judged by."""
    return sorted({claim["product"] for claim in settings["claims"]})


def judge(settings: dict, products: Products) -> list[Entry]:
    """One entry per claim, with p-values adjusted by Holm over all claims that have sampling error.

    Args:
        settings: of the ledger, as `read_claims` gives them.
        products: tables by name.
    """
    entries = [gather(claim, products, settings["min_replicas"]) for claim in settings["claims"]]
    level = (1 - settings["confidence"]) / 2
    open_entries = [entry for entry in entries if not entry.reason]
    sampled = [entry for entry in open_entries if any(e.test != EXACT for e in entry.evidence)]
    for_it = dict(zip(map(id, sampled), holm([claim_holds(entry) for entry in sampled]), strict=True))
    against = dict(zip(map(id, sampled), holm([claim_fails(entry) for entry in sampled]), strict=True))
    judged = []
    for entry in entries:
        if not entry.reason:
            p_for = for_it.get(id(entry), claim_holds(entry))
            p_against = against.get(id(entry), claim_fails(entry))
            entry = with_verdict(entry, p_for, p_against, level, len(sampled), settings["power"])
        judged.append(entry)
    return judged


def gather(claim: dict, products: Products, min_replicas: int) -> Entry:
    """The entry before any verdict; its reason says why there can be none.

    Raises:
        ValueError: if the check's inference is not the one that the claim's settings state.
    """
    if claim["product"] not in products:
        return Entry(claim, reason=f"{claim['product']} is not there")
    try:
        evidence = CHECKS[claim["check"]](products[claim["product"]], **arguments(claim))
    except MissingNumbersError as error:
        return Entry(claim, reason=error.args[0])
    sampled = [one for one in evidence if one.test != EXACT]
    if any(one.test != claim["test"] for one in sampled):
        raise ValueError(f"claims.{claim['id']}: test is {claim['test']!r}, but the check gives {sampled[0].test!r}")
    entry = Entry(claim, evidence)
    entry = replace(entry, decisive=max(evidence, key=lambda one: decisiveness(one, entry.margin)))
    few = [one for one in sampled if one.replicas < min_replicas]
    if few:
        return replace(entry, decisive=few[0], needed=min_replicas,
                       reason=f"{few[0].replicas} replicas, at least {min_replicas} are asked for")  # fmt: skip
    return entry


def decisiveness(evidence: Evidence, margin: Margin) -> tuple:
    """Sorts by how far a number speaks against the claim; among equals, by how near it is to leaving the margin."""
    return (p_holds(evidence, margin), 1 - p_fails(evidence, margin), -slack(evidence, margin))


def slack(evidence: Evidence, margin: Margin) -> float:
    """How far a number's interval lies within the margin, over the number; below 0 outside of it."""
    low, high = evidence.interval(0.95)
    room = min(low - margin.low, margin.high - high) / (abs(evidence.measured) or 1.0)
    return -math.inf if math.isnan(room) else room


def claim_holds(entry: Entry) -> float:
    """All numbers must lie within the margin, so the largest p-value counts."""
    return max(p_holds(one, entry.margin) for one in entry.evidence)


def claim_fails(entry: Entry) -> float:
    """One number outside the margin is enough, so the smallest p-value counts, times how many there are."""
    return min(1.0, len(entry.evidence) * min(p_fails(one, entry.margin) for one in entry.evidence))


def with_verdict(entry: Entry, p_for: float, p_against: float, level: float, family: int, power: float) -> Entry:
    if p_for <= level:
        return replace(entry, verdict=HOLDS, p_value=p_for)
    if p_against <= level:
        worst = min(entry.evidence, key=lambda one: (p_fails(one, entry.margin), slack(one, entry.margin)))
        return replace(entry, verdict=FAILS, p_value=p_against, decisive=worst)
    needed = replicas_needed(entry.decisive, entry.margin, level / max(1, family), power)
    inside = entry.decisive.measured in entry.margin
    reason = f"{'within' if inside else 'outside'} the margin, but not beyond doubt"
    return replace(entry, reason=reason, needed=needed)


def table(entries: Sequence[Entry], confidence: float) -> pd.DataFrame:
    """One row per claim."""
    import pandas as pd

    return pd.DataFrame([table_row(entry, confidence) for entry in entries])


def table_row(entry: Entry, confidence: float) -> dict:
    claim, decisive = entry.claim, entry.decisive
    low, high = decisive.interval(confidence) if decisive else (math.nan, math.nan)
    return {
        "id": claim["id"],
        "where": claim["where"],
        "claim": claim["claim"],
        "source": claim["source"],
        "statistic": claim["statistic"],
        "numbers": len(entry.evidence),
        "decisive": decisive.name if decisive else "",
        "measured": decisive.measured if decisive else math.nan,
        "low": low,
        "high": high,
        "margin_low": entry.margin.low,
        "margin_high": entry.margin.high,
        "why": claim["why"],
        "test": claim["test"],
        "replicas": decisive.replicas if decisive else 0,
        "p_value": entry.p_value,
        "verdict": entry.verdict,
        "reason": entry.reason,
        "replicas_needed": math.nan if entry.needed is None else entry.needed,
        "command": entry.command,
    }
