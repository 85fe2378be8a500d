"""Products made up for one claim each, with the columns of the real ones: forged so that a claim holds, or fails."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd

REPLICAS = 24
NOISE = 0.002  # relative, of one replica


def inside(margin: dict) -> float:
    """A number well within a margin."""
    low, high = margin.get("low"), margin.get("high")
    if low is not None and high is not None:
        return (low + high) / 2
    return 0.5 * high if low is None else 2 * low


def outside(margin: dict) -> float:
    """A number well outside of it, on the side that is bounded."""
    if "high" in margin:
        high = margin["high"]
        return high + max(1.0, abs(high))
    return margin["low"] / 2


def forged(claim: dict, columns: list[str], target: float, replicas: int = REPLICAS) -> pd.DataFrame:
    """The product of a claim, all of whose numbers are `target`.

    Args:
        claim: its row of config/claims.yaml.
        columns: of the real product; what a check asks for beside them is an error.
        target: the numbers, as the check gives them.
        replicas: seeds or instances behind each.
    """
    rows = pd.DataFrame(FORGERS[claim["check"]](claim, target, replicas))
    columns = [name for name in columns if not name.startswith("over_mean_time_")]
    columns += [name for name in PROFILES if name in rows]
    unknown = set(rows) - set(columns)
    assert not unknown, f"{claim['id']}: {claim['product']} has no column {', '.join(sorted(unknown))}"
    return rows.reindex(columns=columns)


def selections(claim: dict) -> dict[str, list[dict]]:
    """By name of each number, the rows that a claim selects, with lists spelled out."""
    named = {name: own for name, own in (claim.get("each") or {"": {}}).items()}
    return {
        name: spelled_out(
            {**(claim.get("rows") or {}), **{key: v for key, v in own.items() if not isinstance(v, dict)}}
        )
        for name, own in named.items()
    }


def spelled_out(wanted: dict) -> list[dict]:
    lists = [value if isinstance(value, list) else [value] for value in wanted.values()]
    return [dict(zip(wanted, values, strict=True)) for values in itertools.product(*lists)]


def rows_by(claim: dict) -> list[tuple[str, dict]]:
    """Every number's name and one row of it; columns that name numbers and are not selected get a value."""
    return [
        (name, {column: "one" if column not in NUMERIC else 1.0 for column in claim.get("by") or []} | row)
        for name, rows in selections(claim).items()
        for row in rows
    ]


PROFILES = ("over_mean_time_first", "over_mean_time_second")  # the real table has a column per profile
NUMERIC = {"x", "count", "relative_step", "rate"}


def scale_of(claim: dict, name: str, row: dict) -> float:
    """What the number is divided by; written into the row where it is a column."""
    over = claim.get("over", 1.0)
    if isinstance(over, str):
        row[over] = 0.5
        return 0.5
    return float(over[name] if isinstance(over, dict) else over)


def value(claim: dict, target: float, replicas: int) -> list[dict]:
    rows = []
    for name, row in rows_by(claim):
        minus, scale = claim.get("minus", 0.0), scale_of(claim, name, row)
        zero = float(minus[name] if isinstance(minus, dict) else minus)
        rows.append(row | {claim["column"]: zero + target * scale})
        if "over_rows" in claim:
            rows.append(row | claim["over_rows"] | {claim["column"]: zero + scale})
    return rows


def interval(claim: dict, target: float, replicas: int) -> list[dict]:
    rows = []
    for name, row in rows_by(claim):
        scale = scale_of(claim, name, row)
        width = NOISE * (abs(target * scale) or 1.0)
        low, high = claim.get("low", "low"), claim.get("high", "high")
        ends = {claim["error"]: width} if "error" in claim else {
            low: target * scale - width, high: target * scale + width
        }  # fmt: skip
        rows.append(row | {claim["column"]: target * scale, "replicas": replicas, **ends})
    return rows


def instances(claim: dict, target: float, replicas: int) -> list[dict]:
    ends = {"low": target * (1 - NOISE), "high": target * (1 + NOISE), "replicas": replicas}
    return [row | {claim["column"]: target, **ends} for _, row in rows_by(claim)]


def noise(seed: int, factor: float) -> float:
    return NOISE * math.sin(seed * factor)


def seeds(replicas: int) -> list[dict]:
    return [{"schedule_seed": 0, "seed": seed} for seed in range(replicas)]


