"""Draws the accuracy on classes that slow workers alone own, beside who owns which class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.data import partition
from rasgd.experiments.logged import job
from rasgd.experiments.tuning import NETWORK_TAIL
from rasgd.figures import saving, style

PREFIX = "accuracy_"  # of the columns with the accuracy on a group of classes
TITLES = {"fast": "classes of fast workers", "slow": "classes of slow workers"}


def draw_slow_owners(
    path_to_curves: Sequence[str], path_to_partition: str, compute_times: Sequence[float], caption: str, path_stem: Path
) -> None:
    """Writes the figure: who owns what, then one panel per evaluated group of classes.

    Args:
        path_to_curves: metric rows of the methods; columns accuracy_<group> hold what is drawn.
        path_to_partition: the samples of every worker.
        compute_times: mean seconds per gradient, by which workers are sorted, `[n]`.
        caption: plain text.
        path_stem: of the files to write.
    """
    curves = summaries.read_tables(path_to_curves)
    counts = partition.read(path_to_partition).counts[np.argsort(compute_times, kind="stable")]
    groups = [name for name in curves if name.startswith(PREFIX)]
    bands = {group: summaries.band_table(curves, ["method"], group, missing=0.0) for group in groups}
    methods = style.in_order(curves["method"])
    num_rows = -(-(len(groups) + 1) // 3)
    with style.settings():
        figure = style.new_figure(height_inches=0.4 + 1.55 * num_rows)
        panels = figure.subplots(num_rows, 3, squeeze=False).ravel()
        draw_owners(panels[0], counts)
        for axes, group in zip(panels[1:], groups, strict=False):
            style.draw_bands(axes, bands[group], methods)
            axes.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1], title=title(group.removeprefix(PREFIX)))
        for axes in panels[len(groups) + 1 :]:
            axes.set_axis_off()
        for index in range(len(groups) + 1):
            last = index + 3 > len(groups)
            if index:
                panels[index].set_xlabel("simulated time (s)" if last else "")
                panels[index].set_ylabel("accuracy" if index in (1, 3) else "")
        figure.legend(handles=style.legend_handles(methods), loc="outside lower center", ncols=min(len(methods), 4))
        saving.save_figure(figure, path_stem, drawn_table(bands, counts), caption)
    saving.save_csv(summaries.last_values(curves, ["method"], groups, NETWORK_TAIL), f"{path_stem}_by_seed.csv")


def draw_owners(axes, counts: np.ndarray) -> None:
    """Who owns how many samples of each class; white means none."""
    axes.imshow(np.ma.masked_equal(counts.T, 0), aspect="auto", cmap="Blues", vmin=-0.3 * counts.max())
    axes.grid(False)
    axes.set(xlabel="worker, fast to slow", ylabel="class", title="samples owned")
    axes.set_yticks(range(0, counts.shape[1], 3))
    axes.set_xticks([0, len(counts) - 1], ["1", f"{len(counts)}"])


def title(group: str) -> str:
    return TITLES.get(group, group.replace("_", " "))


def drawn_table(bands: dict[str, pd.DataFrame], counts: np.ndarray) -> pd.DataFrame:
    """The accuracies, then the samples by worker (from fast to slow) and class."""
    accuracies = [table.assign(panel=title(group.removeprefix(PREFIX))) for group, table in bands.items()]
    owned = pd.DataFrame(
        [("samples owned", worker, label, count) for (worker, label), count in np.ndenumerate(counts)],
        columns=["panel", "worker", "class", "samples"],
    )
    columns = ["panel", "method", "time", "median", "lower_quartile", "upper_quartile", "worker", "class", "samples"]
    return pd.concat([*accuracies, owned], ignore_index=True)[columns]


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_6_slow_owners"):
        draw_slow_owners(
            path_to_curves=snakemake.input.curves,
            path_to_partition=snakemake.input.partition,
            compute_times=snakemake.params.compute_times,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
