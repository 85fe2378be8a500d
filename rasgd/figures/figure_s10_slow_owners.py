"""The accuracy on classes that slow workers alone own, beside who owns which class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.tuning import NETWORK_TAIL
from rasgd.figures import captions, style
from rasgd.figures.product import Product

PREFIX = "accuracy_"  # of the columns with the accuracy on a group of classes
TITLES = {"fast": "classes of fast workers", "slow": "classes of slow workers"}
PANELS_PER_ROW = 3


def caption(settings: dict) -> str:
    setting = settings["fashion_mnist"]
    return f"""Who pays when slow workers alone own some classes. Left: samples per worker and class, workers from fast
        to slow. Others: accuracy on the training samples of evaluation, by their owners' speed and by class, over
        simulated time; median and interquartile band over {captions.num_replicas(setting)} seeds at
        {captions.steps(setting)}. {captions.ANOTHER_OBJECTIVE} {captions.data_setting(setting)},
        {captions.distinct(captions.labels(setting).values())}. {captions.OUR_SETTING}"""


def draw(tables: dict, settings: dict) -> Product:
    """Who owns what, then one panel per evaluated group of classes; of the first case, where there are several."""
    setting, curves = settings["fashion_mnist"], tables["fashion_mnist"]["curves"]
    curves = curves[curves["case"] == next(iter(setting["cases"]))]
    counts = counts_by_speed(tables["fashion_mnist"]["partition"], setting)
    groups = [name for name in curves if name.startswith(PREFIX)]
    bands = {group: summaries.band_table(curves, ["method"], group, missing=0.0) for group in groups}
    methods = style.in_order(curves["method"])
    num_rows = -(-(len(groups) + 1) // PANELS_PER_ROW)
    figure = style.new_figure(height_inches=0.4 + 1.6 * num_rows)
    panels = figure.subplots(num_rows, PANELS_PER_ROW, squeeze=False).ravel()
    draw_owners(panels[0], counts)
    for index, group in enumerate(groups, start=1):
        axes = panels[index]
        style.draw_bands(axes, bands[group], methods)
        axes.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1], title=title(group.removeprefix(PREFIX)))
        axes.set_ylabel("accuracy" if index % PANELS_PER_ROW == 0 or index == 1 else "")
        axes.set_xlabel("simulated time (s)" if index + PANELS_PER_ROW > len(groups) else "")
    for axes in panels[len(groups) + 1 :]:
        axes.set_axis_off()
    figure.legend(handles=style.legend_handles(methods), loc="outside lower center", ncols=min(len(methods), 4))
    by_seed = summaries.last_values(curves, ["method"], groups, NETWORK_TAIL)
    return Product(drawn_table(bands, counts), figure, by_seed)


def counts_by_speed(owned: pd.DataFrame, setting: dict) -> np.ndarray:
    """Samples by worker, from fast to slow, and class, `[n, classes]`."""
    counts = owned.pivot(index="worker", columns="class", values="samples").fillna(0).to_numpy(dtype=int)
    times = next(iter(captions.mean_times(setting).values()))
    return counts[np.argsort(times, kind="stable")]


def draw_owners(axes, counts: np.ndarray) -> None:
    """Who owns how many samples of each class; white means none."""
    import seaborn

    most = int(counts.max())
    seaborn.heatmap(
        counts.T, mask=counts.T == 0, ax=axes, cmap="Blues", vmin=-0.3 * most, vmax=most, rasterized=False,
        cbar_kws={"pad": 0.03, "fraction": 0.06, "boundaries": np.linspace(0, most, 65), "ticks": [0, most]},
    )  # fmt: skip
    axes.grid(False)
    axes.set(xlabel="worker, fast to slow", ylabel="class", title="samples owned")
    workers = [0, *range(4, len(counts), 5)]
    axes.set_xticks([worker + 0.5 for worker in workers], [f"{worker + 1}" for worker in workers], rotation=0)
    classes = range(0, counts.shape[1], 2)
    axes.set_yticks([label + 0.5 for label in classes], [f"{label}" for label in classes], rotation=0)


def title(group: str) -> str:
    return TITLES.get(group, group.replace("_", " "))


def drawn_table(bands: dict[str, pd.DataFrame], counts: np.ndarray) -> pd.DataFrame:
    """The accuracies, then the samples by worker (from fast to slow) and class."""
    accuracies = [table.assign(panel="accuracy", group=group.removeprefix(PREFIX)) for group, table in bands.items()]
    owned = pd.DataFrame(
        [("owned", worker, label, count) for (worker, label), count in np.ndenumerate(counts)],
        columns=["panel", "worker", "class", "samples"],
    )
    columns = ["panel", "group", "method", "time", "median", "lower_quartile", "upper_quartile"]
    return pd.concat([*accuracies, owned], ignore_index=True)[[*columns, "worker", "class", "samples"]]
