"""Phrases that captions share. Each describes what an experiment's settings hold, whichever of them there are."""

from __future__ import annotations

from collections.abc import Iterable

from rasgd.experiments import build
from rasgd.experiments import settings as experiments

ANOTHER_OBJECTIVE = "† and dashed lines: the method minimises another objective when data are heterogeneous."
OUR_SETTING = "Our own setting, not one of the paper's."


def cases(setting: dict) -> dict[str, dict]:
    """The settings of every case."""
    return {case: experiments.case_settings(setting, case) for case in setting["cases"]}


def labels(setting: dict) -> dict[str, str]:
    """The display label of every case."""
    return {case: own["label"] for case, own in setting["cases"].items()}


def mean_times(setting: dict) -> dict[str, list[float]]:
    """Mean seconds per gradient of every worker, for every case."""
    times = {case: build.build_compute_times(own["compute_times"]) for case, own in cases(setting).items()}
    return {case: own.mean.tolist() for case, own in times.items()}


def distinct(values: Iterable) -> str:
    """Each value once: what cases share is said once."""
    return " and ".join(dict.fromkeys(str(value) for value in values))


def num_replicas(setting: dict) -> str:
    """Reported seeds, for every case where they differ."""
    return distinct(len(own["reporting"]["seeds"]) for own in cases(setting).values())


def num_workers(setting: dict) -> str:
    return "n = " + distinct(len(times) for times in mean_times(setting).values())


def horizon(setting: dict) -> str:
    """Horizon in seconds, for every case where they differ."""
    return "horizon " + distinct(f"{own['until']:g}" for own in cases(setting).values()) + " s"


def compute_times(setting: dict) -> str:
    """The workers' seconds per gradient: how far they spread, and whether they vary."""
    phrases = []
    for own in cases(setting).values():
        times = build.build_compute_times(own["compute_times"])
        low, high = times.mean.min(), times.mean.max()
        # Compute times that are what they are on average are fixed.
        kind = "fixed times" if type(times).__name__ == "FixedTimes" else "random times with means"
        phrases.append(f"{kind} of {low:g} s" if low == high else f"{kind} from {low:.3g} to {high:.3g} s")
    return distinct(phrases)


def partition(setting: dict) -> str:
    """How samples are dealt to workers."""
    own = dict(setting["data"]["partition"])
    kind = own["kind"]
    if kind == "iid":
        return "shards of samples drawn alike"
    if kind == "dirichlet":
        return f"Dirichlet({own['alpha']:g}) shards of equal size" if "alpha" in own else "Dirichlet shards"
    if kind == "by_label":
        return "shards sorted by label"
    if kind == "one_class_each":
        return "worker i holding class i alone"
    if kind == "by_speed":
        return f"classes {', '.join(map(str, own.get('slow_classes', [])))} owned by slow workers alone"
    return f"shards {kind.replace('_', ' ')}"


def model(problem: dict) -> str:
    """The model that is trained, from a problem's settings."""
    kind = problem["kind"]
    if kind == "logistic":
        penalty = problem.get("penalty_weight")
        return "softmax regression" + (f" with the penalty λ Σ x²/(1 + x²), λ = {penalty:g}" if penalty else "")
    widths = problem.get("hidden_widths")
    if kind == "network" and widths:
        return f"ReLU network with hidden layers of {', '.join(map(str, widths))} units"
    return "linear network" if kind == "network" else kind.replace("_", " ")


def batch(problem: dict) -> str:
    size = problem.get("batch_size")
    return f"batch {size}" if size else "whole shards as batches"


def data_setting(setting: dict) -> str:
    """Data set, model, batch, workers and partition of an experiment on data, with every value cases differ by."""
    problems = [own["problem"] for own in cases(setting).values()]
    pooled = distinct(f"{p['pool']}×{p['pool']}" for p in problems if p.get("pool"))
    parts = [
        setting["data"]["dataset"] + (f" averaged over squares of {pooled} pixels" if pooled else ""),
        distinct(model(problem) for problem in problems),
        distinct(batch(problem) for problem in problems),
        num_workers(setting),
        partition(setting),
        horizon(setting),
    ]
    return ", ".join(parts)


def steps(setting: dict) -> str:
    """Where the step sizes come from, and how they fall."""
    given, decay = setting["step_sizes"], setting.get("step_size_decay")
    if "log2_beta" in given:
        text = f"β = 2^{given['log2_beta']:g} per second for every method"
    elif "fixed" in given:
        text = "step sizes as given"
    else:
        text = "the step sizes that are best on tuning seeds"
    if decay:
        text += (
            f", constant up to {decay['after']:g} of the horizon, then falling linearly to {decay['to']:g} of what "
            "they were"
        )
    return text


def quadratic_setting(setting: dict) -> str:
    """Workers, dimension, compute times and horizon of an experiment on quadratics."""
    dims = distinct(own["problem"]["dim"] for own in cases(setting).values() if "dim" in own["problem"])
    spread = distinct(f"{max(own) * len(own) / sum(own):.3g}" for own in mean_times(setting).values())
    parts = [num_workers(setting), *([f"d = {dims}"] if dims else []), compute_times(setting)]
    parts += [f"τ_max/τ_A = {spread}", horizon(setting)]
    return f"Quadratics: {', '.join(parts)}; our own setting, not one of the paper's."


def profile_labels(setting: dict) -> dict[str, str]:
    """The display label of every profile of compute times."""
    return {profile: own["label"] for profile, own in setting["profiles"].items()}
