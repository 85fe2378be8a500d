"""Seconds to target at the best step sizes and at those that theory prescribes, exact where they are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rasgd.figures import captions, saving, style
from rasgd.figures.product import Product

NUM_TARGETS = 3  # shown, the smallest, and the smallest one with a simulated method; the CSV file has all
STEPS = {"tuned": "best", "theory": "theory's"}
HEADER = [
    "Method",
    "Batch S",
    "Step",
    "Step size γ",
    "Seconds",
    "Over Rescaled ASGD at its best step",
    "theory",
    "Over Rescaled ASGD at theory's step",
]


def caption(settings: dict) -> str:
    problem, simulated = settings["time_to_target"]["problem"], settings["time_to_target"]["theory_steps"]
    return f"""Exact seconds until E‖∇F‖² averaged over the last tenth of elapsed time is at most the target, on the
        instances of Figure S4 (σ = {problem["noise"]:g}, ζ = {problem["heterogeneity"]:g}), at the best step size and
        at the one that theory prescribes: Rescaled ASGD's is that of Corollary 4.2 with the constants of its proof,
        those of Malenia SGD and Minibatch SGD follow from the standard bound, Ringleader ASGD's is its paper's. In
        brackets: simulated, 95 % interval over {len(simulated["seeds"])} seeds. Theory: the ratio's limit as ε → 0.
        Vanilla ASGD stands beside Rescaled ASGD without heterogeneity (ζ = 0), where both minimise F: τ_H/τ_A is what
        rescaling costs. {captions.OUR_SETTING} † minimises another objective when data are heterogeneous."""


def draw(tables: dict, settings: dict) -> Product:
    """One group of rows per profile of compute times and target."""
    profiles = captions.profile_labels(settings["time_to_target"])
    times, keys = tables["time_to_target"]["times"].copy(), ["profile", "epsilon"]
    own = times[(times["method"] == "rescaled") & (times["steps"] == "theory")].set_index(keys)["seconds"]
    prescribed = own.loc[pd.MultiIndex.from_frame(times[keys])].to_numpy()
    times["over_rescaled_theory"] = np.where(times["steps"] == "theory", times["seconds"] / prescribed, np.nan)
    columns = ["method", "steps", "batch_choice", "batch", "step_size", "seconds", "over_rescaled", "predicted_ratio"]
    simulated = times["measured"].notna() & (times["steps"] == "theory")
    times[["low", "high", "replicas"]] = times[["low", "high", "replicas"]].where(simulated)
    times = times[[*keys, *columns, "over_rescaled_theory", "low", "high", "replicas"]]
    shown = {*sorted(times["epsilon"].unique())[:NUM_TARGETS], *times.loc[simulated, "epsilon"].nsmallest(1)}
    cells, groups = [], []
    for profile, label in profiles.items():
        for epsilon in sorted(shown, reverse=True):
            rows = times[(times["profile"] == profile) & (times["epsilon"] == epsilon)]
            cells += [row(record) for record in rows.to_dict("records")]
            groups += [f"{label}; E‖∇F‖² ≤ {epsilon:.2g}"] * len(rows)
    return Product(times, shown=pd.DataFrame(cells, columns=HEADER, index=groups))


def row(numbers: dict) -> list[saving.Cell]:
    homogeneous = ", ζ = 0" if numbers["method"] == "asgd" else ""
    batch = "" if np.isnan(numbers["batch"]) else f"{numbers['batch']:g}"
    return [
        style.legend_label(numbers["method"]) + homogeneous,
        batch + (" (σ²/ε)" if numbers["batch_choice"] == "theory" else ""),
        STEPS[numbers["steps"]],
        f"{numbers['step_size']:.3g}",
        f"{numbers['seconds']:.3g}" + interval(numbers),
        f"{numbers['over_rescaled']:.3f}",
        f"{numbers['predicted_ratio']:.3f}" if numbers["steps"] == "tuned" else "",
        "" if np.isnan(numbers["over_rescaled_theory"]) else f"{numbers['over_rescaled_theory']:.3f}",
    ]


def interval(numbers: dict) -> str:
    return "" if np.isnan(numbers["low"]) else f" [{numbers['low']:.3g}, {numbers['high']:.3g}]"
