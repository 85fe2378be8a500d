"""The paper's Figure 1: training loss on MNIST, one class per worker, fixed and fluctuating compute times."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments import settings as experiments
from rasgd.experiments.build import build_compute_times
from rasgd.figures import captions, style, variants
from rasgd.figures.product import Product
from rasgd.theory import step_parameters

# Read off the paper's poster, which shows one panel of this figure (which one is not known), at these seconds.
POSTER_TIMES = [2000, 10000, 20000, 30000]
POSTER = {
    "rescaled": [0.275, 0.099, 0.05, 0.029],
    "malenia": [0.39, 0.225, 0.155, 0.12],
    "ringleader": [0.355, 0.197, 0.13, 0.095],
}
NUM_DRAWN = 5  # seeds, as in the paper
NUM_POINTS = 200  # to which curves are interpolated linearly, as in the paper
LAST_SHARE = 0.1  # of the horizon, over which a seed's loss is averaged for the claims


def caption(settings: dict) -> str:
    setting = settings["mnist"]
    steps, role = setting["step_sizes"], setting["reporting"]
    seconds = np.unique(captions.mean_times(setting)["fixed"])
    samples = setting["problem"].get("num_evaluation_samples")
    values = ", ".join(f"{value:g}" for value in steps.get("values", ()))
    chosen = f"the paper's γ among {values}, in its eq. (2) for Rescaled ASGD" if values else captions.steps(setting)
    within = setting["until"] >= POSTER_TIMES[0]
    poster = "Grey: read off the paper's poster, which does not say which panel it shows." if within else ""
    return f"""Training loss against simulated time, compute times (a) fixed at
        {", ".join(f"{t:g}" for t in seconds)} s, two workers each, (b) exponential with these means:
        {captions.data_setting(setting)}, x⁰ as PyTorch draws it. Step sizes: {chosen}, chosen per line and panel by
        the loss at the end on {len(setting["tuning"]["seeds"])} other seed(s). Median and range over
        {min(NUM_DRAWN, len(role["seeds"]))} of {len(role["seeds"])} seeds, each with a schedule, batches, x⁰ and a
        random assignment of classes to speeds of its own, the same for all methods. The loss is that of
        {samples or "all"} samples, equally many per worker. {poster} Malenia SGD with S = n. Ringleader ASGD
        {rules(setting)}."""


def rules(setting: dict) -> str:
    """Which rules of Ringleader ASGD are shown."""
    lines = setting["methods"].get("ringleader") or {}
    names = {
        "held": "as its paper has it",
        "current": "with the newest point handed out at every restart, as in its authors' code",
        "opens": "with the rule inferred from the published curves, where a gradient that triggers an update opens the "
        "next table",
    }
    shown = [value for line in (lines if isinstance(lines, list) else [lines]) for value in line.values()]
    return ", and ".join(names[value] for value in names if value in shown) or names["held"]


def draw(tables: dict, settings: dict) -> Product:
    setting, curves = settings["mnist"], tables["mnist"]["curves"]
    names = panel_names(setting)
    drawn = bands(curves, setting["reporting"]["seeds"][:NUM_DRAWN], setting["until"])
    lines = variants.variants(curves)
    figure = style.new_figure(height_inches=2.9)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, (case, title) in zip(panels, names.items(), strict=True):
        rows = drawn[drawn["case"] == case]
        for position, variant in enumerate(lines):
            draw_line(axes, variants.rows(rows, variant), variant, position)
        for method, losses in POSTER.items():
            shown = [time <= setting["until"] for time in POSTER_TIMES]
            axes.plot(
                np.array(POSTER_TIMES)[shown], np.array(losses)[shown], style.style(method).marker, color="0.55",
                markerfacecolor="none", zorder=5,
            )  # fmt: skip
        style.log_axes(axes)
        axes.locator_params(axis="x", nbins=4)
        axes.set(title=title, xlabel="simulated time (s)", xlim=(0, 1.02 * setting["until"]))
    panels[0].set_ylabel("training loss")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Product(numbers(drawn, curves, setting), figure, by_seed(curves))


def panel_names(setting: dict) -> dict[str, str]:
    return {
        case: f"({letter}) {own['label']}" for letter, (case, own) in zip("ab", setting["cases"].items(), strict=True)
    }


def draw_line(axes, rows: pd.DataFrame, variant: variants.Variant, position: int) -> None:
    how = variant.line()
    spacing = max(1, len(rows) // 6)
    axes.plot(rows["time"], rows["median"], **how, markevery=(spacing * position // 5, spacing))
    axes.fill_between(rows["time"], rows["lowest"], rows["highest"], color=how["color"], alpha=0.13, linewidth=0)


def bands(curves: pd.DataFrame, seeds: list[int], until: float) -> pd.DataFrame:
    """Median and range over seeds at 200 points, by case, method and options; a diverged seed counts as inf."""
    grid = np.linspace(0, until, NUM_POINTS)
    parts = []
    for (case, method, options), rows in curves[curves["seed"].isin(seeds)].groupby(
        ["case", "method", "options"], sort=False
    ):
        times, losses = summaries.by_replica(rows, "loss")
        values = np.array([np.interp(grid, times, column) for column in losses.T])
        parts.append(
            pd.DataFrame(
                {"case": case, "method": method, "options": options, "time": grid}
                | {"median": np.median(values, axis=0), "lowest": values.min(axis=0), "highest": values.max(axis=0)}
            )
        )
    return pd.concat(parts, ignore_index=True)


def paper_step_size(method: str, step_size: float, compute_times) -> float:
    """γ as the paper writes it: that of eq. (2) for Rescaled ASGD, the step of an update for the others."""
    if method != "rescaled":
        return step_size
    return float(step_parameters(compute_times, step_size=step_size).paper_step_size)


def numbers(drawn: pd.DataFrame, curves: pd.DataFrame, setting: dict) -> pd.DataFrame:
    """The lines with the chosen γ in the paper's sense, and the poster's points."""
    keys = ["case", "method", "options"]
    times = {
        case: build_compute_times(experiments.case_settings(setting, case)["compute_times"]).mean
        for case in setting["cases"]
    }
    chosen = curves.drop_duplicates(keys)[[*keys, "step_size", "on_edge"]].assign(source="run")
    chosen["paper_step_size"] = [
        paper_step_size(row.method, row.step_size, times[row.case]) for row in chosen.itertuples()
    ]
    poster = pd.DataFrame(
        [
            {"source": "poster", "method": method, "time": time, "median": loss}
            for method, losses in POSTER.items()
            for time, loss in zip(POSTER_TIMES, losses, strict=True)
        ]
    )
    lines = drawn.merge(chosen.drop(columns="step_size"), on=keys)
    columns = ["source", *keys, "paper_step_size", "on_edge", "time", "median", "lowest", "highest"]
    table = pd.concat([lines, poster], ignore_index=True)[columns]
    return table.assign(on_edge=table["on_edge"].astype(float))


def by_seed(curves: pd.DataFrame) -> pd.DataFrame:
    """Every reported seed's loss over the last tenth of the horizon; nan where it diverged."""
    return summaries.last_values(curves, ["case", "method", "options"], ["loss"], share=LAST_SHARE)
