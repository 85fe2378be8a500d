"""Measures how long methods take on the hard instance of the lower bound."""

import numpy as np
import pandas as pd

from rasgd.compute_times import FixedTimes
from rasgd.experiments.logged import job
from rasgd.experiments.tuned_time import tuned_time
from rasgd.figures import saving
from rasgd.problems.chain import ZeroChain
from rasgd.theory import complexity, worst_case


def measure_chains(settings: dict, path_to_times: str) -> None:
    """Writes one row per profile, σ²/ε and method.

    Columns: seconds to E‖∇F‖² ≤ ε with its 95 % interval [low, high], at the step chosen on other seeds; bound, the
    lower bound without its constant; over_bound, over_bound_low and over_bound_high; reveal_seconds, what the oracle
    alone is expected to take until it has shown the slowest block; replicas, how many seeds stand behind the time.

    Args:
        settings: of the experiment, as `experiment.read` gives them.
        path_to_times: CSV to write.
    """
    epsilon, rows = settings["epsilon"], []
    shared = {key: settings[key] for key in ("grid", "max_doublings")}
    shared |= {"tuning_seeds": settings["tuning"]["seeds"], "seeds": settings["reporting"]["seeds"]}
    for profile, given in settings["profiles"].items():
        times = FixedTimes(given["compute_times"])
        for ratio in settings["noise_to_target"]:
            chain = worst_case.block_zero_chain(times.mean, epsilon, ratio * epsilon, settings["chain_length"])
            bound = complexity.lower_bound(chain.constants, times.mean, epsilon)
            problem = ZeroChain(chain)
            for method in settings["methods"]:
                reveal = reveal_seconds(chain, times.mean, method)
                found = tuned_time(problem, method, times, epsilon, settings["until"] * reveal, **shared)
                rows.append(
                    {"profile": profile, "noise_to_target": ratio, "method": method, **found._asdict()}
                    | {"bound": bound, "reveal_seconds": reveal, "replicas": len(settings["reporting"]["seeds"])}
                )
    table = pd.DataFrame(rows)
    for name, column in (("over_bound", "seconds"), ("over_bound_low", "low"), ("over_bound_high", "high")):
        table[name] = table[column] / table["bound"]
    own = table[table["method"] == "rescaled"].set_index(["profile", "noise_to_target"])["seconds"]
    table["over_rescaled"] = (
        table["seconds"] / own.loc[list(zip(table["profile"], table["noise_to_target"], strict=True))].to_numpy()
    )
    saving.save_csv(table.astype({"noise_to_target": float}), path_to_times)


def reveal_seconds(chain: worst_case.BlockZeroChain, times: np.ndarray, method: str) -> float:
    """Expected seconds until the slowest block is shown: max Tτᵢ/pᵢ; minibatch SGD needs τ_max for each gradient."""
    if method == "minibatch":
        return float(chain.chain_length * times.max() / chain.probabilities.min())
    return float(chain.block_seconds(times).max())


if "snakemake" in globals():
    with job(snakemake.log[0], "chain_times"):
        measure_chains(settings=snakemake.params.settings, path_to_times=snakemake.output.times)
