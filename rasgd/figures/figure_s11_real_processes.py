"""Runs on real processes over the same runs on the virtual clock, their jobs, and what kills do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS


class Metric(NamedTuple):
    """What is drawn of a case: a column of its curves, how it is called, whether it is positive."""

    column: str
    label: str
    logarithmic: bool


METRICS = {  # by kind of problem; of others the loss
    "quadratic": Metric("point_0", "x", False),
    "random_quadratic": Metric("grad_norm_sq", "‖∇F‖²", True),
}
LOSS = Metric("loss", "training loss", True)
NUM_MARKERS = 12  # per curve of the real processes
COLUMNS = [  # of the numbers; those that a panel does not have are nan
    "panel", "case", "method", "backend", "metric", "time", "median", "worker", "k", "start", "end", "delay", "kills",
    "killed", "noticed", "next_arrival",
]  # fmt: skip


def caption(settings: dict) -> str:
    setting = settings["real_processes"]
    recorded = setting["recorded"]
    faults, label = recorded["faults"], setting["cases"][recorded["case"]]["label"]
    kills = " and ".join(f"worker {worker} is killed at {seconds:g} s" for worker, seconds in faults["kills"])
    return f"""Real server and worker processes (markers) beside the virtual clock (lines), with the same method
        objects, seeds and steps: {captions.steps(setting)}. {emulation(setting)} Middle: what real runs differ by, a
        ratio, or a difference for x. {captions.ANOTHER_OBJECTIVE} Bottom, on {label}: the first jobs of every worker in
        a recorded real run, each from the hand-out of its point to its arrival by the emulated clock; and ‖∇F‖², median
        over {len(faults["seeds"])} seeds, of a real run in which {kills}, beside one without; grey: until the restarted
        worker's next gradient. Measured on the machine at hand: its scheduling decides the order of nearly
        simultaneous arrivals and how long a restart takes. {captions.OUR_SETTING}"""


def emulation(setting: dict) -> str:
    """How long a second of compute time lasts on the wall clock."""
    scale = setting["backends"].get("processes", {}).get("time_scale")
    return f"Compute times are emulated{f', one second lasting {scale:g} s' if scale else ''}."


def draw(tables: dict, settings: dict) -> Product:
    """Curves of every case on both clocks, what they differ by, and below them jobs one by one and what kills do."""
    setting, own = settings["real_processes"], tables["real_processes"]
    recorded, curves = setting["recorded"], own["curves"]
    cases = captions.labels(setting)
    metrics = {
        case: METRICS.get(case_setting["problem"]["kind"], LOSS)
        for case, case_setting in captions.cases(setting).items()
    }
    drawn = pd.concat([medians(curves[curves["case"] == case], metrics[case]) for case in cases], ignore_index=True)
    seconds = captions.mean_times(setting)[recorded["case"]]
    timeline = jobs(own["timeline"], seconds, recorded["timeline"]["shown"])
    faults, kills = fault_medians(own["fault_curves"]), own["kills"]
    methods = style.in_order(drawn["method"])
    figure = style.new_figure(height_inches=5.4)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.6, 1])
    panels = top.subplots(2, len(cases), squeeze=False, sharex="col", height_ratios=[1.6, 1])
    for column, (case, label) in enumerate(cases.items()):
        metric, rows = metrics[case], drawn[drawn["case"] == case]
        for place, method in enumerate(methods):
            mine = rows[rows["method"] == method]
            draw_both(panels[0, column], method, mine, place / len(methods))
            draw_difference(panels[1, column], method, mine, metric.logarithmic)
        panels[0, column].set(ylabel=metric.label, title=style.mathematics(label))
        panels[1, column].set_xlabel("seconds of compute time")
        panels[1, column].set_ylabel("real / virtual" if metric.logarithmic else "real − virtual")
        if metric.logarithmic:
            style.log_axes(panels[0, column])
    top.legend(handles=[*style.legend_handles(methods), *backend_handles()], loc="outside lower center", ncols=4)
    left, right = bottom.subplots(1, 2, width_ratios=[1.5, 1])
    draw_jobs(bottom, left, timeline, f"{METHODS[recorded['method']].label}: jobs of real workers")
    draw_faults(right, faults, kills, style.style(recorded["method"]).colour)
    labels = {"case": recorded["case"], "method": recorded["method"], "backend": "processes"}
    parts = [drawn.assign(panel="curves")]
    for panel, table in (("jobs", timeline), ("faults", faults), ("kills", kills)):
        parts.append(table.assign(panel=panel, **labels))
    return Product(pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS), figure)


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
    return table.rename(columns={"grad_norm_sq": "median"}).assign(metric="grad_norm_sq")


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
    # Wide and light, since the other one lies on it where the kills change nothing.
    axes.plot(without["time"], without["median"], color="0.7", linewidth=3, label="no fault")
    label = f"{disturbed['kills'].iloc[0]} kills"
    axes.plot(disturbed["time"], disturbed["median"], color=colour, linewidth=0.9, label=label)
    axes.set(xlabel="seconds of compute time", ylabel="‖∇F‖²", title="killed and restarted")
    axes.legend(loc="upper right")
    style.log_axes(axes)


def medians(curves: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The metric's median over replicas, by method and backend."""
    table = summaries.band_table(curves, ["case", "method", "backend"], metric.column)
    return table.assign(metric=metric.column)[["case", "method", "backend", "metric", "time", "median"]]


def draw_difference(axes, method: str, rows: pd.DataFrame, ratio: bool) -> None:
    """What the real run's median is over the virtual one's, or more than it, at every evaluation that both have."""
    virtual, real = (rows[rows["backend"] == name].set_index("time")["median"] for name in ("simulator", "processes"))
    both = pd.concat([virtual, real], axis=1, keys=["virtual", "real"]).dropna()
    values = both["real"] / both["virtual"] if ratio else both["real"] - both["virtual"]
    axes.plot(
        both.index, np.where(np.isfinite(values), values, np.nan), color=style.style(method).colour, linewidth=0.8
    )
    axes.axhline(1 if ratio else 0, color=style.GUIDE_COLOUR, linewidth=0.6, linestyle=":")


def draw_both(axes, method: str, rows: pd.DataFrame, offset: float) -> None:
    """The line of the simulator, and every few points of the real run; `offset` in [0, 1) shifts which."""
    colour, marker = style.style(method)
    simulated, real = (rows[rows["backend"] == backend] for backend in ("simulator", "processes"))
    axes.plot(simulated["time"], simulated["median"], color=colour, linestyle=style.line_style(method), linewidth=0.9)
    spacing = max(1, len(real) // NUM_MARKERS)
    shown = real.iloc[int(offset * spacing) :: spacing]
    axes.plot(shown["time"], shown["median"], marker, color=colour, markerfacecolor="white", markersize=3, mew=0.7)


def backend_handles() -> list:
    return [
        style.guide("virtual clock"),
        style.guide("real processes", marker="o", markerfacecolor="white", linestyle="none"),
    ]
