"""Captions of figures and tables: what is drawn, at which scale, and how that differs from the published setting.

They follow from the settings alone, so that they are known before anything has run.
"""

from __future__ import annotations

from collections.abc import Iterable

from rasgd.experiments import settings as experiment

ANOTHER_OBJECTIVE = "† and dashed lines: the method minimises another objective when data are heterogeneous."


def caption(product: str, settings: dict[str, dict], scale: str) -> str:
    """The caption of a figure or table.

    Args:
        product: such as figure_1_toy.
        settings: of every experiment, as `experiment.read` gives them.
        scale: smoke, laptop or paper.
    """
    kind, number, _ = product.split("_", 2)
    text = CAPTIONS[product](settings)
    return " ".join(f"{kind.capitalize()} {number}: {text} Scale: {scale}.".split())


def figure_1_toy(settings: dict) -> str:
    return """Vanilla ASGD stops at the minimiser of the wrong average, Rescaled ASGD at that of F. Lines: simulation;
        open markers: read off the poster of arXiv 2605.13434. F₁ = ½(x−4)², F₂ = (x+3)², compute times (1, 2) s, no
        noise, steps as on the poster. The poster does not state the two functions; these are consistent with it. The
        same at every scale."""


def figure_2_stationary_error(settings: dict) -> str:
    setting = settings["stationary_error"]
    problem, runs = setting["problem"], setting["simulated"]
    return f"""Where constant steps settle on quadratics. Lines: exact theory, averaged over a cycle of arrivals;
        markers: time averages of runs of {runs["until"]:g} s with 95 % intervals over {len(runs["seeds"])} seeds;
        dotted: the law as γ → 0, vanilla ASGD's bias ‖∇F(x_p)‖² included; vertical: the largest stable step.
        Right: the part that is no noise, proportional to γ² for Rescaled ASGD and zero for Minibatch SGD. σ =
        {problem["noise"]:g}, ζ = {problem["heterogeneity"]:g}, n = {len(setting["compute_times"])}, d =
        {problem["dim"]}, fixed times from {min(setting["compute_times"]):g} to {max(setting["compute_times"]):g}
        s; our own setting, not one of the paper's. † minimises another objective."""


def figure_3_quadratic(settings: dict) -> str:
    return f"""‖∇F‖² against simulated time on quadratics with known noise σ and heterogeneity ζ, averaged over the last
        tenth of elapsed time; median and interquartile band over {num_replicas(settings["quadratic"])} seeds. Every
        method has the step size and own parameters that reach the dotted line, its case's smallest target, soonest on
        tuning seeds, or come closest to it by the horizon. Grey: exact expectation [derived], for the methods whose
        moments are known.
        {ANOTHER_OBJECTIVE} {quadratic_setting(settings)}"""


def figure_4_time_to_target(settings: dict) -> str:
    setting, effects = settings["time_to_target"], settings["lower_order"]
    problem, runs = setting["problem"], setting["simulated"]
    softness, floor = problem["softness"], effects["floor"]
    return f"""Exact times until E‖∇F‖² averaged over the last tenth of elapsed time is at most ε, at the best
        step size. Top: instances adapted to ε (a mode of curvature {softness:g}ε/Δ carries the gap Δ =
        {problem["gap"]:g}, {problem["num_stiff"]} modes of curvature L = 1 carry ζ =
        {problem["heterogeneity"]:g}, σ = {problem["noise"]:g}), since a fixed quadratic gives about 1/ε; three
        profiles of compute times. Dotted: Rescaled ASGD's four-term bound up to one constant, the same for all
        profiles and fitted at the smallest ε. Dashed: the ratios theory gives as ε → 0, τ_max/τ_A for Minibatch
        SGD. Black: simulated, mean of {len(runs["seeds"])} seeds with 95 % intervals. Malenia SGD with S chosen
        per ε among {", ".join(map(str, setting["malenia_batches"]))} and with S = max(σ²/ε, n). Bottom: what is
        of lower order for Rescaled ASGD (n = {len(effects["compute_times"])}, median and range over
        {len(effects["instance_seeds"])} instances): (a) heterogeneity ζ, (b) staleness, against a twin that takes
        each gradient at the current point, (c) the slowest worker with τ_A fixed, (d) the floor with ζ =
        {floor["heterogeneity"]:g}σ over the one without, exact for Rescaled ASGD, simulated with 95 % intervals
        over {len(floor["schedule_seeds"])} schedules for the others; theory gives 1 + ζ²/σ² for Concurrent ASGD.
        Our own settings, none of the paper's."""


