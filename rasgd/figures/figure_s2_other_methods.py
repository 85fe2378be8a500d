"""The other methods in the setting of the paper's Figure 1, each at its best step on the fine axis."""

from __future__ import annotations

import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, style, variants
from rasgd.figures import figure_1_mnist as published
from rasgd.figures.product import Product

BESIDE = "rescaled"  # the one method of Figure 1 that is drawn beside the others


def caption(settings: dict) -> str:
    setting = settings["mnist_others"]
    return f"""Methods that the paper does not run, in the setting of Figure 1: training loss against simulated time,
        median and interquartile band over {len(setting["reporting"]["seeds"])} seeds, at the step size, and own
        parameters, with the smallest training loss at the end on other seeds, of a common axis in total step per
        second. Rescaled ASGD as in Figure S1, over {len(settings["mnist_fine"]["reporting"]["seeds"])} seeds.
        Delay-adaptive ASGD with the paper's rule γ/(1+δ) and the public code's γ·n/max(n, δ).
        {captions.ANOTHER_OBJECTIVE}"""


def draw(tables: dict, settings: dict) -> Product:
    setting = settings["mnist_others"]
    fine = tables["mnist_fine"]["curves"]
    curves = pd.concat([fine[fine["method"] == BESIDE], tables["mnist_others"]["curves"]], ignore_index=True)
    keys = ["case", "method", "options"]
    drawn = pd.concat(
        [summaries.band_table(rows, keys, "loss") for _, rows in curves.groupby("method", sort=False)],
        ignore_index=True,
    )
    names = published.panel_names(setting)
    figure = style.new_figure(height_inches=3.2)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, (case, title) in zip(panels, names.items(), strict=True):
        rows = drawn[drawn["case"] == case]
        for position, variant in enumerate(variants.variants(rows)):
            draw_line(axes, variants.rows(rows, variant), variant, position)
        style.log_axes(axes)
        axes.locator_params(axis="x", nbins=4)
        axes.set(title=title, xlabel="simulated time (s)", xlim=(0, 1.02 * setting["until"]))
    panels[0].set_ylabel("training loss")
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    for handle, label in zip(*panels[-1].get_legend_handles_labels(), strict=True):
        handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return Product(drawn, figure, published.by_seed(curves))


def draw_line(axes, rows: pd.DataFrame, variant: variants.Variant, position: int) -> None:
    how = variant.line()
    spacing = max(1, len(rows) // 5)
    axes.plot(rows["time"], rows["median"], **how, markevery=(spacing * position // 8, spacing))
    low, high = rows["lower_quartile"], rows["upper_quartile"]
    axes.fill_between(rows["time"], low, high, color=how["color"], alpha=0.13, linewidth=0)
