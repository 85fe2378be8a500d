"""Writes what real processes did beside what the virtual clock predicts: arrivals, delays, weights, memory."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.experiments.logged import job
from rasgd.figures import saving, style

HEADER = [
    "Method",
    "Arrivals/s virtual",
    "real",
    "per worker",
    "Mean delay virtual",
    "real",
    "Max delay virtual",
    "real",
    "Weight error virtual",
    "real",
    "Memory",
    "On time",
]


def tabulate_real_processes(
    path_to_runs: Sequence[str], cases: dict[str, str], until: dict[str, float], caption: str, path_stem: Path
) -> None:
    """Writes the table, one group of rows per case.

    Args:
        path_to_runs: rows with the statistics of the methods' runs on both backends.
        cases: their labels.
        until: their horizons in seconds.
        caption: plain text.
        path_stem: of the files to write.
    """
    runs = summaries.read_tables(path_to_runs)
    numbers = pd.DataFrame(
        [
            comparison(case, method, *statistics(runs, case, method), until[case])
            for case in cases
            for method in style.in_order(runs["method"])
        ]
    )
    groups = [
        saving.Group(label, [row(own) for own in numbers[numbers["case"] == case].to_dict("records")])
        for case, label in cases.items()
    ]
    saving.save_table(path_stem, HEADER, groups, numbers, caption)


def statistics(runs: pd.DataFrame, case: str, method: str) -> tuple[dict, dict]:
    """Of the run on the virtual clock and of the one on real processes."""
    mine = runs[(runs["case"] == case) & (runs["method"] == method)].set_index("backend")["statistics"]
    simulated, real = (mine.loc[[backend]].iloc[0] for backend in ("simulator", "processes"))
    return json.loads(simulated), json.loads(real)


def comparison(case: str, method: str, virtual: dict, real: dict, until: float) -> dict:
    """One row of numbers; ratios and shares rather than differences, which would be noise around 0."""
    before, after = np.array(virtual["arrivals"], dtype=float), np.array(real["arrivals"], dtype=float)
    ratios = after[before > 0] / before[before > 0]
    both = {"virtual": virtual, "real": real}
    return {
        "case": case,
        "method": method,
        "arrivals_per_second_virtual": before.sum() / until,
        "arrivals_per_second_real": after.sum() / until,
        "smallest_ratio_of_arrivals": ratios.min(),
        "largest_ratio_of_arrivals": ratios.max(),
        **{f"delay_mean_{name}": own["delay_mean"] for name, own in both.items()},
        **{f"delay_max_{name}": own["delay_max"] for name, own in both.items()},
        **{f"weight_error_{name}": summaries.weight_error(own["effective_weights"]) for name, own in both.items()},
        **{f"server_bytes_{name}": own["server_bytes"] for name, own in both.items()},
        "on_time": 1 - sum(real["overruns"]) / max(1.0, after.sum()),
    }


def row(numbers: dict) -> list[saving.Cell]:
    ratios = f"{numbers['smallest_ratio_of_arrivals']:.2f} – {numbers['largest_ratio_of_arrivals']:.2f}"
    return [
        style.legend_label(numbers["method"]),
        *(f"{numbers[f'arrivals_per_second_{name}']:.3f}" for name in ("virtual", "real")),
        ratios,
        *(f"{numbers[f'delay_mean_{name}']:.2f}" for name in ("virtual", "real")),
        *(f"{numbers[f'delay_max_{name}']}" for name in ("virtual", "real")),
        *(saving.number_cell(numbers[f"weight_error_{name}"]) for name in ("virtual", "real")),
        f"{numbers['server_bytes_real']}",
        f"{100 * numbers['on_time']:.1f} %",
    ]


if "snakemake" in globals():
    with job(snakemake.log[0], "table_5_real_processes"):
        tabulate_real_processes(
            path_to_runs=snakemake.input.runs,
            cases=snakemake.params.cases,
            until=snakemake.params.until,
            caption=snakemake.params.caption,
            path_stem=Path(snakemake.output.csv).with_suffix(""),
        )
