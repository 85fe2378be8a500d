"""The bounds of Theorems 4.1, 4.3 and B.9 and the lemmas behind them against exact moments on random quadratics."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd

from rasgd.experiments.exact.theorem_instances import Instances, groups, random_instances
from rasgd.theory import beyond, cycle_moments, paper
from rasgd.theory.constants import Constants

# theorem: weights of the objective, its bound and its step limit, both in terms of α
THEOREMS = {
    "theorem_4_1": ("rescaled", "paper"),
    "theorem_4_3": ("asgd", "paper"),
    "theorem_b_9": ("any", "paper"),
    "sharper_b_9": ("any", "sharper"),
}
EXACT_TO = 1e-9  # what rounding may add to a ratio of 1: 1,000 cycles of products of matrices with entries of order 1
POWERS = tuple(2**k for k in range(11))


def bound_and_limit(
    form: str, instances: Instances, alpha: np.ndarray, cycles: np.ndarray, constants: Constants
) -> tuple[paper.Bound, np.ndarray]:
    """The bound at α [B] after cycles [M] as terms [M, B], and the largest α allowed [B]."""
    times, weights = instances.compute_times, instances.weights
    after = np.asarray(cycles)[:, None]
    if form == "paper":
        limit = paper.theorem_b_9_limit(constants, times, weights)
        return paper.theorem_b_9(constants, times, weights, alpha, after), limit
    return beyond.sharper_b_9(constants, times, weights, alpha, after), beyond.sharper_b_9_limit(constants)


def tightest(
    form: str, instances: Instances, alpha: np.ndarray, cycles: np.ndarray, curve: list[Constants], enforce: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest bound [M, B] along the curve of ζ and ρ that allows α, and which term leads it (0, 1, 2)."""
    best, leading = None, None
    for constants in curve:
        bound, limit = bound_and_limit(form, instances, alpha, cycles, constants)
        total = bound.total
        if enforce:
            total = np.where(alpha <= limit * (1 + 1e-12), total, np.inf)
        terms = np.stack([np.broadcast_to(term, total.shape) for term in bound])
        which = terms.argmax(axis=0)
        if best is None:
            best, leading = total, which
        else:
            leading = np.where(total < best, which, leading)
            best = np.minimum(best, total)
    return best, leading


def largest_step(form: str, instances: Instances, curve: list[Constants], cycles=(1,)) -> np.ndarray:
    """The largest α [B] that the form allows at any ρ of the curve."""
    one = np.ones(len(instances.start))
    return np.max([bound_and_limit(form, instances, one, cycles, constants)[1] for constants in curve], axis=0)


