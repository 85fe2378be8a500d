"""Runs one method on real processes with every arrival recorded: undisturbed, and with workers that are killed."""

import contextlib
import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

import rasgd
from rasgd.experiments import build, tuning
from rasgd.experiments import settings as experiment
from rasgd.experiments.logged import job
from rasgd.files import save_parquet
from rasgd.trace import write_trace
from rasgd.trajectory import Trajectory

HANG_SECONDS = 30.0  # kills are seen at once; a busy machine's pauses are not to be taken for hung workers


def record_runs(
    settings: dict, path_to_timeline: str, path_to_fault_trace: str, path_to_fault_curves: str, path_to_kills: str
) -> None:
    """Writes two traces, the metric rows of the run with kills and of the same without, and a row per kill.

    Args:
        settings: of the experiment, as `experiment.read` gives them; `recorded` says what to run.
        path_to_timeline, path_to_fault_trace: Parquet files to write, of all arrivals.
        path_to_fault_curves, path_to_kills: Parquet files to write.

    Raises:
        ValueError: if a case with data is asked for, or a worker that there is not.
    """
    recorded = settings["recorded"]
    run, num_workers = real_run(settings, recorded["case"], recorded["method"])
    timeline, faults = recorded["timeline"], recorded["faults"]
    check_kills(faults["kills"], num_workers, faults["until"])
    write_trace(run(until=timeline["until"], seed=faults["seeds"][0]).trace, path_to_timeline)

    run = partial(run, until=faults["until"], eval_every=faults["eval_every"], seed=faults["seeds"])
    undisturbed, disturbed = run(), run(progress=Killer(faults["kills"], faults["until"]))
    write_trace(disturbed.trace, path_to_fault_trace)
    curves = [undisturbed.metrics.assign(kills=0), disturbed.metrics.assign(kills=len(faults["kills"]))]
    save_parquet(pd.concat(curves, ignore_index=True), path_to_fault_curves)
    save_parquet(kill_table(faults["kills"], disturbed), path_to_kills)


def real_run(settings: dict, case: str, method: str) -> tuple[Callable[..., Trajectory], int]:
    """A function that runs the method on the case, with the step size it has in the experiment, and n."""
    setting = experiment.case_settings(settings, case)
    if build.PROBLEMS[setting["problem"]["kind"]].on_data:
        raise ValueError(f"recorded.case must be a case without data, got {case!r}")
    times = build.build_compute_times(setting["compute_times"])
    options = experiment.method_options(experiment.method_lines(settings, method)[0], times.num_workers)[0]
    schedule_seed = setting["reporting"]["schedule_seeds"][0]
    rate = tuning.updates_per_second(method, times, setting["until"], schedule_seed, options)
    run = partial(
        rasgd.simulate, build.build_problem(setting, times.num_workers), method, times,
        2.0 ** setting["step_sizes"]["log2_beta"] / rate, schedule_seed=schedule_seed, backend="processes",
        backend_options=setting["backends"]["processes"] | {"hang_seconds": HANG_SECONDS}, record=True, **options,
    )  # fmt: skip
    return run, times.num_workers


def check_kills(kills: Sequence[Sequence[float]], num_workers: int, until: float) -> None:
    for worker, seconds in kills:
        if not (worker < num_workers and seconds < until):
            raise ValueError(
                f"recorded.faults.kills must name workers below {num_workers} and seconds below {until:g}, "
                f"got [{worker}, {seconds:g}]"
            )


class Killer:
    """Told the fraction done at every evaluation, sends SIGKILL to the workers whose second has come."""

    def __init__(self, kills: Sequence[Sequence[float]], until: float):
        self.waiting, self.until = sorted(kills, key=lambda kill: kill[1]), until

    def __call__(self, fraction: float) -> None:
        while self.waiting and np.round(fraction * self.until, 9) >= self.waiting[0][1]:
            kill_worker(self.waiting.pop(0)[0])


def kill_worker(worker: int) -> None:
    processes = {process.name: process for process in multiprocessing.active_children()}
    processes[f"rasgd worker {worker}"].kill()


def kill_table(kills: Sequence[Sequence[float]], run: Trajectory) -> pd.DataFrame:
    """When every worker was killed, when the server saw it, and when the worker's next gradient came; in seconds."""
    rows = []
    for worker, seconds in kills:
        seen = [fault["time"] for fault in run.statistics["faults"] if fault["worker"] == worker]
        noticed = min((time for time in seen if time >= seconds), default=np.nan)
        arrivals = run.trace.loc[run.trace["worker"] == worker, "time"]
        rows.append((worker, seconds, noticed, arrivals[arrivals > noticed].min()))
    return pd.DataFrame(rows, columns=["worker", "killed", "noticed", "next_arrival"])


if "snakemake" in globals():
    with job(snakemake.log[0], "recorded_runs") as stream, contextlib.redirect_stderr(stream):
        record_runs(
            settings=snakemake.params.settings,
            path_to_timeline=snakemake.output.timeline,
            path_to_fault_trace=snakemake.output.fault_trace,
            path_to_fault_curves=snakemake.output.fault_curves,
            path_to_kills=snakemake.output.kills,
        )
