"""Draws runs on real processes over the same runs on the virtual clock."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from rasgd.figures import saving, style, summaries
from rasgd.job import job


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


def draw_real_processes(
    path_to_curves: Sequence[str], cases: dict[str, str], problems: dict[str, dict], caption: str, path_stem: Path
) -> None:
    """Writes the figure: one panel per case, lines for the virtual clock, markers for real processes.

    Args:
        path_to_curves: metric rows of the methods on both backends.
        cases: their labels.
        problems: their problems' settings.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    metrics = {case: METRICS[problem["kind"]] for case, problem in problems.items()}
    drawn = pd.concat([medians(curves[curves["case"] == case], metrics[case]) for case in cases], ignore_index=True)
    methods = style.in_order(drawn["method"])
    with style.settings():
        figure = style.new_figure(height_inches=2.7)
        for axes, (case, label) in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases.items(), strict=True):
            rows = drawn[drawn["case"] == case]
            for method in methods:
                draw_both(axes, method, rows[rows["method"] == method], methods.index(method) / len(methods))
            axes.set(xlabel="seconds of compute time", ylabel=metrics[case].label, title=label)
            if metrics[case].logarithmic:
                style.log_axes(axes)
        handles = [*style.legend_handles(methods), *backend_handles()]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        saving.save_figure(figure, path_stem, drawn, caption)


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
            cases=snakemake.params.cases,
            problems=snakemake.params.problems,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
