"""Made-up products: honest ones, on which every claim holds, and counterfeits, each with the claims it must break."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

METHODS = ["rescaled", "asgd", "delay_adaptive", "minibatch", "malenia", "ringleader", "ia2sgd", "concurrent"]
PROFILES = {"equal": 1.0, "spread": 3.2, "one_slow": 9.85}  # τ_max/τ_A
PANELS = "figure_s4_time_to_target"  # whose numbers it holds the panel says, not the method alone
EPSILONS = [1e-1, 1e-2, 1e-3, 1e-4, 10**-4.5, 1e-5]
SEEDS = range(12)


def honest() -> dict[str, pd.DataFrame]:
    return {
        "figure_3_toy": toy(),
        "figure_s5_stationary_error": floors(),
        "figure_s6_quadratic_by_seed": levels(),
        "figure_s4_time_to_target": times_and_effects(),
        "figure_1_mnist_by_seed": losses(),
        "figure_s10_slow_owners_by_seed": accuracies(),
        "figure_s8_nonconvex_by_seed": gradients(),
        "figure_s9_bias_network_by_seed": network_losses(),
        "figure_s12_hard_instances": hard_instances(),
        "table_1_methods": costs(),
        "table_s1_time_to_target": tuned_times(),
        "table_s2_exact_times": exact_times(),
    }


def toy() -> pd.DataFrame:
    points = {
        "rescaled": [5, 2.4, 0.98, 0.22, -0.19, -0.42, -0.54, -0.60, -0.64, -0.66],
        "asgd": [5, 1.74, 0.82, 0.56, 0.48, 0.46, 0.455],
    }
    rows = [("poster", method, 30.0 * index, x, np.nan) for method, xs in points.items() for index, x in enumerate(xs)]
    rows += [
        ("iterate", method, float(time), np.interp(time, 30 * np.arange(len(xs)), xs) + 0.002, 1.0)
        for method, xs in points.items()
        for time in range(0, 301, 10)
    ]
    table = pd.DataFrame(rows, columns=["source", "method", "time", "x", "at_cycle_end"])
    return table.assign(series=table["method"] + "_drawn")


def floors() -> pd.DataFrame:
    rows = []
    for method in ("rescaled", "asgd", "minibatch"):
        for relative in (2.0**-10, 0.0625, 0.25):
            limit = 0.1 if method == "asgd" else 0.0
            bias = limit * (1 + relative) + (0.01 * relative**2 if method == "rescaled" else 0.0)
            total = bias + 0.2 * relative
            shown = total if relative > 0.01 else np.nan
            rows.append((method, relative, total, bias, limit, shown * 1.01, shown * 0.99, shown * 1.03, 24))
    columns = ["method", "relative_step", "predicted", "predicted_bias", "limit", "measured", "low", "high", "replicas"]
    return pd.DataFrame(rows, columns=columns)


def levels() -> pd.DataFrame:
    ends = {"rescaled": 2e-4, "asgd": 0.05, "delay_adaptive": 0.08}
    rows = [
        ("heterogeneity_dominated", method, 3e-4, 0, seed, end * np.exp(0.05 * np.sin(seed)))
        for method, end in ends.items()
        for seed in SEEDS
    ]
    return pd.DataFrame(rows, columns=["case", "method", "target", "schedule_seed", "seed", "grad_norm_sq"])


def times_and_effects() -> pd.DataFrame:
    rows = []
    for position, (name, spread) in enumerate(PROFILES.items()):
        for epsilon in EPSILONS:
            lower = np.sqrt(epsilon) * (1 + position)
            value = 0.27 * (1 + lower)
            bound = 0.27 * (1 + 3 * lower) / (1 + 3 * np.sqrt(1e-5) * (1 + position)) * 1.01
            simulated = (value * 1.02, value * 0.99, value * 1.05, 400) if epsilon >= 1e-2 and position == 1 else ()
            rows.append(("rescaled", "time", "rescaled", name, epsilon, value, value, value, np.nan, *simulated))
            rows.append(("rescaled", "bound", "rescaled", name, epsilon, bound, bound, bound, np.nan))
            ratio = spread * (1 - 0.5 * np.sqrt(epsilon) * (spread > 1))
            rows.append(("minibatch", "ratio", "minibatch", name, epsilon, ratio, ratio, ratio, spread))
    effects = {"heterogeneity": ["0.3", "10"], "staleness": ["1"], "slowest": ["8"]}
    for effect, names in effects.items():
        for name in names:
            for epsilon in EPSILONS:
                value = 1 + 3 * np.sqrt(epsilon)
                ends = (value * 0.99, value * 1.01)
                rows.append((effect, "ratio", "rescaled", name, epsilon, value, *ends, 1.0, *[np.nan] * 3, 12))
    for method, limit in (("rescaled", 1), ("shuffled", 1), ("concurrent", 10)):
        for step in (0.01, 0.0):
            value = limit * (1 + step)
            half = 0.0 if method == "rescaled" else 0.01 * limit
            count = 1 if method == "rescaled" else 12
            ends = (value - half, value + half)
            rows.append(("floor", "ratio", method, method, step, value, *ends, limit, *[np.nan] * 3, count))
    columns = ["panel", "kind", "method", "series", "x", "value", "low", "high", "predicted"]
    columns += ["simulated", "simulated_low", "simulated_high", "replicas"]
    return pd.DataFrame([(*row, *[np.nan] * (len(columns) - len(row))) for row in rows], columns=columns)


def losses() -> pd.DataFrame:
    ends = {"rescaled": 0.1, "ringleader": 0.2, "malenia": 0.3, "asgd": 0.12}
    rows = [
        (case, method, seed % 4 if case == "random_times" else 0, seed // 4 if case == "random_times" else seed,
         end * np.exp(0.05 * np.sin(seed * (1 + position))))
        for case in ("random_times", "fixed_times")
        for position, (method, end) in enumerate(ends.items())
        for seed in SEEDS
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["case", "method", "schedule_seed", "seed", "loss"])


def accuracies() -> pd.DataFrame:
    rows = [
        (method, 0, seed, end + 0.02 * np.sin(seed * (2 + position)))
        for position, (method, end) in enumerate({"rescaled": 0.8, "asgd": 0.2}.items())
        for seed in SEEDS
    ]
    return pd.DataFrame(rows, columns=["method", "schedule_seed", "seed", "accuracy_slow"])


def gradients() -> pd.DataFrame:
    rows = []
    for case in ("linear", "two_speed", "equal", "linear_batches", "two_speed_batches"):
        small = 1e-4 if case.endswith("batches") else 1e-5
        ends = {"rescaled": (small, 1e-3), "asgd": (1e-3, small)}
        if case == "equal":
            ends["asgd"] = ends["rescaled"]
        for method, values in ends.items():
            for seed in SEEDS:
                factor = np.exp(0.1 * np.sin(seed))
                rows.append((case, method, 0, seed, *(value * factor for value in values)))
    return pd.DataFrame(
        rows, columns=["case", "method", "schedule_seed", "seed", "grad_norm_sq", "grad_norm_sq_frequency"]
    )


def network_losses() -> pd.DataFrame:
    rows = [
        (steps, f"noisy_{ratio}", ratio, method, 0, seed, (1 + harm * 0.05 * np.log(ratio)) * np.exp(0.001 * noise))
        for steps in ("same", "tuned")
        for ratio in (1, 2, 5, 10)
        for method, harm in (("rescaled", -1), ("asgd", 1))
        for seed in SEEDS
        for noise in [np.sin(seed * (1 + (ratio > 1) * harm))]
    ]
    return pd.DataFrame(rows, columns=["step_sizes", "case", "ratio", "method", "schedule_seed", "seed", "loss"])


def hard_instances() -> pd.DataFrame:
    rows = [
        ("chain", profile, method, ratio, value, value * 0.95, value * 1.05, np.nan, 24)
        for position, profile in enumerate(("equal", "spread", "one_slow"))
        for method, slower in (("rescaled", 0.0), ("minibatch", 0.8))
        for ratio in (1000.0, 10000.0)
        for value in [(1 + 0.05 * position) * (1 + slower * position)]
    ]
    rows += [
        (
            "curvature",
            f"{largest}.0",
            "rescaled",
            epsilon,
            np.nan,
            np.nan,
            np.nan,
            1 + 0.1 * largest * epsilon**0.5,
            np.nan,
        )
        for largest in (4, 16)
        for epsilon in (1e-2, 1e-5)
    ]
    columns = ["instance", "case", "method", "x", "value", "low", "high", "exact", "replicas"]
    return pd.DataFrame(rows, columns=columns)


def costs() -> pd.DataFrame:
    memory = dict(zip(METHODS, (0, 0, 0, 1, 16, 32, 16, 15), strict=True))
    rows = []
    for method in METHODS:
        error = {"asgd": 0.3, "delay_adaptive": np.nan}.get(method, 0.0)
        idle, wasted = method in ("minibatch", "concurrent"), method == "malenia"
        to_arrivals = 0.0 if method == "asgd" else 0.3
        rows.append(
            (method, memory[method], memory[method], idle, 0.5 * idle, wasted, 0.2 * wasted, error, error, to_arrivals)
        )
    columns = ["method", "memory_theory", "memory_measured", "idle_theory", "idle_measured", "wasted_theory"]
    columns += ["wasted_measured", "weight_error_theory", "weight_error_measured", "arrival_error_measured"]
    return pd.DataFrame(rows, columns=columns)


def tuned_times() -> pd.DataFrame:
    targets = {"noise_dominated": [0.02, 0.01, 0.005], "heterogeneity_dominated": [0.01, 0.001, 0.0003]}
    seconds = {"rescaled": 400.0, "malenia": 400.0, "ringleader": 500.0, "ia2sgd": 600.0, "minibatch": 1200.0}
    rows = []
    for case, values in targets.items():
        for target in values:
            for method in [*seconds, "asgd"]:
                time = seconds.get(method, 390.0 if case == "noise_dominated" else np.inf)
                error = 0.008 if method != "rescaled" else 0.0
                known = 1.01 * time if method in ("rescaled", "minibatch", "malenia", "asgd") else np.nan
                shown = (time * 0.97, time * 1.03, known)
                rows.append((case, target, method, time, *shown, time / 400, error if time < np.inf else np.nan, 12))
    columns = ["case", "target", "method", "time", "time_low", "time_high", "time_exact", "ratio", "log_ratio_error"]
    return pd.DataFrame(rows, columns=[*columns, "replicas"]).assign(horizon=8000.0, horizon_is_safe=1)


def exact_times() -> pd.DataFrame:
    rows = []
    for name, spread in PROFILES.items():
        price = 0.427 if spread > 1 else 1.0
        for epsilon in [*EPSILONS, 10**-1.5]:
            unit = 1 / epsilon**2
            rows.append((name, epsilon, "rescaled", "theory", 1.2 * unit, np.nan, 1.0))
            rows.append((name, epsilon, "malenia", "theory", 1.5 * unit, np.nan, 1.0))
            rows.append((name, epsilon, "minibatch", "theory", 2.0 * spread * unit, np.nan, spread))
            rows.append((name, epsilon, "asgd", "tuned", price * unit, price * 1.001, price))
            seconds, measured = 4.0 * unit, (3.9 * unit, 4.1 * unit, 48)
            rows.append((name, epsilon, "ringleader", "theory", seconds, np.nan, np.nan, *measured))
    columns = ["profile", "epsilon", "method", "steps", "seconds", "over_rescaled", "predicted_ratio"]
    columns += ["low", "high", "replicas"]
    return pd.DataFrame([(*row, *[np.nan] * (len(columns) - len(row))) for row in rows], columns=columns)


def filed_as(products: dict, true: str, claimed: str) -> None:
    """Numbers of the method `true` under the name `claimed`, whose own are gone."""
    for name, table in products.items():
        if (
            name == PANELS
            or "method" not in table
            or true not in set(table["method"])
            or claimed not in set(table["method"])
        ):
            continue
        kept = table["method"].ne(claimed) | from_elsewhere(table)
        taken = table["method"].eq(true) & ~from_elsewhere(table)
        filed = pd.concat([table[kept], table[taken].assign(method=claimed)], ignore_index=True)
        products[name] = with_theory_by_label(filed, table)


def from_elsewhere(table: pd.DataFrame) -> pd.Series:
    """What keeps its label: points of the poster, and exact times where no other method has any."""
    for column, value in (("source", "poster"), ("instance", "curvature")):
        if column in table:
            return table[column].eq(value)
    return pd.Series(False, index=table.index)


def with_theory_by_label(table: pd.DataFrame, original: pd.DataFrame) -> pd.DataFrame:
    """What theory says of a method follows its label, whatever was run under it; so does the name of its curve."""
    if "source" in table:
        table = table.assign(series=table["method"] + "_drawn")
    for column in {"limit", "memory_theory", "idle_theory", "wasted_theory", "weight_error_theory"} & set(table):
        table[column] = table["method"].map(original.groupby("method")[column].first())
    return table


def swapped(products: dict, one: str, other: str) -> None:
    names = {one: other, other: one}
    for name, table in products.items():
        if "method" in table and name != PANELS:
            labels = table["method"].where(from_elsewhere(table), table["method"].replace(names))
            products[name] = with_theory_by_label(table.assign(method=labels), table)


def vanilla_as_rescaled(products: dict) -> None:
    filed_as(products, "asgd", "rescaled")
    times = products["table_s1_time_to_target"]
    lost = times["case"] == "heterogeneity_dominated"
    times.loc[lost & (times["method"] != "asgd"), ["ratio", "log_ratio_error"]] = np.nan
    exact = products["table_s2_exact_times"]
    vanilla = exact["method"] == "asgd"
    exact.loc[vanilla, "over_rescaled"] = 1.0


def inverse_steps(products: dict) -> None:
    """γᵢ ∝ 1/τᵢ: a worker counts by its squared frequency, so the bias of vanilla ASGD is doubled."""
    toy, floors, costs = (products[name] for name in ("figure_3_toy", "figure_s5_stationary_error", "table_1_methods"))
    own = (toy["method"] == "rescaled") & (toy["source"] == "iterate")
    # (4/5)(x − 4) + (2/5)(x + 3) = 0 with weights (4/5, 1/5)
    toy.loc[own, "x"] = 5 / 3 + (5 - 5 / 3) * np.exp(-toy.loc[own, "time"] / 40)
    own = floors["method"] == "rescaled"
    floors.loc[own, "predicted_bias"] = 0.2
    for column in ("measured", "low", "high"):
        floors.loc[own, column] += 0.2
    costs.loc[costs["method"] == "rescaled", "weight_error_measured"] = 0.45
    losses, accuracies = products["figure_1_mnist_by_seed"], products["figure_s10_slow_owners_by_seed"]
    losses.loc[losses["method"] == "rescaled", "loss"] *= 5
    accuracies.loc[accuracies["method"] == "rescaled", "accuracy_slow"] -= 0.65
    gradients, network = products["figure_s8_nonconvex_by_seed"], products["figure_s9_bias_network_by_seed"]
    own = (gradients["method"] == "rescaled") & (gradients["case"] != "equal")
    gradients.loc[own, ["grad_norm_sq", "grad_norm_sq_frequency"]] = 2e-3, 5e-4
    own = network["method"] == "rescaled"
    network.loc[own, "loss"] *= (1 + 0.05 * np.log(network.loc[own, "ratio"])) ** 4


def unnormalised_steps(products: dict) -> None:
    """γᵢ = γτᵢ without the harmonic mean: with equal times all steps are larger than vanilla ASGD's."""
    gradients = products["figure_s8_nonconvex_by_seed"]
    gradients.loc[(gradients["method"] == "rescaled") & (gradients["case"] == "equal"), "grad_norm_sq"] /= 2


