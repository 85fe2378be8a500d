"""Claims judged by figures and tables: statistics, one check per claim, the ledger, its stability over seeds."""

from rasgd.claims.ledger import CHECKS, Entry, judge, product_names, read_claims, table
from rasgd.claims.products import MissingNumbersError, read
from rasgd.claims.statistics import Evidence, Margin

__all__ = [
    "CHECKS", "Entry", "Evidence", "Margin", "MissingNumbersError", "judge", "product_names", "read", "read_claims",
    "table",
]  # fmt: skip
