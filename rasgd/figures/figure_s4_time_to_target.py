"""Times to ever smaller targets over their leading term, and what turns out to be of lower order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd.figures import captions, style
from rasgd.figures.product import Product
from rasgd.methods import METHODS

MARKERS = ("o", "s", "^", "D", "v", "P")  # of profiles and parameters, not of methods
TIMES = ("rescaled", "minibatch", "malenia")  # panels of the first row
EFFECT_PANELS = {  # title, label of the ratio, name of the line by its parameter
    "heterogeneity": ("(a) heterogeneity", "T(ζ) / T(0)", "ζ = {}"),
    "staleness": ("(b) staleness", "T / T(no delay)", "ζ = {}"),
    "slowest": ("(c) slowest worker", "T / T(equal times)", "τ_max = {} s"),
    "floor": ("(d) floors", "floor(ζ) / floor(0)", "{}"),
}
BATCHES = {
    "tuned_tuned": "S and γ tuned",
    "theory_tuned": "S = σ²/ε, γ tuned",
    "theory_theory": "S = σ²/ε, γ of theory",
}
COLUMNS = [
    "panel", "kind", "method", "series", "x", "value", "low", "high", "predicted", "simulated", "simulated_low",
    "simulated_high", "replicas",
]  # fmt: skip


def caption(settings: dict) -> str:
    setting, effects = settings["time_to_target"], settings["lower_order"]
    problem, runs = setting["problem"], setting["simulated"]
    softness, floor = problem["softness"], effects["floor"]
    return f"""Exact times until E‖∇F‖² averaged over the last tenth of elapsed time is at most ε, at the best
        step size. Top: instances adapted to ε (a mode of curvature {softness:g}ε/Δ carries the gap Δ =
        {problem["gap"]:g}, {problem["num_stiff"]} modes of curvature L = 1 carry ζ =
        {problem["heterogeneity"]:g}, σ = {problem["noise"]:g}), since a fixed quadratic gives about 1/ε. Dotted:
        Rescaled ASGD's four-term bound up to one constant, the same for all profiles and fitted at the smallest ε.
        Dashed: the ratios theory gives as ε → 0, τ_max/τ_A for Minibatch SGD. Open circles: simulated, mean of
        {len(runs["seeds"])} seeds with 95 % intervals. Malenia SGD with S chosen per ε among
        {", ".join(map(str, setting["malenia_batches"]))} and with S = max(σ²/ε, n). Bottom: what is of lower order for
        Rescaled ASGD (n = {len(effects["compute_times"])}, median and range over {len(effects["instance_seeds"])}
        instances): (a) heterogeneity ζ, (b) staleness, against a twin that takes each gradient at the current point,
        (c) the slowest worker with τ_A fixed, (d) the floor with ζ = {floor["heterogeneity"]:g}σ over the one without,
        exact for Rescaled ASGD, simulated with 95 % intervals over {len(floor["schedule_seeds"])} schedules for the
        others; theory gives 1 + ζ²/σ² for Concurrent ASGD. Our own settings, none of the paper's."""


def draw(tables: dict, settings: dict) -> Product:
    """Three panels of times against ε, four of effects that vanish."""
    profiles = captions.profile_labels(settings["time_to_target"])
    effects = tables["lower_order"]
    drawn = pd.concat(
        [
            time_series(tables["time_to_target"]["times"], list(profiles)),
            ratio_series(effects["ratios"]),
            floor_series(effects["floors"]),
        ],
        ignore_index=True,
    )[COLUMNS]
    titles = {
        "rescaled": ("Rescaled ASGD", r"$T\, n\varepsilon^2/(\Delta L\sigma^2\tau_\mathrm{A})$"),
        "minibatch": ("Minibatch SGD", "T / T(Rescaled ASGD)"),
        "malenia": (f"Malenia SGD, {profiles[middle_profile(list(profiles))]}", "T / T(Rescaled ASGD)"),
    }
    names = profiles | BATCHES
    figure = style.new_figure(height_inches=5.3)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    for axes, panel in zip(top.subplots(1, len(TIMES)), TIMES, strict=True):
        rows = drawn[drawn["panel"] == panel]
        draw_panel(axes, rows, names, "target ε (smaller →)", logarithmic=panel == "rescaled")
        axes.set(title=style.mathematics(titles[panel][0]), ylabel=titles[panel][1])
        make_room(axes)
    panels = bottom.subplots(1, len(EFFECT_PANELS))
    for axes in panels[1:-1]:
        axes.sharey(panels[0])
    for axes, (panel, (title, label, form)) in zip(panels, EFFECT_PANELS.items(), strict=True):
        rows = drawn[(drawn["panel"] == panel) & (drawn["x"] > 0)]  # an axis of logarithms has no room for 0
        lines = {name: style.mathematics(form.format(name)) for name in rows["series"].unique()}
        if panel == "floor":
            lines = {method: METHODS[method].label.removesuffix(" ASGD") for method in lines}
        draw_panel(
            axes,
            rows,
            lines,
            "γ (smaller →)" if panel == "floor" else "target ε (smaller →)",
            logarithmic=True,
        )
        axes.set(title=title, ylabel=label)
    for axes in panels[[0, -1]]:  # the others share the first one's limits
        make_room(axes)
    return Product(drawn, figure)


