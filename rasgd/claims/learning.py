"""What runs on data say of the claims: losses and accuracies of the same replicas under two methods."""

from __future__ import annotations

from rasgd.claims.products import MissingNumbersError, Products, product, select
from rasgd.claims.statistics import Evidence, mean_of, paired_ratio

LOSSES, ACCURACIES = "figure_5_mnist_by_seed", "figure_6_slow_owners_by_seed"
REPLICA = ["schedule_seed", "seed"]


def loss_ratio(products: Products, settings: dict) -> list[Evidence]:
    """Training loss of one method over another's, over the last quarter of the horizon, for every case wanted."""
    losses = product(products, LOSSES)
    return [
        log_ratio_of(select(losses, case=case), "loss", above, below, case)
        for case in settings["cases"]
        for above, below in settings["pairs"]
    ]


def accuracy_gap(products: Products, settings: dict) -> list[Evidence]:
    """Accuracy of one method minus another's, over the last quarter of the horizon."""
    above, below = settings["pair"]
    rows = paired(product(products, ACCURACIES), settings["metric"], above, below)
    clusters = rows.index.get_level_values("schedule_seed")
    return [mean_of(f"{above} − {below}", rows[above] - rows[below], clusters=clusters)]


def log_ratio_of(table, metric: str, above: str, below: str, where: str) -> Evidence:
    rows = paired(table, metric, above, below)
    clusters = rows.index.get_level_values("schedule_seed")
    return paired_ratio(f"{above} / {below}, {where}", rows[above], rows[below], clusters=clusters)


def paired(table, metric: str, above: str, below: str):
    """A metric of two methods side by side, one row per replica.

    Raises:
        MissingNumbersError: where they were not run on the same replicas.
    """
    both = [select(table, method=method).set_index(REPLICA)[metric].sort_index() for method in (above, below)]
    if not both[0].index.equals(both[1].index) or not both[0].index.is_unique:
        raise MissingNumbersError(f"{above} and {below} were not run on the same seeds")
    return both[0].to_frame(above).assign(**{below: both[1]})
