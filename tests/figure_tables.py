"""Tables as experiments write them, small enough to follow by hand, for every product at the smoke scale's settings."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd.experiments import build
from rasgd.experiments import exact as computations
from rasgd.experiments import settings as experiment
from rasgd.figures import product, style

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "config/experiments").glob("*.yaml"))
SETTINGS = {scale: {path.stem: experiment.read(path, scale) for path in CONFIGS} for scale in experiment.SCALES}
PROBLEM = {"kind": "random_quadratic", "dim": 4, "noise": 1.0, "heterogeneity": 0.3, "seed": 0}
TIMES = np.arange(0.0, 61.0, 5.0)
SEEDS = (0, 1)
PRODUCTS_FILE, PRODUCTS_SCHEMA = ROOT / "config/products.yaml", ROOT / "workflow/schemas/products.schema.yaml"


def product_rows() -> dict[str, product.Row]:
    """The rows of config/products.yaml, and those that follow from the experiments."""
    return product.rows(PRODUCTS_FILE, PRODUCTS_SCHEMA, all_tables())


def drawn(name: str, row: product.Row) -> product.Product:
    """A product from small tables, at the smoke scale's settings."""
    tables = {one: {table: tables_of(one)[table] for table in wanted} for one, wanted in row.shows.items()}
    with style.settings():
        return product.module(row.module).draw(tables, {one: SETTINGS["smoke"][one] for one in row.shows})


def all_tables() -> dict[str, tuple[str, ...]]:
    """Names of the tables of every experiment."""
    return {name: experiment.tables_of(own) for name, own in SETTINGS["smoke"].items()}


@cache
def tables_of(name: str) -> dict[str, pd.DataFrame]:
    """All tables of an experiment with the smoke scale's settings."""
    settings = SETTINGS["smoke"][name]
    if not experiment.is_exact(settings):
        return trained_tables(settings)
    if settings["exact"] in EXACT:
        return EXACT[settings["exact"]](settings)
    return computations.compute(settings | SHORTER.get(settings["exact"], {}), lambda fraction: None, {})