def make_room(axes) -> None:
    """Space for the legend above everything that is drawn."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.4 if axes.get_yscale() == "log" else high + 0.4 * (high - low))


def draw_panel(axes, rows: pd.DataFrame, names: dict[str, str], axis: str, logarithmic: bool) -> None:
    """Lines with intervals, small values of x on the right; dotted lines are bounds, dashed ones limits.

    Args:
        axes, rows: of the panel.
        names: what is shown of the series.
        axis: what x is.
        logarithmic: whether y is drawn so, too.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    lines = list(rows["series"].unique())
    for name, colour, marker in zip(lines, style.shades(len(lines)), MARKERS, strict=False):
        if name in METHODS:
            colour, marker = style.style(name)
        for kind, line in rows[rows["series"] == name].groupby("kind", sort=False):
            if kind == "bound":
                axes.plot(line["x"], line["value"], color=colour, linewidth=0.9, linestyle=":")
                continue
            axes.plot(line["x"], line["value"], color=colour, marker=marker, label=names.get(name, name))
            if (line["high"] > line["low"]).any():
                axes.fill_between(line["x"], line["low"], line["high"], color=colour, alpha=0.15, linewidth=0)
            some = line.dropna(subset="simulated")
            simulated = (some[column] for column in ("simulated", "simulated_low", "simulated_high"))
            if len(some):
                style.draw_intervals(
                    axes, some["x"], *simulated, color="black", marker="o", markersize=5, markerfacecolor="none",
                    elinewidth=0.8, zorder=4, label="simulated",
                )  # fmt: skip
    for limit in rows["predicted"].dropna().unique():
        axes.axhline(limit, color=style.GUIDE_COLOUR, linewidth=0.7, linestyle="--", zorder=0.5)
    if logarithmic:
        style.log_axes(axes, x=True)
    else:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.invert_xaxis()
    axes.set_xlabel(axis)
    axes.legend(loc="upper center", handlelength=1.2, fontsize=6, borderpad=0.1)


def time_series(times: pd.DataFrame, profiles: list[str]) -> pd.DataFrame:
    """Series of the first three panels, by profile, and for Malenia SGD by how S and the step were chosen."""
    tuned = times[times["steps"] == "tuned"]
    own = tuned[tuned["method"] == "rescaled"].set_index(["profile", "epsilon"])
    # One constant for all profiles: the least that puts no bound below its time at the smallest ε.
    smallest = own.xs(own.index.get_level_values("epsilon").min(), level="epsilon")
    constant = float((smallest["scaled"] / smallest["bound"]).max())
    parts = []
    for profile in profiles:
        rows = own.loc[profile].reset_index()
        unit = rows["scaled"] / rows["seconds"]
        simulated = {"simulated": rows["measured"], "simulated_low": rows["low"], "simulated_high": rows["high"]}
        parts += [
            series("rescaled", "time", "rescaled", profile, rows["epsilon"], rows["scaled"]).assign(
                **{name: column * unit for name, column in simulated.items()}, replicas=rows["replicas"]
            ),
            series("rescaled", "bound", "rescaled", profile, rows["epsilon"], constant * rows["bound"]),
        ]
    ratios = tuned[tuned["method"] == "minibatch"].assign(series=lambda rows: rows["profile"])
    batches = times[(times["method"] == "malenia") & (times["profile"] == middle_profile(profiles))]
    batches = batches.assign(series=lambda rows: rows["batch_choice"] + "_" + rows["steps"])
    for table in (ratios, batches):
        for (method, name), rows in table.groupby(["method", "series"], sort=False):
            parts.append(
                series(method, "ratio", method, name, rows["epsilon"], rows["over_rescaled"], rows["predicted_ratio"])
            )
    return pd.concat(parts, ignore_index=True)


def middle_profile(profiles: list[str]) -> str:
    """The profile in which Malenia SGD is drawn."""
    return profiles[len(profiles) // 2]


def ratio_series(ratios: pd.DataFrame) -> pd.DataFrame:
    """Series of panels (a) to (c), by parameter: ζ, ζ, τ_max."""
    parts = []
    for (effect, parameter), rows in ratios.groupby(["effect", "parameter"]):
        part = series(
            effect, "ratio", "rescaled", f"{parameter:g}", rows["epsilon"], rows["measured"], rows["predicted"]
        )
        parts.append(part.assign(**{name: rows[name].to_numpy() for name in ("low", "high", "replicas")}))
    return pd.concat(parts, ignore_index=True)


def floor_series(floors: pd.DataFrame) -> pd.DataFrame:
    """Series of panel (d), by method."""
    parts = []
    for method in style.in_order(floors["method"]):
        rows = floors[floors["method"] == method]
        part = series("floor", "ratio", method, method, rows["step_size"], rows["measured"], rows["predicted"])
        parts.append(part.assign(**{name: rows[name].to_numpy() for name in ("low", "high", "replicas")}))
    return pd.concat(parts, ignore_index=True)


def series(panel: str, kind: str, method: str, name: str, x, value, predicted=np.nan) -> pd.DataFrame:
    """One line of a panel; value is exact unless low and high differ."""
    columns = {"x": x, "value": value, "low": value, "high": value, "predicted": predicted}
    columns = {key: np.broadcast_to(np.asarray(entry, dtype=float), np.shape(x)) for key, entry in columns.items()}
    simulated = dict.fromkeys(("simulated", "simulated_low", "simulated_high", "replicas"), np.nan)
    return pd.DataFrame({"panel": panel, "kind": kind, "method": method, "series": name, **columns, **simulated})