def concurrent_as_rescaled(products: dict) -> None:
    """A method that waits for the slowest and pays for heterogeneity in its leading term."""
    filed_as(products, "concurrent", "rescaled")
    filed_as(products, "minibatch", "rescaled")  # where there is no Concurrent ASGD: τ_max in place of τ_A
    table = products["figure_s4_time_to_target"]
    for name, spread in PROFILES.items():
        own = (table["kind"] == "time") & (table["series"] == name)
        table.loc[own, ["value", "low", "high", "simulated", "simulated_low", "simulated_high"]] *= spread
        table.loc[(table["panel"] == "minibatch") & (table["series"] == name), "value"] = 1.0
    table.loc[table["panel"].isin(["heterogeneity", "slowest"]), ["value", "low", "high"]] *= 3
    hard = products["figure_s12_hard_instances"]
    hard.loc[hard["instance"] == "curvature", "exact"] = (
        hard["case"].where(hard["instance"] == "curvature").astype(float)
    )
    floor = (table["panel"] == "floor") & (table["method"] == "rescaled")
    table.loc[floor, ["value", "low", "high"]] = 10.0


def third_longer(products: dict) -> None:
    """Rescaled ASGD takes a third longer than it should, wherever it runs and not by exact theory alone."""
    table, exact = products["figure_s4_time_to_target"], products["table_s2_exact_times"]
    table.loc[table["panel"] == "rescaled", ["simulated", "simulated_low", "simulated_high"]] *= 4 / 3
    table.loc[table["panel"] == "staleness", ["value", "low", "high"]] *= 4 / 3
    table.loc[(table["panel"] == "minibatch"), "value"] *= 3 / 4
    times = products["table_s1_time_to_target"]
    times["ratio"] *= 3 / 4
    times.loc[times["method"] == "rescaled", "time_exact"] *= 4 / 3
    exact.loc[exact["method"] == "asgd", "over_rescaled"] *= 3 / 4
    exact.loc[exact["method"] == "rescaled", "seconds"] *= 4 / 3
    exact.loc[exact["method"] == "malenia", "seconds"] *= 3 / 4
    floors = products["figure_s5_stationary_error"]
    floors.loc[floors["method"] == "rescaled", ["measured", "low", "high"]] *= 4 / 3


