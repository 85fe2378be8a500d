"""What runs on data say of the claims: end values of the same replicas under two methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rasgd.claims.products import MissingNumbersError, Products, product, select
from rasgd.claims.statistics import Evidence, paired_difference, paired_ratio
from rasgd.summaries import REPLICA

if TYPE_CHECKING:
    import pandas as pd


def end_ratio(products: Products, settings: dict) -> list[Evidence]:
    """A metric of one method over another's, for every case and pair wanted; both are means over a run's last part."""
    rows = select(product(products, settings["product"]), **settings.get("where", {}))
    return [
        ratio_of(select(rows, case=case), metric, above, below, case)
        for case in settings["cases"]
        for metric, above, below in settings["pairs"]
    ]


def dose_response(products: Products, settings: dict) -> list[Evidence]:
    """By what factor the ratio of a metric between two methods grows per factor of e in the dose, seed by seed.

    The slope of the logarithm against that of the dose, by least squares over all doses: the test for a trend, which
    has the power that steps between neighbours lack.
    """
    rows = select(product(products, settings["product"]), **settings.get("where", {}))
    metric, above, below = settings["pair"]
    logs = []
    for case in settings["doses"]:
        both = paired(select(rows, case=case), metric, above, below)
        logs.append(np.log(both[above] / both[below]))
        if not logs[0].index.equals(logs[-1].index):
            raise MissingNumbersError(f"{case} was not run on the same seeds as the others")
    doses = np.log(list(settings["doses"].values()))
    centred = doses - doses.mean()
    slopes = centred @ np.stack(logs) / (centred @ centred)
    clusters = logs[0].index.get_level_values("schedule_seed")
    name = f"{metric}, {above} / {below}, per factor of e"
    return [paired_ratio(name, np.exp(slopes), np.ones_like(slopes), clusters=clusters)]


def end_gap(products: Products, settings: dict) -> list[Evidence]:
    """A metric of one method minus another's; both are means over a run's last part."""
    metric, above, below = settings["pair"]
    rows = paired(product(products, settings["product"]), metric, above, below)
    clusters = rows.index.get_level_values("schedule_seed")
    return [paired_difference(f"{above} − {below}", rows[above], rows[below], clusters)]


def ratio_of(table: pd.DataFrame, metric: str, above: str, below: str, where: str) -> Evidence:
    rows = paired(table, metric, above, below)
    clusters = rows.index.get_level_values("schedule_seed")
    return paired_ratio(f"{metric}, {above} / {below}, {where}", rows[above], rows[below], clusters=clusters)


def paired(table: pd.DataFrame, metric: str, above: str, below: str) -> pd.DataFrame:
    """A metric of two methods side by side, one row per replica.

    Raises:
        MissingNumbersError: where they were not run on the same replicas.
    """
    if metric not in table:
        raise MissingNumbersError(f"there is no column {metric}")
    both = [select(table, method=method).set_index(REPLICA)[metric].sort_index() for method in (above, below)]
    if not both[0].index.equals(both[1].index) or not both[0].index.is_unique:
        raise MissingNumbersError(f"{above} and {below} were not run on the same seeds")
    return both[0].to_frame(above).assign(**{below: both[1]})
