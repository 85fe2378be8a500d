"""Draws runs on real processes over the same runs on the virtual clock, their jobs, and what kills do to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.methods import METHODS
from rasgd.trace import read_trace


class Metric(NamedTuple):
    column: str
    label: str
    logarithmic: bool


METRICS = {  # by kind of problem
    "quadratic": Metric("point_0", "x", False),
    "random_quadratic": Metric("grad_norm_sq", "‖∇F‖²", True),
    "network": Metric("loss", "training loss", True),
}
NUM_MARKERS = 12  # per curve of the real processes
COLUMNS = [  # of the numbers; those that a panel does not have are nan
    "panel", "case", "method", "backend", "metric", "time", "median", "worker", "k", "start", "end", "delay", "kills",
    "killed", "noticed", "next_arrival",
]  # fmt: skip


def draw_real_processes(
    path_to_curves: Sequence[str],
    path_to_timeline: str,
    path_to_fault_curves: str,
    path_to_kills: str,
    cases: dict[str, str],
    problems: dict[str, dict],
    recorded: dict,
    compute_times: dict[str, Sequence[float]],
    caption: str,
    path_stem: Path,
) -> None:
    """Writes the figure: curves of every case on both clocks, and below them jobs one by one and what kills do.

    Args:
        path_to_curves: metric rows of the methods on both backends.
        path_to_timeline: trace of a real run.
        path_to_fault_curves: metric rows of a real run with kills and of one without.
        path_to_kills: one row per kill.
        cases: their labels.
        problems: their problems' settings.
        recorded: what was recorded.
        compute_times: of the cases, seconds per gradient of every worker.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    metrics = {case: METRICS[problem["kind"]] for case, problem in problems.items()}
    drawn = pd.concat([medians(curves[curves["case"] == case], metrics[case]) for case in cases], ignore_index=True)
    timeline = jobs(read_trace(path_to_timeline), compute_times[recorded["case"]], recorded["timeline"]["shown"])
    faults, kills = fault_medians(pd.read_parquet(path_to_fault_curves)), pd.read_parquet(path_to_kills)
    methods = style.in_order(drawn["method"])
    with style.settings():
        figure = style.new_figure(height_inches=4.6)
        top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1])
        for axes, (case, label) in zip(top.subplots(1, len(cases), squeeze=False)[0], cases.items(), strict=True):
            rows = drawn[drawn["case"] == case]
            for method in methods:
                draw_both(axes, method, rows[rows["method"] == method], methods.index(method) / len(methods))
            axes.set(xlabel="seconds of compute time", ylabel=metrics[case].label, title=label)
            if metrics[case].logarithmic:
                style.log_axes(axes)
        top.legend(handles=[*style.legend_handles(methods), *backend_handles()], loc="outside lower center", ncols=4)
        left, right = bottom.subplots(1, 2, width_ratios=[1.5, 1])
        draw_jobs(bottom, left, timeline, f"{METHODS[recorded['method']].label}: jobs of real workers")
        draw_faults(right, faults, kills, style.style(recorded["method"]).colour)
        labels = {"case": recorded["case"], "method": recorded["method"], "backend": "processes"}
        parts = [drawn.assign(panel="curves")]
        for panel, table in (("jobs", timeline), ("faults", faults), ("kills", kills)):
            parts.append(table.assign(panel=panel, **labels))
        saving.save_figure(figure, path_stem, pd.concat(parts, ignore_index=True)[COLUMNS], caption)


def jobs(trace: pd.DataFrame, compute_times: Sequence[float], shown: float) -> pd.DataFrame:
    """The first jobs of every worker, as many as end within `shown` seconds if none is late: worker, start, end, delay.

    A job that is missing because the machine was far too slow is nan, so that the number of rows is always the same.
    """
    trace = trace.assign(start=trace["time"] - trace["duration"]).rename(columns={"time": "end"})
    wanted = [(worker, k) for worker, seconds in enumerate(compute_times) for k in range(int(shown / seconds))]
    found = trace.set_index(["worker", "k"]).reindex(pd.MultiIndex.from_tuples(wanted, names=["worker", "k"]))
    return found[["start", "end", "delay"]].astype(float).reset_index()