def wrong_order_in_epsilon(products: dict) -> None:
    """All exact times but those at the smallest target are a third longer, their bound stays."""
    table = products["figure_s4_time_to_target"]
    later = (table["kind"] == "time") & (table["x"] > 1e-5)
    table.loc[later, "value"] *= 4 / 3


def growing_effect(products: dict) -> None:
    """Heterogeneity that matters again at the smallest target."""
    table = products["figure_s4_time_to_target"]
    table.loc[(table["panel"] == "heterogeneity") & (table["x"] < 2e-5), ["value", "low", "high"]] = 1.3


def rescaled_and_vanilla_swapped(products: dict) -> None:
    swapped(products, "rescaled", "asgd")


def rescaled_and_minibatch_swapped(products: dict) -> None:
    swapped(products, "rescaled", "minibatch")
    times = products["table_s1_time_to_target"]
    own = times.loc[times["method"] == "rescaled", "time"].iloc[0]
    times["ratio"] = times["time"] / own


def ringleader_and_malenia_swapped(products: dict) -> None:
    swapped(products, "ringleader", "malenia")


def rescaled_and_concurrent_swapped(products: dict) -> None:
    table = products["figure_s4_time_to_target"]
    names = {"rescaled": "concurrent", "concurrent": "rescaled"}
    floor = table["panel"] == "floor"
    table.loc[floor, "method"] = table.loc[floor, "method"].replace(names)
    moved = floor & table["method"].isin(list(names))
    table.loc[moved, "predicted"] = table.loc[moved, "method"].map({"rescaled": 1.0, "concurrent": 10.0})


