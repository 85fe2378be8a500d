"""Tables as training writes them, small enough to follow by hand, and every product that is drawn from them."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd

import rasgd
from rasgd.data import partition
from rasgd.experiments import build
from rasgd.experiments import settings as experiment
from rasgd.trace import write_trace

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow/scripts"
CONFIGS = sorted((ROOT / "config").glob("*/*.yaml"))
SETTINGS = {scale: {path.stem: experiment.read(path, scale) for path in CONFIGS} for scale in experiment.SCALES}
PROBLEM = {"kind": "random_quadratic", "dim": 4, "noise": 1.0, "heterogeneity": 0.3, "seed": 0}
TIMES = np.arange(0.0, 61.0, 5.0)


def script(name: str) -> dict:
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))


def curves(methods=("rescaled", "asgd"), cases=("one",), targets=(np.nan,), seeds=(0,), until=60.0) -> pd.DataFrame:
    """Metric rows that shrink exponentially, faster for the first method, with all columns figures may ask for."""
    rows = [
        {
            "case": case, "method": method, "backend": "simulator", "target": target, "options": "{}",
            "log2_beta": -4.0, "on_edge": False, "time": time, "updates": 0, "loss": value, "grad_norm_sq": value,
            "accuracy": 1 - value / 4, "accuracy_fast": 1 - value / 4, "accuracy_class_7": 0.0, "point_0": value,
            "step_size": 0.1, "seed": seed, "schedule_seed": 0,
        }
        for case in cases
        for position, method in enumerate(methods)
        for target in targets
        for seed in seeds
        for time in TIMES
        if time <= until
        for value in [2 * (1 + 0.1 * seed) * np.exp(-time / (10 * (1 + position)))]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write(table: pd.DataFrame, folder: Path, name: str = "curves") -> list[str]:
    """One file per method, as training writes them."""
    paths = []
    for method, rows in table.groupby("method", sort=False):
        paths.append(str(folder / f"{method}_{name}.parquet"))
        rows.to_parquet(paths[-1])
    return paths


def grid_rows(scores: list[float], chosen: int = 0, **columns) -> pd.DataFrame:
    rows = [
        {
            "case": "one", "method": "rescaled", "target": 0.1, "options": "{}", "log2_beta": -4.0 + index,
            "step_size": 0.1, "score": score, "final": 1.0, "diverged": 0, "collapsed": 0, "chosen": index == chosen,
        }
        | columns
        for index, score in enumerate(scores)
    ]  # fmt: skip
    return pd.DataFrame(rows)


RECORDED = {"case": "one", "method": "rescaled", "timeline": {"shown": 6}}


def recorded_files(folder: Path) -> list[str]:
    """A trace of two workers, metric rows with and without kills, and one kill, as `recorded_runs` writes them."""
    trace = rasgd.simulate(
        build.build_problem({"problem": PROBLEM}, 2), "rescaled", [1.0, 2.0], 0.05, until=9, record=True
    ).trace
    write_trace(trace[trace["time"] < 6], folder / "timeline.parquet")  # the last job of each is missing
    rows = curves(["rescaled"], seeds=(0, 1))
    pd.concat([rows.assign(kills=kills) for kills in (0, 1)]).to_parquet(folder / "fault_curves.parquet")
    kill = {"worker": 0, "killed": 20.0, "noticed": 20.5, "next_arrival": 23.0}
    pd.DataFrame([kill]).to_parquet(folder / "kills.parquet")
    return [str(folder / name) for name in ("timeline.parquet", "fault_curves.parquet", "kills.parquet")]


def both_backends(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs on both backends; on real processes worker 1 loses a tenth of its 20 gradients, and 4 are late."""
    common = {"effective_weights": [0.25, 0.75], "delay_mean": 1.5, "delay_max": 3, "server_bytes": 160}
    numbers = {
        "simulator": {"arrivals": [60, 20]} | common,
        "processes": {"arrivals": [60, 18], "overruns": [4, 0]} | common | {"effective_weights": None},
    }
    runs = runs.drop_duplicates("method")
    return pd.concat([runs.assign(backend=name, statistics=json.dumps(own)) for name, own in numbers.items()])


def draw_all(folder: Path, stem: Path) -> None:
    """Every figure and table into `stem`'s folder."""
    data = curves(targets=(0.5, 0.1))
    paths, plain = write(data, folder), write(curves(), folder, "plain")
    statistics = {
        "effective_weights": [0.5, 0.5], "idle_seconds": [0.0, 30.0], "wasted_gradients": 1, "computed_gradients": 10,
        "server_vectors": 0,
    }  # fmt: skip
    runs = data.drop_duplicates(["method", "target"]).assign(statistics=json.dumps(statistics))
    grids = pd.concat([grid_rows([3.0, np.inf, 2.0], 2), grid_rows([np.inf] * 3, method="asgd")])
    labels, problems, seconds = {"one": "first: case"}, {"one": PROBLEM}, {"one": [1.0, 2.0]}
    quadratics = {"one": {"label": labels["one"], "problem": PROBLEM, "compute_times": [1.0, 2.0]}}
    quadratics["one"] |= {"targets": [0.5, 0.1], "until": 60.0}
    owned = partition.by_speed(np.repeat(np.arange(4), 10), [1.0, 9.0], slow_classes=[3], seed=0)
    owned.save(folder / "partition.npz")
    grid = {"lowest_log2": -4, "steps_per_octave": 1, "count": 3, "max_extensions": 1}
    common = {"caption": "A caption."}
    script("figure_1_toy")["draw_toy"](plain, path_stem=stem / "figure_1", **common)
    script("figure_3_quadratic")["draw_quadratic"](paths, quadratics, path_stem=stem / "figure_3", **common)
    script("figure_5_mnist")["draw_mnist"](plain, labels, path_stem=stem / "figure_5", **common)
    script("figure_6_slow_owners")["draw_slow_owners"](
        plain, folder / "partition.npz", [1.0, 9.0], path_stem=stem / "figure_6", **common
    )
    script("figure_7_step_sizes")["draw_step_sizes"](
        {"any": write(grids, folder, "grid")}, {"any": labels}, {"any": grid}, path_stem=stem / "figure_7", **common
    )
    script("figure_8_real_processes")["draw_real_processes"](
        plain, *recorded_files(folder), labels, problems, RECORDED, seconds, path_stem=stem / "figure_8", **common
    )
    script("table_1_methods")["tabulate_methods"](
        write(runs, folder, "runs"), "one", 0.1, [1.0, 2.0], 60.0, path_stem=stem / "table_1", **common
    )
    script("table_5_real_processes")["tabulate_real_processes"](
        write(both_backends(runs), folder, "both"), labels, {"one": 60.0}, path_stem=stem / "table_5", **common
    )
    script("table_2_time_to_target")["tabulate_times"](paths, quadratics, path_stem=stem / "table_2", **common)