def power_averages(maps: cycle_moments.CycleMaps, reader: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(1/M) Σ_{m<M} E‖∇F(xᵐ)‖² for M = 1, 2, 4 … 1024: [11, B]."""
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the step limits some diverge
        return np.array(cycle_moments.doubled_averages(maps, reader, start, len(POWERS)))


def looseness(settings: dict, report: Callable[[float], None]) -> pd.DataFrame:
    """Every theorem's left side over its right side.

    Columns: theorem; by and at: what the rows are grouped by (all, cycles, step: α over its limit, leading: the term of
    the bound that leads after 1,024 cycles, kind: of curvatures, times); count of instances, evaluations, violations;
    largest, the 99th percentile and median of the ratio.
    """
    given, rows = settings["instances"], []
    records: dict[str, list] = {theorem: [] for theorem in THEOREMS}
    for group in groups(settings["seed"], given["groups"], given["per_group"], given["max_workers"], given["max_dim"]):
        report(group["group"] / given["groups"])
        for position, (theorem, (target, form)) in enumerate(THEOREMS.items()):
            rng = np.random.default_rng([settings["seed"], 1, group["group"], position])
            instances = random_instances(rng, group, target)
            curve = instances.constants_along()
            # a third exactly at the limit, the others below it over two decades
            share = np.where(rng.random(group["count"]) < 1 / 3, 1.0, 10.0 ** rng.uniform(-2, 0, group["count"]))
            alpha = share * largest_step(form, instances, curve)
            maps, reader = instances.maps(alpha), instances.mean_curvature
            left = power_averages(maps, reader, instances.state())
            right, leading = tightest(form, instances, alpha, POWERS, curve)
            every = np.zeros(len(share), dtype=bool)
            every[: given["every_cycle"]] = True  # of these every M up to 1,000 is looked at
            some = cycle_moments.CycleMaps(*(array[every] for array in maps))
            squares = cycle_moments.expected_squares(some, reader[every], instances.state()[every], given["cycles"])
            cycles = np.arange(1, given["cycles"] + 1)
            averages = (squares.cumsum(axis=1) / cycles).T
            part = instances._replace(
                **{
                    name: getattr(instances, name)[every]
                    for name in ("curvatures", "residuals", "weights", "noise_std", "start")
                }
            )
            full, _ = tightest(form, part, alpha[every], cycles, part.constants_along())
            records[theorem].append(
                {
                    "ratio": left / right, "share": share, "leading": leading[-1], "kind": group["kind"],
                    "times": " ".join(f"{time:g}" for time in sorted(group["compute_times"])),
                    "full": averages / full,
                }
            )  # fmt: skip
    for theorem, found in records.items():
        rows += looseness_rows(theorem, found)
    return pd.DataFrame(rows)


def looseness_rows(theorem: str, found: list[dict]) -> list[dict]:
    ratio = np.concatenate([own["ratio"] for own in found], axis=1)
    share, leading = (np.concatenate([own[name] for own in found]) for name in ("share", "leading"))
    kind, times = (
        np.concatenate([np.full(own["ratio"].shape[1], own[name]) for own in found]) for name in ("kind", "times")
    )
    full = np.concatenate([own["full"].ravel() for own in found])
    everything = np.concatenate([ratio.ravel(), full])
    rows = [statistics(theorem, "all", "", everything, ratio.shape[1])]
    rows += [
        statistics(theorem, "cycles", number, own, ratio.shape[1]) for number, own in zip(POWERS, ratio, strict=True)
    ]
    edges = [0.0, 0.03, 0.1, 0.3, 0.999, 1.1]
    for low, high in pairwise(edges):
        chosen = (share > low) & (share <= high)
        rows.append(statistics(theorem, "step", min(high, 1.0), ratio[:, chosen], chosen.sum()))
    for number, name in enumerate(("transient", "noise", "staleness")):
        chosen = leading == number
        rows.append(statistics(theorem, "leading", name, ratio[-1:, chosen], chosen.sum()))
    for by, labels in (("kind", kind), ("times", times)):
        for label in sorted(set(labels)):
            chosen = labels == label
            rows.append(statistics(theorem, by, label, ratio[:, chosen], chosen.sum()))
    return rows


def statistics(theorem: str, by: str, at, ratios: np.ndarray, count: int) -> dict:
    finite = ratios[np.isfinite(ratios)]
    values = (
        dict(zip(("median", "percentile_99", "largest"), np.quantile(finite, [0.5, 0.99, 1.0]), strict=True))
        if finite.size
        else {}
    )
    return {
        "theorem": theorem, "by": by, "at": str(at), "count": int(count), "evaluations": int(ratios.size),
        "violations": int((~(ratios <= 1 + EXACT_TO)).sum()), **values,
    }  # fmt: skip


def outside(settings: dict) -> pd.DataFrame:
    """Where the bounds break when α exceeds what they allow: columns theorem, over_limit, count, violations, largest.

    Each step is taken over the largest that any ρ allows, and counts as a violation where the smallest of the bounds
    along the curve is exceeded after some M = 1, 2 … 1,024.
    """
    given, rows = settings["instances"], []
    for theorem, (target, form) in THEOREMS.items():
        found: dict[float, list] = {factor: [] for factor in settings["over_limit"]}
        for group in groups(
            settings["seed"], given["groups"], given["every_cycle"], given["max_workers"], given["max_dim"]
        ):
            rng = np.random.default_rng([settings["seed"], 2, group["group"]])
            instances = random_instances(rng, group, target)
            curve = instances.constants_along()
            limit = largest_step(form, instances, curve)
            for factor, ratios in found.items():
                maps = instances.maps(limit * factor)
                left = power_averages(maps, instances.mean_curvature, instances.state())
                right, _ = tightest(form, instances, limit * factor, POWERS, curve, enforce=False)
                ratios.append(np.where(np.isfinite(left), left / right, np.inf).max(axis=0))
        for factor, ratios in found.items():
            ratio = np.concatenate(ratios)
            rows.append(
                {
                    "theorem": theorem, "over_limit": float(factor), "count": ratio.size,
                    "violations": int((ratio > 1 + EXACT_TO).sum()), "largest": ratio.max(), "median": np.median(ratio),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def lemmas(settings: dict) -> pd.DataFrame:
    """Lemmas B.1 to B.8 along the exact moments of the first cycles: columns check, count, violations, value, allowed.

    ``value``: for bounds the largest left over right side (allowed: 1), for identities the largest relative error. B.2
    is taken in expectation and, being about paths, on noiseless ones; sharper_b_6 is the bias bound behind the sharper
    Theorem B.9.
    """
    given = settings["instances"]
    found: dict[str, list] = {}
    for group in groups(
        settings["seed"], given["groups"], given["every_cycle"], given["max_workers"], given["max_dim"]
    ):
        rng = np.random.default_rng([settings["seed"], 3, group["group"]])
        instances = random_instances(rng, group, "any")
        constants = instances.constants_along((1.2,))[0]
        share = 10.0 ** rng.uniform(-2.0, 0.0, group["count"])
        alpha = share * paper.theorem_b_9_limit(constants, instances.compute_times, instances.weights)
        for name, values in lemma_ratios(instances, constants, alpha, given["lemma_cycles"]).items():
            found.setdefault(name, []).append(np.ravel(values))
    rows = []
    for name, values in found.items():
        every = np.concatenate(values)
        allowed = IDENTITIES.get(name, 1.0 + EXACT_TO)
        rows.append(
            {
                "check": name, "count": every.size, "violations": int((~(every <= allowed)).sum()),
                "value": every.max(), "allowed": allowed,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


# products of at most 64 matrices with entries of order 1 round to some 1e-14
IDENTITIES = {"b_7_identity": 1e-12, "b_1_equality": 1e-12}


def lemma_ratios(
    instances: Instances, constants: Constants, alpha: np.ndarray, num_cycles: int
) -> dict[str, np.ndarray]:
    """Left over right side of every lemma, from the moments of z at the beginnings of the cycles."""
    steps = paper.cycle_steps(instances.compute_times, instances.weights, alpha)
    maps, workers = instances.maps(alpha), instances.arrivals.workers
    size, length = maps.advance.shape[1], len(workers)
    gamma = steps.worker_steps[:, workers]  # [B, K]
    curvatures = instances.curvatures[:, workers]  # [B, K, d, d]
    mean, sigma2 = instances.mean_curvature, constants.noise_variance
    moments = cycle_moments.second_moments(maps, instances.state(), num_cycles)
    noiseless = cycle_moments.second_moments(
        maps._replace(noise=np.zeros_like(maps.noise)), instances.state(), num_cycles
    )

    away = maps.held - maps.points[:, :1]  # y_k − xᵐ
    pulls = curvatures @ away  # ∇F_i(y_k) − ∇F_i(xᵐ)
    bias = np.einsum("bk,bkdc->bdc", gamma, pulls)
    local = curvatures @ maps.held
    local[:, :, :, size - 1] += instances.residuals[:, workers]
    at_start = mean @ maps.points[:, 0]

    def square(rows: np.ndarray, moment: np.ndarray = moments) -> np.ndarray:
        """E‖row·(z, e)‖² [M, B] or [M, B, K]."""
        own, noise = rows[..., :size], (rows[..., size:] ** 2).sum(axis=(-2, -1))
        if rows.ndim == 3:
            return np.einsum("bdc,mbce,bde->mb", own, moment, own, optimize=True) + noise
        return np.einsum("bkdc,mbce,bkde->mbk", own, moment, own, optimize=True) + noise

    step = maps.points[:, 0] - maps.points[:, -1]
    rest = step - alpha[:, None, None] * at_start - bias  # ν, by Lemma B.7 nothing but noise
    noise_part = (rest[:, :, size:] ** 2).sum(axis=(1, 2))
    scale = np.abs(maps.points[:, :, :, :size]).max(axis=(1, 2, 3))  # at least 1: a step is a difference of points
    gradient, distance, bias_square = square(at_start), square(away), square(bias)
    # distances are differences of second moments, which round to 1e-16 of their size; in the first cycle many are 0
    nothing = 1e-13 * np.einsum("mbcc->mb", moments)
    bias_nothing = nothing * (alpha * constants.max_smoothness) ** 2
    stochastic = square(local) + sigma2[:, None]
    spread = sigma2 + constants.heterogeneity
    stiff, smooth, growth = constants.max_smoothness, constants.smoothness, constants.growth
    total = gradient.sum(axis=0)
    q = (gamma**2 * stochastic).sum(axis=(0, 2))
    allowance = steps.squares**2 * length**2 * stiff**2
    quiet_distance, quiet_bias = square(away[..., :size], noiseless), square(bias[..., :size], noiseless)
    right_8 = (
        2 * (constants.initial_gap / (alpha * num_cycles))
        + 3 * steps.squares * smooth * sigma2 / alpha
        + (2 / alpha**2 + 3 * smooth / alpha) * bias_square.mean(axis=0)
    )
    sharp = alpha**4 * stiff**2

    def ratio(left, right):
        return np.where(left <= 1e-300, 0.0, left / np.maximum(right, 1e-300))

    paths = path_sums(instances.arrivals.workers, gamma, stochastic)
    return {
        "b_7_identity": np.abs(rest[:, :, :size]).max(axis=(1, 2)) / scale,
        "b_1_equality": np.abs(ratio(noise_part, steps.squares * sigma2) - (sigma2 > 0)),
        "b_2": ratio(bias_square - bias_nothing, steps.squares * stiff**2 * distance.sum(axis=2)),
        "b_2_paths": ratio(quiet_bias - bias_nothing, steps.squares * stiff**2 * quiet_distance.sum(axis=2)),
        "b_3": ratio(distance - nothing[:, :, None], length * paths),
        "b_4": ratio(
            stochastic,
            (spread + 2 * growth**2 * gradient)[:, :, None]
            + (2 * (growth * smooth) ** 2)[None, :, None] * distance,
        ),
        "b_5": ratio(q, 2 * steps.squares * num_cycles * spread + 4 * steps.squares * growth**2 * total),
        "b_6": ratio(
            bias_square.sum(axis=0), allowance * (2 * num_cycles * spread + 4 * growth**2 * total)
        ),
        "sharper_b_6": ratio(
            bias_square.sum(axis=0), sharp * (2 * num_cycles * spread + 4 * growth**2 * total)
        ),
        "b_8": ratio(gradient.mean(axis=0), right_8),
    }  # fmt: skip


def path_sums(workers: np.ndarray, gamma: np.ndarray, stochastic: np.ndarray) -> np.ndarray:
    """Σ γ²E‖g‖² over the updates between y_k and xᵐ [M, B, K]: the index set of Lemma B.3."""
    every = gamma**2 * stochastic
    result = np.zeros_like(every)
    length = len(workers)
    for k, worker in enumerate(workers):
        before = np.flatnonzero(workers[:k] == worker)
        if before.size:  # handed out within this cycle, after its update number before[-1]
            result[:, :, k] = every[:, :, : before[-1] + 1].sum(axis=2)
            continue
        last = np.flatnonzero(workers == worker)[-1]  # handed out in the cycle before; in the first one at its start
        if last + 1 < length:
            result[1:, :, k] = every[:-1, :, last + 1 :].sum(axis=2)
    return result
