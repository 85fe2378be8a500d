# Which figures and tables there are, and from which experiments each is made.
import hashlib

from rasgd.figures.captions import caption as caption_of

PRODUCTS = {
    "figure_1_toy": ["toy"],
    "figure_2_stationary_error": ["stationary_error"],
    "figure_3_quadratic": ["quadratic"],
    "figure_4_time_to_target": ["time_to_target", "lower_order"],
    "figure_5_mnist": ["mnist"],
    "figure_6_slow_owners": ["fashion_mnist"],
    "figure_7_step_sizes": ["quadratic", "mnist"],
    "figure_8_real_processes": ["real_processes"],
    "figure_11_nonconvex": ["nonconvex"],
    "figure_12_bias_network": ["bias_network", "bias_network_tuned"],
    "figure_13_hard_instances": ["worst_case", "small_smoothness"],
    "table_1_methods": ["quadratic"],
    "table_2_time_to_target": ["quadratic"],
    "table_4_exact_times": ["time_to_target"],
    "table_5_real_processes": ["real_processes"],
}


# Figures that also write one row of numbers per seed, for the claims.
BY_SEED = [
    "figure_3_quadratic",
    "figure_5_mnist",
    "figure_6_slow_owners",
    "figure_11_nonconvex",
    "figure_12_bias_network",
]


LEDGER = [f"{FIGURES}/claims.md", f"{FIGURES}/claims.csv"]


def product_files(product):
    endings = [".png", ".pdf", ".csv", ".md"] if product.startswith("figure") else [".md", ".tex", ".csv"]
    return [f"{FIGURES}/{product}{ending}" for ending in endings + ["_by_seed.csv"] * (product in BY_SEED)]


def with_training(products, experiments):
    """The products' files and the results they are made from.

    In a fresh clone the committed products are there and the results are not: asked for the products alone, Snakemake
    would find nothing to do.
    """
    results = [path for experiment in experiments for path in finished(experiment)]
    return [path for product in products for path in product_files(product)] + results


def finished(experiment):
    """Files that are there when an experiment is done."""
    if experiment in EXACT_EXPERIMENTS:
        return list(exact_outputs(experiment).values())
    return experiment_tables(experiment, "curves")


def experiment_products(experiment):
    """What is made from this experiment alone; from an exact one, also what others share."""
    exact = experiment in EXACT_EXPERIMENTS
    made = [p for p, sources in PRODUCTS.items() if sources == [experiment] or (exact and experiment in sources)]
    return with_training(made, [experiment])


# Target → files: figure_1, …, table_2.
ITEMS = {"_".join(product.split("_")[:2]): with_training([product], sources) for product, sources in PRODUCTS.items()}
ALL_PRODUCTS = with_training(PRODUCTS, EXPERIMENTS)


def figure_outputs(product):
    """Named outputs of a figure's rule; in the report the PNG shows, the PDF and the numbers are extras."""
    return {
        "png": in_report(product, "png", "figure"),
        "pdf": in_report(product, "pdf", "figure for print"),
        "csv": in_report(product, "csv", "numbers drawn"),
        "caption": f"{FIGURES}/{product}.md",
        **({"by_seed": f"{FIGURES}/{product}_by_seed.csv"} if product in BY_SEED else {}),
    }


def table_outputs(product):
    return {
        "markdown": in_report(product, "md", "table"),
        "latex": in_report(product, "tex", "table for print"),
        "csv": in_report(product, "csv", "numbers"),
    }


def in_report(product, ending, what):
    kind, number, name = product.split("_", 2)
    return report(
        f"{FIGURES}/{product}.{ending}",
        caption="../report/caption.rst",
        category="Figures" if kind == "figure" else "Tables",
        labels={"item": f"{kind.capitalize()} {number}", "about": name.replace("_", " "), "file": what},
    )


def product_caption(product):
    return caption_of(product, SETTINGS, config["scale"])


def figure_code(product):
    """A hash of the library code behind a product: Snakemake tracks its script, not what the script imports."""
    script = Path(workflow.basedir) / f"workflow/scripts/{product}.py"
    files = sorted(set().union(*(provenance.closure(module) for module in provenance.imported(script))))
    codes = [provenance.code_hash(provenance.PACKAGE / file) for file in files]
    return hashlib.sha256("".join(codes).encode()).hexdigest()[:16]


def case_labels(experiment):
    return {case: own["label"] for case, own in SETTINGS[experiment]["cases"].items()}


def case_values(experiment, key):
    """One setting of every case."""
    cases = SETTINGS[experiment]["cases"]
    return {case: experiments.case_settings(SETTINGS[experiment], case)[key] for case in cases}


def mean_times(experiment):
    """Mean seconds per gradient of every worker, for every case."""
    specs = case_values(experiment, "compute_times")
    return {case: experiments.build_compute_times(spec).mean.tolist() for case, spec in specs.items()}


def case_records(experiment, *keys):
    """Label, mean seconds per gradient of every worker, and some settings, for every case."""
    columns = {"label": case_labels(experiment), "compute_times": mean_times(experiment)}
    columns |= {key: case_values(experiment, key) for key in keys}
    return {case: {key: own[case] for key, own in columns.items()} for case in SETTINGS[experiment]["cases"]}


def profile_labels(experiment):
    return {profile: own["label"] for profile, own in SETTINGS[experiment]["profiles"].items()}
