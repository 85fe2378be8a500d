"""Tunes one method on every case of one experiment and reports its trajectories on fresh seeds."""

import hashlib
import json
import math
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import numpy as np
import pandas as pd

import rasgd
from rasgd.experiments import build, progress, tuning
from rasgd.experiments import settings as experiment
from rasgd.experiments.logged import job
from rasgd.experiments.store import rows_of, stored_runs
from rasgd.files import replacing
from rasgd.methods import METHODS
from rasgd.simulation.evaluation import evaluation_times


def train(
    settings: dict,
    method: str,
    source_hashes: dict[str, str],
    device: str,
    path_to_dataset: str | None,
    path_to_partition: str | None,
    path_to_store: str,
    path_to_curves: str,
    path_to_runs: str,
    path_to_grid: str,
    report: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Writes metric rows, one row per reported run, and one row per point of the grid.

    Args:
        settings: of the experiment, as `experiment.read` gives them; `methods` holds this method.
        method: short name.
        source_hashes: by backend, of the code behind a run.
        device: cpu or cuda.
        path_to_dataset, path_to_partition: what the rules `dataset` and `partition` made, or None.
        path_to_store: folder of finished runs, looked up before computing.
        path_to_curves, path_to_runs, path_to_grid: Parquet files to write.
        report: told the fraction done.
    """
    tables = {"curves": [], "runs": [], "grid": []}
    for number, case in enumerate(settings["cases"]):
        part = partial(fraction_of_case, report, number, len(settings["cases"]))
        bench = CaseBench(
            experiment.case_settings(settings, case), method, source_hashes, device, path_to_dataset, path_to_partition,
            path_to_store,
        )  # fmt: skip
        grid, chosen = bench.tune(lambda done, part=part: part(done * 0.7))
        curves, runs = bench.report(chosen, lambda done, part=part: part(0.7 + done * 0.3))
        for name, table in (("curves", curves), ("runs", runs), ("grid", grid)):
            table.insert(0, "case", case)
            table.insert(1, "method", method)
            tables[name].append(table)
    for name, path in (("curves", path_to_curves), ("runs", path_to_runs), ("grid", path_to_grid)):
        with replacing(path) as temporary:
            pd.concat(tables[name], ignore_index=True).to_parquet(temporary, compression="zstd", index=False)


def fraction_of_case(report: Callable, number: int, count: int, done: float) -> None:
    report((number + done) / count)


class CaseBench:
    """One case with one method: builds what a run needs once, and runs it through the store."""

    def __init__(
        self, settings, method, source_hashes, device, path_to_dataset, path_to_partition, path_to_store
    ):  # fmt: skip
        self.settings, self.method, self.source_hashes = settings, method, source_hashes
        self.device, self.path_to_store = device, path_to_store
        self.times = build.build_compute_times(settings["compute_times"])
        self.problem = build.build_problem(settings, self.times.num_workers, path_to_dataset, path_to_partition)
        self.targets = settings.get("targets") or [math.nan]
        self.data = data_key(path_to_partition) if build.PROBLEMS[settings["problem"]["kind"]].on_data else None

    def dealt_seeds(self, role: str) -> list[tuple[int, list[int]]]:
        """(schedule seed, its seeds) of a role."""
        random_schedule = self.times.seeded(0) is not self.times or METHODS[self.method].draws_jobs
        return experiment.dealt_seeds(self.settings[role], random_schedule)

    def rows(
        self, role: str, backend: str, options: dict, steps: list[float], schedule_seed: int, seeds: list[int], report
    ):
        """Metric rows and replica rows of some step sizes and seeds on one schedule."""
        arguments = {
            "until": self.settings["until"],
            "eval_every": self.settings[role]["eval_every"],
            "schedule_seed": schedule_seed,
            "backend": backend,
            "backend_options": self.settings["backends"][backend],
            "step_size_decay": self.settings.get("step_size_decay"),
            "device": self.device,
            "measure_weights": role == "reporting",
        }
        key = arguments | {
            "problem": {"settings": self.settings["problem"], "data": self.data},
            "compute_times": self.settings["compute_times"],
            "method": self.method,
            "options": options,
            "source": self.source_hashes[backend],
            "versions": [version("torch"), version("numpy")],
        }

        def compute(some_steps, some_seeds):
            return rasgd.simulate(
                self.problem, self.method, self.times, some_steps, some_seeds, progress=report, **arguments, **options
            )

        curves, runs = rows_of(stored_runs(self.path_to_store, key, steps, seeds, compute), steps, seeds)
        for table in (curves, runs):
            table["schedule_seed"] = schedule_seed
        return curves, runs

    def tune(self, report) -> tuple[pd.DataFrame, list[dict]]:
        """The grid that was tried, and for every target the choice (options, step size, log₂ β, on the edge)."""
        options_grid = experiment.method_options(self.settings, self.method, self.times.num_workers)
        rates = [self.rate(options) for options in options_grid]
        step_sizes = self.settings["step_sizes"]
        if "grid" not in step_sizes:
            options, rate = options_grid[0], rates[0]
            step = step_sizes["fixed"][self.method] if "fixed" in step_sizes else 2.0 ** step_sizes["log2_beta"] / rate
            choice = {"options": options, "step_size": step, "log2_beta": math.log2(step * rate), "on_edge": False}
            return self.grid_table([], []), [choice | {"target": target} for target in self.targets]
        expected = len(options_grid) * (step_sizes["grid"]["count"] + step_sizes["grid"]["steps_per_octave"])
        done = 0

        def evaluate(options: dict, exponents: list[float]) -> list[tuning.Candidate]:
            nonlocal done
            rate = rates[options_grid.index(options)]
            candidates = self.score(
                options, exponents, rate, lambda f: report(min(1, (done + f * len(exponents)) / expected))
            )
            done += len(exponents)
            return candidates

        candidates, winners = tuning.search(step_sizes["grid"], options_grid, evaluate, len(self.targets))
        choices = [
            {"options": w.options, "step_size": w.step_size, "log2_beta": w.exponent, "on_edge": edge, "target": target}
            for (w, edge), target in zip(winners, self.targets, strict=True)
        ]
        return self.grid_table(candidates, [winner for winner, _ in winners]), choices

    def rate(self, options: dict) -> float:
        """Server updates per second on the first tuning schedule."""
        seed = self.settings["tuning"]["schedule_seeds"][0]
        return tuning.updates_per_second(self.method, self.times, self.settings["until"], seed, options)

    def score(self, options: dict, exponents: list[float], rate: float, report) -> list[tuning.Candidate]:
        steps = [2.0**exponent / rate for exponent in exponents]
        backend = next(iter(self.settings["backends"]))
        results = [
            self.rows("tuning", backend, options, steps, schedule_seed, seeds, report)
            for schedule_seed, seeds in self.dealt_seeds("tuning")
        ]
        curves, runs = (pd.concat(tables, ignore_index=True) for tables in zip(*results, strict=True))
        until = self.settings["until"]
        last = evaluation_times(until, self.settings["tuning"]["eval_every"])[-1]
        if self.settings.get("targets"):
            scores = tuning.score_times(curves, self.targets, last)
        else:
            scores = tuning.score_losses(curves, until, last)
        by_step = runs.groupby("step_size")
        diverged = by_step["diverged_at"].count()  # NaN where a run did not diverge
        collapsed = by_step["collapsed"].sum()
        return [
            tuning.Candidate(options, exponent, step, scores[step], int(diverged[step]), int(collapsed[step]))
            for exponent, step in zip(exponents, steps, strict=True)
        ]

    def grid_table(self, candidates: list, winners: list) -> pd.DataFrame:
        """One row per candidate and target."""
        columns = ["target", "options", "log2_beta", "step_size", "score", "final", "diverged", "collapsed", "chosen"]
        rows = [
            (
                target,
                json.dumps(c.options),
                c.exponent,
                c.step_size,
                *c.scores[index],
                c.num_diverged,
                c.num_collapsed,
                c is winners[index],
            )
            for c in candidates
            for index, target in enumerate(self.targets)
        ]
        table = pd.DataFrame(rows, columns=columns)
        kinds = dict.fromkeys(("target", "log2_beta", "step_size", "score", "final"), float)
        return table.astype(kinds | {"options": str, "diverged": int, "collapsed": int, "chosen": bool})

    def report(self, chosen: list[dict], report) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Trajectories of the choices on the reporting seeds, which tuning never saw."""
        by_options: dict[str, list[dict]] = {}
        for choice in chosen:
            by_options.setdefault(json.dumps(choice["options"]), []).append(choice)
        dealt = self.dealt_seeds("reporting")
        total = len(by_options) * len(dealt) * len(self.settings["backends"])
        tables, done = ([], []), 0
        for name, choices in by_options.items():
            steps = sorted({choice["step_size"] for choice in choices})
            for backend in self.settings["backends"]:
                for schedule_seed, seeds in dealt:
                    part = partial(fraction_of_case, report, done, total)
                    both = self.rows("reporting", backend, choices[0]["options"], steps, schedule_seed, seeds, part)
                    for rows, table in zip(both, tables, strict=True):
                        table += [labelled(rows, choice, name, backend) for choice in choices]
                    done += 1
        return tuple(pd.concat(table, ignore_index=True) for table in tables)


def labelled(rows: pd.DataFrame, choice: dict, options: str, backend: str) -> pd.DataFrame:
    """The rows of one choice's step size, with what was chosen for which target."""
    mine = rows[rows["step_size"] == choice["step_size"]].copy()
    columns = {"backend": backend, "target": float(choice["target"]), "options": options}
    columns |= {"log2_beta": choice["log2_beta"], "on_edge": choice["on_edge"]}
    for position, (name, value) in enumerate(columns.items()):
        mine.insert(position, name, value)
    return mine


def data_key(path_to_partition: str) -> dict:
    """Which samples every worker owns, as a hash, and the data set's name and digests."""
    from rasgd.data import partition

    part = partition.read(path_to_partition)
    digest = hashlib.sha256()
    for indices in part.indices:
        digest.update(np.int64(len(indices)).tobytes() + np.ascontiguousarray(indices, dtype=np.int64).tobytes())
    return {"partition": digest.hexdigest(), "dataset": part.dataset}


if "snakemake" in globals():
    name = f"{snakemake.wildcards.experiment}/{snakemake.wildcards.method}"
    with job(snakemake.log[0], name) as stream:
        train(
            settings=snakemake.params.settings,
            method=snakemake.wildcards.method,
            source_hashes=snakemake.params.source_hashes,
            device=snakemake.params.device,
            path_to_dataset=snakemake.input.get("dataset"),
            path_to_partition=snakemake.input.get("partition"),
            path_to_store=snakemake.params.store,
            path_to_curves=snakemake.output.curves,
            path_to_runs=snakemake.output.runs,
            path_to_grid=snakemake.output.grid,
            report=progress.lines(name, stream),
        )