def pair(claim: dict, target: float, replicas: int, added: dict, common: dict) -> list[dict]:
    metric, difference = claim["metric"], claim.get("difference", False)
    above = {**common, **claim["above"], **added.get("above", {})}
    below = {**common, **claim.get("below", {}), **added.get("below", {})}
    rows = []
    for replica in seeds(replicas):
        shift = noise(replica["seed"], 1.0)
        number = target + shift if difference else target * math.exp(shift)
        if "over" in claim:
            rows.append(above | replica | {metric: number, claim["over"]: 1.0})
        else:
            own = {**above, **replica, metric: number}
            rows += [own, {**below, **replica, metric: 0.0 if difference else 1.0}]
    return rows


def paired_seeds(claim: dict, target: float, replicas: int) -> list[dict]:
    rows, seen = [], set()
    for added in (claim.get("each") or {"": {}}).values():
        common = {**(claim.get("rows") or {}), **{k: v for k, v in added.items() if k not in ("above", "below")}}
        for row in pair(claim, target, replicas, added, common):
            key = json.dumps({name: v for name, v in row.items() if name != claim["metric"]}, sort_keys=True)
            if key not in seen:  # several numbers may share one side
                seen.add(key)
                rows.append(row)
    return rows


def trend(claim: dict, target: float, replicas: int) -> list[dict]:
    return [
        row
        for case, dose in claim["doses"].items()
        for row in pair(claim, dose ** math.log(target), replicas, {}, {**(claim.get("rows") or {}), "case": case})
    ]


def spread(claim: dict, target: float, replicas: int) -> list[dict]:
    return [row | {claim["column"]: factor} for _, row in rows_by(claim) for factor in (1.0, max(1.0, target))]


def slope(claim: dict, target: float, replicas: int) -> list[dict]:
    return [row | {claim["column"]: row[claim["along"]] ** target} for _, row in rows_by(claim)]


def curve(claim: dict, target: float, replicas: int) -> list[dict]:
    rows = []
    for own in claim["each"].values():
        shared = {key: v for key, v in own.items() if key not in ("drawn", "points")}
        for at in (0.0, 30.0, 60.0):
            number = 2.0 * max(1.0, target) if claim.get("ratio") else 2.0 + target
            rows.append({**claim["drawn"], **shared, **own.get("drawn", {}), claim["x"]: at, claim["y"]: number})
            rows.append({**claim["points"], **shared, **own.get("points", {}), claim["x"]: at, claim["y"]: 2.0})
    return rows


def growth(claim: dict, target: float, replicas: int) -> list[dict]:
    ends = ((claim["largest"], 1.5), (claim["smallest"], 1.5 + target))
    return [row | {claim["along"]: at, claim["column"]: number} for _, row in rows_by(claim) for at, number in ends]


def tuned_times(claim: dict, target: float, replicas: int) -> list[dict]:
    rows = []
    for aim in claim["targets"]:
        for method in ("rescaled", *claim["others"]):
            time = 400.0 * target if method == "rescaled" else 400.0
            rows.append(
                {
                    "case": claim["case"], "target": aim, "method": method, "time": time, "time_low": time * 0.99,
                    "time_high": time * 1.01, "time_exact": time if method in ("rescaled", "minibatch") else np.nan,
                    "ratio": time / (400.0 * target), "log_ratio_error": NOISE, "replicas": replicas,
                    "horizon": 8000.0, "horizon_is_safe": 1,
                }
            )  # fmt: skip
    return rows


def ticks(claim: dict, target: float, replicas: int) -> list[dict]:
    """Rescaled ASGD has all ticks, the others none; with target 0 they are as said."""
    return [
        {"method": method, "optimal_paper": float(own), "no_idle_paper": float(own), "no_memory_paper": float(own)}
        | {"idle_measured": 0.3 * (own == (target > 0)), "memory_measured": 5.0 * (own == (target > 0))}
        | {PROFILES[0]: 1.0, PROFILES[1]: 1.01 + target}
        for method in claim["methods"]
        for own in [method == "rescaled"]
    ]


FORGERS = {
    forger.__name__: forger
    for forger in (
        value, interval, instances, paired_seeds, trend, spread, slope, curve, growth, tuned_times, ticks
    )
}  # fmt: skip
