"""Draws times to ever smaller targets over their leading term, and what turns out to be of lower order."""

from pathlib import Path

import numpy as np
import pandas as pd

from rasgd.experiments.logged import job
from rasgd.figures import saving, style
from rasgd.methods import METHODS

SHADES = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # of profiles and parameters, not of methods
METHOD_STYLES = {METHODS[method].label: style.style(method) for method in METHODS}
MARKERS = ("o", "s", "^", "D", "v", "P")


def draw_time_to_target(
    path_to_times: str,
    path_to_ratios: str,
    path_to_floors: str,
    profiles: dict[str, str],
    caption: str,
    path_stem: Path,
) -> None:
    """Writes the figure: three panels of times against ε, four of effects that vanish.

    Args:
        path_to_times: exact and simulated times of `time_to_target`.
        path_to_ratios, path_to_floors: ratios of `lower_order`.
        profiles: labels of the profiles of compute times.
        caption: plain text.
        path_stem: of the files to write.
    """
    drawn = pd.concat(
        [time_series(pd.read_parquet(path_to_times), profiles), ratio_series(pd.read_parquet(path_to_ratios)),
         floor_series(pd.read_parquet(path_to_floors))], ignore_index=True,
    )  # fmt: skip
    with style.settings():
        figure = style.new_figure(height_inches=5.2)
        grid = figure.add_gridspec(2, 12, height_ratios=[1.15, 1])
        for column, (panel, title) in enumerate(TIME_PANELS.items()):
            axes = figure.add_subplot(grid[0, 4 * column : 4 * column + 4])
            title = title.format(spread=profiles[middle_profile(profiles)])
            draw_panel(axes, drawn[drawn["panel"] == panel], title, "target ε", logarithmic=panel == "rescaled")
            axes.set_ylim(**({"top": 4} if panel == "malenia" else {}))  # room for the legend
        shared = None
        for column, (panel, (title, axis)) in enumerate(EFFECT_PANELS.items()):
            axes = figure.add_subplot(grid[1, 3 * column : 3 * column + 3], sharey=None if panel == "floor" else shared)
            shared = shared or axes
            some = drawn[(drawn["panel"] == panel) & (drawn["x"] > 0)]  # an axis of logarithms has no room for 0
            draw_panel(axes, some, title, axis, logarithmic=True)
        saving.save_figure(figure, path_stem, drawn, caption)


TIME_PANELS = {
    "rescaled": "Rescaled ASGD:\n$T\\, n\\varepsilon^2/(\\Delta L\\sigma^2\\tau_A)$",
    "minibatch": "T(Minibatch) / T(Rescaled)",
    "malenia": "T(Malenia) / T(Rescaled),\ntimes {spread}",
}
EFFECT_PANELS = {
    "heterogeneity": ("(a) T(ζ) / T(0)", "target ε"),
    "staleness": ("(b) T / T(no delay)", "target ε"),
    "slowest": ("(c) T / T(equal times)", "target ε"),
    "floor": ("(d) floor(ζ) / floor(0)", "step size γ"),
}


def draw_panel(axes, rows: pd.DataFrame, title: str, axis: str, logarithmic: bool) -> None:
    """Lines with intervals, small values of x on the right; dotted lines are limits or bounds."""
    for index, (name, line) in enumerate(rows.groupby("series", sort=False)):
        colour, marker = METHOD_STYLES.get(name) or (SHADES[index % len(SHADES)], MARKERS[index % len(MARKERS)])
        if name.startswith("bound"):
            owner = list(rows["series"].unique()).index(name.removeprefix("bound: "))
            axes.plot(line["x"], line["value"], color=SHADES[owner], linewidth=0.7, linestyle=":")
            continue
        axes.plot(line["x"], line["value"], color=colour, marker=marker, label=name.removesuffix(" ASGD"))
        if (line["high"] > line["low"]).any():
            axes.fill_between(line["x"], line["low"], line["high"], color=colour, alpha=0.15, linewidth=0)
        some = line.dropna(subset="simulated")
        simulated = (some[name] for name in ("simulated", "simulated_low", "simulated_high"))
        style.draw_intervals(axes, some["x"], *simulated, color="black", marker="_")
    for limit in rows["predicted"].dropna().unique():
        axes.axhline(limit, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle="--", zorder=0.5)
    if logarithmic:
        style.log_axes(axes, x=True)
    else:
        axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set(title=title, xlabel=axis)
    axes.legend(loc="best", handlelength=1.2, fontsize=6, borderpad=0.1)


