"""Training one method: step sizes and the method's own parameters are tuned on some seeds and reported on others.

Both work on the rows that `runs` gives, so neither knows where runs come from: a store, a simulator, or a test.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rasgd.experiments import settings as experiment
from rasgd.experiments import tuning
from rasgd.experiments.build import build_compute_times, is_random
from rasgd.experiments.progress import Progress
from rasgd.methods import METHODS
from rasgd.simulation.evaluation import evaluation_times

if TYPE_CHECKING:
    import pandas as pd

TUNING_SHARE = 0.7  # of a case's work, for its progress
GRID_COLUMNS = {
    "target": float, "options": str, "log2_beta": float, "step_size": float, "given_step_size": float, "score": float,
    "final": float, "diverged": int, "collapsed": int, "chosen": bool,
}  # fmt: skip


class Rows(NamedTuple):
    """What came out of some runs, in replica order.

    Attributes:
        curves: one row per evaluation and replica.
        replicas: one row per replica.
    """

    curves: pd.DataFrame
    replicas: pd.DataFrame


# Rows of runs in a role (tuning or reporting), from its name, the backend, the method's options, step sizes, the
# schedule's seed, seeds, and whom to tell the fraction done.
Runs = Callable[[str, str, dict, list[float], int, list[int], Callable[[float], None]], Rows]


class Choice(NamedTuple):
    """What is reported for a target; on_edge: its step size stands on the edge of what was tried."""

    target: float
    options: dict
    step_size: float
    log2_beta: float
    on_edge: bool


def train(
    settings: dict, method: str, runs_of: Callable[[dict], Runs], progress: Progress | None = None
) -> dict[str, pd.DataFrame]:
    """The tables curves, runs and grid of all cases of an experiment.

    Args:
        settings: of the experiment, checked; `methods` holds this method.
        method: short name.
        runs_of: gives the runs of a case from its settings.
        progress: told the fraction done.
    """
    import pandas as pd

    progress = progress or Progress()
    tables: dict[str, list] = {"curves": [], "runs": [], "grid": []}
    lines = experiment.method_lines(settings, method)
    for case, line in progress.over(itertools.product(settings["cases"], lines)):
        own = experiment.case_settings(settings | {"methods": {method: line}}, case)
        runs = runs_of(own)
        with progress.part(0.0, TUNING_SHARE):
            grid, choices = tune(own, method, runs, progress)
        with progress.part(TUNING_SHARE, 1.0):
            reported = report(own, method, choices, runs, progress)
        for name, table in (("curves", reported.curves), ("runs", reported.replicas), ("grid", grid)):
            table.insert(0, "case", case)
            table.insert(1, "method", method)
            tables[name].append(table)
    return {name: pd.concat(some, ignore_index=True) for name, some in tables.items()}


def tune(case: dict, method: str, runs: Runs, progress: Progress) -> tuple[pd.DataFrame, list[Choice]]:
    """The grid that was tried, and what is chosen for every target.

    Args:
        case: settings of one case. Without targets there is one choice, by the training loss, whose target is nan.
    """
    bench = Bench(case, method, runs, progress)
    step_sizes = case["step_sizes"]
    if "grid" in step_sizes:
        found = tuning.search(step_sizes["grid"], bench.options_grid, bench.score_exponents, len(bench.targets))
    elif "values" in step_sizes:
        found = tuning.search_values(step_sizes["values"], bench.options_grid, bench.score_values, len(bench.targets))
    else:
        return grid_table([], [], bench.targets), [bench.given(target) for target in bench.targets]
    candidates, winners = found
    choices = [
        Choice(target, winner.options, winner.step_size, winner.exponent, on_edge)
        for target, (winner, on_edge) in zip(bench.targets, winners, strict=True)
    ]
    return grid_table(candidates, [winner for winner, _ in winners], bench.targets), choices


def report(case: dict, method: str, choices: Sequence[Choice], runs: Runs, progress: Progress) -> Rows:
    """Trajectories of the choices on the reporting seeds, which tuning never saw, on every backend."""
    import pandas as pd

    by_options: dict[str, list[Choice]] = {}
    for choice in choices:
        by_options.setdefault(json.dumps(choice.options), []).append(choice)
    jobs = itertools.product(by_options.items(), case["backends"], dealt_seeds(case, method, "reporting"))
    tables: tuple[list, list] = ([], [])
    for (options, alike), backend, (schedule_seed, seeds) in progress.over(jobs):
        steps = sorted({choice.step_size for choice in alike})
        both = runs("reporting", backend, alike[0].options, steps, schedule_seed, seeds, progress)
        for rows, table in zip(both, tables, strict=True):
            table += [labelled(rows, choice, options, backend) for choice in alike]
    return Rows(*(pd.concat(table, ignore_index=True) for table in tables))


def dealt_seeds(case: dict, method: str, role: str) -> list[tuple[int, list[int]]]:
    """(schedule seed, its seeds) of a role: tuning or reporting."""
    times = build_compute_times(case["compute_times"])
    return experiment.dealt_seeds(case[role], is_random(times) or METHODS[method].draws_jobs)


class Bench:
    """Scores candidates of one case with one method on the tuning seeds."""

    def __init__(self, case: dict, method: str, runs: Runs, progress: Progress):
        self.case, self.method, self.runs, self.progress = case, method, runs, progress
        self.times = build_compute_times(case["compute_times"])
        self.targets = case.get("targets") or [math.nan]
        self.options_grid = experiment.method_options(case["methods"][method], self.times.num_workers)
        schedule_seed = case["tuning"]["schedule_seeds"][0]
        self.rates = [  # server updates per second on the first tuning schedule
            tuning.updates_per_second(method, self.times, case["until"], schedule_seed, options)
            for options in self.options_grid
        ]
        self.done, step_sizes = 0, case["step_sizes"]
        grid = step_sizes.get("grid")
        some = grid["count"] + grid["steps_per_octave"] if grid else len(step_sizes.get("values", ()))
        self.expected = len(self.options_grid) * some

    def given(self, target: float) -> Choice:
        """The choice where nothing is tuned."""
        step_sizes, rate = self.case["step_sizes"], self.rates[0]
        if "fixed" in step_sizes:
            step = self.step_size(step_sizes["fixed"][self.method])
        else:
            step = 2.0 ** step_sizes["log2_beta"] / rate
        return Choice(target, self.options_grid[0], step, math.log2(step * rate), False)

    def step_size(self, value: float) -> float:
        """The method's `step_size` from one in the settings' parameterisation."""
        parameterisation = self.case["step_sizes"].get("parameterisation", "step_size")
        return tuning.step_size_of(value, parameterisation, self.method, self.times)

    def score_exponents(self, options: dict, exponents: list[float]) -> list[tuning.Candidate]:
        rate = self.rates[self.options_grid.index(options)]
        return self.score(options, exponents, [2.0**exponent / rate for exponent in exponents])

    def score_values(self, options: dict, values: list[float]) -> list[tuning.Candidate]:
        rate = self.rates[self.options_grid.index(options)]
        steps = [self.step_size(value) for value in values]
        return self.score(options, [math.log2(step * rate) for step in steps], steps, values)

    def score(
        self, options: dict, exponents: list[float], steps: list[float], values: Sequence[float] | None = None
    ) -> list[tuning.Candidate]:
        import pandas as pd

        case, backend = self.case, next(iter(self.case["backends"]))
        start, self.done = self.done, self.done + len(steps)
        with self.progress.part(min(1, start / self.expected), min(1, self.done / self.expected)):
            results = [
                self.runs("tuning", backend, options, steps, schedule_seed, seeds, self.progress)
                for schedule_seed, seeds in self.progress.over(dealt_seeds(case, self.method, "tuning"))
            ]
        curves, replicas = (pd.concat(tables, ignore_index=True) for tables in zip(*results, strict=True))
        last = evaluation_times(case["until"], case["tuning"]["eval_every"])[-1]
        if case.get("targets"):
            scores = tuning.score_times(curves, self.targets, last)
        else:
            share = case["step_sizes"].get("averaged_share", tuning.NETWORK_TAIL)
            scores = tuning.score_losses(curves, case["until"], last, share)
        by_step = replicas.groupby("step_size")
        diverged = by_step["diverged_at"].count()  # NaN where a run did not diverge
        collapsed = by_step["collapsed"].sum()
        return [
            tuning.Candidate(options, exponent, step, scores[step], int(diverged[step]), int(collapsed[step]), value)
            for exponent, step, value in zip(exponents, steps, values or [math.nan] * len(steps), strict=True)
        ]


def grid_table(candidates: list, winners: list, targets: Sequence[float]) -> pd.DataFrame:
    """One row per candidate and target."""
    import pandas as pd

    rows = [
        (
            target,
            json.dumps(candidate.options),
            candidate.exponent,
            candidate.step_size,
            candidate.given_step_size,
            *candidate.scores[index],
            candidate.num_diverged,
            candidate.num_collapsed,
            candidate is winners[index],
        )
        for candidate in candidates
        for index, target in enumerate(targets)
    ]
    return pd.DataFrame(rows, columns=list(GRID_COLUMNS)).astype(GRID_COLUMNS)


def labelled(rows: pd.DataFrame, choice: Choice, options: str, backend: str) -> pd.DataFrame:
    """The rows of one choice's step size, with what was chosen for which target."""
    mine = rows[rows["step_size"] == choice.step_size].copy()
    columns = {"backend": backend, "target": float(choice.target), "options": options}
    columns |= {"log2_beta": choice.log2_beta, "on_edge": choice.on_edge}
    for position, (name, value) in enumerate(columns.items()):
        mine.insert(position, name, value)
    return mine