def figure_5_mnist(settings: dict) -> str:
    return f"""Training loss against simulated time; median and interquartile band over
        {num_replicas(settings["mnist"])} runs at the step size with the smallest median training loss over the last
        quarter on tuning seeds. {ANOTHER_OBJECTIVE} {mnist_setting(settings)}"""


def figure_6_slow_owners(settings: dict) -> str:
    setting = settings["fashion_mnist"]
    slow = ", ".join(map(str, setting["data"]["partition"]["slow_classes"]))
    (case,) = setting["cases"]
    return f"""Who pays when slow workers alone own classes {slow}: who owns which class, and accuracy on the training
        samples of evaluation by their owners' speed and class over simulated time; median and interquartile band over
        {num_replicas(setting)} seeds. Left: samples per worker and class, workers from fast to slow.
        {ANOTHER_OBJECTIVE} {data_setting(setting)}, {setting["cases"][case]["label"]}. Our own setting, not one of the
        paper's."""


def figure_7_step_sizes(settings: dict) -> str:
    return f"""Sensitivity to the step size: score on tuning seeds against β, the step per second (step size times
        updates per second), over the best score of all methods; own parameters as chosen. Scores: seconds to the
        smallest target on quadratics, training loss over the last quarter on MNIST. Dots: chosen. White: the target is
        not reached within the horizon; grey: not tried; ×: a replica diverged; ○: a network collapsed to a constant
        prediction. † minimises another objective. {quadratic_setting(settings)} {mnist_setting(settings)}"""


def figure_8_real_processes(settings: dict) -> str:
    setting = settings["real_processes"]
    scale = setting["backends"].get("processes", {}).get("time_scale")
    emulated = f", one second of compute time lasting {scale:g} s" if scale else ""
    recorded = setting["recorded"]
    faults, label = recorded["faults"], setting["cases"][recorded["case"]]["label"]
    kills = " and ".join(f"worker {worker} is killed at {seconds:g} s" for worker, seconds in faults["kills"])
    return f"""Real server and worker processes (markers) beside the virtual clock (lines), with the same method
        objects, seeds and steps: log₂ β = {setting["step_sizes"]["log2_beta"]:g} for every method, nothing is tuned.
        Compute times are emulated{emulated}. {ANOTHER_OBJECTIVE} Bottom, on {label}: the first jobs of every worker in
        a recorded real run, each from the hand-out of its point to its arrival by the emulated clock; and ‖∇F‖², median
        over {len(faults["seeds"])} seeds, of a real run in which {kills}, beside one without; grey: until the restarted
        worker's next gradient. Measured on the machine at hand: its scheduling decides the order of nearly
        simultaneous arrivals and how long a restart takes. Our own setting, not one of the paper's."""


def figure_11_nonconvex(settings: dict) -> str:
    setting = settings["nonconvex"]
    problem = setting["problem"]
    return f"""Each method brings its own gradient to zero, and only that: ‖∇F‖² of the equal average F and ‖∇F_p‖² of
        F_p = Σ pᵢFᵢ, pᵢ ∝ 1/τᵢ, against simulated time; median and interquartile band over {num_replicas(setting)}
        seeds of x⁰ and samples. Table: medians of averages over the last tenth of the horizon; bold: at most a
        tenth of the other method's. With equal times both methods are the same. Softmax regression with the
        penalty λ Σ x²/(1 + x²), λ = {problem["penalty_weight"]:g}: {setting["data"]["dataset"]} averaged over squares
        of {problem["pool"]}×{problem["pool"]} pixels, {dirichlet_setting(setting)}, {one_step_size(setting)}.
        {ANOTHER_OBJECTIVE} Our own setting for the paper's assumptions."""


