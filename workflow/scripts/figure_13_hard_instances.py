"""Draws times on the hard instance of the lower bound, and on a smooth mean of less smooth functions."""

from pathlib import Path

import numpy as np
import pandas as pd

from rasgd.experiments.logged import job
from rasgd.figures import saving, style


def draw_hard_instances(
    path_to_chains: str, path_to_curvatures: str, profiles: dict[str, str], caption: str, path_stem: Path
) -> None:
    """Writes the figure: one panel per profile of compute times above one panel per ε.

    Args:
        path_to_chains: times on the block zero-chain.
        path_to_curvatures: times where curvatures cancel.
        profiles: labels of the profiles.
        caption: plain text.
        path_stem: of the files to write.
    """
    drawn = pd.concat(
        [chain_rows(pd.read_parquet(path_to_chains)), curvature_rows(pd.read_parquet(path_to_curvatures))]
    )
    with style.settings():
        figure = style.new_figure(height_inches=4.4)
        grid = figure.add_gridspec(2, len(profiles))
        shared = None
        for column, (profile, label) in enumerate(profiles.items()):
            axes = shared = figure.add_subplot(grid[0, column], sharey=shared)
            draw_lines(axes, drawn[(drawn["instance"] == "chain") & (drawn["case"] == profile)])
            axes.set(title=label, xlabel="σ²/ε", ylabel="" if column else "seconds over lower bound\n(one constant)")
            axes.tick_params(labelleft=column == 0)
        below = grid[1, :].subgridspec(1, 2)
        shared = None
        for column, (method, title) in enumerate(CURVATURE_PANELS.items()):
            axes = shared = figure.add_subplot(below[column], sharex=shared, sharey=shared)
            rows = drawn[(drawn["instance"] == "curvature") & (drawn["method"] == method)]
            draw_curvatures(axes, rows)
            axes.set(title=title, xlabel="target ε", ylabel="" if column else "T(L_max) / T(L_max = L)")
        shared.invert_xaxis()
        methods = style.in_order(drawn.loc[drawn["instance"] == "chain", "method"])
        figure.legend(handles=style.legend_handles(methods), loc="outside upper center", ncols=3)
        saving.save_figure(figure, path_stem, drawn, caption)


CURVATURE_PANELS = {"rescaled": "Rescaled ASGD, L ≪ L_max", "ringleader": "Ringleader ASGD, L ≪ L_max"}
SHADES = ("#56B4E9", "#0072B2", "#332288", "#000000")


def chain_rows(times: pd.DataFrame) -> pd.DataFrame:
    """Seconds over the lower bound, times one constant that makes a single one of Rescaled ASGD's 1."""
    own = times[times["method"] == "rescaled"]
    constant = own.loc[own["noise_to_target"].idxmin(), "over_bound"]
    columns = {"value": "over_bound", "low": "over_bound_low", "high": "over_bound_high"}
    return pd.DataFrame(
        {"instance": "chain", "case": times["profile"], "method": times["method"], "x": times["noise_to_target"]}
        | {name: times[column] / constant for name, column in columns.items()}
        | {"replicas": times["replicas"]}
    )


def curvature_rows(times: pd.DataFrame) -> pd.DataFrame:
    """Times over those with L_max = L; exact where there is theory, else simulated with intervals."""
    smooth = times[times["max_smoothness"] > times["max_smoothness"].min()]
    base = {
        "instance": "curvature",
        "case": smooth["max_smoothness"],
        "method": smooth["method"],
        "x": smooth["epsilon"],
    }
    return pd.DataFrame(
        base
        | {"exact": smooth["predicted_over_smooth"], "value": smooth["measured_over_smooth"]}
        | {name: smooth[f"{name}_over_smooth"] for name in ("low", "high")}
    )


def draw_lines(axes, rows: pd.DataFrame) -> None:
    """Every method's line with intervals; a method that does not get there within the horizon has no point."""
    for method in style.in_order(rows["method"]):
        line = rows[(rows["method"] == method) & np.isfinite(rows["value"])]
        count = max(1, len(line))
        style.draw_band(axes, method, line["x"], line["low"], line["value"], line["high"], num_markers=count)
    style.log_axes(axes, x=True)


def draw_curvatures(axes, rows: pd.DataFrame) -> None:
    for (ratio, line), colour in zip(rows.groupby("case"), SHADES, strict=False):
        label = f"L_max = {ratio:g} L"
        axes.plot(line["x"], line["exact"], color=colour, label=None if line["exact"].isna().all() else label)
        some = line[np.isfinite(line["value"])]
        style.draw_intervals(
            axes, *(some[name] for name in ("x", "value", "low", "high")), color=colour, marker="o",
            markerfacecolor="white", label=label if line["exact"].isna().all() else None,
        )  # fmt: skip
    axes.axhline(1, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle="--")
    style.log_axes(axes, x=True)
    axes.legend(loc="upper right")


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_13_hard_instances"):
        draw_hard_instances(
            path_to_chains=snakemake.input.chains,
            path_to_curvatures=snakemake.input.curvatures,
            profiles=snakemake.params.profiles,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