def time_series(times: pd.DataFrame, profiles: dict[str, str]) -> pd.DataFrame:
    """Series of the first three panels."""
    tuned = times[(times["steps"] == "tuned")]
    own = tuned[tuned["method"] == "rescaled"].set_index(["profile", "epsilon"])
    # One constant for all profiles: the least that puts no bound below its time at the smallest ε.
    smallest = own.xs(own.index.get_level_values("epsilon").min(), level="epsilon")
    constant = float((smallest["scaled"] / smallest["bound"]).max())
    parts = []
    for profile, label in profiles.items():
        rows = own.loc[profile].reset_index()
        unit = rows["scaled"] / rows["seconds"]
        parts.append(
            series("rescaled", label, rows["epsilon"], rows["scaled"]).assign(
                simulated=rows["measured"] * unit,
                simulated_low=rows["low"] * unit,
                simulated_high=rows["high"] * unit,
                replicas=rows["replicas"],
            )
        )
    for profile, label in profiles.items():
        rows = own.loc[profile].reset_index()
        parts.append(series("rescaled", f"bound: {label}", rows["epsilon"], constant * rows["bound"]))
    for profile, label in profiles.items():
        rows = tuned[(tuned["method"] == "minibatch") & (tuned["profile"] == profile)]
        parts.append(
            series("minibatch", label, rows["epsilon"], rows["over_rescaled"], predicted=rows["predicted_ratio"])
        )
    spread = times[(times["method"] == "malenia") & (times["profile"] == middle_profile(profiles))]
    for (choice, steps), rows in spread.groupby(["batch_choice", "steps"], sort=False):
        label = {"tuned": "S, γ tuned", "theory": f"S = σ²/ε, γ {'tuned' if steps == 'tuned' else 'of theory'}"}[choice]
        parts.append(
            series("malenia", label, rows["epsilon"], rows["over_rescaled"], predicted=rows["predicted_ratio"])
        )
    return pd.concat(parts, ignore_index=True)


def middle_profile(profiles: dict[str, str]) -> str:
    """The profile in which Malenia SGD is drawn."""
    return list(profiles)[len(profiles) // 2]


def ratio_series(ratios: pd.DataFrame) -> pd.DataFrame:
    """Series of panels (a) to (c)."""
    names = {"heterogeneity": "ζ = {:g}", "staleness": "ζ = {:g}", "slowest": "τ_max = {:g} s"}
    parts = []
    for (effect, parameter), rows in ratios.groupby(["effect", "parameter"]):
        label = names[effect].format(parameter)
        part = series(effect, label, rows["epsilon"], rows["measured"], predicted=rows["predicted"])
        parts.append(part.assign(**{name: rows[name].to_numpy() for name in ("low", "high", "replicas")}))
    return pd.concat(parts, ignore_index=True)


def floor_series(floors: pd.DataFrame) -> pd.DataFrame:
    """Series of panel (d)."""
    parts = []
    for method in style.in_order(floors["method"]):
        rows = floors[floors["method"] == method]
        part = series("floor", METHODS[method].label, rows["step_size"], rows["measured"], rows["predicted"])
        parts.append(part.assign(**{name: rows[name].to_numpy() for name in ("low", "high", "replicas")}))
    return pd.concat(parts, ignore_index=True)


def series(panel: str, name: str, x, value, predicted=np.nan) -> pd.DataFrame:
    """One line of a panel; value is exact unless low and high differ."""
    columns = {"x": x, "value": value, "low": value, "high": value, "predicted": predicted}
    columns = {key: np.broadcast_to(np.asarray(entry, dtype=float), np.shape(x)) for key, entry in columns.items()}
    simulated = dict.fromkeys(("simulated", "simulated_low", "simulated_high", "replicas"), np.nan)
    return pd.DataFrame({"panel": panel, "series": name, **columns, **simulated})


if "snakemake" in globals():
    with job(snakemake.log[0], "figure_4_time_to_target"):
        draw_time_to_target(
            path_to_times=snakemake.input.times,
            path_to_ratios=snakemake.input.ratios,
            path_to_floors=snakemake.input.floors,
            profiles=snakemake.params.profiles,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.png).with_suffix(""),
        )
