"""Writes seconds to target at the best step sizes and at those that theory prescribes, exact where they are known."""

from pathlib import Path

import numpy as np
import pandas as pd

from rasgd.experiments.logged import job
from rasgd.figures import saving, style

NUM_TARGETS = 3  # shown, the smallest, and the smallest one with a simulated method; the CSV file has all
STEPS = {"tuned": "best", "theory": "theory's"}
HEADER = [
    "Method",
    "Batch S",
    "Step",
    ("Step size γ", r"Step size $\gamma$"),
    "Seconds",
    "Over Rescaled ASGD at its best step",
    "theory",
    "Over Rescaled ASGD at theory's step",
]


def tabulate_exact_times(path_to_times: str, profiles: dict[str, str], caption: str, path_stem: Path) -> None:
    """Writes the table, one group of rows per profile of compute times and target.

    Args:
        path_to_times: exact times of `time_to_target`.
        profiles: labels of the profiles.
        caption: plain text.
        path_stem: of the files to write.
    """
    times = pd.read_parquet(path_to_times)
    keys = ["profile", "epsilon"]
    own = times[(times["method"] == "rescaled") & (times["steps"] == "theory")].set_index(keys)["seconds"]
    prescribed = own.loc[pd.MultiIndex.from_frame(times[keys])].to_numpy()
    times["over_rescaled_theory"] = np.where(times["steps"] == "theory", times["seconds"] / prescribed, np.nan)
    columns = ["method", "steps", "batch_choice", "batch", "step_size", "seconds", "over_rescaled", "predicted_ratio"]
    simulated = times["measured"].notna() & (times["steps"] == "theory")
    times[["low", "high", "replicas"]] = times[["low", "high", "replicas"]].where(simulated)
    times = times[[*keys, *columns, "over_rescaled_theory", "low", "high", "replicas"]]
    shown = {*sorted(times["epsilon"].unique())[:NUM_TARGETS], *times.loc[simulated, "epsilon"].nsmallest(1)}
    groups = [
        saving.Group(f"{label}; E‖∇F‖² ≤ {epsilon:.2g}", [row(record) for record in rows.to_dict("records")])
        for profile, label in profiles.items()
        for epsilon in sorted(shown, reverse=True)
        for rows in [times[(times["profile"] == profile) & (times["epsilon"] == epsilon)]]
    ]
    saving.save_table(path_stem, HEADER, groups, times, caption)


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


if "snakemake" in globals():
    with job(snakemake.log[0], "table_4_exact_times"):
        tabulate_exact_times(
            path_to_times=snakemake.input.times,
            profiles=snakemake.params.profiles,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.csv).with_suffix(""),
        )