def fault_medians(curves: pd.DataFrame) -> pd.DataFrame:
    """Median of ‖∇F‖² over seeds, by number of kills and time."""
    table = curves.groupby(["kills", "time"], as_index=False)["grad_norm_sq"].median()
    return table.rename(columns={"grad_norm_sq": "median"}).assign(metric="‖∇F‖²")


def draw_jobs(figure, axes, timeline: pd.DataFrame, title: str) -> None:
    """One lane per worker, one bar per job, from the hand-out of its point to its arrival."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    timeline = timeline.dropna()
    scale = ScalarMappable(Normalize(0, max(1, timeline["delay"].max())), colormaps["viridis_r"])
    axes.barh(
        timeline["worker"], timeline["end"] - timeline["start"], left=timeline["start"], height=0.75,
        color=scale.to_rgba(timeline["delay"]), edgecolor="white", linewidth=0.5,
    )  # fmt: skip
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set(xlabel="seconds of compute time", ylabel="worker", title=title)
    axes.set_yticks(sorted(timeline["worker"].unique()))
    figure.colorbar(scale, ax=axes, label="delay (updates)", pad=0.02, aspect=25)


def draw_faults(axes, faults: pd.DataFrame, kills: pd.DataFrame, colour: str) -> None:
    """‖∇F‖² with kills and without; each kill a line, and a span until the worker's next gradient."""
    for kill in kills.itertuples():
        axes.axvspan(kill.killed, kill.next_arrival, color="0.85", linewidth=0)
        axes.axvline(kill.killed, color=style.GUIDE_COLOUR, linewidth=0.8)
        axes.annotate(
            f"{kill.worker} killed", (kill.killed, 0.48), xycoords=("data", "axes fraction"), xytext=(-1.5, 0),
            textcoords="offset points", ha="right", va="bottom", rotation=90, fontsize=6.5, color=style.GUIDE_COLOUR,
        )  # fmt: skip
    without, disturbed = (rows for _, rows in faults.groupby("kills"))
    axes.plot(without["time"], without["median"], color=style.GUIDE_COLOUR, linewidth=0.9, label="no fault")
    label = f"{disturbed['kills'].iloc[0]} kills"
    axes.plot(disturbed["time"], disturbed["median"], color=colour, linewidth=0.9, label=label)
    axes.set(xlabel="seconds of compute time", ylabel="‖∇F‖²", title="killed and restarted")
    axes.legend(loc="upper right")
    style.log_axes(axes)


def medians(curves: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The metric's median over replicas, by method and backend."""
    table = summaries.band_table(curves, ["case", "method", "backend"], metric.column)
    return table.assign(metric=metric.label)[["case", "method", "backend", "metric", "time", "median"]]


def draw_both(axes, method: str, rows: pd.DataFrame, offset: float) -> None:
    """The line of the simulator, and every few points of the real run; `offset` in [0, 1) shifts which."""
    colour, marker = style.style(method)
    simulated, real = (rows[rows["backend"] == backend] for backend in ("simulator", "processes"))
    axes.plot(simulated["time"], simulated["median"], color=colour, linestyle=style.line_style(method), linewidth=0.9)
    spacing = max(1, len(real) // NUM_MARKERS)
    shown = real.iloc[int(offset * spacing) :: spacing]
    axes.plot(shown["time"], shown["median"], marker, color=colour, markerfacecolor="white", markersize=3, mew=0.7)


def backend_handles() -> list:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=style.GUIDE_COLOUR, label="virtual clock"),
        Line2D([], [], color=style.GUIDE_COLOUR, marker="o", mfc="white", linestyle="", label="real processes"),
    ]


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_8_real_processes"):
        draw_real_processes(
            path_to_curves=snakemake.input.curves,
            path_to_timeline=snakemake.input.timeline,
            path_to_fault_curves=snakemake.input.fault_curves,
            path_to_kills=snakemake.input.kills,
            cases=snakemake.params.cases,
            problems=snakemake.params.problems,
            recorded=snakemake.params.recorded,
            compute_times=snakemake.params.compute_times,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