def figure_12_bias_network(settings: dict) -> str:
    setting, tuned = settings["bias_network"], settings["bias_network_tuned"]
    problem = setting["problem"]
    widths = "-".join(map(str, problem["hidden_widths"]))
    return f"""Vanilla ASGD's bias on a network, five workers taking 1 s and five r s per gradient. Top: F over time at
        r = 10 with one β, the step per second, for both methods; right: F over the last quarter of the horizon against
        β, median over {len(tuned["tuning"]["seeds"])} tuning seeds, filled where chosen, dotted at the β of the other
        panels. Below: averages over the last tenth of the horizon against r, with wrong labels; hollow markers: the
        objective F_p = Σ pᵢFᵢ with pᵢ ∝ 1/τᵢ, and the data of slow workers. Table: the same averages in both arms at
        one β, and with each method at its own best β. Medians and interquartile bands over {num_replicas(setting)}
        seeds; accuracies count wrong labels as they are. One hidden layer of {widths} units on
        {setting["data"]["dataset"]} averaged over squares of {problem["pool"]}×{problem["pool"]} pixels, batch
        {problem["batch_size"]}, {dirichlet_setting(setting)}, {one_step_size(setting)}. {ANOTHER_OBJECTIVE} Our own
        setting, not one of the paper's."""


def figure_13_hard_instances(settings: dict) -> str:
    chains, curvatures = settings["worst_case"], settings["small_smoothness"]
    steps = ", ".join(f"{value:g}" for value in curvatures["max_smoothness"] if value > 1)
    return f"""Top: the block zero-chain of the lower bound (Arjevani et al. 2019; Tyurin & Richtárik 2023), every
        worker owning {chains["chain_length"]} coordinates that its gradients show with probability pᵢ; seconds to
        E‖∇F‖² ≤ ε over LΔ/ε·τ_max + LΔσ²/(nε²)·τ_A, scaled by one constant throughout, at the step size chosen on
        other seeds, with 95 % intervals over {len(chains["reporting"]["seeds"])} seeds. A flat line is optimal up to a
        constant. Bottom: curvatures that cancel in the mean to L = 1, with L_max = {steps}; lines: exact, markers:
        simulated, with intervals over {len(curvatures["reporting"]["seeds"])} seeds. Our own settings, none of the
        paper's."""


def table_1_methods(settings: dict) -> str:
    return f"""What the methods cost and whose objective they minimise: theory beside what `quadratic` measured at the
        steps of its noise-dominated case. Leading term: of the time to an ε-stationary point, as the paper's comparison
        table has it (IA²SGD: from its literature); — where it has none. Memory: vectors of x's size the server holds
        beside x. Idle: share of worker seconds. Wasted: share of computed gradients; in theory yes
        means that it can happen. Weight error: half the summed
        absolute difference between the workers' shares in all steps and 1/n; theory as t → ∞, measured at the horizon.
        † minimises another objective. {quadratic_setting(settings)}"""


def table_2_time_to_target(settings: dict) -> str:
    return f"""Simulated seconds until E‖∇F‖² averaged over seeds and over the last tenth of elapsed time is at most the
        target, at the options and step size that are fastest on tuning seeds; in brackets 95 % bootstrap intervals over
        {num_replicas(settings["quadratic"])} reporting seeds. Exact: from the moments of the same method at the
        same step, where they are known [derived]. Over Rescaled ASGD: ratio of times, resampling the same seeds for
        both; beside it τ_max/τ_A, the ratio of the leading terms, for Minibatch SGD where noise dominates.
        "> horizon": not reached. * step size on the edge of what was tried. ‡ the horizon is less than 2.5 times this
        time. † minimises another objective. {quadratic_setting(settings)}"""


def table_4_exact_times(settings: dict) -> str:
    problem, simulated = settings["time_to_target"]["problem"], settings["time_to_target"]["theory_steps"]
    return f"""Exact seconds until E‖∇F‖² averaged over the last tenth of elapsed time is at most the target, on the
        instances of Figure 4 (σ = {problem["noise"]:g}, ζ = {problem["heterogeneity"]:g}), at the best step size and at
        the one that theory prescribes: Rescaled ASGD's is that of Corollary 4.2 with the constants of its proof, those
        of Malenia SGD and Minibatch SGD follow from the standard bound, Ringleader ASGD's is its paper's. In brackets:
        simulated, 95 % interval over {len(simulated["seeds"])} seeds. Theory: the ratio's limit
        as ε → 0. Vanilla ASGD stands beside Rescaled ASGD without heterogeneity (ζ = 0), where both minimise F: τ_H/τ_A
        is what rescaling costs. Our own setting, not one of the paper's. † minimises another objective when data are
        heterogeneous."""


