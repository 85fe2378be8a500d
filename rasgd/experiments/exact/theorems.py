"""The paper's theorems, corollaries and lemmas against exact moments, and what lies beyond their assumptions."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from rasgd.experiments.exact import theorem_checks, theorem_limits, theorem_terms

TABLES = ("looseness", "outside", "checks", "delays", "prices", "terms", "beyond")
SHARES = {"looseness": 0.5, "prices": 0.1, "terms": 0.2, "beyond": 0.2}  # of the time, about


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """Tables as their functions describe them; checks holds, per statement, its worst case over all instances.

    Columns of checks: check, case, count, violations, value (the largest), expected, allowed (nan where nothing is
    judged), and where they say more, median and largest_delay.
    """
    done = 0.0

    def part(name: str) -> Callable[[float], None]:
        begin = done
        return lambda fraction: report(begin + SHARES[name] * fraction)

    tables = {"looseness": theorem_checks.looseness(settings, part("looseness"))}
    done += SHARES["looseness"]
    tables["prices"] = theorem_terms.prices(settings, part("prices"))
    done += SHARES["prices"]
    tables["terms"] = theorem_terms.terms(settings, part("terms"))
    done += SHARES["terms"]
    tables["beyond"] = theorem_limits.beyond_rows(settings, part("beyond"))
    lemmas = theorem_checks.lemmas(settings).assign(case=lambda rows: "lemma " + rows["check"], check="lemmas")
    others = [*theorem_terms.prescriptions_hold(settings), *theorem_limits.limit_checks(settings)]
    tables["checks"] = pd.concat([lemmas, pd.DataFrame(others)], ignore_index=True)[CHECK_COLUMNS]
    return tables | {"outside": theorem_checks.outside(settings), "delays": theorem_limits.delays(settings)}


CHECK_COLUMNS = ["check", "case", "count", "violations", "value", "expected", "allowed", "median", "largest_delay"]