# Counterfeit → the claims that it must break.
COUNTERFEITS: dict[Callable[[dict], None], list[str]] = {
    vanilla_as_rescaled: [
        "toy_points", "toy_end_points", "rescaled_is_unbiased", "equal_total_steps", "slow_owners",
        "competitive_heterogeneity", "price_of_rescaling", "nonconvex", "nonconvex_batches",
    ],
    inverse_steps: [
        "toy_points", "toy_end_points", "rescaled_is_unbiased", "floors_as_predicted", "equal_total_steps",
        "slow_owners", "poster_mnist", "nonconvex", "nonconvex_batches", "bias_on_network", "dose_response",
    ],
    unnormalised_steps: ["equal_times"],
    concurrent_as_rescaled: [
        "mean_time_leads", "minibatch_waits", "hard_instance", "mean_smoothness_leads",
        "heterogeneity_vanishes", "slowest_vanishes", "floors_forget_heterogeneity",
        "competitive_theory_steps", "no_idle_time", "no_memory",
    ],
    third_longer: [
        "times_as_predicted", "floors_as_predicted", "competitive_noise", "competitive_heterogeneity",
        "competitive_theory_steps", "price_of_rescaling", "minibatch_waits", "staleness_vanishes",
    ],
    wrong_order_in_epsilon: ["inverse_square", "four_terms_bound"],
    growing_effect: ["effects_shrink_with_epsilon", "heterogeneity_vanishes"],
    rescaled_and_vanilla_swapped: [
        "toy_points", "toy_end_points", "vanilla_is_biased", "rescaled_is_unbiased", "equal_total_steps",
        "vanilla_weighs_by_arrivals", "stall", "slow_owners", "nonconvex", "nonconvex_batches", "bias_on_network",
        "dose_response",
    ],
    rescaled_and_minibatch_swapped: [
        "competitive_noise", "competitive_heterogeneity", "no_idle_time", "no_memory", "cost_table",
    ],
    ringleader_and_malenia_swapped: ["poster_mnist_others"],
    rescaled_and_concurrent_swapped: ["floors_forget_heterogeneity", "concurrent_pays_heterogeneity"],
}  # fmt: skip
