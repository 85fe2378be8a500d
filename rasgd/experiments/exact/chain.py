"""How long methods take on the hard instance of the lower bound."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from rasgd.compute_times import FixedTimes
from rasgd.experiments.tuned_time import tuned_time
from rasgd.problems.chain import ZeroChain
from rasgd.theory import complexity, paper, worst_case

TABLES = ("times",)


def compute(settings: dict, report: Callable[[float], None]) -> dict[str, pd.DataFrame]:
    """One row per profile, σ²/ε and method.

    Columns: seconds to E‖∇F‖² ≤ ε with its 95 % interval [low, high], at the step chosen on other seeds; bound, the
    lower bound without its constant; promised, Mτ_max of Corollary 4.2 for Rescaled ASGD; over_bound,
    over_bound_low and over_bound_high; reveal_seconds, what the oracle
    alone is expected to take until it has shown the slowest block; replicas, how many seeds stand behind the time.
    """
    epsilon, rows = settings["epsilon"], []
    shared = {key: settings[key] for key in ("grid", "max_doublings")}
    shared |= {"tuning_seeds": settings["tuning"]["seeds"], "seeds": settings["reporting"]["seeds"]}
    every = list(itertools.product(settings["profiles"], settings["noise_to_target"]))
    for number, (profile, ratio) in enumerate(every):
        report(number / len(every))
        times = FixedTimes(settings["profiles"][profile]["compute_times"])
        chain = worst_case.block_zero_chain(times.mean, epsilon, ratio * epsilon, settings["chain_length"])
        bound = complexity.lower_bound(chain.constants, times.mean, epsilon)
        promised = paper.corollary_4_2(chain.constants, times.mean, epsilon).seconds
        problem = ZeroChain(chain)
        for method in settings["methods"]:
            reveal = reveal_seconds(chain, times.mean, method)
            found = tuned_time(problem, method, times, epsilon, settings["until"] * reveal, **shared)
            rows.append(
                {"profile": profile, "noise_to_target": ratio, "method": method, **found._asdict()}
                | {
                    "bound": bound,
                    "promised": promised,
                    "reveal_seconds": reveal,
                    "replicas": len(settings["reporting"]["seeds"]),
                }
            )
    table = pd.DataFrame(rows)
    for name, column in (("over_bound", "seconds"), ("over_bound_low", "low"), ("over_bound_high", "high")):
        table[name] = table[column] / table["bound"]
    own = table[table["method"] == "rescaled"].set_index(["profile", "noise_to_target"])["seconds"]
    table["over_rescaled"] = (
        table["seconds"] / own.loc[list(zip(table["profile"], table["noise_to_target"], strict=True))].to_numpy()
    )
    return {"times": table.astype({"noise_to_target": float})}


def reveal_seconds(chain: worst_case.BlockZeroChain, times: np.ndarray, method: str) -> float:
    """Expected seconds until the slowest block is shown: max Tτᵢ/pᵢ; minibatch SGD needs τ_max for each gradient."""
    if method == "minibatch":
        return float(chain.chain_length * times.max() / chain.probabilities.min())
    return float(chain.block_seconds(times).max())
