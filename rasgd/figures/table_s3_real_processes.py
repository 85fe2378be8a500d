"""What real processes did beside what the virtual clock predicts: arrivals, delays, weights, memory."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from rasgd import summaries
from rasgd.figures import captions, saving, style
from rasgd.figures.figure_s11_real_processes import emulation
from rasgd.figures.product import Product

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


def caption(settings: dict) -> str:
    return f"""What a run on real processes did (real) beside the same run on the virtual clock (virtual). Arrivals: of
        all workers, per second of compute time; per worker: the smallest and largest ratio of real to virtual. Delay:
        server updates between the hand-out of a point and its gradient's arrival. Weight error: half the summed
        absolute difference between the workers' shares in all steps and 1/n; — where steps are not linear in
        gradients. Memory: the most the server held beside x for one seed, in bytes. On time: share of gradients whose
        computation ended within its emulated time. {emulation(settings["real_processes"])} One run per method,
        measured on the machine at hand. † minimises another objective. {captions.OUR_SETTING}"""


def draw(tables: dict, settings: dict) -> Product:
    """One group of rows per case."""
    setting, runs = settings["real_processes"], tables["real_processes"]["runs"]
    until = {case: own["until"] for case, own in captions.cases(setting).items()}
    numbers = pd.DataFrame(
        [
            comparison(case, method, *statistics(runs, case, method), until[case])
            for case in until
            for method in style.in_order(runs["method"])
        ]
    )
    labels = captions.labels(setting)
    cells = [row(record) for record in numbers.to_dict("records")]
    return Product(numbers, shown=pd.DataFrame(cells, columns=HEADER, index=[labels[c] for c in numbers["case"]]))


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