def table_5_real_processes(settings: dict) -> str:
    setting = settings["real_processes"]
    scale = setting["backends"].get("processes", {}).get("time_scale")
    emulated = f", one second of compute time lasting {scale:g} s" if scale else ""
    return f"""What a run on real processes did (real) beside the same run on the virtual clock (virtual). Arrivals: of
        all workers, per second of compute time; per worker: the smallest and largest ratio of real to virtual. Delay:
        server updates between the hand-out of a point and its gradient's arrival. Weight error: half the summed
        absolute difference between the workers' shares in all steps and 1/n; — where steps are not linear in
        gradients. Memory: the most the server held beside x for one seed, in bytes. On time: share of gradients whose
        computation ended within its emulated time. Compute times are emulated{emulated}; one run per method, measured
        on the machine at hand. † minimises another objective. Our own setting, not one of the paper's."""


CAPTIONS = {
    function.__name__: function
    for function in (
        figure_1_toy,
        figure_2_stationary_error,
        figure_3_quadratic,
        figure_4_time_to_target,
        figure_5_mnist,
        figure_6_slow_owners,
        figure_7_step_sizes,
        figure_8_real_processes,
        figure_11_nonconvex,
        figure_12_bias_network,
        figure_13_hard_instances,
        table_1_methods,
        table_2_time_to_target,
        table_4_exact_times,
        table_5_real_processes,
    )
}


def num_replicas(setting: dict) -> str:
    """Reported seeds, for every case where they differ."""
    roles = [experiment.case_settings(setting, case)["reporting"] for case in setting["cases"]]
    return distinct(len(role["seeds"]) for role in roles)


def horizon(setting: dict) -> str:
    """Horizon in seconds, for every case where they differ."""
    return distinct(f"{experiment.case_settings(setting, case)['until']:g}" for case in setting["cases"]) + " s"


def distinct(values: Iterable) -> str:
    return " and ".join(str(value) for value in dict.fromkeys(values))


def dirichlet_setting(setting: dict) -> str:
    case = experiment.case_settings(setting, next(iter(setting["cases"])))
    num_workers = experiment.build_compute_times(case["compute_times"]).num_workers
    alpha = setting["data"]["partition"]["alpha"]
    return f"n = {num_workers}, Dirichlet({alpha:g}) shards of equal size, horizon {horizon(setting)}"


def one_step_size(setting: dict) -> str:
    log2_beta, decay = setting["step_sizes"]["log2_beta"], setting["step_size_decay"]
    return f"""β = 2^{log2_beta:g}, steps constant up to {decay["after"]:g} of the horizon, then falling linearly to
        {decay["to"]:g} of what they were"""


def quadratic_setting(settings: dict) -> str:
    setting = settings["quadratic"]
    case = experiment.case_settings(setting, next(iter(setting["cases"])))
    times = experiment.build_compute_times(case["compute_times"]).mean
    mean = times.mean()
    return f"""Quadratics: n = {len(times)}, d = {case["problem"]["dim"]}, fixed times from {times.min():g} to
        {times.max():g} s, τ_max/τ_A = {times.max() / mean:.3g}, horizon {horizon(setting)}; our own setting, not
        one of the paper's."""


def mnist_setting(settings: dict) -> str:
    setting = settings["mnist"]
    alpha = setting["data"]["partition"]["alpha"]
    return f"""MNIST: {data_setting(setting)}, Dirichlet({alpha:g}) shards of equal size, horizon {horizon(setting)}.
        The poster states neither workers, partition nor grid; the same authors' code has n = 100, all of MNIST,
        784-128-10, batch 4, Dirichlet(0.1), horizon 30000 s, 30 seeds."""


def data_setting(setting: dict) -> str:
    problem = setting["problem"]
    case = experiment.case_settings(setting, next(iter(setting["cases"])))
    num_workers = experiment.build_compute_times(case["compute_times"]).num_workers
    widths = "-".join(map(str, problem["hidden_widths"]))
    return f"{setting['data']['dataset']}, 784-{widths}-10 ReLU, batch {problem['batch_size']}, n = {num_workers}"