def curves(methods=("rescaled", "asgd"), cases=("one",), targets=(np.nan,), seeds=(0,), until=60.0, **more):
    """Metric rows that shrink exponentially, faster for the first method.

    `more` are columns beside those every problem has: a share of the loss.
    """
    rows = [
        {
            "case": case, "method": method, "backend": "simulator", "target": target, "options": "{}",
            "log2_beta": -4.0, "on_edge": False, "time": time, "updates": 0, "loss": value, "grad_norm_sq": value,
            "step_size": 0.1, "seed": seed, "schedule_seed": 0, **{name: share * value for name, share in more.items()},
        }
        for case in cases
        for position, method in enumerate(methods)
        for target in targets
        for seed in seeds
        for time in TIMES
        if time <= until
        for value in [2 * (1 + 0.1 * seed) * np.exp(-time / (3 * (1 + position)))]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write(table: pd.DataFrame, folder: Path, name: str = "curves") -> list[str]:
    """One file per method, as training writes them."""
    paths = []
    for method, rows in table.groupby("method", sort=False):
        paths.append(str(folder / f"{method}_{name}.parquet"))
        rows.to_parquet(paths[-1])
    return paths


def grid_rows(scores: list[float], chosen: int = 0, lowest: float = -4.0, **columns) -> pd.DataFrame:
    rows = [
        {
            "case": "one", "method": "rescaled", "target": 0.1, "options": "{}", "log2_beta": lowest + index,
            "step_size": 0.1, "score": score, "final": 1.0, "diverged": 0, "collapsed": 0, "chosen": index == chosen,
        }
        | columns
        for index, score in enumerate(scores)
    ]  # fmt: skip
    return pd.DataFrame(rows)


STATISTICS = {
    "idle_seconds": [0.0, 30.0], "wasted_gradients": 1, "computed_gradients": 10,
    "server_vectors": 0, "delay_mean": 1.5, "delay_max": 3, "server_bytes": 160, "arrivals": [60, 20],
}  # fmt: skip
# On real processes worker 1 loses a tenth of its 20 gradients, and 4 are late.
REAL_STATISTICS = STATISTICS | {"arrivals": [60, 18], "overruns": [4, 0], "effective_weights": None}


def trained_tables(settings: dict) -> dict[str, pd.DataFrame]:
    """Tables of a trained experiment with all its cases, methods, targets and metrics, on two seeds."""
    lowest = settings["step_sizes"].get("grid", {}).get("lowest_log2", -4.0)
    methods, parts, grids, statistics = list(settings["methods"]), [], [], {}
    for case in settings["cases"]:
        own = experiment.case_settings(settings, case)
        problem, targets = own["problem"], own.get("targets", [np.nan])
        weightings = problem.get("evaluation_weightings", {})
        more = {f"{name}_{key}": 0.5 for key in weightings for name in ("loss", "grad_norm_sq", "accuracy")}
        more |= {f"accuracy_{group}": 0.25 for group in problem.get("evaluation_groups", {})}
        num_workers = build.build_compute_times(own["compute_times"]).num_workers
        shares = np.where(np.arange(num_workers) % 2, 0.5, 1.5) / num_workers  # weight error 1/4 for an even number
        statistics[case] = json.dumps(STATISTICS | {"effective_weights": shares.tolist()})
        more |= {"point_0": 1.0} if problem["kind"] == "quadratic" else {}
        parts.append(curves(methods, [case], targets, SEEDS, **more))
        grids += [
            grid_rows([3.0, np.inf, 2.0], 2, lowest, case=case, method=method, target=target)
            for method in methods
            for target in targets
        ]
    table = pd.concat(parts, ignore_index=True)
    runs = table.drop_duplicates(["case", "method", "target", "seed"]).drop(columns=["time", "updates"])
    runs = runs.assign(statistics=runs["case"].map(statistics), diverged_at=np.nan, collapsed=0)
    if "processes" in settings["backends"]:
        table = pd.concat([table, table.assign(backend="processes")], ignore_index=True)
        runs = pd.concat([runs, runs.assign(backend="processes", statistics=json.dumps(REAL_STATISTICS))])
    tables = {"curves": table, "runs": runs.reset_index(drop=True), "grid": pd.concat(grids, ignore_index=True)}
    if "data" in settings:
        case = experiment.case_settings(settings, next(iter(settings["cases"])))
        num_workers = build.build_compute_times(case["compute_times"]).num_workers
        owned = [(worker, label, 10 * (worker % 10 == label)) for worker in range(num_workers) for label in range(10)]
        tables["partition"] = pd.DataFrame(owned, columns=["worker", "class", "samples"])
    if "recorded" in settings:
        tables |= recorded_tables(settings["recorded"])
    return tables


def recorded_tables(recorded: dict) -> dict[str, pd.DataFrame]:
    """A trace of two workers whose last jobs are missing, metric rows with and without kills, and one kill."""
    trace = [
        (worker, k, (k + 1) * seconds, seconds, worker) for worker, seconds in ((0, 1.0), (1, 1.5)) for k in range(4)
    ]
    timeline = pd.DataFrame(trace, columns=["worker", "k", "time", "duration", "delay"])
    rows = curves([recorded["method"]], seeds=SEEDS)
    kill = {"worker": 0, "killed": 20.0, "noticed": 20.5, "next_arrival": 23.0}
    return {
        "timeline": timeline,
        "fault_trace": timeline,
        "fault_curves": pd.concat([rows.assign(kills=kills) for kills in (0, 1)], ignore_index=True),
        "kills": pd.DataFrame([kill]),
    }


def floors_and_stability(settings: dict) -> dict[str, pd.DataFrame]:
    relative = np.array([0.0625, 0.125, 0.25])
    floors = [
        pd.DataFrame(
            {
                "method": method, "relative_step": relative, "step_size": 0.2 * relative, "predicted": relative,
                "predicted_bias": 0.0 if method == "minibatch" else relative**2, "predicted_noise": relative,
                "small_step": relative, "limit": 0.1 if method == "asgd" else 0.0,
                "measured": [np.nan, 0.13, 0.26], "low": [np.nan, 0.12, 0.25], "high": [np.nan, 0.14, 0.27],
                "replicas": [np.nan, 3, 3],
            }
        )
        for method in settings["methods"]
    ]  # fmt: skip
    stability = pd.DataFrame(
        [(method, 0.2, step, step, step, step < 1, step < 1) for method in settings["methods"] for step in (0.9, 1.1)],
        columns=["method", "largest_stable_step", "relative_step", "predicted_growth", "measured_growth",
                 "predicted_stable", "measured_stable"],
    )  # fmt: skip
    return {"floors": pd.concat(floors, ignore_index=True), "stability": stability}


def times_to_target(settings: dict) -> dict[str, pd.DataFrame]:
    choices = [("rescaled", "tuned", "none"), ("rescaled", "theory", "none"), ("minibatch", "tuned", "none"),
               ("minibatch", "theory", "none"), ("malenia", "tuned", "theory"), ("malenia", "theory", "theory"),
               ("malenia", "tuned", "tuned"), ("asgd", "tuned", "none"), ("ringleader", "theory", "none")]  # fmt: skip
    rows = []
    for profile in settings["profiles"]:
        for epsilon in settings["epsilons"]:
            for place, (method, steps, batch_choice) in enumerate(choices):
                simulated = method in ("rescaled", "ringleader") and epsilon >= 0.01
                rows.append(
                    {
                        "profile": profile, "epsilon": epsilon, "method": method, "steps": steps,
                        "batch_choice": batch_choice, "batch": 16.0 if method == "malenia" else np.nan,
                        "step_size": 0.05, "seconds": (1 + place) / epsilon**2, "scaled": 0.4 + epsilon,
                        "over_rescaled": 1.0 + place, "predicted_ratio": 1.0 + place, "bound": 0.5 + 2 * epsilon,
                        "lower_bound": 0.1, "measured": (1 + place) / epsilon**2 if simulated else np.nan,
                        "low": 0.9 * (1 + place) / epsilon**2 if simulated else np.nan,
                        "high": 1.1 * (1 + place) / epsilon**2 if simulated else np.nan,
                        "replicas": 3 if simulated else np.nan,
                    }
                )  # fmt: skip
    return {"times": pd.DataFrame(rows)}


def lower_order(settings: dict) -> dict[str, pd.DataFrame]:
    ratios = [
        (effect, parameter, epsilon, 1.0, 1 + 3 * epsilon**0.5, 1 + 2 * epsilon**0.5, 1 + 4 * epsilon**0.5, 2)
        for effect, parameter in (("heterogeneity", 1.0), ("heterogeneity", 10.0), ("staleness", 1.0), ("slowest", 8.0))
        for epsilon in settings["epsilons"]
    ]
    floors = [
        (method, step, limit, limit * (1 + step), limit * (1 + 0.9 * step), limit * (1 + 1.1 * step), 2)
        for method, limit in (("rescaled", 1.0), ("shuffled", 1.0), ("concurrent", 10.0))
        for step in (0.08, 0.01, 0.0)
    ]
    measured = ["predicted", "measured", "low", "high", "replicas"]
    return {
        "ratios": pd.DataFrame(ratios, columns=["effect", "parameter", "epsilon", *measured]),
        "floors": pd.DataFrame(floors, columns=["method", "step_size", *measured]),
    }


def chain_times(settings: dict) -> dict[str, pd.DataFrame]:
    rows = [
        {
            "profile": profile, "noise_to_target": float(ratio), "method": method, "seconds": 1.0 + place, "low": 0.9,
            "high": 1.1, "bound": 2.0, "promised": 40.0, "replicas": 3, "over_bound": (1 + place) / ratio**0.1,
            "over_bound_low": 0.9 * (1 + place) / ratio**0.1, "over_bound_high": 1.1 * (1 + place) / ratio**0.1,
        }
        for profile in settings["profiles"]
        for ratio in settings["noise_to_target"]
        for place, method in enumerate(settings["methods"])
    ]  # fmt: skip
    return {"times": pd.DataFrame(rows)}


def curvature_times(settings: dict) -> dict[str, pd.DataFrame]:
    rows = []
    for largest in (1.0, 4.0, 16.0):
        for epsilon in (0.1, 0.01):
            ratio = 1 + 0.1 * largest * epsilon
            shared = {"max_smoothness": largest, "epsilon": epsilon}
            exact = {"predicted_over_smooth": ratio, "measured_over_smooth": np.nan, "low_over_smooth": np.nan,
                     "high_over_smooth": np.nan}  # fmt: skip
            measured = {"predicted_over_smooth": np.nan, "measured_over_smooth": ratio, "low_over_smooth": 0.9 * ratio,
                        "high_over_smooth": 1.1 * ratio}  # fmt: skip
            rows += [shared | {"method": "rescaled"} | exact, shared | {"method": "ringleader"} | measured]
    return {"times": pd.DataFrame(rows)}


def exact_moments(settings: dict) -> dict[str, pd.DataFrame]:
    """Of the runs of `quadratic`: a tenth above the runs, known of two methods."""
    runs = trained_tables(SETTINGS["smoke"]["quadratic"])["curves"]
    keys = ["case", "method", "target", "options", "step_size"]
    known = runs[(runs["seed"] == 0) & runs["method"].isin(["rescaled", "minibatch"])]
    known = known.assign(grad_norm_sq=1.1 * known["grad_norm_sq"])
    return {
        "curves": known[[*keys, "time", "grad_norm_sq"]].reset_index(drop=True),
        "times": known.drop_duplicates(keys)[keys].assign(seconds=30.0).reset_index(drop=True),
    }


# What makes the other computations short.
SHORTER = {
    "cumulative_step": {"slopes": {"from": 6, "until": 18, "schedule_seeds": [1]}},
}
EXACT = {
    "floors": floors_and_stability,
    "times": times_to_target,
    "ratios": lower_order,
    "chain": chain_times,
    "curvature": curvature_times,
    "chosen_steps": exact_moments,
}
